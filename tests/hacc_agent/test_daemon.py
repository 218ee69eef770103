"""Whole daemons on loopback: registered end to end, over restarts, reloads and bad days."""

from __future__ import annotations

import dataclasses
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.config import to_toml
from tests.hacc_agent.pair import certificates
from tests.loopback import (
    PORT,
    SECRET,
    Agent,
    Loopback,
    asked,
    cluster,
    status,
    told,
    until,
)


@pytest.fixture
def west(tmp_path: Path) -> Iterator[Loopback]:
    with cluster(tmp_path, "hacc1", "ha1") as running:
        yield running


def test_a_mobile_node_registers_through_controller_and_member(west: Loopback) -> None:
    with closing(west.mobile_node()) as node:
        reply = node.register()
        assert reply.code == 0, west["ha1"].said
        assert int(reply.home_address)
        assert reply.home_agent == node.home_agent


def test_a_daemon_tells_its_state_and_its_bindings(west: Loopback) -> None:
    controller, member = west["hacc1"], west["ha1"]
    with closing(west.mobile_node()) as node:
        node.register(lifetime=600)
        for agent in (controller, member):
            (status,) = asked(agent, "status")
            assert (status["name"], status["bindings"]) == (agent.config.name, 1)
            (binding,) = asked(agent, "bindings", "ann@example.net")
            (same,) = asked(agent, "bindings", str(node.address))
            assert same | {"left_s": 0} == binding | {"left_s": 0}
            assert binding["home_address"] == str(node.address)
            assert binding["care_of_address"] == str(node.care_of)
            assert 500 < binding["left_s"] <= binding["lifetime_s"] == 600
        (status,) = asked(controller, "status")
        assert {each["name"]: each["bindings"] for each in status["members"]}["ha1"] == 1
        assert asked(controller, "bindings", "--member", "ha1")[0]["member"] == "ha1"
        assert asked(controller, "bindings", "--member", "ha2") == []
        assert asked(controller, "bindings", "bob@example.net") == []
        code, text = told(controller, "status")
        assert code == 0
        assert "controller of west" in text
        code, text = told(controller, "bindings")
        assert code == 0
        assert str(node.address) in text


def test_a_question_that_cannot_be_answered_says_why(west: Loopback) -> None:
    for words, answer in (
        (("bindings", "not-an-address"), "neither an IPv4 address nor an NAI"),
        (("bindings", "--member", "nobody"), "there is no member 'nobody'"),
        (("resync", "nobody"), "'nobody' cannot be asked"),
    ):
        code, text = told(west["hacc1"], *words)
        assert code == 1
        assert answer in text
    west["ha1"].stop()
    for command in ("status", "bindings", "resync"):
        code, text = told(west["ha1"], command)
        assert code == 3
        assert text.count("\n") == 1
        assert "hacc-agent is not running" in text


def test_bindings_survive_a_stop_and_a_kill(west: Loopback) -> None:
    """And the mobile node keeps its address, which the member remembers whose it is."""
    with closing(west.mobile_node()) as node:
        node.register()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for agent in west.agents.values():
                assert agent.stop(number) == (0 if number == signal.SIGTERM else -number)
                agent.start()
                assert agent.wait_for("ready")["bindings"] == 1
            assert node.register().code == 0
        assert west["ha1"].stop() == 0
        assert west["ha1"].said[-1]["event"] == "stopped"


# ------------------------------------------------------------------ reload


def reload(agent: Agent, text: str, event: str) -> dict[str, Any]:
    """A new agent.toml, told by SIGHUP; what the daemon says to it."""
    assert agent.process is not None
    before = len(agent.said)
    agent.file.write_text(text)
    agent.process.send_signal(signal.SIGHUP)
    return agent.wait_for(event, before)


def test_a_reload_changes_what_is_granted_and_keeps_what_is_bound(west: Loopback) -> None:
    member = west["ha1"]
    with closing(west.mobile_node()) as node:
        assert node.register(lifetime=600).lifetime == 600
        shorter = dataclasses.replace(
            member.config,
            lifetime_s=300,
            realms=tuple(
                dataclasses.replace(realm, lifetime_s=300) for realm in member.config.realms
            ),
        )
        reload(member, to_toml(shorter), "reloaded")
        reload(west["hacc1"], west["hacc1"].file.read_text(), "reloaded")
        assert asked(member, "status")[0]["bindings"] == 1
        again = node.register(lifetime=600)
        assert (again.code, again.lifetime, again.home_address) == (0, 300, node.address)
        with closing(west.mobile_node("bob@example.net")) as other:
            assert other.register().home_address not in (IPv4Address(0), node.address)


