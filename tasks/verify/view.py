"""A cluster as it should be beside what was seen of it, and what both together tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from ..model import ClusterModel, DeviceModel, LanPort, StandbyGroup
from ..platforms.ios_names import canonical
from ..rendered import Platform
from .expected import Announcement, Group, groups
from .observation import Observation, Part
from .verdict import Claim, Result


def listed(things: Iterable[object]) -> str:
    return ", ".join(str(thing) for thing in things)


@dataclass(frozen=True, slots=True)
class View:
    cluster: ClusterModel
    seen: Mapping[str, Observation]

    def of(self, host: str) -> Observation:
        return self.seen[host]

    def devices(
        self, platform: Platform | None = None
    ) -> Iterator[tuple[DeviceModel, Observation]]:
        for device in self.cluster.devices:
            if platform in (None, device.platform):
                yield device, self.seen[device.host]

    def gap(self, claim: Claim, part: Part) -> Result | None:
        """The result when the part was not read; None when it was.

        A router that gave nothing at all fails once, in `reachable`: the rest is skipped.
        """
        gap = self.seen[claim.host].missing(part)
        if gap is None:
            return None
        if gap.expected or gap.part is Part.ALL:
            return claim.skipped(gap.reason)
        return claim.failed(f"could not be read: {gap.reason}")

    def owns(self, device: DeviceModel, group: StandbyGroup, address: IPv4Address) -> bool | None:
        """Whether a router of a group answers for one of its addresses; None: cannot be told.

        On Linux whoever has the address on an interface answers for it, whatever its daemon
        believes. IOS has no address to show: the active router of the group answers.
        """
        seen = self.seen[device.host]
        if device.platform is Platform.LINUX:
            return None if seen.missing(Part.ADDRESSES) else bool(seen.holds(address))
        if seen.missing(Part.GROUPS):
            return None
        return any(
            state.group == group.group
            and canonical(state.interface) == canonical(group.port.name)
            and state.state == "Active"
            for state in seen.groups
        )

    def owners(self, group: Group, address: IPv4Address) -> tuple[list[str], list[str]]:
        """Who owns an address of a group, and of whom that cannot be told."""
        told = {device.host: self.owns(device, part, address) for device, part in group.parts}
        return (
            [host for host, owns in told.items() if owns],
            [host for host, owns in told.items() if owns is None],
        )

    def announcers(self, announcement: Announcement) -> tuple[str, ...] | None:
        """Who should announce a prefix now; None while its group has no single active router."""
        if announcement.group is None:
            return announcement.hosts
        group = next(g for g in groups(self.cluster) if g.name == announcement.group)
        owners, _ = self.owners(group, group.addresses[0])
        return (owners[0],) if len(owners) == 1 else None

    def lan_addresses(self, hosts: Iterable[str]) -> set[IPv4Address]:
        return {port.address.ip for host in hosts for port in self.cluster.device(host).ports}

    @staticmethod
    def shared(device: DeviceModel, other: DeviceModel) -> list[tuple[LanPort, LanPort]]:
        """The ports by which two routers are on the same LAN: the first one's, the other's."""
        theirs = {port.lan: port for port in other.ports}
        return [(port, theirs[port.lan]) for port in device.ports if port.lan in theirs]
