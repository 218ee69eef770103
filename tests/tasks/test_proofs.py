"""The proofs: right sites pass, and each invariant refuses what breaks it.

The models are broken behind the compiler's back, one value at a time, as a compiler's bug would:
in the example, and in random sites wherever the same mistake can be made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.compile import build, compile_site
from tasks.errors import Place
from tasks.intent import Site, load_site
from tasks.model import (
    Algorithm,
    ClusterModel,
    DeviceModel,
    GroupAuthentication,
    HomeAgentService,
    Radius,
    RedundancyProtocol,
    Replay,
    Role,
    StandbyGroup,
    Track,
)
from tasks.proofs import INVARIANTS, KEYS, prove, prove_keys
from tasks.rendered import Platform
from tasks.secrets import SecretRef
from tests.strategies import intents

ROOT = Path(__file__).resolve().parents[2]
WEST = compile_site(load_site(ROOT / "tests/golden/site"))
Models = tuple[ClusterModel, ...]
HERE = Place("elsewhere.yaml", 7)


# ------------------------------------------------------------------ right sites


@given(intents())
def test_random_sites_are_proven(site: Site) -> None:
    models, problems = build(site)
    assert problems == []
    assert prove(models) == []


@pytest.mark.parametrize("folder", sorted((ROOT / "tests/golden/topologies").glob("*physical*")),
                         ids=lambda folder: folder.name)  # fmt: skip
def test_the_published_topologies_are_proven(folder: Path) -> None:
    (model,) = compile_site(load_site(folder))
    halves = [device for device in model.devices if device.platform is Platform.IOS]
    assert [half.service.member for half in halves if half.service] == ["ha", "ha"]


# ------------------------------------------------------------------ broken ones


class NotHere(Exception):
    """This site has nothing that the mistake could be made in."""


def pick(site: Models, wanted: Callable[[DeviceModel], object]) -> DeviceModel:
    for cluster in site:
        for device in cluster.devices:
            if wanted(device):
                return device
    raise NotHere


def put(site: Models, device: DeviceModel, **changes: Any) -> Models:
    """The site with another value in one router's model."""
    new = replace(device, **changes)
    return tuple(
        replace(c, devices=tuple(new if d is device else d for d in c.devices)) for c in site
    )


def in_group(
    wanted: Callable[[DeviceModel, StandbyGroup], object], **changes: Any
) -> Callable[[Models], Models]:
    """A mistake in the first group for which `wanted` is true. A function is called with it."""

    def mistake(site: Models) -> Models:
        device = pick(site, lambda d: any(wanted(d, g) for g in d.groups))
        group = next(g for g in device.groups if wanted(device, g))
        values = {k: v(group) if callable(v) else v for k, v in changes.items()}
        groups = tuple(replace(g, **values) if g is group else g for g in device.groups)
        return put(site, device, groups=groups)

    return mistake


def in_service(
    wanted: Callable[[DeviceModel, HomeAgentService], object], **changes: Any
) -> Callable[[Models], Models]:
    """The same for what a Home Agent serves."""

    def mistake(site: Models) -> Models:
        device = pick(site, lambda d: d.service is not None and wanted(d, d.service))
        assert device.service is not None
        values = {k: v(device.service) if callable(v) else v for k, v in changes.items()}
        return put(site, device, service=replace(device.service, **values))

    return mistake


def in_device(
    wanted: Callable[[DeviceModel], object], **changes: Any
) -> Callable[[Models], Models]:
    """The same for a router."""

    def mistake(site: Models) -> Models:
        device = pick(site, wanted)
        values = {k: v(device) if callable(v) else v for k, v in changes.items()}
        return put(site, device, **values)

    return mistake


def anyone(*_: object) -> bool:
    return True


def member(device: DeviceModel, *_: object) -> bool:
    return device.service is not None


def controller(device: DeviceModel, *_: object) -> bool:
    return device.role is Role.CONTROLLER


def ios(device: DeviceModel, *_: object) -> bool:
    return device.platform is Platform.IOS and device.service is not None


def linux(device: DeviceModel, *_: object) -> bool:
    return device.platform is Platform.LINUX and device.service is not None


