"""Every router of a cluster as a model: controllers, members, pairs and backups."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from ..errors import Fields, Place
from ..inventory import HostFacts
from ..model import (
    Api,
    ApiToken,
    DeviceModel,
    HomeAgentService,
    Link,
    Ospf,
    Peer,
    PeerKind,
    Radius,
    Role,
    Snmp,
    StandbyGroup,
)
from ..rendered import Platform
from ..schema import NOWHERE, Backup, Gateway, HostMember, PairMember, RealmNodes
from ..schema import Api as ApiIntent
from .cluster import Cluster
from .groups import check, standby_groups
from .service import service

OSPF_DEAD = 4  # hellos, RFC 2328 appendix C.3


def devices(cluster: Cluster) -> Iterator[DeviceModel]:
    """The models in the intent's order, without their agents. Refusals go to the cluster."""
    intent = cluster.intent
    check(cluster, intent.controllers.redundancy, "controllers.redundancy")
    for router in intent.controllers.members:
        facts = cluster.inventory[router.host]
        if facts.platform is not Platform.LINUX:
            cluster.refuse(
                router.at("host"),
                router.host,
                f"a controller runs hacc-agent, and this router's platform is {facts.driver}",
                "a Linux router",
                "IOS routers serve as home_agents, alone or as a pair",
            )
        groups = standby_groups(
            cluster,
            facts,
            intent.controllers.members,
            intent.controllers.redundancy,
            None,
            intent.binding_sync_s,
        )
        yield _device(cluster, facts, Role.CONTROLLER, router.at("host"), groups, None)
    for index, member in enumerate(intent.home_agents):
        if isinstance(member, PairMember):
            yield from _pair(cluster, member, f"home_agents[{index}]")
        else:
            yield _lone(cluster, member, Role.HOME_AGENT)
        _pins(cluster, member, f"home_agents[{index}]")
    for backup in intent.backups:
        yield _lone(cluster, backup, Role.BACKUP)
    for index, gateway in enumerate(intent.gateways):
        yield from _gateway(cluster, gateway, f"gateways[{index}]")


def _pins(cluster: Cluster, member: HostMember | PairMember, subject: str) -> None:
    pools = [nodes.pool for nodes in cluster.intent.mobile_nodes if isinstance(nodes, RealmNodes)]
    for pin in member.slice:
        if not any(pin.subnet_of(pool) for pool in pools):
            cluster.refuse(
                member.at("slice"),
                f"{subject}.slice",
                f"{pin} lies in no pool",
                ", ".join(map(str, pools)) or "no slice: there are no pools",
            )


def _lone(cluster: Cluster, member: HostMember | Backup, role: Role) -> DeviceModel:
    facts = cluster.inventory[member.host]
    ports = cluster.ports(facts, member.at("host"))
    served = service(cluster, facts, member, ports, ())
    return _device(cluster, facts, role, member.at("host"), (), served)


def _pair(cluster: Cluster, member: PairMember, subject: str) -> Iterator[DeviceModel]:
    no_vrrp = "ip mobile home-agent redundancy names an HSRP group"
    check(cluster, member.redundancy, f"{subject}.redundancy", no_vrrp)
    for router in member.hosts:
        facts = cluster.inventory[router.host]
        other = next((r for r in member.hosts if r.host != router.host), router)
        if facts.platform is not Platform.IOS:
            cluster.refuse(
                router.at("host"),
                router.host,
                f"the bindings of a pair are copied by IOS, and this router's platform is "
                f"{facts.driver}",
                "two IOS routers",
                "make each Linux router a member of its own, and give the cluster backups",
            )
        peers = tuple(
            Peer(
                PeerKind.HOME_AGENT,
                port.address.ip,
                cluster.security(member.security),
                None,
                member.security.place,
            )
            for port in cluster.ports(cluster.inventory[other.host], other.at("host"))
        )
        ports = cluster.ports(facts, router.at("host"))
        served = service(cluster, facts, member, ports, peers)
        groups = standby_groups(
            cluster,
            facts,
            member.hosts,
            member.redundancy,
            member.pair,
            cluster.intent.binding_sync_s,
        )
        yield _device(cluster, facts, Role.HOME_AGENT, router.at("host"), groups, served)


def _gateway(cluster: Cluster, gateway: Gateway, subject: str) -> Iterator[DeviceModel]:
    """Routers of one group, whatever their platforms: HSRP is spoken by all of them."""
    facts = {router.host: cluster.inventory[router.host] for router in gateway.hosts}
    stock = [host for host, each in facts.items() if each.platform is Platform.IOS]
    no_vrrp = f"{', '.join(stock)}: VRRP is rendered for Linux routers alone" if stock else ""
    check(cluster, gateway.redundancy, f"{subject}.redundancy", no_vrrp)
    for router in gateway.hosts:
        groups = standby_groups(
            cluster, facts[router.host], gateway.hosts, gateway.redundancy, gateway.name, 0
        )
        place = router.at("host")
        yield _device(cluster, facts[router.host], Role.GATEWAY, place, groups, None)


