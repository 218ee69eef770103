"""Cisco Discovery Protocol, version 2: what a router tells the neighbours on its segment.

    frame      01:00:0c:cc:cc:cc, source, length, LLC AA AA 03, SNAP 00 00 0c, protocol 20 00
    packet     version, hold time in s, checksum; then values, each behind type and whole length

Cisco never published it; types and layouts are those that Wireshark's packet-cdp.c reads. The
checksum is that of IP over an even number of octets. Over an odd one IOS has a reckoning of its
own, so what we send is even, and of what is heard an odd one is not verified: the frame had a
checksum too.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from .advertisement import checksum
from .errors import Corrupted, NotUnderstood, PoorlyFormed, Truncated, Unencodable
from .tlv import Octets, pack

GROUP: Final = 0x01000CCCCCCC
SNAP: Final = bytes.fromhex("aaaa0300000c2000")  # LLC, Cisco's code, CDP
VERSION: Final = 2
ROUTER: Final = 0x01  # of the capabilities

_HEADER: Final = struct.Struct("!BBH")
_TLV: Final = struct.Struct("!HH")
_ETHERNET: Final = struct.Struct("!6s6sH")
_COUNT: Final = struct.Struct("!I")
_IPV4: Final = bytes.fromhex("0101cc0004")  # NLPID, of one octet: IP; an address of four
_LONGEST: Final = 1492  # octets behind the LLC's length field: an 802.3 frame holds 1500


class Type(enum.IntEnum):
    DEVICE_ID = 1
    ADDRESSES = 2
    PORT_ID = 3
    CAPABILITIES = 4
    SOFTWARE = 5
    PLATFORM = 6


@dataclass(frozen=True, slots=True)
class CdpAnnouncement:
    """Who is at the other end of a cable."""

    device_id: str
    addresses: tuple[IPv4Address, ...]
    port_id: str
    capabilities: int
    software: str
    platform: str
    hold_s: int  # s, 0-255: how long it is to be believed

    def to_bytes(self) -> bytes:
        """The packet. `software` may get a blank at its end, lest its length be odd."""
        addresses = b"".join(_IPV4 + address.packed for address in self.addresses)
        values = {
            Type.DEVICE_ID: _octets(self.device_id),
            Type.ADDRESSES: pack(_COUNT, len(self.addresses)) + addresses,
            Type.PORT_ID: _octets(self.port_id),
            Type.CAPABILITIES: pack(_COUNT, self.capabilities),
            Type.SOFTWARE: _octets(self.software),
            Type.PLATFORM: _octets(self.platform),
        }
        if sum(map(len, values.values())) % 2:
            values[Type.SOFTWARE] += b" "
        body = b"".join(
            pack(_TLV, kind, _TLV.size + len(value)) + value for kind, value in values.items()
        )
        whole = pack(_HEADER, VERSION, self.hold_s, 0) + body
        if len(whole) > _LONGEST:
            raise Unencodable(f"{len(whole)} octets do not fit a frame")
        return whole[:2] + checksum(whole).to_bytes(2, "big") + whole[4:]

    def frame(self, source: int) -> bytes:
        """From this MAC address, to all that listen on the segment."""
        packet = SNAP + self.to_bytes()
        ends = GROUP.to_bytes(6, "big"), source.to_bytes(6, "big")
        return _ETHERNET.pack(*ends, len(packet)) + packet


def parse(data: Octets) -> CdpAnnouncement:
    """The announcement in a packet (behind the SNAP header). Raises a `WireError`."""
    if len(data) < _HEADER.size:
        raise Truncated(f"{len(data)} octets are no announcement")
    version, hold, _ = _HEADER.unpack_from(data)
    if version not in (1, VERSION):
        raise NotUnderstood(f"CDP version {version}")
    if len(data) % 2 == 0 and checksum(data):
        raise Corrupted("the checksum does not hold")
    values: dict[int, bytes] = {}
    at = _HEADER.size
    while at < len(data):
        if at + _TLV.size > len(data):
            raise Truncated(f"a value at octet {at} ends behind the packet")
        kind, length = _TLV.unpack_from(data, at)
        if length < _TLV.size or at + length > len(data):
            raise PoorlyFormed(f"type {kind} at octet {at}: length {length}")
        values.setdefault(kind, bytes(data[at + _TLV.size : at + length]))
        at += length
    capabilities = values.get(Type.CAPABILITIES, b"").rjust(4, b"\0")[-4:]
    return CdpAnnouncement(
        _text(values, Type.DEVICE_ID),
        _addresses(values.get(Type.ADDRESSES, b"")),
        _text(values, Type.PORT_ID),
        int.from_bytes(capabilities, "big"),
        _text(values, Type.SOFTWARE),
        _text(values, Type.PLATFORM),
        hold,
    )


def _addresses(value: bytes) -> tuple[IPv4Address, ...]:
    """Those of IPv4; a list that ends too early ends."""
    found = []
    at = _COUNT.size
    while at + 2 <= len(value):
        protocol = value[at + 2 : at + 2 + value[at + 1]]
        at += 2 + value[at + 1]
        length = int.from_bytes(value[at : at + 2], "big")
        address = value[at + 2 : at + 2 + length]
        at += 2 + length
        if protocol == b"\xcc" and len(address) == length == 4:
            found.append(IPv4Address(address))
    return tuple(found)


def _text(values: dict[int, bytes], kind: Type) -> str:
    text = values.get(kind, b"").decode("ascii", "replace").rstrip()
    return "".join(one if one.isprintable() else "?" for one in text)


def _octets(text: str) -> bytes:
    """IOS shows ASCII."""
    return text.encode("ascii", "replace")
