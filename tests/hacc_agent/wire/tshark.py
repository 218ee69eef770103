"""A decoder that nobody here wrote: Wireshark's, fed with a capture made in memory.

Every payload becomes one IPv4 packet of a raw-IP capture; tshark reads all of them in one run and
gives back the fields asked for, one row a packet.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from hacc_agent.wire.advertisement import checksum
from hacc_agent.wire.registry import PORT

UDP, ICMP = 17, 1
_RAW_IPV4 = 228  # LINKTYPE_IPV4
_MAGIC = 0xA1B2C3D4
_SOURCE, _DESTINATION = bytes((198, 51, 100, 1)), bytes((203, 0, 113, 7))
_SECONDS = 60


def datagram(payload: bytes) -> bytes:
    """The payload between two ports 434, within IPv4."""
    return packet(UDP, struct.pack("!HHHH", PORT, PORT, 8 + len(payload), 0) + payload)


def packet(
    protocol: int, payload: bytes, source: bytes = _SOURCE, destination: bytes = _DESTINATION
) -> bytes:
    """An IPv4 packet of TTL 1, as agent discovery and HSRP want it."""
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45, 0, 20 + len(payload), 1, 0, 1, protocol, 0, source, destination,
    )  # fmt: skip
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + payload


def capture(packets: Iterable[bytes]) -> bytes:
    """A pcap file."""
    parts = [struct.pack("!IHHiIII", _MAGIC, 2, 4, 0, 0, 0xFFFF, _RAW_IPV4)]
    for octets in packets:
        parts += [struct.pack("!IIII", 0, 0, len(octets), len(octets)), octets]
    return b"".join(parts)


def payloads(path: Path, port: int) -> list[bytes]:
    """The UDP payloads of a capture that somebody else made."""
    text = run("-r", str(path), "-Y", f"udp.port == {port}", "-T", "fields", "-e", "udp.payload")
    return [bytes.fromhex(line) for line in text.splitlines()]


def run(*arguments: str) -> str:
    """What tshark prints, or a skipped test where it is not installed."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed")
    done = subprocess.run(
        [program, *arguments], capture_output=True, check=True, text=True, timeout=_SECONDS
    )
    return done.stdout


def decode(
    folder: Path, packets: Sequence[bytes], fields: Sequence[str]
) -> list[dict[str, list[str]]]:
    """One row a packet: every field's values, in the order of their appearance."""
    path = folder / "packets.pcap"
    path.write_bytes(capture(packets))
    asked = [argument for field in fields for argument in ("-e", field)]
    text = run(
        *("-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"), *asked
    )
    rows = [line.split("\t") for line in text.splitlines()]
    assert len(rows) == len(packets)
    return [
        {field: value.split("|") if value else [] for field, value in zip(fields, row, strict=True)}
        for row in rows
    ]
