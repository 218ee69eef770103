"""HSRP on the wire: what routers sent, published digests, and a stranger's decoder."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.wire import hsrp
from hacc_agent.wire.errors import NotUnderstood, PoorlyFormed, Truncated, Unencodable, WireError
from hacc_agent.wire.hsrp import (
    Advertisement,
    GroupMessage,
    GroupState,
    InterfaceState,
    Md5,
    Operation,
    State,
    Text,
    Unknown,
    Version1,
    Version2,
    parse,
)
from tests.hacc_agent.wire.tshark import UDP, decode, packet, payloads

KEY = b"password12345"


def test_all_that_routers_sent_is_read_and_written_back_to_the_octet(reference: Path) -> None:
    captured = payloads(reference / "pcap" / "tcpdump-HSRP_coup.pcap", hsrp.PORT)
    assert len(captured) == 51
    assert [parse(octets).to_bytes() for octets in captured] == captured


def test_a_coup_as_it_was_captured() -> None:
    octets = bytes.fromhex("000102030ac80100636973636f000000c0a80001")
    message = GroupMessage(
        Operation.COUP, State.LISTEN, 200, 1, 3000, 10_000, IPv4Address("192.168.0.1")
    )
    assert parse(octets) == Version1(message)


def test_an_advertisement_as_it_was_captured() -> None:
    octets = bytes.fromhex("00030001000e0200000000016f000000")
    assert parse(octets) == Advertisement(2, 0, 1, reserved=(0, 0x6F000000))


def test_a_published_digest_holds(reference: Path) -> None:
    (case,) = json.loads((reference / "vectors" / "hsrp_md5.json").read_text())
    octets = bytes.fromhex(case["packet_hex"]) + bytes.fromhex(case["md5"])
    found = parse(octets)
    assert isinstance(found, Version1)
    assert found.md5 is not None
    assert found.md5.source == IPv4Address("10.0.0.20")
    assert hsrp.verify(octets, case["key"].encode())
    assert hsrp.sign(found, case["key"].encode()) == octets
    assert not hsrp.verify(octets, b"password12346")


@given(st.binary(min_size=1, max_size=130), st.integers(0, 200))
def test_a_changed_bit_or_key_is_seen(key: bytes, at: int) -> None:
    message = GroupMessage(Operation.HELLO, State.ACTIVE, 1, 2, 3, 4, IPv4Address("192.0.2.1"))
    bare = Version2((GroupState(message, 5), Md5(IPv4Address("192.0.2.2"), 0)))
    octets = hsrp.sign(bare, key)
    assert hsrp.verify(octets, key)
    assert not hsrp.verify(octets, key + b"x")
    changed = bytearray(octets)
    changed[at % (len(octets) - 2) if at % len(octets) not in (0, 1, 42, 43) else 10] ^= 1
    try:
        parse(changed)
    except WireError:
        return
    assert not hsrp.verify(changed, key)


# ------------------------------------------------------------------ laws

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)


def messages(version: int) -> st.SearchStrategy[GroupMessage]:
    times = (
        st.integers(0, 255).map(lambda s: s * 1000) if version == 1 else st.integers(0, 2**32 - 1)
    )
    states = [state for state in State if version == 2 or state is not State.DISABLED]
    return st.builds(
        GroupMessage,
        st.sampled_from([Operation.HELLO, Operation.COUP, Operation.RESIGN]),
        st.sampled_from(states),
        st.integers(0, 255 if version == 1 else 2**32 - 1),
        st.integers(0, 255 if version == 1 else 4095),
        times,
        times,
        addresses,
    )  # fmt: skip


digests = st.builds(Md5, addresses, st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16))
texts = st.binary(min_size=8, max_size=8)
strangers = st.builds(Unknown, st.integers(5, 255), st.binary(max_size=255))
packets = st.one_of(
    st.builds(Version1, messages(1), texts, st.integers(0, 255), st.tuples() | st.tuples(digests)),
    st.builds(
        lambda first, more: Version2((first, *more)),
        st.builds(GroupState, messages(2), st.integers(0, 2**48 - 1)),
        st.lists(st.one_of(digests, texts.map(Text), strangers), max_size=3),
    ),
    st.builds(Version2, st.tuples(st.builds(InterfaceState, st.integers(0, 9), st.integers(0, 9)))),
    st.builds(Advertisement, st.integers(0, 255), st.integers(0, 9), st.integers(0, 9)),
)


@given(packets)
def test_what_is_written_is_read(sent: hsrp.Packet) -> None:
    assert parse(sent.to_bytes()) == sent


@given(st.binary(max_size=80) | packets.map(lambda sent: sent.to_bytes()[:-1]))
def test_octets_are_read_and_written_back_or_refused(octets: bytes) -> None:
    try:
        found = parse(octets)
    except WireError:
        return
    assert found.to_bytes() == octets


@pytest.mark.parametrize(
    ("octets", "error", "words"),
    [
        ("", Truncated, "no octets"),
        ("0000100a1e", Truncated, "5 octets"),
        ("01", Truncated, "ends within its header"),
        ("0128" + "00" * 39, Truncated, "claims 1 octets more"),
        ("0105" + "00" * 5, PoorlyFormed, "5 octets instead of 40"),
        ("000703030a640100636973636f000000c0a80001", NotUnderstood, "operation 7"),
        ("000003030a640100636973636f000000c0a80001", PoorlyFormed, "octet 2: state 3"),
        ("0128" + "03" + "00" * 39, NotUnderstood, "version 3"),
        ("7f" * 30, NotUnderstood, "127"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    octets: str, error: type[WireError], words: str
) -> None:
    with pytest.raises(error, match=words):
        parse(bytes.fromhex(octets))


def test_a_group_of_another_family_is_passed_over() -> None:
    octets = bytearray(
        Version2(
            (
                GroupState(
                    GroupMessage(
                        Operation.HELLO, State.ACTIVE, 1, 2, 3, 4, IPv4Address("192.0.2.1")
                    ),
                    5,
                ),
            )
        ).to_bytes()
    )
    octets[5] = 6
    found = parse(octets)
    assert found.messages == ()
    assert found.to_bytes() == octets


def test_version_1_says_a_time_of_less_than_a_second_as_the_next_longer_one() -> None:
    message = GroupMessage(
        Operation.HELLO, State.ACTIVE, 100, 1, 200, 1700, IPv4Address("192.0.2.1")
    )
    (found,) = parse(Version1(message).to_bytes()).messages
    assert (found.hello_ms, found.hold_ms) == (1000, 2000)


def test_what_fits_no_field_is_our_own_mistake() -> None:
    message = GroupMessage(
        Operation.HELLO, State.ACTIVE, 256, 1, 3000, 10_000, IPv4Address("192.0.2.1")
    )
    with pytest.raises(Unencodable):
        Version1(message).to_bytes()
    with pytest.raises(Unencodable, match="9 octets"):
        Text(b"123456789").body()


@pytest.mark.parametrize(
    ("version", "group", "mac"),
    [(1, 1, "00000c07ac01"), (1, 255, "00000c07acff"), (2, 50, "00000c9ff032")],
)
def test_the_virtual_mac_address(version: int, group: int, mac: str) -> None:
    assert hsrp.virtual_mac(version, group).to_bytes(6, "big").hex() == mac


# ------------------------------------------------------------------ a stranger's decoder

FIELDS = (
    "_ws.malformed", "hsrp.opcode", "hsrp.state", "hsrp.priority", "hsrp.group",
    "hsrp.virt_ip", "hsrp2.opcode", "hsrp2.state", "hsrp2.priority", "hsrp2.group",
    "hsrp2.hellotime", "hsrp2.holdtime", "hsrp2.virt_ip", "hsrp2.auth_data",
    "hsrp.md5_ip_address",
)  # fmt: skip


def test_wireshark_reads_what_was_meant(tmp_path: Path) -> None:
    source = IPv4Address("192.0.2.7")
    sent: list[Version1 | Version2] = []
    for operation, state in product(list(Operation)[:3], list(State)[1:]):
        message = GroupMessage(operation, state, 110, 10, 1000, 4000, IPv4Address("192.0.2.1"))
        group = GroupState(message, 0x02_00_00_00_00_07)
        sent += [
            Version1(message),
            Version1(message, bytes(8), more=(Md5(source, 0),)),
            Version2((group, Text(b"cisco"))),
            Version2((group, Md5(source, 0))),
        ]
    frames = [
        packet(
            UDP,
            _udp(hsrp.sign(one, KEY) if one.md5 is not None else one.to_bytes()),
            source.packed,
            hsrp.GROUPS[one.version].packed,
        )
        for one in sent
    ]
    for one, row in zip(sent, decode(tmp_path, frames, FIELDS), strict=True):
        assert row["_ws.malformed"] == []
        (message,) = one.messages
        prefix = f"hsrp{one.version if one.version == 2 else ''}"
        assert row[f"{prefix}.opcode"] == [str(int(message.operation))]
        assert row[f"{prefix}.priority"] == ["110"]
        assert row[f"{prefix}.group"] == ["10"]
        assert row[f"{prefix}.virt_ip"] == ["192.0.2.1"]
        if one.version == 2:
            assert row["hsrp2.state"] == [str(int(message.state))]
            assert (row["hsrp2.hellotime"], row["hsrp2.holdtime"]) == (["1000"], ["4000"])
        assert row["hsrp.md5_ip_address"] == ([] if one.md5 is None else [str(source)])


def _udp(payload: bytes) -> bytes:
    ports = hsrp.PORT.to_bytes(2, "big") * 2
    return ports + (8 + len(payload)).to_bytes(2, "big") + bytes(2) + payload
