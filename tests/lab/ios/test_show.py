"""What `show` prints, read by parsers that were written for the real thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ntc_templates.parse import parse_output

from lab.ios import Console, Device
from lab.ios.network import Network

PAIR = (
    "hostname {name}\nrouter mobile\nrouter ospf 1\n redistribute mobile subnets\n"
    " network 10.0.0.0 0.0.0.255 area 0\n"
    "ip mobile home-agent lifetime 1800\n{more}\n"
    "interface Gi0/1\n ip address 10.0.0.{host} 255.255.255.0\n standby version 2\n"
    " standby 10 ip 10.0.0.254\n standby 10 timers msec 200 msec 700\n"
    " standby 10 priority {priority}\n standby 10 preempt delay minimum 60\n"
    " standby 10 authentication md5 key-string secret\n standby 10 name WEST\n"
    " standby 10 track 1 decrement 20\n"
    "interface Gi0/2\n ip address 192.0.2.{host} 255.255.255.128\n"
    " standby 1 ip 192.0.2.100\n standby 1 authentication sesame\n"
)
NETWORK = "ip mobile virtual-network 10.9.0.0 255.255.0.0"


@pytest.fixture
def pair() -> tuple[Console, Console]:
    """Two routers on one LAN; the first is the better one."""
    devices = []
    for host, name in enumerate(("one", "two"), start=1):
        device = Device(
            name, interfaces={"GigabitEthernet0/1": "lan", "GigabitEthernet0/2": ""}, now=0.0
        )
        more = NETWORK if host == 1 else ""
        device.load(PAIR.format(name=name, host=host, priority=130 - 10 * host, more=more))
        devices.append(device)
    network = Network(devices)
    network.settle(0.0)
    first, second = (Console(device, 90061.0) for device in devices)
    return first, second


def parsed(router: Console, command: str) -> list[dict[str, object]]:
    found = parse_output(platform="cisco_ios", command=command, data=router(command))
    assert isinstance(found, list)
    return found


def test_show_standby(pair: tuple[Console, Console]) -> None:
    active, standby = pair
    one = parsed(active, "show standby")[0]
    two, alone = parsed(standby, "show standby")
    same = {
        "interface": "GigabitEthernet0/1",
        "group": "10",
        "version": "2",
        "virtual_ip": "10.0.0.254",
        "active_virtual_mac": "0000.0c9f.f00a",
        "local_virtual_mac": "0000.0c9f.f00a",
        "hello_time": "200",
        "hold_time": "700",
        "authentication": "MD5",
        "preemption": "enabled",
        "group_name": "WEST",
        "track_type": "object",
        "track_item": "1",
    }
    assert same.items() <= one.items()
    assert {
        **same,
        "state": "Standby",
        "active_router": "10.0.0.1",
        "active_router_priority": "120",
        "standby_router": "local",
        "priority": "110",
    }.items() <= two.items()
    assert one["state"] == "Active"
    assert (one["active_router"], one["standby_router"]) == ("local", "10.0.0.2")
    assert one["state_last_change"] == "1d01h"
    assert (alone["interface"], alone["state"], alone["authentication"]) == (
        "GigabitEthernet0/2",
        "Active",
        "text",
    )
    assert alone["group_name"] == "hsrp-Gi0/2-1"


def test_show_standby_says_nothing_that_the_published_outputs_do_not_say(
    reference: Path, pair: tuple[Console, Console]
) -> None:
    def shape(text: str) -> set[str]:
        """The beginning of each line, without its numbers."""
        lines = (line.split() for line in text.splitlines() if line[:1] == " ")
        return {" ".join(word for word in words[:2] if word.isalpha()) for words in lines}

    known: set[str] = set()
    for file in sorted((reference / "show-outputs").glob("cisco_ios_show_standby*.raw")):
        known |= shape(file.read_text())
    assert shape(pair[0]("show standby")) | shape(pair[1]("show standby")) <= known


def test_show_standby_brief(pair: tuple[Console, Console]) -> None:
    rows = parsed(pair[1], "show standby brief")
    assert rows[0] == {
        "interface": "Gi0/1",
        "group": "10",
        "priority": "110",
        "preempt": "P",
        "state": "Standby",
        "active": "10.0.0.1",
        "standby": "local",
        "virtual_ip_address": "10.0.0.254",
    }


def test_show_cdp_neighbors_detail(pair: tuple[Console, Console]) -> None:
    (row,) = parsed(pair[0], "show cdp neighbors detail")
    assert (row["neighbor_name"], row["mgmt_address"], row["local_interface"]) == (
        "two",
        "10.0.0.2",
        "GigabitEthernet0/1",
    )
    assert "simulator" in str(row["neighbor_description"])
    pair[1].configure("interface gi0/1", "no cdp enable")
    assert "Total cdp entries displayed : 0" in pair[0]("show cdp neighbors detail")
    pair[0].configure("no cdp run")
    assert "% CDP is not enabled" in pair[0]("show cdp neighbors")


def test_show_ip_interface_brief(pair: tuple[Console, Console]) -> None:
    pair[0].configure("interface gi0/2", "shutdown")
    rows = parsed(pair[0], "show ip interface brief")
    assert [(row["interface"], row["status"], row["proto"]) for row in rows] == [
        ("GigabitEthernet0/1", "up", "up"),
        ("GigabitEthernet0/2", "administratively down", "down"),
    ]


def test_routes_of_the_virtual_network_here_and_at_the_neighbour(
    pair: tuple[Console, Console],
) -> None:
    assert pair[0]("show ip route mobile").split() == [
        "M",
        "10.9.0.0/16",
        "is",
        "directly",
        "connected,",
        "Mobile0",
    ]
    assert "O E2     10.9.0.0/16 [110/20] via 10.0.0.1" in pair[1]("show ip route")
    pair[0].configure("router ospf 1", "no redistribute mobile")
    assert "10.9.0.0/16" not in pair[1]("show ip route")


def test_show_version_says_what_it_is(console: Callable[[str], Console]) -> None:
    shown = console("hostname plain")("show version")
    assert shown.startswith("HACC IOS simulator, no Cisco software")
    assert "plain uptime is 0 minutes" in shown


def test_show_snmp_user(console: Callable[[str], Console]) -> None:
    router = console("snmp-server user hacc G v3 auth sha aaaabbbb priv aes 128 ccccdddd\n")
    (row,) = parsed(router, "show snmp user")
    assert (
        row["user_name"],
        row["authentication_protocol"],
        row["privacy_protocol"],
        row["group_name"],
    ) == ("hacc", "SHA", "AES128", "G")
    assert "aaaabbbb" not in router("show snmp user") + router("show running-config")


@pytest.mark.parametrize(
    ("command", "field", "value"),
    [
        ("show clock", "year", "2026"),
        ("show users", "user", "admin"),
        ("show archive", "state", "not enabled"),
        ("show ip access-lists", "sn", "10"),
        ("show processes cpu", "cpu_usage_5_sec", "1"),
        ("show version", "hostname", "r1"),
        ("dir", "name", "a.cfg"),
    ],
)
def test_published_parsers_read_it(
    command: str, field: str, value: str, console: Callable[[str], Console]
) -> None:
    router = console("hostname r1\nip access-list extended X\n permit ip any any\n")
    router.device.flash.write("a.cfg", b"x", router.now)
    name = {"show ip access-lists": "show access-list"}.get(command, command)
    (row,) = parse_output(platform="cisco_ios", command=name, data=router(command))[:1]
    assert row[field] == value


def test_mobile_ip(pair: tuple[Console, Console], reference: Path) -> None:
    sample = (reference / "show-outputs" / "ios_show_ip_mobile_binding.empty.txt").read_text()
    assert pair[0]("show ip mobile binding").startswith(sample.strip())
    shown = pair[0]("show ip mobile globals")
    assert "00:30:00 (1800)" in shown
    assert "10.9.0.0/16" in shown
    pair[0].configure("no router mobile")
    assert pair[0]("show ip mobile globals") == "% Mobile IP is not enabled\n"
