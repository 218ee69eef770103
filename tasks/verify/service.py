"""Judges of the service itself: the Home Agent, its bindings, discovery, and SNMP."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import DeviceModel, HomeAgentService
from ..platforms.ios_names import canonical
from ..rendered import Platform
from .observation import AgentStatus, HomeAgentGlobals, Observation, Part
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
