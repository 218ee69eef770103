"""The shape of an intent file, `inventory/clusters/*.yaml`: what may stand where.

Each class is a mapping of the file and remembers where it stands (`place`, and `at` for a key).
Only what one value shows is checked here; what values show together is proven on the compiled
models (`proofs`). The same classes give the JSON Schema that editors complete from, so the
descriptions are written for the person who hovers over a key.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Tag,
    model_validator,
)

from hacc_agent import config
from hacc_agent.api.config import Scope

from . import yamlmarks
from .errors import NO_FIELDS, Fields, Place
from .model import Algorithm, RedundancyProtocol, Replay
from .secrets import SecretRef
from .values import (
    Address,
    Area,
    Between,
    Bindings,
    Factor,
    FileName,
    FolderName,
    HostName,
    InterfaceName,
    Lifetime,
    MaintenanceWindow,
    Millis,
    Name,
    Percent,
    Port,
    Prefix,
    Rate,
    RealmName,
    Secret,
    Share,
    SnmpVersion,
    Spi,
    UserName,
    Weight,
    one_of,
    refuse,
)

NOWHERE = Place("intent", 0)  # of what no file says: a default

# What the daemon does by itself where nobody says otherwise.
_ADMISSION = config.Admission()
_READINGS = config.Readings()
_TUNNELS = config.Tunnels()


class Node(BaseModel):
    """A mapping of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    _source: yamlmarks.Mapping | None = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _mark(cls, data: Any, handler: ModelWrapValidatorHandler[Node]) -> Node:
        node = handler(data)
        if isinstance(data, yamlmarks.Mapping):
            node._source = data
        return node

    @property
    def place(self) -> Place:
        return self._source.place if self._source is not None else NOWHERE

    def at(self, key: str) -> Place:
        """Where a key stands; for one left to its default, where the mapping begins."""
        return self._source.at(key) if self._source is not None else self.place

    def fields(self, **named: str) -> Fields:
        """Where those keys stand that are written: `field_of_the_model="key"`."""
        if self._source is None:
            return NO_FIELDS
        return Fields(
            tuple((field, self.at(key)) for field, key in named.items() if key in self._source)
        )


def _short(key: str, items: Any) -> BeforeValidator:
    """A list whose items may be written short: `ha1` for `{host: ha1}`.

    `items` is the type of the list as it may be written, for the exported schema.
    """

    def widen(found: object) -> object:
        if not isinstance(found, list):
            return found
        return [_wide(found, n) if isinstance(item, str) else item for n, item in enumerate(found)]

    def _wide(found: list[Any], index: int) -> yamlmarks.Mapping:
        place = found.at(index) if isinstance(found, yamlmarks.Sequence) else NOWHERE
        wide = yamlmarks.Mapping(place.file, place.line)
        wide[key] = found[index]
        return wide

    return BeforeValidator(widen, json_schema_input_type=items)


class ReplayProtection(Node):
    """Replay protection of registrations (RFC 5944 section 5.7)."""

    method: Annotated[Replay, BeforeValidator(one_of(*Replay))] = Replay.TIMESTAMP
    tolerance: Annotated[int, Between(1, 255)] = Field(
        default=7, description="Seconds that a node's clock may differ; IOS's default is 7."
    )


class HomeNetwork(Node):
    """A prefix is a virtual home network; `{lan: NAME}` makes a LAN a physical one."""

    prefix: Prefix | None = None
    lan: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> HomeNetwork:
        if (self.prefix is None) == (self.lan is None):
            raise refuse("a prefix, or {lan: NAME}")
        return self


class VirtualHomeAgent(Node):
    """The Home Agent that mobile nodes and Foreign Agents know."""

    address: Address = Field(
        description="On every router's loopback, announced by the active controller alone."
    )
    networks: Annotated[
        tuple[HomeNetwork, ...], _short("prefix", list[HomeNetwork | str]), Field(min_length=1)
    ]
    lifetime: Lifetime = Field(default=1800, description="Seconds; the longest that is granted.")
    replay: ReplayProtection = ReplayProtection()
    simultaneous_bindings: Annotated[int, Between(1, 16)] = Field(
        default=3, description="Care-of addresses that a node may have at once, on Linux."
    )


