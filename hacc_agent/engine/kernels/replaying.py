"""A log into a table, record by record, as `..replay` does it, compiled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..arrays import NameArrays, TableArrays
from ..record import NAME_OCTETS, OCTETS, RECORD, Kind, Records
from ..replay import quicken
from ..table import Table
from .compile import kernel, part
from .names import NOT_PLAIN, find_number, learn_name
from .numbers import i8
from .tables import look_up, put, remove

_NAME: Final = int(Kind.NAME)
_PUTS: Final = (int(Kind.BINDING), int(Kind.PENDING), int(Kind.CLOSED))
_ENDS: Final = (int(Kind.UNBOUND), int(Kind.SETTLED))
_TEXT_AT: Final = 16  # in a NAME record
_LONGEST: Final = 255  # octets of an NAI


@kernel
def replay(table: TableArrays, names: NameArrays, log: Records, first: int) -> int:
    """`Table.apply` of log[first:], up to the first record that is not plain: its place."""
    octets = log.view(np.uint8)
    at = first
    while at < len(log):
        record = log[at]
        if record.kind == _NAME:
            parts = _learn(names, log, octets, at)
            if not parts:
                return at
            at += parts
            continue
        if record.kind in _PUTS or record.kind in _ENDS:
            cell = find_number(names, record.nai) if record.nai else 0
            if record.nai and not cell:
                return at
            row = look_up(table, i8(record.home_address), cell)
            if row == NOT_PLAIN:
                return at
            if record.kind in _PUTS:
                if put(table, names, row, cell, log, at) == NOT_PLAIN:
                    return at
            elif row and _ends(record.care_of_address, table.rows[row].care_of_address):
                remove(table, names, row)
        at += 1
    return at


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


def load() -> None:
    """Compiles it, or loads what was compiled before; from here on long logs go through it."""
    table = Table(1, 0)
    replay(table.arrays, table.names.arrays, np.zeros(1, RECORD), 0)
    quicken(replay)
