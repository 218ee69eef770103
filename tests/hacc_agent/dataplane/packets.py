"""Packets made by hand, as other implementations would send them."""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import Struct

_IP = Struct("!BBHHHBBH4s4s")


def checksum(octets: bytes) -> int:
    """RFC 1071."""
    total = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    options: bytes = b"",
    offset: int = 0,
    more: bool = False,
    number: int = 77,
    ttl: int = 64,
) -> bytes:
    size = 20 + len(options)
    fields = [
        0x40 | size // 4, 0, size + len(payload), number, more << 13 | offset // 8, ttl, protocol,
        0, IPv4Address(source).packed, IPv4Address(destination).packed,
    ]  # fmt: skip
    fields[7] = checksum(_IP.pack(*fields) + options)
    return _IP.pack(*fields) + options + payload


def frame(packet: bytes, to: bytes = bytes(6), ethertype: int = 0x0800) -> bytes:
    """To the interface of a test run, whose MAC address is 0."""
    return to + b"\x02sender"[:6] + ethertype.to_bytes(2, "big") + packet


def udp(source: int, destination: int, payload: bytes) -> bytes:
    return Struct("!HHHH").pack(source, destination, 8 + len(payload), 0) + payload


def gre(payload: bytes, flags: int = 0, options: bytes = b"", protocol: int = 0x0800) -> bytes:
    return Struct("!HH").pack(flags, protocol) + options + payload


def minimal(destination: str, source: str | None, payload: bytes) -> bytes:
    """RFC 2004, 3.1."""
    address = IPv4Address(source).packed if source else b""
    flags = b"\x80" if source else b"\0"
    rest = IPv4Address(destination).packed + address
    held = checksum(b"\x11" + flags + b"\0\0" + rest)
    return b"\x11" + flags + held.to_bytes(2, "big") + rest + payload


def data(kind: int, payload: bytes) -> bytes:
    """RFC 3519, 3.3."""
    return bytes((4, kind, 0, 0)) + payload
