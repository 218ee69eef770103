"""What the time between a fault and the recovery went into, from what the routers told.

    detect      the fault            -> somebody notices: a member changes its state, a controller
                                        begins to decide, an order is given
    decide      that                 -> who takes over is decided
    switch      the decision         -> both planes send to the new member
    transfer    that                 -> the heir has all bindings
    reconverge  that                 -> the last subscriber has packets again

A phase that nobody told of is left out: a controller's death moves no slots, a member that was
given nothing transfers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from .measured import Happening, Measured

DETECTED: Final = ("member down", "member failing", "member maintenance")
DECIDES: Final = "this controller decides"
ORDERED: Final = "an operator's order"
MOVED: Final = "slots move"
TAKEN: Final = "slots taken over"


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    begin_s: float
    end_s: float

    @property
    def ms(self) -> float:
        return round(1000 * (self.end_s - self.begin_s), 1)


def detected_s(measured: Measured) -> float | None:
    """When somebody first noticed the first fault."""
    found = next(iter(_since_fault(measured, _is_detection)), None)
    return None if found is None else found.at_s


def phases(measured: Measured) -> tuple[Phase, ...]:
    """Of the first fault of a run, in their order."""
    return tuple(_phases(measured))


def _phases(measured: Measured) -> Iterator[Phase]:
    if not measured.struck:
        return
    at, end = measured.struck[0].begin_s, _end(measured)
    noticed = detected_s(measured)
    if noticed is not None and noticed < end:
        yield Phase("detect", at, noticed)
        at = noticed
    moves = [one for one in _since_fault(measured, _is(MOVED)) if one.at_s < end]
    if moves:
        switched = moves[0].at_s
        took = float(moves[0].details.get("after_ms", 0.0)) / 1000
        decided = max(at, switched - took)
        yield Phase("decide", at, decided)
        yield Phase("switch", decided, max(decided, switched))
        at = max(at, switched)
        end = min(end, _next_change(measured, switched))
    taken = [one for one in _since_fault(measured, _is(TAKEN)) if one.at_s < end]
    if taken:
        yield Phase("transfer", at, max(at, taken[-1].at_s))
        at = max(at, taken[-1].at_s)
    recovered = recovered_s(measured)
    if recovered is not None and recovered > at:
        yield Phase("reconverge", at, recovered)


def recovered_s(measured: Measured) -> float | None:
    """The end of the last piece of the course, after the first fault, in which packets were lost.

    None: nothing was lost after it, or it is still lost at the end.
    """
    if not measured.struck or not measured.course:
        return None
    first, end = measured.struck[0].begin_s, _end(measured)
    course = [one for one in measured.course if first <= one.at_s < end]
    lossy = [number for number, one in enumerate(course) if one.answered < one.sent]
    if not lossy or lossy[-1] + 1 >= len(course):
        return None
    return course[lossy[-1] + 1].at_s


def _end(measured: Measured) -> float:
    """What follows is of the mending, or of another fault."""
    first, *others = measured.struck
    ends = [one.begin_s for one in others]
    if first.lasts and first.end_s is not None:
        ends.append(first.end_s)
    return min(ends, default=float("inf"))


def _next_change(measured: Measured, after: float) -> float:
    """When a member's state changes that nobody has told of before: other slots move for that."""
    known = {_change(one) for one in measured.events if one.at_s <= after}
    later = (
        one.at_s
        for one in measured.events
        if one.at_s > after and one.event.startswith("member ") and _change(one) not in known
    )
    return next(later, float("inf"))


def _change(one: Happening) -> tuple[str, object]:
    return one.event, one.details.get("member")


def _since_fault(measured: Measured, wanted: Callable[[Happening], bool]) -> Iterator[Happening]:
    begin = measured.struck[0].begin_s if measured.struck else 0.0
    return (one for one in measured.events if one.at_s >= begin and wanted(one))


def _is(event: str) -> Callable[[Happening], bool]:
    return lambda one: one.event == event


def _is_detection(one: Happening) -> bool:
    return one.event in (*DETECTED, DECIDES, ORDERED)
