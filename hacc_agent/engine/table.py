"""Rows of records, found by home address and by NAI: bindings, or requests that wait for a reply.

A row is the 64 octets of its record (`record.py`), so what a table holds can be logged, sent and
mapped as it is. It is allocated once, for `capacity` rows; memory is used as rows are. No row is a
Python object, so no collection of garbage ever looks at one.

Whose row is it? A mobile node is known by its home address, by its NAI, or by both (RFC 2794). Rows
of one mobile node differ in their care-of address. Two identities mean the same mobile node if they
agree in what both have, and both have something:

    home address and NAI    the same address and NAI; or one of them without a NAI, or still
                            without an address (it is assigned by the reply)
    two NAIs, one address   two mobile nodes, one of which is wrong: none takes the other's place
    one NAI, two addresses  two home addresses of a subscriber: two mobile nodes (RFC 2794, 3)

All rows are written here, or by `kernels` in the same way, and nowhere else: the digest and the
counts follow each change.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.ma  # np.unique imports it when it is first called, and takes 100 ms for it
from numpy.typing import NDArray

from .arrays import FREED, TABLE_COUNTERS, TOUCHED, TableArrays
from .cells import Full, Refused
from .index import Index
from .ledger import Ledger
from .memory import key_stream, populate, zeros
from .names import NameConflict, Names, UnknownName
from .record import OCTETS, RECORD, STRUCT, Kind, Records, Row
from .replay import replay

__all__ = ["Crowded", "Full", "NameConflict", "Names", "Refused", "Table", "UnknownName"]

CROWD: Final = 64  # rows of one home address, or of a NAI without one; a mobile node has 16 at most
RECENT_NAMES: Final = 65_536  # unreferenced, kept for records under way: a second at line rate
FEWEST_RECENT: Final = 1_024  # beside a small table, and one for each of its rows: several batches
BLOCK: Final = 16_384  # rows in one step of what goes over the whole table
STEP: Final = 2_048  # rows of a snapshot in one: packets wait for it, a fifth of a millisecond

_NEVER: Final = 0xFFFFFFFF
_NOTHING: Final = bytes(OCTETS)
_NUMBER: Final = Struct("<Q")
_NAI_AT: Final = 32
_ADDRESSES: Final = Struct("<II")  # home address and care-of address
_ADDRESSES_AT: Final = 4
assert RECORD.fields is not None
assert RECORD.fields["nai"][1] == _NAI_AT
assert RECORD.fields["home_address"][1] == _ADDRESSES_AT


class Crowded(Refused):
    """One home address, or one NAI without an address, has as many rows as anybody may have."""


class Found(NamedTuple):
    """What a table holds for the identities of a batch of records, one column each."""

    cell: NDArray[Any]  # of the NAI; 0 without one, or of one that is not known
    by_address: NDArray[Any]  # the first row of the home address
    by_name: NDArray[Any]  # the first row of the NAI


class Table:
    """At most `capacity` rows. `seed`: of the cluster, the same wherever its records are read."""

    def __init__(
        self, capacity: int, seed: int, names: Names | None = None, *, apart: bool = False
    ) -> None:
        """With `apart` a row takes the place of one with the very same identity alone."""
        self.capacity: Final = capacity
        self._seed: Final = seed
        self._apart: Final = apart
        recent = min(RECENT_NAMES, FEWEST_RECENT + capacity)
        self.names: Final = names or Names(capacity + recent, recent, seed)
        self._rows: Final = zeros(capacity + 1, RECORD)
        self._octets: Final = self._rows.view(np.uint8).data
        self.rows: Final = self._rows.view()
        """The records themselves, to be read: row 0 is none, a row of kind FREE is nobody's."""
        self.rows.flags.writeable = False
        self._left: Final = zeros(capacity + 1, "<u4")  # `expires` from the other end; 0: never
        self._by_address: Final = Index(capacity)
        keys = key_stream(seed + 1, 2)
        self._multiplier, self._addend = keys
        # Rows of one address, and of one name, are rings: both links 0 for a row that is alone.
        self._next_by_address: Final = zeros(capacity + 1, "<u4")
        self._next_by_name: Final = zeros(capacity + 1, "<u4")
        self._previous_address_of: Final = zeros(capacity + 1, "<u4").data
        self._previous_name_of: Final = zeros(capacity + 1, "<u4").data
        self._first_by_name: Final = zeros(self.names.cells + 1, "<u4")
        self._cell: Final = zeros(capacity + 1, "<u4")  # of the row's name
        self._free: Final = zeros(capacity, "<u4")
        counters = zeros(TABLE_COUNTERS, "<i8")
        self._counters: Final = counters.data
        self._ledger: Final = Ledger()
        self.arrays: Final = TableArrays(
            self._rows,
            self._rows.view(np.uint64).reshape(-1, OCTETS // 8),
            self._left,
            self._cell,
            self._by_address.arrays,
            self._first_by_name,
            self._next_by_address,
            self._next_by_name,
            self._free,
            counters,
            self._ledger.total,
            self._ledger.slots,
            np.array(keys, np.uint64),
        )
        """For `kernels`, which change what is in them."""
        # One number of a column is read quicker through its memory.
        self._next_address_of: Final = self._next_by_address.data
        self._next_name_of: Final = self._next_by_name.data
        self._first_of: Final = self._first_by_name.data
        self._cell_of: Final = self._cell.data
        self._left_of: Final = self._left.data

    def expect(self, rows: int, names: int) -> None:
        """About so many will be put, and learned: their memory is taken, if there are none yet."""
        self.names.expect(names)
        if rows and not self._counters[TOUCHED]:
            populate(self._rows, rows + 1)
            populate(self._left, rows + 1)
            populate(self._cell, min(rows, names) + 1)
            populate(self._first_by_name, names + 1)
            self._by_address.populate()

    def beside(self, capacity: int) -> Table:
        """A table of the same log: it shares the names, so that one NAME record serves both.

        It is for what only becomes somebody's: identities that agree may turn out to be two.
        """
        return Table(capacity, self._seed, self.names, apart=True)

    def __len__(self) -> int:
        return self._counters[TOUCHED] - self._counters[FREED]

    @property
    def room(self) -> int:
        """Rows that can still be put."""
        return self.capacity - len(self)

    @property
    def full(self) -> bool:
        return not self.room

    # ------------------------------------------------------------------ one row

    def hash_nai(self, nai: bytes) -> int:
        return self.names.hash_nai(nai)

    def find(self, home_address: int, nai: bytes | None = None) -> int:
        """The first row of a mobile node, 0 without one. A home address of 0 is none."""
        cell = 0
        if nai is not None:
            cell = self.names.find(nai)
            if not cell and not home_address:
                return 0
            return next(self._of(home_address, cell, named=True), 0)
        return self._head(home_address) if home_address else 0

    def rows_of(self, home_address: int, nai: bytes | None = None) -> list[int]:
        """All rows of a mobile node, by what is said of it here.

        Not what `find` and `following` lead to: of its rows each knows only its own identity, and
        one without an NAI agrees with rows that do not agree with each other.
        """
        cell = 0 if nai is None else self.names.find(nai)
        return list(self._of(home_address, cell, named=nai is not None))

    def company(self, home_address: int, nai: bytes | None = None) -> list[int]:
        """The rows that one of this identity would be counted with: CROWD of them at most."""
        return self._company(home_address, 0 if nai is None else self.names.find(nai))

    def following(self, row: int) -> int:
        """The next row whose identity agrees with this one's, another care-of address; 0: none.

        From `find` on it comes past all rows of a home address; those of an NAI that have no
        address yet are rows of their own. It only ever goes on, so that a walk ends.
        """
        home, cell = self._home_of(row), self._cell_of[row]
        if not home:
            after = self._next_name_of[row]
            return 0 if after == self._first_of[cell] or self._home_of(after) else after
        after = self._next_address_of[row]
        head = self._head(home) if after else 0
        while after != head:
            if not cell or self._cell_of[after] in (0, cell):
                return after
            after = self._next_address_of[after]
        return 0

    def get(self, row: int) -> Row:
        return Row._make(STRUCT.unpack_from(self._octets, row * OCTETS))

    def record(self, row: int) -> bytes:
        """The row as a record, ready to be logged."""
        return bytes(self._octets[row * OCTETS : (row + 1) * OCTETS])

    def nai(self, row: int) -> bytes:
        """Of the row's mobile node, empty without one."""
        cell = int(self._cell[row])
        return self.names.octets(cell) if cell else b""

    def put(self, values: Row, nai: bytes | None = None) -> int:
        """The mobile node's row of this care-of address is what `values` says; its row.

        The NAI is given by its octets, or else by its number in `values`. Raises `Refused` when
        there is no room, and `UnknownName` for a number that no octets belong to.
        """
        if nai is not None:
            cell = self.names.intern(nai)
        elif values.nai:
            cell = self.names.numbered(values.nai)
            if not cell:
                raise UnknownName(f"no NAI has the number {values.nai:#x}")
        else:
            cell = 0
        home = values.home_address
        if not home and not cell:
            raise ValueError("a row belongs to a home address, to an NAI or to both")
        same = self._same(home, cell, values.care_of_address, bool(cell), exactly=self._apart)
        row = same[0] if same else 0
        for other in same[1:]:  # they did not agree with each other; with this one both do
            self.remove(other)
        at = row * OCTETS
        before = self._octets[at : at + OCTETS].tobytes() if row else b""
        if not row:
            self._refuse_crowds(home, cell)
            row = self._take()
            self._link(row, home, cell)
        elif self._cell_of[row] != cell or self._home_of(row) != home:
            self._unlink(row)
            self._link(row, home, cell)
        at = row * OCTETS
        STRUCT.pack_into(self._octets, at, *values)
        if nai is not None:
            _NUMBER.pack_into(self._octets, at + _NAI_AT, self.names.number(cell))
        self._left_of[row] = _NEVER - values.expires
        self._ledger.note(before, self._octets[at : at + OCTETS])
        return row

    def remove(self, row: int) -> None:
        """The row is nobody's any more."""
        self._unlink(row)
        at = row * OCTETS
        self._ledger.note(self._octets[at : at + OCTETS], b"")
        self._octets[at : at + OCTETS] = _NOTHING
        self._left_of[row] = 0
        self._free[self._counters[FREED]] = row
        self._counters[FREED] += 1

    # ------------------------------------------------------------------ many rows

    def find_addresses(self, addresses: NDArray[Any]) -> NDArray[Any]:
        """The first row of each home address, 0 where there is none."""
        return self._by_address.find_batch(self._hash(addresses), addresses)

    def look_up(self, records: Records) -> Found:
        """What the table holds for the mobile nodes of records."""
        numbers = records["nai"]
        if numbers.any():
            cell = self.names.numbered_batch(numbers)
            by_name = self._first_by_name.take(cell)
        else:
            cell = by_name = np.zeros(len(records), np.uint32)
        return Found(cell, self.find_addresses(records["home_address"]), by_name)

    # ------------------------------------------------------------------ the whole

    def apply(self, records: bytes | Records) -> None:
        """What a log says, in its order. Applying it again changes nothing.

        BINDING, PENDING and CLOSED put a row, UNBOUND and SETTLED remove it, or with a care-of
        address of 0.0.0.0 all of the mobile node; NAME tells an NAI's octets. Other kinds are not
        about rows and are passed over.
        """
        replay(self, records)

    def expired(self, now: int) -> NDArray[Any]:
        """Rows whose time has come: `expires` is not after `now`. u4.

        Never many more than `BLOCK` at once, as their number has no bound: who removes them finds
        the others at the next call.
        """
        bound, used = np.uint32(_NEVER - now), self._counters[TOUCHED] + 1
        due, count = [np.zeros(0, np.uint32)], 0
        for first in range(0, used, BLOCK):
            some = (self._left[first : min(first + BLOCK, used)] >= bound).nonzero()[0]
            if len(some):
                due.append((some + first).astype(np.uint32))
                count += len(some)
                if count >= BLOCK:
                    break
        return np.concatenate(due)

    def digest(self) -> int:
        """The same number for the same rows, in whatever order they came; 0 of an empty table."""
        return self._ledger.digest

    def snapshot(self) -> Iterator[bytes]:
        """All rows as records, in blocks, each block with the NAME records that it needs.

        Rows may change between two blocks: then the log of what changed since the first block,
        applied after the last one, makes it right.
        """
        for first in range(1, self._counters[TOUCHED] + 1, STEP):
            live = (self._rows["kind"][first : first + STEP] != Kind.FREE).nonzero()[0]
            yield self.records_of(live + first)

    def held(self) -> Iterator[Records]:
        """The records as they lie, block by block, with those of kind FREE among them."""
        for first in range(1, self._counters[TOUCHED] + 1, BLOCK):
            yield self.rows[first : min(first + BLOCK, self._counters[TOUCHED] + 1)]

    def bound_in(self, slots: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Rows that are bindings of these slots (a truth for each slot), block by block."""
        for first in range(1, self._counters[TOUCHED] + 1, BLOCK):
            block = self._rows[first : first + BLOCK]
            yield (slots[block["slot"]] & (block["kind"] == Kind.BINDING)).nonzero()[0] + first

    def records_of(self, rows: NDArray[Any]) -> bytes:
        """These rows as records, behind the NAME records that they need."""
        cells = np.unique(self._cell[rows])
        names = self.names.records(cells[cells > 0])
        return bytes(names.tobytes() + self._rows[rows].tobytes())

    def count_by_slot(self) -> NDArray[Any]:
        """Rows of each slot, but for CLOSED ones: they hold no binding. To be read only."""
        return self._ledger.slots

    @property
    def allocated(self) -> int:
        """Octets of address space, without the names; those that were ever touched are memory."""
        columns = (
            *(self._rows, self._left, self._cell, self._free, self._first_by_name),
            *(self._next_by_address, self._previous_address_of),
            *(self._next_by_name, self._previous_name_of),
        )
        return sum(int(column.nbytes) for column in columns) + self._by_address.allocated

    # ------------------------------------------------------------------ whose row

    def _of(self, home: int, cell: int, named: bool) -> Iterator[int]:
        """All rows of a mobile node; `cell` is 0 for an NAI that nobody has, too."""
        if home:
            for row in self._ring(self._head(home), self._next_address_of):
                if not named or self._cell_of[row] in (0, cell):
                    yield row
        if cell:
            for row in self._ring(self._first_of[cell], self._next_name_of):
                # Rows without an address are the first of their ring.
                if home and self._home_of(row):
                    return
                yield row

    def _same(
        self, home: int, cell: int, care_of: int, named: bool, *, exactly: bool = False
    ) -> list[int]:
        """The row of the very identity and care-of address; without one, those that agree."""
        identity, lesser = (home, care_of), []
        for row in self._of(home, cell, named):
            addresses = _ADDRESSES.unpack_from(self._octets, row * OCTETS + _ADDRESSES_AT)
            if addresses == identity and self._cell_of[row] == cell:
                return [row]
            if addresses[1] == care_of and not exactly:
                lesser.append(row)
        return lesser

    def end(self, values: Row) -> None:
        """The mobile node has no row of this care-of address any more; 0: none at all."""
        home, named = values.home_address, bool(values.nai)
        cell = self.names.numbered(values.nai) if named else 0
        if values.care_of_address:
            ended = self._same(home, cell, values.care_of_address, named)[:1]
        else:
            ended = list(self._of(home, cell, named))
        for row in ended:
            self.remove(row)

    def _home_of(self, row: int) -> int:
        home: int = _ADDRESSES.unpack_from(self._octets, row * OCTETS + _ADDRESSES_AT)[0]
        return home

    def _head(self, home: int) -> int:
        return self._by_address.find(self.hash_address(home), home)

    def _ring(self, first: int, following: memoryview[int]) -> Iterator[int]:
        row = first
        while row:
            yield row
            row = following[row]
            if row == first:
                return

    def _refuse_crowds(self, home: int, cell: int) -> None:
        if len(self._company(home, cell)) >= CROWD:
            raise Crowded(f"{CROWD} rows of one mobile node are in the table")

    def _company(self, home: int, cell: int) -> list[int]:
        if home:
            return list(self._ring(self._head(home), self._next_address_of))
        return list(self._of(0, cell, named=True))

    # ------------------------------------------------------------------ links

    def _take(self) -> int:
        if self._counters[FREED]:
            self._counters[FREED] -= 1
            return int(self._free[self._counters[FREED]])
        if self._counters[TOUCHED] == self.capacity:
            raise Full(f"{self.capacity} rows are in the table")
        self._counters[TOUCHED] += 1
        return self._counters[TOUCHED]

    def hash_address(self, home: int) -> int:
        """32 bits, keyed by the seed."""
        return (home * self._multiplier + self._addend) % 2**64 >> 32

    def _hash(self, addresses: NDArray[Any]) -> NDArray[Any]:
        hashes = addresses.astype(np.uint64)
        hashes *= np.uint64(self._multiplier)
        hashes += np.uint64(self._addend)
        hashes >>= np.uint64(32)
        return hashes

    def _link(self, row: int, home: int, cell: int) -> None:
        if home:
            head = self._head(home)
            if head:
                _join(row, head, self._next_address_of, self._previous_address_of)
            else:
                self._by_address.add(self.hash_address(home), home, row)
        if cell:
            self.names.hold(cell)
            self._cell_of[row] = cell
            head = self._first_of[cell]
            if head:
                _join(row, head, self._next_name_of, self._previous_name_of)
            if not head or not home:
                self._first_of[cell] = row

    def _unlink(self, row: int) -> None:
        home, cell = self._home_of(row), self._cell_of[row]
        if home:
            heir = _leave(row, self._next_address_of, self._previous_address_of)
            if not heir:
                self._by_address.remove(self.hash_address(home), home, row)
            elif self._head(home) == row:
                self._by_address.change(self.hash_address(home), home, row, heir)
        if cell:
            heir = _leave(row, self._next_name_of, self._previous_name_of)
            if self._first_of[cell] == row:
                self._first_of[cell] = heir
            self._cell_of[row] = 0
            self.names.release(cell)


def _join(row: int, head: int, following: memoryview[int], previous: memoryview[int]) -> None:
    """Into a ring, before its head: as its last one, or, if it becomes the head, its first."""
    last = previous[head] or head
    following[last] = previous[head] = row
    following[row], previous[row] = head, last


def _leave(row: int, following: memoryview[int], previous: memoryview[int]) -> int:
    """Out of a ring; who comes after it, 0 if it was alone."""
    heir, last = following[row], previous[row]
    if heir == last:  # of two rows one is left, or there was only this one
        following[heir] = previous[heir] = 0
    else:
        following[last], previous[heir] = heir, last
    following[row] = previous[row] = 0
    return heir
