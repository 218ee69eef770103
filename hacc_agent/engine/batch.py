"""A batch of datagrams as columns: what one system call brought, and what is to become of it.

At 100,000 registrations a second there is no time to make a value of each datagram: compiled code
goes through the columns. A datagram in which anything is out of the ordinary is decided on alone,
in its turn and by the same rules (`engine/cluster`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .effects import Effect, Endpoint, Log


@dataclass(slots=True)
class Batch:
    """The receiving ring of a shell: one row a datagram. Not frozen, since it is filled in place.

    Rows keep octets of earlier datagrams behind `length`. `octets` begins with the UDP payload,
    each row aligned to 8 octets, its width a multiple of 8; a payload that is longer than the width
    is not put here but given to the engine alone. All columns are as long as the ring; the first
    `count` rows count.
    """

    octets: NDArray[Any]  # u1[ring, width]
    length: NDArray[Any]  # i8[ring]: octets of the UDP payload
    address: NDArray[Any]  # u4[ring]: of the sender, host order
    port: NDArray[Any]  # u2[ring]: of the sender, host order
    link: NDArray[Any]  # u8[ring]: as Endpoint.link
    count: int = 0


_NONE: Final = np.zeros(0, np.int64)


class Replies(NamedTuple):
    """Rows of a batch over which our own reply to what stood there is written; a column each."""

    rows: NDArray[Any]
    address: NDArray[Any]  # u4: destination, host order; by the neighbour that the row came from
    port: NDArray[Any]  # u2
    source: NDArray[Any]  # u4: the address of ours that it has to come from


NO_REPLIES: Final = Replies(_NONE, _NONE, _NONE, _NONE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a batch, in the order in which it is to happen.

    `to_member` and `to_agent` are rows of the batch whose octets go on unchanged. A row is in one
    of them at most; rows in neither are done with.
    """

    records: bytes  # to be kept and replicated first
    to_member: NDArray[Any]  # rows: requests (and what else a mobile node's member gets)
    member: NDArray[Any]  # u2: its place in the configuration, as long as to_member
    to_agent: NDArray[Any]  # rows: replies, to who asked
    address: NDArray[Any]  # u4, as long as to_agent: destination, host order
    port: NDArray[Any]  # u2
    link: NDArray[Any]  # u8
    effects: tuple[Effect, ...]  # of what was decided on alone, in order; no `Log` among them
    faults: tuple[Exception, ...] = ()  # mistakes of ours: these datagrams are passed over
    replies: Replies = NO_REPLIES


def outcome_of(effects: Iterable[Effect], faults: tuple[Exception, ...] = ()) -> Outcome:
    """What was decided without columns: of a timer, or of datagrams one by one."""
    records = []
    others = []
    for effect in effects:
        if type(effect) is Log:
            records.append(effect.records)
        else:
            others.append(effect)
    none = _NONE
    return Outcome(b"".join(records), none, none, none, none, none, none, tuple(others), faults)


def one_by_one(batch: Batch, decide: Callable[[bytes, Endpoint], Iterable[Effect]]) -> Outcome:
    """A batch without columns. One datagram that we make a mistake about takes no other with it."""
    effects: list[Effect] = []
    faults: list[Exception] = []
    for row in range(batch.count):
        try:
            effects += decide(*datagram(batch, row))
        except Exception as fault:
            faults.append(fault)
    return outcome_of(effects, tuple(faults))


def datagram(batch: Batch, row: int) -> tuple[bytes, Endpoint]:
    """One of a batch, as an engine takes it alone."""
    source = Endpoint(int(batch.address[row]), int(batch.port[row]), int(batch.link[row]))
    return batch.octets[row, : batch.length[row]].tobytes(), source
