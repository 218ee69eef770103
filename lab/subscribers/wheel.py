"""Thousands of deadlines, nearly all of which are overtaken before they come.

Every registration sets a deadline for its answer, which arrives a millisecond later: a heap of
deadlines would be a heap of rubbish. Here a deadline is an append to the list of its tick; who
asked for it looks, when it comes, whether it still matters.
"""

from __future__ import annotations

import heapq
import math
from typing import Generic, TypeVar

T = TypeVar("T")


class TimingWheel(Generic[T]):
    """Deadlines on a clock of seconds; they come half a tick late, or one and a half, never early.

    The half keeps the rounding of floating-point numbers away from the edge of a tick.
    """

    __slots__ = ("_slots", "_tick", "_ticks")

    def __init__(self, tick: float = 0.01) -> None:
        self._tick = tick
        self._slots: dict[int, list[T]] = {}
        self._ticks: list[int] = []  # a heap of the keys of _slots

    def set(self, deadline: float, item: T) -> None:
        tick = math.ceil(deadline / self._tick + 0.5)
        slot = self._slots.get(tick)
        if slot is None:
            self._slots[tick] = [item]
            heapq.heappush(self._ticks, tick)
        else:
            slot.append(item)

    def due(self, now: float) -> list[T]:
        """What was set for now or before, tick by tick; it is forgotten here."""
        found: list[T] = []
        while self._ticks and self._ticks[0] * self._tick <= now:
            found += self._slots.pop(heapq.heappop(self._ticks))
        return found

    @property
    def next_deadline(self) -> float | None:
        return self._ticks[0] * self._tick if self._ticks else None
