"""Daemons that must not start: one line says why, where and what to do; nothing is changed."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from hacc_agent.config import Link, Transport, to_toml
from hacc_agent.engine.log import FORMAT
from tests.hacc_agent.pair import certificates
from tests.loopback import (
    PORT,
    Agent,
    Loopback,
    agent_config,
    cluster,
    own_network,
    refused,
    told,
)
from tests.segment import Namespace


@pytest.fixture
def west(tmp_path: Path) -> Iterator[Loopback]:
    with cluster(tmp_path, "hacc1", "ha1") as running:
        yield running


def test_a_port_that_is_taken_is_told(west: Loopback, tmp_path: Path) -> None:
    """By another daemon: this one says so, and that one does not notice."""
    other = Agent(west["hacc1"].config, tmp_path / "other")
    assert "(UDP): address already in use [hint: " in refused(other)
    with closing(west.mobile_node()) as node:
        assert node.register().code == 0


def test_a_port_of_the_link_that_is_taken_is_told(tmp_path: Path) -> None:
    keys = certificates(tmp_path / "keys", "west", "hacc1")
    config = agent_config("hacc1", tmp_path, own_network())
    files = (str(keys / name) for name in ("authority.pem", "hacc1.pem", "hacc1.key"))
    linked = dataclasses.replace(config, link=Link(PORT, *files))
    address = str(config.lans[0].address.ip)
    with socket.create_server((address, PORT)):
        why = refused(Agent(linked, tmp_path))
    assert f"{address} port {PORT} (TCP): address already in use" in why


def test_an_address_that_is_not_ours_is_told(tmp_path: Path) -> None:
    config = agent_config("hacc1", tmp_path, own_network())
    lan = dataclasses.replace(config.lans[0], address=IPv4Interface("192.0.2.1/24"))
    why = refused(Agent(dataclasses.replace(config, lans=(lan,)), tmp_path))
    assert why == (
        f"192.0.2.1:{PORT} (UDP): cannot assign requested address"
        " [hint: no interface of this router has that address]"
    )


@pytest.mark.lab
def test_an_address_that_comes_a_moment_later_is_waited_for(tmp_path: Path) -> None:
    """As at boot, where the routing daemon gives it to the interface."""
    config = agent_config("hacc1", tmp_path, own_network())
    lan = dataclasses.replace(config.lans[0], address=IPv4Interface("192.0.2.1/24"))
    with closing(Namespace()) as router:
        agent = Agent(dataclasses.replace(config, lans=(lan,)), tmp_path, router.enter_for_good)
        running = agent.launch()
        try:
            with pytest.raises(subprocess.TimeoutExpired):  # it has not given up
                running.wait(1.0)
            router.ip("address", "add", "192.0.2.1/24", "dev", "lo")
            agent.wait_for("ready")
        finally:
            running.kill()
            running.wait()


def test_an_interface_that_is_missing_is_told(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("frames need root")
    config = agent_config("hacc1", tmp_path, own_network())
    lan = dataclasses.replace(config.lans[0], interface="lan77")
    told = dataclasses.replace(config, lans=(lan,), transport=Transport.FRAMES)
    assert "interface lan77: no such device [hint: " in refused(Agent(told, tmp_path))


def test_a_journal_that_is_damaged_is_not_started_over(tmp_path: Path) -> None:
    """Says where, offers --resync; with it the damaged file is kept aside."""
    with cluster(tmp_path, "hacc1", "ha1") as west, closing(west.mobile_node()) as node:
        node.register()
        member = west["ha1"]
        assert member.stop() == 0
        (journal,) = Path(member.config.state_directory).glob("journal.*")
        octets = bytearray(journal.read_bytes())
        octets[len(octets) // 2] ^= 0xFF
        journal.write_bytes(octets)
        why = refused(member)
        assert re.search(r"journal\.\d+: octet \d+: .*--resync", why)
        assert journal.read_bytes() == octets
        member.launch("--resync")
        assert member.wait_for("ready")["bindings"] == 0
        assert Path(member.wait_for("the journal was set aside")["file"]).read_bytes() == octets


def test_a_journal_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    """It is not damaged: the hint is the version, and nothing of it is applied or cut off."""
    with cluster(tmp_path, "ha1") as west:
        member = west["ha1"]
        assert member.stop() == 0
        (journal,) = Path(member.config.state_directory).glob("journal.*")
        octets = bytearray(journal.read_bytes())
        octets[8] = FORMAT + 1
        journal.write_bytes(octets)
        why = refused(member)
        assert f"octet 0: written by a newer version of hacc-agent: format {FORMAT + 1}" in why
        assert "[hint: install that version again; this file was left as it is]" in why
        assert journal.read_bytes() == octets


def test_the_journal_of_another_cluster_is_not_taken(tmp_path: Path) -> None:
    with cluster(tmp_path, "ha1") as west:
        member = west["ha1"]
        assert member.stop() == 0
        member.config = dataclasses.replace(member.config, cluster="east")
        assert "of cluster 'west', not of 'east'" in refused(member)


def test_a_file_that_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    agent = Agent(agent_config("hacc1", tmp_path, own_network()), tmp_path)
    agent.folder.mkdir(exist_ok=True)
    agent.file.write_text(to_toml(agent.config).replace('role = "controller"', 'role = "pilot"'))
    code, text = told(agent, "run")
    assert code == 1
    assert text.startswith(f"{agent.file}:3: role: ")
