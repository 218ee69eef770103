"""Programs and their description do the same to every frame (BPF_PROG_TEST_RUN).

Frames are what real ones look like, then broken: cut off anywhere, octets changed. What a program
and `userspace` are told, and in which order, is drawn too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hacc_agent.dataplane.controller import TcxRelay
from hacc_agent.dataplane.kernel import Attach, Program, ProgramKind
from hacc_agent.dataplane.maps import Folder
from hacc_agent.dataplane.member import TcxTunnels
from hacc_agent.dataplane.packet import DROP, NEXT, REDIRECT
from hacc_agent.dataplane.plane import Neighbour, Plane, PlaneFailed
from hacc_agent.dataplane.relay import Unknown
from hacc_agent.dataplane.userspace.packets import Fate, Verdict
from hacc_agent.dataplane.userspace.relay import UserRelay
from hacc_agent.dataplane.userspace.tunnels import UserTunnels
from hacc_agent.engine.networks import routed
from hacc_agent.engine.record import RECORD, STRUCT, Kind, Row, Trait
from tests.hacc_agent.dataplane.packets import data, frame, gre, ip, minimal, udp
from tests.segment import Namespace

pytestmark = pytest.mark.lab

NOWHERE = Path("/nonexistent")  # so that nothing outlives a test
VIRTUAL = "198.19.0.1"
NETWORKS = (IPv4Network("198.19.64.0/18"), IPv4Network("198.19.192.0/24"))
BEHIND = (IPv4Network("198.19.100.0/24"), IPv4Network("198.19.100.64/26"))
AGENTS = ("198.18.9.1", "198.18.9.2")
HOMES = ("198.19.64.5", "198.19.64.6", "198.19.127.255", "198.19.192.255", "192.0.2.9")
BOARDS = ("198.19.100.1", "198.19.100.70", "198.19.100.64")  # in mobile networks, at times
OTHERS = ("203.0.113.80", "198.19.128.0", "198.19.63.255", "0.0.0.0", "255.255.255.255")
PORT = 40_000  # that a node behind a translator has asked from
SLOTS, MEMBERS = 128, 4
SHORTEST = 14 + 20  # octets of a test run's frame, if it is IPv4's
LOOPBACK = 1  # the interface that is there everywhere
NEXT_32 = NEXT & 0xFFFFFFFF  # as a test run tells it
TCX = {NEXT_32: Verdict.KERNEL, DROP: Verdict.DROP, REDIRECT: Verdict.SEND}
XDP = {2: Verdict.KERNEL, 1: Verdict.DROP, 4: Verdict.SEND}  # linux/bpf.h

# ------------------------------------------------------------------ frames

INSIDE_ADDRESSES = (*HOMES * 3, *BOARDS * 2, *OTHERS, VIRTUAL)
OPTIONS = (b"", b"", b"", b"", b"\x94\x04\0\0", bytes(40))
HOPS = (64, 64, 64, 255, 2, 1, 0)


def rarely(chance: Random) -> bool:
    return chance.random() < 0.1


def plain(chance: Random) -> bytes:
    """An IPv4 packet with no tunnel in it."""
    return ip(
        chance.choice(INSIDE_ADDRESSES), chance.choice(INSIDE_ADDRESSES),
        chance.choice((17, 6, 1)), chance.randbytes(chance.randrange(24)),
        options=chance.choice(OPTIONS), ttl=chance.choice(HOPS), number=chance.getrandbits(16),
        more=rarely(chance), offset=8 * rarely(chance),
    )  # fmt: skip


def encapsulated(chance: Random, protocol: int) -> bytes:
    """What packets of a protocol carry."""
    if protocol == 4:
        return plain(chance)
    if protocol == 47:
        flags = chance.choice((0, 0x8000, 0x2000, 0x1000, 0xB000))
        present = sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
        flags |= chance.choice((0x4000, 1)) if rarely(chance) else 0
        kind = 0x6558 if rarely(chance) else 0x0800
        return gre(plain(chance), flags, chance.randbytes(4 * present), kind)
    source = chance.choice((None, *INSIDE_ADDRESSES))
    return minimal(chance.choice(INSIDE_ADDRESSES), source, chance.randbytes(9))


def tunnel(chance: Random, *, outwards: bool = False) -> tuple[int, bytes]:
    """As a Foreign Agent sends it to the virtual address; or, outwards, as a member does."""
    protocol = chance.choice((4, 4, 47, 55))
    body = encapsulated(chance, protocol)
    if chance.randrange(3):
        return protocol, body
    there, here = chance.choice((*[(PORT, 434)] * 7, (PORT + 1, 434), (434, 434), (PORT, 435)))
    kind = 17 if rarely(chance) else protocol
    ends = (here, there) if outwards else (there, here)
    return 17, udp(*ends, data(kind, body))


def arriving(chance: Random) -> bytes:
    """Mostly as somebody means it."""
    to = VIRTUAL
    case = chance.choice(("tunnel", "tunnel", "tunnel", "error", "plain"))
    if case == "tunnel":
        protocol, body = tunnel(chance)
    elif case == "error":
        protocol, quoted = tunnel(chance, outwards=True)
        origin = AGENTS[0] if rarely(chance) else VIRTUAL
        sent = ip(origin, AGENTS[0], protocol, quoted, options=chance.choice(OPTIONS))
        kind = 8 if rarely(chance) else chance.choice((3, 4, 11, 12))
        protocol, body = 1, bytes((kind, 1)) + bytes(6) + sent
    else:
        to = chance.choice((*HOMES, *BOARDS, *OTHERS, VIRTUAL))
        protocol, body = chance.choice((17, 6, 89)), chance.randbytes(chance.randrange(40))
    source = (
        chance.choice(INSIDE_ADDRESSES) if rarely(chance) else chance.choice(AGENTS * 2 + HOMES)
    )
    packet = ip(
        source, to, protocol, body,
        options=chance.choice(OPTIONS), ttl=chance.choice(HOPS), number=chance.randrange(4),
        more=rarely(chance), offset=chance.choice((8, 0xFFF8)) * rarely(chance),
    )  # fmt: skip
    mac = chance.choice((b"\x02other", b"\xff" * 6)) if rarely(chance) else bytes(6)
    ethertype = chance.choice((0x88CC, 0x0806)) if rarely(chance) else 0x0800
    return broken(chance, frame(packet, mac, ethertype))


def departing(chance: Random) -> bytes:
    """What the kernel sends to the device: of any length that fits, to anybody."""
    to = chance.choice((*HOMES * 2, *BOARDS, OTHERS[1]))
    if rarely(chance):
        return frame(ip(OTHERS[0], to, 17, bytes(INSIDE - 20)))
    body, words = chance.randbytes(chance.randrange(40)), chance.choice(OPTIONS)
    ttl, numbered = chance.choice(HOPS), chance.getrandbits(16)
    if rarely(chance):  # the checksum that becomes 0 when a hop is gone, and not 0xFFFF
        there = int.from_bytes(ip(OTHERS[0], to, 17, body, options=words, ttl=ttl, number=0)[10:12])
        numbered = (there - 0xFEFF) % 0xFFFF
    packet = ip(
        OTHERS[0], to, 17, body, options=words, ttl=ttl, number=numbered,
        more=rarely(chance), offset=8 * rarely(chance),
    )  # fmt: skip
    flagged = bytearray(packet)
    flagged[6] |= 0x40 * rarely(chance)  # DF; the checksum is whatever it is now
    return frame(bytes(flagged))


def broken(chance: Random, made: bytes) -> bytes:
    """Mostly it is not."""
    octets = bytearray(made)
    if rarely(chance):
        octets[chance.randrange(len(octets))] = chance.getrandbits(8)
    return bytes(octets[: chance.randint(SHORTEST, len(octets))] if rarely(chance) else octets)


seeds = st.integers(0, 2**32 - 1)
FRAMES = 40  # of a seed


# ------------------------------------------------------------------ what planes are told


@dataclass
class Told:
    """What an engine would hold, and the same to both planes."""

    kernel: Any
    user: Any
    rows: dict[int, list[Row]] = field(default_factory=dict)

    def follow(self, *decided: Row, networks: bytes = b"") -> None:
        octets = b"".join(STRUCT.pack(*row) for row in decided) + networks
        for plane in (self.kernel, self.user):
            plane.follow(np.frombuffer(octets, RECORD))

    def bind(self, row: Row) -> None:
        """Beside what it has with another care-of address, if it asks for that (S)."""
        kept = self.rows.get(row.home_address, []) if row.flags & 0x80 else []
        kept = [one for one in kept if one.care_of_address != row.care_of_address]
        self.rows[row.home_address] = [*kept, row]
        self.follow(row)

    def unbind(self, home: int) -> None:
        self.rows.pop(home, None)
        self.follow(Row(Kind.UNBOUND, home_address=home))

    def load(self, networks: bytes) -> None:
        octets = b"".join(STRUCT.pack(*row) for rows in self.rows.values() for row in rows)
        for plane in (self.kernel, self.user):
            plane.load(np.frombuffer(octets + networks, RECORD))

    def agree(self) -> None:
        def all_of(plane: Plane) -> list[tuple[str, int, int]]:
            return [(one.reason, one.packets, one.octets) for one in plane.counted()]

        assert all_of(self.kernel) == all_of(self.user)


def number(address: str) -> int:
    return int(IPv4Address(address))


homes = st.sampled_from(HOMES).map(number)
members = st.integers(0, MEMBERS - 1)
places = st.none() | st.builds(
    Neighbour, st.integers(1, 2**48 - 1), st.integers(1, 2**48 - 1), st.just(LOOPBACK)
)
orders = st.one_of(
    st.tuples(st.sampled_from(("bind", "wait")), homes, st.integers(0, SLOTS - 1)),
    st.tuples(st.just("end"), homes),
    st.tuples(st.just("repoint"), st.sets(st.integers(0, SLOTS - 1), max_size=8), members),
    st.tuples(st.just("reach"), members, places),
    st.tuples(st.just("serve"), homes, st.sampled_from(BEHIND), st.booleans()),
    st.tuples(st.just("load"), homes, st.sampled_from(BEHIND)),
)


# ------------------------------------------------------------------ a controller


@dataclass
class Relays:
    told: Told
    program: Program
    verdicts: dict[int, Verdict]

    def obey(self, order: tuple[Any, ...]) -> None:
        told = self.told
        match order:
            case ("bind" | "wait" as word, home, slot):
                kind = Kind.BINDING if word == "bind" else Kind.PENDING
                told.bind(Row(kind, home_address=home, slot=slot))
            case ("end", home):
                told.unbind(home)
            case ("repoint", slots, member):
                for plane in (told.kernel, told.user):
                    plane.repoint(slots, member)
            case ("reach", member, place):
                for plane in (told.kernel, told.user):
                    plane.reach(member, place)
            case ("serve", home, network, withdrawn):
                told.follow(networks=routed(home, [network], withdrawn=withdrawn))
            case ("load", home, network):
                told.load(routed(home, [network]))

    def begin(self) -> None:
        """One member is where it is, and has all slots; everybody is bound."""
        self.told.rows.clear()
        self.told.load(b"")
        place = Neighbour(0x02_AA_BB_CC_DD_EE, 0x02_11_22_33_44_55, LOOPBACK)
        for plane in (self.told.kernel, self.told.user):
            plane.repoint(range(SLOTS), 0)
            for member in range(MEMBERS):
                plane.reach(member, None if member else place)
        for slot, home in enumerate(HOMES):
            self.obey(("bind", number(home), slot))
        self.obey(("serve", number(HOMES[0]), BEHIND[0], False))

    def compare(self, sent: bytes) -> None:
        ran = self.program.run(sent)
        said = self.told.user.forward(sent, 0)
        assert self.verdicts[ran.verdict] is said.verdict
        if said.verdict is not Verdict.DROP:
            assert ran.packet == said.frame


@contextmanager
def relays(unknown: Unknown, *, xdp: bool) -> Iterator[Relays]:
    rows: dict[int, list[Row]] = {}

    def slot_of(home: int) -> int | None:
        return rows[home][0].slot if home in rows else None

    slots = np.zeros(SLOTS, np.uint16)
    try:
        kernel = TcxRelay(
            *(IPv4Address(VIRTUAL), NETWORKS, (), slots, MEMBERS, slot_of),
            unknown=unknown,
            mobile_networks=True,
            folder=Folder("relay", "law", NOWHERE),
        )
    except PlaneFailed as why:
        pytest.skip(str(why))
    user = UserRelay(IPv4Address(VIRTUAL), slots, MEMBERS, slot_of, unknown=unknown)
    with closing(kernel):
        program = kernel.for_driver(0) if xdp else kernel._at_tcx("")
        with closing(program):
            yield Relays(Told(kernel, user, rows), program, XDP if xdp else TCX)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((Unknown.DROP, False), id="tcx"),
        pytest.param((Unknown.DROP, True), id="xdp"),
        pytest.param((Unknown.ANY_MEMBER, False), id="tcx, any member"),
    ],
)
def relay(request: pytest.FixtureRequest) -> Iterator[Relays]:
    unknown, xdp = request.param
    with relays(unknown, xdp=xdp) as made:
        yield made


@settings(max_examples=80, deadline=None)
@given(st.lists(orders, max_size=6), seeds)
def test_a_controllers_program_does_what_is_described(
    relay: Relays, told: list[tuple[Any, ...]], seed: int
) -> None:
    chance = Random(seed)
    relay.begin()
    for order in told:
        relay.obey(order)
    for _ in range(FRAMES):
        relay.compare(arriving(chance))
    relay.told.agree()
    assert relay.told.kernel.carried() == relay.told.user.carried()


# ------------------------------------------------------------------ a member

NEIGHBOUR, OURS = bytes.fromhex("02deadbeef01"), bytes.fromhex("02deadbeef02")
WAY = 1500  # octets of the longest packet to a care-of address
INSIDE = WAY - 32
kinds = st.sampled_from((4, 4, 47, 55, 17))


def bound(home: int, kind: int, agent: int, several: bool = False) -> Row:
    """To a Foreign Agent, in this kind of tunnel; beside another care-of address (S)."""
    return Row(
        Kind.BINDING,
        flags=0x80 * several,
        home_address=home,
        care_of_address=number(AGENTS[agent]),
        source_address=number(AGENTS[agent]),
        source_port=PORT,
        tunnel=4 if kind == 17 else kind,
        traits=Trait.UDP_TUNNEL if kind == 17 else 0,
    )


bindings = st.builds(bound, homes, kinds, st.integers(0, 1), st.booleans())
tunnel_orders = st.one_of(
    st.tuples(st.just("bind"), bindings),
    st.tuples(st.just("end"), homes),
    st.tuples(st.just("serve"), homes, st.sampled_from(BEHIND), st.booleans()),
    st.tuples(st.just("load"), homes, st.sampled_from(BEHIND)),
)


@dataclass
class Tunnels:
    told: Told
    namespace: Namespace
    into: Program
    out: Program

    def obey(self, order: tuple[Any, ...]) -> None:
        match order:
            case ("bind", row):
                self.told.bind(row)
            case ("end", home):
                self.told.unbind(home)
            case ("serve", home, network, withdrawn):
                self.told.follow(networks=routed(home, [network], withdrawn=withdrawn))
            case ("load", home, network):
                self.told.load(routed(home, [network]))

    def begin(self) -> None:
        """One is bound in each kind of tunnel, one in two; the last one has a network behind it."""
        self.told.rows.clear()
        self.told.load(b"")
        for home, kind in zip(HOMES, (17, 47, 55, 4, 4), strict=True):
            self.told.bind(bound(number(home), kind, 0))
        self.told.bind(bound(number(HOMES[-1]), 47, 1, several=True))
        self.obey(("serve", number(HOMES[3]), BEHIND[0], False))

    def compare(self, program: Program, sent: bytes) -> None:
        with self.namespace.inside():
            ran = program.run(sent)
        # The outer packet's number is chance.
        chosen = int.from_bytes(ran.packet[18:20], "big")
        user = self.told.user
        if program is self.into:
            said: Fate = user.depart(sent, chosen)
        else:
            said = user.arrive(sent, 0, chosen)
        assert TCX[ran.verdict] is said.verdict
        if said.verdict is not Verdict.DROP:
            assert ran.packet == said.frame


def hop(_destination: int, length: int) -> bytes | None:
    return NEIGHBOUR + OURS if length <= WAY else None


@pytest.fixture(scope="module")
def tunnelling() -> Iterator[Tunnels]:
    rows: dict[int, list[Row]] = {}

    def rows_of(home: int) -> list[Row]:
        return rows.get(home, [])

    with closing(Namespace()) as namespace:
        for words in (
            f"link add way address {OURS.hex(':')} type veth peer name end",
            "link set end up",
            "addr add 198.18.1.21/24 dev way",
            "link set way up",
            "route add default via 198.18.1.1",
            f"neigh add 198.18.1.1 lladdr {NEIGHBOUR.hex(':')} dev way nud permanent",
        ):
            namespace.ip(*words.split())
        namespace.setting("net.ipv4.ip_forward", 1)
        try:
            with namespace.inside():
                kernel = TcxTunnels(
                    *(IPv4Address(VIRTUAL), NETWORKS, (), rows_of),
                    mtu=WAY,
                    mobile_networks=True,
                    folder=Folder("member", "law", NOWHERE),
                )
        except PlaneFailed as why:
            pytest.skip(str(why))
        user = UserTunnels(IPv4Address(VIRTUAL), rows_of, hop, mtu=INSIDE)
        with closing(kernel):
            leaving, coming = kernel._code.values()
            into = Program.load(ProgramKind.SCHED_CLS, Attach.TCX_EGRESS, leaving, "into")
            out = Program.load(ProgramKind.SCHED_CLS, Attach.TCX_INGRESS, coming, "out")
            with closing(into), closing(out):
                yield Tunnels(Told(kernel, user, rows), namespace, into, out)


@settings(max_examples=80, deadline=None)
@given(st.lists(tunnel_orders, max_size=6), seeds)
def test_a_members_programs_do_what_is_described(
    tunnelling: Tunnels, told: list[tuple[Any, ...]], seed: int
) -> None:
    chance = Random(seed)
    tunnelling.begin()
    for order in told:
        tunnelling.obey(order)
    for _ in range(FRAMES):
        tunnelling.compare(tunnelling.out, arriving(chance))
        leaving = departing(chance)
        for program in (tunnelling.into, tunnelling.out):
            tunnelling.compare(program, leaving)
    tunnelling.told.agree()


# ------------------------------------------------------------------ whether frames are good ones


def reasons(plane: Plane) -> dict[str, int]:
    return {one.reason: one.packets for one in plane.counted()}


def test_whatever_can_become_of_a_frame_at_a_controller_becomes_of_some(relay: Relays) -> None:
    relay.begin()
    relay.obey(("repoint", {1}, 1))  # where nobody is
    before, chance = reasons(relay.told.user), Random(1)
    for _ in range(2000):
        relay.compare(arriving(chance))
    after = reasons(relay.told.user)
    assert [each for each in after if after[each] - before[each] < 10] == []


def test_whatever_can_become_of_a_frame_at_a_member_becomes_of_some(tunnelling: Tunnels) -> None:
    tunnelling.begin()
    before, chance = reasons(tunnelling.told.user), Random(1)
    for _ in range(2000):
        tunnelling.compare(tunnelling.out, arriving(chance))
        tunnelling.compare(tunnelling.into, departing(chance))
    after = reasons(tunnelling.told.user)
    rare = [each for each in after if after[each] - before[each] < 10]
    assert rare == ["no route"], "of which there is one to everywhere"
