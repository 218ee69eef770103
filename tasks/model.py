"""What one router is in its cluster: the value between `compile` and everything after it.

A `DeviceModel` is complete: a template does no arithmetic and asks no other router's model, and
`verify` asserts it against the live router. Every part carries the place in the intent (or the
inventory) that it comes from; `render` turns those into the origin of each line.

Times are in the unit that the name says; addresses are `ipaddress` values; keys are references.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hacc_agent.api.config import Scope
from hacc_agent.config import AgentConfig
from hacc_agent.config import Algorithm as Algorithm
from hacc_agent.config import Replay as Replay

from .errors import NO_FIELDS, Fields, Place
from .rendered import Platform
from .secrets import SecretRef


class Role(enum.StrEnum):
    """What a router does in its cluster: the agent's roles (`hacc_agent.config.Role`), and one in
    which none runs."""

    CONTROLLER = "controller"
    HOME_AGENT = "home-agent"
    BACKUP = "backup"
    GATEWAY = "gateway"  # a standby group of Foreign Agents' routers


class RedundancyProtocol(enum.StrEnum):
    HSRP = "hsrp"  # RFC 2281 (version 1), Cisco version 2
    VRRP = "vrrp"  # RFC 3768 (version 2), RFC 5798 (version 3)


class PeerKind(enum.StrEnum):
    """Who holds the other end of a mobility security association."""

    MOBILE_NODE = "mobile-node"  # by home address
    REALM = "realm"  # every mobile node of an NAI realm (RFC 2794)
    FOREIGN_AGENT = "foreign-agent"
    HOME_AGENT = "home-agent"  # the other half of an IOS pair


@dataclass(frozen=True, slots=True)
class LanPort:
    """A router's interface on one of the cluster's shared layer-2 segments."""

    name: str  # canonical: "lan", "GigabitEthernet0/1"
    lan: str
    address: IPv4Interface
    place: Place


TRACKS = range(491, 501)  # numbers of tracked objects that are ours: the end of what IOS 12 takes


@dataclass(frozen=True, slots=True)
class Track:
    """A tracked interface: when its line protocol falls, the priority sinks by `decrement`."""

    number: int  # of the block that is ours, unique on the router
    interface: str
    decrement: int  # 1-254
    place: Place


@dataclass(frozen=True, slots=True)
class GroupAuthentication:
    method: str  # "md5" | "text"
    key: SecretRef
    place: Place


@dataclass(frozen=True, slots=True)
class StandbyGroup:
    """One router's part in a group that owns a virtual address (HSRP group, VRRP instance)."""

    name: str  # the redundancy name: "west-core", unique in the site
    protocol: RedundancyProtocol
    version: int
    group: int  # HSRP v1 0-255, v2 0-4095; VRRP 1-255
    port: LanPort
    address: IPv4Address  # the virtual address on the LAN
    priority: int  # 1-254, higher is preferred
    preempt_delay_s: int
    hello_ms: int
    hold_ms: int
    authentication: GroupAuthentication | None
    tracks: tuple[Track, ...]
    peers: tuple[str, ...]  # the other hosts of the group, by priority
    # Further addresses that whoever is active owns: the VHA /32, in one group of the controllers
    # (the other groups of a router become active and standby together with that one).
    follows: tuple[IPv4Interface, ...]
    announces: tuple[IPv4Network, ...]  # prefixes that whoever is active announces
    place: Place
    fields: Fields = NO_FIELDS


@dataclass(frozen=True, slots=True)
class VirtualNetwork:
    """A home network without a link of its own (RFC 5944, `ip mobile virtual-network`)."""

    prefix: IPv4Network
    place: Place


@dataclass(frozen=True, slots=True)
class PhysicalNetwork:
    """A home network that is one of the LANs: the Home Agent answers ARP there for its nodes."""

    prefix: IPv4Network
    port: LanPort
    place: Place


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a realm's pool out of which this member alone assigns home addresses."""

    prefixes: tuple[IPv4Network, ...]  # aligned, sorted, disjoint
    ranges: tuple[tuple[IPv4Address, IPv4Address], ...]  # assignable, inclusive
    place: Place


