"""From a `Site` to proven models: every decision that the intent leaves open is made here.

Pure and deterministic: the same intent gives the same models, whatever the order of its mappings.
The decisions, in one place:

- A controller's priority comes from its position: 200, 190, ... The same in an IOS pair.
- The VHA follows one standby group of the controllers, that of their first LAN (several owners of
  one address are what redundancy is there to prevent); the other groups move with it.
- Members and backups hold the VHA on a loopback for good, and announce nothing but their slices.
- Pools are cut by weight (`slices`). A pair is one member; a backup has no slice.
- Stock IOS answers a Foreign Agent directly from the VHA (hole H1), so its default route is the
  controllers' group address on a LAN that they share.
- Static home addresses are known to every member: which one serves is the controllers' choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from .agent import with_agents
from .errors import HaccError, Place, Problem
from .intent import Site
from .inventory import HostFacts, Inventory
from .model import (
    ClusterModel,
    DeviceModel,
    GroupAuthentication,
    HomeAgentService,
    LanPort,
    MobileNode,
    Ospf,
    Peer,
    PeerKind,
    PhysicalNetwork,
    Realm,
    RedundancyProtocol,
    Role,
    SecurityAssociation,
    Slice,
    Snmp,
    StandbyGroup,
    Track,
    VirtualNetwork,
)
from .platforms.ios_names import canonical
from .proofs import prove
from .rendered import Platform
from .schema import (
    NOWHERE,
    Backup,
    ClusterIntent,
    HostMember,
    PairMember,
    RealmNodes,
    Redundancy,
    Router,
    Security,
    SingleNode,
)
from .slices import assignable, cut

FIRST_PRIORITY = 200
PRIORITY_STEP = 10  # smaller than the default decrement of a tracked interface: a fall reorders
PREEMPT_MARGIN_S = 5  # beyond the binding sync, where the intent doesn't say
OSPF_DEAD = 4  # hellos, RFC 2328 appendix C.3
HELLO_MS = {RedundancyProtocol.HSRP: 3000, RedundancyProtocol.VRRP: 1000}
HOLD_MS = 10_000  # HSRP's, when the intent gives no timers at all (RFC 2281 section 5.1)
VERSION = {RedundancyProtocol.HSRP: 2, RedundancyProtocol.VRRP: 3}


class CompileError(HaccError):
    """The intent cannot be compiled, or what it compiles to is not provably right."""


def compile_site(site: Site) -> tuple[ClusterModel, ...]:
    """Every cluster's models, proven. Raises `CompileError` with every problem of every cluster."""
    models, problems = build(site)
    problems += prove(models)
    if problems:
        raise CompileError(problems)
    return models


def build(site: Site) -> tuple[tuple[ClusterModel, ...], list[Problem]]:
    """The models of the clusters that can be built, not proven yet, and why the others cannot."""
    models, problems = [], []
    for cluster in site.clusters:
        compiler = _Cluster(cluster, site.inventory)
        model = compiler.model()
        problems += compiler.problems
        if not compiler.problems:
            models.append(model)
    return tuple(models), problems


