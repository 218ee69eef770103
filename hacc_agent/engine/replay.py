"""A log into tables: what its records say, in their order.

Record by record, by the rules of the classes; or, once `quicken` has been told how, in compiled
code up to the first record that is not plain, which the classes take, and on behind it. Both leave
the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from .arrays import NameArrays, TableArrays
from .record import OCTETS, RECORD, STRUCT, Kind, Records, Row

if TYPE_CHECKING:
    from .names import Names
    from .table import Table

BLOCK: Final = 8192  # records: half a MiB, which stays in a processor's cache
FEW: Final = 2  # records up to which handing over a table's arrays takes longer than the records

_PUTS: Final = frozenset({Kind.BINDING, Kind.PENDING, Kind.CLOSED})
_ENDS: Final = frozenset({Kind.UNBOUND, Kind.SETTLED})


class Compiled(NamedTuple):
    """Each applies the records from a place on, up to the first that it does not take: its place.

    `kernels.replaying` has them.
    """

    replay: Callable[[TableArrays, NameArrays, Records, int], int]
    follow: Callable[[TableArrays, TableArrays, NameArrays, Any, Records, int], int]
    """Into the two tables of a controller (`cluster.ledger`)."""


_compiled: Compiled | None = None


def quicken(code: Compiled | None) -> None:
    """From here on long logs go through this."""
    global _compiled
    _compiled = code


def compiled() -> Compiled | None:
    return _compiled


def replay(table: Table, log: bytes | Records) -> None:
    """`Table.apply`."""
    records = np.frombuffer(log, RECORD) if isinstance(log, bytes) else log
    if _compiled is None or len(records) <= FEW:
        return _one_by_one(table, records.tobytes())
    step, arrays, names = _compiled.replay, table.arrays, table.names
    return through(
        records,
        lambda block, at: step(arrays, names.arrays, block, at),
        lambda record: _one_by_one(table, record),
        names,
    )


def through(
    records: Records,
    quickly: Callable[[Records, int], int],
    singly: Callable[[bytes], None],
    names: Names,
) -> None:
    """A log, by turns."""
    for first in range(0, len(records), BLOCK):
        # A copy: compiled code is for one kind of array, which can be written and is aligned.
        block = records[first : first + BLOCK].copy()
        at = 0
        while at < len(block):
            if not names.awaits_more:
                at = quickly(block, at)
            singly(block[at : at + 1].tobytes())
            at += 1


def _one_by_one(table: Table, octets: bytes) -> None:
    for at in range(0, len(octets), OCTETS):
        kind = octets[at]
        if kind == Kind.NAME:
            table.names.learn(octets[at : at + OCTETS])
        elif kind in _PUTS:
            table.put(Row._make(STRUCT.unpack_from(octets, at)))
        elif kind in _ENDS:
            table.end(Row._make(STRUCT.unpack_from(octets, at)))