@dataclass(frozen=True, slots=True)
class SecurityAssociation:
    """A mobility security association (RFC 5944 section 1.6)."""

    spi: int  # 256..2**32-1 (0-255 are reserved, RFC 5944 section 3.5.1)
    algorithm: Algorithm
    key: SecretRef
    replay: Replay
    tolerance_s: int
    place: Place


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who registers, and how that is known to be true."""

    security: SecurityAssociation | None  # None: the AAA server knows it, and we do not
    aaa: SecretRef | None  # its secret with the AAA server, which then holds `security` too
    lifetime_s: int
    mobile_networks: tuple[IPv4Network, ...]  # behind mobile routers (RFC 5177)
    place: Place
    fields: Fields

    @property
    def told(self) -> SecurityAssociation | None:
        """The association, where routers hold it and not the AAA server."""
        return self.security if self.aaa is None else None


@dataclass(frozen=True, slots=True)
class Realm(Subscriber):
    """Mobile nodes known by NAI (RFC 2794) that get their home address from a pool."""

    realm: str  # "@example.net"
    pool_name: str  # "west-example-net": the name of the local pool on the router
    pool: IPv4Network  # the whole pool of the cluster
    network: IPv4Network  # the home network that it lies in
    slice: Slice | None  # this router's part; None on a backup, which has none until a failover


@dataclass(frozen=True, slots=True)
class MobileNode(Subscriber):
    """A mobile node with a home address of its own."""

    address: IPv4Address
    network: IPv4Network


@dataclass(frozen=True, slots=True)
class Peer:
    """A security association with another agent, by its address."""

    kind: PeerKind
    address: IPv4Address
    security: SecurityAssociation
    aaa: SecretRef | None  # its secret with the AAA server, of a Foreign Agent that asks there
    place: Place


@dataclass(frozen=True, slots=True)
class Ospf:
    process: int
    area: str  # "0" or dotted
    router_id: IPv4Address
    key: SecretRef | None  # message-digest key 1
    hello_s: int
    dead_s: int
    place: Place
    fields: Fields = NO_FIELDS


@dataclass(frozen=True, slots=True)
class Snmp:
    version: int  # 2 (v2c) or 3 (authPriv: SHA, AES-128)
    community: SecretRef | None
    user: str | None
    auth: SecretRef | None
    priv: SecretRef | None
    managers: tuple[IPv4Address, ...]  # receivers of traps
    place: Place
    fields: Fields = NO_FIELDS


@dataclass(frozen=True, slots=True)
class Radius:
    """The AAA server of mobile nodes whose keys no router is told."""

    server: IPv4Address
    secret: SecretRef
    port: int
    timeout_ms: int
    tries: int
    place: Place
    fields: Fields = NO_FIELDS


@dataclass(frozen=True, slots=True)
class Link:
    """TLS between the cluster's Linux routers, with certificates of their own."""

    port: int
    authority: SecretRef  # PEM, all three
    certificate: SecretRef
    key: SecretRef
    place: Place
    fields: Fields = NO_FIELDS


@dataclass(frozen=True, slots=True)
class ApiToken:
    """Who may call a controller's API."""

    name: str
    token: SecretRef
    scope: Scope
    place: Place


@dataclass(frozen=True, slots=True)
class Api:
    """What a controller tells over HTTPS, and to whom."""

    port: int
    certificate: str  # files on the router
    key: str
    tokens: tuple[ApiToken, ...]
    place: Place
    fields: Fields = NO_FIELDS


@dataclass(frozen=True, slots=True)
class HomeAgentService:
    """What this router serves as a Home Agent; controllers and gateways serve nothing."""

    member: str  # the member's name: the host, or the pair
    lifetime_s: int  # the longest lifetime that is granted
    replay: Replay
    tolerance_s: int
    virtual_networks: tuple[VirtualNetwork, ...]
    physical_networks: tuple[PhysicalNetwork, ...]
    realms: tuple[Realm, ...]
    nodes: tuple[MobileNode, ...]
    foreign_agents: tuple[Peer, ...]
    pair_peers: tuple[Peer, ...]  # the other half of an IOS pair, once for each LAN
    announces: tuple[IPv4Network, ...]  # prefixes that this member announces: its slices
    reply_gateway: IPv4Address | None  # stock IOS answers through the controllers (hole H1)
    weight: int  # of the member, when bindings are placed
    max_bindings: int
    place: Place
    fields: Fields = NO_FIELDS

    @property
    def routed(self) -> tuple[IPv4Network, ...]:
        """In which its daemon puts routes into the kernel, for the routing daemon to announce."""
        homes = tuple(network.prefix for network in self.virtual_networks)
        mobile = {
            prefix
            for subscriber in (*self.realms, *self.nodes)
            for prefix in subscriber.mobile_networks
            if not any(prefix.subnet_of(home) for home in homes)
        }
        return (*homes, *sorted(mobile))


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """One router of one cluster, complete."""

    host: str
    platform: Platform
    cluster: str
    role: Role
    management: str  # where SSH and SNMP answer: an address, or a name that resolves
    router_id: IPv4Address
    ports: tuple[LanPort, ...]
    known_interfaces: tuple[str, ...]  # every interface that the inventory names
    lan_interfaces: tuple[str, ...]  # those of them that it puts on a LAN, of any cluster
    home_agent_address: IPv4Address  # the virtual Home Agent address
    holds_home_agent_address: bool  # on its loopback for good (members), not by its active role
    groups: tuple[StandbyGroup, ...]
    service: HomeAgentService | None
    ospf: Ospf
    snmp: Snmp
    radius: Radius | None
    link: Link | None  # of Linux routers
    api: Api | None  # of controllers
    discovery: bool  # CDP
    binding_sync_s: int  # what a returning router needs before it may preempt
    agent: AgentConfig | None  # Linux routers run hacc-agent, but for gateways
    # What each table of agent.toml comes from, in the order of its entries.
    agent_places: tuple[tuple[str, tuple[Place, ...]], ...]
    router_id_place: Place
    place: Place
    fields: Fields = NO_FIELDS


@dataclass(frozen=True, slots=True)
class ClusterModel:
    """A proven cluster: its routers' models, by host, in the intent's order."""

    name: str
    devices: tuple[DeviceModel, ...]
    home_agent_place: Place  # where the virtual Home Agent address is given
    place: Place

    def device(self, host: str) -> DeviceModel:
        return next(device for device in self.devices if device.host == host)
