"""`standby` lines as our engine reads them, and a group of a Linux and a simulated IOS router."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from hacc_agent.hsrp.config import Effect, Group, HsrpConfig, Track, to_toml
from lab import simulator
from lab.ios import Device
from lab.ios.standby import groups, objects
from lab.lab import Lab
from lab.topology import Kind, Port, Router, Topology
from tests.lab.labs import until

PORTS = {"GigabitEthernet0/1": "lan0"}


def device(*lines: str, first: str = "") -> Device:
    found = Device("r1", interfaces={"GigabitEthernet0/1": "core", "GigabitEthernet0/2": ""})
    body = "".join(f" {line}\n" for line in lines)
    found.load(f"{first}interface Gi0/1\n ip address 10.0.0.2 255.255.255.0\n{body}")
    return found


def told(*lines: str, first: str = "") -> Group:
    ((interface, found),) = groups(device(*lines, first=first), PORTS)
    assert (interface, found.interface) == ("GigabitEthernet0/1", "lan0")
    return found


def test_a_group_that_says_nothing_has_ios_s_usual_settings() -> None:
    found = told("standby 1 ip 10.0.0.254")
    assert (found.version, found.group, found.priority) == (1, 1, 100)
    assert (found.preempt, found.hello_ms, found.hold_ms) == (False, None, None)
    assert (found.text, found.md5) == ("cisco", None)


def test_all_that_a_group_can_say() -> None:
    found = told(
        "standby version 2",
        "standby 300 ip 10.0.0.254",
        "standby 300 ip 10.0.0.253 secondary",
        "standby 300 timers msec 200 msec 700",
        "standby 300 priority 150",
        "standby 300 preempt delay minimum 20 sync 60",
        "standby 300 authentication md5 key-string secret",
        "standby 300 name core",
        "standby 300 track 1 decrement 60",
        "standby 300 track 2 shutdown",
        first="track 1 interface Gi0/2 line-protocol\ntrack 2 interface Gi0/2 ip routing\n",
    )
    assert found == Group(
        "core", "lan0", 2, 300, IPv4Address("10.0.0.254"), (IPv4Address("10.0.0.253"),), 150,
        True, 20, 0, 60, 200, 700, None, "secret",
        tracks=(Track("1", Effect.DECREMENT, 60), Track("2", Effect.SHUTDOWN)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "first", "text", "md5"),
    [
        ("authentication word", "", "word", None),
        ("authentication md5 key-string 7 04480E051A33", "", None, "secur"),
        (
            "authentication md5 key-chain KEYS",
            "key chain KEYS\n key 1\n  key-string of-chain\n",
            None,
            "of-chain",
        ),
    ],
    ids=["text", "type-7", "key-chain"],
)
def test_authentication(line: str, first: str, text: str | None, md5: str | None) -> None:
    found = told("standby 1 ip 10.0.0.254", f"standby 1 {line}", first=first)
    assert (found.text, found.md5) == (text, md5)


def test_tracked_objects_are_as_the_interfaces_are() -> None:
    router = device(
        "standby 1 ip 10.0.0.254", "standby 1 track 1", "standby 1 track 9",
        first="track 1 interface Gi0/2 line-protocol\n",
    )  # fmt: skip
    assert objects(router) == {"1": False, "9": True}
    router.merge("interface Gi0/2\n no shutdown\n", 1.0)
    assert objects(router) == {"1": True, "9": True}


def test_an_address_is_learned_where_the_group_has_none() -> None:
    assert told("standby 1 ip").address is None


# ------------------------------------------------------------------ live

VIRTUAL = "198.18.1.253"
GROUP = """\
interface GigabitEthernet0/1
 no shutdown
 ip address 198.18.1.31 255.255.255.0
 standby version 2
 standby 20 ip {virtual}
 standby 20 timers msec 200 msec 700
 standby 20 priority 110
 standby 20 preempt
 standby 20 authentication md5 key-string a-key
