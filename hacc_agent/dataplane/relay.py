"""The controller's program: packets of registered mobile nodes go on to their member, unopened.

    what arrives                                      whose is it             what is touched
    ------------------------------------------------  ----------------------  ---------------
    to the virtual Home Agent address:
      IP in IP (RFC 2003), GRE (RFC 2784, 2890),      inner source            MAC addresses
      minimal encapsulation (RFC 2004), each also
      in UDP tunnel data (RFC 3519)
      an ICMP error that quotes such a tunnel         inner destination       MAC addresses
      a later fragment of one of these                as its first fragment   MAC addresses
      all else (registrations, pings, routing)        the kernel's            nothing
    to a home address of ours, in no tunnel           destination             MAC addresses, TTL
    all else                                          the kernel's            nothing

The address leads to a slot, the slot to an entry of its member: where to send the frame. A failover
stores other entries into slots, and this program and the registration plane follow in the same
moment. What is in a tunnel for nobody we know is counted, and dropped or given to any member.

Octets are copied to the stack before they are read, so that no packet is too short, too scattered
or too long for this program: what it cannot read it leaves to the kernel.
"""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from struct import Struct
from typing import Final

from ..wire import Encapsulation, MessageType
from .assembler import Assembler, Condition, Helper, Operation, Register, Width

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 = (Register(n) for n in range(10))
STACK: Final = Register.STACK

# tcx verdicts: linux/bpf.h. NEXT lets the kernel, or another program, have the packet.
NEXT: Final = -1
DROP: Final = 2
REDIRECT: Final = 7

# struct __sk_buff: what a program may read of a packet beside its octets.
_PACKET_TYPE: Final = 4
_PROTOCOL: Final = 16
_HOST: Final = 0  # PACKET_HOST: the frame is addressed to this interface
_LENGTH: Final = 0

_ETHERNET: Final = 14
_IPV4: Final = 0x0800
_ICMP: Final = 1
_IPIP: Final = 4
_UDP: Final = 17
_GRE: Final = 47
_MINIMAL: Final = 55
_ICMP_ERRORS: Final = (3, 4, 11, 12)  # RFC 792: unreachable, quench, exceeded, parameter problem
_LATER: Final = 0x1FFF  # fragment offset
_MORE: Final = 0x2000  # more fragments follow
_GRE_CHECKSUM: Final = 0x8000
_GRE_KEY: Final = 0x2000
_GRE_SEQUENCE: Final = 0x1000
_GRE_UNREAD: Final = 0x4F07  # routing, strict source route, recursion, version: RFC 1701
_ORIGINAL_SOURCE: Final = 0x80  # RFC 2004, 3.1: S bit
_SOURCE: Final = 12  # of an IPv4 header
_DESTINATION: Final = 16

# Where things are on the stack of 512 octets.
_OUTER: Final = -24  # the outer header, without options
_NEXT_HEADER: Final = -40  # what follows it
_INNER: Final = -64  # the header in the tunnel
_KEY: Final = -72  # an address, a number of a slot or of an entry
_FRAGMENT: Final = -88  # a fragment's key
_VALUE: Final = -92

ENTRY: Final = Struct("=6s6sII4x")
"""Where a member is reached: its MAC address, ours, the interface, the member's number + 1."""

COUNTER: Final = Struct("=QQ")
"""Packets and octets."""

FRAGMENT: Final = Struct("=4s4sHBx")
"""Source, destination, identification, protocol: what fragments of one packet share (RFC 791)."""

FRAGMENTED: Final = 8192
"""Packets whose later fragments are awaited; the least recently seen goes."""


class Reason(enum.IntEnum):
    """Why a packet for the virtual Home Agent address went where; the place of its counter."""

    TUNNELLED = 0
    ICMP_ERROR = 1
    FRAGMENT = 2
    BY_DESTINATION = 3  # the last resort
    UNKNOWN = 4  # nobody's: dropped, or given to any member
    NO_MEMBER = 5  # its slot has no member that can be reached
    LOST_FRAGMENT = 6  # whose first fragment was not seen
    UNREADABLE = 7  # left to the kernel


class Unknown(enum.StrEnum):
    """What becomes of a tunnel packet from nobody we know."""

    DROP = "drop"
    ANY_MEMBER = "any-member"  # by its address, so that it is always the same one


@dataclass(frozen=True, slots=True)
class Maps:
    """Descriptors."""

    pools: tuple[int, ...]  # one array for each network: home address - first -> slot + 1
    others: int  # hash: home address -> slot + 1
    slots: int  # array: slot -> entry + 1
    entries: int  # array: ENTRY
    fragments: int  # LRU hash: FRAGMENT -> slot + 1
    reasons: int  # per-CPU array: COUNTER by Reason
    members: int  # per-CPU array: COUNTER by member


