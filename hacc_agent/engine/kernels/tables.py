"""A table's rows and names, as `Table` and `Names` work on them, for callers that are compiled.

Only what is plain is done here: a mobile node with one row, or none, whose identity is the very one
that is asked for. Whatever is not (several rows of one home address or NAI, an identity that agrees
in one half, numbers that collide, no room) is answered with NOT_PLAIN, and nothing is changed: then
the caller gives the matter to the classes, which know all the rules.

`Table.arrays` and `Names.arrays` are the memory. A home address is a number, a name is its first
cell, an NAI stands somewhere in an array of octets, a record somewhere in an array of RECORD.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..arrays import (
    FREED,
    LIVE,
    MOST,
    OLDEST,
    RETIRED,
    TOUCHED,
    IndexArrays,
    NameArrays,
    TableArrays,
)
from ..cells import TEXT
from ..index import LANES
from ..ledger import KEYS
from ..names import AT_ONCE
from ..record import NAME_OCTETS, Kind, Records
from .compile import kernel
from .numbers import i8, u4, u8

NOT_PLAIN: Final = -1
"""It is for the classes to do; nothing is changed."""

_NEXT: Final = 14  # places in a row of `NameArrays.halves`
_STATE: Final = 15
_NUMBER: Final = 6  # in a row of `NameArrays.words`; the text and the length stand before it
_NEVER: Final = 0xFFFFFFFF
_CLOSED: Final = int(Kind.CLOSED)
_NAME: Final = int(Kind.NAME)

# ------------------------------------------------------------------ indexes


@kernel
def _bucket(index: IndexArrays, hashed: int) -> int:
    return i8(hashed * u8(len(index.passed)) >> u8(32))


@kernel
def _after(index: IndexArrays, bucket: int) -> int:
    return bucket + 1 if bucket + 1 < len(index.passed) else 0


@kernel
def _find_key(index: IndexArrays, hashed: int, tag: int) -> int:
    """The number under a tag that is the key itself; 0 when there is none."""
    bucket = _bucket(index, hashed)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == tag:
                return i8(index.numbers[place])
        if not index.passed[bucket]:
            return 0
        bucket = _after(index, bucket)


@kernel
def _add_key(index: IndexArrays, hashed: int, tag: int, number: int) -> None:
    """A key that is not in it yet."""
    bucket = _bucket(index, hashed)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == 0:
                index.tags[place] = tag
                index.numbers[place] = number
                return
        index.passed[bucket] += 1
        bucket = _after(index, bucket)


@kernel
def _remove_key(index: IndexArrays, hashed: int, tag: int, number: int) -> None:
    """A key that is in it."""
    bucket = _bucket(index, hashed)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == tag and index.numbers[place] == number:
                index.tags[place] = index.numbers[place] = 0
                return
        index.passed[bucket] -= 1  # the key went past it
        bucket = _after(index, bucket)


# ------------------------------------------------------------------ names


@kernel
def _octets_at(octets: NDArray[Any], at: int, end: int) -> int:
    """8 octets as they stand in memory, zeros from `end` on; u8."""
    word = u8(0)
    if at + 8 <= end:
        for n in range(8):
            word |= u8(octets[at + n]) << u8(8 * n)
    else:
        for n in range(end - at):
            word |= u8(octets[at + n]) << u8(8 * n)
    return word


@kernel
def hash_nai(names: NameArrays, octets: NDArray[Any], at: int, length: int) -> int:
    """`Names.hash_nai` of octets[at : at + length]; u8."""
    keys = names.keys
    high, low = u8(length) * keys[0, 64], u8(length) * keys[1, 64]
    for n in range((length + 7) // 8):
        word = _octets_at(octets, at + 8 * n, at + length)
        first, second = word & u8(0xFFFFFFFF), word >> u8(32)
        high += first * keys[0, 2 * n] + second * keys[0, 2 * n + 1]
        low += first * keys[1, 2 * n] + second * keys[1, 2 * n + 1]
    return u8(max(high >> u8(32), u8(1)) << u8(32) | low >> u8(32))


@kernel
def find_name(names: NameArrays, hashed: int, octets: NDArray[Any], at: int, length: int) -> int:
    """The cell of an NAI that has this hash, 0 without one."""
    index, tag = names.by_number, hashed >> u8(32)
    bucket = _bucket(index, tag)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == tag:
                cell = i8(index.numbers[place])
                if _is_name(names, cell, octets, at, length):
                    return cell
        if not index.passed[bucket]:
            return 0
        bucket = _after(index, bucket)


@kernel
def find_number(names: NameArrays, number: int) -> int:
    """The cell of the name with this number, 0 without one."""
    index, tag = names.by_number, number >> u8(32)
    bucket = _bucket(index, tag)
    while True:
        for place in range(bucket * LANES, bucket * LANES + LANES):
            if index.tags[place] == tag:
                cell = i8(index.numbers[place])
                if names.words[cell, _NUMBER] == number:
                    return cell
        if not index.passed[bucket]:
            return 0
        bucket = _after(index, bucket)


@kernel
def intern_name(names: NameArrays, hashed: int, octets: NDArray[Any], at: int, length: int) -> int:
    """The cell of an NAI, a new one if need be. Not plain: no room, or its number is another's."""
    cell = find_name(names, hashed, octets, at, length)
    if cell:
        return cell
    if find_number(names, hashed) or not _make_room(names, length):
        return NOT_PLAIN
    return _add_name(names, hashed, octets, at, length)


