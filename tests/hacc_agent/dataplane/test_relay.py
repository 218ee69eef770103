"""The controller's program, run by the kernel on packets made here (BPF_PROG_TEST_RUN)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from struct import Struct

import pytest

from hacc_agent.dataplane.kernel import Attach, KernelRefused, Map, MapKind, Program, ProgramKind
from hacc_agent.dataplane.packet import COUNTER, DROP, NEXT, REDIRECT, Homes
from hacc_agent.dataplane.relay import (
    ENTRY,
    FRAGMENT,
    Maps,
    Reason,
    Relay,
    Unknown,
    program,
)
from tests.hacc_agent.dataplane.packets import checksum, data, frame, gre, ip, minimal, udp

pytestmark = pytest.mark.lab

VIRTUAL = "198.19.0.1"
AGENT = "198.18.9.1"
SERVER = "203.0.113.80"
NETWORKS = (IPv4Network("198.19.64.0/18"), IPv4Network("198.19.192.0/24"))
NODE, SECOND, OUTSIDE = "198.19.64.5", "198.19.192.255", "192.0.2.9"
UNBOUND, STRANDED = "198.19.64.6", "198.19.64.7"  # nobody's; of a slot without a member
SLOTS = 128
SLOT, EMPTY = 70, 71
MEMBER, OURS = b"\x02member", b"\x02own!!"
LOOPBACK = 1  # the interface that is there everywhere
NEXT_32 = NEXT & 0xFFFFFFFF  # as a test run tells it
TCX = {one: one for one in (NEXT_32, DROP, REDIRECT)}
XDP = {2: NEXT_32, 1: DROP, 4: REDIRECT}  # XDP_PASS, XDP_DROP, XDP_REDIRECT: linux/bpf.h

_WORD = Struct("=I")


def error(quoted: bytes, kind: int = 3) -> bytes:
    return bytes((kind, 1, 0, 0, 0, 0, 0, 0)) + quoted


def sent(node: str = NODE) -> bytes:
    """What a mobile node says to somebody."""
    return ip(node, SERVER, 17, udp(5000, 53, b"question"))


def returned(node: str = NODE) -> bytes:
    return ip(SERVER, node, 17, udp(53, 5000, b"answer"))


@dataclass
class Controller:
    """A program with its maps, and a mobile node for each that a test needs."""

    program: Program
    reasons: Map
    members: Map
    fragments: Map
    verdicts: dict[int, int]

    def run(self, packet: bytes) -> tuple[int, bytes]:
        """In the words of tcx."""
        ran = self.program.run(packet)
        return self.verdicts[ran.verdict], ran.packet

    def count(self, reason: Reason) -> int:
        return self._sum(self.reasons, reason)

    def carried(self, member: int) -> int:
        return self._sum(self.members, member)

    def relays(self, packet: bytes) -> bool:
        """To the member, with nothing changed but both MAC addresses."""
        verdict, left = self.run(packet)
        if verdict != REDIRECT:
            assert left == packet
            return False
        assert left == MEMBER[:6] + OURS[:6] + packet[12:]
        return True

    @staticmethod
    def _sum(counters: Map, place: int) -> int:
        found = counters.get(_WORD.pack(place))
        assert found is not None
        return sum(packets for packets, _ in COUNTER.iter_unpack(found))


def controller(unknown: Unknown, *, xdp: bool = False) -> Iterator[Controller]:
    maps: list[Map] = []

    def made(kind: MapKind, key: int, value: int, entries: int, name: str) -> Map:
        maps.append(Map.create(kind, key, value, entries, name))
        return maps[-1]

    try:
        pools = [made(MapKind.ARRAY, 4, 4, one.num_addresses, "pool") for one in NETWORKS]
    except KernelRefused as refused:
        pytest.skip(f"no maps here: {refused}")
    others = made(MapKind.HASH, 4, 4, 16, "others")
    slots = made(MapKind.ARRAY, 4, 4, SLOTS, "slots")
    entries = made(MapKind.ARRAY, 4, ENTRY.size, 8, "entries")
    fragments = made(MapKind.LRU_HASH, FRAGMENT.size, 4, 64, "fragments")
    reasons = made(MapKind.PER_CPU_ARRAY, 4, COUNTER.size, len(Reason), "reasons")
    members = made(MapKind.PER_CPU_ARRAY, 4, COUNTER.size, 8, "members")
    for pool, network, node, slot in (
        (pools[0], NETWORKS[0], NODE, SLOT),
        (pools[0], NETWORKS[0], STRANDED, EMPTY),
        (pools[1], NETWORKS[1], SECOND, SLOT),
    ):
        place = int(IPv4Address(node)) - int(network.network_address)
        pool.put(_WORD.pack(place), _WORD.pack(slot + 1))
    others.put(IPv4Address(OUTSIDE).packed, _WORD.pack(SLOT + 1))
    for slot in range(SLOTS):
        if slot != EMPTY:
            slots.put(_WORD.pack(slot), _WORD.pack(3 + 1))
    entries.put(_WORD.pack(3), ENTRY.pack(MEMBER[:6], OURS[:6], LOOPBACK, 2 + 1))
    code = program(
        Relay(IPv4Address(VIRTUAL), 434, unknown, SLOTS),
        Maps(
            Homes(NETWORKS, tuple(pool.descriptor for pool in pools), others.descriptor),
            *(one.descriptor for one in (slots, entries, fragments, reasons, members)),
        ),
        0 if xdp else None,
    )
    if xdp:
        loaded = Program.load(ProgramKind.XDP, Attach.XDP, code, "relay")
    else:
        loaded = Program.load(ProgramKind.SCHED_CLS, Attach.TCX_INGRESS, code, "relay")
    yield Controller(loaded, reasons, members, fragments, XDP if xdp else TCX)
    loaded.close()
    for one in maps:
        one.close()


@pytest.fixture(params=["tcx", "xdp"])
def relay(request: pytest.FixtureRequest) -> Iterator[Controller]:
    yield from controller(Unknown.DROP, xdp=request.param == "xdp")


@pytest.fixture
def generous() -> Iterator[Controller]:
    yield from controller(Unknown.ANY_MEMBER)


def tunnel(protocol: int, payload: bytes, **fields: object) -> bytes:
    return frame(ip(AGENT, VIRTUAL, protocol, payload, **fields))  # type: ignore[arg-type]


# Every encapsulation of a packet from a mobile node.
TUNNELS = {
    "ip-in-ip": tunnel(4, sent()),
    "ip-in-ip, options in the outer header": tunnel(4, sent(), options=b"\x94\x04\0\0" * 10),
    "ip-in-ip, options in the inner header": tunnel(
        4, ip(NODE, SERVER, 17, bytes(8), options=b"\x94\x04\0\0")
    ),
    "ip-in-ip, of another network": tunnel(4, sent(SECOND)),
    "ip-in-ip, outside of all networks": tunnel(4, sent(OUTSIDE)),
    "ip-in-ip, a header and nothing else": tunnel(4, sent()[:20]),
    "gre": tunnel(47, gre(sent())),
    "gre, checksum": tunnel(47, gre(sent(), 0x8000, bytes(4))),
    "gre, key": tunnel(47, gre(sent(), 0x2000, b"\1\2\3\4")),
    "gre, sequence": tunnel(47, gre(sent(), 0x1000, b"\1\2\3\4")),
    "gre, checksum, key and sequence": tunnel(47, gre(sent(), 0xB000, bytes(12))),
    "minimal, with its source": tunnel(55, minimal(SERVER, NODE, udp(1, 2, b""))),
    "minimal, co-located": frame(ip(NODE, VIRTUAL, 55, minimal(SERVER, None, udp(1, 2, b"")))),
    "udp, ip": tunnel(17, udp(40000, 434, data(4, sent()))),
    "udp, gre": tunnel(17, udp(40000, 434, data(47, gre(sent(), 0x2000, bytes(4))))),
    "udp, minimal": tunnel(17, udp(434, 434, data(55, minimal(SERVER, NODE, b"")))),
}
# A Foreign Agent, or a router on the way to it, complains of what a member sent to it.
ERRORS = {
    "ip-in-ip": ip(VIRTUAL, AGENT, 4, returned()),
    "ip-in-ip, options": ip(VIRTUAL, AGENT, 4, returned(), options=b"\x94\x04\0\0"),
    "gre": ip(VIRTUAL, AGENT, 47, gre(returned(), 0x2000, bytes(4))),
    "minimal": ip(VIRTUAL, AGENT, 55, minimal(NODE, SERVER, b"12345678")),
    "udp": ip(VIRTUAL, AGENT, 17, udp(434, 40000, data(4, returned()))),
}
# What the kernel, or the registration plane, has to see.
KERNELS = {
    "not IPv4": frame(ip(AGENT, VIRTUAL, 4, sent()), ethertype=0x86DD),
    "a frame for somebody else": frame(ip(AGENT, VIRTUAL, 4, sent()), to=b"\2other"),
    "another destination": frame(ip(AGENT, "198.18.1.1", 4, sent())),
    "a registration request": tunnel(17, udp(434, 434, b"\1" + bytes(60))),
    "another port": tunnel(17, udp(434, 4340, data(4, sent()))),
    "a ping": tunnel(1, b"\x08" + bytes(40)),
    "an error about somebody else's tunnel": tunnel(
        1, error(ip("198.18.1.7", AGENT, 4, returned()))
    ),
    "an error that quotes too little": tunnel(1, error(ip(VIRTUAL, AGENT, 4, returned()[:8]))),
    "an error about a registration reply": tunnel(
        1, error(ip(VIRTUAL, AGENT, 17, udp(434, 434, b"\3" + bytes(60))))
    ),
    "ospf": tunnel(89, bytes(40)),
    "truncated: inner header": tunnel(4, sent()[:19]),
    "truncated: gre": tunnel(47, gre(b"")[:3]),
    "truncated: gre, no inner header": tunnel(47, gre(sent()[:10])),
    "truncated: minimal": tunnel(55, minimal(SERVER, NODE, b"")[:7]),
    "truncated: minimal, source": tunnel(55, minimal(SERVER, NODE, b"")[:11]),
    "truncated: udp": tunnel(17, udp(434, 434, b"\4")),
    "inner header of IPv6": tunnel(4, b"\x60" + bytes(60)),
    "inner header too short": tunnel(4, b"\x44" + sent()[1:]),
    "outer header too short": frame(b"\x44" + ip(AGENT, VIRTUAL, 4, sent())[1:]),
    "gre, source route": tunnel(47, gre(sent(), 0x4000, bytes(8))),
    "gre, version 1": tunnel(47, gre(sent(), 0x0001)),
    "gre, ethernet": tunnel(47, gre(sent(), protocol=0x6558)),
    "udp, an encapsulation that is none": tunnel(17, udp(434, 434, data(89, sent()))),
    "udp in udp": tunnel(17, udp(434, 434, data(17, udp(434, 434, data(4, sent()))))),
}


@pytest.mark.parametrize("case", TUNNELS)
def test_a_tunnel_goes_to_its_member_with_nothing_but_mac_addresses_changed(
    relay: Controller, case: str
) -> None:
    assert relay.relays(TUNNELS[case])
    assert relay.count(Reason.TUNNELLED) == 1
    assert relay.carried(2) == 1


@pytest.mark.parametrize("kind", [3, 4, 11, 12])
@pytest.mark.parametrize("case", ERRORS)
def test_an_error_goes_to_the_member_whose_packet_it_quotes(
    relay: Controller, case: str, kind: int
) -> None:
    assert relay.relays(tunnel(1, error(ERRORS[case], kind)))
    assert relay.count(Reason.ICMP_ERROR) == 1


@pytest.mark.parametrize("case", KERNELS)
def test_what_is_no_tunnel_of_ours_is_left_to_the_kernel(relay: Controller, case: str) -> None:
    assert relay.run(KERNELS[case]) == (NEXT_32, KERNELS[case])
    assert relay.carried(2) == 0


def test_whom_nobody_knows_is_dropped_and_counted(relay: Controller) -> None:
    packet = tunnel(4, sent(UNBOUND))
    assert relay.run(packet) == (DROP, packet)
    assert relay.run(tunnel(4, sent("192.0.2.77")))[0] == DROP
    assert relay.count(Reason.UNKNOWN) == 2


def test_whom_nobody_knows_goes_to_any_member_where_that_is_asked_for(generous: Controller) -> None:
    assert generous.relays(tunnel(4, sent(UNBOUND)))
    assert generous.count(Reason.UNKNOWN) == 1


def test_a_slot_without_a_member_is_counted(relay: Controller) -> None:
    assert relay.run(tunnel(4, sent(STRANDED)))[0] == DROP
    assert relay.count(Reason.NO_MEMBER) == 1
    assert relay.carried(2) == 0


# ------------------------------------------------------------------ fragments

WHOLE = udp(434, 434, data(4, sent()))


def fragment(protocol: int, payload: bytes, offset: int, more: bool, number: int = 9) -> bytes:
    return tunnel(protocol, payload, offset=offset, more=more, number=number)


@pytest.mark.parametrize(("protocol", "first"), [(4, sent()), (17, WHOLE)], ids=["ip", "udp"])
def test_later_fragments_follow_the_first_one(
    relay: Controller, protocol: int, first: bytes
) -> None:
    assert relay.relays(fragment(protocol, first, 0, more=True))
    assert relay.relays(fragment(protocol, b"anything", 48, more=True))
    assert relay.relays(fragment(protocol, b"the end", 56, more=False))
    assert relay.count(Reason.FRAGMENT) == 2
    assert relay.carried(2) == 3


def test_a_later_fragment_of_another_packet_does_not(relay: Controller) -> None:
    assert relay.relays(fragment(4, sent(), 0, more=True))
    assert relay.run(fragment(4, b"anything", 48, more=False, number=10))[0] == DROP
    assert relay.count(Reason.LOST_FRAGMENT) == 1


def test_a_fragment_of_what_the_kernel_puts_together_is_its_own(relay: Controller) -> None:
    assert relay.run(fragment(17, b"anything", 48, more=False))[0] == NEXT_32
    assert relay.count(Reason.LOST_FRAGMENT) == 0


def test_a_whole_packet_is_not_remembered(relay: Controller) -> None:
    assert relay.relays(TUNNELS["ip-in-ip"])
    key = FRAGMENT.pack(IPv4Address(AGENT).packed, IPv4Address(VIRTUAL).packed, 77 << 8, 4)
    assert relay.fragments.get(key) is None
    assert relay.relays(tunnel(4, sent(), more=True))
    assert relay.fragments.get(key) is not None


# ------------------------------------------------------------------ the last resort


@pytest.mark.parametrize("ttl", [2, 64, 255])
def test_a_packet_to_a_home_address_goes_to_the_member_a_hop_older(
    relay: Controller, ttl: int
) -> None:
    packet = frame(ip(SERVER, NODE, 17, udp(53, 5000, b"answer"), ttl=ttl))
    verdict, left = relay.run(packet)
    assert verdict == REDIRECT
    older = frame(ip(SERVER, NODE, 17, udp(53, 5000, b"answer"), ttl=ttl - 1))
    assert left == MEMBER[:6] + OURS[:6] + older[12:]
    assert checksum(left[14:34]) == 0
    assert relay.count(Reason.BY_DESTINATION) == 1


@pytest.mark.parametrize("ttl", [0, 1])
def test_a_packet_at_its_end_is_left_to_the_kernel_which_tells(relay: Controller, ttl: int) -> None:
    packet = frame(ip(SERVER, NODE, 17, b"", ttl=ttl))
    assert relay.run(packet) == (NEXT_32, packet)


def test_a_packet_to_nobody_is_left_to_the_kernel(relay: Controller) -> None:
    packet = frame(ip(SERVER, UNBOUND, 17, b""))
    assert relay.run(packet) == (NEXT_32, packet)


# ------------------------------------------------------------------ what the kernel refuses


def test_a_program_that_the_verifier_refuses_says_why() -> None:
    with pytest.raises(KernelRefused, match=r"program wild: .*R0 !read_ok"):
        Program.load(
            ProgramKind.SCHED_CLS, Attach.TCX_INGRESS, bytes((0x95, 0, 0, 0, 0, 0, 0, 0)), "wild"
        )


def test_a_map_that_is_too_large_says_which() -> None:
    with pytest.raises(KernelRefused, match=r"map huge of 4,294,967,295 entries: "):
        Map.create(MapKind.ARRAY, 4, 64, 0xFFFFFFFF, "huge")


def test_a_hash_that_is_full_says_so() -> None:
    small = Map.create(MapKind.HASH, 4, 4, 1, "small")
    small.put(bytes(4), bytes(4))
    with pytest.raises(OSError, match="Argument list too long"):
        small.put(b"\1\0\0\0", bytes(4))
    small.close()