def shared(_: DeviceModel, group: StandbyGroup) -> bool:
    return bool(group.peers)


def hsrp(_: DeviceModel, group: StandbyGroup) -> bool:
    return group.protocol is RedundancyProtocol.HSRP


def vrrp(_: DeviceModel, group: StandbyGroup) -> bool:
    return group.protocol is RedundancyProtocol.VRRP


def has_realm(_: DeviceModel, service: HomeAgentService) -> bool:
    return any(realm.slice is not None for realm in service.realms)


def paired(_: DeviceModel, service: HomeAgentService) -> bool:
    return bool(service.pair_peers)


def preferred(_: DeviceModel, group: StandbyGroup) -> bool:
    return bool(group.peers) and group.priority == 200


def has_nodes(_: DeviceModel, service: HomeAgentService) -> bool:
    return bool(service.realms or service.nodes)


def has_node(_: DeviceModel, service: HomeAgentService) -> bool:
    return bool(service.nodes)


def sliced(service: HomeAgentService) -> Any:
    """Every slice moved to the addresses behind its pool."""
    return tuple(
        replace(
            realm,
            slice=replace(
                realm.slice, prefixes=(IPv4Network("203.0.113.0/24"),)
            ) if realm.slice else None,
        )
        for realm in service.realms
    )  # fmt: skip


def ranges(service: HomeAgentService) -> Any:
    outside = ((IPv4Address("203.0.113.1"), IPv4Address("203.0.113.9")),)
    return tuple(
        replace(realm, slice=replace(realm.slice, ranges=outside) if realm.slice else None)
        for realm in service.realms
    )


def realms(**changes: Any) -> Callable[[HomeAgentService], Any]:
    return lambda service: tuple(replace(realm, **changes) for realm in service.realms)


def nodes(**changes: Any) -> Callable[[HomeAgentService], Any]:
    return lambda service: tuple(replace(node, **changes) for node in service.nodes)


def node_of(address: Callable[[DeviceModel], IPv4Address]) -> Callable[[Models], Models]:
    """A mobile node that claims an address of its own Home Agent's."""

    def mistake(site: Models) -> Models:
        device = pick(site, lambda d: d.service is not None and d.service.nodes)
        assert device.service is not None
        first, *rest = device.service.nodes
        moved = (replace(first, address=address(device), place=HERE), *rest)
        return put(site, device, service=replace(device.service, nodes=moved))

    return mistake


ELSEWHERE = IPv4Network("203.0.113.0/28")


def routing_nodes(
    networks: Callable[[DeviceModel], tuple[IPv4Network, ...]],
) -> Callable[[Models], Models]:
    """The mobile networks of a Home Agent's nodes, realms as well as single ones."""

    def mistake(site: Models) -> Models:
        device = pick(site, lambda d: d.service and d.service.nodes and d.service.realms)
        assert device.service is not None
        changes = {"mobile_networks": networks(device)}
        service = replace(
            device.service,
            nodes=nodes(**changes)(device.service),
            realms=realms(**changes)(device.service),
        )
        return put(site, device, service=service)

    return mistake


def node_in_pool(site: Models) -> Models:
    device = pick(site, lambda d: d.service and d.service.nodes and d.service.realms)
    assert device.service is not None
    first, *rest = device.service.nodes
    inside = device.service.realms[0].pool.network_address + 3
    moved = (replace(first, address=inside, place=HERE), *rest)
    return put(site, device, service=replace(device.service, nodes=moved))


def security(**changes: Any) -> Callable[[HomeAgentService], Any]:
    return lambda service: tuple(
        replace(item, security=replace(item.security, **changes))
        for item in service.realms
        if item.security is not None
    )


def second_association(service: HomeAgentService) -> Any:
    first = service.realms[0]
    assert first.security is not None
    other = replace(first.security, key=SecretRef("env:ANOTHER"), place=HERE)
    return (*service.realms, replace(first, security=other, place=HERE))


AAA = SecretRef("env:MN_AAA")
PREFIX_SUFFIX = Algorithm.MD5_PREFIX_SUFFIX
RADIUS = Radius(IPv4Address("203.0.113.40"), SecretRef("env:RADIUS"), 1812, 1000, 3, HERE)


