"""What the compiler writes and the daemon reads: the one contract between the two halves.

The compiler *constructs* an `AgentConfig` and writes it with `to_toml`, so a file that the daemon
cannot load cannot be rendered; `parse` is the way back. The law is `parse(to_toml(c)) == c`.

The file holds what a router needs and no more: a member polls nobody, so it gets no SNMP keys; a
controller leaves it to them what the AAA server is asked, so it gets no RADIUS secret. It gets the
mobility keys, since what it answers itself (code 130 when the cluster is full, 143 when it
redirects) is believed only with an authenticator. A key is text: hexadecimal digits, or, until
the moment of the push, a sealed token `<secret REF|hex>`. What has its usual value is not written.

Times are in the unit that the name says. `tomldata` knows how a dataclass becomes TOML.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated

from . import places
from .tomldata import ConfigError, ConfigProblem, Matches, Range, Tables, decode, encode

__all__ = ["AgentConfig", "ConfigError", "ConfigProblem", "parse", "to_toml"]

SEALED = re.compile(r"<secret [^<>\s]+>")

KEY = Matches(
    re.compile(r"(?:[0-9a-f]{2}){1,64}|<secret [^<>\s]+>"),
    "1 to 64 octets in lower-case hexadecimal, or a sealed <secret ...> token",
)
NAME = Matches(re.compile(r"\S{1,64}"), "1 to 64 characters without blanks")
WORD = Matches(
    re.compile(r"[!-~]{1,128}|<secret [^<>\s]+>"),
    "1 to 128 printable ASCII characters without blanks, or a sealed <secret ...> token",
)
REALM = Matches(re.compile(r"@\S{1,252}"), "@ and the domain of the NAI (RFC 2794)")


class Role(enum.StrEnum):
    """What a router does for the virtual Home Agent address (DESIGN, "the system in one page")."""

    CONTROLLER = "controller"
    HOME_AGENT = "home-agent"
    BACKUP = "backup"


class Algorithm(enum.StrEnum):
    """How an authenticator is computed (RFC 5944 section 5.1 and its RFC 2002 ancestor)."""

    HMAC_MD5 = "hmac-md5"
    MD5_PREFIX_SUFFIX = "md5-prefix-suffix"


class Replay(enum.StrEnum):
    """Replay protection of the Identification field (RFC 5944 section 5.7)."""

    TIMESTAMP = "timestamp"
    NONCE = "nonce"


class MemberKind(enum.StrEnum):
    """What a controller may expect of a member."""

    LINUX = "linux"  # runs hacc-agent: answers from its own address, takes over bindings
    IOS = "ios"  # a stock Home Agent: answers through its default route, takes over nothing


@dataclass(frozen=True, slots=True)
class Lan:
    """This router's interface on a segment that it shares with the cluster."""

    name: Annotated[str, NAME]
    interface: Annotated[str, NAME]
    address: IPv4Interface


@dataclass(frozen=True, slots=True)
class LanAddress:
    """Where another router, or a group, answers on a segment."""

    lan: Annotated[str, NAME]
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Controller:
    name: Annotated[str, NAME]
    priority: Annotated[int, Range(1, 254)]  # of its standby groups: higher is preferred
    addresses: tuple[LanAddress, ...]