@dataclass(frozen=True, slots=True)
class Relay:
    """What the program is made for."""

    home_agent_address: IPv4Address
    networks: tuple[IPv4Network, ...]
    port: int
    unknown: Unknown
    slots: int  # how many there are


def program(relay: Relay, maps: Maps) -> bytes:
    """Of kind SCHED_CLS, for tcx ingress on each interface of a controller."""
    return _Program(relay, maps).assemble()


class _Program:
    """R6: the packet; R7: where the header in hand begins; R8: its protocol, later the slot + 1;
    R9: which address of the inner header counts, later the entry.
    """

    def __init__(self, relay: Relay, maps: Maps) -> None:
        self._relay, self._maps = relay, maps
        self._asm = Assembler()

    def assemble(self) -> bytes:
        self._begin()
        self._tunnels()
        self._find()
        self._send()
        self._fragments()
        self._last_resort()
        self._ends()
        return self._asm.assemble()

    # ------------------------------------------------------------------ what arrives

    def _begin(self) -> None:
        asm = self._asm
        asm.move(R6, R1)
        asm.load(Width.WORD, R2, R6, _PACKET_TYPE)
        asm.jump_if(R2, Condition.UNEQUAL, _HOST, "kernel")
        asm.load(Width.WORD, R2, R6, _PROTOCOL)
        asm.jump_if(R2, Condition.UNEQUAL, network_order(_IPV4, 2), "kernel")
        self._copy(_ETHERNET, 20, _OUTER, "kernel")
        self._header_length(_OUTER, R7, "kernel")
        asm.add(R7, _ETHERNET)
        asm.load(Width.BYTE, R8, STACK, _OUTER + 9)
        asm.load(Width.WORD, R2, STACK, _OUTER + _DESTINATION)
        asm.jump_if_32(
            R2, Condition.UNEQUAL, network_order(int(self._relay.home_agent_address), 4), "transit"
        )
        asm.load(Width.HALF, R2, STACK, _OUTER + 6)
        asm.jump_if(R2, Condition.ANY_BIT, network_order(_LATER, 2), "later fragment")

    def _tunnels(self) -> None:
        """Leads to "address found" with the mobile node's address at _KEY."""
        asm = self._asm
        asm.move(R9, _SOURCE)
        asm.jump_if(R8, Condition.EQUAL, _UDP, "udp")
        asm.jump_if(R8, Condition.EQUAL, _ICMP, "icmp")
        asm.name("tunnel")
        asm.jump_if(R8, Condition.EQUAL, _IPIP, "inner header")
        asm.jump_if(R8, Condition.EQUAL, _GRE, "gre")
        asm.jump_if(R8, Condition.UNEQUAL, _MINIMAL, "kernel")
        self._minimal()
        self._gre()
        asm.name("inner header")
        self._copy(R7, 20, _INNER, "unreadable")
        self._header_length(_INNER, R2, "unreadable")
        asm.load(Width.WORD, R2, STACK, _INNER + _SOURCE)
        asm.jump_if(R9, Condition.EQUAL, _SOURCE, "address found")
        asm.load(Width.WORD, R2, STACK, _INNER + _DESTINATION)
        asm.jump("address found")
        self._udp()
        self._icmp()

    def _minimal(self) -> None:
        """RFC 2004, 3.1: the original destination always, the source only where it differs."""
        asm = self._asm
        self._copy(R7, 8, _NEXT_HEADER, "unreadable")
        asm.load(Width.WORD, R2, STACK, _NEXT_HEADER + 4)
        asm.jump_if(R9, Condition.EQUAL, _DESTINATION, "address found")
        asm.load(Width.WORD, R2, STACK, _OUTER + _SOURCE)
        asm.load(Width.BYTE, R3, STACK, _NEXT_HEADER + 1)
        asm.calculate(Operation.AND, R3, _ORIGINAL_SOURCE)
        asm.jump_if(R3, Condition.EQUAL, 0, "address found")
        asm.add(R7, 8)
        self._copy(R7, 4, _NEXT_HEADER, "unreadable")
        asm.load(Width.WORD, R2, STACK, _NEXT_HEADER)
        asm.jump("address found")

    def _gre(self) -> None:
        asm = self._asm
        asm.name("gre")
        self._copy(R7, 4, _NEXT_HEADER, "unreadable")
        asm.load(Width.HALF, R2, STACK, _NEXT_HEADER + 2)
        asm.jump_if(R2, Condition.UNEQUAL, network_order(_IPV4, 2), "unreadable")
        asm.load(Width.HALF, R2, STACK, _NEXT_HEADER)
        asm.jump_if(R2, Condition.ANY_BIT, network_order(_GRE_UNREAD, 2), "unreadable")
        asm.add(R7, 4)
        for bit in (_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE):
            with_it, without = asm.unique("with"), asm.unique("without")
            asm.jump_if(R2, Condition.ANY_BIT, network_order(bit, 2), with_it)
            asm.jump(without)
            asm.name(with_it)
            asm.add(R7, 4)
            asm.name(without)

    def _udp(self) -> None:
        """RFC 3519, 3.3: type 4, next header, 16 bits reserved."""
        asm = self._asm
        asm.name("udp")
        self._copy(R7, 12, _NEXT_HEADER, "kernel")
        asm.load(Width.HALF, R2, STACK, _NEXT_HEADER + 2)
        asm.jump_if(R9, Condition.EQUAL, _SOURCE, "port")
        asm.load(Width.HALF, R2, STACK, _NEXT_HEADER)  # quoted: it was sent by us
        asm.name("port")
        asm.jump_if(R2, Condition.UNEQUAL, network_order(self._relay.port, 2), "kernel")
        asm.load(Width.BYTE, R2, STACK, _NEXT_HEADER + 8)
        asm.jump_if(R2, Condition.UNEQUAL, MessageType.TUNNEL_DATA, "kernel")
        asm.load(Width.BYTE, R8, STACK, _NEXT_HEADER + 9)
        asm.add(R7, 12)
        for kind in (Encapsulation.IP, Encapsulation.GRE, Encapsulation.MINIMAL):
            asm.jump_if(R8, Condition.EQUAL, kind, "tunnel")
        asm.jump("unreadable")

    def _icmp(self) -> None:
        """An error quotes the tunnel packet that a member has sent from our address."""
        asm = self._asm
        asm.name("icmp")
        self._copy(R7, 1, _NEXT_HEADER, "kernel")
        asm.load(Width.BYTE, R2, STACK, _NEXT_HEADER)
        for error in _ICMP_ERRORS:
            asm.jump_if(R2, Condition.EQUAL, error, "icmp error")
        asm.jump("kernel")
        asm.name("icmp error")
        asm.add(R7, 8)
        self._copy(R7, 20, _INNER, "kernel")
        asm.load(Width.WORD, R2, STACK, _INNER + _SOURCE)
        asm.jump_if_32(
            R2, Condition.UNEQUAL, network_order(int(self._relay.home_agent_address), 4), "kernel"
        )
        self._header_length(_INNER, R2, "kernel")
        asm.add(R7, R2)
        asm.load(Width.BYTE, R8, STACK, _INNER + 9)
        asm.move(R9, _DESTINATION)
        asm.jump_if(R8, Condition.EQUAL, _UDP, "udp")
        asm.jump("tunnel")

    # ------------------------------------------------------------------ whose it is

    def _find(self) -> None:
        """R2: the address, in network order."""
        asm = self._asm
        asm.name("address found")
        asm.store(Width.WORD, STACK, _KEY, R2)
        asm.calculate(Operation.EXCLUSIVE_OR, R9, _SOURCE)  # 0: it was a tunnel itself
        self._look_up("unknown")
        asm.load(Width.WORD, R8, R0)
        asm.jump_if(R8, Condition.EQUAL, 0, "unknown")
        asm.jump_if(R9, Condition.UNEQUAL, 0, "error counted")
        asm.move(R2, Reason.TUNNELLED)
        asm.jump("counted")
        asm.name("error counted")
        asm.move(R2, Reason.ICMP_ERROR)
        asm.name("counted")
        self._count(self._maps.reasons)
        self._remember_fragment()

    def _look_up(self, nobody: str) -> None:
        """From the address at _KEY to R0, where its slot + 1 stands; R2 holds it too."""
        asm = self._asm
        found = asm.unique("found")
        asm.move(R1, R2)
        asm.swap(R1, 32)
        for network, pool in zip(self._relay.networks, self._maps.pools, strict=True):
            other = asm.unique("other network")
            asm.move(R2, R1)
            asm.calculate_32(Operation.SUBTRACT, R2, int(network.network_address))
            asm.jump_if_32(R2, Condition.AT_LEAST, network.num_addresses, other)
            asm.store(Width.WORD, STACK, _KEY, R2)
            self._get(pool)
            asm.jump_if(R0, Condition.EQUAL, 0, nobody)
            asm.jump(found)
            asm.name(other)
        self._get(self._maps.others)
        asm.jump_if(R0, Condition.EQUAL, 0, nobody)
        asm.name(found)

    # ------------------------------------------------------------------ where to

    def _send(self) -> None:
        """R8: the slot + 1."""
        asm, maps = self._asm, self._maps
        asm.name("to slot")
        asm.add(R8, -1)
        asm.store(Width.WORD, STACK, _KEY, R8)
        self._get(maps.slots)
        asm.jump_if(R0, Condition.EQUAL, 0, "no member")
        asm.load(Width.WORD, R2, R0)
        asm.jump_if(R2, Condition.EQUAL, 0, "no member")
        asm.add(R2, -1)
        asm.store(Width.WORD, STACK, _KEY, R2)
        self._get(maps.entries)
        asm.jump_if(R0, Condition.EQUAL, 0, "no member")
        asm.move(R9, R0)
        asm.load(Width.WORD, R2, R9, 12)
        asm.jump_if(R2, Condition.EQUAL, 0, "no member")
        asm.load(Width.WORD, R2, R9, 16)
        asm.add(R2, -1)
        self._count(maps.members)
        asm.move(R1, R6)
        asm.move(R2, 0)
        asm.move(R3, R9)
        asm.move(R4, 12)
        asm.move(R5, 0)
        asm.call(Helper.STORE_BYTES)
        asm.load(Width.WORD, R1, R9, 12)
        asm.move(R2, 0)
        asm.call(Helper.REDIRECT)
        asm.exit()

    def _remember_fragment(self) -> None:
        """Of a packet in fragments only the first one says whose it is."""
        asm = self._asm
        asm.load(Width.HALF, R2, STACK, _OUTER + 6)
        fragmented = asm.unique("fragmented")
        asm.jump_if(R2, Condition.ANY_BIT, network_order(_MORE, 2), fragmented)
        asm.jump("to slot")
        asm.name(fragmented)
        self._fragment_key()
        asm.store(Width.WORD, STACK, _VALUE, R8)
        asm.map(R1, self._maps.fragments)
        asm.move(R2, STACK)
        asm.add(R2, _FRAGMENT)
        asm.move(R3, STACK)
        asm.add(R3, _VALUE)
        asm.move(R4, 0)
        asm.call(Helper.MAP_UPDATE)

    def _fragments(self) -> None:
        asm = self._asm
        asm.name("later fragment")
        for protocol in (_IPIP, _GRE, _MINIMAL, _UDP, _ICMP):
            asm.jump_if(R8, Condition.EQUAL, protocol, "tunnel fragment")
        asm.jump("kernel")
        asm.name("tunnel fragment")
        self._fragment_key()
        asm.map(R1, self._maps.fragments)
        asm.move(R2, STACK)
        asm.add(R2, _FRAGMENT)
        asm.call(Helper.MAP_LOOKUP)
        asm.jump_if(R0, Condition.EQUAL, 0, "lost fragment")
        asm.load(Width.WORD, R8, R0)
        asm.move(R2, Reason.FRAGMENT)
        self._count(self._maps.reasons)
        asm.jump("to slot")
        asm.name("lost fragment")
        # UDP and ICMP may be the kernel's own, whose first fragments we never remember.
        asm.jump_if(R8, Condition.EQUAL, _UDP, "kernel")
        asm.jump_if(R8, Condition.EQUAL, _ICMP, "kernel")
        asm.move(R2, Reason.LOST_FRAGMENT)
        self._count(self._maps.reasons)
        asm.leave(DROP)

    def _fragment_key(self) -> None:
        asm = self._asm
        asm.load(Width.WORD, R2, STACK, _OUTER + _SOURCE)
        asm.store(Width.WORD, STACK, _FRAGMENT, R2)
        asm.load(Width.WORD, R2, STACK, _OUTER + _DESTINATION)
        asm.store(Width.WORD, STACK, _FRAGMENT + 4, R2)
        asm.load(Width.HALF, R2, STACK, _OUTER + 4)
        asm.store(Width.HALF, STACK, _FRAGMENT + 8, R2)
        asm.load(Width.BYTE, R2, STACK, _OUTER + 9)
        asm.store(Width.HALF, STACK, _FRAGMENT + 10, R2)

    # ------------------------------------------------------------------ the last resort

    def _last_resort(self) -> None:
        """Somebody sends to a home address by way of us: the member's own route is not known."""
        asm = self._asm
        asm.name("transit")
        asm.store(Width.WORD, STACK, _KEY, R2)
        self._look_up("kernel")
        asm.load(Width.WORD, R8, R0)
        asm.jump_if(R8, Condition.EQUAL, 0, "kernel")
        asm.load(Width.BYTE, R2, STACK, _OUTER + 8)
        asm.jump_if(R2, Condition.AT_MOST, 1, "kernel")  # which tells the sender
        # A loop between us and a member ends, since each turn costs one of its time to live.
        asm.load(Width.HALF, R3, STACK, _OUTER + 8)
        asm.move(R9, R3)
        asm.add(R2, -1)
        asm.store(Width.BYTE, STACK, _OUTER + 8, R2)
        asm.load(Width.HALF, R4, STACK, _OUTER + 8)
        asm.move(R1, R6)
        asm.move(R2, _ETHERNET + 10)
        asm.move(R5, 2)
        asm.call(Helper.REPLACE_L3_CHECKSUM)
        asm.jump_if(R0, Condition.UNEQUAL, 0, "kernel")
        asm.move(R1, R6)
        asm.move(R2, _ETHERNET + 8)
        asm.move(R3, STACK)
        asm.add(R3, _OUTER + 8)
        asm.move(R4, 1)
        asm.move(R5, 0)
        asm.call(Helper.STORE_BYTES)
        asm.move(R2, Reason.BY_DESTINATION)
        self._count(self._maps.reasons)
        asm.jump("to slot")

    # ------------------------------------------------------------------ ends

    def _ends(self) -> None:
        asm = self._asm
        asm.name("unknown")
        asm.move(R2, Reason.UNKNOWN)
        self._count(self._maps.reasons)
        if self._relay.unknown is Unknown.DROP:
            asm.leave(DROP)
        else:  # the last 16 bits of its address, spread over the slots
            asm.load(Width.WORD, R8, STACK, _KEY)
            asm.calculate(Operation.AND, R8, 0xFFFF)
            asm.calculate(Operation.MULTIPLY, R8, self._relay.slots)
            asm.calculate(Operation.SHIFT_RIGHT, R8, 16)
            asm.add(R8, 1)
            asm.jump("to slot")
        asm.name("no member")
        asm.move(R2, Reason.NO_MEMBER)
        self._count(self._maps.reasons)
        asm.leave(DROP)
        asm.name("unreadable")
        asm.move(R2, Reason.UNREADABLE)
        self._count(self._maps.reasons)
        asm.name("kernel")
        asm.leave(NEXT)

    # ------------------------------------------------------------------ small things

    def _copy(self, offset: int | Register, octets: int, to: int, short: str) -> None:
        asm = self._asm
        asm.move(R1, R6)
        asm.move(R2, offset)
        asm.move(R3, STACK)
        asm.add(R3, to)
        asm.move(R4, octets)
        asm.call(Helper.LOAD_BYTES)
        asm.jump_if(R0, Condition.UNEQUAL, 0, short)

    def _header_length(self, at: int, to: Register, wrong: str) -> None:
        """Octets of the IPv4 header on the stack."""
        asm = self._asm
        asm.load(Width.BYTE, R2, STACK, at)
        asm.move(R3, R2)
        asm.calculate(Operation.SHIFT_RIGHT, R3, 4)
        asm.jump_if(R3, Condition.UNEQUAL, 4, wrong)
        asm.move(to, R2)
        asm.calculate(Operation.AND, to, 15)
        asm.calculate(Operation.SHIFT_LEFT, to, 2)
        asm.jump_if(to, Condition.BELOW, 20, wrong)

    def _get(self, descriptor: int) -> None:
        """R0: where the value for the key at _KEY is, or 0."""
        asm = self._asm
        asm.map(R1, descriptor)
        asm.move(R2, STACK)
        asm.add(R2, _KEY)
        asm.call(Helper.MAP_LOOKUP)

    def _count(self, descriptor: int) -> None:
        """One packet more at place R2."""
        asm = self._asm
        done = asm.unique("done")
        asm.store(Width.WORD, STACK, _VALUE, R2)
        asm.map(R1, descriptor)
        asm.move(R2, STACK)
        asm.add(R2, _VALUE)
        asm.call(Helper.MAP_LOOKUP)
        asm.jump_if(R0, Condition.EQUAL, 0, done)
        asm.load(Width.DOUBLE, R2, R0)  # of this processor alone
        asm.add(R2, 1)
        asm.store(Width.DOUBLE, R0, 0, R2)
        asm.load(Width.DOUBLE, R2, R0, 8)
        asm.load(Width.WORD, R3, R6, _LENGTH)
        asm.add(R2, R3)
        asm.store(Width.DOUBLE, R0, 8, R2)
        asm.name(done)


def network_order(number: int, octets: int) -> int:
    """What this machine sees when it loads a number as it stands in a packet."""
    return int.from_bytes(number.to_bytes(octets, "big"), sys.byteorder)