@kernel
def number_of(names: NameArrays, cell: int) -> int:
    """What stands for a name in records; u8."""
    return u8(names.words[cell, _NUMBER])


@kernel
def is_introduced(names: NameArrays, cell: int) -> bool:
    """Whether the log has the NAME records of a name: a row refers to it."""
    return bool(names.halves[cell, _STATE] > 0)


@kernel
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
        part = octet // NAME_OCTETS
        words[at, 0] = u8(_NAME) | u8(part) << u8(8) | u8(length) << u8(16)
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


@kernel
def hold_name(names: NameArrays, cell: int) -> None:
    """`Names.hold`."""
    names.halves[cell, _STATE] = max(names.halves[cell, _STATE], 0) + 1


@kernel
def release_name(names: NameArrays, cell: int) -> None:
    """`Names.release`."""
    names.halves[cell, _STATE] -= 1
    if names.halves[cell, _STATE] == 0:
        _retire(names, cell)


@kernel
def _is_name(names: NameArrays, cell: int, octets: NDArray[Any], at: int, length: int) -> bool:
    """Whether the octets are the name in this cell and in those behind it."""
    end, size = at + length, u8(length) << u8(56)
    while True:
        part = min(at + TEXT, end)
        for n in range(_NUMBER - 1):
            if names.words[cell, n] != _octets_at(octets, at + 8 * n, part):
                return False
        last = _octets_at(octets, at + 8 * (_NUMBER - 1), part) | size
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
        _drop_oldest(names, 1)
    return True


@kernel
def _add_name(names: NameArrays, number: int, octets: NDArray[Any], at: int, length: int) -> int:
    """A new name, for which there is room; its first cell."""
    end, size = at + length, u8(length) << u8(56)
    first = cell = _take_cell(names)
    while True:
        part = min(at + TEXT, end)
        for n in range(_NUMBER):
            names.words[cell, n] = _octets_at(octets, at + 8 * n, part)
        names.words[cell, _NUMBER - 1] |= size
        at += TEXT
        if at >= end:
            break
        following = _take_cell(names)
        names.halves[cell, _NEXT] = following
        cell = following
    names.words[first, _NUMBER] = number
    names.counters[LIVE] += 1
    _add_key(names.by_number, number >> u8(32), number >> u8(32), first)
    _retire(names, first)
    return first