class Lan(Node):
    """A layer-2 segment that the cluster's routers share."""

    network: Prefix


class Tracking(Node):
    """While the interface's line protocol is down, the priority is lower by `decrement`."""

    interface: InterfaceName
    decrement: Annotated[int, Between(1, 253)] = 20


class Router(Node):
    """A host of a redundant group."""

    host: HostName
    priority: Annotated[int, Between(1, 254)] | None = Field(
        default=None, description="By default from the order: 200, 190, ..."
    )
    preempt_delay_s: Annotated[int, Between(0, 1000)] | None = None
    track: tuple[Tracking, ...] = ()


class Group(Node):
    """A virtual address on one LAN."""

    lan: Name
    group: Annotated[int, Between(0, 4095)] = Field(
        description="HSRP 0-255 (version 1) or 0-4095 (version 2), VRRP 1-255."
    )
    address: Address


class Authentication(Node):
    """Of the redundancy protocol's own messages."""

    md5: Secret | None = None
    text: Secret | None = None

    @model_validator(mode="after")
    def _one(self) -> Authentication:
        if (self.md5 is None) == (self.text is None):
            raise refuse('{md5: "env:NAME"} or {text: "env:NAME"}')
        return self


class Redundancy(Node):
    """The protocol by which routers agree on one owner of each virtual address."""

    protocol: Annotated[RedundancyProtocol, BeforeValidator(one_of(*RedundancyProtocol))]
    version: Annotated[int, Between(1, 3)] | None = Field(
        default=None, description="HSRP 1 or 2 (the default), VRRP 2 or 3 (the default)."
    )
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]
    hello_ms: Millis | None = Field(
        default=None, description="By default HSRP's 3000, VRRP's 1000."
    )
    hold_ms: Millis | None = Field(
        default=None, description="HSRP only, by default 3 times hello; VRRP derives its own."
    )
    preempt_delay_s: Annotated[int, Between(0, 1000)] | None = Field(
        default=None, description="Longer than binding_sync_s; by default 5 seconds longer."
    )
    authentication: Authentication | None = None


class ApiToken(Node):
    """Somebody who may call the API."""

    name: Name
    token: Secret = Field(description="Long and random; the routers get its SHA-256 alone.")
    scope: Annotated[Scope, BeforeValidator(one_of(*Scope))] = Field(
        default=Scope.READ, description="`operate` may drain, undrain and fail over members."
    )


class Api(Node):
    """The live view, served by each controller at its router id."""

    certificate: FileName = Field(description="A file on the routers, in PEM.")
    key: FileName = Field(description="Likewise.")
    tokens: Annotated[tuple[ApiToken, ...], Field(min_length=1)]
    port: Port = 8443


class Controllers(Node):
    """The routers that own the virtual Home Agent address, the preferred one first."""

    members: Annotated[tuple[Router, ...], _short("host", list[Router | str]), Field(min_length=1)]
    redundancy: Redundancy
    api: Api | None = Field(default=None, description="Without it there is none.")


class Security(Node):
    """A mobility security association (RFC 5944 section 1.6)."""

    spi: Spi
    algorithm: Annotated[Algorithm, BeforeValidator(one_of(*Algorithm))] = Algorithm.HMAC_MD5
    key: Secret
    replay: ReplayProtection | None = Field(
        default=None, description="By default the Home Agent's."
    )


class HostMember(Node):
    """One router that is a Home Agent."""

    host: HostName
    weight: Weight = 1
    max_bindings: Bindings = 500_000
    slice: tuple[Prefix, ...] = Field(
        default=(), description="Pins its part of the pools; by default pools are cut by weight."
    )


class PairMember(Node):
    """Two IOS routers that are one Home Agent: IOS copies the bindings between them."""

    pair: Name
    hosts: Annotated[
        tuple[Router, ...], _short("host", list[Router | str]), Field(min_length=2, max_length=2)
    ]
    redundancy: Redundancy
    security: Security
    weight: Weight = 1
    max_bindings: Bindings = 500_000
    slice: tuple[Prefix, ...] = ()


