"""The inventory means what Nornir says that it means: Nornir's own reader is the peer."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nornir import InitNornir
from nornir.core.plugins.inventory import InventoryPluginRegister
from nornir.plugins.inventory.simple import SimpleInventory

from tasks.inventory import (
    HaccInventory,
    InventoryError,
    load_inventory,
    nearest,
    nornir_inventory,
    parse_inventory,
)
from tasks.rendered import Platform
from tasks.secrets import SecretRef

ROOT = Path(__file__).resolve().parents[2]


def test_the_example() -> None:
    inventory = load_inventory(ROOT / "tests/golden/site")
    assert list(inventory.hosts) == ["hacc1", "hacc2", "ha1", "ha2", "ha9", "ios1", "ios2"]
    ios1 = inventory["ios1"]
    assert (ios1.platform, ios1.driver, ios1.hostname, ios1.port, ios1.username) == (
        Platform.IOS, "cisco_ios", "198.18.0.31", 22, "admin",
    )  # fmt: skip
    assert ios1.password == SecretRef("env:HACC_PASSWORD")
    assert ios1.enable == SecretRef("env:HACC_ENABLE")
    assert ios1.router_id == IPv4Address("198.19.255.31")
    (port,) = ios1.on("core")
    assert port.address == IPv4Interface("198.18.1.31/24")
    lines = (ROOT / "tests/golden/site/hosts.yaml").read_text().splitlines()
    assert "GigabitEthernet0/1" in lines[port.place.line - 1]
    assert lines[ios1.place.line - 1] == "ios1:"
    assert "198.19.255.31" in lines[ios1.router_id_place.line - 1]


ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "hostname": st.sampled_from(["192.0.2.1", "a.example", "b"]),
        "port": st.integers(1, 65535),
        "username": st.sampled_from(["root", "admin"]),
        "platform": st.sampled_from(["linux", "cisco_ios"]),
        "data": st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3),
    },
)


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Any]:
    """Hosts, groups that inherit from earlier groups, and defaults that always have a platform."""
    names = ["g1", "g2", "g3"]
    groups = {}
    for index, name in enumerate(names):
        parents = draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        groups[name] = {**draw(ATTRIBUTES), "groups": parents}
    hosts = {
        f"h{n}": {
            **draw(ATTRIBUTES),
            "groups": draw(st.lists(st.sampled_from(names), unique=True)),
            "port": 1000 + n,  # no two hosts are reached at one address and port
        }
        for n in range(draw(st.integers(1, 3)))
    }
    defaults = {"platform": "linux", **draw(ATTRIBUTES)}
    return {"hosts.yaml": hosts, "groups.yaml": groups, "defaults.yaml": defaults}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(inventories())
def test_inheritance_is_nornirs(tmp_path: Path, files: dict[str, Any]) -> None:
    texts = {name: json.dumps(content) for name, content in files.items()}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    peer = SimpleInventory(*(str(tmp_path / name) for name in texts)).load()
    ours, _, problems = parse_inventory(tmp_path, texts)
    assert problems == []
    for name, host in peer.hosts.items():
        facts = ours[name]
        # Nornir leaves the hostname to the connection plugins, who take the name for a missing one.
        assert facts.hostname == (host.hostname or name)
        assert (facts.port, facts.username, facts.driver) == (
            host.port or 22, host.username, host.platform,
        )  # fmt: skip
        assert dict(facts.data) == dict(host.items())


def test_nornir_runs_on_it() -> None:
    inventory = load_inventory(ROOT / "tests/golden/site")
    InventoryPluginRegister.register("hacc", HaccInventory)
    opened = {"env:HACC_PASSWORD": "swordfish"}
    nornir = InitNornir(
        inventory={"plugin": "hacc", "options": {"inventory": inventory, "opened": opened}},
        logging={"enabled": False},
    )
    ios = nornir.filter(filter_func=lambda host: host.has_parent_group("ios"))
    assert sorted(ios.inventory.hosts) == ["ios1", "ios2"]
    host = ios.inventory.hosts["ios1"]
    assert (host.hostname, host.port, host.username, host.password, host.platform) == (
        "198.18.0.31", 22, "admin", "swordfish", "cisco_ios",
    )  # fmt: skip
    assert host["facts"] == inventory["ios1"]
    assert host["router_id"] == "198.19.255.31"


def test_a_part_of_it_without_passwords() -> None:
    found = nornir_inventory(load_inventory(ROOT / "tests/golden/site"), only=["ha1"])
    assert list(found.hosts) == ["ha1"]
    assert found.hosts["ha1"].password is None


def test_a_circle_of_groups_ends() -> None:
    texts = {
        "hosts.yaml": "h: {groups: [a]}",
        "groups.yaml": "a: {groups: [b]}\nb: {groups: [a], platform: linux}",
    }
    inventory, _, problems = parse_inventory(Path("inventory"), texts)
    assert problems == []
    assert inventory["h"].groups == ("a", "b")


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ("h: {platform: linux, data: 5}", "hosts.yaml:1: h.data: found 5 (allowed: a mapping)"),
        ("h: 5", "hosts.yaml:1: h: found 5 (allowed: a mapping with hostname, groups, data)"),
        ("h: {platform: no}", "[hint: YAML reads no as false: quote it to mean the text]"),
        ("h h: {platform: linux}", "h h: not a host name"),
        ("h: {platform: linux, port: 70000}", "h.port: found 70000 (allowed: 1-65535)"),
        ("h: {platform: linux, data: {interfaces: [eth0]}}", "h.data.interfaces: found"),
        ("h: {platform: linux, data: {interfaces: {e: {lan: x}}}}",
         "h.data.interfaces.e.address: missing"),
        ("h: {platform: linux, data: {interfaces: {e: {adress: 1}}}}", "did you mean address?"),
        ("h: {platform: linux, data: {interfaces: {e: {lan: 5, address: 192.0.2.1/24}}}}",
         "h.data.interfaces.e.lan: found 5"),
        ("h: {hostname: x}", "h.platform: missing"),
        ("a: {platform: linux, hostname: x}\nb: {platform: linux, hostname: x}",
         "hosts.yaml:2: b.hostname: x port 22 is also how a is reached"),
        ("h: {platform: cisco_ios, data: {interfaces: {Gi0/1: {}, GigabitEthernet0/1: {}}}}",
         "h.data.interfaces.GigabitEthernet0/1: is GigabitEthernet0/1 again"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path: Path, hosts: str, said: str) -> None:
    (tmp_path / "hosts.yaml").write_text(hosts)
    with pytest.raises(InventoryError) as refused:
        load_inventory(tmp_path)
    assert said in str(refused.value)


def test_ios_interfaces_may_be_typed_short() -> None:
    hosts = "i: {platform: cisco_ios, data: {interfaces: {gi0/1: {}}}}\n"
    hosts += "l: {platform: linux, data: {interfaces: {gi0/1: {}}}}\n"
    inventory, _, problems = parse_inventory(Path("inventory"), {"hosts.yaml": hosts})
    assert problems == []
    assert inventory["i"].interfaces[0].name == "GigabitEthernet0/1"
    assert inventory["l"].interfaces[0].name == "gi0/1", "what is a name on Linux is the name"


def test_nearest() -> None:
    assert nearest("helo_ms", ["hello_ms", "hold_ms"]) == "did you mean hello_ms?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", map(str, range(100, 120))).endswith("111, ...")
    assert nearest("zzz", []) == ""
