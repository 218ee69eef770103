"""Messages whose authenticators somebody else computed."""

from __future__ import annotations

import dataclasses
import json
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.config import Algorithm, Node, Realm, Replay, Security
from hacc_agent.engine.effects import Endpoint, Moment, Send
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.home_agent.replay import NTP_EPOCH
from hacc_agent.engine.table import Table
from tests.hacc_agent.conformance.scene import CONFIG, HOME_NETWORK

HOME_AGENT = IPv4Address("192.168.1.2")
HOME = IPv4Address("192.168.100.10")
FOREIGN_AGENT = IPv4Address("192.168.3.1")
WALL = 0xCE22A5D5 - NTP_EPOCH  # of the vectors' Identification
KEY = Security(0x100, Algorithm.HMAC_MD5, "1234567890abcdef" * 2, Replay.TIMESTAMP, 7)


@pytest.fixture(scope="module")
def vectors(reference: Path) -> dict[str, bytes]:
    found = json.loads((reference / "vectors" / "mobile_ip.json").read_text())
    return {each["name"]: bytes.fromhex(each["udp_payload_hex"]) for each in found}


def answer(payload: bytes) -> bytes:
    """Of a Home Agent that grants 180 s."""
    node = Node(HOME, HOME_NETWORK, 180, KEY)
    realm = dataclasses.replace(CONFIG.realms[0], realm="@example.com", security=KEY)
    config = dataclasses.replace(
        CONFIG, home_agent_address=HOME_AGENT, nodes=(node,), realms=(realm,), foreign_agents=()
    )
    assert isinstance(realm, Realm)
    agent = HomeAgent(config, Table(10, 1), bytes)
    source = Endpoint(int(FOREIGN_AGENT), 434)
    happened = agent.receive(payload, source, int(HOME_AGENT), Moment(WALL, WALL))
    (send,) = [each for each in happened if isinstance(each, Send)]
    return send.payload


def test_request_and_reply(vectors: dict[str, bytes]) -> None:
    """Their request is accepted, and our reply is theirs to the octet."""
    assert answer(vectors["rrq_mhae_hmacmd5"]) == vectors["rrp_accept_mhae"]


def test_deregistration(vectors: dict[str, bytes]) -> None:
    assert answer(vectors["rrq_dereg_all"])[:4] == bytes.fromhex("03000000")


def test_another_octet(vectors: dict[str, bytes]) -> None:
    request = vectors["rrq_mhae_hmacmd5"]
    assert answer(request[:-1] + bytes((request[-1] ^ 1,)))[1] == 131
