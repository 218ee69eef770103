"""A table's rows, as `Table` works on them, for callers that are compiled.

Only what is plain is done here: a mobile node with one row, or none, whose identity is the very one
that is asked for. Whatever is not (several rows of one home address or NAI, an identity that agrees
in one half, no room) is answered with NOT_PLAIN, and nothing is changed: then the caller gives the
matter to the classes, which know all the rules.

`Table.arrays` and `Names.arrays` are the memory. A home address is a number, a name is its first
cell (`.names`), a record stands somewhere in an array of RECORD.
"""

from __future__ import annotations

from typing import Final

from ..arrays import FREED, TOUCHED, NameArrays, TableArrays
from ..ledger import KEYS
from ..record import Kind, Records
from .compile import part
from .indexes import add_key, find_key, remove_key
from .names import NOT_PLAIN, hold_name, release_name
from .numbers import i8, u4, u8

_NEVER: Final = 0xFFFFFFFF
_CLOSED: Final = int(Kind.CLOSED)


@part
def hash_address(table: TableArrays, home: int) -> int:
    return u8((u8(home) * table.keys[0] + table.keys[1]) >> u8(32))


@part
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


@part
def find_address(table: TableArrays, home: int) -> int:
    """The first row of a home address, 0 without one."""
    return find_key(table.by_address, hash_address(table, home), u4(home))


@part
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


@part
def remove(table: TableArrays, names: NameArrays, row: int) -> None:
    """`Table.remove` of a row that `look_up` found."""
    home, cell = i8(table.rows[row].home_address), i8(table.cell[row])
    if home:
        remove_key(table.by_address, hash_address(table, home), u4(home), row)
    if cell:
        table.first_by_name[cell] = 0
        table.cell[row] = 0
        release_name(names, cell)
    _note(table, row, -1)
    table.words[row, :] = 0
    table.left[row] = 0
    table.free[table.counters[FREED]] = row
    table.counters[FREED] += 1


@part
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
        add_key(table.by_address, hash_address(table, home), u4(home), row)
    if cell:
        table.cell[row] = cell
        table.first_by_name[cell] = row
        hold_name(names, cell)
    return row


@part
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
