"""What this Home Agent is: its addresses, its limits, whom it serves. Made once from a configuration.

A decision reads nothing but this, the request and the table.
"""

from __future__ import annotations

from collections.abc import Callable

from ...config import (
    AgentConfig,
    Assignment,
    BadAuthenticator,
    Duplicate,
    ReservedBits,
    Transport,
)
from ..effects import Endpoint
from ..table import Table
from .associations import Association, Directory

_LAN = 0xFFFF  # of Endpoint.link


class Service:
    """The configuration in the form in which requests are decided on."""

    __slots__ = (
        "_interfaces",
        "_own_address",
        "addresses",
        "answers_bad_authenticators",
        "answers_duplicates",
        "assigned",
        "checks_deregistrations",
        "denies_reserved_bits",
        "directory",
        "home_agent_address",
        "learned",
        "lifetime",
        "max_bindings",
        "networks",
        "port",
        "relayed_by_udp",
        "simultaneous_bindings",
        "table",
        "token",
        "tolerance",
        "uses_aaa",
    )

    def __init__(self, config: AgentConfig, table: Table, token: Callable[[int], bytes]) -> None:
        readings = config.readings
        self.table = table
        self.token = token
        self.directory = Directory(config)
        self.learned: dict[bytes, Association] = {}  # by NAI: what the AAA server told
        self.home_agent_address = int(config.home_agent_address)
        self.port = config.port
        self.networks = config.networks
        self.lifetime = config.lifetime_s
        self.max_bindings = config.max_bindings or 0
        self.simultaneous_bindings = config.simultaneous_bindings
        self.uses_aaa = config.radius is not None
        self.relayed_by_udp = config.transport is Transport.UDP
        self.denies_reserved_bits = readings.reserved_bits is ReservedBits.DENY
        self.answers_duplicates = readings.duplicate is Duplicate.ANSWER
        self.answers_bad_authenticators = readings.bad_authenticator is BadAuthenticator.DENY
        self.checks_deregistrations = readings.foreign_authentication_of_deregistrations
        # Of all mobile nodes': a row does not say whose it is, and to remember longer is safe.
        securities = [entry.security for entry in (*config.nodes, *config.realms)]
        self.tolerance = max([config.tolerance_s, *[s.tolerance_s for s in securities if s]])
        self._interfaces = [int(lan.address.ip) for lan in config.lans]
        own = [int(a.address) for m in config.members if m.name == config.name for a in m.addresses]
        self._own_address = (own or self._interfaces)[0]
        self.addresses = frozenset((self.home_agent_address, *own, *self._interfaces))
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

    def way_back(self, source: Endpoint, destination: int) -> tuple[Endpoint, int]:
        """Where the answer to a message goes, and from which address of ours.

        Back to its sender (RFC 5944, 3.8.3.1), but for one that a controller passed on unchanged:
        that one was sent to the virtual address, and so is its answer, by the same neighbour, from
        an address of our own (requirement P7).
        """
        if destination != self.home_agent_address or self.relayed_by_udp:
            return source, destination if destination in self.addresses else self._own_address
        return Endpoint(destination, self.port, source.link), self.own_address(source.link)

    def own_address(self, link: int) -> int:
        """Ours on the LAN that a frame came from."""
        lan = link & _LAN
        return self._interfaces[lan] if link and lan < len(self._interfaces) else self._own_address
