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

All rows are written here and nowhere else: the digest and the counts follow each change.

A batch of rows is worked on at once as far as each row is ordinary: alone with its home address and
its NAI. Others are taken one by one, through the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .index import Index
from .memory import key_stream, zeros
from .names import Full, NameConflict, Names, Refused, UnknownName
from .record import OCTETS, RECORD, STRUCT, Kind, Records, Row, name_records

__all__ = ["Crowded", "Full", "NameConflict", "Names", "Refused", "Table", "UnknownName"]

CROWD: Final = 64  # rows of one home address, or of a NAI without one; a mobile node has 16 at most
RECENT_NAMES: Final = 65_536  # unreferenced, kept for records under way: a second at line rate
BLOCK: Final = 16_384  # rows in one step of what goes over the whole table

_DIGEST_KEYS: Final = np.array([key | 1 for key in key_stream(64, 8)], np.uint64)


class Crowded(Refused):
    """One home address, or one NAI without an address, has as many rows as anybody may have."""


class Table:
    """At most `capacity` rows. `seed`: of the cluster, the same wherever its records are read."""

    def __init__(self, capacity: int, seed: int, names: Names | None = None) -> None:
        self.capacity: Final = capacity
        self._seed: Final = seed
        # 62 octets of NAI for each row; pages that nothing is written to are no memory.
        self.names: Final = names or Names(2 * capacity + RECENT_NAMES, RECENT_NAMES, seed)
        self._rows: Final = zeros(capacity + 1, RECORD)
        self._octets: Final = self._rows.view(np.uint8).data
        self.rows: Final = self._rows.view()
        """The records themselves, to be read: row 0 is none, a row of kind FREE is nobody's."""
        self.rows.flags.writeable = False
        self._home: Final = self._rows["home_address"]
        self._nai: Final = self._rows["nai"]
        self._care_of: Final = self._rows["care_of_address"]
        self._by_address: Final = Index(capacity)
        self._multiplier, self._addend = key_stream(seed ^ capacity, 2)
        # Rows of one address, and of one name, are rings: both links 0 for a row that is alone.
        self._next_by_address: Final = zeros(capacity + 1, "<u4")
        self._previous_by_address: Final = zeros(capacity + 1, "<u4")
        self._next_by_name: Final = zeros(capacity + 1, "<u4")
        self._previous_by_name: Final = zeros(capacity + 1, "<u4")
        self._first_by_name: Final = zeros(self.names.capacity + 1, "<u4")
        self._cell: Final = zeros(capacity + 1, "<u4")  # of the row's name
        self._free: Final = zeros(capacity, "<u4")
        self._freed = 0
        self._touched = 0

    def beside(self, capacity: int) -> Table:
        """A table of the same log: it shares the names, so that one NAME record serves both."""
        return Table(capacity, self._seed, self.names)

    def __len__(self) -> int:
        return self._touched - self._freed

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
            return next(self._of(home_address, cell, nai_given=True), 0)
        return self._head(home_address) if home_address else 0

    def following(self, row: int) -> int:
        """The next row of the same mobile node: another care-of address; 0 after the last one."""
        cell = int(self._cell[row])
        rows = self._of(int(self._home[row]), cell, nai_given=bool(cell))
        for each in rows:
            if each == row:
                return next(rows, 0)
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
            values = values._replace(nai=int(self.names.numbers[cell]))
        elif values.nai:
            cell = self.names.numbered(values.nai)
            if not cell:
                raise UnknownName(f"no NAI has the number {values.nai:#x}")
        else:
            cell = 0
        home = values.home_address
        if not home and not cell:
            raise ValueError("a row belongs to a home address, to an NAI or to both")
        row = self._same(home, cell, values.care_of_address)
        if not row:
            self._refuse_crowds(home, cell)
            row = self._take()
            self._link(row, home, cell)
        elif (home, cell) != (self._home[row], self._cell[row]):
            self._unlink(row)
            self._link(row, home, cell)
        STRUCT.pack_into(self._octets, row * OCTETS, *values)
        return row

    def remove(self, row: int) -> None:
        """The row is nobody's any more."""
        self._unlink(row)
        self._rows[row] = np.zeros((), RECORD)
        self._free[self._freed] = row
        self._freed += 1

    # ------------------------------------------------------------------ many rows

    def find_addresses(self, addresses: NDArray[Any]) -> NDArray[Any]:
        """The first row of each home address, 0 where there is none."""
        return self._by_address.find_batch(self._hash(addresses), addresses)

    def hash_nais(
        self, octets: NDArray[Any], offset: NDArray[Any], length: NDArray[Any]
    ) -> NDArray[Any]:
        """`hash_nai` of the octets at an offset in each row of a matrix; u8."""
        return self.names.hash_nais(octets, offset, length)

    def find_nais(
        self,
        hashes: NDArray[Any],
        octets: NDArray[Any],
        offset: NDArray[Any],
        length: NDArray[Any],
    ) -> NDArray[Any]:
        """The first row of each NAI, 0 where there is none. One without an address comes first."""
        cells = self.names.find_batch(hashes, octets, offset, length)
        return self._first_by_name.take(cells)

    def put_rows(self, records: Records) -> NDArray[Any]:
        """`put` for many rows, no two of the same mobile node and care-of address; their rows.

        0 stands for a row that was refused.
        """
        rows = np.zeros(len(records), np.uint32)
        for n, record in enumerate(records):
            try:
                rows[n] = self.put(Row._make(record.item()))
            except Refused:
                continue
        return rows

    def remove_rows(self, rows: NDArray[Any]) -> None:
        """`remove` for many rows, each named once; 0 is passed over."""
        for row in rows.tolist():
            if row:
                self.remove(row)

    # ------------------------------------------------------------------ the whole

    def apply(self, records: bytes | Records) -> None:
        """What a log says, in its order. Applying it again changes nothing.

        BINDING, PENDING and CLOSED put a row, UNBOUND and SETTLED remove it, or with a care-of
        address of 0.0.0.0 all of the mobile node; NAME tells an NAI's octets. Other kinds are not
        about rows and are passed over.
        """
        if not isinstance(records, bytes):
            records = records.tobytes()
        for at in range(0, len(records), OCTETS):
            kind = records[at]
            if kind == Kind.NAME:
                self.names.learn(records[at : at + OCTETS])
            elif kind in (Kind.BINDING, Kind.PENDING, Kind.CLOSED):
                self.put(Row._make(STRUCT.unpack_from(records, at)))
            elif kind in (Kind.UNBOUND, Kind.SETTLED):
                self._end(Row._make(STRUCT.unpack_from(records, at)))

    def expired(self, now: int) -> NDArray[Any]:
        """Rows whose time has come: `expires` is not after `now`."""
        used = self._rows[: self._touched + 1]
        due = (used["expires"] <= now) & (used["kind"] != Kind.FREE)
        return np.flatnonzero(due).astype(np.uint32)

    def digest(self) -> int:
        """The same number for the same rows, in whatever order they came."""
        return int(mix(self._rows[: self._touched + 1]).sum())

    def snapshot(self) -> Iterator[bytes]:
        """All rows as records, in blocks, each block with the NAME records that it needs."""
        for first in range(1, self._touched + 1, BLOCK):
            block = self._rows[first : first + BLOCK]
            live = block["kind"] != Kind.FREE
            cells = self._cell[first : first + BLOCK][live]
            named = (
                name_records(self.names.octets(cell), int(self.names.numbers[cell]))
                for cell in np.unique(cells[cells > 0]).tolist()
            )
            yield b"".join((*named, block[live].tobytes()))

    def count_by_slot(self) -> NDArray[Any]:
        """Rows of each slot, but for CLOSED ones: they hold no binding."""
        used = self._rows[: self._touched + 1]
        bound = (used["kind"] != Kind.FREE) & (used["kind"] != Kind.CLOSED)
        return np.bincount(used["slot"][bound], minlength=65_536)

    # ------------------------------------------------------------------ whose row

    def _of(self, home: int, cell: int, nai_given: bool) -> Iterator[int]:
        """All rows of a mobile node; `cell` is 0 for an NAI that nobody has, too."""
        if home:
            for row in self._ring(self._head(home), self._next_by_address):
                if not nai_given or self._cell[row] in (0, cell):
                    yield row
        if cell:
            for row in self._ring(int(self._first_by_name[cell]), self._next_by_name):
                # Rows without an address are the first of their ring.
                if self._home[row] and home:
                    return
                yield row

    def _same(self, home: int, cell: int, care_of: int) -> int:
        """The row of a mobile node and care-of address; the very identity before a lesser one."""
        lesser = 0
        for row in self._of(home, cell, nai_given=bool(cell)):
            if self._care_of[row] == care_of:
                if self._home[row] == home and self._cell[row] == cell:
                    return row
                lesser = lesser or row
        return lesser

    def _end(self, values: Row) -> None:
        cell = self.names.numbered(values.nai) if values.nai else 0
        given = bool(values.nai)
        if values.care_of_address:
            row = (
                0
                if given and not cell and not values.home_address
                else self._same(values.home_address, cell, values.care_of_address)
            )
            ended = [row] if row else []
        else:
            ended = list(self._of(values.home_address, cell, nai_given=given))
        for row in ended:
            self.remove(row)

    def _head(self, home: int) -> int:
        return self._by_address.find(self._spread(home), home)

    def _ring(self, first: int, following: NDArray[Any]) -> Iterator[int]:
        row = first
        while row:
            yield row
            row = int(following[row])
            if row == first:
                return

    def _refuse_crowds(self, home: int, cell: int) -> None:
        if home:
            company: Iterator[int] = self._ring(self._head(home), self._next_by_address)
        else:
            company = self._of(0, cell, nai_given=True)
        for number, _ in enumerate(company, 1):
            if number >= CROWD:
                raise Crowded(f"{CROWD} rows of one mobile node are in the table")

    # ------------------------------------------------------------------ links

    def _take(self) -> int:
        if self._freed:
            self._freed -= 1
            return int(self._free[self._freed])
        if self._touched == self.capacity:
            raise Full(f"{self.capacity} rows are in the table")
        self._touched += 1
        return self._touched

    def _spread(self, home: int) -> int:
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
                self._join(row, head, self._next_by_address, self._previous_by_address)
            else:
                self._by_address.add(self._spread(home), home, row)
        if cell:
            self.names.hold(cell)
            self._cell[row] = cell
            head = int(self._first_by_name[cell])
            if head:
                self._join(row, head, self._next_by_name, self._previous_by_name)
            if not head or not home:
                self._first_by_name[cell] = row

    def _unlink(self, row: int) -> None:
        home, cell = int(self._home[row]), int(self._cell[row])
        if home:
            heir = self._leave(row, self._next_by_address, self._previous_by_address)
            if not heir:
                self._by_address.remove(self._spread(home), home, row)
            elif self._head(home) == row:
                self._by_address.change(self._spread(home), home, row, heir)
        if cell:
            heir = self._leave(row, self._next_by_name, self._previous_by_name)
            if self._first_by_name[cell] == row:
                self._first_by_name[cell] = heir
            self._cell[row] = 0
            self.names.release(cell)

    def _join(self, row: int, head: int, following: NDArray[Any], previous: NDArray[Any]) -> None:
        """Into a ring, before its head: as its last one, or, if it becomes the head, its first."""
        last = int(previous[head]) or head
        following[last] = previous[head] = row
        following[row], previous[row] = head, last

    def _leave(self, row: int, following: NDArray[Any], previous: NDArray[Any]) -> int:
        """Out of a ring; who comes after it, 0 if it was alone."""
        heir, last = int(following[row]), int(previous[row])
        if heir == last:  # two rows, of which one is left: or none at all
            following[heir] = previous[heir] = 0
        else:
            following[last], previous[heir] = heir, last
        following[row] = previous[row] = 0
        return heir


def mix(records: Records) -> NDArray[Any]:
    """A number for each record, in which every octet counts; 0 for a row of zeros. u8."""
    words = records.view(np.uint64).reshape(-1, OCTETS // 8)
    mixed: NDArray[Any] = (words ^ words >> np.uint64(32)) @ _DIGEST_KEYS
    mixed ^= mixed >> np.uint64(29)
    mixed *= _DIGEST_KEYS[0]
    mixed ^= mixed >> np.uint64(32)
    return mixed
