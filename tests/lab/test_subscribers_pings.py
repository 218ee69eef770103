"""Echo requests of ours are the kernel's, and only answers to them count."""

from __future__ import annotations

import os
import socket
import time
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.effects import Moment
from lab.subscribers.pings import Pings, replied, request

LOOPBACK = IPv4Address("127.0.0.1")
NOWHERE = IPv4Address("255.255.255.255")  # the kernel sends nothing there without being told to
HEADER = bytes((0x45,)) + bytes(19)


def checksum(octets: bytes) -> int:
    total = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.integers(0, 0xFFFF), st.binary(max_size=32).filter(lambda octets: len(octets) % 2 == 0))
def test_a_request_sums_up_as_rfc_1071_wants(identifier: int, payload: bytes) -> None:
    assert checksum(request(identifier, payload)) == 0xFFFF


@given(st.binary(max_size=64))
def test_strange_octets_are_no_reply(octets: bytes) -> None:
    replied(octets, 7)
    assert replied(HEADER + request(7, b"ping"), 7) == b""  # a request is none
    assert replied(HEADER + b"\0" + request(7, b"ping")[1:], 7) == b"ping"
    assert replied(HEADER + b"\0" + request(7, b"ping")[1:], 8) == b""


@pytest.mark.lab
def test_the_kernel_answers_and_who_is_not_there_is_dead() -> None:
    if os.geteuid() != 0:
        pytest.skip("raw sockets need root")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as echoes:
        echoes.setblocking(False)
        pings = Pings(echoes, [LOOPBACK, NOWHERE], rate=100)
        assert pings.next_deadline() == float("inf")  # not begun
        for step in range(10):
            pings.advance(Moment(step / 100, 0.0))
        pings.end()
        end = time.monotonic() + 30
        while not pings.found().back and time.monotonic() < end:
            pings.receive(echoes.fileno(), Moment(1.0, 0.0))
        found = pings.found()
        assert found.back > 0
        assert found.dead == (1,)
        assert pings.next_deadline() == float("inf")