class _Cluster:
    """One cluster on its way; refusals are collected in `problems`."""

    def __init__(self, intent: ClusterIntent, inventory: Inventory) -> None:
        self.intent = intent
        self.inventory = inventory
        self.problems: list[Problem] = []
        self.home = intent.home_agent
        self.lans = {name: lan.network for name, lan in intent.lans.items()}
        self.virtual = tuple(
            VirtualNetwork(network.prefix, network.at("prefix"))
            for network in self.home.networks
            if network.prefix is not None
        )
        self.networks = tuple(
            network.prefix if network.prefix is not None else self.lans[network.lan or ""]
            for network in self.home.networks
        )
        self.vha = IPv4Interface(f"{self.home.address}/32")
        self.slices = {
            nodes.realm: cut(
                nodes.pool,
                [(_member(member), member.weight) for member in intent.home_agents],
                {_member(member): member.slice for member in intent.home_agents},
            )
            for nodes in intent.mobile_nodes
            if isinstance(nodes, RealmNodes)
        }

    def refuse(
        self, place: Place, subject: str, message: str, allowed: str = "", hint: str = ""
    ) -> None:
        self.problems.append(Problem(place, subject, message, allowed=allowed, hint=hint))

    def model(self) -> ClusterModel:
        devices = tuple(self.devices())
        if not self.problems:
            devices = with_agents(devices, self.intent, self.slices)
        return ClusterModel(
            self.intent.cluster, devices, self.home.at("address"), self.intent.at("cluster")
        )

    def devices(self) -> Iterator[DeviceModel]:
        intent = self.intent
        self.redundancy(intent.controllers.redundancy, "controllers.redundancy")
        for router in intent.controllers.members:
            facts = self.inventory[router.host]
            if facts.platform is not Platform.LINUX:
                self.refuse(
                    router.at("host"),
                    router.host,
                    f"a controller runs hacc-agent, and this router's platform is {facts.driver}",
                    "a Linux router",
                    "IOS routers serve as home_agents, alone or as a pair",
                )
            groups = self.groups(
                facts, intent.controllers.members, intent.controllers.redundancy, None
            )
            yield self.device(facts, Role.CONTROLLER, router.at("host"), groups, None)
        for index, member in enumerate(intent.home_agents):
            if isinstance(member, PairMember):
                yield from self.pair(member, f"home_agents[{index}]")
            else:
                yield self.lone(member, Role.HOME_AGENT)
            self.pins(member, f"home_agents[{index}]")
        for backup in intent.backups:
            yield self.lone(backup, Role.BACKUP)

    def pins(self, member: HostMember | PairMember, subject: str) -> None:
        pools = [nodes.pool for nodes in self.intent.mobile_nodes if isinstance(nodes, RealmNodes)]
        for pin in member.slice:
            if not any(pin.subnet_of(pool) for pool in pools):
                self.refuse(
                    member.at("slice"),
                    f"{subject}.slice",
                    f"{pin} lies in no pool",
                    ", ".join(map(str, pools)) or "no slice: there are no pools",
                )

    def lone(self, member: HostMember | Backup, role: Role) -> DeviceModel:
        facts = self.inventory[member.host]
        ports = self.ports(facts, member.at("host"))
        service = self.service(facts, member, ports, ())
        return self.device(facts, role, member.at("host"), (), service)

    def pair(self, member: PairMember, subject: str) -> Iterator[DeviceModel]:
        self.redundancy(member.redundancy, f"{subject}.redundancy")
        for router in member.hosts:
            facts = self.inventory[router.host]
            other = next((r for r in member.hosts if r.host != router.host), router)
            if facts.platform is not Platform.IOS:
                self.refuse(
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
                    self.security(member.security),
                    member.security.place,
                )
                for port in self.ports(self.inventory[other.host], other.at("host"))
            )
            ports = self.ports(facts, router.at("host"))
            service = self.service(facts, member, ports, peers)
            groups = self.groups(facts, member.hosts, member.redundancy, member.pair)
            yield self.device(facts, Role.HOME_AGENT, router.at("host"), groups, service)

    # ------------------------------------------------------------------ parts of a device

    def device(
        self,
        facts: HostFacts,
        role: Role,
        place: Place,
        groups: tuple[StandbyGroup, ...],
        service: HomeAgentService | None,
    ) -> DeviceModel:
        if facts.router_id is None:
            self.refuse(
                facts.place,
                f"{facts.name}.data.router_id",
                "missing",
                "an address of its own, that no other router has: it goes on the loopback",
            )
        router_id = facts.router_id or IPv4Address(0)
        ospf, snmp = self.intent.routing.ospf, self.intent.snmp
        return DeviceModel(
            host=facts.name,
            platform=facts.platform,
            cluster=self.intent.cluster,
            role=role,
            management=facts.hostname,
            router_id=router_id,
            ports=self.ports(facts, place),
            known_interfaces=tuple(interface.name for interface in facts.interfaces),
            home_agent_address=self.home.address,
            holds_home_agent_address=role is not Role.CONTROLLER,
            groups=groups,
            service=service,
            ospf=Ospf(
                process=ospf.process,
                area=ospf.area,
                router_id=router_id,
                key=ospf.authentication.md5 if ospf.authentication else None,
                hello_s=ospf.hello_s,
                dead_s=ospf.dead_s or OSPF_DEAD * ospf.hello_s,
                place=self.intent.place if ospf.place == NOWHERE else ospf.place,
            ),
            snmp=Snmp(
                version=snmp.version,
                community=snmp.community,
                user=snmp.user,
                auth=snmp.auth,
                priv=snmp.priv,
                managers=snmp.traps,
                place=self.intent.at("snmp"),
            ),
            discovery=self.intent.discovery.cdp,
            binding_sync_s=self.intent.binding_sync_s,
            agent=None,
            router_id_place=facts.router_id_place,
            place=place,
        )

    def ports(self, facts: HostFacts, place: Place) -> tuple[LanPort, ...]:
        """Its interfaces on the cluster's LANs, in the order of the intent's LANs."""
        found = []
        for lan in self.lans:
            interfaces = facts.on(lan)
            for interface in interfaces:
                if interface.address is None:  # told when the inventory was read
                    continue
                found.append(LanPort(interface.name, lan, interface.address, interface.place))
                if interface.address.network != self.lans[lan]:
                    self.once(
                        interface.place,
                        f"{facts.name}.data.interfaces.{interface.name}",
                        f"{interface.address} is not in the LAN {lan!r}, {self.lans[lan]}",
                        f"an address with the prefix length {self.lans[lan].prefixlen}",
                        self.intent.lans[lan].at("network"),
                    )
            if len(interfaces) > 1:
                self.once(
                    interfaces[1].place,
                    f"{facts.name}.data.interfaces.{interfaces[1].name}",
                    f"a second interface on the LAN {lan!r}",
                    "one for each LAN",
                )
        if not found:
            named = [interface.lan for interface in facts.interfaces if interface.lan is not None]
            self.once(
                place,
                facts.name,
                f"no interface on a LAN of the cluster {self.intent.cluster!r}"
                + (f", only on {', '.join(named)}" if named else ""),
                f"an interface in hosts.yaml with lan: {' or '.join(self.lans)}",
                facts.place,
            )
        return tuple(found)

    def once(self, place: Place, subject: str, message: str, allowed: str, *also: Place) -> None:
        """A refusal that is found again for every group and service, and told once."""
        problem = Problem(place, subject, message, allowed=allowed, also=also)
        if problem not in self.problems:
            self.problems.append(problem)

    def groups(
        self,
        facts: HostFacts,
        routers: tuple[Router, ...],
        redundancy: Redundancy,
        pair: str | None,
    ) -> tuple[StandbyGroup, ...]:
        """A router's groups. The VHA follows the first group of the controllers, if any."""
        priorities = {router.host: _priority(router, n) for n, router in enumerate(routers)}
        own = next(router for router in routers if router.host == facts.name)
        numbers: dict[str, int] = {}
        named = canonical if facts.platform is Platform.IOS else str
        tracks = tuple(
            Track(
                numbers.setdefault(named(track.interface), len(numbers) + 1),
                named(track.interface),
                track.decrement,
                track.place,
            )
            for track in own.track
        )
        ports = {port.lan: port for port in self.ports(facts, own.at("host"))}
        hello, hold = _timers(redundancy, priorities[facts.name])
        delay = own.preempt_delay_s
        if delay is None:
            delay = redundancy.preempt_delay_s
        if delay is None:
            delay = self.intent.binding_sync_s + PREEMPT_MARGIN_S
        found = []
        for index, group in enumerate(redundancy.groups):
            if group.lan not in ports:
                self.refuse(
                    group.at("lan"),
                    facts.name,
                    f"no interface on the LAN {group.lan!r} of group {group.group}",
                    "every router of a group has an interface on its LAN",
                )
                continue
            carries = pair is None and index == 0
            found.append(
                StandbyGroup(
                    name=f"{pair or self.intent.cluster}-{group.lan}",
                    protocol=redundancy.protocol,
                    version=redundancy.version or VERSION[redundancy.protocol],
                    group=group.group,
                    port=ports[group.lan],
                    address=group.address,
                    priority=priorities[facts.name],
                    preempt_delay_s=delay,
                    hello_ms=hello,
                    hold_ms=hold,
                    authentication=_authentication(redundancy),
                    tracks=tracks,
                    peers=tuple(
                        sorted(
                            priorities.keys() - {facts.name},
                            key=lambda host: (-priorities[host], host),
                        )
                    ),
                    follows=(self.vha,) if carries else (),
                    announces=(self.vha.network, *(v.prefix for v in self.virtual))
                    if carries
                    else (),
                    place=group.place,
                )
            )
        return tuple(found)

    def redundancy(self, redundancy: Redundancy, subject: str) -> None:
        """What this version cannot do is refused with the reason, not rendered wrongly."""
        controllers = subject.startswith("controllers")
        protocol, place = redundancy.protocol, redundancy.at("protocol")
        if controllers and protocol is RedundancyProtocol.HSRP:
            self.refuse(
                place,
                f"{subject}.protocol",
                "this version has no HSRP speaker for Linux",
                "vrrp",
                "use protocol: vrrp",
            )
        if not controllers and protocol is RedundancyProtocol.VRRP:
            self.refuse(
                place,
                f"{subject}.protocol",
                "ip mobile home-agent redundancy names an HSRP group",
                "hsrp",
                "use protocol: hsrp",
            )
        if protocol is RedundancyProtocol.VRRP and redundancy.hold_ms is not None:
            self.refuse(
                redundancy.at("hold_ms"),
                f"{subject}.hold_ms",
                "VRRP has no hold time: a backup waits 3 x hello_ms and a skew (RFC 5798 "
                "section 6.1)",
                hint="remove it; hello_ms decides",
            )

    # ------------------------------------------------------------------ service

    def service(
        self,
        facts: HostFacts,
        member: HostMember | PairMember | Backup,
        ports: tuple[LanPort, ...],
        pair_peers: tuple[Peer, ...],
    ) -> HomeAgentService:
        name = _member(member)
        realms = tuple(self.realms(member))
        by_lan = {port.lan: port for port in ports}
        physical = tuple(
            PhysicalNetwork(self.lans[network.lan], by_lan[network.lan], network.at("lan"))
            for network in self.home.networks
            if network.lan is not None and network.lan in by_lan
        )
        virtual = {network.prefix for network in self.virtual}
        return HomeAgentService(
            member=name,
            lifetime_s=self.home.lifetime,
            replay=self.home.replay.method,
            tolerance_s=self.home.replay.tolerance,
            virtual_networks=self.virtual,
            physical_networks=physical,
            realms=realms,
            nodes=tuple(self.nodes()),
            foreign_agents=tuple(
                Peer(
                    PeerKind.FOREIGN_AGENT,
                    peer.address,
                    self.security(peer.security),
                    peer.place,
                )
                for peer in self.intent.foreign_agents
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
            reply_gateway=self.gateway(by_lan) if facts.platform is Platform.IOS else None,
            weight=member.weight,
            max_bindings=member.max_bindings,
            place=member.place,
        )

    def gateway(self, ports: dict[str, LanPort]) -> IPv4Address | None:
        """The controllers' group address on the first LAN that this router shares with them."""
        groups = self.intent.controllers.redundancy.groups
        return next((group.address for group in groups if group.lan in ports), None)

    def realms(self, member: HostMember | PairMember | Backup) -> Iterator[Realm]:
        for nodes in self.intent.mobile_nodes:
            if not isinstance(nodes, RealmNodes):
                continue
            network = self.network_of(nodes.pool)
            if network is None:
                self.nowhere(nodes, "pool", nodes.pool)
                continue
            own = None
            if not isinstance(member, Backup):
                prefixes = self.slices[nodes.realm][_member(member)]
                pinned = any(pin.subnet_of(nodes.pool) for pin in member.slice)
                own = Slice(
                    prefixes,
                    assignable(prefixes, self.reserved(network)),
                    member.at("slice") if pinned else nodes.at("pool"),
                )
            yield Realm(
                realm=nodes.realm,
                pool_name=f"{self.intent.cluster}-{_slug(nodes.realm)}",
                pool=nodes.pool,
                network=network,
                slice=own,
                security=self.security(nodes.security),
                lifetime_s=nodes.lifetime or self.home.lifetime,
                place=nodes.place,
            )

    def nodes(self) -> Iterator[MobileNode]:
        for node in self.intent.mobile_nodes:
            if not isinstance(node, SingleNode):
                continue
            network = self.network_of(IPv4Network(node.address))
            if network is None:
                self.nowhere(node, "address", node.address)
                continue
            yield MobileNode(
                address=node.address,
                network=network,
                security=self.security(node.security),
                lifetime_s=node.lifetime or self.home.lifetime,
                place=node.place,
            )

    def network_of(self, prefix: IPv4Network) -> IPv4Network | None:
        return next((network for network in self.networks if prefix.subnet_of(network)), None)

    def nowhere(self, nodes: RealmNodes | SingleNode, key: str, found: object) -> None:
        problem = Problem(
            nodes.at(key),
            nodes.realm if isinstance(nodes, RealmNodes) else str(nodes.address),
            f"{key} {found} lies in no home network",
            allowed=", ".join(map(str, self.networks)),
            hint="add its network to home_agent.networks",
            also=(self.home.at("networks"),),
        )
        if problem not in self.problems:
            self.problems.append(problem)

    def reserved(self, network: IPv4Network) -> Iterator[IPv4Address]:
        """Addresses of a home network that no mobile node may be given."""
        if network.prefixlen < 31:
            yield from (network.network_address, network.broadcast_address)
        yield self.home.address
        yield from (group.address for group in self.intent.controllers.redundancy.groups)
        for member in self.intent.home_agents:
            if isinstance(member, PairMember):
                yield from (group.address for group in member.redundancy.groups)
        if network in self.lans.values():  # a physical home network has routers on it
            for host in self.inventory.hosts.values():
                for interface in host.interfaces:
                    if interface.address is not None and interface.address.ip in network:
                        yield interface.address.ip

    def security(self, security: Security) -> SecurityAssociation:
        replay = security.replay or self.home.replay
        return SecurityAssociation(
            spi=security.spi,
            algorithm=security.algorithm,
            key=security.key,
            replay=replay.method,
            tolerance_s=replay.tolerance,
            place=security.place,
        )


def _member(member: HostMember | PairMember | Backup) -> str:
    return member.pair if isinstance(member, PairMember) else member.host


def _slug(realm: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", realm.lower()).strip("-")


def _priority(router: Router, position: int) -> int:
    return router.priority or max(1, FIRST_PRIORITY - PRIORITY_STEP * position)


def _authentication(redundancy: Redundancy) -> GroupAuthentication | None:
    found = redundancy.authentication
    if found is None:
        return None
    if found.md5 is not None:
        return GroupAuthentication("md5", found.md5, found.at("md5"))
    assert found.text is not None  # the schema wants one of the two
    return GroupAuthentication("text", found.text, found.at("text"))


def _timers(redundancy: Redundancy, priority: int) -> tuple[int, int]:
    """Hello and hold in milliseconds.

    VRRP's hold is what a backup of this priority waits: three hellos and the skew, which is
    (256 - priority) / 256 of a hello (RFC 5798 section 6.1); in version 2, of a second.
    """
    hello = redundancy.hello_ms or HELLO_MS[redundancy.protocol]
    if redundancy.protocol is RedundancyProtocol.VRRP:
        unit = 1000 if redundancy.version == 2 else hello
        return hello, 3 * hello + (256 - priority) * unit // 256
    if redundancy.hold_ms is not None:
        return hello, redundancy.hold_ms
    return hello, HOLD_MS if redundancy.hello_ms is None else 3 * hello
