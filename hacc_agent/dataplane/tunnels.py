"""The member's two programs: where packets arrive, and where the kernel sends them into tunnels.

**Into a tunnel.** The kernel routes packets for home addresses to a device of ours, so that errors,
fragments, options and the tunnel's MTU are its business, as for every router. What leaves there is
put into the tunnel of its binding and sent by the route to the care-of address:

    binding                  what stands before the packet            source and destination
    -----------------------  ---------------------------------------  ----------------------
    IP in IP (RFC 2003)      IP                                       ours, care-of address
    GRE (RFC 2784)           IP, GRE                                  ours, care-of address
    UDP (RFC 3519)           IP, UDP from port 434, tunnel data, IP   ours, where it asked from
    minimal (RFC 2004)       changed IP header, forwarding header     ours, care-of address

A fragment, or a header with options, has no place in a minimal header and goes IP in IP
(RFC 2004, 2). Without a binding it goes to the device's other end, which tells the sender.

Most packets need nothing of what the kernel does on that way. These, short enough, with a bound
destination, enough time to live and no options, are put into their tunnel where they arrive.

**Out of a tunnel.** A packet to our address is taken out if its inner source is bound and its outer
source is the care-of address of a binding of it, with that one's kind of tunnel: else anybody could
speak for a mobile node, or through us to anywhere. Then the kernel routes it like any other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import Struct
from typing import Final

from ..wire import Encapsulation, MessageType
from .assembler import Condition, Helper, Operation, Width
from .packet import (
    DESTINATION,
    ETHERNET,
    GRE,
    HEADER,
    INNER,
    IPIP,
    IPV4,
    LATER,
    LENGTH,
    MINIMAL,
    MORE,
    NEXT_HEADER,
    ORIGINAL_SOURCE,
    OUTER,
    PROTOCOL,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R8,
    R9,
    SEGMENT,
    SOURCE,
    STACK,
    UDP,
    Homes,
    PacketProgram,
    network_order,
)

TUNNEL: Final = Struct("=4sHBx")
"""Where a home address's tunnel ends: care-of address (of UDP: what the request came from), port in
network order (UDP), kind as `Kind`; of several the home address. Eight octets, so that it changes
in one store."""

ONE_OF: Final = Struct("=4s4sHH")
"""Of a mobile node with simultaneous bindings where packets may come from: its home address, the
tunnel's end, its port in network order (UDP), the protocol."""

TTL: Final = 64  # of the outer header: RFC 1700's default

# bpf_skb_adjust_room: linux/bpf.h
_BEHIND_IP: Final = 0  # BPF_ADJ_ROOM_NET
_BEFORE_IP: Final = 1  # BPF_ADJ_ROOM_MAC
_ENCAPSULATES: Final = 1 << 1  # BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
_WITH_GRE: Final = 1 << 3
_WITH_UDP: Final = 1 << 4

# bpf_fib_lookup: struct of 64 octets, of which these are set or read.
_FIB: Final = -192
_FIB_OCTETS: Final = 64
_FIB_LENGTH: Final = _FIB + 6
_FIB_INTERFACE: Final = _FIB + 8
_FIB_SOURCE: Final = _FIB + 16
_FIB_DESTINATION: Final = _FIB + 32
_FIB_MACS: Final = _FIB + 52  # ours, then the neighbour's
_FOUND: Final = 0  # BPF_FIB_LKUP_RET_SUCCESS
_NO_NEIGHBOUR: Final = 7  # it is asked for by who sends
_TOO_LONG: Final = 8  # for the route's MTU
_INTO_STACK: Final = 1  # BPF_F_INGRESS

_AF_INET: Final = 2
_TUNNEL: Final = -80  # on the stack: TUNNEL
_NEW: Final = -120  # a header in the making: at most 32 octets
_DONT_FRAGMENT: Final = 0x4000


class Kind(enum.IntEnum):
    """Of a tunnel. Home addresses without one have 0."""

    IP = 4
    UDP = 17
    GRE = 47
    MINIMAL = 55
    SEVERAL = 255  # simultaneous bindings: the device's other end makes the copies


OVERHEAD: Final = {Kind.IP: 20, Kind.GRE: 24, Kind.UDP: 32, Kind.MINIMAL: 12}
"""Octets that a tunnel adds at most."""


