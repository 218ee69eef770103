"""A cluster of each kind of router, and what it shows when all is well."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from tasks.compile import compile_site
from tasks.intent import load_site
from tasks.model import ClusterModel, DeviceModel, Role
from tasks.rendered import Platform
from tasks.verify import Observation
from tasks.verify.expected import announcements, probes
from tasks.verify.linux import UNITS
from tasks.verify.observation import (
    Address,
    AgentStatus,
    ArpRules,
    CdpNeighbour,
    Forwarding,
    GroupState,
    HomeAgentGlobals,
    Lans,
    OspfNeighbour,
    OspfRoute,
    Placed,
    SnmpAnswer,
    Unit,
)

VHA = IPv4Address("198.19.0.1")
HOME = IPv4Network("198.19.64.0/18")


@pytest.fixture(scope="session")
def site() -> Path:
    """Its own: two Linux controllers, two Linux Home Agents, an IOS pair, a backup."""
    return Path(__file__).parent / "site"


@pytest.fixture(scope="session")
def cluster(site: Path) -> ClusterModel:
    """The cluster, by the real compiler."""
    (cluster,) = compile_site(load_site(site))
    return cluster


def _agent(device: DeviceModel, cluster: ClusterModel) -> AgentStatus:
    """700 bindings on each member, and a backup that has none."""
    held = {
        other.service.member: 700 if other.role is Role.HOME_AGENT else 0
        for other in cluster.devices
        if other.service
    }
    own = device.service
    return AgentStatus(
        name=device.host,
        role=device.role,
        cluster=device.cluster,
        bindings=held[own.member] if own else sum(held.values()),
        pending=3,
        members=() if own else tuple(held.items()),
        trouble="",
        lans=Lans(4, (), ()),
        stock=() if own else (Placed("ios1", "CDP", ""), Placed("ios2", "LLDP", "")),
    )


def _linux(device: DeviceModel, cluster: ClusterModel) -> Observation:
    active = device.host == "hacc1"
    addresses = [
        Address("lo", IPv4Address("127.0.0.1"), 8, True),
        Address("lo", device.router_id, 32, True),
        Address("mgmt", IPv4Address(device.management), 24, True),
        Address("lan", device.ports[0].address.ip, 24, True),
    ]
    if device.holds_home_agent_address:
        addresses.append(Address("lo", VHA, 32, True))
    if active:
        addresses.append(Address("lan", IPv4Address("198.18.1.254"), 24, True))
        addresses.append(Address("lo", VHA, 32, True))
    asked = probes(cluster)
    routes, ways = [], []
    for announcement in announcements(cluster):
        through = "hacc1" if announcement.group else announcement.hosts[0]
        gateway = cluster.device(through).ports[0].address.ip
        if device.host not in announcement.hosts or (announcement.group and not active):
            routes.append(OspfRoute(announcement.prefix, (gateway,)))
            ways.append(Forwarding(asked[announcement.prefix], "unicast", gateway, "lan"))
    others = [other for other in cluster.devices if other is not device]
    return Observation(
        device.host,
        Platform.LINUX,
        addresses=tuple(addresses),
        arp=(ArpRules("lan", 1, 2), ArpRules("lo", 1, 2)),
        forwards=True,
        forwarding=tuple(ways),
        ospf_neighbours=tuple(
            OspfNeighbour(other.router_id, "lan", other.ports[0].address.ip, "Full", "DROther")
            for other in others
        ),
        ospf_routes=tuple(routes),
        agent=_agent(device, cluster),
        units=tuple(Unit(name, "active", 1000) for name in UNITS),
        snmp=SnmpAnswer(device.host, 1000.0),
    )


def _ios(device: DeviceModel, cluster: ClusterModel) -> Observation:
    active = device.host == "ios1"
    group = device.groups[0]
    return Observation(
        device.host,
        Platform.IOS,
        addresses=(
            Address("GigabitEthernet0/1", device.ports[0].address.ip, None, True),
            Address("Loopback0", device.router_id, None, True),
            Address("Loopback434", VHA, None, True),
        ),
        groups=(
            GroupState(
                "GigabitEthernet0/1",
                20,
                "Active" if active else "Standby",
                group.address,
                "local" if active else "198.18.1.31",
                "198.18.1.32" if active else "local",
                group.priority,
                group.name,
                1000,
            ),
        ),
        ospf_neighbours=tuple(
            OspfNeighbour(
                other.router_id, "GigabitEthernet0/1", other.ports[0].address.ip, "Full", "-"
            )
            for other in cluster.devices
            if other is not device
        ),
        home_agent=HomeAgentGlobals(True, VHA, 1800, 7, (HOME,), (group.name,)),
        neighbours=(
            CdpNeighbour(
                "ios2" if active else "ios1", "GigabitEthernet0/1", "GigabitEthernet0/1", "sim"
            ),
        ),
        snmp=SnmpAnswer(f"{device.host}.example.net", 1000.0),
    )


@pytest.fixture(scope="session")
def healthy(cluster: ClusterModel) -> dict[str, Observation]:
    """What every router shows when the cluster is as the intent wants it."""
    return {
        device.host: (_ios if device.platform is Platform.IOS else _linux)(device, cluster)
        for device in cluster.devices
    }


Broken = Callable[..., dict[str, Observation]]


@pytest.fixture(scope="session")
def broken(healthy: dict[str, Observation]) -> Broken:
    """The healthy cluster with some fields of one router's observation replaced."""

    def replace(host: str, **fields: object) -> dict[str, Observation]:
        return healthy | {host: dataclasses.replace(healthy[host], **fields)}  # type: ignore[arg-type]  # fields by name

    return replace
