"""What a channel has not been told yet: findings that are new, worse, gone or waived since.

Pure: what it was told, what was found now, what that run could see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ..findings import Area, Checked, Finding, Severity

LISTED: Final = 15  # findings of each kind in a message; its reader has a telephone
LONGEST: Final = 3000  # characters: Telegram takes 4096, others more


@dataclass(frozen=True, slots=True)
class Told:
    """A finding as it was told of."""

    severity: Severity
    cluster: str
    host: str
    area: Area
    what: str  # a line


@dataclass(frozen=True, slots=True)
class News:
    """The difference, and what a channel has been told once it knows it."""

    new: tuple[Told, ...]
    worse: tuple[Told, ...]
    gone: tuple[Told, ...]
    waived: tuple[Told, ...]
    after: Mapping[str, Told]  # by fingerprint

    def __bool__(self) -> bool:
        return bool(self.new or self.worse or self.gone or self.waived)


def told(finding: Finding) -> Told:
    return Told(
        finding.severity,
        finding.cluster,
        finding.host,
        finding.area,
        f"{finding.host or finding.cluster}: {finding.message} ({finding.rule})",
    )


def news(before: Mapping[str, Told], checked: Checked, areas: Collection[Area]) -> News:
    """What changed for somebody who was told `before`, by a run that looked at `areas`.

    What a run did not look at, and a router that it could not ask, say nothing: what was told of
    them stays as it is.
    """
    now = {one.fingerprint: told(one) for one in checked.findings if one.counts}
    waived = {one.fingerprint for one in checked.findings if one.waiver is not None}
    after = {**before, **now}
    gone, set_aside = [], []
    for fingerprint, one in before.items():
        if fingerprint in now:
            continue
        if fingerprint in waived:
            set_aside.append(one)
        elif _seen(one, checked, areas):
            gone.append(one)
        else:
            continue
        del after[fingerprint]
    return News(
        new=_sorted(one for name, one in now.items() if name not in before),
        worse=_sorted(
            one
            for name, one in now.items()
            if name in before and one.severity.rank < before[name].severity.rank
        ),
        gone=_sorted(gone),
        waived=_sorted(set_aside),
        after=after,
    )


def _seen(one: Told, checked: Checked, areas: Collection[Area]) -> bool:
    """Whether the run would have found it again."""
    if one.cluster and one.cluster not in checked.clusters:
        return False
    if one.area is not Area.REACH and one.area not in areas:
        return False
    silent = {skipped.host for skipped in checked.failed}
    return not silent.intersection(one.host.split(", "))


def _sorted(found: Iterable[Told]) -> tuple[Told, ...]:
    return tuple(sorted(found, key=lambda one: (one.severity.rank, one.cluster, one.what)))


def title(site: str, found: News) -> str:
    """`hacc west: 2 new (worst: critical), 1 gone`"""
    parts = [f"{len(group)} {word}" for word, group in _groups(found) if group]
    alarming = (*found.new, *found.worse)
    if alarming:
        worst = min(alarming, key=lambda one: one.severity.rank).severity
        parts[0] += f" (worst: {worst})"
    return f"hacc {site}: {', '.join(parts)}"


def body(found: News, run: str) -> str:
    """A line a finding, the worst first, and never more than a channel takes."""
    lines = []
    for word, group in _groups(found):
        if not group:
            continue
        lines.append(f"{word.capitalize()}:")
        lines += [f"- [{one.severity}] {_short(one.what)}" for one in group[:LISTED]]
        if len(group) > LISTED:
            lines.append(f"- and {len(group) - LISTED} more")
    last = f"hacc history show {run}"
    while len("\n".join([*lines, last])) > LONGEST:
        lines.pop()
    return "\n".join([*lines, last])


def _groups(found: News) -> tuple[tuple[str, tuple[Told, ...]], ...]:
    return (
        ("new", found.new),
        ("worse", found.worse),
        ("gone", found.gone),
        ("waived", found.waived),
    )


def _short(text: str) -> str:
    """One line of a device may be long, and a message on a telephone is not the place for it."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:197]}..."