class Reason(enum.IntEnum):
    """What became of packets; the place of its counter."""

    ENCAPSULATED = 0
    DECAPSULATED = 1
    UNBOUND = 2  # to a home address without a binding
    NO_ROUTE = 3  # to a care-of address
    SPOOFED = 4  # its outer source is not the care-of address of its inner one
    UNKNOWN = 5  # its inner source is not bound
    UNREADABLE = 6  # left to the kernel


@dataclass(frozen=True, slots=True)
class Maps:
    """Descriptors."""

    homes: Homes  # home address -> TUNNEL
    several: int  # hash: ONE_OF of each of simultaneous bindings
    reasons: int  # per-CPU array: COUNTER by Reason


@dataclass(frozen=True, slots=True)
class Member:
    """What the programs are made for."""

    home_agent_address: IPv4Address
    port: int
    device: int  # index of the interface that home addresses are routed to
    mtu: int  # of that interface: what fits into every kind of tunnel


def departing(member: Member, maps: Maps) -> bytes:
    """Of kind SCHED_CLS, for tcx egress of the device that home addresses are routed to."""
    return _Departing(member, maps).assemble()


def arriving(member: Member, maps: Maps) -> bytes:
    """Of kind SCHED_CLS, for tcx ingress of each interface of a member."""
    return _Arriving(member, maps).assemble()


