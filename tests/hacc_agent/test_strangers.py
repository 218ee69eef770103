"""Whole daemons and people who are none of theirs: nothing is lost, and the log stays short."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.engine.effects import Security
from hacc_agent.wire import (
    RegistrationReply,
    ReplyCode,
)
from hacc_agent.wire.messages import REQUEST
from tests.hacc_agent.pair import certificates
from tests.loopback import PORT, Agent, Loopback, asked, bindings, cluster, status, until


@pytest.fixture
def west(tmp_path: Path) -> Iterator[Loopback]:
    with cluster(tmp_path, "hacc1", "ha1") as running:
        yield running


def test_strangers_are_counted_and_do_not_fill_the_log(west: Loopback) -> None:
    """A flood of what proves nothing: few lines, and the line that tells how many were left out."""
    address = (f"{west.network}.100", PORT)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with closing(west.mobile_node()) as node, closing(stranger):
        good = node.request()
        forged = good[:-1] + bytes([good[-1] ^ 1])
        odd = (forged, b"", b"\1", good[:30], b"\3" + bytes(40), b"\7" + bytes(60))
        for number in range(600):
            stranger.sendto(odd[number % len(odd)], address)
        stranger.sendto(b"\1" * 5000, address)
        assert node.register().code == 0
    (status,) = asked(west["hacc1"], "status")
    traffic = status["traffic"][f"{west.network}.100:{PORT}"]
    assert traffic["received"] >= 601
    assert traffic["oversized"] == 1
    for agent in west.agents.values():
        assert len(agent.said) < 40
        assert agent.stop() == 0
    told_later = [
        line["times"] for agent in west.agents.values() for line in agent.said if "times" in line
    ]
    assert sum(told_later) > 50


@pytest.mark.parametrize(
    ("whose", "why"),
    [
        pytest.param("", Security.NOT_A_PEER, id="a-stranger"),
        pytest.param("ha2", Security.WRONG_MEMBER, id="a-member-that-was-not-asked"),
    ],
)
def test_a_reply_that_the_asked_member_did_not_send_is_believed_by_nobody(
    west: Loopback, whose: str, why: Security
) -> None:
    """While the member is slow somebody answers in its place; then the member does."""
    controller, member = west["hacc1"], west["ha1"]
    assert member.process is not None
    places = {each.name: str(each.addresses[0].address) for each in controller.config.members}
    source = places.get(whose, f"{west.network}.201")
    with closing(west.mobile_node()) as node:
        node.register()
        request = node.request()
        fields = REQUEST.unpack_from(request)
        forged = RegistrationReply(
            ReplyCode.ACCEPTED, 7, node.address, node.home_agent, fields[-1], (node.name,)
        ).to_bytes()
        member.process.send_signal(signal.SIGSTOP)
        try:
            node.send(request)
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
                other.bind((source, PORT))
                until(lambda: status(controller)["pending"] == 1)
                for _ in range(50):
                    other.sendto(forged, (str(west.home_agent), PORT))
                line = controller.wait_for(why.value)
                assert line["from"] == source
        finally:
            member.process.send_signal(signal.SIGCONT)
        reply = node.answer()
        assert (reply.code, reply.lifetime) == (0, 600)
        assert {each["lifetime_s"] for each in bindings(west)} == {600}
    assert sum(line["event"] == why.value for line in controller.said) <= 6


def test_a_standby_with_another_clusters_certificate_gets_nothing(tmp_path: Path) -> None:
    """Neither end believes the other; the one that serves goes on, the log of both stays short."""
    keys = certificates(tmp_path / "keys", "west", "hacc1", "ha1")
    others = certificates(tmp_path / "east", "east", "hacc2")
    with (
        cluster(tmp_path, "hacc1", "ha1", keys=keys) as west,
        cluster(tmp_path, "hacc2", keys=others) as east,
        closing(west.mobile_node()) as node,
    ):
        controller, stranger = west["hacc1"], east["hacc2"]
        assert node.register().code == 0
        until(lambda: any("hacc1" in line["event"] for line in warnings(stranger)))
        until(lambda: any("somebody" in line["event"] for line in warnings(controller)))
        assert node.register().code == 0
        assert (status(controller)["bindings"], status(stranger)["bindings"]) == (1, 0)
        assert (status(controller)["log"]["followers"], status(stranger)["log"]["follows"]) == (
            [],
            None,
        )
        assert max(len(warnings(each)) for each in (controller, stranger)) < 12


def warnings(agent: Agent) -> list[dict[str, Any]]:
    return [line for line in agent.said if line.get("level") == "warning"]
