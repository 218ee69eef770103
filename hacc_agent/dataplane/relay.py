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
    BEHIND,
    DESTINATION,
    GRE,
    HEADER,
    ICMP,
    INNER,
    IPIP,
    KEY,
    LATER,
    MINIMAL,
    MORE,
    NEXT_HEADER,
    ORIGINAL_SOURCE,
    OUTER,
    R0,
    R1,
    R2,
    R3,
    R4,
    R7,
    R8,
    R9,
    SOURCE,
    STACK,
    UDP,
    Homes,
    PacketProgram,
    network_order,
)

_ICMP_ERRORS: Final = (3, 4, 11, 12)  # RFC 792: unreachable, quench, exceeded, parameter problem
_FRAGMENT: Final = -96  # on the stack: a fragment's key
_VALUE: Final = -100  # and what belongs to it

ENTRY: Final = Struct("=6s6sII4x")
"""Where a member is reached: its MAC address, ours, the interface, the member's number + 1."""

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

    homes: Homes  # home address -> slot + 1
    slots: int  # array: slot -> entry + 1
    entries: int  # array: ENTRY
    fragments: int  # LRU hash: FRAGMENT -> slot + 1
    reasons: int  # per-CPU array: COUNTER by Reason
    members: int  # per-CPU array: COUNTER by member


@dataclass(frozen=True, slots=True)
class Relay:
    """What the program is made for."""

    home_agent_address: IPv4Address
    port: int
    unknown: Unknown
    slots: int  # how many there are


def program(relay: Relay, maps: Maps, mac: int | None = None) -> bytes:
    """For an interface of a controller: of kind SCHED_CLS, for tcx ingress; or, where its MAC
    address is given, of kind XDP.
    """
    return _Program(relay, maps, mac).assemble()


