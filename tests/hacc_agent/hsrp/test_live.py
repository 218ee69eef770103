"""Speakers in namespaces of their own: whatever is killed, an address has one owner.

Three virtual routers on one segment: r1 and r2 share a group and run the unit that is pushed to
real routers, r3 is a host that uses the virtual address. tcpdump beside them writes down what they
say, and tshark, which nobody here wrote, reads it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.hsrp.config import (
    Effect,
    Group,
    HsrpConfig,
    Object,
    Track,
    TrackKind,
    to_toml,
)
from lab.lab import Lab
from tests.hacc_agent.wire.tshark import run as tshark
from tests.lab.labs import topology, until

pytestmark = pytest.mark.lab

VIRTUAL = "198.18.1.254"
FOLLOWS = "198.19.0.1"
VMAC = "00:00:0c:9f:f0:0a"


def config(host: str, priority: int) -> HsrpConfig:
    group = Group(
        name="g",
        interface="lan",
        version=2,
        group=10,
        address=IPv4Address(VIRTUAL),
        priority=priority,
        preempt=True,
        hello_ms=200,
        hold_ms=700,
        md5="a-key",
        tracks=(Track("agent", Effect.HAND_OVER, 254),),
        follows=(IPv4Address(FOLLOWS),),
        announces=(IPv4Network("198.19.64.0/18"),),
    )
    return HsrpConfig(host, (group,), (Object("agent", TrackKind.AGENT),))


# What the daemon that is tracked is to the speaker: somebody who listens there.
AGENT = """
import os, socket
os.makedirs("/run/hacc", exist_ok=True)
s = socket.socket(socket.AF_UNIX)
if os.path.exists("/run/hacc/agent.sock"):
    os.unlink("/run/hacc/agent.sock")
s.bind("/run/hacc/agent.sock")
s.listen(16)
kept = []
while True:
    kept.append(s.accept())