def left_to(
    radius: Radius | None, where: Callable[[DeviceModel], bool], **changes: Any
) -> Callable[[Models], Models]:
    """Realms of a router with this RADIUS server, or none, changed."""

    def mistake(site: Models) -> Models:
        device = pick(site, lambda d: where(d) and d.service and d.service.realms)
        assert device.service is not None
        service = replace(device.service, realms=realms(**changes)(device.service))
        return put(site, device, service=service, radius=radius)

    return mistake


def held_with(**changes: Any) -> Callable[[Models], Models]:
    """Associations that the RADIUS server is to hold, and cannot hand out as they are."""

    def mistake(site: Models) -> Models:
        device = pick(site, lambda d: linux(d) and d.service and security()(d.service))
        assert device.service is not None
        held = tuple(replace(realm, aaa=AAA) for realm in security(**changes)(device.service))
        return put(site, device, service=replace(device.service, realms=held), radius=RADIUS)

    return mistake


def asking_agents(site: Models) -> Models:
    """Foreign Agents that ask a RADIUS server which is not there."""
    device = pick(site, lambda d: d.service and d.service.foreign_agents)
    assert device.service is not None
    asking = tuple(replace(peer, aaa=AAA) for peer in device.service.foreign_agents)
    return put(site, device, service=replace(device.service, foreign_agents=asking), radius=None)


def copied_cluster(**changes: Any) -> Callable[[Models], Models]:
    """A second cluster, the first one again but for some values and everybody's names."""

    def mistake(site: Models) -> Models:
        first = site[0]
        renamed = tuple(
            replace(device, host=f"{device.host}-again", cluster="again", **changes)
            for device in first.devices
        )
        return (*site, replace(first, name="again", devices=renamed, home_agent_place=HERE))

    return mistake


def same_device_twice(site: Models) -> Models:
    first = site[0]
    again = replace(first.devices[0], place=HERE)
    return (replace(first, devices=(*first.devices, again)), *site[1:])


def same_priority(site: Models) -> Models:
    device = pick(site, lambda d: any(g.peers for g in d.groups))
    group = next(g for g in device.groups if g.peers)
    other = pick(site, lambda d: d.host == group.peers[0])
    groups = tuple(
        replace(g, priority=group.priority) if g.name == group.name else g for g in other.groups
    )
    return put(site, other, groups=groups)


def member_named_like_a_router(site: Models) -> Models:
    device = pick(site, lambda d: d.service is not None)
    assert device.service is not None
    cluster = next(c for c in site if device in c.devices)
    return put(site, device, service=replace(device.service, member=cluster.devices[0].host))


def overlapping_networks(site: Models) -> Models:
    device = pick(site, lambda d: d.service is not None and d.service.virtual_networks)
    assert device.service is not None
    first = device.service.virtual_networks[0]
    inside = replace(first, prefix=next(first.prefix.subnets(2)), place=HERE)
    service = replace(device.service, virtual_networks=(first, inside))
    return put(site, device, service=service)


def told_otherwise(**changes: Any) -> Callable[[Models], Models]:
    def mistake(site: Models) -> Models:
        device = pick(site, lambda d: d.agent is not None)
        assert device.agent is not None
        return put(site, device, agent=replace(device.agent, **changes))

    return mistake


AUTH = GroupAuthentication("md5", SecretRef("env:OTHER"), HERE)


@dataclass(frozen=True)
class Mistake:
    breaks: str
    name: str
    make: Callable[[Models], Models]


