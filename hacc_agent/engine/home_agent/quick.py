"""The shell of the compiled path: memory that it works in, and the reference where it stops.

A kernel (`kernels.serving`) decides on the datagrams of a batch in their order, as far as each is a
plain registration. At the first that is not it stops, `HomeAgent.receive` decides on that one, and
the kernel goes on behind it: so a batch is what its datagrams are one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import md5
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from ...config import Algorithm
from ...wire import RequestFlags
from ..arrays import IndexArrays, NameArrays, TableArrays
from ..batch import Batch, Outcome, Replies, datagram, outcome_of
from ..effects import Effect, Endpoint, Log, Moment
from ..index import Index
from ..memory import zeros
from ..record import RECORD
from ..table import Table
from .associations import Association, Directory, Subscriber
from .replay import timestamp
from .service import Service

# Places in `RuleArrays.numbers`.
HOME_AGENT: Final = 0  # the virtual address
ROOM: Final = 1  # rows of the table that may be in use
FORBIDDEN: Final = 2  # flags that only the reference knows what to do about
REQUIRED: Final = 3  # flags without which a request is denied
GRANTED: Final = 4  # flags that a binding may have
CODE: Final = 5  # of a reply that accepts
RELAYED_BY_UDP: Final = 6
ANYBODY: Final = 7  # who passes a request on does not matter
PORT: Final = 8  # of the virtual address
OWN_ADDRESS: Final = 9  # where the LAN is not known
RULES: Final = 10

# Places in `OutArrays.numbers`.
RECORDS: Final = 0  # how many of what was put out
REPLIES: Final = 1
LATEST_LINK: Final = 2  # where the last request to the virtual address came from
NUMBERS: Final = 3

RINGS: Final = 64  # whose memory is known; there is one for each socket
_NO_TIME: Final = np.uint64(0)
_OUT_OF_ONE: Final = 2  # records that one registration makes at most: it moved
_BLOCK: Final = 64  # octets of a key (RFC 2104)
_LONGEST: Final = 64  # octets of a realm; one with a longer name is the reference's
_TUNNELS: Final = RequestFlags.MINIMAL | RequestFlags.GRE
_RESERVED: Final = RequestFlags.VAN_JACOBSON | RequestFlags.RESERVED
_GRANTABLE: Final = (
    RequestFlags.SIMULTANEOUS | RequestFlags.DECAPSULATION | RequestFlags.REVERSE_TUNNEL
)


class MailArrays(NamedTuple):
    """A batch."""

    octets: NDArray[Any]  # u1: from the first octet of the first datagram on
    stride: int  # octets from row to row
    length: NDArray[Any]  # i8[ring]
    address: NDArray[Any]  # u4[ring]
    port: NDArray[Any]  # u2[ring]
    link: NDArray[Any]  # u8[ring]
    destination: NDArray[Any]  # u4[ring]


class KnownArrays(NamedTuple):
    """Who may register, each by number; 0 is nobody."""

    nodes: IndexArrays  # by home address
    agents: IndexArrays  # Foreign Agents, by address
    plain: NDArray[Any]  # b1: nothing about it but what stands here
    states: NDArray[Any]  # u4[n, 8]: of its key (`kernels.md5`)
    spi: NDArray[Any]  # i8
    tolerance: NDArray[Any]  # u8: as a distance of Identifications
    lifetime: NDArray[Any]  # i8: s, the longest
    realms: NDArray[Any]  # u1[realms, _LONGEST]
    realm_octets: NDArray[Any]  # i8[realms]
    realm_number: NDArray[Any]  # i8[realms]
    ranges: NDArray[Any]  # i8[ranges, 2]: first and last address of what pools assign
    range_number: NDArray[Any]  # i8[ranges]: whose


class RuleArrays(NamedTuple):
    """The configuration."""

    numbers: NDArray[Any]  # i8[RULES]
    addresses: NDArray[Any]  # i8: our own
    interfaces: NDArray[Any]  # i8: our own address on each LAN
    followed: NDArray[Any]  # u8: neighbours whose requests are taken


class OutArrays(NamedTuple):
    """What is to be done: an `Outcome` as it grows."""

    records: NDArray[Any]  # RECORD
    replies: NDArray[Any]  # i8[ring]: rows of the batch
    address: NDArray[Any]  # u4[ring]: where each goes
    port: NDArray[Any]  # u2[ring]
    source: NDArray[Any]  # u4[ring]: the address of ours that it comes from
    numbers: NDArray[Any]  # i8[NUMBERS]
    block: NDArray[Any]  # u4[16]: to digest in


Arguments = tuple[
    MailArrays,
    int,  # the first row to be decided on
    int,  # rows of the batch
    TableArrays,
    NameArrays,
    KnownArrays,
    RuleArrays,
    OutArrays,
    int,  # the next whole second of the steady clock
    np.uint64,  # now, as an Identification
    np.uint64,  # `Service.not_before`
]

Serving = Callable[[*Arguments], int]
"""`kernels.serving.serve`: returns the row at which it stopped."""

Fit = Callable[[*Arguments], Serving]
"""Compiled for arguments of the types of these, for no others."""

DigestKey = Callable[[NDArray[Any], int, NDArray[Any], NDArray[Any]], None]
"""`kernels.md5.digest_key`."""

Receive = Callable[[bytes, Endpoint, int, Moment], list[Effect]]
"""`HomeAgent.receive`."""


class _Ring(NamedTuple):
    """What belongs to the memory of one batch."""

    batch: Batch
    mail: MailArrays
    out: OutArrays
    serve: Serving


class Quick:
    """Decides on batches."""

    def __init__(
        self,
        service: Service,
        table: Table,
        alone: Receive,
        count: Callable[[int, int], None],
        fit: Fit,
        digest_key: DigestKey,
    ) -> None:
        """`count` is told a code and how many requests were answered with it."""
        self._service, self._alone, self._count = service, alone, count
        self._fit = fit
        self._table, self._names = table.arrays, table.names.arrays
        self._known = _known(service.directory, service, table, digest_key)
        self._numbers = _rules(service, table)
        self._followed: frozenset[int] | None = None
        self._rules = RuleArrays(
            self._numbers,
            np.array(sorted(service.addresses), np.int64),
            np.array(service.interfaces, np.int64),
            np.zeros(0, np.uint64),
        )
        self._rings: dict[int, _Ring] = {}

    def receive(
        self,
        batch: Batch,
        destination: NDArray[Any],
        now: Moment,
        came_by: Callable[[int], None],
    ) -> Outcome:
        """`came_by` is told the link of each last request to the virtual address."""
        _, mail, out, serve = self._rings.get(id(batch)) or self._attend(batch, destination)
        if self._followed != self._service.followed:
            self._follow(self._service.followed)
        numbers = out.numbers
        numbers[:] = 0
        row, count = 0, batch.count
        tables = self._table, self._names, self._known
        clock, not_before = timestamp(now.wall), self._service.not_before
        # Which of numba's types a number has does not depend on how large it is.
        times = math.ceil(now.steady), np.uint64(clock), np.uint64(not_before)
        records: list[bytes] = []
        effects: list[Effect] = []
        faults: list[Exception] = []
        while True:
            row = serve(mail, row, count, *tables, self._rules, out, *times)
            if numbers[LATEST_LINK]:
                came_by(int(numbers[LATEST_LINK]) % 2**64)
                numbers[LATEST_LINK] = 0
            if row == count:
                break
            if numbers[RECORDS]:
                records.append(out.records[: numbers[RECORDS]].tobytes())
                numbers[RECORDS] = 0
            try:
                for effect in self._alone(*datagram(batch, row), int(destination[row]), now):
                    if type(effect) is Log:
                        records.append(effect.records)
                    else:
                        effects.append(effect)
            except Exception as fault:
                faults.append(fault)
            row += 1
        records.append(out.records[: numbers[RECORDS]].tobytes())
        replies = int(numbers[REPLIES])
        self._count(int(self._numbers[CODE]), replies)
        written = (out.replies, out.address, out.port, out.source)
        return replace(
            outcome_of(effects, tuple(faults)),
            records=b"".join(records),
            replies=Replies(*[column[:replies] for column in written]),
        )

    def _follow(self, neighbours: frozenset[int] | None) -> None:
        self._followed = neighbours
        self._numbers[ANYBODY] = neighbours is None
        followed = np.array(sorted(neighbours or ()), np.uint64)
        self._rules = self._rules._replace(followed=followed)

    def _attend(self, batch: Batch, destination: NDArray[Any]) -> _Ring:
        """A ring that was not seen before."""
        mail, out = _columns(batch, destination), _room(len(batch.length))
        tables = self._table, self._names, self._known
        serve = self._fit(mail, 0, 0, *tables, self._rules, out, 0, _NO_TIME, _NO_TIME)
        if len(self._rings) == RINGS:
            self._rings.clear()
        ring = self._rings[id(batch)] = _Ring(batch, mail, out, serve)
        return ring


def _columns(batch: Batch, destination: NDArray[Any]) -> MailArrays:
    rows, width = batch.octets.shape
    stride = batch.octets.strides[0]
    # Rows may stand apart, with the headers of frames between them, which no kernel touches.
    octets = as_strided(batch.octets, ((rows - 1) * stride + width,), (1,))
    columns = batch.length, batch.address, batch.port, batch.link
    return MailArrays(octets, stride, *columns, destination)


def _room(rows: int) -> OutArrays:
    """For what a batch of so many rows may bring."""
    return OutArrays(
        zeros(rows * _OUT_OF_ONE, RECORD),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.uint32),
        np.zeros(rows, np.uint16),
        np.zeros(rows, np.uint32),
        np.zeros(NUMBERS, np.int64),
        np.zeros(16, np.uint32),
    )


def sample() -> Arguments:
    """Arguments of the types of all others, for who compiles before there is anything to do."""
    table, index, none = Table(1, 0), Index(1).arrays, np.zeros(1, np.int64)
    batch = Batch(
        np.zeros((1, 8), np.uint8),
        none,
        np.zeros(1, np.uint32),
        np.zeros(1, np.uint16),
        np.zeros(1, np.uint64),
    )
    known = KnownArrays(
        index,
        index,
        np.zeros(1, np.bool_),
        np.zeros((1, 8), np.uint32),
        none,
        np.zeros(1, np.uint64),
        none,
        np.zeros((1, _LONGEST), np.uint8),
        none,
        none,
        np.zeros((1, 2), np.int64),
        none,
    )
    rules = RuleArrays(np.zeros(RULES, np.int64), none, none, np.zeros(1, np.uint64))
    mail = _columns(batch, np.zeros(1, np.uint32))
    tables = table.arrays, table.names.arrays
    return mail, 0, 0, *tables, known, rules, _room(1), 0, _NO_TIME, _NO_TIME


def _rules(service: Service, table: Table) -> NDArray[Any]:
    one = service.simultaneous_bindings == 1
    forbidden = _TUNNELS
    if service.denies_reserved_bits:
        forbidden |= _RESERVED
    if service.refuses_reverse_tunnel:
        forbidden |= RequestFlags.REVERSE_TUNNEL
    if not one:
        forbidden |= RequestFlags.SIMULTANEOUS
    numbers = np.zeros(RULES, np.int64)
    numbers[HOME_AGENT] = service.home_agent_address
    numbers[ROOM] = min(service.max_bindings, table.capacity)
    numbers[FORBIDDEN] = forbidden
    numbers[REQUIRED] = RequestFlags.REVERSE_TUNNEL if service.needs_reverse_tunnel else 0
    numbers[GRANTED] = _GRANTABLE & ~(RequestFlags.SIMULTANEOUS if one else 0)
    numbers[CODE] = one
    numbers[RELAYED_BY_UDP] = service.relayed_by_udp
    numbers[ANYBODY] = True
    numbers[PORT] = service.port
    numbers[OWN_ADDRESS] = service.own_address(0)
    return numbers


def _known(
    directory: Directory, service: Service, table: Table, digest_key: DigestKey
) -> KnownArrays:
    nodes, agents = list(directory.nodes.items()), list(directory.foreign_agents.items())
    realms = [each for each in directory.realms.items() if len(each[0]) <= _LONGEST]
    count = 1 + len(nodes) + len(realms) + len(agents)
    plain = np.zeros(count, np.bool_)
    states = np.zeros((count, 8), np.uint32)
    spi, lifetime = np.zeros(count, np.int64), np.zeros(count, np.int64)
    tolerance = np.zeros(count, np.uint64)
    block = np.zeros(16, np.uint32)
    plain[0] = True  # nobody: of a Foreign Agent that there is none of

    def tell(number: int, association: Association | None) -> None:
        if association is None or association.nonces:
            return
        key = association.key
        if key.algorithm is not Algorithm.HMAC_MD5:
            return
        secret = key.secret if len(key.secret) <= _BLOCK else md5(key.secret).digest()
        padded = np.frombuffer(secret.ljust(_BLOCK, b"\0"), np.uint8).copy()
        digest_key(states, number, padded, block)
        spi[number] = association.spi
        tolerance[number] = association.tolerance << 32
        plain[number] = True

    def subscribe(number: int, subscriber: Subscriber) -> None:
        tell(number, subscriber.association)
        plain[number] &= not subscriber.mobile_networks
        lifetime[number] = min(service.lifetime, subscriber.lifetime)

    by_home, by_agent = Index(len(nodes)), Index(len(agents))
    number = 1
    for address, subscriber in nodes:
        by_home.add(table.hash_address(address), address, number)
        subscribe(number, subscriber)
        number += 1
    texts = np.zeros((len(realms), _LONGEST), np.uint8)
    for place, (realm, subscriber) in enumerate(realms):
        texts[place, : len(realm)] = np.frombuffer(realm, np.uint8)
        subscribe(number + place, subscriber)
    realm_number = number + np.arange(len(realms))
    ranges = list(_ranges(realm_number.tolist(), [subscriber for _, subscriber in realms]))
    number += len(realms)
    for address, association in agents:
        by_agent.add(table.hash_address(address), address, number)
        tell(number, association)
        number += 1
    return KnownArrays(
        by_home.arrays,
        by_agent.arrays,
        plain,
        states,
        spi,
        tolerance,
        lifetime,
        texts,
        np.array([len(realm) for realm, _ in realms], np.int64),
        realm_number,
        np.array([bounds for _, bounds in ranges], np.int64).reshape(-1, 2),
        np.array([whose for whose, _ in ranges], np.int64),
    )


def _ranges(
    numbers: list[int], subscribers: list[Subscriber]
) -> Iterator[tuple[int, tuple[int, int]]]:
    for number, subscriber in zip(numbers, subscribers, strict=True):
        for bounds in subscriber.pool.ranges:
            yield number, bounds
