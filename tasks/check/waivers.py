"""Findings that somebody answers for, until a day: `inventory/waivers.yaml`.

    waivers:
      - rule: standard.no-telnet       # patterns: * is anything; a whole id names one rule
        host: ios1                     # and `cluster`; without them, everywhere
        subject: line vty 5 15*        # without, whatever it is about
        owner: jane@example.net
        reason: the console server of the east wing speaks nothing else
        expires: 2027-03-31            # the last day that it holds, UTC

A waiver never hides anything: what it covers is still found, and shown apart. One that has expired
covers nothing and is a finding itself; one that covers nothing any more is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from ..errors import HaccError, Problem
from ..findings import Area, Finding, Severity, Waiver, worst_first
from ..inventory import nearest
from . import reading

FILE: Final = "waivers.yaml"
EXPIRED: Final = "waiver.expired"
UNUSED: Final = "waiver.unused"
_KEYS: Final = ("rule", "cluster", "host", "subject", "owner", "reason", "expires")


class WaiverError(HaccError):
    """The waivers cannot be read."""


@dataclass(frozen=True, slots=True)
class Cover:
    """A waiver, and which findings it is about: patterns, of which `*` is anything."""

    waiver: Waiver
    rule: str
    cluster: str
    host: str
    subject: str

    def covers(self, finding: Finding) -> bool:
        """Of a finding about several routers, all must be meant."""
        return (
            fnmatchcase(finding.rule, self.rule)
            and fnmatchcase(finding.cluster, self.cluster)
            and all(fnmatchcase(host, self.host) for host in finding.host.split(", "))
            and fnmatchcase(finding.subject, self.subject)
        )


def load_waivers(
    root: Path, *, rules: Collection[str] | None, clusters: Collection[str], hosts: Collection[str]
) -> tuple[Cover, ...]:
    """Those of a site, which may have none. Raises WaiverError with all that is wrong.

    Without `rules`, since they cannot be read, a waiver may name any.
    """
    path = root / FILE
    if not path.exists():
        return ()
    problems: list[Problem] = []
    data = reading.load(path, problems)
    reading.top(data, ("waivers",), problems)
    found: list[Cover] = []
    for entry in reading.entries(data, "waivers", _KEYS, problems):
        rule = entry.text("rule", required=True)
        cluster, host, subject = (entry.text(key) or "*" for key in ("cluster", "host", "subject"))
        for key, pattern, known in (
            ("rule", rule, rules), ("cluster", cluster, clusters), ("host", host, hosts),
        ):  # fmt: skip
            if pattern and known is not None and not _any(known, pattern):
                entry.wrong(key, f"{pattern!r} is none of ours", hint=nearest(pattern, known))
        owner, reason = (entry.text(key, required=True) for key in ("owner", "reason"))
        expires = entry.day("expires")
        if expires is not None:
            found.append(
                Cover(Waiver(owner, reason, expires, entry.place), rule, cluster, host, subject)
            )
    if problems:
        raise WaiverError(problems)
    return tuple(found)


def _any(known: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in known)


def waive(
    findings: Iterable[Finding], covers: Sequence[Cover], today: date, *, complete: bool
) -> tuple[Finding, ...]:
    """The findings with their waivers, and what is to be said of the waivers themselves.

    Where several cover one finding, the one that holds longest does. `complete`: every router was
    asked everything, so that a waiver that covers nothing has nothing left to cover.
    """
    holding = sorted(
        (cover for cover in covers if today <= cover.waiver.expires),
        key=lambda cover: cover.waiver.expires,
        reverse=True,
    )
    told: list[Finding] = []
    used: set[Cover] = set()
    for finding in findings:
        fitting = [cover for cover in holding if cover.covers(finding)]
        used.update(fitting)
        told.append(dataclasses.replace(finding, waiver=fitting[0].waiver) if fitting else finding)
    expired = [_expired(cover) for cover in covers if cover not in holding]
    idle = [_unused(cover) for cover in holding if cover not in used] if complete else []
    return worst_first((*told, *expired, *idle))


def _expired(cover: Cover) -> Finding:
    waiver = cover.waiver
    return _finding(
        EXPIRED,
        Severity.MINOR,
        cover,
        f"{waiver.owner}'s waiver of {cover.rule} has ended on {waiver.expires}: {waiver.reason}",
        "mend what it was about, or let its owner decide anew",
    )


def _unused(cover: Cover) -> Finding:
    waiver = cover.waiver
    return _finding(
        UNUSED,
        Severity.INFO,
        cover,
        f"{waiver.owner}'s waiver of {cover.rule} covers nothing any more: {waiver.reason}",
        "take it out",
    )


def _finding(rule: str, severity: Severity, cover: Cover, message: str, remedy: str) -> Finding:
    """Its subject names the waiver by what it says, not by where it stands."""
    subject = f"{cover.rule} {cover.subject} {cover.waiver.owner} {cover.waiver.expires}"
    return Finding(
        rule,
        Area.STANDARD,
        severity,
        "" if cover.cluster == "*" else cover.cluster,
        "" if cover.host == "*" else cover.host,
        subject,
        message,
        cover.waiver.place,
        remedy=remedy,
    )
