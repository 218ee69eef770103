"""Packets that no program takes: made anew here, since they are few.

A frame comes back from the device of tunnels (`device`) when its mobile node has several bindings:
each care-of address gets a copy (RFC 5944, 3.7.2.1). Or when it has none: then the sender is told
that the host cannot be reached (RFC 1812, 5.2.7.1), a hundred times a second at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final, NamedTuple

from ..engine.record import Row, Trait
from ..wire import Encapsulation, MessageType

ERRORS: Final = 100  # a second, as Linux allows itself: net.ipv4.icmp_ratelimit and its burst

_IP: Final = Struct("!BBHHHBBHII")
_UDP: Final = Struct("!HHHHBBH")
_ICMP: Final = Struct("!BBHI")
_ETHERNET: Final = 14
_PROTOCOL_UDP: Final = 17
_PROTOCOL_ICMP: Final = 1
_TTL: Final = 64
_UNREACHABLE: Final = (3, 1)  # host unreachable
_QUOTED: Final = 576 - 20 - 20 - 8  # octets of the packet that is complained of (RFC 1812, 4.3.2.3)


class Made(NamedTuple):
    """A whole IPv4 packet, and where it goes."""

    packet: bytes
    destination: int


def packet_of(frame: bytes) -> bytes | None:
    """The IPv4 packet in it, if that is what it is."""
    packet = frame[_ETHERNET:]
    return packet if len(packet) >= 20 and packet[0] >> 4 == 4 else None


def home_of(packet: bytes) -> int:
    return int.from_bytes(packet[16:20], "big")


def copies(packet: bytes, rows: Iterable[Row], source: int, port: int) -> list[Made]:
    """In the tunnel of each binding. Minimal encapsulation is never an obligation (RFC 2004, 1)."""
    made = []
    for row in rows:
        if row.traits & Trait.UDP_TUNNEL:
            destination, protocol = row.source_address, _PROTOCOL_UDP
            kind = MessageType.TUNNEL_DATA
            body = _UDP.pack(port, row.source_port, 12 + len(packet), 0, kind, Encapsulation.IP, 0)
        elif row.tunnel == Encapsulation.GRE:
            destination, protocol, body = row.care_of_address, Encapsulation.GRE, b"\0\0\x08\0"
        else:
            destination, protocol, body = row.care_of_address, Encapsulation.IP, b""
        made.append(Made(_packet(source, destination, protocol, body + packet), destination))
    return made


def unreachable(packet: bytes, source: int) -> Made | None:
    """None where an error would be one too many (RFC 1122, 3.2.2)."""
    offset = int.from_bytes(packet[6:8], "big") & 0x1FFF
    to = int.from_bytes(packet[12:16], "big")
    is_error = packet[9] == _PROTOCOL_ICMP and packet[20:21] not in (b"\x08", b"\x0d", b"\x11")
    if offset or is_error or not to or to >> 28 >= 0xE:
        return None
    body = _ICMP.pack(*_UNREACHABLE, 0, 0) + packet[:_QUOTED]
    held = _checksum(body)
    body = _ICMP.pack(*_UNREACHABLE, held, 0) + packet[:_QUOTED]
    return Made(_packet(source, to, _PROTOCOL_ICMP, body), to)


def _packet(source: int, destination: int, protocol: int, payload: bytes) -> bytes:
    """Its identification and checksum the kernel fills in (raw(7))."""
    head = _IP.pack(0x45, 0, 20 + len(payload), 0, 0, _TTL, protocol, 0, source, destination)
    return head + payload


def _checksum(octets: bytes) -> int:
    """RFC 1071."""
    even = octets + bytes(len(octets) % 2)
    total: int = sum(Struct(f"!{len(even) // 2}H").unpack(even))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
