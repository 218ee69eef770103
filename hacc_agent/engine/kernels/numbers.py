"""Whole numbers of a width, as compiled code knows them.

A signed number beside an unsigned one of 64 bits makes a float, so what is to be 64 bits without a
sign has to be said at each place where it could be anything else. numba knows numpy's scalar types
as conversions; to a type checker what they give is a whole number, as everything in a kernel is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from .compile import part

Number = Callable[[Any], int]

i8: Final = cast(Number, np.int64)
u8: Final = cast(Number, np.uint64)
u4: Final = cast(Number, np.uint32)

_ALL: Final = 2**64 - 1
_HALF: Final = 1 << 63


@part
def is_later(one: int, other: int) -> bool:
    """Of two u8, as serial numbers: `home_agent.replay.later`."""
    after = u8(one - other)
    return u8(0) < after < u8(_HALF)


@part
def octets_at(octets: NDArray[Any], at: int, end: int) -> int:
    """8 octets as they stand in memory, zeros from `end` on; u8."""
    if at >= end:
        return u8(0)
    word = u8(0)
    if at + 8 <= len(octets):
        for n in range(8):  # which becomes one load
            word |= u8(octets[at + n]) << u8(8 * n)
        return word & u8(_ALL) >> u8(8 * max(at + 8 - end, 0))
    for n in range(end - at):
        word |= u8(octets[at + n]) << u8(8 * n)
    return word
