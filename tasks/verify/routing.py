"""Judges of the ways: OSPF's adjacencies, who announces which prefix, where packets go."""

from __future__ import annotations

import dataclasses
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


# What is wrong at a router about an announced prefix: "" where all is well.
Finding = Callable[[Observation, Announcement], str]


def _ways(
    view: View,
    check: str,
    part: Part,
    wrong_with: Finding,
    asked: Callable[[DeviceModel, Announcement], bool] = lambda *_: True,
) -> Iterator[Result]:
    """Judge each announced prefix at every Linux router that does not announce it itself."""
    for announcement in announcements(view.cluster):
        hosts = view.announcers(announcement)
        now = dataclasses.replace(announcement, hosts=hosts or announcement.hosts)
        mute = [host for host in now.hosts if view.of(host).simulator]
        for device, seen in view.devices(Platform.LINUX):
            if device.host in now.hosts or not asked(device, now):
                continue
            expected = f"through {listed(now.hosts)}"
            claim = Claim(check, device.host, str(now.prefix), expected, now.place)
            if hosts is None:
                yield claim.skipped(f"{now.group} has no single active router: see one-owner")
            elif mute:
                yield claim.skipped(f"{listed(mute)}: the simulator, which announces nothing")
            elif gap := view.gap(claim, part):
                yield gap
            elif wrong := wrong_with(seen, now):
                yield claim.failed(wrong, _hint(view, now))
            else:
                yield claim.passed(expected)


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
    addresses = probes(view.cluster)

    def asked(device: DeviceModel, announcement: Announcement) -> bool:
        """No address is left where slices cover the whole network; a member's own is its own."""
        address = addresses.get(announcement.prefix)
        own = device.holds_home_agent_address and address == device.home_agent_address
        return address is not None and not own

    def wrong_with(seen: Observation, announcement: Announcement) -> str:
        address = addresses[announcement.prefix]
        hop = next((hop for hop in seen.forwarding if hop.destination == address), None)
        if hop is None or hop.kind == "unreachable":
            return f"no way to {address}"
        if hop.kind != "unicast":
            return f"{address} is {hop.kind}, the router keeps it to itself"
        if hop.gateway in view.lan_addresses(announcement.hosts):
            return ""
        return f"{address} goes through {hop.gateway or 'no gateway'} on {hop.interface}"

    yield from _ways(view, "forwarding", Part.ROUTES, wrong_with, asked)
