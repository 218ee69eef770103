"""`ip mobile` lines that act: a simulated IOS router as the Home Agent that they describe."""

from __future__ import annotations

import random
import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.config import Algorithm
from hacc_agent.engine.effects import Endpoint
from lab.ios import Console, Device
from lab.ios.forwarding import Forwarding, Port, forwarding
from lab.ios.home_agent import Registrations, told
from lab.ios.plane import lines
from lab.subscribers.mobile_node import Ending, MobileNode
from tasks.verify.ios import table
from tests.lab.registration import BEGIN, CARE_OF, LINK, MOBILE, at, node

GOLDEN = Path(__file__).resolve().parents[3] / "tests/golden/render/west"
LANS = frozenset({"core"})
NAI = b"mn1@example.net"
AGENT = Endpoint(int(CARE_OF) + 1, 434)  # one that shares no key with the cluster


def router(name: str = "ios1") -> Device:
    """A router of the example cluster's pair, as the orchestrator configures it."""
    text = (GOLDEN / name / "running-config").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"<secret [^>]*\|hex>", MOBILE.key.secret.hex(), text)
    text = re.sub(r"<secret [^>]*>", "a-secret-of-16-c", text)
    interfaces = {"GigabitEthernet0/0": "management", "GigabitEthernet0/1": "core"}
    made = Device(name, interfaces=interfaces, now=BEGIN)
    assert made.load(text) == []
    return made


def served(device: Device) -> Registrations:
    """Its Home Agent, as the forwarding plane would have it."""
    config = told(device)
    assert config is not None
    device.home_agent = Registrations(config, random.Random(1).randbytes)
    return device.home_agent


def register(home: Registrations, mobile: MobileNode, seconds: float = 0.0) -> int:
    """The code that the node hears; it must be authentic."""
    asked = mobile.hear(LINK, at(seconds)) or mobile.handle_timer(at(seconds))
    (octets,) = home.receive(asked, AGENT, at(seconds))
    answer = mobile.receive(octets, at(seconds + 0.01))
    assert not answer.ending.discarded
    return answer.code


# What the lines say ------------------------------------------------------------------------------


def test_the_example_is_read_whole() -> None:
    config = told(router())
    assert config is not None
    assert (config.home_agent_address, config.lifetime_s) == (IPv4Address("198.19.0.1"), 1800)
    assert config.max_bindings == 500_000
    (realm,) = config.realms
    assert realm.security is not None
    assert (realm.realm, realm.security.spi) == ("@example.net", 0x100)  # IOS: SPI 100, hexadecimal
    assert [(str(r.first), str(r.last)) for r in realm.assigns] == [
        ("198.19.76.0", "198.19.79.255")
    ]
    (static,) = config.nodes
    assert static.security is not None
    assert static.security.algorithm is Algorithm.MD5_PREFIX_SUFFIX
    assert [str(agent.address) for agent in config.foreign_agents] == ["198.18.9.1"]


@pytest.mark.parametrize(
    "line", ["no router mobile", "no ip mobile home-agent address", "no ip mobile home-agent"]
)
def test_without_one_of_these_lines_nobody_is_served(line: str) -> None:
    device = router()
    Console(device).configure(line)
    assert told(device) is None


def test_defaults_are_those_of_ios() -> None:
    device = router()
    Console(device).configure("no ip mobile home-agent lifetime", "ip mobile home-agent")
    Console(device).configure("no ip mobile home-agent max-binding")
    config = told(device)
    assert config is not None
    assert (config.lifetime_s, config.tolerance_s, config.max_bindings) == (36000, 7, 235_000)


def test_a_range_of_hosts_is_a_node_each() -> None:
    device = router()
    Console(device).configure(
        "ip mobile host 198.19.97.1 198.19.97.9 virtual-network 198.19.64.0 255.255.192.0",
        f"ip mobile secure host 198.19.97.1 198.19.97.4 spi 1F0 key hex {'ab' * 16}",
    )
    config = told(device)
    assert config is not None
    assert [str(one.address) for one in config.nodes][1:] == [
        f"198.19.97.{last}" for last in range(1, 5)
    ]  # the others have no key