@dataclass(frozen=True, slots=True)
class Router:
    """A router with a name and addresses of its own: what it says for itself comes from there."""

    name: Annotated[str, NAME]
    addresses: tuple[LanAddress, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A Home Agent that bindings are placed on: a host, or a pair behind its standby address."""

    name: Annotated[str, NAME]
    kind: MemberKind
    backup: bool  # takes part only when a member has failed
    weight: Annotated[int, Range(1, 1000)]
    capacity: Annotated[int, Range(1, 2**31 - 1)]  # bindings
    slices: tuple[IPv4Network, ...]  # the prefixes that it assigns home addresses from
    addresses: tuple[LanAddress, ...]  # of a pair: those of its groups
    routers: tuple[Router, ...] = ()  # of a pair


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each figure counts when a member is chosen; the sum is no matter."""

    bindings: Annotated[float, Range(0, 1000)]
    cpu: Annotated[float, Range(0, 1000)]
    memory: Annotated[float, Range(0, 1000)]


@dataclass(frozen=True, slots=True)
class Selection:
    hysteresis: Annotated[float, Range(0, 1)]  # a challenger must be better by this part
    weights: Weights


@dataclass(frozen=True, slots=True)
class Health:
    """Heartbeats tell that a member is down; SNMP tells that it is failing."""

    heartbeat_ms: Annotated[int, Range(10, 60_000)]
    misses: Annotated[int, Range(1, 100)]
    snmp_interval_s: Annotated[int, Range(1, 3600)]
    failing_cpu: Annotated[float, Range(0, 100)]  # percent used, and above
    failing_memory_free: Annotated[float, Range(0, 100)]  # percent free, and below


@dataclass(frozen=True, slots=True)
class Snmp:
    """How a controller reads its members' load."""

    version: Annotated[int, Range(2, 3)]
    community: str | None = None
    user: str | None = None
    auth: str | None = None  # SHA
    priv: str | None = None  # AES-128
    port: Annotated[int, Range(1, 65535)] = 161  # another one only for tests on loopback
    notification_port: Annotated[int, Range(1, 65535)] = 162  # where notifications are received


@dataclass(frozen=True, slots=True)
class Security:
    """A mobility security association (RFC 5944 section 1.6)."""

    spi: Annotated[int, Range(256, 2**32 - 1)]  # 0-255 are reserved, RFC 5944 section 3.5.1
    algorithm: Algorithm
    key: Annotated[str, KEY]
    replay: Replay
    tolerance_s: Annotated[int, Range(1, 255)]


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Assignable home addresses, both ends included."""

    first: IPv4Address
    last: IPv4Address


@dataclass(frozen=True, slots=True)
class Realm:
    """Mobile nodes known by NAI, with home addresses from a pool."""

    realm: Annotated[str, REALM]
    pool: IPv4Network
    network: IPv4Network
    lifetime_s: Annotated[int, Range(1, 65535)]
    assigns: tuple[AddressRange, ...] = ()  # on this router; none on controllers and backups
    security: Security | None = None  # none: the AAA server knows it
    mobile_networks: tuple[IPv4Network, ...] = ()  # in which its routers may name theirs (RFC 5177)


@dataclass(frozen=True, slots=True)
class Node:
    """A mobile node with a home address of its own."""

    address: IPv4Address
    network: IPv4Network
    lifetime_s: Annotated[int, Range(1, 65535)]
    security: Security | None = None  # none: the AAA server knows it
    mobile_networks: tuple[IPv4Network, ...] = ()  # behind it, if it is a mobile router (RFC 5177)


@dataclass(frozen=True, slots=True)
class ForeignAgent:
    address: IPv4Address
    security: Security


class Transport(enum.StrEnum):
    """How datagrams reach a member (DESIGN, "frames")."""

    FRAMES = "frames"  # with only the layer-2 destination changed; needs CAP_NET_RAW
    UDP = "udp"  # from the controller's own address: no NAT detection, no stock IOS members


class Assignment(enum.StrEnum):
    """How a mobile node comes to its Home Agent."""

    RELAY = "relay"  # it only ever sees the virtual Home Agent address
    ASSIGN = "assign"  # who asks for any Home Agent gets a member's own address (RFC 4433, 3)
    REDIRECT = "redirect"  # who asks for the virtual one is told a member's (RFC 4433, code 143)


@dataclass(frozen=True, slots=True)
class Admission:
    """What a controller lets through each second; beyond it answers with code 130."""

    registrations: Annotated[int, Range(1, 10_000_000)] = 200_000  # /s, of the whole cluster
    new_bindings: Annotated[int, Range(1, 10_000_000)] = 100_000  # /s, of the whole cluster
    member_registrations: Annotated[int, Range(1, 10_000_000)] = 50_000  # /s, of each member
    member_new_bindings: Annotated[int, Range(1, 10_000_000)] = 25_000  # /s, of each member


class ReservedBits(enum.StrEnum):
    """Bits r and x of a request: RFC 5944 says both "ignored on reception" and "deny"."""

    IGNORE = "ignore"  # section 3.3
    DENY = "deny"  # section 3.8.2.3: code 134


class Duplicate(enum.StrEnum):
    """The very request again that was accepted last."""

    ANSWER = "answer"  # the same reply, no longer a lifetime: section 3.8.2.2
    DENY = "deny"  # its Identification is not greater than all before: section 5.7.1, code 133


class BadAuthenticator(enum.StrEnum):
    """A request whose Mobile-Home authenticator does not hold (RFC 5944, 3.8.2.1)."""

    DENY = "deny"  # code 131 wherever the text allows it
    DENY_PROVEN = "deny-proven"  # only where a valid Foreign-Home one obliges to
    # There is no third one: the text says MUST for that case.


class AnyHomeAgent(enum.StrEnum):
    """A request whose Home Agent field is 0.0.0.0 or 255.255.255.255, sent to our own address."""

    ASSIGN = "assign"  # the reply says which: RFC 4433, 5.3.1
    DENY = "deny"  # code 136 for all but a unicast address of ours: RFC 5944, 3.8.3.2


class UdpTunnelReserved(enum.StrEnum):
    """A UDP Tunnel Request whose "Reserved 3" is not 0: RFC 3519 says both."""

    SKIP = "skip"  # sections 3.1 and 3.1.3: "MUST be handled as not understood"
    DENY = "deny"  # section 4.6.1: code 134


class DynamicLayoutForm(enum.StrEnum):
    """The two published forms of extension 139; both are understood, one is sent."""

    RFC = "rfc"  # RFC 4433, 4.1: subtype, 16 bits of length
    SHORT = "short"  # 8 bits of length, as decoders in use expect it


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the RFCs contradict themselves or one another: which reading is ours."""

    reserved_bits: ReservedBits = ReservedBits.IGNORE
    duplicate: Duplicate = Duplicate.ANSWER
    bad_authenticator: BadAuthenticator = BadAuthenticator.DENY
    foreign_authentication_of_deregistrations: bool = False  # 3.8.1 MAY skip it, 3.8.2.1 does
    any_home_agent: AnyHomeAgent = AnyHomeAgent.ASSIGN
    udp_tunnel_reserved: UdpTunnelReserved = UdpTunnelReserved.SKIP
    dynamic_layout: DynamicLayoutForm = DynamicLayoutForm.RFC


class ReverseTunnels(enum.StrEnum):
    """What a Home Agent thinks of the T bit (RFC 3024, 4.3.1)."""

    ALLOWED = "allowed"
    REFUSED = "refused"  # code 137 for who asks
    MANDATORY = "mandatory"  # code 138 for who does not


@dataclass(frozen=True, slots=True)
class Tunnels:
    """Which tunnels to mobile nodes there are, beside IP in IP, which is always there."""

    reverse: ReverseTunnels = ReverseTunnels.ALLOWED
    gre: bool = False  # else code 139 for the G bit
    minimal: bool = False  # else code 139 for the M bit
    udp: bool = True  # through NATs (RFC 3519); else code 129 where one is found
    forced_udp: bool = True  # without a NAT, if the F bit asks for it; else code 129
    keepalive_s: Annotated[int, Range(1, 65535)] = 110  # of UDP tunnels (RFC 3519, 4.9)


class DataPlane(enum.StrEnum):
    """Who moves mobile nodes' packets."""

    KERNEL = "kernel"  # programs or nftables, whichever it permits; needs CAP_BPF, CAP_NET_ADMIN
    NONE = "none"  # nobody here: registrations alone


class Durability(enum.StrEnum):
    """What a binding has survived before its mobile node hears of it."""

    MACHINE = "machine"  # the machine losing power: the disk was synchronised
    PROCESS = "process"  # the daemon dying: the kernel has it, the disk within a second


def certificate_uri(cluster: str, name: str) -> str:
    """The alternative name in a router's certificate: `hacc pki` writes it, a link believes it."""
    return f"hacc://{_quoted(cluster)}/{_quoted(name)}"


def _quoted(word: str) -> str:
    """All but the unreserved characters of a URI as their octets (RFC 3986, 2.1 and 2.3)."""
    octets = re.sub(rb"[^A-Za-z0-9._~-]", lambda found: b"%%%02X" % ord(found[0]), word.encode())
    return octets.decode()


@dataclass(frozen=True, slots=True)
class Link:
    """TLS between the cluster's routers: standby, member link. Certificates from `hacc pki`."""

    port: Annotated[int, Range(1, 65535)]
    authority: str  # file with the cluster's own certificate authority
    certificate: str  # file, of this router
    key: str  # file, readable by the daemon alone


@dataclass(frozen=True, slots=True)
class Radius:
    """The AAA server that holds mobile nodes' associations (RFC 2865, RFC 4721)."""

    server: IPv4Address
    secret: Annotated[str, WORD]  # a text, as RADIUS servers hold theirs
    port: Annotated[int, Range(1, 65535)] = 1812
    timeout_ms: Annotated[int, Range(10, 60_000)] = 1000  # for one try
    tries: Annotated[int, Range(1, 10)] = 3


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """All that `hacc-agent` on one router is told."""

    cluster: Annotated[str, NAME]
    name: Annotated[str, NAME]  # this router
    role: Role
    home_agent_address: IPv4Address  # the virtual Home Agent address
    networks: tuple[IPv4Network, ...]  # home networks, virtual and physical
    lifetime_s: Annotated[int, Range(1, 65535)]  # the longest that is granted (RFC 5944: 16 bits)
    replay: Replay
    tolerance_s: Annotated[int, Range(1, 255)]
    binding_sync_s: Annotated[int, Range(1, 3600)]
    max_bindings: Annotated[int, Range(1, 2**31 - 1)] | None  # of this router; none on controllers
    lans: tuple[Lan, ...]
    gateways: tuple[LanAddress, ...]  # the controllers' group addresses: where members answer to
    controllers: tuple[Controller, ...]
    members: tuple[Member, ...]  # backups too
    selection: Selection
    health: Health
    snmp: Snmp | None  # on controllers
    realms: tuple[Realm, ...]
    nodes: tuple[Node, ...]
    foreign_agents: tuple[ForeignAgent, ...]
    transport: Transport = Transport.FRAMES
    port: Annotated[int, Range(1, 65535)] = 434  # another one only for tests on loopback
    assignment: Assignment = Assignment.RELAY
    admission: Admission = Admission()
    readings: Readings = Readings()
    tunnels: Tunnels = Tunnels()
    simultaneous_bindings: Annotated[int, Range(1, 16)] = 3  # care-of addresses of a mobile node
    link: Link | None = None
    radius: Radius | None = None  # on Home Agents
    state_directory: str = places.STATE
    durability: Durability = Durability.MACHINE
    data_plane: DataPlane = DataPlane.KERNEL  # with transport "frames"
    runtime_directory: str = places.RUNTIME
    agentx: str = "/var/agentx/master"  # snmpd's socket, through which Home Agents are read
    cdp: bool = True  # tell neighbours who we are: a stock router then proves that it is one
    routers: tuple[Router, ...] = ()  # on its LANs, and no part of the Home Agent: gateways

    @property
    def sealed(self) -> bool:
        """Whether a secret still stands in it as a token."""
        return SEALED.search(to_toml(self)) is not None


def to_toml(config: AgentConfig) -> str:
    """The text of `/etc/hacc/agent.toml`, the same for the same value."""
    return encode(config)


def parse(text: str, file: str) -> AgentConfig:
    """The way back. Raises `ConfigError` with every problem, each with its line."""
    config, tables = decode(AgentConfig, text, file)
    problems = tuple(_disagreements(config, tables))
    if problems:
        raise ConfigError(problems)
    return config


def _disagreements(config: AgentConfig, tables: Tables) -> list[ConfigProblem]:
    """What no single value shows."""
    found = []
    own = config.controllers if config.role is Role.CONTROLLER else config.members
    serves = config.role is not Role.CONTROLLER
    # A half of an IOS pair has no agent, so an agent's own name is always that of a member.
    if config.name not in {entry.name for entry in own}:
        listed = ", ".join(entry.name for entry in own) or "none"
        found.append(
            tables.problem(
                ("name",),
                f"{config.name!r} is a {config.role} but not listed as one",
                f"{'members' if serves else 'controllers'} are: {listed}",
            )
        )
    lans = {lan.name for lan in config.lans}
    found += [
        tables.problem(
            ("gateways", index, "lan"),
            f"this router has no interface on {gateway.lan!r}",
            f"lans are: {', '.join(sorted(lans)) or 'none'}",
        )
        for index, gateway in enumerate(config.gateways)
        if gateway.lan not in lans
    ]
    if serves and config.radius is None:
        unkeyed = [("realms", n) for n, realm in enumerate(config.realms) if not realm.security]
        unkeyed += [("nodes", n) for n, node in enumerate(config.nodes) if not node.security]
        found += [
            tables.problem(
                (table, index),
                "nobody can authenticate it: no security association and no RADIUS server",
                f"add [{table}.security] with spi, algorithm, key, replay and tolerance_s",
            )
            for table, index in unkeyed
        ]
    if serves and config.max_bindings is None:
        found.append(
            tables.problem(("max_bindings",), "missing", "a Home Agent needs its capacity")
        )
    if not serves and config.snmp is None:
        found.append(tables.problem(("snmp",), "missing", "a controller polls its members"))
    return found