class Backup(Node):
    """A Home Agent that serves only when a member has failed."""

    host: HostName
    weight: Weight = 1
    max_bindings: Bindings = 500_000


class Gateway(Node):
    """Routers of Foreign Agents' LANs that share a virtual address: Linux, IOS, or both."""

    name: Name = Field(description="Its groups' names begin with it.")
    hosts: Annotated[
        tuple[Router, ...], _short("host", list[Router | str]), Field(min_length=1)
    ] = Field(description="The preferred one first.")
    redundancy: Redundancy


class Weights(Node):
    """How much each figure counts when a member is chosen."""

    bindings: Factor = 2.0
    cpu: Factor = 1.0
    memory: Factor = 1.0


class Selection(Node):
    """How a member is chosen for a new mobile node."""

    weights: Weights = Weights()
    hysteresis: Share = Field(default=0.1, description="A challenger must be better by this part.")


class Failing(Node):
    """A member that answers and yet is given no more bindings."""

    cpu: Percent = Field(default=95.0, description="Percent used, and above.")
    memory_free: Percent = Field(default=3.0, description="Percent free, and below.")


class Health(Node):
    """How it is known that a member is down, or failing."""

    heartbeat_ms: Annotated[int, Between(10, 60_000)] = 100
    misses: Annotated[int, Between(1, 100)] = 3
    snmp_interval_s: Annotated[int, Between(1, 3600)] = 5
    failing: Failing = Failing()


class Admission(Node):
    """What the active controller lets through each second; it answers the rest with code 130."""

    registrations: Rate = Field(
        default=_ADMISSION.registrations, description="Registrations per second, of the cluster."
    )
    new_bindings: Rate = Field(
        default=_ADMISSION.new_bindings, description="Those of nodes without a binding."
    )
    member_registrations: Rate = Field(
        default=_ADMISSION.member_registrations, description="Per second, of each member."
    )
    member_new_bindings: Rate = Field(default=_ADMISSION.member_new_bindings)


class Readings(Node):
    """Where the RFCs contradict themselves: which reading is the cluster's."""

    reserved_bits: Annotated[config.ReservedBits, BeforeValidator(one_of(*config.ReservedBits))] = (
        Field(
            default=_READINGS.reserved_bits,
            description="Bits r and x: RFC 5944 section 3.3 ignores them, 3.8.2.3 denies.",
        )
    )
    duplicate: Annotated[config.Duplicate, BeforeValidator(one_of(*config.Duplicate))] = Field(
        default=_READINGS.duplicate,
        description="The request that was accepted last, again: the same answer, or code 133.",
    )
    bad_authenticator: Annotated[
        config.BadAuthenticator, BeforeValidator(one_of(*config.BadAuthenticator))
    ] = Field(
        default=_READINGS.bad_authenticator,
        description="Answered with code 131, or only where a Foreign Agent has proven itself.",
    )
    foreign_authentication_of_deregistrations: Annotated[bool, Field(strict=True)] = Field(
        default=_READINGS.foreign_authentication_of_deregistrations,
        description="RFC 5944 section 3.8.1 lets a Home Agent skip it, 3.8.2.1 does not.",
    )
    any_home_agent: Annotated[
        config.AnyHomeAgent, BeforeValidator(one_of(*config.AnyHomeAgent))
    ] = Field(
        default=_READINGS.any_home_agent,
        description="A request for any Home Agent, sent to a member: assigned (RFC 4433 section "
        "5.3.1), or code 136 (RFC 5944 section 3.8.3.2).",
    )
    udp_tunnel_reserved: Annotated[
        config.UdpTunnelReserved, BeforeValidator(one_of(*config.UdpTunnelReserved))
    ] = Field(
        default=_READINGS.udp_tunnel_reserved,
        description="A UDP Tunnel Request with reserved bits: not understood (RFC 3519 section "
        "3.1.3), or code 134 (section 4.6.1).",
    )
    dynamic_layout: Annotated[
        config.DynamicLayoutForm, BeforeValidator(one_of(*config.DynamicLayoutForm))
    ] = Field(
        default=_READINGS.dynamic_layout,
        description="Extension 139 as RFC 4433 has it, or as decoders in use expect it.",
    )