MISTAKES = [
    Mistake("one-announcer", "nobody-carries-it", in_group(controller, follows=())),
    Mistake("one-announcer", "member-announces-it", in_service(
        anyone,
        announces=lambda s: (*s.announces, IPv4Network("0.0.0.0/0")))),
    Mistake("one-announcer", "pair-carries-it", in_group(
        member,
        announces=(IPv4Network("0.0.0.0/0"),))),
    *(
        Mistake("group-agrees", attribute, in_group(shared, **{attribute: change}))
        for attribute, change in (
            ("group", lambda g: g.group + 1),
            ("address", lambda g: g.address + 1),
            ("hello_ms", lambda g: g.hello_ms + 1000),
            ("version", lambda g: 5 - g.version if g.version > 1 else 2),
            ("authentication", AUTH),
            ("announces", lambda g: (*g.announces, IPv4Network("192.0.2.0/24"))),
        )
    ),
    Mistake("group-agrees", "hold_ms", in_group(
        hsrp, hold_ms=lambda g: g.hold_ms + 1000)),
    Mistake("priorities-differ", "same", same_priority),
    Mistake("preempt-after-sync", "at-once", in_group(shared, preempt_delay_s=0)),
    Mistake("address-on-lan", "elsewhere", in_group(
        shared, address=IPv4Address("203.0.113.1"))),
    Mistake("address-on-lan", "broadcast", in_group(
        shared, address=lambda g: g.port.address.network.broadcast_address)),
    Mistake("group-unique", "another-cluster", lambda site: tuple(
        replace(c, devices=tuple(
            replace(d, groups=tuple(replace(g, name=f"{g.name}-2", place=HERE) for g in d.groups))
            if n == 0 else d for n, d in enumerate(c.devices))) for c in site)),
    Mistake("redundancy-name", "of-another-cluster", lambda site: put(
        site, pick(site, controller), cluster="another")),
    Mistake("group-number", "too-high", in_group(shared, group=4096)),
    Mistake("group-number", "vrrp-0", in_group(vrrp, group=0)),
    Mistake("group-number", "no-such-version", in_group(shared, version=4)),
    Mistake("timers", "hsrp-hello", in_group(hsrp, hello_ms=14)),
    Mistake("timers", "hsrp-hello-over-a-second", in_group(hsrp, hello_ms=1500)),
    Mistake("timers", "hsrp-hold", in_group(hsrp, hold_ms=10_500)),
    Mistake("timers", "hsrp-hold-too-short", in_group(hsrp, hello_ms=15, hold_ms=49)),
    Mistake("timers", "vrrp-millisecond", in_group(vrrp, hello_ms=101)),
    Mistake("timers", "hold-below-three-hellos", in_group(
        shared, hold_ms=lambda g: 3 * g.hello_ms - 1)),
    Mistake("authentication", "vrrp-md5", in_group(vrrp, authentication=AUTH)),
    Mistake("tracking", "unknown-interface", in_group(
        shared, tracks=(Track(1, "nowhere0", 60, HERE),))),
    Mistake("tracking", "changes-nothing", in_group(
        preferred,
        tracks=(Track(1, "eth9", 1, HERE),))),
    Mistake("tracking", "below-one", in_group(
        shared, tracks=(Track(1, "eth9", 254, HERE),))),
    Mistake("adjacent", "another-lan", in_device(
        member,
        ports=lambda d: tuple(replace(port, lan="another") for port in d.ports))),
    Mistake("lan-agrees", "another-mask", in_device(
        anyone,
        ports=lambda d: tuple(
            replace(p, address=IPv4Interface(f"{p.address.ip}/25")) for p in d.ports))),
    Mistake("pair-halves", "no-peer", in_service(
        paired, pair_peers=())),
    Mistake("pair-halves", "other-slice", in_service(
        paired, announces=(IPv4Network("203.0.113.0/24"),))),
    Mistake("ospf-agrees", "area", in_device(
        anyone, ospf=lambda d: replace(d.ospf, area="51"))),
    Mistake("ospf-agrees", "dead-before-hello", lambda site: tuple(
        replace(c, devices=tuple(
            replace(d, ospf=replace(d.ospf, dead_s=d.ospf.hello_s)) for d in c.devices))
        for c in site)),
    Mistake("address-once", "router-id", in_device(
        anyone, router_id=lambda d: d.ports[0].address.ip)),
    Mistake("address-once", "virtual-address", in_group(
        shared, address=lambda g: g.port.address.ip)),
    Mistake("home-agent-address", "differs", in_device(
        anyone, home_agent_address=IPv4Address("203.0.113.1"))),
    Mistake("home-agent-address", "held-by-a-controller", in_device(
        controller, holds_home_agent_address=True)),
    Mistake("home-agent-address", "two-clusters", copied_cluster()),
    Mistake("host-once", "two-parts", same_device_twice),
    Mistake("member-once", "like-a-router", member_named_like_a_router),
    Mistake("networks-disjoint", "one-in-another", overlapping_networks),
    Mistake("pools-disjoint", "two-clusters", lambda site: (
        pick(site[:1], lambda d: d.service and d.service.realms), copied_cluster()(site))[1]),
    Mistake("inside-networks", "unserved", in_service(
        has_nodes, virtual_networks=(), physical_networks=())),
    Mistake("mobile-networks", "on-ios", in_service(
        lambda d, s: ios(d) and s.nodes, nodes=nodes(mobile_networks=(ELSEWHERE,)))),
    Mistake("mobile-networks", "in-a-pool", in_service(
        has_realm, realms=lambda s: realms(mobile_networks=(s.realms[0].pool,))(s))),
    Mistake("mobile-networks", "a-lan", routing_nodes(lambda d: (d.ports[0].address.network,))),
    Mistake("mobile-networks", "twice", routing_nodes(lambda _: (ELSEWHERE,))),
    Mistake("inside-networks", "node-outside", in_service(
        has_node, nodes=nodes(address=IPv4Address("203.0.113.9"), place=HERE))),
    Mistake("slices-owned", "elsewhere", in_service(has_realm, realms=sliced)),
    Mistake("slices-owned", "unowned", in_service(has_realm, realms=realms(slice=None))),
    Mistake("ranges-owned", "another's", in_service(has_realm, realms=ranges)),
    Mistake("nodes-apart", "in-a-pool", node_in_pool),
    Mistake("nodes-apart", "router's", node_of(lambda d: d.ports[0].address.ip)),
    Mistake("nodes-apart", "home-agent's", node_of(lambda d: d.home_agent_address)),
    Mistake("spi-range", "reserved", in_service(has_realm, realms=security(spi=255))),
    Mistake("spi-unique", "twice", in_service(has_realm, realms=second_association)),
    Mistake("realm-once", "twice", in_service(has_realm, realms=second_association)),
    Mistake("lifetimes", "too-long", in_service(anyone, lifetime_s=65536)),
    Mistake("lifetimes", "zero-for-a-realm", in_service(has_realm, realms=realms(lifetime_s=0))),
    Mistake("lifetimes", "zero-for-a-node", in_service(has_node, nodes=nodes(lifetime_s=0))),
    Mistake("replay", "nonce", in_service(ios, replay=Replay.NONCE)),
    Mistake("capacity", "too-many", in_service(ios, max_bindings=500_001)),
    Mistake("reply-gateway", "none", in_service(ios, reply_gateway=None)),
    Mistake("reply-gateway", "not-the-controllers", in_service(
        ios, reply_gateway=IPv4Address("203.0.113.1"))),
    Mistake("snmp-reach", "no-secret", in_device(
        anyone, snmp=lambda d: replace(d.snmp, community=None, auth=None))),
    Mistake("snmp-reach", "no-address", in_device(member, management="")),
    Mistake("authenticated", "by-nobody", left_to(None, anyone, security=None, aaa=None)),
    Mistake("authenticated", "no-radius", left_to(None, anyone, aaa=AAA)),
    Mistake("authenticated", "by-ios", left_to(RADIUS, ios, security=None)),
    Mistake("authenticated", "held-by-radius-for-ios", left_to(RADIUS, ios, aaa=AAA)),
    Mistake("authenticated", "nothing-to-hold", left_to(RADIUS, linux, security=None, aaa=AAA)),
    Mistake("authenticated", "held-with-an-algorithm", held_with(algorithm=PREFIX_SUFFIX)),
    Mistake("authenticated", "held-with-a-tolerance", held_with(tolerance_s=256)),
    Mistake("authenticated", "foreign-agent's", asking_agents),
    Mistake("agent-agrees", "other-name", told_otherwise(name="somebody")),
    Mistake("agent-agrees", "no-lan", told_otherwise(lans=())),
    Mistake("agent-agrees", "none", in_device(lambda d: d.agent is not None, agent=None)),
]  # fmt: skip