@kernel
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
        _drop_oldest(names, max(1, min(size // 16, AT_ONCE)))
    place = counters[RETIRED] % size
    names.recent[place] = cell
    names.halves[cell, _STATE] = -1 - place
    counters[RETIRED] += 1


@kernel
def _drop_oldest(names: NameArrays, count: int) -> None:
    """The names in the oldest places of the ring go, unless they are in use again."""
    size = len(names.recent)
    for _ in range(count):
        place = names.counters[OLDEST] % size
        names.counters[OLDEST] += 1
        cell = i8(names.recent[place])
        if names.halves[cell, _STATE] == -1 - place:
            _remove_name(names, cell)


@kernel
def _remove_name(names: NameArrays, cell: int) -> None:
    tag = number_of(names, cell) >> u8(32)
    _remove_key(names.by_number, tag, tag, cell)
    names.counters[LIVE] -= 1
    while cell:
        following = i8(names.halves[cell, _NEXT])
        names.words[cell, :] = 0
        names.free[names.counters[FREED]] = cell
        names.counters[FREED] += 1
        cell = following


# ------------------------------------------------------------------ rows


@kernel
def _hash_address(table: TableArrays, home: int) -> int:
    return u8((u8(home) * table.keys[0] + table.keys[1]) >> u8(32))


@kernel
def look_up(table: TableArrays, home: int, cell: int) -> int:
    """The row of a mobile node that is known by just this; 0 of one without a row.

    A home address of 0 is none, and so is a name of 0. An NAI that has no cell is nobody's; with a
    home address beside it, it is not the name 0: ask for `find_address` then.
    """
    by_address = find_address(table, home) if home else 0
    by_name = i8(table.first_by_name[cell]) if cell else 0
    row = max(by_address, by_name)
    if (home and by_address != row) or (cell and by_name != row):
        return NOT_PLAIN
    if row and (
        i8(table.rows[row].home_address) != home
        or i8(table.cell[row]) != cell
        or table.next_by_address[row]
        or table.next_by_name[row]
    ):
        return NOT_PLAIN
    return row


@kernel
def find_address(table: TableArrays, home: int) -> int:
    """The first row of a home address, 0 without one."""
    return _find_key(table.by_address, _hash_address(table, home), u4(home))


@kernel
def put(
    table: TableArrays, names: NameArrays, row: int, cell: int, records: Records, at: int
) -> int:
    """`Table.put` of records[at], of the mobile node that `look_up` found `row` for; its row.

    Not plain: its row is of another care-of address, there is no room, or the name has no cell.
    """
    record = records[at]
    if row == 0:
        if (record.nai != 0) != (cell != 0) or (record.home_address == 0 and cell == 0):
            return NOT_PLAIN
        row = _insert(table, names, i8(record.home_address), cell)
        if row == NOT_PLAIN:
            return NOT_PLAIN
    elif table.rows[row].care_of_address != record.care_of_address:
        return NOT_PLAIN
    else:
        _note(table, row, -1)
    table.rows[row] = record
    table.left[row] = u4(_NEVER) - record.expires
    _note(table, row, 1)
    return row


@kernel
def remove(table: TableArrays, names: NameArrays, row: int) -> None:
    """`Table.remove` of a row that `look_up` found."""
    home, cell = i8(table.rows[row].home_address), i8(table.cell[row])
    if home:
        _remove_key(table.by_address, _hash_address(table, home), u4(home), row)
    if cell:
        table.first_by_name[cell] = 0
        table.cell[row] = 0
        release_name(names, cell)
    _note(table, row, -1)
    table.words[row, :] = 0
    table.left[row] = 0
    table.free[table.counters[FREED]] = row
    table.counters[FREED] += 1


@kernel
def _insert(table: TableArrays, names: NameArrays, home: int, cell: int) -> int:
    """A row for an identity that has none; it is to be written."""
    counters = table.counters
    if counters[FREED]:
        counters[FREED] -= 1
        row = i8(table.free[counters[FREED]])
    elif counters[TOUCHED] < len(table.free):
        counters[TOUCHED] += 1
        row = i8(counters[TOUCHED])
    else:
        return NOT_PLAIN
    if home:
        _add_key(table.by_address, _hash_address(table, home), u4(home), row)
    if cell:
        table.cell[row] = cell
        table.first_by_name[cell] = row
        hold_name(names, cell)
    return row


@kernel
def _note(table: TableArrays, row: int, sign: int) -> None:
    """Digest and counts: the row comes (1) or goes (-1). `ledger.mix` of its words."""
    mixed = u8(0)
    for n in range(8):
        word = table.words[row, n]
        mixed += (word ^ word >> u8(32)) * KEYS[n]
    mixed ^= mixed >> u8(29)
    mixed *= KEYS[0]
    mixed ^= mixed >> u8(32)
    table.digest[0] += mixed if sign > 0 else u8(0) - mixed
    if table.rows[row].kind != _CLOSED:
        table.slots[table.rows[row].slot] += sign
