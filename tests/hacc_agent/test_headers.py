"""Checksums as columns: they say what adding up octet by octet says."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.headers import FRONT, PAD, VIRTIO, address_sum, holds, ip_checksum, mend, mend_udp

addresses = st.integers(0, 2**32 - 1)
ports = st.integers(0, 2**16 - 1)


def ones_sum(octets: bytes) -> int:
    """RFC 1071, with no trick."""
    total = 0
    for (word,) in struct.iter_unpack("!H", octets + b"\0" * (len(octets) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def udp_checksum(source: int, destination: int, udp: bytes) -> int:
    pseudo = struct.pack("!IIHH", source, destination, 17, len(udp))
    return ~ones_sum(pseudo + udp) & 0xFFFF or 0xFFFF


datagrams = st.lists(
    st.tuples(addresses, addresses, ports, ports, st.binary(max_size=70)), min_size=1, max_size=8
)


@given(datagrams, st.data())
def test_a_checksum_holds_exactly_if_the_octets_are_those_that_were_sent(
    sent: list[tuple[int, int, int, int, bytes]], data: st.DataObject
) -> None:
    front = np.zeros(len(sent), FRONT)
    octets = np.full((len(sent), 72), 0xA5, np.uint8)  # what an earlier datagram left behind
    for row, (source, destination, source_port, port, payload) in enumerate(sent):
        udp_length = 8 + len(payload)
        udp = struct.pack("!HHHH", source_port, port, udp_length, 0) + payload
        front[row]["source"], front[row]["destination"] = source, destination
        front[row]["source_port"], front[row]["destination_port"] = source_port, port
        front[row]["udp_length"] = udp_length
        front[row]["udp_checksum"] = udp_checksum(source, destination, udp)
        octets[row, : len(payload)] = list(payload)
    length = np.array([len(payload) for *_, payload in sent])
    assert holds(front, octets, length).all()
    row = data.draw(st.integers(0, len(sent) - 1))
    if length[row]:
        octets[row, data.draw(st.integers(0, int(length[row]) - 1))] ^= 1
        expected = [number != row for number in range(len(sent))]
        assert holds(front, octets, length).tolist() == expected
        front["udp_checksum"] = 0
        assert holds(front, octets, length).all(), "no checksum: nothing to hold"


@given(addresses, addresses, addresses, addresses, ports, ports, st.binary(max_size=40))
def test_a_mended_checksum_is_the_one_that_would_be_made(
    source: int, destination: int, new: int, to: int, port: int, other: int, payload: bytes
) -> None:
    def udp(one: int) -> bytes:
        return struct.pack("!HHHH", one, 434, 8 + len(payload), 0) + payload

    before = np.array([udp_checksum(source, destination, udp(port)), 0])
    change = (
        address_sum(np.array([new, new]))
        + address_sum(np.array([to, to]))
        - address_sum(np.array([source, source]))
        - address_sum(np.array([destination, destination]))
        + (other - port)
    )
    assert mend_udp(before, change).tolist() == [udp_checksum(new, to, udp(other)), 0]


@given(st.binary(min_size=20, max_size=20), addresses, addresses)
def test_the_ip_checksum_is_that_of_its_header(octets: bytes, source: int, to: int) -> None:
    front = np.zeros(1, FRONT)
    at = PAD + VIRTIO + 14
    row = front.view(np.uint8).reshape(1, FRONT.itemsize)
    row[0, at : at + 20] = list(octets)
    header = octets[:10] + b"\0\0" + octets[12:]
    made = ip_checksum(front)
    assert made[0] == ~ones_sum(header) & 0xFFFF
    old = address_sum(front["source"]) + address_sum(front["destination"])
    new = address_sum(np.array([source])) + address_sum(np.array([to]))
    changed = header[:12] + struct.pack("!II", source, to)
    # 0 and 0xFFFF are the same number to whoever adds them up.
    assert mend(made, new - old)[0] % 0xFFFF == (~ones_sum(changed) & 0xFFFF) % 0xFFFF