CHECKS = {invariant.id: invariant.check for invariant in INVARIANTS}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.breaks}/{m.name}")
def test_a_broken_model_is_refused(mistake: Mistake) -> None:
    assert list(CHECKS[mistake.breaks](WEST)) == []
    broken = mistake.make(WEST)
    found = list(CHECKS[mistake.breaks](broken))
    assert found, "the invariant does not see the mistake"
    assert all(problem.place is not None for problem in found)
    assert {p.message for p in found} <= {p.message for p in prove(broken)}


@given(intents(), st.sampled_from(MISTAKES))
def test_a_broken_random_model_is_refused(site: Site, mistake: Mistake) -> None:
    models = compile_site(site)
    try:
        broken = mistake.make(models)
    except NotHere:
        assume(False)
    assert list(CHECKS[mistake.breaks](broken))


def test_every_invariant_has_a_mistake_that_breaks_it() -> None:
    assert {mistake.breaks for mistake in MISTAKES} == set(CHECKS)
    assert len(CHECKS) == len(INVARIANTS)


def test_every_invariant_says_why() -> None:
    for invariant in INVARIANTS:
        assert re.fullmatch(r"[a-z-]+", invariant.id)
        assert invariant.sentence.endswith(".")
        assert invariant.why


def test_what_several_routers_break_is_told_once() -> None:
    broken = tuple(
        replace(c, devices=tuple(
            replace(d, groups=tuple(replace(g, preempt_delay_s=1) for g in d.groups))
            for d in c.devices)) for c in WEST
    )  # fmt: skip
    assert [problem.subject for problem in prove(broken)] == ["west-core", "west-ios-core"]


