"""A log into a table, thousands of records at once, as if they came one after the other.

Records about different mobile nodes can change places, records about the same one cannot. So a
block of the log is taken apart by mobile node, and the n-th records of all of them are worked on
together: first all first ones, then all second ones. What is not that simple (two identities that
mean one mobile node, several care-of addresses) is taken out of the block, all records of everybody
concerned, and comes one by one in its order.

NAMEs of a block come first, as they stand before what refers to them anyway. When one of them takes
another one's number, the order is the meaning: then the whole block comes one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from .cells import Full
from .record import OCTETS, RECORD, STRUCT, Kind, Records, Row

if TYPE_CHECKING:
    from .table import Found, Table

BLOCK: Final = 8192  # records: half a MiB, which stays in a processor's cache
ROUNDS: Final = 8  # records of one mobile node in a block; what has more comes one by one

_PUT: Final = np.isin(np.arange(256), (Kind.BINDING, Kind.PENDING, Kind.CLOSED))
_END: Final = np.isin(np.arange(256), (Kind.UNBOUND, Kind.SETTLED))


FEW: Final = 16
"""Records up to which one at a time is quicker: what an engine says of one datagram."""


def replay(table: Table, log: bytes | Records) -> None:
    """`Table.apply`."""
    records = np.frombuffer(log, RECORD) if isinstance(log, bytes) else np.ascontiguousarray(log)
    for first in range(0, len(records), BLOCK):
        block = records[first : first + BLOCK]
        if len(block) <= FEW:
            _one_by_one(table, block)
        else:
            _block(table, block)


def _block(table: Table, block: Records) -> None:
    kind = block["kind"]
    names = block[kind == Kind.NAME]
    if len(names) and not table.names.learn_batch(names):
        return _one_by_one(table, block)
    about = _PUT[kind] | _END[kind]
    rows = block if about.all() else block[about]
    if not len(rows):
        return None
    found = table.look_up(rows)
    identity = np.where(rows["nai"] != 0, rows["nai"], rows["home_address"])
    groups = _Groups(identity)
    apart = groups.all_of(~table.ordinary(rows, found) | _ambiguous(rows, groups))
    apart |= groups.turn >= ROUNDS
    for turn in range(min(int(groups.turn.max()) + 1, ROUNDS)):
        now = (groups.turn == turn) & ~apart
        if now.all():
            _together(table, rows, found)
        elif now.any():
            some = rows[now]
            _together(table, some, table.look_up(some) if turn else found.take(now))
    return _one_by_one(table, rows[apart])


def _together(table: Table, rows: Records, found: Found) -> None:
    """One record each of different mobile nodes."""
    put = _PUT[rows["kind"]]
    if not put.all():
        table.end_rows(rows[~put], found.take(~put))
        rows, found = rows[put], found.take(put)
    if not table.put_rows(rows, found).all():
        raise Full(f"a log has more rows than the {table.capacity} that there is room for")


def _one_by_one(table: Table, records: Records) -> None:
    octets = records.tobytes()
    for at in range(0, len(octets), OCTETS):
        kind = octets[at]
        if kind == Kind.NAME:
            table.names.learn(octets[at : at + OCTETS])
        elif _PUT[kind]:
            table.put(Row._make(STRUCT.unpack_from(octets, at)))
        elif _END[kind]:
            table.end(Row._make(STRUCT.unpack_from(octets, at)))


class _Groups:
    """Equal keys of a column: each one's group, and its turn in it."""

    def __init__(self, keys: NDArray[Any]) -> None:
        self.order: Final = np.argsort(keys, kind="stable")
        ordered = keys.take(self.order)
        begins = np.ones(len(keys), np.bool_)
        np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
        self.starts: Final = np.flatnonzero(begins)
        self.group: Final = np.empty(len(keys), np.int64)
        self.group[self.order] = np.cumsum(begins) - 1
        self.turn: Final = np.empty(len(keys), np.int64)
        sizes = np.diff(self.starts, append=len(keys))
        self.turn[self.order] = np.arange(len(keys)) - np.repeat(self.starts, sizes)

    def first(self, column: NDArray[Any]) -> NDArray[Any]:
        """For each one what the first one of its group has."""
        firsts: NDArray[Any] = column.take(self.order.take(self.starts)).take(self.group)
        return firsts

    def all_of(self, some: NDArray[Any]) -> NDArray[Any]:
        """Who shares its group with one of these."""
        if not some.any():
            return some
        marked = np.zeros(len(self.starts), np.bool_)
        marked[self.group[some]] = True
        return marked.take(self.group)


def _ambiguous(rows: Records, groups: _Groups) -> NDArray[Any]:
    """Records whose mobile node is not told by its group alone: there two addresses stand beside
    one NAI, or here one address stands beside two NAIs, or beside one and none."""
    home = rows["home_address"]
    unlike: NDArray[Any] = home != groups.first(home)
    if rows["nai"].any():
        sharing = _Groups(home)
        two = groups.group != sharing.first(groups.group)
        unlike |= sharing.all_of(two & (home != 0)) & (home != 0)
    return unlike
