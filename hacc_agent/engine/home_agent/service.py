"""What this Home Agent is: its addresses, its limits, whom it serves. Made of a configuration once.

A decision reads nothing but this, the request and the table.
"""

from __future__ import annotations

from collections.abc import Callable

from ...config import (
    AgentConfig,
    AnyHomeAgent,
    Assignment,
    BadAuthenticator,
    Duplicate,
    ReservedBits,
    ReverseTunnels,
    Transport,
    UdpTunnelReserved,
)
from ...wire import Encapsulation
from ..effects import Endpoint
from ..networks import MobileNetworks
from ..record import Row
from ..table import Table
from .associations import Association, Directory

LAN_BITS = 16  # of Endpoint.link, below the neighbour's MAC address
LAN = (1 << LAN_BITS) - 1
_NEIGHBOURS = 64  # that pass on requests; there are two, and whoever forges their addresses


class Service:
    """The configuration in the form in which requests are decided on."""

    __slots__ = (
        "_by_link",
        "_own_address",
        "addresses",
        "answers_bad_authenticators",
        "answers_duplicates",
        "assigned",
        "assigns_home_agent",
        "checks_deregistrations",
        "denies_reserved_3",
        "denies_reserved_bits",
        "directory",
        "encapsulations",
        "followed",
        "forced_udp_tunnels",
        "home_agent_address",
        "interfaces",
        "keepalive",
        "learned",
        "lifetime",
        "max_bindings",
        "mobile_networks",
        "needs_reverse_tunnel",
        "not_before",
        "port",
        "refuses_reverse_tunnel",
        "relayed_by_udp",
        "simultaneous_bindings",
        "table",
        "token",
        "tolerance",
        "udp_tunnels",
        "uses_aaa",
    )

    def __init__(self, config: AgentConfig, table: Table, token: Callable[[int], bytes]) -> None:
        readings = config.readings
        self.table = table
        self.token = token
        self.directory = Directory(config)
        self.learned: dict[bytes, Association] = {}  # by NAI: what the AAA server told
        self.mobile_networks = MobileNetworks()
        self.home_agent_address = int(config.home_agent_address)
        self.port = config.port
        self.lifetime = config.lifetime_s
        self.max_bindings = config.max_bindings or 0
        self.simultaneous_bindings = config.simultaneous_bindings
        self.uses_aaa = config.radius is not None
        self.relayed_by_udp = config.transport is Transport.UDP
        self.denies_reserved_bits = readings.reserved_bits is ReservedBits.DENY
        self.answers_duplicates = readings.duplicate is Duplicate.ANSWER
        self.answers_bad_authenticators = readings.bad_authenticator is BadAuthenticator.DENY
        self.checks_deregistrations = readings.foreign_authentication_of_deregistrations
        self.assigns_home_agent = readings.any_home_agent is AnyHomeAgent.ASSIGN
        self.denies_reserved_3 = readings.udp_tunnel_reserved is UdpTunnelReserved.DENY
        tunnels = config.tunnels
        kinds = ((Encapsulation.GRE, tunnels.gre), (Encapsulation.MINIMAL, tunnels.minimal))
        self.encapsulations = frozenset((Encapsulation.IP, *[kind for kind, on in kinds if on]))
        self.refuses_reverse_tunnel = tunnels.reverse is ReverseTunnels.REFUSED
        self.needs_reverse_tunnel = tunnels.reverse is ReverseTunnels.MANDATORY
        self.udp_tunnels = tunnels.udp
        self.forced_udp_tunnels = tunnels.udp and tunnels.forced_udp
        self.keepalive = tunnels.keepalive_s
        # Of all mobile nodes': a row does not say whose it is, and to remember longer is safe.
        securities = [node.security for node in config.nodes]
        securities += [realm.security for realm in config.realms]
        self.tolerance = max([config.tolerance_s, *[s.tolerance_s for s in securities if s]])
        self.not_before = 0
        """As an Identification: who is not known here is not believed from before (`takeover`)."""
        self.followed: frozenset[int] | None = None
        """Neighbours whose requests are taken; None: anybody's (`HomeAgent.follow`)."""
        self._by_link: dict[int, tuple[Endpoint, int]] = {}
        self.interfaces = [int(lan.address.ip) for lan in config.lans]
        own = [int(a.address) for m in config.members if m.name == config.name for a in m.addresses]
        self._own_address = (own or self.interfaces)[0]
        self.addresses = frozenset((self.home_agent_address, *own, *self.interfaces))
        # RFC 4433: who asks for any Home Agent gets one that it will send to from then on.
        self.assigned = (
            self._own_address if config.assignment is Assignment.ASSIGN else self.home_agent_address
        )

    def foreign_agent(self, source: Endpoint, care_of_address: int) -> Association | None:
        """The association with the Foreign Agent that a message came through.

        It is selected by source address (RFC 5944, 3.5.4). A controller that relays over UDP is
        the source itself; what is left there is that a Foreign Agent's care-of address is its own.
        """
        address = care_of_address if self.relayed_by_udp else source.address
        return self.directory.foreign_agent(address)

    def from_overtaken(self, source: Endpoint, destination: int) -> bool:
        """Whether a controller passed it on that another one has taken the place of."""
        if self.followed is None or destination != self.home_agent_address:
            return False
        neighbour = source.address if self.relayed_by_udp else source.link >> LAN_BITS
        return neighbour not in self.followed

    def home_agent_for(self, destination: int) -> int:
        """For a reply's Home Agent field where the request's is not ours (RFC 5944, 3.8.3.2)."""
        if destination in self.addresses and destination != self.home_agent_address:
            return destination
        return self.assigned

    def way_back(self, source: Endpoint, destination: int) -> tuple[Endpoint, int]:
        """Where the answer to a message goes, and from which address of ours.

        Back to its sender (RFC 5944, 3.8.3.1), but for one that a controller passed on unchanged:
        that one was sent to the virtual address, and so is its answer, by the same neighbour, from
        an address of our own (requirement P7).
        """
        if destination != self.home_agent_address or self.relayed_by_udp:
            return source, destination if destination in self.addresses else self._own_address
        link = source.link
        way = self._by_link.get(link)
        if way is None:
            if len(self._by_link) >= _NEIGHBOURS:
                self._by_link.clear()
            way = Endpoint(destination, self.port, link), self.own_address(link)
            self._by_link[link] = way
        return way

    def way_to(self, row: Row, link: int) -> tuple[Endpoint, int]:
        """Where a message of our own about a binding goes, and from which address.

        To who sent its last request, from the Home Agent's address of the binding (RFC 3543, 3.3);
        of one that a controller passed on, to the virtual address, by the neighbour at `link`.
        """
        if self.relayed_by_udp:
            return Endpoint(row.source_address, row.source_port), self._own_address
        if row.home_agent == self.home_agent_address:
            return Endpoint(row.home_agent, self.port, link), self.own_address(link)
        return Endpoint(row.source_address, self.port), row.home_agent

    def own_address(self, link: int) -> int:
        """Ours on the LAN that a frame came from."""
        lan = link & LAN
        return self.interfaces[lan] if link and lan < len(self.interfaces) else self._own_address
