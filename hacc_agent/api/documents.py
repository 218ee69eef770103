"""The daemon's answers as the API gives them away: one name for one thing, and times that stand.

"7 s ago" is another answer each second; "at 12:00:07" is not, so that only what has changed is
sent to who listens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

Document = dict[str, Any]

HEARD_S: Final = 5.0
"""s by which the time of a member's figures is told: finer, each member would change each second
for that alone."""

STEADY_S: Final = 2.0
"""s that the beginning of a state may seem to move between two looks: they take their time."""

ANSWERED: Final = ("accepted", "deregistered", "denied", "refused", "redirected")
"""Counters of the requests that have had their answer."""

MOVING: Final = (
    "at",
    "decides",
    "follows",
    "bindings",
    "pending",
    "registrations_per_s",
    "states",
    "standbys",
    "journal_trouble",
    "drill",
)
"""What is sent of a status each second; the rest a listener has asked for once."""


def status(
    told: Mapping[str, Any], at: float, rate: float | None, drill: Document | None
) -> Document:
    """`rate`: registrations a second since the look before."""
    log = told["log"]
    return {
        "at": at,
        "router": told["name"],
        "role": told["role"],
        "cluster": told["cluster"],
        "version": told["version"],
        "configuration": told["configuration"],
        "since": told["since"],
        "decides": log["leads"],
        "follows": log["follows"] or None,
        "bindings": told["bindings"],
        "pending": told["pending"],
        "capacity": told["capacity"],
        "registrations_per_s": None if rate is None else _rounded(rate),
        "states": dict(Counter(each["state"] for each in told["members"])),
        "standbys": [
            {"name": each["name"], "groups_behind": each["behind"]} for each in log["followers"]
        ],
        "journal_trouble": log["trouble"] or "",
        "counters": told["counters"],
        "memory_mib": told["memory_mib"],
        "drill": drill,
    }


def member(told: Mapping[str, Any], at: float, before: Document | None) -> Document:
    """`before`: as it was at the look before."""
    figures = told["figures"] or {}
    since = at - told["since_s"]
    if (
        before
        and before["state"] == told["state"]
        and abs(since - before["state_since"]) < STEADY_S
    ):
        since = before["state_since"]
    return {
        "name": told["name"],
        "kind": told["kind"],
        "backup": told["backup"],
        "weight": told["weight"],
        "capacity": told["capacity"],
        "state": told["state"],
        "why": told["why"],
        "state_since": since,
        "linked": told["linked"],
        "transferring": told["transferring"],
        "bindings": told["bindings"],
        "pending": told["pending"],
        "slots": told["slots"],
        "load": told["load"],
        "closed": told["closed"],
        "cpu_percent": _rounded(figures.get("cpu_percent")),
        "memory_free_percent": _rounded(figures.get("memory_free_percent")),
        "registrations_per_s": _rounded(figures.get("registrations_per_s")),
        "heard_at": (at - figures["age_s"]) // HEARD_S * HEARD_S if figures else None,
        "source": figures.get("source"),
    }


def answered(told: Mapping[str, Any]) -> int:
    """Requests that have had their answer, since the daemon started."""
    return sum(told["counters"].get(name, 0) for name in ANSWERED)


def drill(events: Sequence[Mapping[str, Any]], before: Document | None) -> Document | None:
    """The one that is under way after these events."""
    for event in events:
        if event["event"] != "drill":
            continue
        before = None
        if event["phase"] != "ends":
            before = {
                "name": event["drill"],
                "phase": event["phase"],
                "what": event["what"],
                "at": event["at"],
            }
    return before


def changes(before: Mapping[str, Document], after: Mapping[str, Document]) -> dict[str, Document]:
    """By member, the fields that are others now."""
    found = {}
    for name, now in after.items():
        then = before.get(name, {})
        other = {field: value for field, value in now.items() if then.get(field, ...) != value}
        if other:
            found[name] = other
    return found


def _rounded(value: float | None) -> float | None:
    """Three digits: what is behind them changes each second and means nothing."""
    return None if value is None else float(f"{value:.3g}")