class _Program(PacketProgram):
    """R8: the protocol of the header in hand, later the slot + 1; R9: which address of the inner
    header counts, later the entry.
    """

    def __init__(self, relay: Relay, maps: Maps, mac: int | None) -> None:
        super().__init__(mac)
        self._relay, self._maps = relay, maps

    def assemble(self) -> bytes:
        self._begin()
        self._tunnels()
        self._find()
        self._send()
        self._fragments()
        self._last_resort()
        self._ends()
        return self.asm.assemble()

    # ------------------------------------------------------------------ what arrives

    def _begin(self) -> None:
        asm = self.asm
        self.only_ours("kernel")
        asm.load(Width.BYTE, R8, STACK, OUTER + 9)
        asm.load(Width.WORD, R2, STACK, OUTER + DESTINATION)
        asm.jump_if_32(
            R2, Condition.UNEQUAL, network_order(int(self._relay.home_agent_address), 4), "transit"
        )
        asm.load(Width.HALF, R2, STACK, OUTER + 6)
        asm.jump_if(R2, Condition.ANY_BIT, network_order(LATER, 2), "later fragment")

    def _tunnels(self) -> None:
        """Leads to "address found" with the mobile node's address at KEY."""
        asm = self.asm
        asm.move(R9, SOURCE)
        asm.jump_if(R8, Condition.EQUAL, UDP, "udp")
        asm.jump_if(R8, Condition.EQUAL, ICMP, "icmp")
        asm.name("tunnel")
        asm.jump_if(R8, Condition.EQUAL, IPIP, "inner header")
        asm.jump_if(R8, Condition.EQUAL, GRE, "gre")
        asm.jump_if(R8, Condition.UNEQUAL, MINIMAL, "kernel")
        self._minimal()
        self._gre()
        asm.name("inner header")
        self.copy(R7, HEADER, INNER, "unreadable")
        self.header_length(INNER, R2, "unreadable")
        asm.load(Width.WORD, R2, STACK, INNER + SOURCE)
        asm.jump_if(R9, Condition.EQUAL, SOURCE, "address found")
        asm.load(Width.WORD, R2, STACK, INNER + DESTINATION)
        asm.jump("address found")
        self._udp()
        self._icmp()

    def _minimal(self) -> None:
        """RFC 2004, 3.1: the original destination always, the source only where it differs."""
        asm = self.asm
        self.copy(R7, 8, NEXT_HEADER, "unreadable")
        asm.load(Width.WORD, R2, STACK, NEXT_HEADER + 4)
        asm.jump_if(R9, Condition.EQUAL, DESTINATION, "address found")
        asm.load(Width.WORD, R2, STACK, OUTER + SOURCE)
        asm.load(Width.BYTE, R3, STACK, NEXT_HEADER + 1)
        asm.calculate(Operation.AND, R3, ORIGINAL_SOURCE)
        asm.jump_if(R3, Condition.EQUAL, 0, "address found")
        asm.add(R7, 8)
        self.copy(R7, 4, NEXT_HEADER, "unreadable")
        asm.load(Width.WORD, R2, STACK, NEXT_HEADER)
        asm.jump("address found")

    def _gre(self) -> None:
        asm = self.asm
        asm.name("gre")
        self.gre_length("unreadable")

    def _udp(self) -> None:
        """RFC 3519, 3.3: type 4, next header, 16 bits reserved."""
        asm = self.asm
        asm.name("udp")
        self.copy(R7, 12, NEXT_HEADER, "kernel")
        asm.load(Width.HALF, R2, STACK, NEXT_HEADER + 2)
        asm.jump_if(R9, Condition.EQUAL, SOURCE, "port")
        asm.load(Width.HALF, R2, STACK, NEXT_HEADER)  # quoted: it was sent by us
        asm.name("port")
        asm.jump_if(R2, Condition.UNEQUAL, network_order(self._relay.port, 2), "kernel")
        asm.load(Width.BYTE, R2, STACK, NEXT_HEADER + 8)
        asm.jump_if(R2, Condition.UNEQUAL, MessageType.TUNNEL_DATA, "kernel")
        asm.load(Width.BYTE, R8, STACK, NEXT_HEADER + 9)
        asm.add(R7, 12)
        for kind in (Encapsulation.IP, Encapsulation.GRE, Encapsulation.MINIMAL):
            asm.jump_if(R8, Condition.EQUAL, kind, "tunnel")
        asm.jump("unreadable")

    def _icmp(self) -> None:
        """An error quotes the tunnel packet that a member has sent from our address."""
        asm = self.asm
        asm.name("icmp")
        self.copy(R7, 1, NEXT_HEADER, "kernel")
        asm.load(Width.BYTE, R2, STACK, NEXT_HEADER)
        for error in _ICMP_ERRORS:
            asm.jump_if(R2, Condition.EQUAL, error, "icmp error")
        asm.jump("kernel")
        asm.name("icmp error")
        asm.add(R7, 8)
        self.copy(R7, HEADER, INNER, "kernel")
        asm.load(Width.WORD, R2, STACK, INNER + SOURCE)
        asm.jump_if_32(
            R2, Condition.UNEQUAL, network_order(int(self._relay.home_agent_address), 4), "kernel"
        )
        self.header_length(INNER, R2, "kernel")
        asm.add(R7, R2)
        asm.load(Width.BYTE, R8, STACK, INNER + 9)
        asm.move(R9, DESTINATION)
        asm.jump_if(R8, Condition.EQUAL, UDP, "udp")
        asm.jump("tunnel")

    # ------------------------------------------------------------------ whose it is

    def _find(self) -> None:
        """R2: the address, in network order."""
        asm = self.asm
        asm.name("address found")
        self.look_up(self._maps.homes, Width.WORD, "unknown")
        asm.move(R8, R2)
        asm.move(R2, Reason.TUNNELLED)
        asm.jump_if(R9, Condition.EQUAL, SOURCE, "counted")
        asm.move(R2, Reason.ICMP_ERROR)
        asm.name("counted")
        self.count(self._maps.reasons, R2)
        self._remember_fragment()

    # ------------------------------------------------------------------ where to

    def _send(self) -> None:
        """R8: the slot + 1."""
        asm, maps = self.asm, self._maps
        asm.name("to slot")
        asm.add(R8, -1)
        asm.store(Width.WORD, STACK, KEY, R8)
        self.get(maps.slots)
        asm.jump_if(R0, Condition.EQUAL, 0, "no member")
        asm.load(Width.WORD, R2, R0)
        asm.jump_if(R2, Condition.EQUAL, 0, "no member")
        asm.add(R2, -1)
        asm.store(Width.WORD, STACK, KEY, R2)
        self.get(maps.entries)
        asm.jump_if(R0, Condition.EQUAL, 0, "no member")
        asm.move(R9, R0)
        asm.load(Width.WORD, R2, R9, 12)
        asm.jump_if(R2, Condition.EQUAL, 0, "no member")
        asm.load(Width.WORD, R2, R9, 16)
        asm.add(R2, -1)
        self.count(maps.members, R2)
        asm.load(Width.DOUBLE, R2, R9)
        asm.store(Width.DOUBLE, STACK, INNER, R2)
        asm.load(Width.WORD, R2, R9, 8)
        asm.store(Width.WORD, STACK, INNER + 8, R2)
        self.write(0, 12, INNER)
        asm.load(Width.WORD, R1, R9, 12)
        asm.move(R2, 0)
        asm.call(Helper.REDIRECT)
        asm.exit()

    def _remember_fragment(self) -> None:
        """Of a packet in fragments only the first one says whose it is."""
        asm = self.asm
        asm.load(Width.HALF, R2, STACK, OUTER + 6)
        fragmented = asm.unique("fragmented")
        asm.jump_if(R2, Condition.ANY_BIT, network_order(MORE, 2), fragmented)
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
        asm = self.asm
        asm.name("later fragment")
        for protocol in (IPIP, GRE, MINIMAL, UDP, ICMP):
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
        self.count(self._maps.reasons, Reason.FRAGMENT)
        asm.jump("to slot")
        asm.name("lost fragment")
        # UDP and ICMP may be the kernel's own, whose first fragments we never remember.
        asm.jump_if(R8, Condition.EQUAL, UDP, "kernel")
        asm.jump_if(R8, Condition.EQUAL, ICMP, "kernel")
        self.count(self._maps.reasons, Reason.LOST_FRAGMENT)
        asm.leave(self.drop)

    def _fragment_key(self) -> None:
        asm = self.asm
        asm.load(Width.WORD, R2, STACK, OUTER + SOURCE)
        asm.store(Width.WORD, STACK, _FRAGMENT, R2)
        asm.load(Width.WORD, R2, STACK, OUTER + DESTINATION)
        asm.store(Width.WORD, STACK, _FRAGMENT + 4, R2)
        asm.load(Width.HALF, R2, STACK, OUTER + 4)
        asm.store(Width.HALF, STACK, _FRAGMENT + 8, R2)
        asm.load(Width.BYTE, R2, STACK, OUTER + 9)
        asm.store(Width.HALF, STACK, _FRAGMENT + 10, R2)

    # ------------------------------------------------------------------ the last resort

    def _last_resort(self) -> None:
        """Somebody sends to a home address by way of us: the member's own route is not known."""
        asm = self.asm
        asm.name("transit")
        self.look_up(self._maps.homes, Width.WORD, "kernel")
        asm.move(R8, R2)
        asm.load(Width.BYTE, R2, STACK, OUTER + 8)
        asm.jump_if(R2, Condition.AT_MOST, 1, "kernel")  # which tells the sender
        # A loop between us and a member ends, since each turn costs one of its time to live.
        self.older(OUTER)
        self.count(self._maps.reasons, Reason.BY_DESTINATION)
        asm.jump("to slot")

    # ------------------------------------------------------------------ ends

    def _ends(self) -> None:
        asm = self.asm
        asm.name("unknown")
        self.count(self._maps.reasons, Reason.UNKNOWN)
        if self._relay.unknown is Unknown.DROP:
            asm.leave(self.drop)
        else:  # the last 16 bits of its address, spread over the slots
            asm.load(Width.WORD, R8, STACK, BEHIND + 4)
            asm.swap(R8, 32)
            asm.calculate(Operation.AND, R8, 0xFFFF)
            asm.calculate(Operation.MULTIPLY, R8, self._relay.slots)
            asm.calculate(Operation.SHIFT_RIGHT, R8, 16)
            asm.add(R8, 1)
            asm.jump("to slot")
        asm.name("no member")
        self.count(self._maps.reasons, Reason.NO_MEMBER)
        asm.leave(self.drop)
        asm.name("unreadable")
        self.count(self._maps.reasons, Reason.UNREADABLE)
        asm.name("kernel")
        asm.leave(self.next)
