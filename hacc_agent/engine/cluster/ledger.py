"""Bindings and pending requests: what a record does, and the records that say what was done.

The engine changes nothing itself. It makes records and applies them here, and so do a restart and a
standby: what they arrive at is the same because there is no other way to arrive at anything.

A pending request is a row of its own table, found by home address, NAI and care-of address, as the
mobile node told them: which of them mean the same one only the reply says. A mobile node that sends
another request before the first is answered, a retransmission with a fresh Identification above
all, makes that row say the newer one; the earlier one is held beside it until it is answered or
times out, since its member may still accept it and drop the newer as a replay.

`nonce` of a PENDING record is the number of its arrival. Of two requests it says which one the
mobile node meant last, as far as the controller can know, here and on whoever takes over.

The octets of a request, the link that it came in by and how often it was sent are no part of the
records: a controller that took over cannot send it again. It waits for the reply; the mobile node
will send it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...wire import LOW_32
from ..ledger import mix
from ..networks import MobileNetworks, routed
from ..record import NETWORK, OCTETS, RECORD, STRUCT, Kind, Network, Row
from ..replay import FEW, compiled, through
from ..slots import Slots
from ..table import CROWD, Table
from .standing import StandingOrders

ROOM: Final = 256
"""Octets of a request that are kept in place; longer ones are rare and kept apart."""

EARLIER: Final = 7
"""Requests held beside the newest of a mobile node and care-of address. RFC 5944, 3.6.3 doubles
the time between retransmissions from 1 s on, so more than two within a timeout is a fault or a
flood, and the oldest goes."""


@dataclass(slots=True)
class Request:
    """A pending request as far as it can be sent again."""

    values: Row
    link: int = 0
    octets: bytes = b""  # none: it came by a record
    attempts: int = 1


class WaitingArrays(NamedTuple):
    """What belongs to pending rows, as compiled code takes it; one place for each row."""

    octets: NDArray[Any]  # u1[rows, ROOM]: of the request
    lengths: NDArray[Any]  # u2: of octets; 0: none, or in `longer`
    links: NDArray[Any]  # u8
    attempts: NDArray[Any]  # u1
    crowded: NDArray[Any]  # b1: the mobile node has more than this one request
    arrivals: NDArray[Any]  # i8[1]: the number of the last request


class Ledger:
    """The permanent table, the pending one, what belongs to pending rows, and standing orders."""

    def __init__(self, table: Table, pending: Table, slots: Slots) -> None:
        self.table = table
        self.pending = pending
        self.slots = slots
        self.orders = StandingOrders()
        self.networks = MobileNetworks()
        """As members have granted them: those of routers that are not bound lead nowhere."""
        rows = len(pending.rows)
        self.arrays = WaitingArrays(
            np.zeros((rows, ROOM), np.uint8),
            np.zeros(rows, np.uint16),
            np.zeros(rows, np.uint64),
            np.zeros(rows, np.uint8),
            np.zeros(rows, np.bool_),
            np.zeros(1, np.int64),
        )
        self.octets, self.lengths, self.links, self.attempts, self.crowded, _ = self.arrays
        self.longer: dict[int, bytes] = {}
        self.earlier: dict[int, list[Request]] = {}

    def under(self, slots: Slots) -> Ledger:
        """The same, with slots of more members: what waits can still be sent again."""
        self.slots = slots
        return self

    @property
    def waiting(self) -> int:
        """Requests that wait for a reply."""
        return len(self.pending) + sum(map(len, self.earlier.values()))

    @property
    def arrivals(self) -> int:
        """The number of the last request."""
        return int(self.arrays.arrivals[0])

    def arrive(self) -> int:
        """The number of a request that arrives now; its record makes it the last one."""
        return (self.arrivals + 1) & LOW_32

    # -------------------------------------------------------------- finding

    def bindings(self, home_address: int, nai: bytes | None) -> list[int]:
        return self.table.rows_of(home_address, nai)

    def is_anothers(self, home_address: int, nai: bytes | None) -> bool:
        """Whether the address is bound under other NAIs, and under no identity like this one."""
        if nai is None or not self.table.find(home_address):
            return False
        return not self.bindings(home_address, nai)

    def requests(self, home_address: int, nai: bytes | None) -> list[int]:
        return self.pending.rows_of(home_address, nai)

    def oldest_of_crowd(self, home_address: int, nai: bytes | None) -> Request | None:
        """Who has to go for another request, if there are as many as anybody may have."""
        company = self.pending.company(home_address, nai)
        if len(company) < CROWD:
            return None
        return self.request(
            max(company, key=lambda row: self.arrivals - self._number(row) & LOW_32)
        )

    def _number(self, row: int) -> int:
        return int(self.pending.rows["nonce"][row])

    def find_request(
        self, home_address: int, nai: bytes | None, identification: int, care_of_address: int
    ) -> tuple[int, Request | None] | None:
        """Its row, and the request itself when it is held beside that row's newer one."""
        for row in self.requests(home_address, nai):
            values = self.pending.get(row)
            if values.care_of_address != care_of_address:
                continue
            if values.identification == identification:
                return row, None
            for held in self.earlier.get(row, ()):
                if held.values.identification == identification:
                    return row, held
        return None

    def slot_of(self, home_address: int, nai: bytes | None) -> int | None:
        """The slot of a mobile node that waits for a reply, or else is bound."""
        for table in (self.pending, self.table):
            row = table.find(home_address, nai)
            if row:
                return int(table.rows["slot"][row])
        return None

    def awaited(self, home_address: int, nai: bytes | None, low: int) -> Iterator[Request]:
        """Requests of a mobile node that a reply may answer (RFC 5944, 3.7.3.1).

        The table knows that one without a home address may have been assigned this one.
        """
        for request in self.requests_of(home_address, nai):
            if request.values.identification & LOW_32 == low:
                yield request

    def requests_of(self, home_address: int, nai: bytes | None) -> Iterator[Request]:
        """All of a mobile node."""
        for row in self.requests(home_address, nai):
            yield self.request(row)
            yield from self.earlier.get(row, ())

    def name(self, values: Row) -> bytes | None:
        """The NAI that a row's number stands for."""
        if not values.nai:
            return None
        return self.table.names.octets(self.table.names.numbered(values.nai))

    # -------------------------------------------------------------- records

    def apply(self, records: bytes) -> None:
        """What each record says becomes so, in order."""
        code = compiled()
        # A request that is kept apart is put away by its row's number, which only this class does.
        if code is None or self.longer or len(records) <= FEW * OCTETS:
            return self._one_by_one(records)
        tables = self.table.arrays, self.pending.arrays, self.table.names.arrays, self.arrays
        return through(
            np.frombuffer(records, RECORD),
            lambda block, at: code.follow(*tables, block, at),
            self._one_by_one,
            self.table.names,
        )

    def _one_by_one(self, records: bytes) -> None:
        for at in range(0, len(records), OCTETS):
            record = records[at : at + OCTETS]
            match record[0]:
                case Kind.NAME:
                    self.table.names.learn(record)
                case Kind.SLOT:
                    self.slots.apply(record)
                case Kind.ORDER:
                    self.orders.apply(record)
                case Kind.NETWORK:
                    self.networks.apply(Network._make(NETWORK.unpack(record)))
                case _:
                    self.do(Row._make(STRUCT.unpack(record)))

    def do(self, values: Row) -> int:
        """What this record says becomes so; the pending row of a PENDING one, else 0."""
        match values.kind:
            case Kind.PENDING:
                return self._pend(values)
            case Kind.SETTLED:
                self._settle(values)
            case Kind.BINDING:
                self.table.put(values)
                self._settle(values)
            case Kind.UNBOUND:
                self.table.end(values)
                self._settle(values)
            case _:
                pass  # of members
        return 0

    def snapshot(self) -> Iterator[bytes]:
        """Records that make the same state, in blocks: `Table.snapshot` tells what that means.

        Pending requests come last, so that no binding of before settles them, and at once, so
        that none becomes an earlier one while nobody looks.
        """
        decided = self.slots.snapshot() + self.orders.snapshot()
        if decided:
            yield decided
        yield from self.table.snapshot()
        yield self.networks_of(frozenset(home for _, home in self.networks.items()))
        held = [request.values for earlier in self.earlier.values() for request in earlier]
        named = sorted({self.table.names.numbered(values.nai) for values in held if values.nai})
        names = self.table.names.records(np.array(named, np.uint32))
        requests = b"".join(STRUCT.pack(*values) for values in held)
        yield names.tobytes() + requests + b"".join(self.pending.snapshot())

    def networks_of(self, homes: Collection[int]) -> bytes:
        """NETWORK records of those of these that are bound."""
        return b"".join(
            routed(home, networks)
            for home in sorted(homes)
            if (networks := self.networks.of(home)) and self.table.find(home)
        )

    def digest(self) -> int:
        """64 bits of what a snapshot holds, whatever the order."""
        held = [request.values for earlier in self.earlier.values() for request in earlier]
        records = np.frombuffer(b"".join(STRUCT.pack(*values) for values in held), RECORD)
        decided = np.frombuffer(self.slots.snapshot() + self.orders.snapshot(), RECORD)
        others = int(mix(records).sum()) + int(mix(decided).sum())
        return (self.table.digest() + self.pending.digest() + others) % 2**64

    def _pend(self, values: Row) -> int:
        self._arrived(values.nonce)
        rows = self.requests(values.home_address, self.name(values))
        known = False
        for row in rows:
            newest = self.pending.get(row)
            if _whose(newest) != _whose(values):
                continue
            known = newest.identification == values.identification
            if not known:
                held = self.earlier.setdefault(row, [])
                held[:] = [h for h in held if h.values.identification != values.identification]
                held.append(self.request(row))
                del held[:-EARLIER]
            break
        row = self.pending.put(values)
        if not known:
            self.keep(row, Request(values))
        self._mark(rows if row in rows else [*rows, row])
        return row

    def _settle(self, values: Row) -> None:
        """The request with this Identification waits no more, if one does."""
        rows = self.requests(values.home_address, self.name(values))
        for row in tuple(rows):
            held = self.earlier.get(row, [])
            if int(self.pending.rows["identification"][row]) != values.identification:
                held[:] = [h for h in held if h.values.identification != values.identification]
            elif held:
                newest = held.pop()
                self.pending.put(newest.values)
                self.keep(row, newest)
            else:
                self.keep(row, Request(values, attempts=0))
                self.pending.remove(row)
                rows.remove(row)
            if not held:
                self.earlier.pop(row, None)
        self._mark(rows)

    def _arrived(self, number: int) -> None:
        if before(self.arrivals, number):
            self.arrays.arrivals[0] = number

    def _mark(self, rows: list[int]) -> None:
        for row in rows:
            self.crowded[row] = len(rows) > 1 or row in self.earlier

    # -------------------------------------------------------------- beside the records

    def request(self, row: int) -> Request:
        """The newest request of a pending row."""
        octets = self.longer.get(row) or self.octets[row, : self.lengths[row]].tobytes()
        return Request(self.pending.get(row), int(self.links[row]), octets, int(self.attempts[row]))

    def keep(self, row: int, request: Request) -> None:
        """Puts beside a pending row what its request needs to be sent again."""
        self.links[row] = request.link
        self.attempts[row] = request.attempts
        self.longer.pop(row, None)
        self.lengths[row] = 0
        if len(request.octets) > ROOM:
            self.longer[row] = request.octets
        elif request.octets:
            self.lengths[row] = len(request.octets)
            self.octets[row, : len(request.octets)] = np.frombuffer(request.octets, np.uint8)


def _whose(values: Row) -> tuple[int, int, int]:
    return values.home_address, values.nai, values.care_of_address


def before(one: int, other: int) -> bool:
    """Of two arrivals. Numbers begin again after 2**32 (as in RFC 1982, 3.2)."""
    return 0 < (other - one) & LOW_32 < 1 << 31
