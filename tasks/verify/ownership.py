"""Judges of who answers for which address: the standby groups, the loopbacks, the LANs."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import DeviceModel, RedundancyProtocol, StandbyGroup
from ..platforms.ios_names import canonical
from ..rendered import Platform
from .expected import groups
from .observation import Part
from .verdict import Claim, Result
from .view import View, listed


def reachable(view: View) -> Iterator[Result]:
    for device, seen in view.devices():
        claim = Claim("reachable", device.host, "login", "answers", device.place)
        gap = seen.missing(Part.ALL)
        if gap:
            yield claim.failed(gap.reason, "no check of this router could be made")
        else:
            yield claim.passed("answers")


def one_owner(view: View) -> Iterator[Result]:
    for group in groups(view.cluster):
        for address in group.addresses:
            owners, untold = view.owners(group, address)
            strays = [
                device.host
                for device, seen in view.devices()
                if device.host not in group.hosts
                and not (device.holds_home_agent_address and address == device.home_agent_address)
                and seen.holds(address)
            ]
            found = owners + strays
            claim = Claim(
                "one-owner",
                listed(group.hosts),
                f"{address} ({group.name})",
                "exactly one owner",
                group.parts[0][1].place,
            )
            if strays:
                yield claim.failed(
                    f"owned by {listed(found)}",
                    f"remove {address} from {listed(strays)}: not in the group",
                )
            elif len(owners) > 1:
                yield claim.failed(
                    f"owned by {listed(owners)}",
                    "they do not hear each other: compare the LAN between them, and the group's"
                    " version and authentication",
                )
            elif untold:
                so_far = f", seen at {owners[0]}" if owners else ""
                yield claim.skipped(f"{listed(untold)} could not be read{so_far}")
            elif owners:
                yield claim.passed(f"owned by {owners[0]}")
            else:
                yield claim.failed(
                    "owned by no router",
                    "look at the LAN interfaces, and at the daemon that holds the group",
                )


def _preempt_left(view: View, device: DeviceModel, group: StandbyGroup) -> int | None:
    """Seconds of the preferred router's preempt delay that are left, as far as can be told.

    IOS counts from the interface's return, our speaker and keepalived from when they first hear a
    lower priority: the last change of state, and the age of the process, are the nearest that they
    show.
    """
    seen = view.of(device.host)
    if group.protocol is RedundancyProtocol.HSRP:
        since = next((s.changed_s for s in seen.groups if s.group == group.group), None)
    else:
        unit = seen.unit("keepalived")
        since = unit.running_s if unit and unit.state == "active" else None
    if since is None or since >= group.preempt_delay_s:
        return None
    return group.preempt_delay_s - since


def _why_not_active(view: View, device: DeviceModel, group: StandbyGroup) -> str:
    sunk = (s for s in view.of(device.host).groups if s.group == group.group)
    priority = next((s.priority for s in sunk if s.priority < group.priority), None)
    if priority is not None:
        return f"the priority of {device.host} has sunk to {priority}: what it tracks is down"
    return f"see why {device.host} does not take over: its LAN interface, its daemon, its priority"


def roles(view: View) -> Iterator[Result]:
    for group in groups(view.cluster):
        device, part = group.parts[0]
        owners, untold = view.owners(group, part.address)
        expected = f"{device.host} active, priority {part.priority}"
        claim = Claim("roles", device.host, group.name, expected, part.place)
        if owners == [device.host]:
            yield claim.passed(f"{device.host} is active")
        elif len(owners) > 1:
            yield claim.skipped(f"{listed(owners)} are active: see one-owner")
        elif untold:
            yield claim.skipped(f"{listed(untold)} could not be read")
        elif not owners:
            yield claim.failed("no router is active")
        elif (left := _preempt_left(view, device, part)) is not None:
            yield claim.waiting(
                f"{owners[0]} is active; {device.host} preempts in about {left} s"
                f" (preempt delay {part.preempt_delay_s} s)"
            )
        else:
            hint = _why_not_active(view, device, part)
            yield claim.failed(f"{owners[0]} is active", hint)


def addresses(view: View) -> Iterator[Result]:
    for device, seen in view.devices():
        for port in device.ports:
            name = canonical(port.name)
            subject = f"{port.address} on {name}"
            claim = Claim("addresses", device.host, subject, "present, up", port.place)
            there = [
                held
                for held in seen.addresses
                if canonical(held.interface) == name
                and held.address == port.address.ip
                and held.length in (None, port.address.network.prefixlen)
            ]
            if gap := view.gap(claim, Part.ADDRESSES):
                yield gap
            elif any(held.up for held in there):
                yield claim.passed("present, up")
            elif there:
                yield claim.failed("the interface is down", "look at the cable, or `shutdown`")
            else:
                yield claim.failed("absent")


def _on_loopback(interface: str) -> bool:
    return interface == "lo" or canonical(interface).startswith("Loopback")


def loopback(view: View) -> Iterator[Result]:
    for device, seen in view.devices():
        wanted = {device.router_id: "other routers know it by this address"}
        if device.holds_home_agent_address:
            wanted[device.home_agent_address] = (
                "registrations that the controllers pass on are addressed to it"
            )
        for address, why in wanted.items():
            claim = Claim(
                "loopback", device.host, f"{address}/32", "on a loopback alone", device.place
            )
            held = seen.holds(address)
            astray = [there.interface for there in held if not _on_loopback(there.interface)]
            wide = [there.length for there in held if there.length not in (None, 32)]
            if gap := view.gap(claim, Part.ADDRESSES):
                yield gap
            elif not held:
                yield claim.failed("absent", why)
            elif astray:
                yield claim.failed(
                    f"on {listed(astray)}",
                    "there the router answers ARP for it, and the controllers are bypassed",
                )
            elif wide:
                yield claim.failed(f"a /{wide[0]}", "one address, not a subnet")
            else:
                yield claim.passed(f"on {listed(there.interface for there in held)}")


def arp(view: View) -> Iterator[Result]:
    """arp_ignore 1 and 2 answer only for addresses of the interface asked; arp_announce 2 never
    lets the address out as an ARP source (kernel, ip-sysctl.rst)."""
    for device, seen in view.devices(Platform.LINUX):
        if not device.holds_home_agent_address:
            continue
        for port in device.ports:
            expected = "arp_ignore 1 or 2, arp_announce 2"
            claim = Claim("arp", device.host, port.name, expected, port.place)
            rules = next((rules for rules in seen.arp if rules.interface == port.name), None)
            if gap := view.gap(claim, Part.KERNEL):
                yield gap
            elif rules is None:
                yield claim.failed("no such interface")
            elif rules.ignore in (1, 2) and rules.announce == 2:
                yield claim.passed(f"arp_ignore {rules.ignore}, arp_announce {rules.announce}")
            else:
                yield claim.failed(
                    f"arp_ignore {rules.ignore}, arp_announce {rules.announce}",
                    f"the router may answer ARP for {device.home_agent_address}, and take its"
                    " traffic from the controllers",
                )


def forwards(view: View) -> Iterator[Result]:
    for device, seen in view.devices(Platform.LINUX):
        claim = Claim("forwards", device.host, "IPv4 packets", "forwarded", device.place)
        if gap := view.gap(claim, Part.KERNEL):
            yield gap
        elif seen.forwards:
            yield claim.passed("forwarded")
        else:
            hint = f"on {device.host}: sysctl net.ipv4.ip_forward; FRR's `no ip forwarding` sets it"
            yield claim.failed("dropped", hint)


def services(view: View) -> Iterator[Result]:
    for device, seen in view.devices(Platform.LINUX):
        wanted = ["frr", "snmpd"]
        if device.agent is not None:
            wanted.append("hacc-agent")
        if device.api is not None:
            wanted.append("hacc-agent-api")
        if any(group.protocol is RedundancyProtocol.VRRP for group in device.groups):
            wanted.append("keepalived")
        if any(group.protocol is RedundancyProtocol.HSRP for group in device.groups):
            wanted.append("hacc-hsrp")
        for name in wanted:
            claim = Claim("services", device.host, name, "active", device.place)
            unit = seen.unit(name)
            if gap := view.gap(claim, Part.UNITS):
                yield gap
            elif unit and unit.state == "active":
                yield claim.passed("active")
            else:
                hint = f"on {device.host}: systemctl status {name}"
                state = unit.state if unit else "unknown"
                # systemd has given it up: it stays so until somebody starts it.
                yield claim.failed(state, hint, lasting=state == "failed")