class _Into(PacketProgram):
    """From a packet at R6, its header at INNER and its binding's tunnel, to the wire."""

    def __init__(self, member: Member, maps: Maps) -> None:
        super().__init__()
        self._member, self._maps = member, maps
        self._ours = network_order(int(member.home_agent_address), 4)

    def _find_tunnel(self, unbound: str) -> None:
        """Of the destination: its kind is in R9 then."""
        asm = self.asm
        asm.load(Width.WORD, R2, STACK, INNER + DESTINATION)
        self.look_up(self._maps.homes, Width.DOUBLE, unbound)
        asm.store(Width.DOUBLE, STACK, _TUNNEL, R2)
        asm.load(Width.BYTE, R9, STACK, _TUNNEL + 6)

    def _encapsulate(self) -> None:
        """By the kind in R9; leaves the program. Needs the name "no tunnel"."""
        asm = self.asm
        for kind in (Kind.IP, Kind.GRE, Kind.UDP, Kind.MINIMAL):
            asm.jump_if(R9, Condition.EQUAL, kind, kind.name)
        asm.jump("no tunnel")
        self._minimal()
        asm.name(Kind.IP.name)
        self._wrap(IPIP, 0, 0)
        asm.name(Kind.GRE.name)
        asm.store(Width.WORD, STACK, _NEW + HEADER, network_order(IPV4, 4))
        self._wrap(GRE, 4, _WITH_GRE)
        asm.name(Kind.UDP.name)
        self._udp()
        self._wrap(UDP, 12, _WITH_UDP)
        self._send()

    def _udp(self) -> None:
        """Without a checksum, as RFC 3519, 3.3 allows it: what is inside has its own."""
        asm = self.asm
        asm.store(Width.HALF, STACK, _NEW + HEADER, network_order(self._member.port, 2))
        asm.load(Width.HALF, R2, STACK, _TUNNEL + 4)
        asm.store(Width.HALF, STACK, _NEW + HEADER + 2, R2)
        asm.load(Width.HALF, R2, STACK, INNER + 2)
        asm.swap(R2, 16)
        asm.add(R2, 12)
        asm.swap(R2, 16)
        asm.store(Width.HALF, STACK, _NEW + HEADER + 4, R2)
        asm.store(Width.HALF, STACK, _NEW + HEADER + 6, 0)
        asm.store(Width.BYTE, STACK, _NEW + HEADER + 8, MessageType.TUNNEL_DATA)
        asm.store(Width.BYTE, STACK, _NEW + HEADER + 9, Encapsulation.IP)
        asm.store(Width.HALF, STACK, _NEW + HEADER + 10, 0)

    def _wrap(self, protocol: int, more: int, flags: int) -> None:
        """A header before the packet; what follows it lies behind it on the stack already."""
        asm = self.asm
        self._header(protocol, HEADER + more)
        asm.move(R1, R6)
        asm.move(R2, HEADER + more)
        asm.move(R3, _BEFORE_IP)
        asm.move(R4, _ENCAPSULATES | flags)
        asm.call(Helper.ADJUST_ROOM)
        asm.jump_if(R0, Condition.UNEQUAL, 0, "no route")
        self.write(ETHERNET, HEADER + more, _NEW)
        asm.jump("send")

    def _header(self, protocol: int, more: int) -> None:
        """The outer header at _NEW (RFC 2003, 3.1): DF as inside, so that path MTU works."""
        asm = self.asm
        asm.store(Width.BYTE, STACK, _NEW, 0x45)
        asm.load(Width.BYTE, R2, STACK, INNER + 1)
        asm.store(Width.BYTE, STACK, _NEW + 1, R2)
        asm.load(Width.HALF, R2, STACK, INNER + 2)
        asm.swap(R2, 16)
        asm.add(R2, more)
        asm.swap(R2, 16)
        asm.store(Width.HALF, STACK, _NEW + 2, R2)
        asm.call(Helper.RANDOM)  # an identification that other packets do not have soon
        asm.store(Width.HALF, STACK, _NEW + 4, R0)
        asm.load(Width.HALF, R2, STACK, INNER + 6)
        asm.calculate(Operation.AND, R2, network_order(_DONT_FRAGMENT, 2))
        asm.store(Width.HALF, STACK, _NEW + 6, R2)
        asm.store(Width.BYTE, STACK, _NEW + 8, TTL)
        asm.store(Width.BYTE, STACK, _NEW + 9, protocol)
        asm.store(Width.WORD, STACK, _NEW + SOURCE, self._ours)
        asm.load(Width.WORD, R2, STACK, _TUNNEL)
        asm.store(Width.WORD, STACK, _NEW + DESTINATION, R2)
        self.checksum(_NEW, HEADER, R3, skip=(10,))
        asm.store(Width.HALF, STACK, _NEW + 10, R3)

    def _minimal(self) -> None:
        """RFC 2004, 3.1: the header is changed and what it lacks now stands behind it."""
        asm = self.asm
        asm.name(Kind.MINIMAL.name)
        asm.load(Width.BYTE, R2, STACK, INNER)
        asm.jump_if(R2, Condition.UNEQUAL, 0x45, Kind.IP.name)
        asm.load(Width.WORD, R2, R6, SEGMENT)  # the kernel cuts long ones itself, but not these
        asm.jump_if(R2, Condition.UNEQUAL, 0, Kind.IP.name)
        asm.load(Width.HALF, R2, STACK, INNER + 6)
        asm.jump_if(R2, Condition.ANY_BIT, network_order(LATER | MORE, 2), Kind.IP.name)
        forwarding = _NEW + HEADER
        asm.load(Width.BYTE, R2, STACK, INNER + 9)
        asm.store(Width.BYTE, STACK, forwarding, R2)
        asm.store(Width.BYTE, STACK, forwarding + 1, ORIGINAL_SOURCE)
        asm.load(Width.WORD, R2, STACK, INNER + DESTINATION)
        asm.store(Width.WORD, STACK, forwarding + 4, R2)
        asm.load(Width.WORD, R2, STACK, INNER + SOURCE)
        asm.store(Width.WORD, STACK, forwarding + 8, R2)
        self.checksum(forwarding, 12, R3, skip=(2,))
        asm.store(Width.HALF, STACK, forwarding + 2, R3)
        self._header(MINIMAL, 12)
        for half in (4, 8):  # identification and time to live stay
            asm.load(Width.HALF, R2, STACK, INNER + half)
            asm.store(Width.HALF, STACK, _NEW + half, R2)
        asm.store(Width.BYTE, STACK, _NEW + 9, MINIMAL)
        self.checksum(_NEW, HEADER, R3, skip=(10,))
        asm.store(Width.HALF, STACK, _NEW + 10, R3)
        asm.move(R1, R6)
        asm.move(R2, 12)
        asm.move(R3, _BEHIND_IP)
        asm.move(R4, 0)
        asm.call(Helper.ADJUST_ROOM)
        asm.jump_if(R0, Condition.UNEQUAL, 0, "no route")
        self.write(ETHERNET, HEADER + 12, _NEW)
        asm.jump("send")

    def _send(self) -> None:
        """By the route to the outer destination; what is too long for it the kernel cuts."""
        asm = self.asm
        asm.name("send")
        for at in range(0, _FIB_OCTETS, 8):
            asm.store(Width.DOUBLE, STACK, _FIB + at, 0)
        asm.store(Width.BYTE, STACK, _FIB, _AF_INET)
        asm.load(Width.WORD, R2, R6, SEGMENT)
        asm.jump_if(R2, Condition.UNEQUAL, 0, "any length")
        asm.load(Width.HALF, R2, STACK, _NEW + 2)
        asm.swap(R2, 16)
        asm.store(Width.HALF, STACK, _FIB_LENGTH, R2)
        asm.name("any length")
        asm.store(Width.WORD, STACK, _FIB_INTERFACE, self._member.device)
        asm.store(Width.WORD, STACK, _FIB_SOURCE, self._ours)
        asm.load(Width.WORD, R2, STACK, _NEW + DESTINATION)
        asm.store(Width.WORD, STACK, _FIB_DESTINATION, R2)
        asm.move(R1, R6)
        asm.move(R2, STACK)
        asm.add(R2, _FIB)
        asm.move(R3, _FIB_OCTETS)
        asm.move(R4, 0)
        asm.call(Helper.FIB_LOOKUP)
        asm.move(R7, R0)
        self.count(self._maps.reasons, Reason.ENCAPSULATED)
        asm.jump_if(R7, Condition.EQUAL, _FOUND, "to neighbour")
        asm.jump_if(R7, Condition.EQUAL, _NO_NEIGHBOUR, "to somebody")
        asm.jump_if(R7, Condition.EQUAL, _TOO_LONG, "to stack")
        asm.name("no route")
        self.count(self._maps.reasons, Reason.NO_ROUTE)
        asm.leave(self.drop)
        asm.name("to neighbour")
        for to, where in ((_NEW, _FIB_MACS + 6), (_NEW + 6, _FIB_MACS)):
            for half in (0, 2, 4):
                asm.load(Width.HALF, R2, STACK, where + half)
                asm.store(Width.HALF, STACK, to + half, R2)
        self.write(0, 12, _NEW)
        asm.load(Width.WORD, R1, STACK, _FIB_INTERFACE)
        asm.move(R2, 0)
        asm.call(Helper.REDIRECT)
        asm.exit()
        asm.name("to somebody")
        asm.load(Width.WORD, R1, STACK, _FIB_INTERFACE)
        asm.move(R2, 0)
        asm.move(R3, 0)
        asm.move(R4, 0)
        asm.call(Helper.REDIRECT_NEIGHBOUR)
        asm.exit()
        asm.name("to stack")
        asm.move(R1, self._member.device)
        asm.move(R2, _INTO_STACK)
        asm.call(Helper.REDIRECT)
        asm.exit()


