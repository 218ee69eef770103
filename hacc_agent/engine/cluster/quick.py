"""The shell of the compiled path: memory that it works in, and the reference where it stops.

A kernel (`kernels.relaying`) decides on the datagrams of a batch in their order, as far as each is
plain. At the first that is not it stops, `alone` decides on that one, and the kernel goes on behind
it: so what came first is done first, and a batch is what its datagrams are one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from ...config import Assignment
from ..arrays import NameArrays, TableArrays
from ..batch import Batch, Outcome, datagram
from ..effects import Effect, Log, Moment
from ..memory import zeros
from ..record import RECORD
from ..slots import Slots
from ..table import Table
from .alone import Alone
from .departures import DEPARTED
from .ledger import Ledger, WaitingArrays
from .selection import LeastLoaded, loads_of
from .state import State

# Numbers that the kernel changes, by their place in `numbers`.
RECORDS: Final = 0  # how many of what it put out
TO_MEMBER: Final = 1
TO_AGENT: Final = 2
RELAYED: Final = 3  # counters, since the batch began
DUPLICATES: Final = 4
ACCEPTED: Final = 5
DEREGISTERED: Final = 6
DENIED: Final = 7
NUMBERS: Final = 8

_OUT_OF_ONE: Final = 8
"""Records that one datagram makes at most: an NAI's 6 and its request."""


RINGS: Final = 16
"""Memory is kept ready for so many batches: a daemon has one for each of its sockets."""


class MailArrays(NamedTuple):
    """A batch."""

    octets: NDArray[Any]  # u1: from the first row's first octet to the last one's last
    stride: int  # octets from row to row
    length: NDArray[Any]  # i8[ring]
    address: NDArray[Any]  # u4[ring]
    port: NDArray[Any]  # u2[ring]
    link: NDArray[Any]  # u8[ring]


class MemberArrays(NamedTuple):
    """The members, each by its place in the configuration, and the slots."""

    member_of: NDArray[Any]  # u2[slots]
    offered: NDArray[Any]  # u2[members, slots of one]
    answers: NDArray[Any]  # u4[members, addresses]: 0 is none
    served: NDArray[Any]  # i8[members]
    capacity: NDArray[Any]  # i8[members]
    base: NDArray[Any]  # f8[members]
    slope: NDArray[Any]  # f8[members]
    backup: NDArray[Any]  # b1[members]
    available: NDArray[Any]  # b1[members]
    listening: NDArray[Any]  # b1[members]
    complete: NDArray[Any]  # b1[members]
    tokens: NDArray[Any]  # f8: of `Admission`
    departed: NDArray[Any]  # DEPARTED: of `Departures`
    kept: int  # s that they are


class OutArrays(NamedTuple):
    """What is to be done: an `Outcome` as it grows."""

    records: NDArray[Any]  # RECORD
    to_member: NDArray[Any]  # i8[ring]: rows of the batch
    member: NDArray[Any]  # u2[ring]
    to_agent: NDArray[Any]  # i8[ring]: rows of the batch
    address: NDArray[Any]  # u4[ring]
    port: NDArray[Any]  # u2[ring]
    link: NDArray[Any]  # u8[ring]
    numbers: NDArray[Any]  # i8[NUMBERS]


Arguments = tuple[
    MailArrays,
    int,  # the first row to be decided on
    int,  # rows of the batch
    TableArrays,
    TableArrays,
    NameArrays,
    WaitingArrays,
    MemberArrays,
    OutArrays,
    int,  # s of the steady clock
    bool,  # whether new mobile nodes are placed by `Loads` alone
]

Relaying = Callable[[*Arguments], int]
"""`kernels.relaying.relay`: returns the row at which it stopped."""

Fit = Callable[[*Arguments], Relaying]
"""Compiled for arguments of the types of these, for no others."""


class _Ring(NamedTuple):
    """What belongs to the memory of one batch."""

    batch: Batch
    mail: MailArrays
    out: OutArrays
    relay: Relaying


