"""The NAIs of mobile nodes, as `Names` keeps them, for callers that are compiled.

An NAI stands somewhere in an array of octets; a name is known by its first cell. Nothing is done
here that could take another name's number: then the answer is NOT_PLAIN, and nothing is changed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..arrays import FREED, LIVE, MOST, OLDEST, RETIRED, TOUCHED, NameArrays
from ..cells import TEXT
from ..index import LANES
from ..record import NAME_OCTETS, Kind, Records
from .compile import kernel, part
from .indexes import add_key, home_of, next_to, remove_key
from .numbers import i8, octets_at, u8

NOT_PLAIN: Final = -1
"""It is for the classes to do; nothing is changed."""

_NEXT: Final = 14  # places in a row of `NameArrays.halves`
_STATE: Final = 15
_NUMBER: Final = 6  # in a row of `NameArrays.words`; the text and the length stand before it
_NAME: Final = int(Kind.NAME)


@part
def hash_nai(names: NameArrays, octets: NDArray[Any], at: int, length: int) -> int:
    """`Names.hash_nai` of octets[at : at + length]; u8."""
    keys = names.keys
    high, low = u8(length) * keys[0, 64], u8(length) * keys[1, 64]
    for n in range((length + 7) // 8):
        word = octets_at(octets, at + 8 * n, at + length)
        first, second = word & u8(0xFFFFFFFF), word >> u8(32)
        high += first * keys[0, 2 * n] + second * keys[0, 2 * n + 1]
        low += first * keys[1, 2 * n] + second * keys[1, 2 * n + 1]
    return u8(max(high >> u8(32), u8(1)) << u8(32) | low >> u8(32))


@part
def find_name(names: NameArrays, hashed: int, octets: NDArray[Any], at: int, length: int) -> int:
    """The cell of an NAI that has this hash, 0 without one."""
    index, tag = names.by_number, hashed >> u8(32)
    bucket = home_of(index, tag)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == tag:
                cell = i8(index.numbers[place])
                if _is_name(names, cell, octets, at, length):
                    return cell
        if not index.passed[bucket]:
            return 0
        bucket = next_to(index, bucket)


@part
def find_number(names: NameArrays, number: int) -> int:
    """The cell of the name with this number, 0 without one."""
    index, tag = names.by_number, number >> u8(32)
    bucket = home_of(index, tag)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == tag:
                cell = i8(index.numbers[place])
                if names.words[cell, _NUMBER] == number:
                    return cell
        if not index.passed[bucket]:
            return 0
        bucket = next_to(index, bucket)


@kernel
def intern_name(names: NameArrays, hashed: int, octets: NDArray[Any], at: int, length: int) -> int:
    """The cell of an NAI, a new one if need be. Not plain: no room, or its number is another's."""
    cell = find_name(names, hashed, octets, at, length)
    if cell:
        return cell
    if find_number(names, hashed) or not _make_room(names, length):
        return NOT_PLAIN
    return _add_name(names, hashed, octets, at, length)


@part
def learn_name(names: NameArrays, number: int, octets: NDArray[Any], at: int, length: int) -> bool:
    """`Names.learn` of a whole name. False: it is not plain, for `Names` to take or to refuse."""
    hashed = hash_nai(names, octets, at, length)
    if hashed >> u8(32) != number >> u8(32):
        return False
    cell = find_name(names, hashed, octets, at, length)
    if cell:
        return number_of(names, cell) == number
    if find_number(names, number) or not _make_room(names, length):
        return False
    _add_name(names, number, octets, at, length)
    return True


@part
def number_of(names: NameArrays, cell: int) -> int:
    """What stands for a name in records; u8."""
    return u8(names.words[cell, _NUMBER])


@part
def is_introduced(names: NameArrays, cell: int) -> bool:
    """Whether the log has the NAME records of a name: a row refers to it."""
    return bool(names.halves[cell, _STATE] > 0)


@part
def length_of(names: NameArrays, cell: int) -> int:
    """Octets of a name."""
    return i8(names.words[cell, _NUMBER - 1] >> u8(56))


