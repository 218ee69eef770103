"""One run as it is kept: a value, as JSON and back."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from ..errors import HaccError, Place, Problem
from ..findings import Area, Finding, Severity
from ..journal import Entry

FORMAT: Final = 1  # of a record's file

# What became of asking a router; of a change it is push.State.
JUDGED: Final = "judged"
FAILED: Final = "failed"
FOREIGN: Final = "foreign"


class Kind(enum.StrEnum):
    """Which command it was."""

    APPLY = "apply"
    ROLLBACK = "rollback"
    VERIFY = "verify"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class HostOutcome:
    """One router's part in a run."""

    host: str
    state: str  # push.State; of a look at routers: JUDGED, FAILED or FOREIGN
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A run. Secrets are sealed in all of it."""

    name: str  # sorts by time; of an apply or a rollback that of its directory in .hacc/runs
    site: str  # whose run it is, where several repositories share a database
    kind: Kind
    user: str
    machine: str
    command: str
    version: str
    started: str  # ISO 8601, UTC, to the second
    seconds: float
    exit: int | None  # errors.Exit; None: it did not end, its machine or its process did
    intent_sha256: str
    plan_sha256: str = ""
    clusters: tuple[str, ...] = ()
    areas: tuple[Area, ...] = ()  # that a check looked at; empty: it is no check, or an old record
    hosts: tuple[HostOutcome, ...] = ()
    entries: tuple[Entry, ...] = ()  # the run's journal, whole
    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()  # of the run as a whole

    @property
    def summary(self) -> Summary:
        return Summary(
            name=self.name,
            kind=self.kind,
            user=self.user,
            machine=self.machine,
            started=self.started,
            seconds=self.seconds,
            exit=self.exit,
            hosts=len(self.hosts),
            lines=sum(entry.kind == "send" for entry in self.entries),
            findings=by_severity(self.findings),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in a line."""

    name: str
    kind: Kind
    user: str
    machine: str
    started: str
    seconds: float
    exit: int | None
    hosts: int
    lines: int  # that were sent
    findings: Mapping[Severity, int]  # those that count
    clock_went_back: bool = False  # recorded before the run that was recorded before it


def by_severity(findings: tuple[Finding, ...]) -> Mapping[Severity, int]:
    """How many count, the worst first."""
    seen = Counter(finding.severity for finding in findings if finding.counts)
    return {severity: seen[severity] for severity in Severity}


class RecordError(HaccError):
    """A file is no record."""


@dataclass(frozen=True, slots=True)
class _File:
    format: int
    record: Record


_FILE: TypeAdapter[_File] = TypeAdapter(_File)


def to_json(record: Record) -> bytes:
    return _FILE.dump_json(_File(FORMAT, record)) + b"\n"


def from_json(data: bytes, file: str) -> Record:
    """Raises RecordError for what `to_json` has not written."""
    try:
        held = _FILE.validate_json(data)
    except ValidationError:
        raise RecordError(
            Problem(Place(file, 0), "history", "is no record of a run", hint="move it away")
        ) from None
    if held.format != FORMAT:
        raise RecordError(
            Problem(
                Place(file, 0),
                "history",
                f"is a record of format {held.format}",
                allowed=str(FORMAT),
                hint="a newer hacc has written it",
            )
        )
    return held.record
