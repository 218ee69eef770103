"""The simulator, configured as we render, seen through the parsers: two programs, one format.

Its outputs are no real router's, and what is [R] there proves nothing about IOS; but a verify that
cannot read the routers of the demo, or a `show` that says something else than the configuration,
is found here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from ipaddress import IPv4Address

import pytest

from lab.ios import Device, Session
from lab.ios.network import Network
from lab.ios.snmp import access
from tasks.model import ClusterModel
from tasks.render import render
from tasks.rendered import Platform
from tasks.secrets import resolve
from tasks.verify import Observation, Result, Status, View, judge
from tasks.verify.observation import SnmpAnswer
from tasks.verify.observe import observe, with_snmp
from tasks.verify.snmp import Access, Silent

OPENED = {"env:VERIFY_KEY": "0" * 32, "env:VERIFY_OSPF": "ospf", "env:VERIFY_SNMP": "snmp-pass-1"}
NOW = 1_800_000_000.0


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A terminal line of a simulated router."""

    session: Session
    now: float

    def run(self, command: str) -> str:
        return self.session.feed(command, now=self.now).text


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    cluster: ClusterModel  # the IOS routers alone
    devices: dict[str, Device]

    def configure(self, host: str, *lines: str, now: float = NOW) -> None:
        session = Session(self.devices[host], user="admin", privilege=15)
        for line in ("configure terminal", *lines, "end"):
            reply = session.feed(line, now=now)
            assert "%" not in reply.text, (line, reply.text)

    def look(self, now: float = NOW + 600) -> dict[str, Observation]:
        seen = {}
        for device in self.cluster.devices:
            session = Session(self.devices[device.host], user="admin", privilege=15)
            session.feed("terminal length 0", now=now)
            seen[device.host] = observe(device, self.cluster, Line(session, now))
        devices = {device.host: device for device in self.cluster.devices}
        return with_snmp(devices, seen, OPENED, self.ask)

    def ask(self, targets: Mapping[str, tuple[str, Access]]) -> dict[str, SnmpAnswer | Silent]:
        """What the simulated agents say, without the network between."""

        def answer(host: str, wanted: Access) -> SnmpAnswer | Silent:
            known = access(self.devices[host])
            if wanted.version == 2:
                good = wanted.community in known.communities
            else:
                good = (wanted.user, wanted.auth, wanted.priv) in known.users
            return SnmpAnswer(self.devices[host].hostname, 1.0) if good else Silent("no answer")

        return {host: answer(host, wanted) for host, (_, wanted) in targets.items()}

    def judge(self, now: float = NOW + 600) -> list[Result]:
        return [result for _, result in judge(View(self.cluster, self.look(now)))]


@pytest.fixture
def pair(cluster: ClusterModel) -> Pair:
    models = tuple(device for device in cluster.devices if device.platform is Platform.IOS)
    devices = {}
    for model in models:
        port = model.ports[0]
        device = Device(model.host, interfaces={port.name: port.lan})
        session = Session(device, user="admin", privilege=15)
        session.feed("configure terminal", now=NOW)
        session.feed(f"hostname {model.host}", now=NOW)
        session.feed(f"interface {port.name}", now=NOW)
        session.feed("no shutdown", now=NOW)
        session.feed("exit", now=NOW)
        for file in render(model).files:
            for line in resolve(file.text, OPENED).splitlines():
                reply = session.feed(line, now=NOW)
                assert "% Invalid" not in reply.text, (line, reply.text)
        devices[model.host] = device
    Network(devices.values())
    return Pair(dataclasses.replace(cluster, devices=models), devices)


def test_the_pair_as_rendered_passes(pair: Pair) -> None:
    told = pair.judge()
    assert [str(one) for one in told if one.status in (Status.FAILED, Status.WAITING)] == []
    passed = {(one.check, one.host) for one in told if one.status is Status.PASSED}
    assert {
        ("one-owner", "ios1, ios2"),
        ("roles", "ios1"),
        ("loopback", "ios1"),
        ("home-agent", "ios2"),
        ("bindings", "ios2"),
        ("discovery", "ios1"),
    } <= passed


def test_what_the_simulator_cannot_do_is_skipped_aloud(pair: Pair) -> None:
    skipped = {(one.check, one.observed) for one in pair.judge() if one.status is Status.SKIPPED}
    assert ("adjacencies", "it is the simulator, which speaks no OSPF") in skipped
    assert all("simulator" in reason for _, reason in skipped)


def test_its_snmp_answers_only_to_the_keys_of_the_intent(pair: Pair) -> None:
    def snmp(status: Status) -> set[str]:
        return {one.host for one in pair.judge() if (one.check, one.status) == ("snmp", status)}

    assert snmp(Status.PASSED) == {"ios1", "ios2"}
    (line,) = pair.devices["ios1"].configuration.starting("snmp-server user")
    pair.configure("ios1", f"no {line.text}")
    assert snmp(Status.PASSED) == {"ios2"}
    assert snmp(Status.FAILED) == {"ios1"}


def test_its_home_agent_is_read(pair: Pair) -> None:
    seen = pair.look()["ios1"]
    assert seen.simulator
    assert seen.home_agent is not None
    assert seen.home_agent.enabled
    assert seen.home_agent.address == IPv4Address("198.19.0.1")
    assert (seen.home_agent.lifetime_s, seen.home_agent.replay_s) == (1800, 7)
    assert [str(network) for network in seen.home_agent.networks] == ["198.19.64.0/18"]
    assert seen.home_agent.redundancy == ("west-ios-core",)
    assert [str(route.address) for route in seen.mobile_routes] == ["198.19.64.0"]


FAULTS = {
    "group-removed": (("interface gi0/1", "no standby 20"), "one-owner", "passed", "roles"),
    "loopback-removed": (("no interface Loopback434",), "loopback", "failed", ""),
    "virtual-network-removed": (
        (
            "no ip mobile host nai @example.net",
            "no ip mobile virtual-network 198.19.64.0 255.255.192.0",
        ),
        "home-agent",
        "failed",
        "",
    ),
    "lifetime-changed": (("ip mobile home-agent lifetime 600",), "home-agent", "failed", ""),
    "interface-shut": (("interface gi0/1", "shutdown"), "addresses", "failed", ""),
    "cdp-off": (("no cdp run",), "discovery", "failed", ""),
    "mobile-ip-off": (("no router mobile",), "home-agent", "failed", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_change_behind_our_back_is_found(pair: Pair, fault: str) -> None:
    lines, check, status, also = FAULTS[fault]
    pair.configure("ios1", *lines, now=NOW + 300)
    told = [one for one in pair.judge() if "ios1" in one.host]
    assert status in {one.status for one in told if one.check == check}
    if also:
        assert Status.FAILED in {one.status for one in told if one.check == also}


def test_a_returned_router_waits_for_its_preempt_delay(pair: Pair) -> None:
    """Preempt delay 60 s: 20 s after its interface came back the preferred router is on its way."""
    pair.configure("ios1", "interface gi0/1", "shutdown", now=NOW + 300)
    pair.judge(NOW + 310)
    pair.configure("ios1", "interface gi0/1", "no shutdown", now=NOW + 400)
    pair.judge(NOW + 401)
    (role,) = [one for one in pair.judge(NOW + 420) if one.check == "roles"]
    assert role.status is Status.WAITING
    assert "ios2 is active; ios1 preempts in about" in role.observed
    (role,) = [one for one in pair.judge(NOW + 500) if one.check == "roles"]
    assert role.status is Status.PASSED
