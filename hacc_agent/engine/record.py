"""One log: a change of a binding is a record of 64 octets, the same in memory, on disk, on a link.

A row of the table *is* such a record, so a snapshot is the table's own octets, and who replays a
journal, follows an active controller, or takes over a member's bindings applies the same records
through the same code (`Table.apply`). Octets are little-endian: numpy reads columns of them without
a copy on every machine that Linux routers are made of.

Records say *what is*, not what was done: applying one twice leaves what applying it once left.

    BINDING   the mobile node has this binding, in place of one with the same care-of address
    UNBOUND   it has none any more with this care-of address; 0.0.0.0: with none at all
    PENDING   a request of it waits for the reply of the slot's member (controllers)
    SETTLED   it does not wait any more, and no binding came of it: denied, timed out, dropped
    CLOSED    its binding is gone, its last Identification still counts against replays (members)
    NETWORK   a mobile network behind it is routed to it (RFC 5177); SPARE_FLAG: not any more
    NAME      octets of an NAI; stands before the first record that refers to it by its hash
    SLOT      the slot is served by this member
    ORDER     an operator wants this of a member (controllers)

Times in records are seconds of the steady clock: Unix time when the daemon started, and from there
on the monotonic clock, so that a step of the wall clock ends no binding.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

OCTETS: Final = 64


class Kind(enum.IntEnum):
    """What a record says; its first octet. 0 is a row that nobody uses."""

    FREE = 0
    BINDING = 1
    UNBOUND = 2
    PENDING = 3
    SETTLED = 4
    CLOSED = 5
    NETWORK = 6
    NAME = 7
    SLOT = 8
    ORDER = 9


class Trait(enum.IntFlag):
    """What else was negotiated for a binding."""

    NAT = 0x01  # the source was not the care-of address (RFC 3519, 4.1)
    UDP_TUNNEL = 0x02  # tunnel packets travel in UDP (RFC 3519)
    REVOCABLE = 0x04  # both ends sent a Revocation Support Extension (RFC 3543, 3.2)
    INFORM = 0x08  # with its I bit: the mobile node wants to hear of a revocation
    NETWORKS = 0x10  # mobile networks are registered with it (RFC 5177)
    DYNAMIC = 0x20  # its home address was assigned from a pool: free again when the binding ends
    NONCE = 0x40  # replay protection by nonces, `nonce` is the one to come


class Row(NamedTuple):
    """A record as one value: BINDING, UNBOUND, PENDING, SETTLED, CLOSED. Addresses are integers."""

    kind: int
    flags: int = 0  # RequestFlags, as granted
    slot: int = 0
    home_address: int = 0  # 0: a mobile node that is known by its NAI alone, so far
    care_of_address: int = 0
    source_address: int = 0  # where the request came from: its reply and revocations go there
    source_port: int = 0
    lifetime: int = 0  # s, granted; 65535 never ends
    expires: int = 0  # s of the steady clock; of PENDING: when the next attempt is due
    identification: int = 0  # of the last request that was accepted; of PENDING: of this one
    nai: int = 0  # hash of the NAI, 0 without one; the octets are in NAME records
    spi: int = 0  # of the association with the mobile node
    revocation: int = 0  # timestamp of the peer's Revocation Support Extension, or last revocation
    tunnel: int = 4  # Encapsulation
    traits: int = 0
    keepalive: int = 0  # s between keepalives of a UDP tunnel
    nonce: int = 0  # the high 32 bits that the next Identification has to carry
    home_agent: int = 0  # the address that the mobile node registered with
    reserved: int = 0


STRUCT: Final = Struct("<BBHIIIHHIQQIIBBHIII")
assert STRUCT.size == OCTETS

RECORD: Final = np.dtype(
    [
        ("kind", "u1"),
        ("flags", "u1"),
        ("slot", "<u2"),
        ("home_address", "<u4"),
        ("care_of_address", "<u4"),
        ("source_address", "<u4"),
        ("source_port", "<u2"),
        ("lifetime", "<u2"),
        ("expires", "<u4"),
        ("identification", "<u8"),
        ("nai", "<u8"),
        ("spi", "<u4"),
        ("revocation", "<u4"),
        ("tunnel", "u1"),
        ("traits", "u1"),
        ("keepalive", "<u2"),
        ("nonce", "<u4"),
        ("home_agent", "<u4"),
        ("reserved", "<u4"),
    ]
)
assert RECORD.itemsize == OCTETS

Records = NDArray[Any]
"""One-dimensional, of dtype RECORD."""


class Name(NamedTuple):
    """A part of an NAI: 48 octets of it, the first part is number 0."""

    kind: int
    part: int
    length: int  # octets of the whole NAI
    spare: int
    nai: int  # its hash
    octets: bytes


NAME: Final = Struct("<BBHIQ48s")
NAME_OCTETS: Final = 48


class Network(NamedTuple):
    """A mobile network: who is bound with this home address serves it."""

    kind: int
    withdrawn: int  # 1: it does not any more
    prefix_length: int
    home_address: int
    network: int
    spare: bytes = b""


NETWORK: Final = Struct("<BBHII52s")


class SlotChange(NamedTuple):
    kind: int
    flags: int
    slot: int
    member: int  # its place in the configuration
    epoch: int = 0  # of the decision (`slots`)
    spare: bytes = b""


SLOT: Final = Struct("<BBHIQ48s")
SINCE: Final = 1
"""Flag of a SLOT record, in a snapshot: its epoch is when the slot came to its member."""


class OrderGiven(NamedTuple):
    kind: int
    word: int  # what is ordered (`cluster.standing`)
    spare: int
    member: int  # its place in the configuration
    number: int = 0  # of the order among all that were given
    rest: bytes = b""


ORDER: Final = Struct("<BBHIQ48s")
assert NAME.size == NETWORK.size == SLOT.size == ORDER.size == OCTETS


def name_records(nai: bytes, hashed: int) -> bytes:
    """The NAME records of an NAI, one for each 48 octets."""
    return b"".join(
        NAME.pack(Kind.NAME, part, len(nai), 0, hashed, nai[at : at + NAME_OCTETS])
        for part, at in enumerate(range(0, max(len(nai), 1), NAME_OCTETS))
    )


def rows(records: bytes) -> Iterator[Row | Name | Network | SlotChange | OrderGiven]:
    """The values in the octets of records: for people and tests, not for whole tables."""
    for at in range(0, len(records), OCTETS):
        match records[at]:
            case Kind.NAME:
                yield Name._make(NAME.unpack_from(records, at))
            case Kind.NETWORK:
                yield Network._make(NETWORK.unpack_from(records, at))
            case Kind.SLOT:
                yield SlotChange._make(SLOT.unpack_from(records, at))
            case Kind.ORDER:
                yield OrderGiven._make(ORDER.unpack_from(records, at))
            case _:
                yield Row._make(STRUCT.unpack_from(records, at))
