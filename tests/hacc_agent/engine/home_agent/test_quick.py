"""Compiled code does to a batch what `HomeAgent.receive` does to its datagrams one by one.

Two Home Agents of the same configuration hear the same mail: one datagram after the other, and in
batches. They keep the same records in the same order, say the same, count the same, and their
tables are the same memory.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from ipaddress import IPv4Address
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import (
    Algorithm,
    Duplicate,
    ForeignAgent,
    Node,
    Readings,
    ReservedBits,
    ReverseTunnels,
    Transport,
    Tunnels,
)
from hacc_agent.engine.batch import Batch, Outcome
from hacc_agent.engine.effects import Endpoint, Log, Moment, Send
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.kernels import md5, serving
from hacc_agent.engine.table import Table
from hacc_agent.roles import Member
from hacc_agent.wire import (
    MobileNetworkRequest,
    NetworkAccessIdentifier,
    Padding,
    RegistrationRequest,
    RequestFlags,
    RevocationSupport,
    UdpTunnelRequest,
)
from tests.hacc_agent.conformance.scene import (
    ALICE,
    BOB,
    CONFIG,
    FHAE,
    HOME_NETWORK,
    LINK,
    MHAE,
    NODE,
    NONCED,
    NTP,
    OF_AAA,
    OLD,
    OWN,
    ROUTER,
    START,
    STRANGER,
    THIRD,
    TRUSTED,
    UNTRUSTED,
    VIRTUAL,
    Agent,
    Mobile,
    Tokens,
    sealed,
    security,
)
from tests.tables import assert_same

WIDTH, RING, HEADERS = 192, 16, 56
OTHER_LINK = 0x0200_5E00_0002 << 16
SECOND_NODE = Mobile(IPv4Address("198.19.96.20"), security(0x110, "7", key="ab" * 90))
NAMED_NODE = Mobile(NODE.home, NODE.security, b"somebody@example.net")
SHOUTING = Mobile(ALICE.home, ALICE.security, b"alice@EXAMPLE.net")
NAMELESS = Mobile(ALICE.home, ALICE.security, b"")
HERE = Mobile(IPv4Address("198.19.64.1"), ALICE.security, ALICE.nai)
HERE_UNNAMED = Mobile(IPv4Address("198.19.64.1"), ALICE.security)
ELSEWHERE = Mobile(IPv4Address("198.19.65.9"), BOB.security, BOB.nai)
PLAIN = [NODE, SECOND_NODE, ALICE, BOB]
SPECIAL = [
    *(OLD, NONCED, ROUTER, NAMED_NODE, SHOUTING, NAMELESS, HERE, HERE_UNNAMED, ELSEWHERE),
    *(OF_AAA, STRANGER),
]
FOREIGN_OLD = Agent(
    IPv4Address("198.18.9.7"), security(0x207, "6", algorithm=Algorithm.MD5_PREFIX_SUFFIX)
)


class Letter(NamedTuple):
    """A datagram that is to be made."""

    mobile: Mobile = NODE
    agent: Agent = UNTRUSTED
    lifetime: int = 1000
    flags: int = 0
    fresh: str = "new"
    care_of: IPv4Address | None = None
    home_agent: IPv4Address = VIRTUAL
    destination: IPv4Address = VIRTUAL
    link: int = LINK
    harm: tuple[Any, ...] = ()


def or_rarely(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 4 * len(others) + list(others))


letters = st.builds(
    Letter,
    st.sampled_from(PLAIN * 4 + SPECIAL),
    st.sampled_from([UNTRUSTED, UNTRUSTED, TRUSTED, TRUSTED, THIRD, FOREIGN_OLD]),
    or_rarely(1000, 0, 1, 0xFFFF),
    or_rarely(0, 0x02, 0x80, 0x05, 0x10, 0x04, 0x20),
    or_rarely("new", "same", "old", "future", "before"),
    or_rarely(None, IPv4Address("198.18.9.99"), NODE.home, IPv4Address(0), IPv4Address(2**32 - 1)),
    or_rarely(VIRTUAL, OWN, IPv4Address(0), IPv4Address("192.0.2.1")),
    or_rarely(VIRTUAL, OWN, IPv4Address("198.18.1.255")),
    or_rarely(LINK, OTHER_LINK, 0),
    st.one_of(
        *[st.just(())] * 8,
        st.tuples(st.just("cut"), st.integers(1, 90)),
        st.tuples(st.just("flip"), st.integers(0, 120), st.integers(0, 7)),
        st.tuples(st.just("more"), st.binary(min_size=1, max_size=9)),
        st.tuples(st.just("before"), st.integers(0, 4)),
        st.tuples(st.just("after"), st.integers(0, 4)),
        st.tuples(st.sampled_from(["twice", "no agent", "agent first", "wrong key", "type"])),
    ),
)

EXTENSIONS: list[Any] = [
    NetworkAccessIdentifier(b"second@example.net"),
    MobileNetworkRequest(IPv4Address("198.51.100.0"), 24),
    RevocationSupport(5),
    UdpTunnelRequest(0),
    Padding(),
]


class Post:
    """Makes letters, and remembers what mobile nodes have to."""

    def __init__(self) -> None:
        self.last: dict[Mobile, int] = {}
        self.number = 0

    def write(self, letter: Letter, wall: float) -> bytes:
        self.number += 1
        offset = {"old": -60.0, "future": 5.0, "before": -1.0}.get(letter.fresh, 0.0)
        identification = (int((wall + offset + NTP) * 2**16) << 16) + self.number
        if letter.fresh == "same":
            identification = self.last.get(letter.mobile, identification)
        self.last[letter.mobile] = identification
        mobile, harm, agent = letter.mobile, letter.harm, letter.agent
        extensions: list[Any] = []
        if mobile.nai is not None:
            extensions.append(NetworkAccessIdentifier(mobile.nai))
        if harm[:1] == ("before",):
            extensions.append(EXTENSIONS[harm[1]])
        message = RegistrationRequest(
            RequestFlags(letter.flags),
            letter.lifetime,
            mobile.home,
            letter.home_agent,
            letter.care_of or agent.address,
            identification,
            tuple(extensions),
        ).to_bytes()
        key = NONCED.security if harm == ("wrong key",) else mobile.security
        key = dataclasses.replace(key, spi=mobile.security.spi)
        if harm == ("agent first",) and agent.security:
            message = sealed(message, FHAE, agent.security)
        message = sealed(message, MHAE, key)
        if harm == ("twice",):
            message = sealed(message, MHAE, key)
        if harm[:1] == ("after",):
            message += EXTENSIONS[harm[1]].to_bytes()
        if agent.security is not None and harm not in (("no agent",), ("agent first",)):
            message = sealed(message, FHAE, agent.security)
        match harm:
            case ("cut", count):
                return message[: -count or None]
            case ("flip", at, bit):
                octets = bytearray(message)
                octets[at % len(octets)] ^= 1 << bit
                return bytes(octets)
            case ("more", tail):
                return message + bytes(tail)
            case ("type",):
                return b"\x03" + message[1:]
        return message


class Both:
    """The reference, and the same with compiled code."""

    def __init__(self, capacity: int = 50, **changes: Any) -> None:
        config = dataclasses.replace(
            CONFIG,
            nodes=(
                *CONFIG.nodes,
                Node(SECOND_NODE.home, HOME_NETWORK, 900, SECOND_NODE.security),
            ),
            foreign_agents=(
                *CONFIG.foreign_agents,
                ForeignAgent(FOREIGN_OLD.address, FOREIGN_OLD.security or OLD.security),
            ),
            **changes,
        )
        self.single = HomeAgent(config, Table(capacity, 7), Tokens())
        self.whole = HomeAgent(config, Table(capacity, 7), Tokens())
        self.whole.quicken(serving.fit, md5.digest_key)
        memory = np.zeros((RING, HEADERS + WIDTH), np.uint8)
        self.batch = Batch(
            memory[:, HEADERS:],
            np.zeros(RING, np.int64),
            np.zeros(RING, np.uint32),
            np.zeros(RING, np.uint16),
            np.zeros(RING, np.uint64),
        )
        self.destination = np.zeros(RING, np.uint32)
        self.post = Post()
        self.elapsed = 0.0
        self.quick = 0  # replies that compiled code wrote

    @property
    def now(self) -> Moment:
        return Moment(START + self.elapsed, START + self.elapsed)

    def receive(self, mail: list[Letter]) -> None:
        payloads = [self.post.write(letter, self.now.wall) for letter in mail]
        records, said, alarms = b"", [], []
        for letter, payload in zip(mail, payloads, strict=True):
            source = Endpoint(int(letter.agent.address), 434, letter.link)
            for effect in self.single.receive(payload, source, int(letter.destination), self.now):
                match effect:
                    case Log():
                        records += effect.records
                    case Send(octets, to, own):
                        said.append((octets, to, own))
                    case _:
                        alarms.append(effect)
        outcome = self.receive_together(mail, payloads)
        assert outcome.faults == ()
        assert outcome.records == records
        others = [each for each in outcome.effects if not isinstance(each, Send)]
        assert others == alarms
        sent = [
            (e.payload, e.destination, e.source) for e in outcome.effects if isinstance(e, Send)
        ]
        assert Counter(self.written(outcome) + sent) == Counter(said)
        self.compare()

    def receive_together(self, mail: list[Letter], payloads: list[bytes]) -> Outcome:
        self.put(mail, payloads)
        return self.whole.receive_batch(self.batch, self.destination, self.now)

    def put(self, mail: list[Letter], payloads: list[bytes]) -> None:
        """Into the ring, as a shell does."""
        batch = self.batch
        batch.octets[:] = 0xEE
        for row, (letter, payload) in enumerate(zip(mail, payloads, strict=True)):
            batch.octets[row, : len(payload)] = np.frombuffer(payload, np.uint8)
            batch.length[row] = len(payload)
            batch.address[row], batch.port[row] = int(letter.agent.address), 434
            batch.link[row], self.destination[row] = letter.link, int(letter.destination)
        batch.count = len(mail)

    def written(self, outcome: Outcome) -> list[tuple[bytes, Endpoint, int]]:
        """As the shell sends them: by the neighbour that the request came from."""
        rows, address, port, source = outcome.replies
        self.quick += len(rows)
        batch = self.batch
        return [
            (
                batch.octets[row, : batch.length[row]].tobytes(),
                Endpoint(int(address[n]), int(port[n]), int(batch.link[row])),
                int(source[n]),
            )
            for n, row in enumerate(rows.tolist())
        ]

    def compare(self) -> None:
        single, whole = self.single, self.whole
        assert_same(whole._table, single._table)
        assert whole.counters.mib() == single.counters.mib()
        assert whole.counters.discarded == single.counters.discarded
        assert whole.assigned == single.assigned
        assert whole._revocations.link == single._revocations.link

    def wait(self, seconds: float) -> None:
        self.elapsed += seconds
        ours, its = (agent.handle_timer(self.now) for agent in (self.whole, self.single))
        assert ours == its


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "usual": {},
    "one binding each": {"simultaneous_bindings": 1},
    "relayed by UDP": {"transport": Transport.UDP},
    "reverse tunnels only": {"tunnels": Tunnels(reverse=ReverseTunnels.MANDATORY)},
    "no reverse tunnels": {"tunnels": Tunnels(reverse=ReverseTunnels.REFUSED)},
    "strict": {"readings": Readings(reserved_bits=ReservedBits.DENY, duplicate=Duplicate.DENY)},
    "room for three": {"max_bindings": 3},
    "long lifetimes": {"lifetime_s": 0xFFFF},
}


@given(
    st.sampled_from(list(CONFIGURATIONS)),
    st.lists(
        st.tuples(st.lists(letters, max_size=RING), st.sampled_from([0.0, 0.4, 3.0, 700.0])),
        max_size=4,
    ),
)
def test_a_batch_is_its_datagrams_one_by_one(
    configuration: str, turns: list[tuple[list[Letter], float]]
) -> None:
    both = Both(**CONFIGURATIONS[configuration])
    for mail, seconds in turns:
        both.receive(mail)
        both.wait(seconds)


def test_plain_registrations_are_answered_by_compiled_code() -> None:
    """So that the law above is not one of two references."""
    both = Both()
    new = [Letter(NODE, TRUSTED), Letter(SECOND_NODE)]
    both.receive(new)
    assert both.quick == 2
    both.receive([Letter(ALICE), Letter(BOB, TRUSTED)])  # their addresses are the pool's to choose
    assert both.quick == 2
    for mail in (
        [*new, Letter(ALICE), Letter(BOB, TRUSTED)],
        [Letter(NODE, THIRD), Letter(BOB, THIRD, 0xFFFF), Letter(ALICE, destination=OWN)],
        [Letter(HERE), Letter(NODE, care_of=IPv4Address("198.18.9.99"), link=0)],
    ):
        before = both.quick
        both.wait(0.5)
        both.receive(mail)
        assert both.quick == before + len(mail)


def test_of_the_same_batch_a_replay_is_one() -> None:
    both = Both()
    both.receive(
        [Letter(NODE), Letter(NODE, fresh="same"), Letter(NODE), Letter(NODE, fresh="old")]
    )
    assert both.quick == 2
    assert both.whole.counters.retransmissions == 1


def test_who_is_overtaken_is_not_heard() -> None:
    both = Both()
    for agent in (both.single, both.whole):
        agent.follow(frozenset({LINK >> 16}))
    both.receive([Letter(NODE, link=OTHER_LINK), Letter(NODE, link=LINK)])
    assert both.quick == 1
    for agent in (both.single, both.whole):
        agent.follow(frozenset({OTHER_LINK >> 16}))
    both.receive([Letter(NODE, link=OTHER_LINK), Letter(NODE, link=LINK)])
    assert both.quick == 2
    assert both.whole.counters.discarded["controller-overtaken"] == 2


def test_what_another_home_agent_may_have_accepted_is_not_accepted_again() -> None:
    both = Both()
    both.elapsed = 100.0
    for agent in (both.single, both.whole):
        agent.begin_anew(both.now)
    both.receive([Letter(NODE, fresh="before"), Letter(SECOND_NODE, fresh="future")])
    assert both.quick == 1
    assert both.whole.counters.codes[133] == 1


def test_a_mistake_about_one_datagram_is_no_other_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both()
    monkeypatch.setattr(both.whole, "_state", None)  # which only the reference needs
    mail = [Letter(NODE), Letter(ALICE), Letter(SECOND_NODE)]
    payloads = [both.post.write(letter, both.now.wall) for letter in mail]
    outcome = both.receive_together(mail, payloads)
    assert len(outcome.faults) == 1
    assert outcome.replies.rows.tolist() == [0, 2]


def test_what_is_compiled_beforehand_is_what_is_called() -> None:
    """Else the first batch under load would wait for a compiler."""
    serving.warm()
    both = Both()
    both.receive([Letter(), Letter(ALICE)])
    compiled: Any = serving.serve  # numba's
    assert len(compiled.signatures) == 1


def test_a_reload_goes_on_counting_with_compiled_code() -> None:
    config = dataclasses.replace(CONFIG, radius=None)
    member = Member(config)
    member.quicken(serving)
    both = Both()
    letter = Letter()
    for number in (1, 2):
        both.put([letter], [both.post.write(letter, both.now.wall)])
        outcome = member.home_agent.receive_batch(both.batch, both.destination, both.now)
        assert len(outcome.replies.rows) == 1
        assert member.home_agent.counters.codes[0] == number
        member.reconfigure(config, both.now)
