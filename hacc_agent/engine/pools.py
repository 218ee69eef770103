"""Home addresses that this member assigns, each to one mobile node at a time.

An address is taken as long as a row of the table holds it, and free when the last one is gone: the
pools keep no truth of their own, they are told by the same records as the table. One octet an
address says whether it is taken, so that the next free one is found at the speed of `memchr`: 50 us
in the worst case, with the last free address of a million.

Addresses are handed out in turn. One that was freed a moment ago is the last to come back, since
correspondents may still be sending to who had it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import AddressRange

_FREE, _TAKEN = 0, 1


class Pool:
    """The ranges of one realm, in the order of the configuration."""

    __slots__ = ("_at", "_bounds", "_firsts", "_taken", "size")

    def __init__(self, ranges: Iterable[AddressRange]) -> None:
        bounds = [(int(each.first), int(each.last)) for each in ranges]
        self._firsts = [first for first, _ in bounds]
        self._taken = [bytearray(last - first + 1) for first, last in bounds]
        self._bounds = [(first, last + 1) for first, last in bounds]
        self._at = (0, 0)  # range, and place in it, from which the next free one is looked for
        self.size = sum(map(len, self._taken))

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """First and last address of each."""
        return [(first, end - 1) for first, end in self._bounds]

    def choose(self) -> int:
        """A free address, 0 if there is none. It is taken by the record that tells of it."""
        start, place = self._at
        count = len(self._taken)
        for step in range(count + 1 if count else 0):
            index = (start + step) % count
            found = self._taken[index].find(_FREE, place)
            if found >= 0:
                return self._firsts[index] + found
            place = 0
        return 0

    def take(self, address: int) -> bool:
        """Whether the address is one of these; it is somebody's now."""
        for index, (first, end) in enumerate(self._bounds):
            if first <= address < end:
                taken = self._taken[index]
                if not taken[address - first]:
                    taken[address - first] = _TAKEN
                    self._at = (index, address - first + 1)
                return True
        return False

    def free(self, address: int) -> bool:
        """Whether the address is one of these; it is nobody's now."""
        for index, (first, end) in enumerate(self._bounds):
            if first <= address < end:
                self._taken[index][address - first] = _FREE
                return True
        return False

    def mark(self, addresses: NDArray[Any], *, taken: bool) -> None:
        """The same for many at once, in whatever order: u4[n]."""
        for first, octets in zip(self._firsts, self._taken, strict=True):
            inside = (addresses >= first) & (addresses < first + len(octets))
            np.frombuffer(octets, np.uint8)[addresses[inside] - np.uint32(first)] = taken

    def __contains__(self, address: int) -> bool:
        for first, end in self._bounds:  # noqa: SIM110  # a generator costs four times as much
            if first <= address < end:
                return True
        return False

    @property
    def taken(self) -> int:
        """How many are somebody's."""
        return sum(octets.count(_TAKEN) for octets in self._taken)