def _managers(cluster: Cluster, role: Role) -> tuple[IPv4Address, ...]:
    """Who is notified: whom the intent names, and by the others the controllers.

    A controller is told at its address on the first LAN, so that what a member says comes from the
    LAN too, where the controller knows its address.
    """
    named = cluster.intent.snmp.traps
    if role is Role.CONTROLLER:
        return named
    controllers = (
        next(iter(cluster.ports(cluster.inventory[router.host], router.at("host"))), None)
        for router in cluster.intent.controllers.members
    )
    found = (port.address.ip for port in controllers if port is not None)
    return tuple(dict.fromkeys((*named, *found)))


def _device(
    cluster: Cluster,
    facts: HostFacts,
    role: Role,
    place: Place,
    groups: tuple[StandbyGroup, ...],
    served: HomeAgentService | None,
) -> DeviceModel:
    if facts.router_id is None:
        cluster.refuse(
            facts.place,
            f"{facts.name}.data.router_id",
            "missing",
            "an address of its own, that no other router has: it goes on the loopback",
        )
    router_id = facts.router_id or IPv4Address(0)
    ospf, snmp = cluster.intent.routing.ospf, cluster.intent.snmp
    radius, link = cluster.intent.radius, cluster.intent.link
    return DeviceModel(
        host=facts.name,
        platform=facts.platform,
        cluster=cluster.intent.cluster,
        role=role,
        management=facts.hostname,
        router_id=router_id,
        ports=cluster.ports(facts, place),
        known_interfaces=tuple(interface.name for interface in facts.interfaces),
        lan_interfaces=tuple(i.name for i in facts.interfaces if i.lan is not None),
        home_agent_address=cluster.home.address,
        holds_home_agent_address=served is not None,
        groups=groups,
        service=served,
        ospf=Ospf(
            process=ospf.process,
            area=ospf.area,
            router_id=router_id,
            key=ospf.authentication.md5 if ospf.authentication else None,
            hello_s=ospf.hello_s,
            dead_s=ospf.dead_s or OSPF_DEAD * ospf.hello_s,
            place=cluster.intent.place if ospf.place == NOWHERE else ospf.place,
            fields=ospf.fields(
                process="process",
                area="area",
                key="authentication",
                hello_s="hello_s",
                dead_s="dead_s",
            )
            | Fields((("router_id", facts.router_id_place),)),
        ),
        snmp=Snmp(
            version=snmp.version,
            community=snmp.community,
            user=snmp.user,
            auth=snmp.auth,
            priv=snmp.priv,
            managers=_managers(cluster, role),
            place=cluster.intent.at("snmp"),
            fields=snmp.fields(
                version="version",
                community="community",
                user="user",
                auth="auth",
                priv="priv",
                managers="traps",
            ),
        ),
        radius=Radius(
            server=radius.server,
            secret=radius.secret,
            port=radius.port,
            timeout_ms=radius.timeout_ms,
            tries=radius.tries,
            place=radius.place,
            fields=radius.fields(
                server="server",
                secret="secret",
                port="port",
                timeout_ms="timeout_ms",
                tries="tries",
            ),
        )
        if radius
        else None,
        link=Link(
            port=link.port,
            authority=link.authority,
            certificate=link.certificate(facts.name),
            key=link.key(facts.name),
            place=link.place,
            fields=link.fields(port="port"),
        )
        if link and facts.platform is Platform.LINUX
        else None,
        api=_api(cluster.intent.controllers.api) if role is Role.CONTROLLER else None,
        discovery=cluster.intent.discovery.cdp,
        binding_sync_s=0 if role is Role.GATEWAY else cluster.intent.binding_sync_s,
        agent=None,
        agent_places=(),
        router_id_place=facts.router_id_place,
        place=place,
        fields=Fields(
            (
                ("router_id", facts.router_id_place),
                ("home_agent_address", cluster.home.at("address")),
            )
        )
        | cluster.intent.fields(binding_sync_s="binding_sync_s"),
    )


def _api(intent: ApiIntent | None) -> Api | None:
    if intent is None:
        return None
    return Api(
        port=intent.port,
        certificate=intent.certificate,
        key=intent.key,
        tokens=tuple(
            ApiToken(each.name, each.token, each.scope, each.place) for each in intent.tokens
        ),
        place=intent.place,
        fields=intent.fields(port="port", certificate="certificate", key="key"),
    )
