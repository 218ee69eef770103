"""The compiler's decisions: what it makes of what the intent leaves open."""

from __future__ import annotations

import dataclasses
import json
import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from hacc_agent import config
from hacc_agent.config import to_toml
from tasks import schema
from tasks.compile import CompileError, compile_site
from tasks.errors import Place
from tasks.intent import load_site, parse_site
from tasks.model import ClusterModel, DeviceModel, PeerKind, RedundancyProtocol, Role
from tasks.rendered import Platform
from tests.strategies import texts

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "tests/golden/site"
FILES = {file.relative_to(SITE).as_posix(): file.read_text() for file in SITE.rglob("*.yaml")}


def west(*edits: tuple[str, str], hosts: tuple[str, str] = ("", "")) -> ClusterModel:
    """The example cluster with parts of its files replaced."""
    intent = FILES["clusters/west.yaml"]
    for old, new in edits:
        assert old in intent
        intent = intent.replace(old, new, 1)
    inventory = FILES["hosts.yaml"].replace(*hosts, 1)
    changed = {**FILES, "clusters/west.yaml": intent, "hosts.yaml": inventory}
    (model,) = compile_site(parse_site(Path("inventory"), changed))
    return model


WEST = west()


def test_roles_and_order() -> None:
    assert [(device.host, device.role) for device in WEST.devices] == [
        ("hacc1", Role.CONTROLLER),
        ("hacc2", Role.CONTROLLER),
        ("ha1", Role.HOME_AGENT),
        ("ha2", Role.HOME_AGENT),
        ("ios1", Role.HOME_AGENT),
        ("ios2", Role.HOME_AGENT),
        ("ha9", Role.BACKUP),
    ]
    assert [d.host for d in WEST.devices if d.agent] == ["hacc1", "hacc2", "ha1", "ha2", "ha9"]
    assert [d.host for d in WEST.devices if d.holds_home_agent_address] == [
        "ha1", "ha2", "ios1", "ios2", "ha9",
    ]  # fmt: skip


def test_the_controllers_announce_the_whole_while_active() -> None:
    for host, priority, peer in (("hacc1", 200, "hacc2"), ("hacc2", 190, "hacc1")):
        device = WEST.device(host)
        (group,) = device.groups
        assert (group.name, group.protocol, group.version, group.group) == (
            "west-core", RedundancyProtocol.VRRP, 3, 10,
        )  # fmt: skip
        assert (group.priority, group.peers) == (priority, (peer,))
        assert [str(address) for address in group.follows] == ["198.19.0.1/32"]
        assert [str(p) for p in group.announces] == ["198.19.0.1/32", "198.19.64.0/18"]
        assert device.service is None


def test_a_vrrp_backup_waits_three_hellos_and_its_skew() -> None:
    """RFC 5798 section 6.1, with 200 ms: 600 + (256 - 200) * 200 / 256; RFC 3768 counts seconds."""
    assert [d.groups[0].hold_ms for d in WEST.devices[:2]] == [643, 651]
    second = west(("version: 3", "version: 2"), ("hello_ms: 200 ", "hello_ms: 2000 "))
    assert [d.groups[0].hold_ms for d in second.devices[:2]] == [6218, 6257]


def test_a_pair_is_one_home_agent() -> None:
    first, second = WEST.device("ios1"), WEST.device("ios2")
    assert first.service is not None
    assert second.service is not None
    assert first.service.member == second.service.member == "west-ios"
    assert first.service.realms == second.service.realms
    (peer,) = first.service.pair_peers
    assert (peer.kind, peer.address) == (PeerKind.HOME_AGENT, IPv4Address("198.18.1.32"))
    assert (peer.security.spi, peer.security.key.ref) == (0x300, "env:HA_PAIR_KEY")
    (group,) = first.groups
    assert (group.name, group.follows, group.announces) == ("west-ios-core", (), ())


def test_stock_ios_answers_through_the_controllers() -> None:
    gateways = {d.host: d.service.reply_gateway for d in WEST.devices if d.service}
    assert gateways == {
        "ha1": None, "ha2": None, "ha9": None,
        "ios1": IPv4Address("198.18.1.254"), "ios2": IPv4Address("198.18.1.254"),
    }  # fmt: skip


