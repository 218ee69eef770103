"""The subscribers' sheet: what mobile nodes and Foreign Agents of a cluster are configured from.

It is for people, and pushed to nobody. Keys stand in it as references: whoever configures a mobile
node takes the key from where the intent keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from .errors import Place
from .model import (
    ClusterModel,
    HomeAgentService,
    MobileNode,
    Peer,
    PhysicalNetwork,
    Realm,
    VirtualNetwork,
)
from .render import environment
from .rendered import File, Owner, Platform, Rendered


@dataclass(frozen=True, slots=True)
class Subscribers:
    """What is the same for all of a cluster's members, seen from outside."""

    cluster: str
    home_agent_address: IPv4Address
    service: HomeAgentService
    place: Place

    @property
    def virtual_networks(self) -> tuple[VirtualNetwork, ...]:
        return self.service.virtual_networks

    @property
    def physical_networks(self) -> tuple[PhysicalNetwork, ...]:
        return self.service.physical_networks

    @property
    def realms(self) -> tuple[Realm, ...]:
        return self.service.realms

    @property
    def nodes(self) -> tuple[MobileNode, ...]:
        return self.service.nodes

    @property
    def foreign_agents(self) -> tuple[Peer, ...]:
        return self.service.foreign_agents


SHEETS = {
    "subscribers.txt": "sheet/subscribers.j2",
    "mobile-router.cfg": "sheet/mobile-router.j2",
    "foreign-agent.cfg": "sheet/foreign-agent.j2",
}


def subscribers(cluster: ClusterModel) -> Subscribers:
    """What outsiders need to know of a cluster, from any of its Home Agents: they agree."""
    member = next(device for device in cluster.devices if device.service)
    assert member.service is not None
    return Subscribers(cluster.name, member.home_agent_address, member.service, cluster.place)


def sheet(cluster: ClusterModel) -> Rendered:
    """The sheet of one cluster: a text to read, and the two IOS forms to start from."""
    known = subscribers(cluster)
    context = {"cluster": known}
    wholes = (cluster.place, known.service.place)
    files = []
    for name, template in SHEETS.items():
        output = environment().output(template, context, wholes)
        files.append(File(name, 0o644, Owner.WHOLE, (), output.lines))
    return Rendered(cluster.name, Platform.IOS, tuple(files))
