"""Judges of the ways: OSPF's adjacencies, who announces which prefix, where packets go."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..model import DeviceModel, LanPort
from ..platforms.ios_names import canonical
from ..rendered import Platform
from .expected import Announcement, announcements, probes
from .observation import Observation, Part
from .verdict import Claim, Result
from .view import View, listed


def adjacencies(view: View) -> Iterator[Result]:
    for device, seen in view.devices():
        for other in view.cluster.devices:
            if other is device:
                continue
            for port, _ in view.shared(device, other):
                subject = f"OSPF to {other.host} on {canonical(port.name)}"
                claim = Claim("adjacencies", device.host, subject, "Full", other.ospf.place)
                if gap := view.gap(claim, Part.OSPF):
                    yield gap
                elif view.of(other.host).simulator:
                    yield claim.skipped(f"{other.host} is the simulator, which speaks no OSPF")
                else:
                    yield _adjacency(claim, seen, other, port)


def _adjacency(claim: Claim, seen: Observation, other: DeviceModel, port: LanPort) -> Result:
    """Full; or 2-Way where neither end is the LAN's designated router (RFC 2328 section 10.4)."""
    name = canonical(port.name)
    there = [near for near in seen.ospf_neighbours if canonical(near.interface) == name]
    known = next((near for near in there if near.router_id == other.router_id), None)
    if known is None:
        return claim.failed(
            "no such neighbour",
            f"compare area, hello and dead intervals, and authentication with {other.host}",
        )
    others_elected = {near.role for near in there if near.state == "Full"} >= {"DR", "Backup"}
    if known.state == "Full" or (
        known.state == "2-Way" and known.role == "DROther" and others_elected
    ):
        return claim.passed(known.state)
    stuck = known.state in ("ExStart", "Exchange")
    return claim.failed(known.state, "compare the MTU of the two interfaces" if stuck else "")


Finding = Callable[[Observation, Announcement], str | None]


def _ways(view: View, check: str, part: Part, wrong_with: Finding) -> Iterator[Result]:
    """Judge each announced prefix at every Linux router that does not announce it itself.

    `wrong_with` says what is wrong there: nothing ("") where all is well, None where the router
    cannot be asked. What is right is told once for a prefix, what is wrong for each router.
    """
    for announcement in announcements(view.cluster):
        prefix, place = str(announcement.prefix), announcement.place
        hosts = view.announcers(announcement)
        if hosts is None:
            claim = Claim(check, listed(announcement.hosts), prefix, "one announcer", place)
            yield claim.skipped(f"{announcement.group} has no single active router: see one-owner")
            continue
        expected = f"through {listed(hosts)}"
        if mute := [host for host in hosts if view.of(host).simulator]:
            claim = Claim(check, listed(hosts), prefix, expected, place)
            yield claim.skipped(f"{listed(mute)}: the simulator, which announces nothing by OSPF")
            continue
        now = Announcement(announcement.prefix, hosts, announcement.group, place)
        right = []
        for device, seen in view.devices(Platform.LINUX):
            if device.host in hosts:
                continue
            claim = Claim(check, device.host, prefix, expected, place)
            if gap := view.gap(claim, part):
                yield gap
            elif wrong := wrong_with(seen, now):
                yield claim.failed(wrong, _hint(view, now))
            elif wrong == "":
                right.append(device.host)
        if right:
            claim = Claim(check, listed(hosts), prefix, expected, place)
            yield claim.passed(f"{expected}, seen from {listed(right)}")


def _hint(view: View, announcement: Announcement) -> str:
    units = {host: view.of(host).unit("frr") for host in announcement.hosts}
    if down := [host for host, unit in units.items() if unit and unit.state != "active"]:
        return f"frr is not running on {listed(down)}"
    return f"is it announced? on {listed(announcement.hosts)}: show ip ospf database"


def announced(view: View) -> Iterator[Result]:
    def wrong_with(seen: Observation, announcement: Announcement) -> str:
        route = next((r for r in seen.ospf_routes if r.prefix == announcement.prefix), None)
        if route is None:
            return "not in OSPF's table"
        right = view.lan_addresses(announcement.hosts)
        if route.gateways and set(route.gateways) <= right:
            return ""
        return f"through {listed(route.gateways) or 'no gateway'}"

    yield from _ways(view, "announced", Part.OSPF, wrong_with)


def forwarding(view: View) -> Iterator[Result]:
    asked = probes(view.cluster)

    def wrong_with(seen: Observation, announcement: Announcement) -> str | None:
        address = asked.get(announcement.prefix)
        device = view.cluster.device(seen.host)
        if address is None:
            return None  # the slices cover the whole network: no address is left to ask about
        if device.holds_home_agent_address and address == device.home_agent_address:
            return None  # its own, on its loopback
        hop = next((hop for hop in seen.forwarding if hop.destination == address), None)
        if hop is None or hop.kind == "unreachable":
            return f"no way to {address}"
        if hop.kind != "unicast":
            return f"{address} is {hop.kind}, the router keeps it to itself"
        if hop.gateway in view.lan_addresses(announcement.hosts):
            return ""
        return f"{address} goes through {hop.gateway or 'no gateway'} on {hop.interface}"

    yield from _ways(view, "forwarding", Part.ROUTES, wrong_with)