# ------------------------------------------------------------------ keys

GOOD = {
    "env:MN_EXAMPLE_KEY": "000102030405060708090a0b0c0d0e0f",
    "file:keys/mn7": "sixteen letters!",
    "env:FA_KEY": "0x" + "ab" * 16,
    "env:HA_PAIR_KEY": "0123456789abcdef",
    "env:HACC_HSRP_KEY": "h" * 64,
    "env:OSPF_KEY": "o" * 16,
    "env:SNMP_AUTH": "a" * 8,
    "env:SNMP_PRIV": "p" * 64,
}


def test_good_keys_are_proven() -> None:
    assert prove_keys(WEST, GOOD) == []


@pytest.mark.parametrize(
    ("ref", "clear"),
    [
        ("env:MN_EXAMPLE_KEY", "too short"),
        ("env:MN_EXAMPLE_KEY", "seventeen letters"),
        ("env:MN_EXAMPLE_KEY", "0x" + "00" * 15),
        ("env:MN_EXAMPLE_KEY", "0x" + "00" * 17),
        ("env:MN_EXAMPLE_KEY", "schlüssel-länge!"),
        ("file:keys/mn7", "0" * 31),
        ("env:FA_KEY", ""),
        ("env:HA_PAIR_KEY", "0x0"),
        ("env:HACC_HSRP_KEY", "h" * 65),
        ("env:HACC_HSRP_KEY", "two words"),
        ("env:HACC_HSRP_KEY", "why?"),
        ("env:OSPF_KEY", "o" * 17),
        ("env:SNMP_AUTH", "a" * 7),
        ("env:SNMP_PRIV", 'say "hello"'),
    ],
)
def test_a_key_that_a_router_would_not_take_is_refused(ref: str, clear: str) -> None:
    (problem,) = prove_keys(WEST, {**GOOD, ref: clear})
    assert problem.place is not None
    assert problem.message.startswith(f"{ref} is not fit to be ")
    assert not clear or clear not in str(problem)


def test_every_key_rule_is_used_by_some_topology() -> None:
    refused = set()
    for folder in (ROOT / "tests/golden/topologies").iterdir():
        models = compile_site(load_site(folder))
        bad = dict.fromkeys(_references(models), "x" * 129)
        refused |= {p.message.partition(" fit to be ")[2] for p in prove_keys(models, bad)}
    assert refused == {rule.use for rule in KEYS.values()}


def _references(models: Models) -> Iterator[str]:
    for found in set(re.findall(r"SecretRef\(ref='([^']+)'\)", repr(models))):
        yield str(found)
