"""What one router showed at one moment: the value between asking it and judging it.

Nothing here is an opinion. A part that could not be read is not an empty part: it is named in
`unread` with the reason, and a check that needs it is skipped aloud or fails, never passes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ..rendered import Platform


class Part(enum.StrEnum):
    """The parts of an observation that can be missing each on its own."""

    ALL = "anything"
    ADDRESSES = "interface addresses"
    GROUPS = "standby groups"
    KERNEL = "kernel settings"
    ROUTES = "forwarding"
    OSPF = "OSPF"
    HOME_AGENT = "the Home Agent"
    BINDINGS = "mobility bindings"
    NEIGHBOURS = "CDP neighbours"
    UNITS = "services"
    SNMP = "SNMP"


@dataclass(frozen=True, slots=True)
class Unread:
    """A part that could not be read, and why."""

    part: Part
    reason: str
    expected: bool = False  # nothing is wrong: this kind of router has no such part


@dataclass(frozen=True, slots=True)
class Address:
    """An address on an interface. `secondary` and labels don't matter for who owns it."""

    interface: str  # "lan", "lo", "GigabitEthernet0/1"
    address: IPv4Address
    length: int | None  # of the prefix; None where the router does not show it with the address
    up: bool  # the interface is up (line protocol, operational state)


@dataclass(frozen=True, slots=True)
class GroupState:
    """A standby group as the router itself tells it (`show standby`)."""

    interface: str
    group: int
    state: str  # "Active", "Standby", "Listen", "Speak", "Init"
    virtual: IPv4Address | None
    active: str  # "local", "unknown" or the active router's address
    standby: str
    priority: int
    name: str
    changed_s: int | None  # seconds since the last change of state


@dataclass(frozen=True, slots=True)
class ArpRules:
    """The kernel's rules of one interface: the larger of `all` and its own (ip-sysctl.rst)."""

    interface: str
    ignore: int  # arp_ignore
    announce: int  # arp_announce


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Where the router would send a packet now (`ip route get`); `gateway` None is on-link."""

    destination: IPv4Address
    kind: str  # "unicast", "local", "broadcast", "unreachable"
    gateway: IPv4Address | None
    interface: str


@dataclass(frozen=True, slots=True)
class OspfNeighbour:
    router_id: IPv4Address
    interface: str
    address: IPv4Address | None
    state: str  # RFC 2328 section 10.1: "Full", "2-Way", "ExStart" ...
    role: str  # "DR", "Backup", "DROther", "-"


@dataclass(frozen=True, slots=True)
class OspfRoute:
    """A prefix in OSPF's own table: who announces it, before other protocols have their say."""

    prefix: IPv4Network
    gateways: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class HomeAgentGlobals:
    """`show ip mobile globals`, the Home Agent's half."""

    enabled: bool
    address: IPv4Address | None
    lifetime_s: int | None
    replay_s: int | None
    networks: tuple[IPv4Network, ...]
    redundancy: tuple[str, ...]  # names of the standby groups that it follows


@dataclass(frozen=True, slots=True)
class Binding:
    """One mobility binding (RFC 5944 section 1.6), as `show ip mobile binding` prints it."""

    home: IPv4Address | None
    nai: str
    care_of: IPv4Address
    source: IPv4Address
    granted_s: int
    remaining_s: int
    flags: str  # the letters that are set, of S B D M G R T X (RFC 5944 section 3.3)
    identification: int  # 64 bits; with timestamps, NTP format
    networks: tuple[IPv4Network, ...]  # mobile networks behind a mobile router (RFC 5177)


@dataclass(frozen=True, slots=True)
class MobileRoute:
    """A route to a mobile node or a mobile network (`show ip route mobile`)."""

    address: IPv4Address
    length: int | None  # None where the output does not tell
    gateway: IPv4Address | None  # None: a virtual network, as if connected
    interface: str
    age_s: int | None


