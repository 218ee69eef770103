"""One cluster on its way from intent to models: what every part of the compiler looks up."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

from ..errors import Place, Problem
from ..inventory import HostFacts, Inventory
from ..model import LanPort, SecurityAssociation, VirtualNetwork
from ..schema import Backup, ClusterIntent, HostMember, PairMember, RealmNodes, Security
from ..slices import cut

Member = HostMember | PairMember | Backup


class Cluster:
    """A cluster's intent with its routers' facts. Refusals are collected in `problems`."""

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
                [(member_name(member), member.weight) for member in intent.home_agents],
                {member_name(member): member.slice for member in intent.home_agents},
            )
            for nodes in intent.mobile_nodes
            if isinstance(nodes, RealmNodes)
        }

    def refuse(
        self, place: Place, subject: str, message: str, allowed: str = "", hint: str = ""
    ) -> None:
        self.problems.append(Problem(place, subject, message, allowed=allowed, hint=hint))

    def once(self, place: Place, subject: str, message: str, allowed: str, *also: Place) -> None:
        """A refusal that is found again for every group and service, and told once."""
        problem = Problem(place, subject, message, allowed=allowed, also=also)
        if problem not in self.problems:
            self.problems.append(problem)

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

    def network_of(self, prefix: IPv4Network) -> IPv4Network | None:
        return next((network for network in self.networks if prefix.subnet_of(network)), None)

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


def member_name(member: Member) -> str:
    """The name that bindings are placed by: the host's, or the pair's."""
    return member.pair if isinstance(member, PairMember) else member.host
