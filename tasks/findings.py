"""What a look at the fleet found: one value a finding, one value a run, as JSON and back.

A finding is known again by `fingerprint`, whatever it says this time: a baseline, a waiver, a
notification and a chart over runs are all about the same finding as long as its rule, router and
subject are the same.
"""

from __future__ import annotations

import enum
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from pydantic import TypeAdapter

from .errors import Exit, Place, Problem


class Severity(enum.StrEnum):
    """How bad it is, worst first."""

    CRITICAL = "critical"  # subscribers lose service, or will at the next failure
    MAJOR = "major"  # not what was meant; service holds
    MINOR = "minor"  # untidy, or not as the standards say
    INFO = "info"  # worth knowing; never a reason to end with an exit code

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Area(enum.StrEnum):
    """What was asked."""

    CONFIGURATION = "configuration"  # does the router hold what was rendered for it
    STATE = "state"  # does it do what the intent means
    STANDARD = "standard"  # do intent and configuration keep to the rules of the house
    REACH = "reach"  # could it be asked at all


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A line of what a router holds. Secrets are sealed."""

    path: str  # of its file; `running-config` on IOS
    line: int  # counts from 1; 0: the line is missing, `text` is where it would be
    text: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.text}" if self.text else where


@dataclass(frozen=True, slots=True)
class Waiver:
    """Somebody answers for a finding until a day."""

    owner: str
    reason: str
    expires: date  # the last day that it holds, UTC
    place: Place


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, with its evidence and its remedy."""

    rule: str  # "config.missing", "state.owner", "standard.hsrp-md5"
    area: Area
    severity: Severity
    cluster: str
    host: str  # "hacc1", or "hacc1, hacc2" where it is theirs together
    subject: str  # what it is about: stable from run to run, unlike what is said of it
    message: str
    intent: Place | None = None  # the line that wants it otherwise
    device: DeviceLine | None = None
    remedy: str = ""
    waiver: Waiver | None = None

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that name it in every run."""
        parts = (self.rule, self.cluster, self.host, self.subject)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @property
    def counts(self) -> bool:
        """Whether a run that finds it ends with an exit code."""
        return self.waiver is None and self.severity is not Severity.INFO


@dataclass(frozen=True, slots=True)
class Skipped:
    """A router that was not judged, and why: unreachable, or without intent."""

    host: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """One run of `hacc check`."""

    started: str  # ISO 8601, UTC, to the second
    seconds: float
    intent_sha256: str
    clusters: tuple[str, ...]
    hosts: tuple[str, ...]  # those that were judged
    findings: tuple[Finding, ...]  # the worst first
    failed: tuple[Skipped, ...] = ()  # could not be asked
    foreign: tuple[Skipped, ...] = ()  # in the inventory, without an intent: left alone

    @property
    def counting(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.counts)

    @property
    def exit(self) -> Exit:
        """A router that could not be asked outweighs drift: nothing is known of it."""
        if self.failed:
            return Exit.DEVICE
        return Exit.CHANGES if self.counting else Exit.OK

    def by_severity(self) -> Mapping[Severity, int]:
        """Those that count."""
        seen = Counter(finding.severity for finding in self.counting)
        return {severity: seen[severity] for severity in Severity}


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """In an order that is the same in every run that finds the same."""
    return tuple(
        sorted(
            findings,
            key=lambda one: (one.severity.rank, one.cluster, one.host, one.rule, one.subject),
        )
    )


_CHECKED: TypeAdapter[Checked] = TypeAdapter(Checked)


def to_json(checked: Checked) -> bytes:
    """The same run gives the same octets."""
    return _CHECKED.dump_json(checked, indent=1) + b"\n"


def from_json(data: bytes) -> Checked:
    """Raises pydantic.ValidationError: it is not one that `to_json` wrote."""
    return _CHECKED.validate_json(data)