class _Departing(_Into):
    """The kernel has routed it, made it a hop older, and cut it if need be."""

    def assemble(self) -> bytes:
        asm = self.asm
        asm.move(R6, R1)
        asm.load(Width.WORD, R2, R6, PROTOCOL)
        asm.jump_if(R2, Condition.UNEQUAL, network_order(IPV4, 2), "other end")
        self.copy(ETHERNET, HEADER, INNER, "other end")
        self._find_tunnel("unbound")
        asm.jump_if(R9, Condition.EQUAL, Kind.SEVERAL, "other end")
        self._encapsulate()
        asm.name("no tunnel")
        asm.name("unbound")
        self.count(self._maps.reasons, Reason.UNBOUND)
        asm.name("other end")
        asm.leave(self.next)
        return asm.assemble()


class _Arriving(_Into):
    """R7: octets that go, counted from the frame's begin; R8: the kind of tunnel."""

    def assemble(self) -> bytes:
        asm = self.asm
        self.only_ours("kernel")
        asm.load(Width.WORD, R2, STACK, OUTER + DESTINATION)
        asm.jump_if_32(R2, Condition.UNEQUAL, self._ours, "to others")
        asm.load(Width.HALF, R2, STACK, OUTER + 6)
        # In fragments it is the kernel's to put together; there is no tunnel in it afterwards.
        asm.jump_if(R2, Condition.ANY_BIT, network_order(LATER | MORE, 2), "kernel")
        asm.load(Width.BYTE, R8, STACK, OUTER + 9)
        asm.jump_if(R8, Condition.EQUAL, IPIP, "inner header")
        asm.jump_if(R8, Condition.EQUAL, GRE, "gre")
        asm.jump_if(R8, Condition.EQUAL, UDP, "udp")
        asm.jump_if(R8, Condition.EQUAL, MINIMAL, "minimal")
        asm.jump("kernel")
        self._from_udp()
        asm.name("gre")
        self.gre_length("unreadable")
        asm.name("inner header")
        self.copy(R7, HEADER, INNER, "unreadable")
        self.header_length(INNER, R2, "unreadable")
        asm.load(Width.WORD, R2, STACK, INNER + DESTINATION)
        udp_only, not_udp = asm.unique("keepalive"), asm.unique("no keepalive")
        asm.jump_if(R8, Condition.EQUAL, UDP, udp_only)
        asm.jump(not_udp)
        asm.name(udp_only)  # a keepalive (RFC 3519, 4.9) is the registration plane's
        asm.jump_if_32(R2, Condition.EQUAL, self._ours, "kernel")
        asm.name(not_udp)
        asm.load(Width.WORD, R2, STACK, INNER + SOURCE)
        self._check()
        asm.move(R2, ETHERNET)
        asm.calculate(Operation.SUBTRACT, R2, R7)
        self._shrink(_BEFORE_IP)
        self._from_minimal()
        asm.name("done")
        self.count(self._maps.reasons, Reason.DECAPSULATED)
        asm.leave(self.next)
        for reason in (Reason.SPOOFED, Reason.UNKNOWN):
            asm.name(reason.name)
            self.count(self._maps.reasons, reason)
            asm.leave(self.drop)
        self._to_others()
        asm.name("unreadable")
        self.count(self._maps.reasons, Reason.UNREADABLE)
        asm.name("no tunnel")
        asm.name("kernel")
        asm.leave(self.next)
        return asm.assemble()

    def _to_others(self) -> None:
        """To a bound mobile node, and an ordinary packet: it need not go through the kernel."""
        asm = self.asm
        asm.name("to others")
        asm.load(Width.BYTE, R2, STACK, OUTER)
        asm.jump_if(R2, Condition.UNEQUAL, 0x45, "kernel")
        asm.load(Width.WORD, R2, R6, SEGMENT)
        asm.jump_if(R2, Condition.UNEQUAL, 0, "kernel")
        asm.load(Width.WORD, R2, R6, LENGTH)
        asm.jump_if(R2, Condition.ABOVE, ETHERNET + self._member.mtu, "kernel")
        asm.load(Width.BYTE, R2, STACK, OUTER + 8)
        asm.jump_if(R2, Condition.AT_MOST, 1, "kernel")
        for word in range(0, HEADER, 4):
            asm.load(Width.WORD, R2, STACK, OUTER + word)
            asm.store(Width.WORD, STACK, INNER + word, R2)
        self._find_tunnel("kernel")
        asm.jump_if(R9, Condition.EQUAL, Kind.SEVERAL, "kernel")
        self.older(INNER)
        self._encapsulate()

    def _from_udp(self) -> None:
        asm = self.asm
        asm.name("udp")
        self.copy(R7, 12, NEXT_HEADER, "kernel")
        asm.load(Width.HALF, R2, STACK, NEXT_HEADER + 2)
        asm.jump_if(R2, Condition.UNEQUAL, network_order(self._member.port, 2), "kernel")
        asm.load(Width.BYTE, R2, STACK, NEXT_HEADER + 8)
        asm.jump_if(R2, Condition.UNEQUAL, MessageType.TUNNEL_DATA, "kernel")
        asm.load(Width.BYTE, R2, STACK, NEXT_HEADER + 9)
        asm.add(R7, 12)
        asm.jump_if(R2, Condition.EQUAL, Encapsulation.IP, "inner header")
        asm.jump("unreadable")

    def _check(self) -> None:
        """Whether the binding of the inner source, in R2, is of this tunnel."""
        asm = self.asm
        right, same = asm.unique("right"), asm.unique("same kind")
        self.look_up(self._maps.homes, Width.DOUBLE, Reason.UNKNOWN.name)
        asm.store(Width.DOUBLE, STACK, _TUNNEL, R2)
        asm.load(Width.BYTE, R2, STACK, _TUNNEL + 6)
        self._check_several(right)
        asm.jump_if(R2, Condition.EQUAL, R8, same)
        # Whoever encapsulates minimally sends IP in IP what has no place there (RFC 2004, 2).
        asm.jump_if(R2, Condition.UNEQUAL, Kind.MINIMAL, Reason.SPOOFED.name)
        asm.jump_if(R8, Condition.UNEQUAL, IPIP, Reason.SPOOFED.name)
        asm.name(same)
        asm.load(Width.WORD, R2, STACK, _TUNNEL)
        asm.load(Width.WORD, R3, STACK, OUTER + SOURCE)
        asm.jump_if(R2, Condition.UNEQUAL, R3, Reason.SPOOFED.name)
        asm.jump_if(R8, Condition.UNEQUAL, UDP, right)
        asm.load(Width.HALF, R2, STACK, _TUNNEL + 4)
        asm.load(Width.HALF, R3, STACK, NEXT_HEADER)
        asm.jump_if(R2, Condition.UNEQUAL, R3, Reason.SPOOFED.name)
        asm.name(right)

    def _check_several(self, right: str) -> None:
        """Of simultaneous bindings any one will do."""
        asm = self.asm
        one, no_port = asm.unique("one"), asm.unique("no port")
        asm.jump_if(R2, Condition.UNEQUAL, Kind.SEVERAL, one)
        for to, where in ((_NEW, _TUNNEL), (_NEW + 4, OUTER + SOURCE)):
            asm.load(Width.WORD, R2, STACK, where)
            asm.store(Width.WORD, STACK, to, R2)
        asm.move(R2, 0)
        asm.jump_if(R8, Condition.UNEQUAL, UDP, no_port)
        asm.load(Width.HALF, R2, STACK, NEXT_HEADER)
        asm.name(no_port)
        asm.store(Width.HALF, STACK, _NEW + 8, R2)
        asm.store(Width.HALF, STACK, _NEW + 10, R8)
        self.get(self._maps.several, _NEW)
        asm.jump_if(R0, Condition.UNEQUAL, 0, right)
        asm.jump(Reason.SPOOFED.name)
        asm.name(one)

    def _shrink(self, where: int) -> None:
        """By minus R2 octets."""
        asm = self.asm
        asm.move(R1, R6)
        asm.move(R3, where)
        asm.move(R4, 0)
        asm.call(Helper.ADJUST_ROOM)
        asm.jump_if(R0, Condition.UNEQUAL, 0, "unreadable")
        asm.jump("done")

    def _from_minimal(self) -> None:
        """The header gets back what stands behind it, which then goes."""
        asm = self.asm
        asm.name("minimal")
        short, whole = asm.unique("co-located"), asm.unique("whole")
        asm.jump_if(R7, Condition.UNEQUAL, ETHERNET + HEADER, "unreadable")
        self.copy(R7, 8, NEXT_HEADER, "unreadable")
        asm.load(Width.BYTE, R2, STACK, NEXT_HEADER + 1)
        asm.calculate(Operation.AND, R2, ORIGINAL_SOURCE)
        asm.jump_if(R2, Condition.EQUAL, 0, short)
        self.copy(R7, 12, NEXT_HEADER, "unreadable")
        self.checksum(NEXT_HEADER, 12, R3)
        asm.jump_if(R3, Condition.UNEQUAL, 0, "unreadable")
        asm.move(R7, -12)
        asm.jump(whole)
        asm.name(short)
        self.checksum(NEXT_HEADER, 8, R3)
        asm.jump_if(R3, Condition.UNEQUAL, 0, "unreadable")
        asm.load(Width.WORD, R2, STACK, OUTER + SOURCE)
        asm.store(Width.WORD, STACK, NEXT_HEADER + 8, R2)
        asm.move(R7, -8)
        asm.name(whole)
        asm.load(Width.WORD, R2, STACK, NEXT_HEADER + 8)
        self._check()
        asm.load(Width.BYTE, R2, STACK, NEXT_HEADER)
        asm.store(Width.BYTE, STACK, OUTER + 9, R2)
        asm.load(Width.WORD, R2, STACK, NEXT_HEADER + 8)
        asm.store(Width.WORD, STACK, OUTER + SOURCE, R2)
        asm.load(Width.WORD, R2, STACK, NEXT_HEADER + 4)
        asm.store(Width.WORD, STACK, OUTER + DESTINATION, R2)
        asm.load(Width.HALF, R2, STACK, OUTER + 2)
        asm.swap(R2, 16)
        asm.add(R2, R7)
        asm.swap(R2, 16)
        asm.store(Width.HALF, STACK, OUTER + 2, R2)
        self.checksum(OUTER, HEADER, R3, skip=(10,))
        asm.store(Width.HALF, STACK, OUTER + 10, R3)
        self.write(ETHERNET, HEADER, OUTER)
        asm.move(R2, R7)
        self._shrink(_BEHIND_IP)
