"""Judges of the service itself: the Home Agent, its bindings, discovery, and SNMP."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..model import DeviceModel, HomeAgentService
from ..platforms.ios_names import canonical
from ..rendered import Platform
from .observation import AgentStatus, HomeAgentGlobals, Lans, Observation, Part
from .verdict import Claim, Result
from .view import View, listed


def home_agent(view: View) -> Iterator[Result]:
    for device, seen in view.devices():
        if device.service is None:
            continue
        claim = Claim("home-agent", device.host, "Home Agent", "in service", device.service.place)
        if gap := view.gap(claim, Part.HOME_AGENT):
            yield gap
        elif device.platform is Platform.LINUX:
            yield _agent(claim, device, seen.agent)
        elif seen.home_agent is None or not seen.home_agent.enabled:
            hint = "`router mobile` and `ip mobile home-agent` start it"
            yield claim.failed("not enabled", hint)
        elif wrong := _misconfigured(device, device.service, seen.home_agent):
            yield claim.failed(wrong)
        else:
            served = listed(seen.home_agent.networks) or "physical networks"
            yield claim.passed(f"serves {served}")


def _agent(claim: Claim, device: DeviceModel, told: AgentStatus | None) -> Result:
    if told is None:
        return claim.failed("was not asked")
    if (told.name, told.role, told.cluster) != (device.host, device.role, device.cluster):
        hint = f"on {device.host}: systemctl restart hacc-agent"
        return claim.failed(f"runs as {told.name}, {told.role} of {told.cluster}", hint)
    if told.trouble:
        return claim.failed(f"its journal: {told.trouble}", f"on {device.host}: df /var/lib/hacc")
    return claim.passed(f"runs as {told.role} of {told.cluster}")


def table(view: View) -> Iterator[Result]:
    """The active controller knows as many bindings of each member as the member itself."""
    for device, seen in _active(view):
        claim = Claim("table", device.host, "its bindings", "its members'", device.place)
        if gap := view.gap(claim, Part.HOME_AGENT):
            yield gap
        elif seen.agent is not None:
            yield _compared(view, claim, seen.agent)


def members(view: View) -> Iterator[Result]:
    """The active controller judges them; who is down has lost its mobile nodes to others."""
    for device, seen in _active(view):
        claim = Claim("members", device.host, "its members", "well", device.place)
        if gap := view.gap(claim, Part.HOME_AGENT):
            yield gap
        elif seen.agent is None:
            continue
        elif seen.agent.unwell:
            told = listed(f"{name} is {why}" for name, why in seen.agent.unwell)
            yield claim.failed(told, f"on {device.host}: hacc-agent status; hacc-agent events")
        else:
            yield claim.passed("well")


def _active(view: View) -> Iterator[tuple[DeviceModel, Observation]]:
    """The virtual Home Agent address is on the active one alone, and no member is a controller."""
    for device, seen in view.devices(Platform.LINUX):
        if device.service is None and seen.holds(device.home_agent_address):
            yield device, seen


def _compared(view: View, claim: Claim, told: AgentStatus) -> Result:
    known = dict(told.members)
    wrong = []
    for device, seen in view.devices(Platform.LINUX):
        if device.service is None or seen.agent is None:
            continue
        own, theirs = seen.agent.bindings, known.get(device.service.member, 0)
        # Routers are not asked at one moment: what is under way, and a hundredth, may differ.
        if abs(own - theirs) > told.pending + max(own, theirs) // 100:
            wrong.append(f"{theirs} of {device.host}, which has {own}")
    if wrong:
        return claim.failed(listed(wrong), f"on {claim.host}: hacc-agent resync")
    return claim.passed(f"{told.bindings}, as on the members")


def _misconfigured(device: DeviceModel, service: HomeAgentService, told: HomeAgentGlobals) -> str:
    """What differs from the intent; what a release of IOS does not print is not held against it."""
    wrong = []
    if told.address not in (None, device.home_agent_address):
        wrong.append(f"its address is {told.address}, not {device.home_agent_address}")
    if told.lifetime_s not in (None, service.lifetime_s):
        wrong.append(f"grants {told.lifetime_s} s, not {service.lifetime_s} s")
    wanted = {network.prefix for network in service.virtual_networks}
    if absent := sorted(wanted - set(told.networks)):
        wrong.append(f"does not serve {listed(absent)}")
    if extra := sorted(set(told.networks) - wanted):
        wrong.append(f"serves {listed(extra)}, which the intent does not name")
    return "; ".join(wrong)


def bindings(view: View) -> Iterator[Result]:
    for device, seen in view.devices():
        if device.service is None:
            continue
        most = device.service.max_bindings
        claim = Claim(
            "bindings", device.host, "mobility bindings", f"at most {most}", device.service.place
        )
        linux = device.platform is Platform.LINUX
        count = seen.agent.bindings if seen.agent else len(seen.bindings)
        if gap := view.gap(claim, Part.HOME_AGENT if linux else Part.BINDINGS):
            yield gap
        elif count <= most:
            yield claim.passed(f"{count} of {most}")
        else:
            hint = "raise max_bindings, or give more of the pool to other members"
            yield claim.failed(str(count), hint)


def discovery(view: View) -> Iterator[Result]:
    for device, seen in view.devices(Platform.IOS):
        for other, _ in view.devices(Platform.IOS):
            if other is device or not (device.discovery and other.discovery):
                continue
            for port, theirs in view.shared(device, other):
                name, remote = canonical(port.name), canonical(theirs.name)
                subject, expected = f"{other.host} on {name}", f"by its {remote}"
                claim = Claim("discovery", device.host, subject, expected, port.place)
                near = {
                    canonical(neighbour.remote_interface)
                    for neighbour in seen.neighbours
                    if neighbour.host == other.host and canonical(neighbour.local_interface) == name
                }
                if gap := view.gap(claim, Part.NEIGHBOURS):
                    yield gap
                elif remote in near:
                    yield claim.passed(expected)
                elif near:
                    hint = "the cabling differs from the inventory"
                    yield claim.failed(f"by its {listed(sorted(near))}", hint)
                else:
                    hint = "CDP is off somewhere, or they are not on one segment"
                    yield claim.failed("not seen", hint)


def neighbours(view: View) -> Iterator[Result]:
    """Routers with an agent hear one another; of stock ones a controller knows by CDP or LLDP."""
    for device, lans in _lans(view):
        expected = "those of the cluster are heard"
        claim = Claim("neighbours", device.host, "agents on its LANs", expected, device.place)
        if isinstance(lans, Result):
            yield dataclasses.replace(lans, check="neighbours")
            continue
        running = {
            host.host
            for host, seen in view.devices()
            if (unit := seen.unit("hacc-agent")) is not None and unit.state == "active"
        }
        missing = [one.router for one in lans.findings if one.verdict == "missing"]
        # Whose agent does not run cannot be heard: that is for the services to say.
        if lost := [host for host in missing if host in running]:
            hint = (
                f"a LAN between them, or multicast on it: on {device.host}: hacc-agent neighbours"
            )
            yield claim.failed(f"{listed(lost)} not heard", hint)
        elif awaited := [host for host in lans.awaited if host in running]:
            yield claim.waiting(f"{listed(awaited)} not heard yet")
        else:
            yield claim.passed(f"{lans.heard} heard")
        agent = view.of(device.host).agent
        for one in agent.stock if agent is not None else ():
            expected = f"on a LAN with {device.host}"
            placed = Claim("neighbours", device.host, one.router, expected, device.place)
            yield placed.passed(f"by {one.proof}") if one.proof else placed.skipped(one.why)


def strangers(view: View) -> Iterator[Result]:
    for device, lans in _lans(view):
        if isinstance(lans, Result):
            yield dataclasses.replace(lans, check="strangers")
            continue
        claim = Claim("strangers", device.host, "agents on its LANs", "no others", device.place)
        others = [one for one in lans.findings if one.verdict != "missing"]
        if others:
            told = listed(f"{one.verdict} {one.address}, {one.why}" for one in others)
            yield claim.failed(told, f"on {device.host}: hacc-agent neighbours")
        else:
            yield claim.passed("no others")


def _lans(view: View) -> Iterator[tuple[DeviceModel, Lans | Result]]:
    """What each agent hears, or why that is not known."""
    for device, seen in view.devices():
        if device.agent is None:
            continue
        claim = Claim("", device.host, "agents on its LANs", "known", device.place)
        if seen.agent is None:  # which is for the service to say
            yield device, claim.skipped("its agent could not be asked")
        elif seen.agent.lans is None:
            yield device, claim.skipped("its agent does not advertise")
        else:
            yield device, seen.agent.lans


def snmp(view: View) -> Iterator[Result]:
    for device, seen in view.devices():
        subject, expected = f"SNMP version {device.snmp.version}", f"answers as {device.host}"
        claim = Claim("snmp", device.host, subject, expected, device.snmp.place)
        if gap := view.gap(claim, Part.SNMP):
            yield gap
        elif seen.snmp is None:
            yield claim.failed("was not asked")
        elif seen.snmp.system_name.partition(".")[0] == device.host.partition(".")[0]:
            yield claim.passed(f"answers as {seen.snmp.system_name}")
        else:
            hint = "another router has this address, or its name was changed"
            yield claim.failed(f"answers as {seen.snmp.system_name!r}", hint)
