"""Whole daemons on loopback: registered end to end, over restarts, reloads and bad days."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import ROOT, Agent, Loopback, cluster


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


def asked(agent: Agent, *words: str) -> list[dict[str, Any]]:
    """What a command says about a daemon, as JSON."""
    command = (sys.executable, "-m", "hacc_agent", *words, "--json", "-c", str(agent.file))
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(agent: Agent, *words: str) -> tuple[int, str]:
    """Exit code, and what a person reads."""
    command = (sys.executable, "-m", "hacc_agent", *words, "-c", str(agent.file))
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_daemon_tells_its_state_and_its_bindings(west: Loopback) -> None:
    controller, member = west["hacc1"], west["ha1"]
    with closing(west.mobile_node()) as node:
        node.register(lifetime=600)
        for agent in (controller, member):
            (status,) = asked(agent, "status")
            assert (status["name"], status["bindings"]) == (agent.config.name, 1)
            (binding,) = asked(agent, "bindings", "ann@example.net")
            assert binding == asked(agent, "bindings", str(node.address))[0]
            assert binding["home_address"] == str(node.address)
            assert binding["care_of_address"] == str(node.care_of)
            assert 590 < binding["left_s"] <= binding["lifetime_s"] == 600
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