def test_requests_during_reloads_are_all_answered(west: Loopback) -> None:
    with closing(west.mobile_node()) as node:
        for _ in range(5):
            node.send(node.request())
            for agent in west.agents.values():
                reload(agent, agent.file.read_text(), "reloaded")
            assert node.answer().code == 0


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        pytest.param('role = "controller"', 'role = "pilot"', "agent.toml:3: ", id="a-wrong-value"),
        pytest.param("lifetime_s = 1800", "lifetime_s = 1800 s", "agent.toml:", id="no-toml"),
        pytest.param('name = "west-ios"', 'name = "east"', "with --resync", id="another-member"),
        pytest.param(f"port = {PORT}", "port = 4", "port: a change of this", id="another-port"),
        pytest.param(SECRET, "<secret env:KEY|hex>", "still sealed", id="a-sealed-secret"),
    ],
)
def test_a_reload_that_cannot_be_leaves_the_old_in_force(
    west: Loopback, before: str, after: str, why: str
) -> None:
    controller = west["hacc1"]
    text = controller.file.read_text()
    assert before in text
    said = reload(controller, text.replace(before, after), "the new configuration is not taken")
    assert why in said["why"]
    with closing(west.mobile_node()) as node:
        assert node.register().code == 0


# ------------------------------------------------------------------ the cluster's other routers


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Loopback]:
    """A pair of controllers and a member that know each other by certificates."""
    hosts = ("hacc1", "hacc2", "ha1")
    keys = certificates(tmp_path / "keys", "west", *hosts)
    with cluster(tmp_path, *hosts, keys=keys) as running:
        yield running


def test_a_standby_has_every_binding_and_takes_over_with_it(linked: Loopback) -> None:
    """Who gets the requests leads; the other follows. Then the leader dies without a word."""
    first, second = linked["hacc1"], linked["hacc2"]
    with closing(linked.mobile_node()) as node:
        home = node.register().home_address
        until(lambda: status(second)["bindings"] == 1)
        assert (status(first)["log"]["leads"], status(second)["log"]["leads"]) == (True, False)
        assert status(second)["log"]["follows"] == "hacc1"
        first.stop(signal.SIGKILL)
        node.towards = IPv4Address(f"{linked.network}.101")  # where hacc2 has the virtual one
        reply = node.register()
        assert (reply.code, reply.home_address) == (0, home)
        assert status(second)["log"]["leads"]
        assert status(second)["bindings"] == 1


@pytest.mark.parametrize("lost", ["hacc1", "ha1"])
def test_bindings_are_had_back_from_the_other_routers(linked: Loopback, lost: str) -> None:
    """A router whose state is gone: `run --resync`, and everything goes on."""
    linked["hacc2"].stop()
    agent = linked[lost]
    with closing(linked.mobile_node()) as node:
        home = node.register().home_address
        agent.stop()
        shutil.rmtree(agent.config.state_directory)
        agent.launch("--resync")
        agent.wait_for("ready")
        until(lambda: status(agent)["bindings"] == 1)
        (binding,) = asked(agent, "bindings")
        assert binding["home_address"] == str(home)
        assert binding["nai"] == "ann@example.net"
        again = node.register()
        assert (again.code, again.home_address) == (0, home)
        assert status(agent)["bindings"] == 1


def test_a_resync_on_request_says_what_came_and_what_did_not(linked: Loopback) -> None:
    with closing(linked.mobile_node()) as node:
        node.register()
        code, text = told(linked["hacc1"], "resync", "ha1")
        assert (code, text) == (0, "ha1: 1 bindings\n")
        linked["ha1"].stop()
        code, text = told(linked["hacc1"], "resync", "ha1")
        assert code == 3
        assert text.startswith("ha1: 0 bindings, then: ")
