"""What a FreeRADIUS server needs to know of a cluster: who may ask, and what they are told.

It is pushed to nobody: a RADIUS server serves more than our clusters, and has an owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from .errors import HaccError, Problem
from .model import ClusterModel, DeviceModel, MobileNode, Peer, Realm
from .render import environment
from .rendered import File, Owner, Platform, Rendered


class NoRadius(HaccError):
    """A cluster without a RADIUS server has no entries in one."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the server knows of a cluster."""

    name: str
    home_agent_address: IPv4Address
    home_agents: tuple[DeviceModel, ...]  # that ask it about mobile nodes
    foreign_agents: tuple[Peer, ...]  # that ask it, too
    realms: tuple[Realm, ...]
    nodes: tuple[MobileNode, ...]


def entries(cluster: ClusterModel) -> Rendered:
    """FreeRADIUS's files for one cluster. Raises `NoRadius`."""
    askers = tuple(device for device in cluster.devices if device.agent and device.service)
    service = next(device.service for device in cluster.devices if device.service)
    if not askers or askers[0].radius is None:
        raise NoRadius(
            Problem(cluster.place, cluster.name, "has no RADIUS server that its routers ask",
                    hint="radius: {server: ..., secret: ...}, and Linux Home Agents"),
        )  # fmt: skip
    known = Known(
        name=cluster.name,
        home_agent_address=askers[0].home_agent_address,
        home_agents=askers,
        foreign_agents=tuple(peer for peer in service.foreign_agents if peer.aaa),
        realms=service.realms,
        nodes=service.nodes,
    )
    wholes = (cluster.place, askers[0].radius.place)
    files = {
        f"clients-hacc-{cluster.name}.conf": "radius/clients.j2",
        f"policy.d/hacc-{cluster.name}": "radius/policy.j2",
    }
    return Rendered(
        cluster.name,
        Platform.LINUX,
        tuple(
            File(path, 0o640, Owner.WHOLE, (), output.lines)
            for path, template in files.items()
            for output in (environment().output(template, {"cluster": known}, wholes),)
        ),
    )
