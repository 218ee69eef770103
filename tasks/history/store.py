"""Records in a database and out again: SQLite beside the inventory, or PostgreSQL.

A record is one transaction: it is there whole or not at all. Writers come one at a time and wait
for one another for a bounded time; readers wait for nobody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Self

import sqlalchemy as sa

from ..errors import HaccError, Place, Problem
from ..findings import Area, Finding, Severity
from . import rows, tables
from .faults import HistoryError, told
from .place import Location
from .record import FAILED, Kind, Record, Summary

LOCK_S: Final = 5.0  # how long a writer waits for another: a record takes milliseconds
CONNECT_S: Final = 5  # PostgreSQL: to its server
ANSWER_S: Final = 30  # PostgreSQL: one statement; a record of 10,000 routers takes about one
# Two machines that share a history need not agree to the second; a clock that was set back by
# less than this changes no order that anybody could see.
SKEW: Final = timedelta(seconds=60)
# Any number that others on the same server are unlikely to take: "HACC" in ASCII.
_ADVISORY: Final = 0x48414343

_WRITES: Final = "hacc_writes"  # an execution option: a connection's transactions mean to write


class HistoryNewer(HistoryError):
    """A newer program has made these tables."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A finding over the runs that found it."""

    finding: Finding  # as it was found last
    first: str  # the run's start
    last: str
    runs: int
    open: bool  # no later check that looked there found it gone


@dataclass(frozen=True, slots=True)
class _View:
    """What a check looked at."""

    run: int
    clusters: frozenset[str]
    areas: frozenset[str]  # empty: all

    @classmethod
    def of(cls, row: Any) -> Self:
        return cls(row.id, frozenset(json.loads(row.clusters)), frozenset(json.loads(row.areas)))

    def covers(self, finding: Finding, silent: frozenset[str]) -> bool:
        """Whether it would have found it; `silent` are the routers that it could not ask."""
        if finding.cluster and finding.cluster not in self.clusters:
            return False
        if finding.area is not Area.REACH and self.areas and finding.area not in self.areas:
            return False
        return not silent.intersection(finding.host.split(", "))


