"""CDP octet by octet, read by tshark, and whatever else may come."""

from __future__ import annotations

import dataclasses
import struct
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.wire import Corrupted, NotUnderstood, PoorlyFormed, Truncated, Unencodable
from hacc_agent.wire.cdp import ROUTER, SNAP, CdpAnnouncement, parse
from hacc_agent.wire.errors import WireError
from tests.hacc_agent.wire.tshark import run

SAID = CdpAnnouncement(
    "hacc1", (IPv4Address("198.18.1.11"),), "lan", ROUTER, "hacc 1", "Linux", 180
)
OCTETS = bytes.fromhex(
    "02 b4 4903"  # which tshark finds right, below
    "0001 0009 6861636331"  # hacc1
    "0002 0011 00000001 01 01 cc 0004 c612010b"
    "0003 0007 6c616e"  # lan
    "0004 0008 00000001"  # a router
    "0005 000a 686163632031"  # "hacc 1"
    "0006 0009 4c696e7578"  # Linux
)


def test_octets() -> None:
    assert SAID.to_bytes().hex() == OCTETS.hex()
    assert parse(OCTETS) == SAID
    odd = dataclasses.replace(SAID, software="hacc 10")
    assert b"hacc 10 " in odd.to_bytes()  # a blank makes it even
    frame = SAID.frame(0x020000000001)
    assert frame[:14].hex() == "01000ccccccc020000000001" + f"{len(OCTETS) + 8:04x}"
    assert frame[14:22] == SNAP


words = st.text(st.characters(codec="ascii", exclude_categories=("C", "Z")), max_size=60)
said = st.builds(
    CdpAnnouncement,
    words,
    st.lists(st.ip_addresses(v=4), max_size=5).map(tuple),
    words,
    st.integers(0, 2**32 - 1),
    words,
    words,
    st.integers(0, 255),
)


@given(said)
def test_what_is_said_is_read(one: CdpAnnouncement) -> None:
    octets = one.to_bytes()
    assert len(octets) % 2 == 0
    assert parse(octets) == one


@given(st.binary(max_size=200) | said.map(lambda one: one.to_bytes()), st.data())
def test_nothing_but_a_wire_error_comes_of_garbage(octets: bytes, data: st.DataObject) -> None:
    cut = octets[: data.draw(st.integers(0, len(octets)))]
    try:
        found = parse(cut)
    except WireError:
        return
    assert all(one.isprintable() for one in found.device_id + found.port_id)


BAD: dict[str, tuple[bytes, type[WireError]]] = {
    "empty": (b"", Truncated),
    "version-3": (b"\x03" + OCTETS[1:], NotUnderstood),
    "checksum": (OCTETS[:-1] + b"y", Corrupted),
    "length-0": (bytes.fromhex("02b4000000010000 00"), PoorlyFormed),
    "length-beyond": (bytes.fromhex("02b400000001000900"), PoorlyFormed),
    "cut-header": (bytes.fromhex("02b40000000100"), Truncated),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_announcement(case: str) -> None:
    octets, kind = BAD[case]
    with pytest.raises(kind):
        parse(octets)


def test_what_does_not_fit() -> None:
    with pytest.raises(Unencodable):
        dataclasses.replace(SAID, software="x" * 1500).to_bytes()
    with pytest.raises(Unencodable):
        dataclasses.replace(SAID, hold_s=256).to_bytes()


def test_tshark_reads_it(tmp_path: Path) -> None:
    frame = SAID.frame(0x020000000001)
    path = tmp_path / "cdp.pcap"
    head = struct.pack("!IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, 1)  # Ethernet
    path.write_bytes(head + struct.pack("!IIII", 0, 0, len(frame), len(frame)) + frame)
    fields = (
        "cdp.version", "cdp.ttl", "cdp.checksum.status", "cdp.deviceid", "cdp.nrgyz.ip_address",
        "cdp.portid", "cdp.capabilities.router", "cdp.software_version", "cdp.platform",
        "_ws.expert.message", "_ws.malformed",
    )  # fmt: skip
    asked = [word for field in fields for word in ("-e", field)]
    text = run("-n", "-r", str(path), "-T", "fields", "-E", "separator=|", *asked)
    row = dict(zip(fields, text.rstrip("\n").split("|"), strict=True))
    assert row["cdp.version"] == "2"
    assert row["cdp.ttl"] == "180"
    assert row["cdp.checksum.status"] == "1"
    assert row["cdp.deviceid"] == "hacc1"
    assert row["cdp.nrgyz.ip_address"] == "198.18.1.11"
    assert row["cdp.portid"] == "lan"
    assert row["cdp.capabilities.router"] == "1"
    assert row["cdp.platform"] == "Linux"
    assert row["_ws.malformed"] == row["_ws.expert.message"] == ""
