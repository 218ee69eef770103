"""A log into tables, record by record, as `..replay` and `cluster.ledger` do it, compiled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...wire import LOW_32
from ..arrays import NameArrays, TableArrays
from ..cluster.ledger import Ledger, WaitingArrays
from ..record import NAME_OCTETS, OCTETS, RECORD, Kind, Records
from ..replay import Compiled, quicken
from ..slots import Slots
from ..table import Table
from .compile import CACHE, kernel, part
from .indexes import call_up
from .names import NOT_PLAIN, find_number, learn_name
from .numbers import i8, u8
from .tables import find_address, hash_address, look_up, put, remove

__all__ = ["CACHE", "follow", "is_on_disk", "replay", "warm"]

_NAME: Final = int(Kind.NAME)
_PUTS: Final = (int(Kind.BINDING), int(Kind.PENDING), int(Kind.CLOSED))
_ENDS: Final = (int(Kind.UNBOUND), int(Kind.SETTLED))
_BINDING, _PENDING, _SETTLED = int(Kind.BINDING), int(Kind.PENDING), int(Kind.SETTLED)
_FOLLOWED: Final = (_BINDING, int(Kind.UNBOUND), _PENDING, _SETTLED)
_DECISIONS: Final = (int(Kind.SLOT), int(Kind.ORDER), int(Kind.NETWORK))
_TEXT_AT: Final = 16  # in a NAME record
_LONGEST: Final = 255  # octets of an NAI
_AHEAD: Final = 16  # records: what they look for in the indexes is called up before their turn


@kernel
def replay(table: TableArrays, names: NameArrays, log: Records, first: int) -> int:
    """`Table.apply` of log[first:], up to the first record that is not plain: its place."""
    octets = log.view(np.uint8)
    at = called = first
    while at < len(log):
        if at >= called:
            _call_up(table, names, log, at)
            called = at + _AHEAD
        kind = log[at].kind
        if kind == _NAME:
            parts = _learn(names, log, octets, at)
            if not parts:
                return at
            at += parts
            continue
        if kind in _PUTS or kind in _ENDS:
            cell = find_number(names, log[at].nai) if log[at].nai else 0
            if not _apply(table, names, log, at, cell, kind in _PUTS):
                return at
        at += 1
    return at


@kernel
def follow(
    table: TableArrays,
    pending: TableArrays,
    names: NameArrays,
    waiting: WaitingArrays,
    log: Records,
    first: int,
) -> int:
    """`Ledger.apply` of the same."""
    octets = log.view(np.uint8)
    at = called = first
    while at < len(log):
        if at >= called:
            _call_up(table, names, log, at)
            called = at + _AHEAD
        kind = log[at].kind
        if kind == _NAME:
            parts = _learn(names, log, octets, at)
            if not parts:
                return at
            at += parts
            continue
        if kind in _DECISIONS:
            return at
        if kind in _FOLLOWED:
            cell = find_number(names, log[at].nai) if log[at].nai else 0
            settled = _settled(pending, waiting, log, at, cell)
            if settled == NOT_PLAIN or (log[at].nai and not cell):
                return at
            if kind == _PENDING:
                if not _pend(pending, names, waiting, log, at, cell):
                    return at
            else:
                if kind != _SETTLED and not _apply(table, names, log, at, cell, kind == _BINDING):
                    return at
                if settled and pending.rows[settled].identification == log[at].identification:
                    waiting.links[settled] = waiting.lengths[settled] = 0
                    waiting.attempts[settled] = 0
                    remove(pending, names, settled)
        at += 1
    return at


@kernel
def _apply(
    table: TableArrays, names: NameArrays, log: Records, at: int, cell: int, puts: bool
) -> bool:
    """A record about a row of one table; False: not plain, and nothing is done."""
    record = log[at]
    if record.nai and not cell:
        return False
    row = look_up(table, i8(record.home_address), cell)
    if row == NOT_PLAIN:
        return False
    if puts:
        return put(table, names, row, cell, log, at) != NOT_PLAIN
    if row and _ends(record.care_of_address, table.rows[row].care_of_address):
        remove(table, names, row)
    return True


@part
def _settled(pending: TableArrays, waiting: WaitingArrays, log: Records, at: int, cell: int) -> int:
    """The one request of the mobile node that a record is about; 0 without one.

    Its home address may be told by the record alone, since the reply assigned it.
    """
    home = i8(log[at].home_address)
    by_address = find_address(pending, home) if home else 0
    by_name = i8(pending.first_by_name[cell])
    row = max(by_address, by_name)
    if not row:
        return 0
    address = i8(pending.rows[row].home_address)
    if (
        (by_address and by_address != row)
        or (by_name and by_name != row)
        or i8(pending.cell[row]) != cell
        or (address and address != home)
        or pending.next_by_address[row]
        or pending.next_by_name[row]
        or waiting.crowded[row]
    ):
        return NOT_PLAIN
    return row


@kernel
def _pend(
    pending: TableArrays,
    names: NameArrays,
    waiting: WaitingArrays,
    log: Records,
    at: int,
    cell: int,
) -> bool:
    """A request of a mobile node without another one, or the very one that is there."""
    row = look_up(pending, i8(log[at].home_address), cell)
    if row == NOT_PLAIN:
        return False
    if row and pending.rows[row].identification != log[at].identification:
        return False
    new = row == 0
    row = put(pending, names, row, cell, log, at)
    if row == NOT_PLAIN:
        return False
    if new:
        waiting.links[row] = waiting.lengths[row] = 0
        waiting.attempts[row] = 1
        waiting.crowded[row] = False
    number = i8(log[at].nonce)
    if 0 < (number - waiting.arrivals[0]) & LOW_32 < 1 << 31:
        waiting.arrivals[0] = number
    return True


@part
def _call_up(table: TableArrays, names: NameArrays, log: Records, first: int) -> None:
    """What the next records will look for."""
    for at in range(first, min(first + _AHEAD, len(log))):
        number = log.view(np.uint64)[at * 8 + 1] if log[at].kind == _NAME else log[at].nai
        if number:
            call_up(names.by_number, number >> u8(32))
        if log[at].kind != _NAME:
            call_up(table.by_address, hash_address(table, i8(log[at].home_address)))


@part
def _ends(said: int, care_of: int) -> bool:
    """0.0.0.0 ends every binding."""
    return said == 0 or said == care_of


@part
def _learn(names: NameArrays, log: Records, octets: NDArray[Any], at: int) -> int:
    """The name whose first part is log[at]; how many parts it has, 0 if it is not plain."""
    begin = at * OCTETS
    length = i8(octets[begin + 2]) | i8(octets[begin + 3]) << 8
    number = log.view(np.uint64)[at * 8 + 1]
    if octets[begin + 1] or length > _LONGEST:
        return 0
    if length <= NAME_OCTETS:
        return i8(learn_name(names, number, octets, begin + _TEXT_AT, length))
    parts = (length + NAME_OCTETS - 1) // NAME_OCTETS
    if at + parts > len(log):
        return 0
    for which in range(parts):
        head = (at + which) * OCTETS
        same = log.view(np.uint64)[(at + which) * 8 + 1] == number
        if octets[head] != _NAME or octets[head + 1] != which or not same:
            return 0
        for n in range(NAME_OCTETS):
            names.text[which * NAME_OCTETS + n] = octets[head + _TEXT_AT + n]
    return parts * i8(learn_name(names, number, names.text, 0, length))


def is_on_disk() -> bool:
    """Whether it was compiled before, and need only be loaded."""
    return any(CACHE.glob("*/replaying.follow-*.nbi"))


def warm() -> None:
    """Compiles both, or loads what was compiled before; from here on long logs go through them."""
    table = Table(1, 0)
    ledger = Ledger(table, table.beside(1), Slots(1))
    log = np.zeros(1, RECORD)
    replay(table.arrays, table.names.arrays, log, 0)
    follow(table.arrays, ledger.pending.arrays, table.names.arrays, ledger.arrays, log, 0)
    quicken(Compiled(replay, follow))