class Tunnels(Node):
    """Which tunnels Linux Home Agents grant beside IP in IP, which is always there."""

    reverse: Annotated[config.ReverseTunnels, BeforeValidator(one_of(*config.ReverseTunnels))] = (
        Field(default=_TUNNELS.reverse, description="Reverse tunnels, RFC 3024.")
    )
    gre: Annotated[bool, Field(strict=True)] = _TUNNELS.gre
    minimal: Annotated[bool, Field(strict=True)] = Field(
        default=_TUNNELS.minimal, description="Minimal encapsulation, RFC 2004."
    )
    udp: Annotated[bool, Field(strict=True)] = Field(
        default=_TUNNELS.udp, description="Through address translators, RFC 3519."
    )
    forced_udp: Annotated[bool, Field(strict=True)] = Field(
        default=_TUNNELS.forced_udp, description="Also without one, for who asks for it."
    )
    keepalive_s: Annotated[int, Between(1, 65535)] = Field(
        default=_TUNNELS.keepalive_s, description="Of UDP tunnels, RFC 3519 section 4.9."
    )


class RadiusServer(Node):
    """The AAA server of mobile nodes whose keys no router is told (RFC 2865, RFC 4721)."""

    server: Address
    secret: Secret = Field(description="Shared by the server and every router of the cluster.")
    port: Port = 1812
    timeout_ms: Annotated[int, Between(10, 60_000)] = Field(
        default=1000, description="Of one try; the whole is shorter than nodes wait."
    )
    tries: Annotated[int, Between(1, 10)] = 3


class Link(Node):
    """TLS between the cluster's Linux routers: how a standby learns the bindings."""

    certificates: FolderName = Field(
        description="Where `hacc pki` keeps the cluster's certificates, below the inventory."
    )
    port: Port = 4434

    @property
    def authority(self) -> SecretRef:
        """The certificate by which the cluster's routers know one another."""
        return self._file("authority.pem")

    def certificate(self, host: str) -> SecretRef:
        return self._file(f"{host}.pem")

    def key(self, host: str) -> SecretRef:
        return self._file(f"{host}.key")

    def _file(self, name: str) -> SecretRef:
        return SecretRef(f"file:{self.certificates}/{name}")


class RealmNodes(Node):
    """Mobile nodes known by their NAI realm, with home addresses from a pool."""

    realm: RealmName
    pool: Prefix
    security: Security | None = Field(
        default=None, description="May be missing where a RADIUS server knows the nodes."
    )
    aaa: Secret | None = Field(
        default=None,
        description="The nodes' secret with the RADIUS server (RFC 4721), which then holds "
        "their security association too: routers are told neither.",
    )
    lifetime: Lifetime | None = None
    mobile_networks: tuple[Prefix, ...] = Field(
        default=(), description="In which mobile routers may register theirs (RFC 5177)."
    )


class SingleNode(Node):
    """A mobile node with a home address of its own."""

    address: Address
    security: Security | None = Field(
        default=None, description="May be missing where a RADIUS server knows the node."
    )
    aaa: Secret | None = Field(
        default=None, description="Its secret with the RADIUS server, as for a realm."
    )
    lifetime: Lifetime | None = None
    mobile_networks: tuple[Prefix, ...] = Field(
        default=(), description="Behind it, where it is a mobile router (RFC 5177)."
    )


class ForeignAgent(Node):
    """A Foreign Agent with a security association of its own."""

    address: Address
    security: Security
    aaa: Secret | None = Field(
        default=None,
        description="Its secret with the RADIUS server, which then tells it the Home Agent.",
    )


class OspfAuthentication(Node):
    md5: Secret


