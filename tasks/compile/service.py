"""What a router serves as a Home Agent: networks, pools and their slices, nodes, associations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from ..errors import Problem
from ..inventory import HostFacts
from ..model import (
    HomeAgentService,
    LanPort,
    MobileNode,
    Peer,
    PeerKind,
    PhysicalNetwork,
    Realm,
    Slice,
)
from ..rendered import Platform
from ..schema import Backup, PairMember, RealmNodes, SingleNode
from ..slices import assignable
from .cluster import Cluster, Member, member_name


def service(
    cluster: Cluster,
    facts: HostFacts,
    member: Member,
    ports: tuple[LanPort, ...],
    pair_peers: tuple[Peer, ...],
) -> HomeAgentService:
    """What a router serves as the member, or as a half of it, with the interfaces that it has."""
    realms = tuple(_realms(cluster, member))
    by_lan = {port.lan: port for port in ports}
    physical = tuple(
        PhysicalNetwork(cluster.lans[network.lan], by_lan[network.lan], network.at("lan"))
        for network in cluster.home.networks
        if network.lan is not None and network.lan in by_lan
    )
    virtual = {network.prefix for network in cluster.virtual}
    return HomeAgentService(
        member=member_name(member),
        lifetime_s=cluster.home.lifetime,
        replay=cluster.home.replay.method,
        tolerance_s=cluster.home.replay.tolerance,
        virtual_networks=cluster.virtual,
        physical_networks=physical,
        realms=realms,
        nodes=tuple(_nodes(cluster)),
        foreign_agents=tuple(
            Peer(
                PeerKind.FOREIGN_AGENT,
                peer.address,
                cluster.security(peer.security),
                peer.aaa,
                peer.place,
            )
            for peer in cluster.intent.foreign_agents
        ),
        pair_peers=pair_peers,
        announces=tuple(
            sorted(
                prefix
                for realm in realms
                if realm.slice is not None and realm.network in virtual
                for prefix in realm.slice.prefixes
            )
        ),
        reply_gateway=_gateway(cluster, by_lan) if facts.platform is Platform.IOS else None,
        weight=member.weight,
        max_bindings=member.max_bindings,
        place=member.place,
        fields=member.fields(weight="weight", max_bindings="max_bindings")
        | cluster.home.fields(lifetime_s="lifetime", replay="replay", tolerance_s="replay"),
    )


def _gateway(cluster: Cluster, ports: dict[str, LanPort]) -> IPv4Address | None:
    """The controllers' group address on the first LAN that this router shares with them."""
    groups = cluster.intent.controllers.redundancy.groups
    return next((group.address for group in groups if group.lan in ports), None)


def _realms(cluster: Cluster, member: Member) -> Iterator[Realm]:
    for nodes in cluster.intent.mobile_nodes:
        if not isinstance(nodes, RealmNodes):
            continue
        network = cluster.network_of(nodes.pool)
        if network is None:
            _nowhere(cluster, nodes, "pool", nodes.pool)
            continue
        own = None
        if not isinstance(member, Backup):
            prefixes = cluster.slices[nodes.realm][member_name(member)]
            pinned = any(pin.subnet_of(nodes.pool) for pin in member.slice)
            own = Slice(
                prefixes,
                assignable(prefixes, _reserved(cluster, network)),
                member.at("slice") if pinned else nodes.at("pool"),
            )
        yield Realm(
            realm=nodes.realm,
            pool_name=f"{cluster.intent.cluster}-{_slug(nodes.realm)}",
            pool=nodes.pool,
            network=network,
            slice=own,
            security=cluster.security(nodes.security) if nodes.security else None,
            aaa=nodes.aaa,
            lifetime_s=nodes.lifetime or cluster.home.lifetime,
            mobile_networks=nodes.mobile_networks,
            place=nodes.place,
            fields=nodes.fields(
                pool="pool", lifetime_s="lifetime", mobile_networks="mobile_networks"
            )
            | cluster.home.fields(lifetime_s="lifetime"),
        )


def _nodes(cluster: Cluster) -> Iterator[MobileNode]:
    for node in cluster.intent.mobile_nodes:
        if not isinstance(node, SingleNode):
            continue
        network = cluster.network_of(IPv4Network(node.address))
        if network is None:
            _nowhere(cluster, node, "address", node.address)
            continue
        yield MobileNode(
            address=node.address,
            network=network,
            security=cluster.security(node.security) if node.security else None,
            aaa=node.aaa,
            lifetime_s=node.lifetime or cluster.home.lifetime,
            mobile_networks=node.mobile_networks,
            place=node.place,
            fields=node.fields(lifetime_s="lifetime", mobile_networks="mobile_networks")
            | cluster.home.fields(lifetime_s="lifetime"),
        )


def _nowhere(cluster: Cluster, nodes: RealmNodes | SingleNode, key: str, found: object) -> None:
    problem = Problem(
        nodes.at(key),
        nodes.realm if isinstance(nodes, RealmNodes) else str(nodes.address),
        f"{key} {found} lies in no home network",
        allowed=", ".join(map(str, cluster.networks)),
        hint="add its network to home_agent.networks",
        also=(cluster.home.at("networks"),),
    )
    if problem not in cluster.problems:
        cluster.problems.append(problem)


def _reserved(cluster: Cluster, network: IPv4Network) -> Iterator[IPv4Address]:
    """Addresses of a home network that no mobile node may be given."""
    if network.prefixlen < 31:
        yield from (network.network_address, network.broadcast_address)
    yield cluster.home.address
    yield from (group.address for group in cluster.intent.controllers.redundancy.groups)
    for member in cluster.intent.home_agents:
        if isinstance(member, PairMember):
            yield from (group.address for group in member.redundancy.groups)
    if network in cluster.lans.values():  # a physical home network has routers on it
        for host in cluster.inventory.hosts.values():
            for interface in host.interfaces:
                if interface.address is not None and interface.address.ip in network:
                    yield interface.address.ip


def _slug(realm: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", realm.lower()).strip("-")
