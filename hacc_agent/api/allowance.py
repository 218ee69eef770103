"""How often somebody may do something: a bucket of tokens for each, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KNOWN: Final = 4096
"""Buckets that are kept; whoever was not seen for longest is forgotten first, with a full one."""


class Allowance:
    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # left, at

    def take(self, who: str, now: float) -> bool:
        """Whether it may be done once more; `now` is in s of a steady clock."""
        left = self.left(who, now)
        allowed = left >= 1
        self._buckets[who] = (left - 1 if allowed else left, now)
        self._buckets.move_to_end(who)
        if len(self._buckets) > KNOWN:
            self._buckets.popitem(last=False)
        return allowed

    def left(self, who: str, now: float) -> float:
        left, at = self._buckets.get(who, (float(self._burst), now))
        return min(float(self._burst), left + max(0.0, now - at) * self._per_s)