class Quick:
    """Decides on batches."""

    def __init__(self, state: State, alone: Alone, fit: Fit) -> None:
        self._fit = fit
        self._state = state
        self._alone = alone
        ledger, members, slots = state.ledger, state.members, state.ledger.slots
        loads = members.loads
        self._tables = (
            ledger.table.arrays,
            ledger.pending.arrays,
            ledger.table.names.arrays,
            ledger.arrays,
        )
        self._members = MemberArrays(
            slots.member_of,
            slots.offered,
            members.answers,
            loads.served,
            loads.capacity,
            loads.base,
            loads.slope,
            loads.backup,
            loads.available,
            members.listening,
            members.complete,
            state.admission.tokens,
            state.departures.places,
            state.departures.kept,
        )
        redirects = state.config.assignment is Assignment.REDIRECT
        # Whether new mobile nodes are placed by `Loads` alone, when none was told a nonce.
        self._places = type(state.selection) is LeastLoaded and not redirects
        self._rings: dict[int, _Ring] = {}

    def receive(self, batch: Batch, now: Moment) -> Outcome:
        _, mail, out, relay = self._rings.get(id(batch)) or self._attend(batch)
        numbers = out.numbers
        numbers[:] = 0
        state = self._state
        state.admission.refill(now.steady)
        row, count, second = 0, batch.count, int(now.steady)
        records: list[bytes] = []
        effects: list[Effect] = []
        faults: list[Exception] = []
        while True:
            places = self._places and not state.nonces
            row = relay(mail, row, count, *self._tables, self._members, out, second, places)
            if row == count:
                break
            if numbers[RECORDS]:
                records.append(out.records[: numbers[RECORDS]].tobytes())
                numbers[RECORDS] = 0
            try:
                for effect in self._alone.receive(*datagram(batch, row), now):
                    if type(effect) is Log:
                        records.append(effect.records)
                    else:
                        effects.append(effect)
            except Exception as fault:
                faults.append(fault)  # what was decided on before must not be lost with it
            row += 1
        written, relayed, answered, *counted = numbers.tolist()
        last = out.records[:written].tobytes()
        self._count(*counted)
        return Outcome(
            b"".join([*records, last]) if records else last,
            out.to_member[:relayed],
            out.member[:relayed],
            out.to_agent[:answered],
            out.address[:answered],
            out.port[:answered],
            out.link[:answered],
            tuple(effects),
            tuple(faults),
        )

    def _count(
        self, relayed: int, duplicates: int, accepted: int, deregistered: int, denied: int
    ) -> None:
        counters = self._state.counters
        counters.relayed += relayed
        counters.duplicates += duplicates
        counters.accepted += accepted
        counters.deregistered += deregistered
        counters.denied += denied

    def _attend(self, batch: Batch) -> _Ring:
        """A ring that was not seen before."""
        mail, out = _columns(batch), _room(len(batch.length))
        relay = self._fit(mail, 0, 0, *self._tables, self._members, out, 0, self._places)
        if len(self._rings) == RINGS:
            self._rings.clear()
        ring = self._rings[id(batch)] = _Ring(batch, mail, out, relay)
        return ring


def _columns(batch: Batch) -> MailArrays:
    rows, width = batch.octets.shape
    stride = batch.octets.strides[0]
    # Rows may stand apart, with the headers of frames between them.
    octets = as_strided(batch.octets, ((rows - 1) * stride + width,), (1,))
    return MailArrays(octets, stride, batch.length, batch.address, batch.port, batch.link)


def _room(rows: int) -> OutArrays:
    """For what a batch of so many rows may bring."""
    return OutArrays(
        zeros(rows * _OUT_OF_ONE, RECORD),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.uint16),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.uint32),
        np.zeros(rows, np.uint16),
        np.zeros(rows, np.uint64),
        np.zeros(NUMBERS, np.int64),
    )


def sample() -> Arguments:
    """Arguments of the types that every controller's have, to compile for before there is one."""
    table = Table(1, 0)
    ledger = Ledger(table, table.beside(1), Slots(1))
    batch = Batch(
        np.zeros((1, 8), np.uint8),
        np.zeros(1, np.int64),
        np.zeros(1, np.uint32),
        np.zeros(1, np.uint16),
        np.zeros(1, np.uint64),
    )
    loads = loads_of((), [])
    members = MemberArrays(
        ledger.slots.member_of,
        ledger.slots.offered,
        np.zeros((1, 1), np.uint32),
        loads.served,
        loads.capacity,
        loads.base,
        loads.slope,
        loads.backup,
        loads.available,
        np.ones(0, np.bool_),
        np.ones(0, np.bool_),
        np.zeros(2),
        zeros(1, DEPARTED),
        0,
    )
    tables = table.arrays, ledger.pending.arrays, table.names.arrays, ledger.arrays
    return _columns(batch), 0, 0, *tables, members, _room(1), 0, True
