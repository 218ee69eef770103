"""A log into a table: what its records say, in their order.

Record by record, by the table's rules; or, once `quicken` has been told how, in compiled code up to
the first record that is not plain, which the table takes, and on behind it. Both leave the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from .arrays import NameArrays, TableArrays
from .record import OCTETS, RECORD, STRUCT, Kind, Records, Row

if TYPE_CHECKING:
    from .table import Table

BLOCK: Final = 8192  # records: half a MiB, which stays in a processor's cache
FEW: Final = 2  # records up to which handing over a table's arrays takes longer than the records

_PUTS: Final = frozenset({Kind.BINDING, Kind.PENDING, Kind.CLOSED})
_ENDS: Final = frozenset({Kind.UNBOUND, Kind.SETTLED})

Quick = Callable[[TableArrays, NameArrays, Records, int], int]
"""Applies the records from a place on, up to the first one that it does not take: its place."""

_quick: Quick | None = None


def quicken(step: Quick) -> None:
    """From here on long logs go through this (`kernels.replaying`)."""
    global _quick
    _quick = step


def replay(table: Table, log: bytes | Records) -> None:
    """`Table.apply`."""
    records = np.frombuffer(log, RECORD) if isinstance(log, bytes) else log
    if _quick is None or len(records) <= FEW:
        return _one_by_one(table, records)
    for first in range(0, len(records), BLOCK):
        # A copy: compiled code is for one kind of array, which can be written and is aligned.
        _block(table, records[first : first + BLOCK].copy(), _quick)
    return None


def _block(table: Table, block: Records, quick: Quick) -> None:
    at = 0
    while at < len(block):
        if not table.names.awaits_more:
            at = quick(table.arrays, table.names.arrays, block, at)
        _one_by_one(table, block[at : at + 1])
        at += 1


def _one_by_one(table: Table, records: Records) -> None:
    octets = records.tobytes()
    for at in range(0, len(octets), OCTETS):
        kind = octets[at]
        if kind == Kind.NAME:
            table.names.learn(octets[at : at + OCTETS])
        elif kind in _PUTS:
            table.put(Row._make(STRUCT.unpack_from(octets, at)))
        elif kind in _ENDS:
            table.end(Row._make(STRUCT.unpack_from(octets, at)))