@dataclass(frozen=True, slots=True)
class CdpNeighbour:
    host: str  # without the domain
    local_interface: str
    remote_interface: str
    platform: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A service: `systemctl is-active`, and for how long its main process has run."""

    name: str  # "keepalived"
    state: str  # "active", "inactive", "failed", "unknown"
    running_s: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What an agent has found on its LANs that differs from its configuration."""

    verdict: str  # "missing", "stranger", "impostor"
    router: str  # whose address it is; empty: nobody's
    address: str
    why: str


@dataclass(frozen=True, slots=True)
class Lans:
    """Who an agent hears on its LANs (`hacc-agent neighbours`)."""

    heard: int  # routers of the cluster
    awaited: tuple[str, ...]  # those that have not had the time to be heard
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """What proves that a stock router is on a LAN with a controller."""

    router: str
    proof: str  # "CDP", "LLDP"; empty: nothing, and why
    why: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What a controller was told of a member's load, by its link or by SNMP."""

    member: str
    source: str  # "member link", "SNMP"; empty: it was told nothing that it believes
    age_s: float
    cpu_percent: float | None
    memory_free_percent: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """A binding that an agent holds; a controller says with which member."""

    home: IPv4Address
    member: str


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What `hacc-agent status` says: who it believes to be, and what it holds."""

    name: str
    role: str
    cluster: str
    bindings: int
    pending: int  # registrations that were passed on and not answered yet
    members: tuple[tuple[str, int], ...]  # on a controller: each member's bindings
    trouble: str  # with its journal; empty: none
    unwell: tuple[
        tuple[str, str], ...
    ] = ()  # on a controller: members that are down or held, and why
    lans: Lans | None = None  # None: it does not advertise
    stock: tuple[Placed, ...] = ()  # on a controller
    version: str = ""  # of hacc
    configured_s: float | None = None  # since it took its configuration; None: too old to say
    figures: tuple[Figures, ...] = ()  # on a controller, of each member


@dataclass(frozen=True, slots=True)
class SnmpAnswer:
    system_name: str  # SNMPv2-MIB sysName.0
    uptime_s: float  # sysUpTime.0 / 100


@dataclass(frozen=True, slots=True)
class Observation:
    """One router at one moment."""

    host: str
    platform: Platform
    simulator: bool = False  # it says of itself that it is HACC's IOS simulator
    unread: tuple[Unread, ...] = ()
    version: str = ""  # of IOS
    addresses: tuple[Address, ...] = ()
    groups: tuple[GroupState, ...] = ()
    arp: tuple[ArpRules, ...] = ()
    forwards: bool = False  # packets that are not its own (net.ipv4.ip_forward)
    forwarding: tuple[Forwarding, ...] = ()
    ospf_neighbours: tuple[OspfNeighbour, ...] = ()
    ospf_routes: tuple[OspfRoute, ...] = ()
    home_agent: HomeAgentGlobals | None = None
    agent: AgentStatus | None = None
    held: tuple[Held, ...] | None = None  # by the agent; None: not asked one by one, or too many
    bindings: tuple[Binding, ...] = ()
    mobile_routes: tuple[MobileRoute, ...] = ()
    neighbours: tuple[CdpNeighbour, ...] = ()
    units: tuple[Unit, ...] = ()
    snmp: SnmpAnswer | None = None

    @staticmethod
    def failed(host: str, platform: Platform, reason: str) -> Observation:
        """Nothing could be read."""
        return Observation(host, platform, unread=(Unread(Part.ALL, reason),))

    def missing(self, part: Part) -> Unread | None:
        """Why a part is not here; None when it was read."""
        return next((gap for gap in self.unread if gap.part in (Part.ALL, part)), None)

    def unit(self, name: str) -> Unit | None:
        return next((unit for unit in self.units if unit.name == name), None)

    def holds(self, address: IPv4Address) -> list[Address]:
        """The interfaces, up, on which the address is."""
        return [held for held in self.addresses if held.up and held.address == address]
