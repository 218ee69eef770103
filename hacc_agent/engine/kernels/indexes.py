"""From a key's hash to a number, as `Index` does it for one key, for callers that are compiled."""

from __future__ import annotations

from ..arrays import IndexArrays
from ..index import LANES
from .compile import part, prefetch
from .numbers import i8, u8


@part
def home_of(index: IndexArrays, hashed: int) -> int:
    """The bucket where a search begins."""
    return i8(hashed * u8(len(index.passed)) >> u8(32))


@part
def call_up(index: IndexArrays, hashed: int) -> None:
    """A search, or a new key, will be there soon."""
    bucket = home_of(index, hashed)
    prefetch(index.tags, bucket * LANES)
    prefetch(index.numbers, bucket * LANES)
    prefetch(index.passed, bucket)


@part
def next_to(index: IndexArrays, bucket: int) -> int:
    return bucket + 1 if bucket + 1 < len(index.passed) else 0


@part
def find_key(index: IndexArrays, hashed: int, tag: int) -> int:
    """The number under a tag that is the key itself; 0 when there is none."""
    bucket = home_of(index, hashed)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == tag:
                return i8(index.numbers[place])
        if not index.passed[bucket]:
            return 0
        bucket = next_to(index, bucket)


@part
def add_key(index: IndexArrays, hashed: int, tag: int, number: int) -> None:
    """A key that is not in it yet."""
    bucket = home_of(index, hashed)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == 0:
                index.tags[place] = tag
                index.numbers[place] = number
                return
        index.passed[bucket] += 1
        bucket = next_to(index, bucket)


@part
def remove_key(index: IndexArrays, hashed: int, tag: int, number: int) -> None:
    """A key that is in it."""
    bucket = home_of(index, hashed)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == tag and index.numbers[place] == number:
                index.tags[place] = index.numbers[place] = 0
                return
        index.passed[bucket] -= 1  # the key went past it
        bucket = next_to(index, bucket)
