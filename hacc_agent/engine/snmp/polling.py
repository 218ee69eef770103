"""Which member is asked next, so that asking harms nobody.

- Each member has one request under way at most, and all together as many as its reader can do.
- Members are spread over the interval by their place in the configuration, not by chance: two runs
  ask in the same order, and the load on the controller is even.
- A member that takes long to answer is asked so seldom that answering takes at most a twentieth of
  its time; one that has been silent for `SILENT` requests half as often each time, down to a floor.

Times are seconds of a clock that never steps.
"""

from __future__ import annotations

import heapq
from typing import Final

SHARE: Final = 0.05
"""Of a member's time that answering us may take."""

SILENT: Final = 3
"""Requests that may be lost before we ask less often: by then the judgement of `health` is made."""

BACK_OFF: Final = (1, 2, 4, 8)
"""Intervals between requests to a silent member. The last one is how long a member that has come
back may wait to be noticed."""


class Polling:
    """A timetable of members, by their place in the configuration."""

    def __init__(self, members: int, interval_s: float, at_once: int, now: float) -> None:
        self._at_once = at_once
        self._interval = interval_s
        self._queue = [(now + interval_s * place / members, place) for place in range(members)]
        self._asked: dict[int, float] = {}  # under way: when it was due
        self._silent = [0] * members  # requests in a row without an answer

    def due(self, now: float) -> list[int]:
        """Whom to ask now. Each has to be reported back by `answered` or `unanswered`."""
        found = []
        while self._queue and self._queue[0][0] <= now and len(self._asked) < self._at_once:
            at, member = heapq.heappop(self._queue)
            self._asked[member] = at
            found.append(member)
        return found

    def answered(self, member: int, took_s: float, now: float) -> None:
        self._silent[member] = 0
        self._again(member, max(self._interval, took_s / SHARE), now)

    def unanswered(self, member: int, now: float) -> int:
        """How many requests in a row it is by now."""
        self._silent[member] += 1
        step = max(0, min(self._silent[member] - SILENT + 1, len(BACK_OFF) - 1))
        self._again(member, self._interval * BACK_OFF[step], now)
        return self._silent[member]

    def next_deadline(self) -> float | None:
        """When `due` has somebody; None while it depends on an answer."""
        if not self._queue or len(self._asked) >= self._at_once:
            return None
        return self._queue[0][0]

    def _again(self, member: int, after_s: float, now: float) -> None:
        due = self._asked.pop(member)
        at = due + after_s  # not from now: members keep their places between one another
        if at <= now:
            at += self._interval * ((now - at) // self._interval + 1)
        heapq.heappush(self._queue, (at, member))
