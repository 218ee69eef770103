"""From a controller's CDP to a simulated stock router, and back by SNMP: it is on our LAN."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from hacc_agent import places
from hacc_agent.config import LanAddress, Member, MemberKind, Snmp, to_toml
from lab import simulator
from lab.lab import Lab
from lab.topology import Kind, Port, Router, Topology
from tests.lab.labs import until
from tests.loopback import opened_config

pytestmark = pytest.mark.lab

LINES = (
    ("hostname ios1", "snmp-server community public RO"),
    ("interface GigabitEthernet0/1", "ip address 198.18.1.31 255.255.255.0"),
    ("interface GigabitEthernet0/1", "no shutdown"),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    own = IPv4Interface("198.18.1.11/24")
    routers = (
        Router(
            *("hacc1", Kind.LINUX, IPv4Address("198.18.0.11"), "root"),
            (Port("hacc1", "lan", "core", own),),
        ),
        Router(
            *("ios1", Kind.IOS, IPv4Address("198.18.0.31"), "admin"),
            (Port("ios1", "GigabitEthernet0/1", "core", None),),
        ),
    )
    stock = Member(
        *("ios1", MemberKind.IOS, False, 1, 1000, ()),
        (LanAddress("core", IPv4Address("198.18.1.31")),),
    )
    config = dataclasses.replace(
        opened_config("hacc1", tmp_path_factory.mktemp("agent")),
        members=(stock,),
        snmp=Snmp(2, community="public"),
        state_directory=places.STATE,
        runtime_directory=places.RUNTIME,
    )
    with Lab(Topology(f"t{os.getpid()}-near", routers), keep_host_keys=False) as made:
        for lines in LINES:
            request = {"do": "edit", "device": "ios1", "lines": list(lines)}
            assert simulator.ask(made.directory, request)["rejected"] == []
        made.run("hacc1", "ip", "addr", "add", str(own), "dev", "lan")
        made.run("hacc1", "sh", "-c", "mkdir -p /etc/hacc && cat >/etc/hacc/agent.toml",
                 text_in=to_toml(config))  # fmt: skip
        yield made


def shown(lab: Lab, command: str) -> str:
    return str(
        simulator.ask(lab.directory, {"do": "show", "device": "ios1", "command": command})["text"]
    )


def placed(lab: Lab) -> list[dict[str, Any]]:
    said = lab.run("hacc1", "sh", "-c", "hacc-agent neighbours --json || true").stdout
    return [found for line in said.splitlines() if "member" in (found := json.loads(line))]


def test_a_stock_router_s_own_table_proves_that_it_is_on_the_lan(lab: Lab) -> None:
    # The simulator's plane listens when its address answers.
    until(lambda: "1 received" in lab.run("hacc1", "ping", "-c1", "-W1", "198.18.1.31").stdout)
    agent = lab.popen("hacc1", "hacc-agent", "run")
    try:
        until(lambda: "hacc1" in shown(lab, "show cdp neighbors"))
        until(lambda: [each["proof"] for each in placed(lab)] == ["CDP"], 60)
        (found,) = placed(lab)
        assert (found["member"], found["sees"], found["strangers"]) == ("ios1", ["hacc1"], [])
    finally:
        os.killpg(agent.pid, signal.SIGTERM)
        agent.communicate()
    detail = shown(lab, "show cdp neighbors detail")
    for words in ("Device ID: hacc1", "IP address: 198.18.1.11", "Platform: Linux,", "hacc-agent"):
        assert words in detail
