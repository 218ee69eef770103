"""What a cluster announces to its neighbours, and by which addresses a router is asked about it.

A home network is announced by the active controller, a slice of it by the member that assigns
from it. Where a packet goes is asked for one address of each (`ip route get`): an address that
no longer prefix covers, or the answer would be about the slice and not about the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ..errors import Place
from ..model import ClusterModel, DeviceModel, StandbyGroup


@dataclass(frozen=True, slots=True)
class Announcement:
    """A prefix, and who may announce it: the active router of a group, or a member's hosts."""

    prefix: IPv4Network
    hosts: tuple[str, ...]
    group: str | None  # the standby group whose active router announces it
    place: Place


@dataclass(frozen=True, slots=True)
class Group:
    """A standby group with all its routers, the preferred one first."""

    name: str
    parts: tuple[tuple[DeviceModel, StandbyGroup], ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(device.host for device, _ in self.parts)

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """The virtual address, and what else its owner holds (the virtual Home Agent address)."""
        part = self.parts[0][1]
        return (part.address, *(address.ip for address in part.follows))


def groups(cluster: ClusterModel) -> tuple[Group, ...]:
    parts: dict[str, list[tuple[DeviceModel, StandbyGroup]]] = {}
    for device in cluster.devices:
        for group in device.groups:
            parts.setdefault(group.name, []).append((device, group))
    return tuple(
        Group(name, tuple(sorted(members, key=lambda part: -part[1].priority)))
        for name, members in parts.items()
    )


def announcements(cluster: ClusterModel) -> tuple[Announcement, ...]:
    found: dict[IPv4Network, Announcement] = {}
    for group in groups(cluster):
        part = group.parts[0][1]
        prefixes = {*part.announces, *(follower.network for follower in part.follows)}
        for prefix in sorted(prefixes):
            # Two groups of the same routers (one on each LAN) may announce the same network.
            found.setdefault(prefix, Announcement(prefix, group.hosts, group.name, part.place))
    for device in cluster.devices:
        for prefix in device.service.announces if device.service else ():
            before = found.get(prefix)
            if before is None or before.group is None:
                hosts = (*(before.hosts if before else ()), device.host)
                found[prefix] = Announcement(prefix, hosts, None, device.place)
    return tuple(found.values())


def probe(prefix: IPv4Network, others: list[IPv4Network]) -> IPv4Address | None:
    """The first address of the prefix that no other, longer prefix covers; None if none is left."""
    inner = sorted(
        other for other in others if other != prefix and other.subnet_of(prefix)
    )  # by address, the shorter of two with the same start first
    address = int(prefix.network_address)
    for other in inner:
        if int(other.network_address) > address:
            break
        address = max(address, int(other.broadcast_address) + 1)
    return IPv4Address(address) if address <= int(prefix.broadcast_address) else None


def probes(cluster: ClusterModel) -> dict[IPv4Network, IPv4Address]:
    """For each announced prefix the address to ask about."""
    prefixes = [announcement.prefix for announcement in announcements(cluster)]
    asked = {prefix: probe(prefix, prefixes) for prefix in prefixes}
    return {prefix: address for prefix, address in asked.items() if address is not None}
