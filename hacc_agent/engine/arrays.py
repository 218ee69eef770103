"""A table's and its names' memory as what compiled code takes: arrays, and nothing but arrays.

The classes beside this module own this memory and say what it means; `kernels` works on it in
place. So all that changes has to be in an array, counters too: they are numbers at the places that
are named here.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

TOUCHED: Final = 0  # rows, or cells, that were ever used
FREED: Final = 1  # of them those that are on the stack of free ones
TABLE_COUNTERS: Final = 2

LIVE: Final = 2  # names
RETIRED: Final = 3  # names that ever went out of use
OLDEST: Final = 4  # the first of them that may be in the ring still
MOST: Final = 5  # names that there may be
NAME_COUNTERS: Final = 6


class IndexArrays(NamedTuple):
    """Of an `Index`."""

    tags: NDArray[Any]  # u4[buckets * LANES]
    numbers: NDArray[Any]  # u4[buckets * LANES]
    passed: NDArray[Any]  # u2[buckets]


class NameArrays(NamedTuple):
    """Of `Names`."""

    words: NDArray[Any]  # u8[cells, 8]: the cells; text and length are the first 6
    halves: NDArray[Any]  # i4[cells, 16]: the same; the next cell is at 14, the state at 15
    free: NDArray[Any]  # u4[cells]: a stack
    by_number: IndexArrays
    recent: NDArray[Any]  # u4: a ring
    counters: NDArray[Any]  # i8
    keys: NDArray[Any]  # u8[2, 65]: of the hash
    text: NDArray[Any]  # u1: where a name of several records is put together


class TableArrays(NamedTuple):
    """Of a `Table`, without its names. Row 0 is none."""

    rows: NDArray[Any]  # RECORD[rows]
    words: NDArray[Any]  # u8[rows, 8]: the same
    left: NDArray[Any]  # u4[rows]
    cell: NDArray[Any]  # u4[rows]: the name of each
    by_address: IndexArrays
    first_by_name: NDArray[Any]  # u4[cells]
    next_by_address: NDArray[Any]  # u4[rows]: rings; 0 for a row that is alone
    next_by_name: NDArray[Any]  # u4[rows]
    free: NDArray[Any]  # u4[rows]: a stack
    counters: NDArray[Any]  # i8
    digest: NDArray[Any]  # u8[1]
    slots: NDArray[Any]  # i8: rows of each slot
    keys: NDArray[Any]  # u8[2]: of the hash of home addresses