"""


class Site:
    """The lab, and what is asked of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.agents: dict[str, subprocess.Popen[bytes]] = {}

    def sh(self, host: str, command: str, text: str | None = None) -> str:
        return self.lab.run(host, "sh", "-c", command, text_in=text).stdout

    def agent(self, host: str) -> None:
        self.agents[host] = self.lab.popen(host, "python3", "-c", AGENT)

    def end(self, one: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """A process beside the routers' own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, number)
        one.communicate()

    def owners(self) -> list[str]:
        """Who has the virtual MAC, the virtual address and all that follows; nobody has a part."""
        found = []
        for host in ("r1", "r2"):
            addresses = json.loads(self.sh(host, "ip -j -4 addr") or "[]")
            held = {
                (link["ifname"], info["local"])
                for link in addresses
                for info in link.get("addr_info", ())
            }
            parts = [
                ("lan.h10", VIRTUAL) in held,
                ("lo", FOLLOWS) in held,
                "blackhole" in self.sh(host, "ip route show 198.19.64.0/18"),
            ]
            if all(parts):
                found.append(host)
            elif any(parts):
                found.append(f"{host}, partly")
        return found

    def groups(self, host: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.sh(host, "hacc-agent hsrp --json"))
        return told

    def pid(self, host: str, name: str) -> int:
        return int(self.sh(host, f"ps -C {name} -o pid= --sort pid | head -n 1").strip() or 0)

    def settled(self) -> bool:
        return self.owners() == ["r1"] and self.groups("r2")["state"] == "Standby"


@contextlib.contextmanager
def running(root: Path, name: str, told: Callable[[str, int], HsrpConfig]) -> Iterator[Site]:
    """Two speakers, configured as `told` says by host and priority, and a host that listens."""
    unit = (root / "templates/linux/hacc-hsrp.service.j2").read_text()
    with Lab(topology(name, 3), keep_host_keys=False) as lab:
        found = Site(lab)
        for router in lab.topology.linux:
            lab.run(router.name, "ip", "addr", "add", str(router.ports[0].address), "dev", "lan")
        for host, priority in (("r1", 200), ("r2", 190)):
            found.sh(host, "mkdir -p /etc/hacc /etc/systemd/system")
            found.sh(host, "cat >/etc/hacc/hsrp.toml", to_toml(told(host, priority)))
            text = unit.replace("{{ model.host }}", host).replace("{{ model.cluster }}", "test")
            found.sh(host, "cat >/etc/systemd/system/hacc-hsrp.service", text)
            found.agent(host)
            started = lab.run(host, "systemctl", "enable", "--now", "hacc-hsrp")
            assert started.returncode == 0, started.stderr
        try:
            yield found
        finally:
            for agent in found.agents.values():
                found.end(agent, signal.SIGKILL)


@pytest.fixture(scope="module")
def site(root: Path) -> Iterator[Site]:
    with running(root, "hsrp", config) as found:
        yield found


@pytest.fixture
def settled(site: Site) -> Site:
    """r1 is active and r2 standby, before each test."""
    site.lab.mend()
    for host in ("r1", "r2"):
        if site.sh(host, "systemctl is-active hacc-hsrp").strip() != "active":
            site.sh(host, "systemctl reset-failed hacc-hsrp; systemctl start hacc-hsrp")
        if site.agents[host].poll() is not None:
            site.agent(host)
    until(site.settled)
    return site


def test_the_host_sees_the_virtual_mac_and_is_answered(settled: Site) -> None:
    settled.sh("r3", "ip neigh flush dev lan")
    assert " 0% packet loss" in settled.sh("r3", f"ping -c 2 -i 0.2 -W 1 {VIRTUAL}")
    assert VMAC in settled.sh("r3", f"ip neigh show {VIRTUAL}")


def test_what_it_prints(settled: Site) -> None:
    printed = settled.sh("r2", "hacc-agent hsrp").splitlines()
    assert printed[2:] == [
        "Interface   Grp  Pri P State   Active          Standby         Virtual IP",
        f"lan         10   190 P Standby 198.18.1.1      local           {VIRTUAL}",
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_a_dead_speaker_leaves_one_owner(settled: Site, number: signal.Signals) -> None:
    pid = settled.pid("r1", "hacc-hsrp")
    settled.sh("r1", f"kill -{int(number)} {pid}")
    until(lambda: settled.owners() == ["r2"])
    until(settled.settled)  # systemd starts it again, and it preempts
    assert settled.pid("r1", "hacc-hsrp") not in (0, pid)


def test_a_dead_guard_is_replaced_and_nothing_moves(settled: Site) -> None:
    before = settled.groups("r1")["changes"]
    pid = settled.pid("r1", "hacc-hsrp-guard")
    settled.sh("r1", f"kill -9 {pid}")
    until(lambda: settled.pid("r1", "hacc-hsrp-guard") not in (0, pid))
    assert settled.owners() == ["r1"]
    assert settled.groups("r1")["changes"] == before


def test_both_dead_at_once_leave_one_owner_too(settled: Site) -> None:
    """The unit's ExecStopPost takes away what nobody else is left to."""
    pids = settled.pid("r1", "hacc-hsrp"), settled.pid("r1", "hacc-hsrp-guard")
    settled.sh("r1", f"kill -STOP {pids[1]}; kill -9 {pids[0]} {pids[1]}")
    until(lambda: settled.owners() == ["r2"])
    until(settled.settled)


def test_stopping_resigns_before_anybody_waits(settled: Site) -> None:
    settled.sh("r1", "systemctl stop hacc-hsrp")
    assert settled.owners() == ["r2"]
    assert settled.groups("r2")["active"] == "local"


def test_an_agent_that_dies_moves_the_group_and_its_return_moves_it_back(settled: Site) -> None:
    settled.end(settled.agents["r1"], signal.SIGKILL)
    until(lambda: settled.owners() == ["r2"])
    assert settled.groups("r1")["priority"] == 0
    settled.agent("r1")
    until(settled.settled)


def test_an_operator_hands_over_and_the_better_one_comes_back(settled: Site) -> None:
    assert settled.sh("r1", "hacc-agent hsrp resign").strip() == "g: Speak"
    until(settled.settled)


def test_a_reload_changes_the_priority_and_nothing_else(settled: Site) -> None:
    changes = settled.groups("r1")["changes"]
    settled.sh("r1", "cat >/etc/hacc/hsrp.toml", to_toml(config("r1", 210)))
    settled.sh("r1", "systemctl reload hacc-hsrp")
    until(lambda: settled.groups("r1")["priority"] == 210)
    assert settled.groups("r1")["changes"] == changes
    assert settled.owners() == ["r1"]


def test_a_file_that_is_wrong_changes_nothing(settled: Site) -> None:
    settled.sh("r1", "echo 'name = 5' >/etc/hacc/hsrp.toml; systemctl reload hacc-hsrp")
    assert settled.owners() == ["r1"]
    settled.sh("r1", "cat >/etc/hacc/hsrp.toml", to_toml(config("r1", 200)))
    settled.sh("r1", "systemctl reload hacc-hsrp")


def test_a_cut_link_and_its_return(settled: Site) -> None:
    settled.sh("r1", "ip link set lan down")
    until(lambda: settled.owners() == ["r2"])
    assert settled.groups("r1")["state"] == "Init"
    settled.sh("r1", "ip link set lan up")
    until(settled.settled)


def test_all_that_is_said_is_read_by_tshark(settled: Site, tmp_path: Path) -> None:
    path = tmp_path / "said.pcap"
    fields = ("eth.src", "ip.src", "ip.ttl", "ip.dst", "hsrp2.state", "hsrp2.opcode")
    asked = [word for name in fields for word in ("-e", name)]

    def rows() -> list[list[str]]:
        """What was captured until now: -U writes a packet at a time."""
        path.write_bytes(base64.b64decode(settled.sh("r3", "base64 /tmp/said.pcap")))
        text = tshark("-r", str(path), "-Y", "hsrp", "-T", "fields", *asked)
        return [line.split("\t") for line in text.splitlines()]

    def said() -> set[tuple[str, str]]:
        return {(operation, state) for *_, state, operation in rows()}

    capture = settled.lab.popen(
        "r3", "tcpdump", "-i", "lan", "--immediate-mode", "-U", "-w", "/tmp/said.pcap",
        "udp port 1985 or arp",
    )  # fmt: skip
    until(lambda: "said.pcap" in settled.sh("r3", "ls /tmp"))
    settled.sh("r1", "systemctl stop hacc-hsrp; systemctl start hacc-hsrp")
    until(settled.settled)
    until(lambda: {("0", "6"), ("0", "5"), ("0", "4"), ("1", "3"), ("2", "1")} <= said())
    settled.end(capture, signal.SIGINT)
    assert tshark("-r", str(path), "-Y", "_ws.malformed") == ""
    assert {(ttl, to) for _, _, ttl, to, _, _ in rows()} == {("1", "224.0.0.102")}
    for mac, _, _, _, state, operation in rows():
        assert (mac == VMAC) == (state == "6" and operation == "0"), (mac, state, operation)
    gratuitous = tshark(
        "-r", str(path), "-Y", "arp.isgratuitous == 1", "-T", "fields",
        "-e", "arp.src.hw_mac", "-e", "arp.dst.hw_mac", "-e", "arp.src.proto_ipv4",
    )  # fmt: skip
    assert f"{VMAC}\t{VMAC}\t{VIRTUAL}" in gratuitous.splitlines()
