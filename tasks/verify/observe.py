"""Asks routers everything that the checks want to know: one router, or a fleet of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Protocol

from ..devices.fleet import Failure, Fleet
from ..devices.router import Router
from ..model import ClusterModel, DeviceModel
from ..rendered import Platform
from . import ios, linux
from .expected import probes
from .observation import Observation, Part, SnmpAnswer, Unread
from .snmp import Access, Silent, get


class Session(Protocol):
    """A login on a router: on Linux a command for its shell, on IOS a line at the `#` prompt."""

    def run(self, command: str) -> str:
        """What the router printed, without the echo and the prompt."""
        ...


AskSnmp = Callable[[], SnmpAnswer]
Observe = Callable[[Sequence[DeviceModel]], Mapping[str, Observation]]


def observe(
    device: DeviceModel, cluster: ClusterModel, session: Session, ask_snmp: AskSnmp
) -> Observation:
    """One router at one moment. What it refuses to tell is in `unread`; nothing is raised for it.

    A session that breaks raises what it raises: the caller knows whether to try again, and has
    `Observation.failed` for when it gives up.
    """
    if device.platform is Platform.LINUX:
        seen = _linux(device, probes(cluster).values(), session)
    else:
        seen = _ios(device, session)
    return _with_snmp(seen, ask_snmp)


def _linux(device: DeviceModel, ways: Iterable[IPv4Address], session: Session) -> Observation:
    fields, unread = linux.parts(session.run(linux.script(ways)))
    return Observation(device.host, device.platform, unread=tuple(unread), **fields)


def _ios(device: DeviceModel, session: Session) -> Observation:
    simulator = ios.is_simulator(session.run(ios.VERSION))
    answers = {question.command: session.run(question.command) for question in ios.QUESTIONS}
    fields, unread = ios.parts(answers, simulator=simulator)
    return Observation(
        device.host, device.platform, simulator=simulator, unread=tuple(unread), **fields
    )


def _with_snmp(seen: Observation, ask_snmp: AskSnmp) -> Observation:
    if seen.simulator:
        gap = Unread(Part.SNMP, "it is the simulator, which has no SNMP agent yet", expected=True)
        return dataclasses.replace(seen, unread=(*seen.unread, gap))
    try:
        return dataclasses.replace(seen, snmp=ask_snmp())
    except Silent as silent:
        return dataclasses.replace(seen, unread=(*seen.unread, Unread(Part.SNMP, str(silent))))


def observer(cluster: ClusterModel, fleet: Fleet, opened: Mapping[str, str]) -> Observe:
    """Observes many routers at once over the fleet's sessions; what fails is an observation too."""

    def step(router: Router, host: str) -> Observation:
        device = cluster.device(host)
        access = Access.of(device.snmp, opened)
        return observe(device, cluster, router, lambda: get(device.management, access))

    def observe_all(devices: Sequence[DeviceModel]) -> Mapping[str, Observation]:
        outcomes = fleet.run(step, [device.host for device in devices])
        return {
            device.host: Observation.failed(device.host, device.platform, _reason(outcome))
            if isinstance(outcome := outcomes[device.host], Failure)
            else outcome
            for device in devices
        }

    return observe_all


def _reason(failure: Failure) -> str:
    return "; ".join(problem.message for problem in failure.error.problems)