class History:
    """An open history. `with History.open(location) as history:`"""

    def __init__(self, location: Location, engine: sa.Engine) -> None:
        self.location = location
        self._engine = engine
        self._site = location.site

    @classmethod
    def open(cls, location: Location) -> Self:
        """Connect, and make the tables if there are none. Raises HistoryError."""
        history = cls(location, _engine(location))
        try:
            with told(location):
                history._make_ready()
        except HaccError:
            history.close()
            raise
        return history

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with told(self.location), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction, and nobody else writes meanwhile."""
        with told(self.location), self._engine.execution_options(**{_WRITES: True}).begin() as c:
            if self._engine.dialect.name == "postgresql":
                c.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY)))
            yield c

    def _make_ready(self) -> None:
        with self.reading() as connection:
            version = _version(connection)
        if version is None or version < tables.VERSION:
            with self.writing() as connection:
                version = _version(connection)  # somebody else may just have done it
                if version is None:
                    version = tables.VERSION
                    tables.metadata.create_all(connection)
                    connection.execute(sa.insert(tables.schema).values(version=version))
                else:
                    for step in range(version, tables.VERSION):
                        for statement in tables.STEPS[step]:
                            connection.execute(sa.text(statement))
                    version = max(version, tables.VERSION)
                    connection.execute(sa.update(tables.schema).values(version=version))
        if version != tables.VERSION:
            raise HistoryNewer(
                Problem(
                    Place(str(self.location), 0),
                    "history",
                    f"its tables are of version {version}",
                    allowed=str(tables.VERSION),
                    hint="a newer hacc has made them: use that one here too",
                )
            )

    def add(self, record: Record, now: datetime) -> Summary:
        """Keep a run; one of the same name, site and machine is replaced (a run that went on)."""
        with self.writing() as connection:
            runs = tables.runs
            last = connection.scalar(
                sa.select(sa.func.max(runs.c.recorded)).where(
                    runs.c.site == self._site, runs.c.machine == record.machine
                )
            )
            back = last is not None and now + SKEW < datetime.fromisoformat(last)
            connection.execute(
                sa.delete(runs).where(
                    runs.c.site == self._site,
                    runs.c.machine == record.machine,
                    runs.c.name == record.name,
                )
            )
            key = connection.execute(
                sa.insert(runs).values(
                    **rows.columns(record, self._site, now), clock_went_back=back
                )
            ).inserted_primary_key
            assert key is not None
            for table, parts in rows.parts(record):
                if parts:
                    connection.execute(
                        sa.insert(table),
                        [{"run": key[0], "number": n, **part} for n, part in enumerate(parts)],
                    )
        return replace(record.summary, clock_went_back=back)

    def names(self) -> frozenset[str]:
        """Of all runs, whatever their machine was called then."""
        with self.reading() as connection:
            chosen = sa.select(tables.runs.c.name).where(tables.runs.c.site == self._site)
            return frozenset(connection.scalars(chosen))

    @property
    def forgotten(self) -> datetime | None:
        """Runs that began before were pruned, and stay so."""
        with self.reading() as connection:
            moment = connection.scalar(
                sa.select(tables.sites.c.forgotten).where(tables.sites.c.site == self._site)
            )
        return datetime.fromisoformat(moment) if moment else None

    def summaries(
        self, *, since: datetime | None = None, kinds: Sequence[Kind] = (), last: int | None = None
    ) -> tuple[Summary, ...]:
        """Runs in the order in which they were recorded; `last` takes that many from the end."""
        runs = tables.runs
        chosen = sa.select(runs).where(runs.c.site == self._site)
        if since is not None:
            chosen = chosen.where(runs.c.started >= rows.time(since))
        if kinds:
            chosen = chosen.where(runs.c.kind.in_([str(kind) for kind in kinds]))
        chosen = chosen.order_by(runs.c.id.desc()).limit(last)
        with self.reading() as connection:
            held = [*reversed(connection.execute(chosen).all())]
            wanted = chosen.with_only_columns(runs.c.id).subquery()
            hosts = _counts(connection, tables.hosts, wanted)
            lines = _counts(connection, tables.lines, wanted, tables.lines.c.kind == "send")
            found = _severities(connection, wanted)
        return tuple(
            Summary(
                name=row.name,
                kind=Kind(row.kind),
                user=row.user,
                machine=row.machine,
                started=row.started,
                seconds=row.seconds,
                exit=row.exit,
                hosts=hosts.get(row.id, 0),
                lines=lines.get(row.id, 0),
                findings={s: found.get((row.id, s), 0) for s in Severity},
                clock_went_back=row.clock_went_back,
            )
            for row in held
        )

    def find(self, name: str, kinds: Sequence[Kind] = ()) -> Record:
        """A run by its name, an unambiguous part of it, or `last`. Raises HaccError."""
        runs = tables.runs
        chosen = sa.select(runs.c.id, runs.c.name).where(runs.c.site == self._site)
        if kinds:
            chosen = chosen.where(runs.c.kind.in_([str(kind) for kind in kinds]))
        chosen = chosen.order_by(runs.c.id)
        with self.reading() as connection:
            if name == "last":
                found = connection.execute(
                    chosen.order_by(None).order_by(runs.c.id.desc()).limit(1)
                ).all()
            else:
                found = connection.execute(chosen.where(runs.c.name == name)).all() or (
                    connection.execute(
                        chosen.where(runs.c.name.contains(name, autoescape=True))
                    ).all()
                )
            if len(found) == 1:
                return rows.record(connection, found[0].id)
            some = found or connection.execute(chosen).all()
        raise HaccError(
            Problem(
                Place(str(self.location), 0),
                name,
                "names several runs" if found else "names no run",
                hint=f"runs: {', '.join(row.name for row in some[-5:])}" if some else
                "nothing has been recorded yet",
            )
        )  # fmt: skip

    def findings_seen(self, *, since: datetime | None = None) -> tuple[Seen, ...]:
        """Every finding that counted in a check, with its life; the open ones first."""
        runs, findings = tables.runs, tables.findings
        checks = sa.select(runs.c.id, runs.c.started, runs.c.clusters, runs.c.areas).where(
            runs.c.site == self._site, runs.c.kind == str(Kind.CHECK)
        )
        if since is not None:
            checks = checks.where(runs.c.started >= rows.time(since))
        with self.reading() as connection:
            held = connection.execute(checks.order_by(runs.c.id)).all()
            starts = {row.id: row.started for row in held}
            views = [_View.of(row) for row in held]
            silent = _silent(connection, checks.with_only_columns(runs.c.id).subquery())
            chosen = checks.subquery()
            lives = connection.execute(
                sa.select(
                    findings.c.fingerprint,
                    sa.func.min(findings.c.run).label("first"),
                    sa.func.max(findings.c.run).label("last"),
                    sa.func.count(sa.distinct(findings.c.run)).label("runs"),
                )
                .where(findings.c.run.in_(sa.select(chosen.c.id)), findings.c.counts)
                .group_by(findings.c.fingerprint)
            ).all()
            lasts = {row.last for row in lives}
            texts: dict[tuple[int, str], str] = {
                (row.run, row.fingerprint): row.finding
                for row in connection.execute(
                    sa.select(findings.c.run, findings.c.fingerprint, findings.c.finding).where(
                        findings.c.run.in_(lasts)
                    )
                )
            }
        seen = []
        for row in lives:
            finding = rows.finding(texts[row.last, row.fingerprint])
            later = (view for view in views if view.run > row.last)
            gone = any(view.covers(finding, silent.get(view.run, frozenset())) for view in later)
            seen.append(Seen(finding, starts[row.first], starts[row.last], row.runs, not gone))
        return tuple(
            sorted(seen, key=lambda one: (not one.open, one.finding.severity.rank, one.first,
                                          one.finding.host, one.finding.subject))
        )  # fmt: skip

    def prune(self, before: datetime) -> int:
        """Forget runs that began before; the last check stays: the next is held against it."""
        runs, sites = tables.runs, tables.sites
        mine = runs.c.site == self._site
        last_check = sa.select(sa.func.max(runs.c.id)).where(mine, runs.c.kind == str(Kind.CHECK))
        with self.writing() as connection:
            kept = connection.scalar(last_check) or 0
            gone = connection.execute(
                sa.delete(runs).where(mine, runs.c.started < rows.time(before), runs.c.id != kept)
            )
            here = sites.c.site == self._site
            already = connection.scalar(sa.select(sites.c.forgotten).where(here)) or ""
            connection.execute(sa.delete(sites).where(here))
            connection.execute(
                sa.insert(sites).values(site=self._site, forgotten=max(already, rows.time(before)))
            )
            return int(gone.rowcount)


def _engine(location: Location) -> sa.Engine:
    if location.sqlite is None:
        try:
            import psycopg  # noqa: F401  # asked for here, so that what lacks is told in our words
        except ImportError:
            raise HistoryError(
                Problem(None, "history", f"{location} needs the library 'psycopg'",
                        hint="pip install 'hacc[postgresql]'")
            ) from None  # fmt: skip
        return sa.create_engine(
            location.url,
            poolclass=sa.NullPool,
            connect_args={
                "connect_timeout": CONNECT_S,
                "application_name": "hacc",
                "client_encoding": "utf8",  # whatever the database's is: it may be SQL_ASCII
                "options": f"-c lock_timeout={int(LOCK_S * 1000)} "
                f"-c statement_timeout={ANSWER_S * 1000} -c timezone=UTC",
            },
        )
    with suppress(OSError):  # SQLite itself says what is wrong
        location.sqlite.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What routers were sent is nobody else's; its log and index get the mode of the file.
        os.close(os.open(location.sqlite, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = sa.create_engine(location.url, connect_args={"timeout": LOCK_S})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # We say BEGIN ourselves: Python's driver says it late, and never before CREATE TABLE.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")  # who reads waits for nobody
    connection.execute("PRAGMA synchronous=FULL")  # what was recorded survives a power failure
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A reader that turns into a writer is refused without waiting: who means to write says so.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(tables.schema.name):
        return None
    version: int | None = connection.scalar(sa.select(tables.schema.c.version))
    return version


def _silent(connection: sa.Connection, wanted: sa.Subquery) -> dict[int, frozenset[str]]:
    """Routers that each run could not ask."""
    hosts = tables.hosts
    chosen = sa.select(hosts.c.run, hosts.c.host).where(
        hosts.c.run.in_(sa.select(wanted.c.id)), hosts.c.state == FAILED
    )
    found: dict[int, set[str]] = {}
    for row in connection.execute(chosen):
        found.setdefault(row.run, set()).add(row.host)
    return {run: frozenset(names) for run, names in found.items()}


def _counts(
    connection: sa.Connection, table: sa.Table, wanted: sa.Subquery, *which: Any
) -> dict[int, int]:
    chosen = (
        sa.select(table.c.run, sa.func.count())
        .where(table.c.run.in_(sa.select(wanted.c.id)), *which)
        .group_by(table.c.run)
    )
    return {row.run: row[1] for row in connection.execute(chosen)}


def _severities(connection: sa.Connection, wanted: sa.Subquery) -> dict[tuple[int, Severity], int]:
    findings = tables.findings
    chosen = (
        sa.select(findings.c.run, findings.c.severity, sa.func.count())
        .where(findings.c.run.in_(sa.select(wanted.c.id)), findings.c.counts)
        .group_by(findings.c.run, findings.c.severity)
    )
    return {(run, Severity(word)): count for run, word, count in connection.execute(chosen)}
