"""A record as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from ..errors import Problem
from ..findings import Area, Finding
from ..journal import Entry
from . import tables
from .record import HostOutcome, Kind, Record

_PROBLEMS: TypeAdapter[tuple[Problem, ...]] = TypeAdapter(tuple[Problem, ...])
_FINDING: TypeAdapter[Finding] = TypeAdapter(Finding)


def time(moment: datetime) -> str:
    """As it stands in every table."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def finding(text: str) -> Finding:
    return _FINDING.validate_json(text)


def columns(record: Record, site: str, now: datetime) -> Mapping[str, object]:
    return {
        "site": site,
        "name": record.name,
        "kind": str(record.kind),
        "user": record.user,
        "machine": record.machine,
        "command": record.command,
        "version": record.version,
        "started": record.started,
        "seconds": record.seconds,
        "exit": record.exit,
        "intent_sha256": record.intent_sha256,
        "plan_sha256": record.plan_sha256,
        "clusters": json.dumps(record.clusters),
        "areas": json.dumps(record.areas),
        "problems": _PROBLEMS.dump_json(record.problems).decode(),
        "recorded": time(now),
    }


def parts(record: Record) -> Iterator[tuple[sa.Table, list[dict[str, object]]]]:
    yield (
        tables.hosts,
        [
            {
                "host": host.host,
                "state": host.state,
                "problems": _PROBLEMS.dump_json(host.problems).decode(),
            }
            for host in record.hosts
        ],
    )
    yield (
        tables.lines,
        [
            {"at": entry.at, "host": entry.host, "kind": entry.kind, "text": entry.text}
            for entry in record.entries
        ],
    )
    yield (
        tables.findings,
        [
            {
                "fingerprint": finding.fingerprint,
                "rule": finding.rule,
                "area": str(finding.area),
                "severity": str(finding.severity),
                "cluster": finding.cluster,
                "host": finding.host,
                "subject": finding.subject,
                "counts": finding.counts,
                "finding": _FINDING.dump_json(finding).decode(),
            }
            for finding in record.findings
        ],
    )


def record(connection: sa.Connection, key: int) -> Record:
    def parts(table: sa.Table) -> Sequence[sa.Row[Any]]:
        chosen = sa.select(table).where(table.c.run == key).order_by(table.c.number)
        return connection.execute(chosen).all()

    row = connection.execute(sa.select(tables.runs).where(tables.runs.c.id == key)).one()
    return Record(
        name=row.name,
        site=row.site,
        kind=Kind(row.kind),
        user=row.user,
        machine=row.machine,
        command=row.command,
        version=row.version,
        started=row.started,
        seconds=row.seconds,
        exit=row.exit,
        intent_sha256=row.intent_sha256,
        plan_sha256=row.plan_sha256,
        clusters=tuple(json.loads(row.clusters)),
        areas=tuple(map(Area, json.loads(row.areas))),
        hosts=tuple(
            HostOutcome(part.host, part.state, _PROBLEMS.validate_json(part.problems))
            for part in parts(tables.hosts)
        ),
        entries=tuple(
            Entry(part.at, part.host, part.kind, part.text) for part in parts(tables.lines)
        ),
        findings=tuple(_FINDING.validate_json(part.finding) for part in parts(tables.findings)),
        problems=_PROBLEMS.validate_json(row.problems),
    )
