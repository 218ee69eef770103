"""Durations, in a histogram of logarithmic buckets.

A run of an hour needs no more memory than one of a second; a percentile is read to within one part
in a hundred, the longest exactly.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

_PER_DECADE: Final = 230  # buckets: 10 ** (1 / 230) is 1.01
_SHORTEST: Final = 1e-6  # s
_SHOWN: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


class Latencies:
    """Durations in seconds, to within a hundredth."""

    __slots__ = ("_buckets", "count", "longest")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        self._buckets[math.floor(math.log10(max(seconds, _SHORTEST)) * _PER_DECADE)] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, part: float) -> float:
        """The duration that this part (0 to 1) of all does not exceed; 0 when there are none."""
        left = math.ceil(part * self.count)
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                upper: float = 10 ** ((bucket + 1) / _PER_DECADE)
                return min(upper, self.longest)
        return 0.0

    def as_json(self) -> dict[str, float]:
        """In milliseconds."""
        found = {name: round(1e3 * self.percentile(part), 3) for name, part in _SHOWN}
        return {**found, "max": round(1e3 * self.longest, 3)}

    def __str__(self) -> str:
        """In milliseconds."""
        shown = [f"{name} {1e3 * self.percentile(part):.2f}" for name, part in _SHOWN]
        return f"{', '.join(shown)}, max {1e3 * self.longest:.2f}"