# What it does ------------------------------------------------------------------------------------


def test_a_mobile_node_registers_and_is_shown() -> None:
    device = router()
    mobile = node(nai=NAI)
    assert register(served(device), mobile) == 0
    assert mobile.home_address in (IPv4Address(f"198.19.76.{n}") for n in range(256))
    shown = Console(device, BEGIN + 60)("show ip mobile binding")
    (row,) = table("ios_show_ip_mobile_binding", shown)
    assert (row["NAI"], row["HOME"]) == (NAI.decode(), str(mobile.home_address))
    assert (row["CARE_OF"], row["SOURCE"]) == (str(CARE_OF), str(CARE_OF + 1))
    assert (row["GRANTED"], row["REMAINING"], row["FLAGS"]) == ("600", "00:09:00", "sbdmg-t-")


def test_nobody_is_shown_where_nobody_is() -> None:
    device = router()
    assert table("ios_show_ip_mobile_binding", Console(device)("show ip mobile binding")) == []


def test_bindings_outlive_a_change_of_the_configuration() -> None:
    device = router()
    home, mobile = served(device), node(nai=NAI)
    register(home, mobile)
    Console(device).configure("ip mobile home-agent lifetime 300")
    changed = told(device)
    assert changed is not None
    home.configure(changed)
    assert [nai for nai, _ in home.bindings()] == [NAI]
    assert mobile.deadline is not None
    seconds = mobile.deadline - BEGIN
    assert register(home, mobile, seconds) == 0
    assert [row.lifetime for _, row in home.bindings()] == [300]


def test_a_binding_ends_by_itself() -> None:
    device = router()
    home = served(device)
    register(home, node(nai=NAI))
    home.handle_timer(at(601))
    home.handle_timer(at(603))
    assert list(home.bindings()) == []


def test_who_has_another_key_is_not_served() -> None:
    device = router()
    Console(device).configure(
        "no ip mobile secure host nai @example.net spi 100",
        f"ip mobile secure host nai @example.net spi 100 key hex {'cd' * 16} algorithm hmac-md5",
    )
    home, mobile = served(device), node(nai=NAI)
    answers = home.receive(mobile.hear(LINK, at(0)), AGENT, at(0))
    assert {mobile.receive(one, at(0)).ending for one in answers} <= {Ending.UNAUTHENTIC}
    assert list(home.bindings()) == []


# Where it stands ---------------------------------------------------------------------------------


def test_it_is_on_the_lans_of_its_interfaces_while_it_has_power() -> None:
    device = router("ios1")
    assert forwarding(device, LANS) == Forwarding(
        (Port("GigabitEthernet0/1", "core", "198.18.1.31/24"),),
        ("198.19.255.31", "198.19.0.1"),
        "198.18.1.254",
    )
    device.power_off()
    assert forwarding(device, LANS).ports == ()


def test_replies_leave_by_the_local_policy_else_by_the_default_route() -> None:
    device = router()
    Console(device).configure("ip route 0.0.0.0 0.0.0.0 198.18.1.99")
    assert forwarding(device, LANS).replies == "198.18.1.254"
    Console(device).configure("no ip local policy route-map hacc-replies")
    assert forwarding(device, LANS).replies == "198.18.1.99"
    Console(device).configure("no ip route 0.0.0.0 0.0.0.0 198.18.1.99")
    assert forwarding(device, LANS).replies == ""


def test_a_policy_for_other_packets_is_not_followed() -> None:
    device = router()
    Console(device).configure(
        "ip access-list extended hacc-replies", "no 10", "permit udp any eq domain any"
    )
    assert forwarding(device, LANS).replies == ""


def test_a_shut_interface_is_on_no_lan() -> None:
    device = router()
    Console(device).configure("interface GigabitEthernet0/1", "shutdown")
    assert forwarding(device, LANS).ports == ()


def test_linux_is_told_to_be_that_router() -> None:
    said = lines(forwarding(router(), LANS)).splitlines()
    assert "addr add 198.19.0.1/32 dev lo" in said
    assert "addr add 198.18.1.31/24 dev lan0" in said
    assert said[-1] == "route add default via 198.18.1.254 table 434"