@kernel
def write_name_records(names: NameArrays, cell: int, out: Records, at: int) -> int:
    """The NAME records of a name, from out[at] on: 6 at most. The place behind them."""
    words = out.view(np.uint64).reshape(-1, 8)
    length, number = length_of(names, cell), number_of(names, cell)
    octet = 0
    while True:
        which = octet // NAME_OCTETS
        words[at, 0] = u8(_NAME) | u8(which) << u8(8) | u8(length) << u8(16)
        words[at, 1] = number
        words[at, 2:] = 0
        for n in range(min(length - octet, NAME_OCTETS)):
            place = octet % TEXT
            shift = u8(8 * (place % 8))
            letter = names.words[cell, place // 8] >> shift & u8(0xFF)
            words[at, 2 + n // 8] |= letter << u8(8 * (n % 8))
            octet += 1
            if octet % TEXT == 0:
                cell = i8(names.halves[cell, _NEXT])
        at += 1
        if octet >= length:
            return at


@part
def hold_name(names: NameArrays, cell: int) -> None:
    """`Names.hold`."""
    names.halves[cell, _STATE] = max(names.halves[cell, _STATE], 0) + 1


@part
def release_name(names: NameArrays, cell: int) -> None:
    """`Names.release`."""
    names.halves[cell, _STATE] -= 1
    if names.halves[cell, _STATE] == 0:
        _retire(names, cell)


@part
def _is_name(names: NameArrays, cell: int, octets: NDArray[Any], at: int, length: int) -> bool:
    """Whether the octets are the name in this cell and in those behind it."""
    end, size = at + length, u8(length) << u8(56)
    while True:
        stop = min(at + TEXT, end)
        for n in range(_NUMBER - 1):
            if names.words[cell, n] != octets_at(octets, at + 8 * n, stop):
                return False
        last = octets_at(octets, at + 8 * (_NUMBER - 1), stop) | size
        if names.words[cell, _NUMBER - 1] != last:
            return False
        at += TEXT
        if at >= end:
            return True
        cell = i8(names.halves[cell, _NEXT])


@kernel
def _make_room(names: NameArrays, length: int) -> bool:
    """Room for a name of so many octets, if old ones have to go for it; False without."""
    needed = max((length + TEXT - 1) // TEXT, 1)
    counters = names.counters
    capacity = len(names.free)
    while (
        counters[LIVE] + 1 > counters[MOST]
        or capacity - counters[TOUCHED] + counters[FREED] < needed
    ):
        if counters[OLDEST] == counters[RETIRED]:
            return False
        _drop_oldest(names)
    return True


@kernel
def _add_name(names: NameArrays, number: int, octets: NDArray[Any], at: int, length: int) -> int:
    """A new name, for which there is room; its first cell."""
    end, size = at + length, u8(length) << u8(56)
    first = cell = _take_cell(names)
    while True:
        stop = min(at + TEXT, end)
        for n in range(_NUMBER):
            names.words[cell, n] = octets_at(octets, at + 8 * n, stop)
        names.words[cell, _NUMBER - 1] |= size
        at += TEXT
        if at >= end:
            break
        following = _take_cell(names)
        names.halves[cell, _NEXT] = following
        cell = following
    names.words[first, _NUMBER] = number
    names.counters[LIVE] += 1
    add_key(names.by_number, number >> u8(32), number >> u8(32), first)
    _retire(names, first)
    return first


@part
def _take_cell(names: NameArrays) -> int:
    counters = names.counters
    if counters[FREED]:
        counters[FREED] -= 1
        return i8(names.free[counters[FREED]])
    counters[TOUCHED] += 1
    return i8(counters[TOUCHED])


@kernel
def _retire(names: NameArrays, cell: int) -> None:
    """Nobody refers to it: it stays until about as many follow as the ring has places."""
    counters, size = names.counters, len(names.recent)
    if counters[RETIRED] - counters[OLDEST] >= size:
        _drop_oldest(names)
    place = counters[RETIRED] % size
    names.recent[place] = cell
    names.halves[cell, _STATE] = -1 - place
    counters[RETIRED] += 1


@kernel
def _drop_oldest(names: NameArrays) -> None:
    """The name in the oldest place of the ring goes, unless it is in use again."""
    place = names.counters[OLDEST] % len(names.recent)
    names.counters[OLDEST] += 1
    cell = i8(names.recent[place])
    if names.halves[cell, _STATE] == -1 - place:
        _remove_name(names, cell)


@kernel
def _remove_name(names: NameArrays, cell: int) -> None:
    tag = number_of(names, cell) >> u8(32)
    remove_key(names.by_number, tag, tag, cell)
    names.counters[LIVE] -= 1
    while cell:
        following = i8(names.halves[cell, _NEXT])
        names.words[cell, :] = 0
        names.free[names.counters[FREED]] = cell
        names.counters[FREED] += 1
        cell = following
