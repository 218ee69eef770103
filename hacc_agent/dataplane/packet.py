"""What all our packet programs share: places in packets, and steps that read and count.

Octets are copied to the stack before they are read, so that no packet is too short, too scattered
or too long for a program: what it cannot read it leaves to the kernel.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from struct import Struct
from typing import Final

from .assembler import Assembler, Condition, Helper, Operation, Register, Width

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 = (Register(n) for n in range(10))
STACK: Final = Register.STACK

# tcx verdicts: linux/bpf.h. NEXT lets the kernel, or another program, have the packet.
NEXT: Final = -1
DROP: Final = 2
REDIRECT: Final = 7

# struct __sk_buff: what a program may read of a packet beside its octets.
LENGTH: Final = 0
PACKET_TYPE: Final = 4
PROTOCOL: Final = 16
SEGMENT: Final = 176  # octets of each, in a packet that the kernel has not cut yet; or 0
HOST: Final = 0  # PACKET_HOST: the frame is addressed to this interface

# struct xdp_md: the first and the last octet's address.
_DATA: Final = 0
_DATA_END: Final = 4

ETHERNET: Final = 14
HEADER: Final = 20  # octets of an IPv4 header without options
IPV4: Final = 0x0800
ICMP: Final = 1
IPIP: Final = 4
UDP: Final = 17
GRE: Final = 47
MINIMAL: Final = 55
_ADDRESS_BITS: Final = 32
LATER: Final = 0x1FFF  # fragment offset
MORE: Final = 0x2000  # more fragments follow
GRE_CHECKSUM: Final = 0x8000
GRE_KEY: Final = 0x2000
GRE_SEQUENCE: Final = 0x1000
GRE_UNREAD: Final = 0x4F07  # routing, strict source route, recursion, version: RFC 1701
ORIGINAL_SOURCE: Final = 0x80  # RFC 2004, 3.1: S bit
SOURCE: Final = 12  # of an IPv4 header
DESTINATION: Final = 16

# Where things are on the stack of 512 octets.
OUTER: Final = -24  # the outer header, without options
NEXT_HEADER: Final = -40  # what follows it
INNER: Final = -64  # the header in the tunnel
KEY: Final = -72  # an address, or a place in an array
PLACE: Final = -76  # of a counter
BEHIND: Final = -128  # a length in bits, and the address that was looked up last

COUNTER: Final = Struct("=QQ")
"""Packets and octets, of one processor."""


@dataclass(frozen=True, slots=True)
class Homes:
    """Maps from home addresses, by descriptor: what they lead to is theirs to say."""

    networks: tuple[IPv4Network, ...]
    pools: tuple[int, ...]  # an array for each network, by the address's place in it
    others: int  # hash, for addresses outside of all
    behind: int | None = None  # prefixes: mobile network -> its router's home address (RFC 5177)


class PacketProgram:
    """Steps of a program. R6: the packet; R7: where the header in hand begins.

    At tcx a packet is the kernel's own. In XDP it is a frame that the driver has just taken off its
    ring: `mac` is the address of the interface, which nobody has compared yet.
    """

    def __init__(self, mac: int | None = None) -> None:
        self.asm = Assembler()
        self._mac = mac
        xdp = mac is not None
        self.next: Final = 2 if xdp else NEXT  # XDP_PASS
        self.drop: Final = 1 if xdp else DROP  # XDP_DROP
        self._load: Final = Helper.XDP_LOAD_BYTES if xdp else Helper.LOAD_BYTES
        self._store: Final = Helper.XDP_STORE_BYTES if xdp else Helper.STORE_BYTES

    def only_ours(self, leave: str) -> None:
        """IPv4 in frames for this interface; the outer header is copied, R7 behind it."""
        asm = self.asm
        asm.move(R6, R1)
        if self._mac is None:
            asm.load(Width.WORD, R2, R6, PACKET_TYPE)
            asm.jump_if(R2, Condition.UNEQUAL, HOST, leave)
            asm.load(Width.WORD, R2, R6, PROTOCOL)
            asm.jump_if(R2, Condition.UNEQUAL, network_order(IPV4, 2), leave)
        else:
            self.copy(0, ETHERNET, NEXT_HEADER, leave)
            asm.load(Width.WORD, R2, STACK, NEXT_HEADER)
            asm.jump_if_32(R2, Condition.UNEQUAL, network_order(self._mac >> 16, 4), leave)
            asm.load(Width.HALF, R2, STACK, NEXT_HEADER + 4)
            asm.jump_if(R2, Condition.UNEQUAL, network_order(self._mac & 0xFFFF, 2), leave)
            asm.load(Width.HALF, R2, STACK, NEXT_HEADER + 12)
            asm.jump_if(R2, Condition.UNEQUAL, network_order(IPV4, 2), leave)
        self.copy(ETHERNET, HEADER, OUTER, leave)
        self.header_length(OUTER, R7, leave)
        asm.add(R7, ETHERNET)

    def copy(self, offset: int | Register, octets: int, to: int, short: str) -> None:
        """Octets of the packet to the stack; R1 to R5 are lost."""
        asm = self.asm
        asm.move(R1, R6)
        asm.move(R2, offset)
        asm.move(R3, STACK)
        asm.add(R3, to)
        asm.move(R4, octets)
        asm.call(self._load)
        asm.jump_if(R0, Condition.UNEQUAL, 0, short)

    def write(self, offset: int, octets: int, place: int) -> None:
        """Octets of the stack into the packet; R1 to R5 are lost."""
        asm = self.asm
        asm.move(R1, R6)
        asm.move(R2, offset)
        asm.move(R3, STACK)
        asm.add(R3, place)
        asm.move(R4, octets)
        asm.move(R5, 0)
        asm.call(self._store)

    def header_length(self, at: int, to: Register, wrong: str) -> None:
        """Octets of the IPv4 header on the stack."""
        asm = self.asm
        asm.load(Width.BYTE, R2, STACK, at)
        asm.move(R3, R2)
        asm.calculate(Operation.SHIFT_RIGHT, R3, 4)
        asm.jump_if(R3, Condition.UNEQUAL, 4, wrong)
        asm.move(to, R2)
        asm.calculate(Operation.AND, to, 15)
        asm.calculate(Operation.SHIFT_LEFT, to, 2)
        asm.jump_if(to, Condition.BELOW, HEADER, wrong)

    def gre_length(self, unreadable: str) -> None:
        """From the GRE header at R7 to what it carries, which is IPv4."""
        asm = self.asm
        self.copy(R7, 4, NEXT_HEADER, unreadable)
        asm.load(Width.HALF, R2, STACK, NEXT_HEADER + 2)
        asm.jump_if(R2, Condition.UNEQUAL, network_order(IPV4, 2), unreadable)
        asm.load(Width.HALF, R2, STACK, NEXT_HEADER)
        asm.jump_if(R2, Condition.ANY_BIT, network_order(GRE_UNREAD, 2), unreadable)
        asm.add(R7, 4)
        for bit in (GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE):
            with_it, without = asm.unique("with"), asm.unique("without")
            asm.jump_if(R2, Condition.ANY_BIT, network_order(bit, 2), with_it)
            asm.jump(without)
            asm.name(with_it)
            asm.add(R7, 4)
            asm.name(without)

    def look_up(self, homes: Homes, width: Width, nobody: str) -> None:
        """From an address in R2, in network order, to R2: its value, of that width, which is not 0.

        A mobile node's own, else that of the mobile router which has it behind it.
        """
        asm = self.asm
        asm.store(Width.WORD, STACK, BEHIND + 4, R2)
        if homes.behind is None:
            self.find(homes, nobody)
            asm.load(width, R2, R0)
            asm.jump_if(R2, Condition.EQUAL, 0, nobody)
            return
        behind, found = asm.unique("behind"), asm.unique("found")
        self.find(homes, behind)
        asm.load(width, R2, R0)
        asm.jump_if(R2, Condition.UNEQUAL, 0, found)
        asm.name(behind)
        asm.store(Width.WORD, STACK, BEHIND, _ADDRESS_BITS)
        self.get(homes.behind, BEHIND)
        asm.jump_if(R0, Condition.EQUAL, 0, nobody)
        asm.load(Width.WORD, R2, R0)
        self.find(homes, nobody)
        asm.load(width, R2, R0)
        asm.jump_if(R2, Condition.EQUAL, 0, nobody)
        asm.name(found)

    def find(self, homes: Homes, nobody: str) -> None:
        """From an address in R2, in network order, to R0: where its value stands."""
        asm = self.asm
        found = asm.unique("found")
        asm.store(Width.WORD, STACK, KEY, R2)
        asm.move(R1, R2)
        asm.swap(R1, 32)
        for network, pool in zip(homes.networks, homes.pools, strict=True):
            other = asm.unique("other network")
            asm.move(R2, R1)
            asm.calculate_32(Operation.SUBTRACT, R2, int(network.network_address))
            asm.jump_if_32(R2, Condition.AT_LEAST, network.num_addresses, other)
            asm.store(Width.WORD, STACK, KEY, R2)
            self.get(pool)
            asm.jump_if(R0, Condition.EQUAL, 0, nobody)
            asm.jump(found)
            asm.name(other)
        self.get(homes.others)
        asm.jump_if(R0, Condition.EQUAL, 0, nobody)
        asm.name(found)

    def get(self, descriptor: int, key: int = KEY) -> None:
        """R0: where the value for the key on the stack is, or 0."""
        asm = self.asm
        asm.map(R1, descriptor)
        asm.move(R2, STACK)
        asm.add(R2, key)
        asm.call(Helper.MAP_LOOKUP)

    def count(self, descriptor: int, place: int | Register) -> None:
        """One packet more there, and its octets; R0 to R5 are lost."""
        asm = self.asm
        done = asm.unique("done")
        if isinstance(place, Register):
            asm.store(Width.WORD, STACK, PLACE, place)
        else:
            asm.store(Width.WORD, STACK, PLACE, int(place))
        asm.map(R1, descriptor)
        asm.move(R2, STACK)
        asm.add(R2, PLACE)
        asm.call(Helper.MAP_LOOKUP)
        asm.jump_if(R0, Condition.EQUAL, 0, done)
        asm.load(Width.DOUBLE, R2, R0)  # of this processor alone
        asm.add(R2, 1)
        asm.store(Width.DOUBLE, R0, 0, R2)
        asm.load(Width.DOUBLE, R2, R0, 8)
        if self._mac is None:
            asm.load(Width.WORD, R3, R6, LENGTH)
        else:
            asm.load(Width.WORD, R3, R6, _DATA_END)
            asm.load(Width.WORD, R4, R6, _DATA)
            asm.calculate(Operation.SUBTRACT, R3, R4)
        asm.add(R2, R3)
        asm.store(Width.DOUBLE, R0, 8, R2)
        asm.name(done)

    def older(self, at: int) -> None:
        """A hop, in the IPv4 header on the stack and in the packet; R0 to R5 are lost.

        The checksum gains what the header loses: 1 in the high half of a word (RFC 1624).
        """
        asm = self.asm
        asm.load(Width.BYTE, R2, STACK, at + 8)
        asm.add(R2, -1)
        asm.store(Width.BYTE, STACK, at + 8, R2)
        asm.load(Width.HALF, R2, STACK, at + 10)
        asm.add(R2, network_order(0x0100, 2))
        asm.move(R3, R2)
        asm.add(R3, 1)
        asm.calculate(Operation.SHIFT_RIGHT, R3, 16)  # 0xFFFF or more: the carry comes around
        asm.add(R2, R3)
        asm.store(Width.HALF, STACK, at + 10, R2)
        self.write(ETHERNET + 8, 4, at + 8)

    def checksum(self, at: int, octets: int, to: Register, skip: Sequence[int] = ()) -> None:
        """RFC 1071, of octets on the stack but for the halves at `skip`; R2 is lost.

        A sum of halves in this machine's order is the sum in the network's order, swapped.
        """
        asm = self.asm
        asm.move(to, 0)
        for half in range(0, octets, 2):
            if half not in skip:
                asm.load(Width.HALF, R2, STACK, at + half)
                asm.add(to, R2)
        for _ in range(2):
            asm.move(R2, to)
            asm.calculate(Operation.SHIFT_RIGHT, R2, 16)
            asm.calculate(Operation.AND, to, 0xFFFF)
            asm.add(to, R2)
        asm.calculate(Operation.EXCLUSIVE_OR, to, 0xFFFF)


def network_order(number: int, octets: int) -> int:
    """What this machine sees when it loads a number as it stands in a packet."""
    return int.from_bytes(number.to_bytes(octets, "big"), sys.byteorder)