"""


def linux(priority: int) -> str:
    group = Group(
        "mixed", "lan", 2, 20, IPv4Address(VIRTUAL), priority=priority, preempt=True,
        hello_ms=200, hold_ms=700, md5="a-key",
    )  # fmt: skip
    return to_toml(HsrpConfig("r1", (group,)))


class Mixed:
    """r1 runs the unit of a Linux router, ios1 is simulated; both are on one segment."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def sh(self, command: str, text: str | None = None) -> str:
        return self.lab.run("r1", "sh", "-c", command, text_in=text).stdout

    def edit(self, *lines: str) -> None:
        request = {"do": "edit", "device": "ios1", "lines": list(lines)}
        assert simulator.ask(self.lab.directory, request)["rejected"] == []

    def seen(self) -> tuple[str, str | None, str | None]:
        """What r1 says of itself, and whom it takes for active and standby."""
        told = json.loads(self.sh("hacc-agent hsrp --json"))
        return told["state"], told["active"], told["standby"]


@pytest.fixture(scope="module")
def mixed(root: Path) -> Iterator[Mixed]:
    routers = (
        Router("r1", Kind.LINUX, IPv4Address("198.18.0.1"), "root",
               (Port("r1", "lan", "core", IPv4Interface("198.18.1.1/24")),)),
        Router("ios1", Kind.IOS, IPv4Address("198.18.0.31"), "admin",
               (Port("ios1", "GigabitEthernet0/1", "core", None),)),
    )  # fmt: skip
    unit = (root / "templates/linux/hacc-hsrp.service.j2").read_text()
    with Lab(Topology(f"t{os.getpid()}-mixed", routers), keep_host_keys=False) as lab:
        found = Mixed(lab)
        found.sh("ip addr add 198.18.1.1/24 dev lan; mkdir -p /etc/hacc /etc/systemd/system")
        found.sh("cat >/etc/hacc/hsrp.toml", linux(100))
        text = unit.replace("{{ model.host }}", "r1").replace("{{ model.cluster }}", "test")
        found.sh("cat >/etc/systemd/system/hacc-hsrp.service", text)
        started = lab.run("r1", "systemctl", "enable", "--now", "hacc-hsrp")
        assert started.returncode == 0, started.stderr
        found.edit(*GROUP.format(virtual=VIRTUAL).splitlines())
        yield found


IOS, R1 = "198.18.1.31", "198.18.1.1"


@pytest.mark.lab
def test_a_linux_and_an_ios_router_elect_one_and_fail_over_both_ways(mixed: Mixed) -> None:
    until(lambda: mixed.seen() == ("Standby", IOS, "local"))
    assert " 0% packet loss" in mixed.sh(f"ping -c 1 -W 1 {VIRTUAL}")
    assert "00:00:0c:9f:f0:14" in mixed.sh(f"ip neigh show {VIRTUAL}")
    simulator.power(mixed.lab.directory, "ios1", on=False)
    until(lambda: mixed.seen() == ("Active", "local", None))
    simulator.power(mixed.lab.directory, "ios1", on=True)
    mixed.edit(*GROUP.format(virtual=VIRTUAL).splitlines())  # it had not been saved
    until(lambda: mixed.seen() == ("Standby", IOS, "local"))
    mixed.edit("interface GigabitEthernet0/1", "standby 20 priority 90")
    until(lambda: mixed.seen() == ("Active", "local", IOS))
    mixed.sh("systemctl stop hacc-hsrp")
    assert " 0% packet loss" in mixed.sh(f"ping -c 2 -i 0.5 -W 1 {VIRTUAL}")
    mixed.sh("systemctl start hacc-hsrp")
    until(lambda: mixed.seen() == ("Active", "local", IOS))


@pytest.mark.lab
def test_what_the_ios_router_shows_is_what_its_speaker_hears(mixed: Mixed) -> None:
    until(lambda: mixed.seen() == ("Active", "local", IOS))
    request = {"do": "show", "device": "ios1", "command": "show standby brief"}
    said = simulator.ask(mixed.lab.directory, request)["text"].strip().splitlines()
    (line,) = [one for one in said if one.startswith("Gi0/1")]
    assert line.split() == ["Gi0/1", "20", "90", "P", "Standby", R1, "local", VIRTUAL]
