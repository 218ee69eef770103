"""The time that a Home Agent tells: what Identifications are compared with (RFC 5944, 5.7.1).

Under timestamps the Home Agent's clock is the one that counts, right or wrong: code 133 tells it to
the mobile node, which follows. So a wrong clock harms nobody, and a clock that is set right does:
set back by an hour it refuses for an hour whoever registered just now, since a timestamp must be
later than the last one and near the clock, and no timestamp is both. To forget the last one
instead would let everything be replayed that was accepted in that hour, when it comes again.

Therefore the time that is told is never set back:

    what happens                            the time that is told
    the clock is set forward                follows at once; mobile nodes are told by code 133
    the clock is set back                   goes on from where it was, a hundredth slower than the
                                            clock, until that has caught up
    a binding comes from another Home       if its timestamp is far ahead: goes on from there
    Agent, or from the journal

A hundredth is little enough for a mobile node to stay within the tolerance from one registration
to the next, and makes up for an hour in four days.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ..effects import Moment
from ..record import Kind, Records, Trait
from .replay import timestamp

SLOWER: Final = 0.01
"""Part of the clock's speed by which the time that is told goes slower until it is right."""

FAR: Final = 2
"""Tolerances that a timestamp is ahead of our clock when it was accepted by another one: one is for
the mobile node's clock, one for the difference that well-kept Home Agents may have."""

BEHIND_S: Final = 2.0
"""s after the timestamp that was far ahead: a mobile node learns our time in whole seconds, and its
next one has to be later than that."""

_COUNTS: Final = (int(Kind.BINDING), int(Kind.CLOSED))
_SECOND: Final = 1 << 32


class Timekeeping:
    """Of one Home Agent."""

    __slots__ = ("_steady", "_told", "_tolerance")

    def __init__(self, tolerance: int) -> None:
        """`tolerance`: s that a mobile node's clock may differ by."""
        self._tolerance = tolerance
        self._steady: float | None = None  # s of the steady clock: when it was told last
        self._told = 0.0  # s of Unix time: what was told then

    def told(self, now: Moment) -> Moment:
        """The same moment with our time as its wall clock. Told again, it stays what it is."""
        wall = now.wall
        if self._steady is not None:
            elapsed = max(0.0, now.steady - self._steady)
            wall = max(wall, self._told + elapsed * (1 - SLOWER))
        self._steady, self._told = now.steady, wall
        return now if wall == now.wall else Moment(now.steady, wall)

    @property
    def begun(self) -> bool:
        """Whether any time was told."""
        return self._steady is not None

    def witness(self, rows: Records, now: Moment) -> None:
        """Records that were not accepted here just now."""
        counted = np.isin(rows["kind"], _COUNTS) & (rows["traits"] & int(Trait.NONCE) == 0)
        if not counted.any():
            return
        told = self.told(now).wall
        # Serial numbers: as signed numbers their differences are right across the turn of an era.
        ahead = (rows["identification"][counted] - np.uint64(timestamp(told))).view(np.int64)
        furthest = int(ahead.max()) / _SECOND
        if furthest > FAR * self._tolerance:
            self._told = told + furthest + BEHIND_S
