"""Attacks on the binding of a mobile node, through whole daemons: each one leaves it as it was."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.config import Algorithm
from hacc_agent.control import Refused, ask
from hacc_agent.wire import (
    ExtensionType,
    Key,
    RegistrationReply,
    ReplyCode,
    authenticate,
    parse,
)
from hacc_agent.wire.messages import REQUEST
from tests.loopback import PORT, Loopback, MobileNode, bindings, cluster, status

AUTHENTICATION = 22  # octets of the extension
ATTACKS = ("bare", "forged", "stolen", "of-another-key", "truncated", "replayed", "wrong-role")


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """One cluster for all attacks, each of which has a mobile node of its own."""
    with cluster(tmp_path_factory.mktemp("besieged"), "hacc1", "ha1", "ha2") as running:
        yield running


def stolen(request: bytes, care_of: IPv4Address) -> bytes:
    """The same request from another place, with the authenticator that it had."""
    return request[:12] + care_of.packed + request[16:]


def signed(request: bytes, secret: str) -> bytes:
    """A request whose authenticator is made anew, with another key."""
    key = Key(Algorithm.HMAC_MD5, bytes.fromhex(secret))
    covered = request[:-AUTHENTICATION]
    return authenticate(covered, ExtensionType.MOBILE_HOME_AUTHENTICATION, MobileNode.SPI, key)


def received(stranger: socket.socket) -> Iterator[RegistrationReply]:
    """Whatever was answered."""
    while True:
        try:
            message = parse(stranger.recv(4096))
        except BlockingIOError:
            return
        assert isinstance(message, RegistrationReply)
        yield message


@pytest.mark.parametrize("attack", ATTACKS)
def test_who_cannot_prove_to_be_the_mobile_node_changes_nothing(
    besieged: Loopback, attack: str
) -> None:
    """Sent to the controller and to the member itself; whoever comes next is served."""
    here = IPv4Address(f"{besieged.network}.201")
    name = f"{attack}@example.net"
    with (
        closing(besieged.mobile_node(name)) as node,
        closing(besieged.mobile_node()) as next_one,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger,
    ):
        old = node.request(lifetime=300)
        node.send(old)
        node.address = node.answer().home_address
        node.register()
        before = bindings(besieged, name)
        assert [each["care_of_address"] for each in before] == [str(node.care_of)] * 2
        fresh = stolen(node.request(), here)
        said = {
            "bare": fresh[:-AUTHENTICATION],
            "forged": node.request()[:-1] + b"\0",
            "stolen": fresh,
            "of-another-key": signed(fresh, "f" * 32),
            "truncated": node.request()[: REQUEST.size + 5],
            "replayed": old,
            "wrong-role": RegistrationReply(
                ReplyCode.ACCEPTED, 600, node.address, node.home_agent, 1
            ).to_bytes(),
        }[attack]
        stranger.bind((str(here), PORT))
        member = besieged["ha1"].config.lans[0].address.ip
        for to in (besieged.home_agent, member):
            stranger.sendto(said, (str(to), PORT))
        assert next_one.register().code == 0
        stranger.setblocking(False)
        assert all(answer.code not in (0, 1) for answer in received(stranger))
        assert bindings(besieged, name) == before
        assert node.register().code == 0


ARGUMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"mobile": 5},
    {"mobile": ["a"], "member": None, "limit": -1},
    {"mobile": "\ud800", "member": None, "limit": None},
    {"mobile": "a" * 3000, "member": None, "limit": 3},
    {"mobile": None, "member": 3, "limit": "x"},
    {"mobile": None, "member": {"a": 1}, "limit": 1e99},
    {"router": 7},
    {"router": "nobody", "member": "nobody"},
)


@pytest.mark.parametrize("command", ["status", "bindings", "resync", "drain", "failover", "why"])
def test_odd_arguments_of_a_command_are_no_fault_of_the_daemon(
    besieged: Loopback, command: str
) -> None:
    """They are refused, or passed over where the command has none."""
    for agent in besieged.agents.values():
        folder = Path(agent.config.runtime_directory)
        for arguments in ARGUMENTS:
            with contextlib.suppress(Refused):
                list(ask(folder, command, **arguments))
        assert [line for line in agent.said if line["level"] == "error"] == []
        assert status(agent)["name"] == agent.config.name
