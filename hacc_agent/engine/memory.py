"""Columns allocated once; the kernel provides their pages when they are first touched.

`column[rows]` reads rows of any column. `column.take(rows)` is quicker where every octet of the
column is its own; of a column of records (`rows["slot"]`) it would copy the whole column first.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

CACHE_LINE: Final = 64  # octets
PAGE: Final = 4096  # octets: the smallest one


def zeros(count: int, kind: DTypeLike) -> NDArray[Any]:
    """`count` zeros that begin at a cache line, so that a row of 64 octets never lies in two."""
    size = count * np.dtype(kind).itemsize
    octets = np.zeros(size + CACHE_LINE, np.uint8)
    start = -octets.ctypes.data % CACHE_LINE
    return octets[start : start + size].view(kind)


def populate(column: NDArray[Any], count: int) -> None:
    """Has the kernel provide the pages of the first `count` rows now; nothing has used them yet.

    Whoever else has something to do runs meanwhile: no lock of the interpreter is held.
    """
    octets = column[:count].reshape(-1).view(np.uint8)
    octets[::PAGE] = 0


@functools.cache  # of one seed: a cluster's
def key_stream(seed: int, count: int) -> tuple[int, ...]:
    """Numbers of 64 bits from one: splitmix64 (Steele, Lea, Flood: "Fast splittable PRNGs")."""
    keys = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) % 2**64
        mixed = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
        keys.append(mixed ^ mixed >> 31)
    return tuple(keys)