def test_every_home_agent_serves_every_node_and_its_own_slice() -> None:
    for device in WEST.devices:
        if (service := device.service) is None:
            continue
        (realm,), (node,) = service.realms, service.nodes
        assert (realm.pool_name, str(realm.network)) == ("west-example-net", "198.19.64.0/18")
        assert (str(node.address), node.lifetime_s) == ("198.19.96.7", 1800)
        if device.role is Role.BACKUP:
            assert realm.slice is None
            assert service.announces == ()
        else:
            assert realm.slice is not None
            assert service.announces == realm.slice.prefixes


def test_what_the_intent_leaves_open() -> None:
    model = west(
        ("    hello_ms: 200                  # a standby takes over after 3 of these and a skew "
         "(RFC 5798)\n    preempt_delay_s: 20            # longer than binding_sync_s\n", ""),
        ("      hello_ms: 200\n      hold_ms: 700\n      preempt_delay_s: 60\n", ""),
        ("hello_s: 1, dead_s: 4, ", ""),
        ("    version: 3\n", ""),
        ("      version: 2\n", ""),
    )  # fmt: skip
    vrrp, hsrp = model.device("hacc1").groups[0], model.device("ios1").groups[0]
    assert (vrrp.version, vrrp.hello_ms, vrrp.preempt_delay_s) == (3, 1000, 20)
    assert (hsrp.version, hsrp.hello_ms, hsrp.hold_ms, hsrp.preempt_delay_s) == (2, 3000, 10000, 20)
    assert (model.devices[0].ospf.hello_s, model.devices[0].ospf.dead_s) == (10, 40)


def test_what_a_router_says_of_itself_wins() -> None:
    model = west(
        ("members: [hacc1, hacc2]", "members: [hacc1, {host: hacc2, priority: 250, "
         "preempt_delay_s: 90, track: [{interface: lan, decrement: 60}]}]"),
    )  # fmt: skip
    first, second = (model.device(host).groups[0] for host in ("hacc1", "hacc2"))
    assert (first.priority, first.preempt_delay_s, first.peers) == (200, 20, ("hacc2",))
    assert (second.priority, second.preempt_delay_s) == (250, 90)
    assert [(t.number, t.interface, t.decrement) for t in second.tracks] == [(491, "lan", 60)]


def test_a_pin_is_kept_and_the_rest_is_shared() -> None:
    model = west(("{host: ha1}", "{host: ha1, slice: [198.19.72.0/21]}"))
    slices = {
        d.host: [str(p) for p in d.service.realms[0].slice.prefixes]
        for d in model.devices
        if d.service and d.service.realms[0].slice
    }
    assert slices["ha1"] == ["198.19.72.0/21"]
    covered = {p for prefixes in slices.values() for p in prefixes}
    assert sum(IPv4Network(p).num_addresses for p in covered) == 4096
    pinned = model.device("ha1").service
    assert pinned is not None
    assert pinned.realms[0].slice is not None
    assert FILES["clusters/west.yaml"].splitlines()[pinned.realms[0].slice.place.line - 1] == (
        "  - {host: ha1}"
    )


def test_routers_of_a_physical_home_network_are_not_given_to_nodes() -> None:
    (model,) = compile_site(load_site(ROOT / "tests/golden/topologies/physical"))
    service = model.device("ios1").service
    assert service is not None
    (physical,) = service.physical_networks
    assert (str(physical.prefix), physical.port.name) == ("198.18.1.0/24", "GigabitEthernet0/1")
    own = service.realms[0].slice
    assert own is not None
    assert [(str(first), str(last)) for first, last in own.ranges] == [
        ("198.18.1.128", "198.18.1.252")  # .253 and .254 are groups', .255 is broadcast
    ]
    assert service.announces == (), "a LAN announces itself"


