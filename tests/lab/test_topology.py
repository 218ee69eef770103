"""The inventory as a lab: what is taken, and each refusal with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InventoryInvalid
from lab.topology import (
    BENCHMARK_RANGE,
    Kind,
    default_name,
    device_name,
    load_topology,
)

HOSTS = """\
hacc1:
  hostname: 198.18.0.11
  groups: [linux]
  data:
    router_id: 198.19.255.11
    interfaces:
      lan: {lan: core, address: 198.18.1.11/24}
      lo: {address: 198.19.255.11/32}
ios1:
  hostname: 198.18.0.31
  groups: [ios]
  data: {interfaces: {GigabitEthernet0/1: {lan: core, address: 198.18.1.31/24}}}
"""
GROUPS = """\
linux: {platform: linux, username: root}
ios: {platform: cisco_ios, username: admin}
"""


def inventory(folder: Path, hosts: str = HOSTS, defaults: str = "") -> Path:
    (folder / "hosts.yaml").write_text(hosts)
    (folder / "groups.yaml").write_text(GROUPS)
    (folder / "defaults.yaml").write_text(defaults or "{}")
    return folder


def test_an_inventory_becomes_a_topology(tmp_path: Path) -> None:
    defaults = 'data: {password: "env:P", enable: "env:E"}'
    found = load_topology(inventory(tmp_path, defaults=defaults), "x", {"P": "secret"})
    hacc1, ios1 = found.routers
    assert (hacc1.kind, hacc1.username, str(hacc1.management)) == (
        Kind.LINUX,
        "root",
        "198.18.0.11",
    )
    assert [(p.interface, p.lan, p.device) for p in hacc1.ports] == [("lan", "core", "hacc1.lan")]
    assert (ios1.kind, ios1.username, ios1.password, ios1.enable) == (Kind.IOS, "admin", "P", "E")
    assert found.lans == ("core",)
    assert str(found.gateway) == "198.18.0.254/24"
    assert found.secrets == {"P": "secret"}
    assert "secret" not in repr(found)


@pytest.mark.parametrize("written", ["GigabitEthernet0/1", "Gi0/1", "gigabitethernet 0/1"])
def test_an_ios_interface_has_one_name_however_it_is_written(tmp_path: Path, written: str) -> None:
    hosts = HOSTS.replace("GigabitEthernet0/1", written)
    (_, ios1) = load_topology(inventory(tmp_path, hosts), "x", {}).routers
    assert [port.interface for port in ios1.ports] == ["GigabitEthernet0/1"]
    assert ios1.port(written) == ios1.ports[0]
    assert ios1.port("mgmt") == ios1.management_port


def test_the_example_inventory_of_the_checkout_is_a_lab(root: Path) -> None:
    found = load_topology(root / "inventory", environment={})
    assert len(found.linux) >= 2
    assert found.ios


CASES = {
    "real-network": (HOSTS, "data: {lab: {management: 192.168.0.0/24}}", "outside 198.18.0.0/15"),
    "outside": (HOSTS.replace("198.18.0.11\n", "198.18.7.11\n"), "", "198.18.7.11 is outside"),
    "gateway": (HOSTS.replace("198.18.0.11\n", "198.18.0.254\n"), "", "is not free"),
    "twice": (HOSTS.replace("198.18.0.31", "198.18.0.11"), "", "given to several hosts"),
    "no-address": (HOSTS.replace("198.18.0.11\n", "hacc1.example\n"), "", "not an IPv4 address"),
    "group": (HOSTS.replace("[linux]", "[lunix]"), "", "group 'lunix' is not in groups.yaml"),
    "platform": (HOSTS.replace("groups: [linux]", "platform: junos"), "", "'junos' is unknown"),
    "interface": (HOSTS.replace("lan: {lan", "a-name-too-long: {lan"), "", "1-15 characters"),
    "ios-interface": (HOSTS.replace("GigabitEthernet0/1", "Giga"), "", "of the IOS simulator"),
    "ios-interface-twice": (
        HOSTS.replace("{GigabitEthernet0/1: {lan", "{Gi0/1: {lan: edge}, GigabitEthernet0/1: {lan"),
        "",
        "two interfaces get this device",
    ),
    "mgmt": (HOSTS.replace("lan: {lan", "mgmt: {lan"), "", "not lo or mgmt"),
    "address": (HOSTS.replace("198.18.1.11/24", "198.18.1.300/24"), "", "198.18.1.300"),
    "yaml": ("hacc1: {hostname", "", "flow mapping"),
    "literal-password": (HOSTS, "data: {password: hunter2}", "only env:NAME"),
    "unknown-key": (HOSTS, "data: {lab: {managment: 198.18.0.0/24}}", "managment: unknown key"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_lab_is_refused_with_its_reason(tmp_path: Path, case: str) -> None:
    hosts, defaults, reason = CASES[case]
    if case == "interface":
        hosts = hosts.replace("a-name-too-long", "a-name-that-is-too-long")
    with pytest.raises(InventoryInvalid) as refused:
        load_topology(inventory(tmp_path, hosts, defaults), "x", {})
    assert reason in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_every_problem_is_told_in_one_run(tmp_path: Path) -> None:
    hosts = HOSTS.replace("198.18.0.11\n", "nowhere\n").replace("[ios]", "[]")
    with pytest.raises(InventoryInvalid) as refused:
        load_topology(inventory(tmp_path, hosts), "x", {})
    assert len(refused.value.problems) == 2


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "x" * 33, "-a", "..", "a b"])
def test_names_that_could_leave_the_labs_folder_are_refused(tmp_path: Path, name: str) -> None:
    if name:
        with pytest.raises(InventoryInvalid, match="not a lab's name"):
            load_topology(inventory(tmp_path), name, {})
    else:
        assert load_topology(inventory(tmp_path), name, {}).name == default_name(tmp_path)


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_device_names_fit_and_tell_apart(one: str, other: str) -> None:
    for text in (one, other):
        assert 1 <= len(device_name(text)) <= 15
        assert not set(device_name(text)) & set("/ :\n\0")
    assert (device_name(one) == device_name(other)) == (one == other)


def test_the_default_name_differs_between_two_checkouts(tmp_path: Path) -> None:
    names = {default_name(tmp_path / x / "inventory") for x in ("a", "b", "B", "ü")}
    assert len(names) == 4


def test_the_management_default_is_a_benchmark_range(tmp_path: Path) -> None:
    assert load_topology(inventory(tmp_path), "x", {}).management.subnet_of(BENCHMARK_RANGE)
