"""Compiled code does to a batch what the reference does to its datagrams one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hacc_agent.config import Admission, AgentConfig, Link, Replay
from hacc_agent.engine.batch import Batch, Outcome
from hacc_agent.engine.cluster import LeastLoaded, Loads, Selection
from hacc_agent.engine.effects import Effect, Endpoint, Log, Relay, Send
from hacc_agent.engine.kernels.relaying import fit, relay, warm
from hacc_agent.engine.record import Kind, Trait, rows
from hacc_agent.wire import (
    AcknowledgementFlags,
    CriticalVendor,
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    Encapsulation,
    Extension,
    ExtensionType,
    Padding,
    RegistrationRevocation,
    RequestFlags,
    RevocationAcknowledgement,
    RevocationFlags,
    RevocationSupport,
    RevocationSupportFlags,
    TunnelData,
    TunnelReply,
    UdpTunnelReply,
    UdpTunnelRequest,
    UnknownExtension,
    authenticate,
)
from tests.hacc_agent.engine.cluster.world import (
    AGENT,
    AGENT_KEY,
    AGENT_SPI,
    CARE_OF,
    KEY,
    MEMBERS,
    NO_FLAGS,
    OTHER_AGENT,
    VIRTUAL,
    World,
    asked,
    configuration,
    contents,
    logged,
    reply,
    request,
    sent,
)

Mail = list[tuple[bytes, Endpoint]]
WIDTH = 256
PHASES = set(Phase) - {Phase.explain}  # which takes minutes, with mail of this length
FROM_MEMBERS = [Endpoint(int(address), 434) for address in MEMBERS]


def batch(mail: Mail) -> Batch:
    """As a shell makes it: rows keep octets of earlier datagrams behind their length."""
    count = len(mail)
    octets = np.full((count + 3, WIDTH), 0xA5, np.uint8)
    length = np.zeros(count + 3, np.int64)
    for row, (payload, _) in enumerate(mail):
        octets[row, : len(payload)] = np.frombuffer(payload, np.uint8)
        length[row] = len(payload)
    sources = [source for _, source in mail] + [Endpoint(1, 2, 3)] * 3
    address, port, link = zip(*sources, strict=True)
    return Batch(
        octets,
        length,
        np.array(address, np.uint32),
        np.array(port, np.uint16),
        np.array(link, np.uint64),
        count,
    )


def effects_of(outcome: Outcome, mail: Mail) -> list[Effect]:
    """What an outcome says, as the effects of single datagrams."""
    effects: list[Effect] = []
    if outcome.records:
        effects.append(Log(outcome.records))
    for row, number in zip(outcome.to_member.tolist(), outcome.member.tolist(), strict=True):
        payload, source = mail[row]
        effects.append(Relay(payload, source, number))
    columns = (outcome.to_agent, outcome.address, outcome.port, outcome.link)
    for row, *destination in zip(*(column.tolist() for column in columns), strict=True):
        effects.append(Send(mail[row][0], Endpoint._make(destination), int(VIRTUAL)))
    return [*effects, *outcome.effects]


def records_of(effects: Iterable[Effect]) -> list[str]:
    """All records, in their order."""
    kept = b"".join(effect.records for effect in effects if isinstance(effect, Log))
    return [str(record) for record in rows(kept)]


def said(effects: Iterable[Effect]) -> list[str]:
    """Everything else; in which order datagrams leave means nothing."""
    return sorted(str(effect) for effect in effects if not isinstance(effect, Log))


def quick(
    config: AgentConfig | None = None, policy: Selection | None = None, capacity: int = 256
) -> World:
    """A world whose controller goes through batches with compiled code."""
    world = World(config, policy, capacity)
    world.cluster.quicken(fit)
    return world


class Twins:
    """A controller that gets batches, and one that gets the same one by one."""

    def __init__(self, capacity: int = 256, **changes: Any) -> None:
        config = configuration(**changes)
        self.one_by_one, self.together = (
            World(config, capacity=capacity),
            quick(config, capacity=capacity),
        )

    def receive(self, mail: Mail) -> None:
        together, alone = self.together, self.one_by_one
        outcome = together.cluster.receive_batch(batch(mail), together.now)
        effects = together.follow(effects_of(outcome, mail))
        expected = [effect for datagram in mail for effect in alone.receive(*datagram)]
        self._compare(effects, expected)

    def at(self, seconds: float) -> None:
        effects, expected = self.together.at(seconds), self.one_by_one.at(seconds)
        self._compare(effects, expected)

    def _compare(self, effects: list[Effect], expected: list[Effect]) -> None:
        together, alone = self.together, self.one_by_one
        assert records_of(effects) == records_of(expected)
        assert said(effects) == said(expected)
        assert contents(together.table) == contents(alone.table)
        assert contents(together.pending) == contents(alone.pending)
        assert together.cluster.waiting == alone.cluster.waiting
        assert together.cluster.counters == alone.cluster.counters


# ------------------------------------------------------------------ any mail

HOMES = [int(IPv4Address("198.19.64.1")) + n for n in range(3)]
NAIS = [None, None, b"mn0@example.net", b"a-rather-long-name-of-a-mobile-node@example.net"]
EXTENSIONS: list[tuple[Extension, ...]] = [
    (),
    (),
    (RevocationSupport(7),),
    (RevocationSupport(9, RevocationSupportFlags.INFORM),),
    (RevocationSupport(7), RevocationSupport(8, RevocationSupportFlags.INFORM)),
    (UnknownExtension(137, b"\x80"),),
    (Padding(), Padding(), UnknownExtension(200, b"x")),
    (CriticalVendor(9, 1, b"data"), UnknownExtension(131, b"second@example.net")),
    (UdpTunnelRequest(Encapsulation.IP),),
    (UdpTunnelReply(TunnelReply.ACCEPTED, 110),),
    (DynamicHomeAgent(DynamicHomeAgentSubtype.REQUESTED, VIRTUAL),),
    tuple(Padding() for _ in range(12)),
    (UnknownExtension(131, b""),),
]
homes = st.sampled_from([0, *HOMES])
identifications = st.sampled_from([1, 2, 1 << 32 | 1])
agents = st.sampled_from([AGENT, OTHER_AGENT, Endpoint(int(CARE_OF), 40_000, 5)])

requests = st.builds(
    lambda home, nai, identification, care_of, lifetime, flags, extensions, source: (
        request(
            identification,
            home,
            nai=nai,
            care_of=care_of,
            lifetime=lifetime,
            flags=flags,
            extensions=extensions,
        ),
        source,
    ),
    homes,
    st.sampled_from(NAIS),
    identifications,
    st.sampled_from([int(CARE_OF), OTHER_AGENT.address, HOMES[0]]),
    st.sampled_from([0, 300, 1800, 0xFFFF]),
    st.sampled_from([NO_FLAGS, NO_FLAGS, RequestFlags.SIMULTANEOUS, RequestFlags.GRE]),
    st.sampled_from(EXTENSIONS),
    agents,
)
replies = st.builds(
    lambda home, nai, identification, code, lifetime, extensions, source: (
        reply(identification, home, nai=nai, code=code, lifetime=lifetime, extensions=extensions),
        source,
    ),
    homes,
    st.sampled_from(NAIS),
    identifications,
    st.sampled_from([0, 0, 0, 0, 1, 133]),
    st.sampled_from([0, 600, 1800, 0xFFFF]),
    st.sampled_from(EXTENSIONS),
    st.sampled_from([*FROM_MEMBERS[:2], *FROM_MEMBERS, AGENT]),
)
revocations = st.builds(
    lambda home, care_of, identifier, source: (
        authenticate(
            RegistrationRevocation(
                RevocationFlags(0),
                IPv4Address(home),
                VIRTUAL,
                IPv4Address(care_of),
                identifier,
            ).to_bytes(),
            ExtensionType.FOREIGN_HOME_AUTHENTICATION,
            AGENT_SPI,
            AGENT_KEY,
        ),
        source,
    ),
    homes,
    st.sampled_from([int(CARE_OF), OTHER_AGENT.address]),
    st.integers(1, 2),
    st.sampled_from([AGENT, *FROM_MEMBERS]),
)
acknowledgements = st.builds(
    lambda home, identifier, source: (
        authenticate(
            RevocationAcknowledgement(
                AcknowledgementFlags(0), IPv4Address(home), identifier
            ).to_bytes(),
            ExtensionType.FOREIGN_HOME_AUTHENTICATION,
            AGENT_SPI,
            AGENT_KEY,
        ),
        source,
    ),
    homes,
    st.integers(1, 2),
    st.sampled_from([AGENT, *FROM_MEMBERS]),
)
tunnelled = st.builds(
    lambda home, kind, source: (
        TunnelData(kind, bytes(12) + home.to_bytes(4, "big") + bytes(8)).to_bytes(),
        source,
    ),
    homes,
    st.sampled_from(list(Encapsulation)),
    agents,
)
spoilt = st.builds(
    lambda mail, cut, tail: (mail[0][: max(len(mail[0]) - cut, 0)] + tail, mail[1]),
    st.one_of(requests, replies),
    st.integers(0, 90),
    st.sampled_from([b"", b"\x7f\x00", b"\x83", b"\x26\x00\xff\xff", b"\x24\x01"]),
)
datagrams = st.one_of(
    requests, requests, replies, replies, revocations, acknowledgements, tunnelled, spoilt
)


@settings(max_examples=150, deadline=None, phases=PHASES)
@given(
    st.lists(st.tuples(st.lists(datagrams, max_size=20), st.sampled_from([0, 0, 1, 3]))),
    st.sampled_from(Replay),
)
def test_a_batch_is_its_datagrams_one_by_one(days: list[tuple[Mail, int]], replay: Replay) -> None:
    twins = Twins(replay=replay)
    seconds = 1000.0
    for mail, pause in days:
        twins.receive([datagram for datagram in mail if len(datagram[0]) <= WIDTH])
        seconds += pause
        twins.at(seconds)


# ------------------------------------------------------------------ ordinary mail


def population(count: int, named: bool) -> list[tuple[int, bytes | None]]:
    """Mobile nodes of one kind: who has an NAI has no address yet."""
    first = int(IPv4Address("198.19.65.0"))
    return [
        (0 if named else first + n, b"n%d@example.net" % n if named else None) for n in range(count)
    ]


@pytest.mark.parametrize("named", [False, True], ids=["by-address", "by-nai"])
def test_what_is_ordinary_needs_nobody_alone(named: bool) -> None:
    """Else a law of equality would hold for columns that never decide anything."""
    world = quick()
    nodes = population(40, named)
    first = int(IPv4Address("198.19.65.0"))
    support = (RevocationSupport(7, RevocationSupportFlags.INFORM),)
    for turn in (1, 2, 3):
        asking: Mail = [
            (request(turn << 8 | n, home, nai=nai, extensions=support), AGENT)
            for n, (home, nai) in enumerate(nodes)
        ]
        outcome = world.cluster.receive_batch(batch(asking), world.now)
        assert outcome.effects == ()
        assert outcome.to_member.tolist() == list(range(40))
        world.follow(effects_of(outcome, asking))
        members = outcome.member.tolist()
        answering: Mail = [
            (
                reply(turn << 8 | n, home or first + n, nai=nai, extensions=support),
                FROM_MEMBERS[member],
            )
            for (n, (home, nai)), member in zip(enumerate(nodes), members, strict=True)
        ]
        outcome = world.cluster.receive_batch(batch(answering), world.now)
        assert outcome.effects == ()
        assert sorted(outcome.to_agent.tolist()) == list(range(40))
        world.follow(effects_of(outcome, answering))
        assert not world.waiting()
        nodes = [(first + n, nai) for n, (_, nai) in enumerate(nodes)] if turn == 2 else nodes
    negotiated = Trait.REVOCABLE | Trait.INFORM
    assert all(row.traits & negotiated == negotiated for row in world.bindings())
    assert len(world.bindings()) == 40


def test_denials_in_a_batch_keep_what_was_there() -> None:
    world = quick()
    asking: Mail = [(request(1, home), AGENT) for home, _ in population(10, False)]
    outcome = world.cluster.receive_batch(batch(asking), world.now)
    world.follow(effects_of(outcome, asking))
    members = outcome.member.tolist()
    answering: Mail = [
        (reply(1, home, code=133), FROM_MEMBERS[member])
        for (home, _), member in zip(population(10, False), members, strict=True)
    ]
    outcome = world.cluster.receive_batch(batch(answering), world.now)
    effects = world.follow(effects_of(outcome, answering))
    assert logged(effects) == [Kind.SETTLED] * 10
    assert len(sent(effects)) == 10
    assert not world.bindings()


def test_what_waits_for_an_heir_waits_in_a_batch_too() -> None:
    """New requests, and the very same ones again."""
    linked = configuration(link=Link(43434, "authority.pem", "hacc1.pem", "hacc1.key"))
    worlds = [World(linked), quick(linked)]
    asking: Mail = [(request(1, home), AGENT) for home in HOMES]
    told = []
    for world in worlds:
        world.follow(world.cluster.fail_over({0}, {1}, world.now))
        effects: list[Effect] = []
        for _ in range(2):
            outcome = world.cluster.receive_batch(batch(asking), world.now)
            effects += world.follow(effects_of(outcome, asking))
        told.append(said(effects))
        assert asked(effects) == []
        assert len(world.waiting()) == len(HOMES)
        world.cluster.listens(1)
        effects += world.follow(world.cluster.handle_timer(world.now))
        assert asked(effects) == [1] * len(HOMES)
    assert told[0] == told[1]


@pytest.mark.parametrize("limit", ["registrations", "new_bindings"])
def test_a_batch_beyond_admission_is_let_through_in_its_order(limit: str) -> None:
    """0.25 s of 48 a second may come at once; who comes after them is told."""
    config = configuration(admission=dataclasses.replace(Admission(), **{limit: 48}))
    world = quick(config)
    asking: Mail = [(request(1, home), AGENT) for home, _ in population(20, False)]
    outcome = world.cluster.receive_batch(batch(asking), world.now)
    effects = world.follow(effects_of(outcome, asking))
    assert [effect.payload for effect in effects if isinstance(effect, Relay)] == [
        payload for payload, _ in asking[:12]
    ]
    assert world.cluster.counters.refused == 8


def test_a_batch_beyond_the_room_for_requests_is_let_through_in_its_order() -> None:
    world = quick(capacity=16)
    asking: Mail = [(request(1, home), AGENT) for home, _ in population(20, False)]
    outcome = world.cluster.receive_batch(batch(asking), world.now)
    effects = world.follow(effects_of(outcome, asking))
    assert len(asked(effects)) == 16
    assert world.cluster.counters.refused == 4


def test_octets_of_an_earlier_datagram_mean_nothing() -> None:
    """A shorter one in the same row of the ring ends at its length."""
    world = quick()
    asking: Mail = [(request(1, home, key=None), AGENT) for home, _ in population(10, False)]
    ring = batch(asking)
    ring.octets[:10, 24:26] = (131, 4)  # an NAI, if one looks too far
    outcome = world.cluster.receive_batch(ring, world.now)
    world.follow(effects_of(outcome, asking))
    assert len(outcome.to_member) == 10
    assert not any(row.nai for row in world.waiting())
    assert KEY.secret not in outcome.records


class Stumbling(LeastLoaded):
    """A mistake of ours, about one mobile node."""

    def choose(self, mobile: int, loads: Loads) -> int | None:
        if mobile == HOMES[1]:
            raise ZeroDivisionError("of ours")
        return super().choose(mobile, loads)


@pytest.mark.parametrize("make", [World, quick], ids=["reference", "compiled"])
def test_a_mistake_about_one_datagram_loses_no_other(make: Callable[..., World]) -> None:
    world = make(policy=Stumbling())
    asking: Mail = [(request(1, home), AGENT) for home in HOMES]
    outcome = world.cluster.receive_batch(batch(asking), world.now)
    world.follow(effects_of(outcome, asking))
    assert [str(fault) for fault in outcome.faults] == ["of ours"]
    assert {row.home_address for row in world.waiting()} == {HOMES[0], HOMES[2]}


def test_code_loaded_before_there_is_a_ring_is_what_every_ring_needs() -> None:
    """Else the first packets would wait for a compiler; rows of frames stand apart in memory."""
    warm()
    compiled = cast(Any, relay).signatures
    world = quick()
    asking: Mail = [(request(1, home), AGENT) for home in HOMES]
    whole = batch(asking)
    apart = np.zeros((len(whole.length), 64 + WIDTH), np.uint8)
    apart[:, 64:] = whole.octets
    whole.octets = apart[:, 64:]
    outcome = world.cluster.receive_batch(whole, world.now)
    assert outcome.to_member.tolist() == [0, 1, 2]
    assert sorted(row.home_address for row in world.waiting()) == HOMES
    assert cast(Any, relay).signatures == compiled