def test_what_the_radius_server_holds_no_router_is_told() -> None:
    (model,) = compile_site(load_site(ROOT / "tests/golden/topologies/radius"))
    for device in model.devices:
        agent = device.agent
        assert agent is not None
        assert [(realm.realm, realm.security is not None) for realm in agent.realms] == [
            ("@told.example", True),
            ("@held.example", False),
            ("@known.example", False),
        ]
        assert agent.nodes[0].security is None
        text = to_toml(agent)
        assert not any(name in text for name in ("HELD_KEY", "HELD_AAA", "MN7_KEY", "MN7_AAA"))
        assert ("RADIUS_SECRET" in text) is (device.role is not Role.CONTROLLER)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (schema.Admission, config.Admission),
        (schema.Readings, config.Readings),
        (schema.Tunnels, config.Tunnels),
    ],
    ids=lambda kind: kind.__name__,
)
def test_what_the_daemon_can_be_told_the_intent_can_say(
    said: type[BaseModel], told: type[config.Admission]
) -> None:
    assert list(said.model_fields) == [field.name for field in dataclasses.fields(told)]
    assert told(**said().model_dump()) == told(), "and means the same where it says nothing"


def test_with_several_lans_one_group_carries_the_home_agent_address() -> None:
    (model,) = compile_site(load_site(ROOT / "tests/golden/topologies/virtuals-physicals"))
    for host in ("hacc1", "hacc2"):
        assert [len(group.follows) for group in model.device(host).groups] == [1, 0]
    peers = model.device("ios1").service
    assert peers is not None
    assert [str(peer.address) for peer in peers.pair_peers] == ["198.18.1.32", "198.18.2.32"]
    tracks = [group.tracks for group in model.device("ios1").groups]
    assert [(t.number, t.decrement) for group in tracks for t in group] == [(491, 30), (491, 30)]


def test_every_place_is_in_a_file() -> None:
    names = {"inventory/clusters/west.yaml", "inventory/hosts.yaml"}

    def walk(value: object) -> None:
        if isinstance(value, Place):
            assert value.file in names
            assert value.line > 0
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                walk(getattr(value, field.name))
        elif isinstance(value, tuple):
            for item in value:
                walk(item)

    walk(WEST)


def test_all_refusals_of_all_clusters_come_at_once() -> None:
    broken = FILES["clusters/west.yaml"].replace("protocol: vrrp", "protocol: hsrp")
    east = broken.replace("cluster: west", "cluster: east")
    site = parse_site(
        Path("inventory"), {**FILES, "clusters/west.yaml": broken, "clusters/east.yaml": east}
    )
    with pytest.raises(CompileError) as refused:
        compile_site(site)
    files = {problem.place.file for problem in refused.value.problems if problem.place}
    assert files == {"inventory/clusters/west.yaml", "inventory/clusters/east.yaml"}


def shuffled(value: Any, random: Any) -> Any:
    """The same mappings with their keys in another order; lists mean their order."""
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key], random) for key in keys}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


# LANs and interfaces are told in their order; every other mapping is only a set of names.
ORDERED = ("lans", "interfaces")


@given(texts(), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(files: dict[str, str], random: Any) -> None:
    def mixed(text: str) -> str:
        value = json.loads(text)
        found = shuffled(value, random)
        for key in ORDERED:
            if key in value:
                found[key] = value[key]
        for name, host in value.items():
            if isinstance(host, dict) and "data" in host and "interfaces" in host["data"]:
                found[name]["data"]["interfaces"] = host["data"]["interfaces"]
        return json.dumps(found, indent=1)

    other = {name: mixed(text) for name, text in files.items()}
    first = compile_site(parse_site(Path("inventory"), files))
    second = compile_site(parse_site(Path("inventory"), other))
    assert [unplaced(model) for model in first] == [unplaced(model) for model in second]


@given(texts())
def test_the_same_files_give_the_same_models(files: dict[str, str]) -> None:
    once, again = (compile_site(parse_site(Path("inventory"), files)) for _ in range(2))
    assert once == again


def unplaced(model: ClusterModel) -> str:
    """A model in words, without its places: they move with the lines."""
    return re.sub(r"Place\(file='[^']*', line=\d+\)", "", repr(model))


def test_platforms_decide_who_runs_the_agent() -> None:
    def runs(device: DeviceModel) -> bool:
        return device.agent is not None

    assert {d.platform for d in WEST.devices if runs(d)} == {Platform.LINUX}
