"""Gateways: standby groups of Linux and IOS routers that are no part of the Home Agent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.compile import compile_site
from tasks.errors import HaccError
from tasks.intent import load_site
from tasks.model import ClusterModel, Role
from tasks.render import render
from tasks.rendered import Platform
from tasks.standby import hsrp_config
from tests import clusters

TOPOLOGY = clusters.ROOT / "tests/golden/topologies/gateways"


def site() -> ClusterModel:
    return clusters.cases()["gateways"]


def test_gateways_have_a_group_and_nothing_of_the_home_agent() -> None:
    gateways = [device for device in site().devices if device.role is Role.GATEWAY]
    assert [device.host for device in gateways] == ["fa1", "ios5", "fa2", "fa3"]
    for device in gateways:
        assert (device.service, device.agent) == (None, None)
        assert not device.holds_home_agent_address
        for group in device.groups:
            assert (group.follows, group.announces) == ((), ())


def test_the_agents_know_gateways_as_no_strangers() -> None:
    for host in ("hacc1", "ha1"):
        agent = site().device(host).agent
        assert agent is not None
        assert [each.name for each in agent.routers] == ["fa1", "ios5", "fa2", "fa3"]
        assert {member.name for member in agent.members} == {"ha1"}


def test_a_mixed_group_is_the_same_group_to_both() -> None:
    """Word by word: what one says and the other does not understand is two owners."""
    (core,) = (g for g in hsrp_config(site().device("fa1")).groups if g.name == "visited-core")
    lines = render(site().device("ios5")).files[0].text.splitlines()
    text = "\n".join(line.strip() for line in lines)
    for line in (
        f"standby version {core.version}",
        f"standby {core.group} ip {core.address}",
        f"standby {core.group} timers msec {core.hello_ms} msec {core.hold_ms}",
        f"standby {core.group} authentication md5 key-string {core.md5}",
    ):
        assert line in text
    assert not core.own_mac  # its virtual MAC address is what hosts have in their ARP tables


def test_a_foreign_agent_keeps_its_own_mobile_ip() -> None:
    def owned(cluster: str, host: str) -> set[str]:
        return set(render(clusters.cases()[cluster].device(host)).files[0].owns)

    own = {"router mobile", "ip mobile secure home-agent **"}
    assert own <= owned("hsrp", "ios1")
    assert not own & owned("gateways", "ios5")


def test_a_linux_gateway_announces_nothing() -> None:
    for host in ("fa1", "fa2", "fa3"):
        for file in render(site().device(host)).files:
            if file.path == "/etc/frr/frr.conf":
                assert "redistribute" not in file.text
            assert file.absent or not file.path.startswith("/etc/hacc/agent")


MIXED = "protocol: hsrp\n      groups:\n        - "

MISTAKES = {
    "vrrp-with-ios": (
        (f"{MIXED}{{lan: visited", f"{MIXED.replace('hsrp', 'vrrp')}{{lan: visited"),
        "gateways[0].redundancy.protocol: ios5: VRRP is rendered for Linux routers alone",
    ),
    "host-unknown": (("- ios5\n", "- ios6\n"), "gateways[0].hosts[1]: no host 'ios6'"),
    "host-twice": (("hosts: [fa2, fa3]", "hosts: [fa2, ha1]"), "ha1"),
    "lan-unknown": (("lan: guests, group", "lan: guest, group"), "no LAN 'guest' in this cluster"),
    "router-off-the-lan": (
        ("lan: guests, group: 10", "lan: visited, group: 9"),
        "fa2: no interface on the LAN 'visited' of group 9",
    ),
    "number-of-another-group": (
        ("group: 91, address: 198.18.1.252", "group: 10, address: 198.18.1.252"),
        "HSRP group 10 on 198.18.1.0/24 is also that of",
    ),
    "address-of-another-group": (
        ("group: 91, address: 198.18.1.252", "group: 91, address: 198.18.1.254"),
        "198.18.1.254",
    ),
    "name-of-the-cluster": (("- name: visited", "- name: site"), "the redundancy name site-core"),
    "same-priority": (("- ios5\n", "- {host: ios5, priority: 200}\n"), "both fa1 and ios5"),
    "version-1": (
        ("protocol: hsrp\n      groups:\n        - {lan: visited, group: 90",
         "protocol: hsrp\n      version: 1\n      groups:\n        - {lan: visited, group: 900"),
        "900 is not a group of HSRP version 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_with_its_line(case: str, tmp_path: Path) -> None:
    (old, new), message = MISTAKES[case]
    shutil.copytree(TOPOLOGY, tmp_path / "site")
    file = tmp_path / "site/clusters/site.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    with pytest.raises(HaccError) as raised:
        compile_site(load_site(tmp_path / "site"))
    problems = [str(each) for each in raised.value.problems]
    assert any(message in each and "site.yaml:" in each for each in problems), problems


def test_a_gateway_may_preempt_at_once() -> None:
    """It has no bindings to learn; a controller or an IOS pair has."""
    (guests,) = site().device("fa2").groups
    assert guests.preempt_delay_s == 0
    assert site().device("fa2").binding_sync_s == 0
    assert site().device("fa2").platform is Platform.LINUX