class Ospf(Node):
    """Every router of the LANs must have the same timers, those that are not ours too."""

    process: Annotated[int, Between(1, 65535)] = 1
    area: Area = "0"
    authentication: OspfAuthentication | None = None
    hello_s: Annotated[int, Between(1, 65535)] = Field(
        default=10, description="RFC 2328's default."
    )
    dead_s: Annotated[int, Between(1, 65535)] | None = Field(
        default=None, description="4 times hello."
    )


class Routing(Node):
    ospf: Ospf = Ospf()


class Snmp(Node):
    """How load is read: v2c with a community, or v3 with a user (SHA and AES-128)."""

    version: SnmpVersion
    community: Secret | None = None
    user: UserName | None = None
    auth: Secret | None = None
    priv: Secret | None = None
    traps: tuple[Address, ...] = Field(
        default=(), description="Receivers of traps, beside the controllers."
    )

    @model_validator(mode="after")
    def _complete(self) -> Snmp:
        wanted = ("community",) if self.version == 2 else ("user", "auth", "priv")
        present = [k for k in ("community", "user", "auth", "priv") if getattr(self, k) is not None]
        if sorted(present) != sorted(wanted):
            name = "2c" if self.version == 2 else "3"
            raise refuse(
                " and ".join(wanted),
                message=f"version {name} with {' and '.join(present) or 'none of its keys'}",
            )
        return self


class Discovery(Node):
    """How routers find their neighbours."""

    cdp: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="IOS's own protocol, which hacc-agent speaks too."
    )


def _kind(*tags: str) -> Discriminator:
    """Which of several mappings this is: the one whose first key it has."""

    def tag(value: Any) -> str | None:
        if isinstance(value, dict):
            return next((f"<{tag}>" for tag in tags if tag in value), None)
        return f"<{tags[-1]}>" if isinstance(value, BaseModel) else None

    return Discriminator(tag)


# Tags stand in angle brackets, so that no key of a file can be mistaken for one.
Member = Annotated[
    Annotated[PairMember, Tag("<pair>")] | Annotated[HostMember, Tag("<host>")],
    _kind("pair", "host"),
]
MobileNodes = Annotated[
    Annotated[RealmNodes, Tag("<realm>")] | Annotated[SingleNode, Tag("<address>")],
    _kind("realm", "address"),
]


class ClusterIntent(Node):
    """One cluster: many Mobile IP Home Agents that answer as one."""

    cluster: Name
    home_agent: VirtualHomeAgent
    lans: Annotated[dict[Name, Lan], Field(min_length=1)]
    controllers: Controllers
    home_agents: Annotated[
        tuple[Member, ...], _short("host", list[Member | str]), Field(min_length=1)
    ]
    backups: Annotated[tuple[Backup, ...], _short("host", list[Backup | str])] = ()
    gateways: tuple[Gateway, ...] = Field(
        default=(), description="Standby groups of routers that are no part of the Home Agent."
    )
    binding_sync_s: Annotated[int, Between(1, 900)] = Field(
        default=15, description="What a returning router needs to learn the bindings."
    )
    selection: Selection = Selection()
    health: Health = Health()
    assignment: Annotated[config.Assignment, BeforeValidator(one_of(*config.Assignment))] = Field(
        default=config.Assignment.RELAY,
        description="relay: nodes only see the virtual Home Agent; assign and redirect: RFC 4433 "
        "tells them a member's own address.",
    )
    admission: Admission = Admission()
    readings: Readings = Readings()
    tunnels: Tunnels = Tunnels()
    durability: Annotated[config.Durability, BeforeValidator(one_of(*config.Durability))] = Field(
        default=config.Durability.MACHINE,
        description="What a binding survives before it is answered: a power failure of the "
        "machine, or only the death of the process, which is a third faster.",
    )
    link: Link | None = None
    radius: RadiusServer | None = None
    mobile_nodes: tuple[MobileNodes, ...] = ()
    foreign_agents: tuple[ForeignAgent, ...] = ()
    routing: Routing = Routing()
    snmp: Snmp
    discovery: Discovery = Discovery()
    windows: tuple[MaintenanceWindow, ...] = Field(
        default=(), description="When its routers may be changed; without any: always."
    )
