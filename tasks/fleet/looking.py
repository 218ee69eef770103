"""Reading a whole fleet, part by part: `hacc check`, and what `hacc plan` needs."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import TypeVar

from .. import pipeline
from ..check import House, Looked, conclude, look, standards
from ..devices.fleet import Fleet
from ..errors import Exit, HaccError
from ..findings import Area, Checked, Skipped
from ..pipeline import Opened, Prepared
from ..plan import Plan, joined
from ..push import FleetFailed
from ..runner import Interrupted, Listener
from .choice import Choice, work_on
from .work import Outcome, Work

T = TypeVar("T")


def check(
    prepared: Prepared,
    house: House,
    choice: Choice,
    *,
    strict: bool,
    now: datetime,
    areas: Collection[Area],
    listeners: Iterable[Listener] = (),
) -> Checked:
    """One run over the chosen clusters. Changes nothing on any router."""
    began = time.monotonic()
    standards.of_intent(prepared.clusters, house.rules.rules)  # what is wrong with them, first
    asking = partial(look, house=house, now=now, areas=tuple(areas))
    work: Work[Looked] = Work(asking, repeatable=True, strict=strict)
    looks = [
        outcome.value or _nothing(outcome)
        for outcome in _all(work_on(prepared, work, choice, listeners=listeners))
    ]
    took = time.monotonic() - began
    return conclude(prepared, looks, house, now=now, seconds=took, areas=areas)


def _nothing(outcome: Outcome[Looked]) -> Looked:
    """Of a part whose worker was lost nothing is known."""
    return Looked((), tuple(Skipped(host, outcome.problems) for host in outcome.part.hosts), ())


def plan(
    prepared: Prepared,
    choice: Choice,
    *,
    strict: bool,
    listeners: Iterable[Listener] = (),
) -> Plan:
    """What would bring every router to its intent. Raises FleetFailed when one cannot be read."""
    work = Work(_plan, repeatable=True, strict=strict)
    outcomes = _all(work_on(prepared, work, choice, listeners=listeners))
    failed = [problem for outcome in outcomes for problem in outcome.problems]
    if failed:
        raise FleetFailed(failed)
    return joined([outcome.value for outcome in outcomes if outcome.value], prepared.clusters)


def _plan(prepared: Prepared, opened: Opened, routers: Fleet) -> Plan:
    """Of a part. Secrets are tokens in it, and a router that is right is three lines."""
    return pipeline.plan(prepared, opened, pipeline.fetch(prepared, routers))


def _all(outcomes: Iterator[Outcome[T]]) -> list[Outcome[T]]:
    """In the order of the clusters. Raises when the run was interrupted, with what is left, and
    at once when what was given is wrong: every part would say the same."""
    found: list[Outcome[T]] = []
    for outcome in outcomes:
        if outcome.exit is Exit.USAGE:
            raise HaccError(outcome.problems)
        found.append(outcome)
    left = [one for one in found if one.exit is Exit.INTERRUPTED]
    if left:
        raise Interrupted(problem for one in left for problem in one.problems)
    return sorted(found, key=lambda one: one.part.number)
