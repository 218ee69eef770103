"""From a key's hash to a number.

Buckets of 16 lanes. A lane has a tag of 32 bits and a number; tag 0 is an empty lane. The tags of a
bucket are one cache line, and are compared at once; what is removed leaves nothing behind, since
nobody's place depends on another's lane. A key whose bucket is full goes to the next bucket, and
each bucket counts the keys that went past it: only there does a search go on (as in F14, Bronson
and Shi 2019).

With half of the lanes in use, one key in 1,500 goes past its bucket; a lane is 8 octets.

Who asks knows what a tag means. If equal tags are not yet equal keys, he confirms each candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .arrays import IndexArrays
from .memory import populate, zeros

LANES: Final = 16
_SHIFT: Final = 4  # LANES = 1 << _SHIFT
_BUCKET: Final = Struct(f"<{LANES}I")

Confirm = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""(positions in the batch, numbers found there) -> which of them are right."""


class Index:
    """At most `capacity` keys. Hashes are numbers of 32 bits, evenly spread; tags are not 0."""

    __slots__ = (
        "_buckets",
        "_number_at",
        "_numbers",
        "_octets",
        "_passed",
        "_passed_at",
        "_tag_at",
        "_tags",
        "arrays",
    )

    def __init__(self, capacity: int) -> None:
        self._buckets: Final = capacity * 2 // LANES + 2
        self._tags: Final = zeros(self._buckets * LANES, "<u4")
        self._numbers: Final = zeros(self._buckets * LANES, "<u4")
        self._passed: Final = zeros(self._buckets, "<u2")
        self.arrays: Final = IndexArrays(self._tags, self._numbers, self._passed)
        # One lane is read and written quicker through its memory.
        self._octets: Final = self._tags.view(np.uint8).data
        self._tag_at: Final = self._tags.data
        self._number_at: Final = self._numbers.data
        self._passed_at: Final = self._passed.data

    @property
    def allocated(self) -> int:
        """Octets of address space; those that were ever touched are memory."""
        return int(self._tags.nbytes + self._numbers.nbytes + self._passed.nbytes)

    def populate(self) -> None:
        """All of it, while it is empty."""
        for column in self.arrays:
            populate(column, len(column))

    # ------------------------------------------------------------------ one key

    def candidates(self, hashed: int, tag: int) -> Iterator[int]:
        """The numbers under this tag."""
        bucket = hashed * self._buckets >> 32
        while True:
            lanes = _BUCKET.unpack_from(self._octets, bucket * LANES * 4)
            if tag in lanes:
                at = bucket * LANES
                yield from (self._number_at[at + n] for n, lane in enumerate(lanes) if lane == tag)
            if not self._passed_at[bucket]:
                return
            bucket = (bucket + 1) % self._buckets

    def find(self, hashed: int, tag: int) -> int:
        """The number under a tag that is the key itself; 0 when there is none."""
        bucket = hashed * self._buckets >> 32
        while True:
            lanes = _BUCKET.unpack_from(self._octets, bucket * LANES * 4)
            if tag in lanes:
                return self._number_at[bucket * LANES + lanes.index(tag)]
            if not self._passed_at[bucket]:
                return 0
            bucket = (bucket + 1) % self._buckets

    def add(self, hashed: int, tag: int, number: int) -> None:
        """A key that is not in it yet."""
        bucket = hashed * self._buckets >> 32
        while True:
            lanes = _BUCKET.unpack_from(self._octets, bucket * LANES * 4)
            if 0 in lanes:
                place = bucket * LANES + lanes.index(0)
                self._tag_at[place] = tag
                self._number_at[place] = number
                return
            self._passed_at[bucket] += 1
            bucket = (bucket + 1) % self._buckets

    def remove(self, hashed: int, tag: int, number: int) -> None:
        """A key that is in it."""
        place = self._place(hashed, tag, number)
        self._tag_at[place] = self._number_at[place] = 0
        self._forget_path(hashed * self._buckets >> 32, place // LANES)

    def change(self, hashed: int, tag: int, number: int, to: int) -> None:
        """Another number for a key that is in it."""
        self._number_at[self._place(hashed, tag, number)] = to

    def _place(self, hashed: int, tag: int, number: int) -> int:
        bucket = hashed * self._buckets >> 32
        while True:
            at = bucket * LANES
            lanes = _BUCKET.unpack_from(self._octets, at * 4)
            if tag in lanes:
                for place, lane in enumerate(lanes, at):
                    if lane == tag and self._number_at[place] == number:
                        return place
            assert self._passed_at[bucket], "the key is not in the index"
            bucket = (bucket + 1) % self._buckets

    def _forget_path(self, home: int, last: int) -> None:
        while home != last:
            self._passed_at[home] -= 1
            home = (home + 1) % self._buckets

    # ------------------------------------------------------------------ many keys

    def find_batch(
        self, hashes: NDArray[Any], tags: NDArray[Any], confirm: Confirm | None = None
    ) -> NDArray[Any]:
        """The number under each tag, 0 where there is none; u4."""
        found = np.zeros(len(tags), np.uint32)
        buckets = self._home(hashes)
        which, places = self._matches(buckets, tags)
        self._take(found, which, places, confirm)
        if len(which) < len(tags) or confirm is not None:
            self._find_further(found, buckets, tags, confirm)
        return found

    def _take(
        self,
        found: NDArray[Any],
        which: NDArray[Any],
        places: NDArray[Any],
        confirm: Confirm | None,
    ) -> None:
        numbers = self._numbers.take(places)
        if confirm is not None:
            right = confirm(which, numbers)
            which, numbers = which[right], numbers[right]
        found[which] = numbers

    def _find_further(
        self,
        found: NDArray[Any],
        buckets: NDArray[Any],
        tags: NDArray[Any],
        confirm: Confirm | None,
    ) -> None:
        missing = (found == 0).nonzero()[0]
        while True:
            missing = missing[self._passed.take(buckets.take(missing)) > 0]
            if not len(missing):
                return
            buckets[missing] = (buckets[missing] + 1) % self._buckets
            which, places = self._matches(buckets[missing], tags[missing])
            self._take(found, missing[which], places, confirm)
            missing = missing[found[missing] == 0]

    def _home(self, hashes: NDArray[Any]) -> NDArray[Any]:
        spread = hashes.astype(np.uint64)
        spread *= np.uint64(self._buckets)
        spread >>= np.uint64(32)
        return spread.view(np.int64)

    def _lanes(self, buckets: NDArray[Any]) -> NDArray[Any]:
        return self._tags.reshape(-1, LANES).take(buckets, axis=0)

    def _matches(
        self, buckets: NDArray[Any], tags: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Each lane with the wanted tag: (position in the batch, place of the lane)."""
        flat = (self._lanes(buckets) == tags[:, None]).ravel().nonzero()[0]
        which = flat >> _SHIFT
        return which, (buckets.take(which) << _SHIFT) + (flat & (LANES - 1))
