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
from .snmp import Access, Silent, ask


class Session(Protocol):
    """A login on a router: on Linux a command for its shell, on IOS a line at the `#` prompt."""

    def run(self, command: str) -> str:
        """What the router printed, without the echo and the prompt."""
        ...


def observe(
    device: DeviceModel, cluster: ClusterModel, session: Session, *, one_by_one: bool = False
) -> Observation:
    """One router at one moment. What it refuses to tell is in `unread`; nothing is raised for it.

    `one_by_one`: also which bindings an agent holds, where they are few. IOS tells that anyway.
    A session that breaks raises what it raises: the caller knows whether to try again, and has
    `Observation.failed` for when it gives up.
    """
    if device.platform is Platform.LINUX:
        return _linux(device, probes(cluster).values(), session, one_by_one=one_by_one)
    return _ios(device, session)


def _linux(
    device: DeviceModel, ways: Iterable[IPv4Address], session: Session, *, one_by_one: bool
) -> Observation:
    # A controller and a Home Agent run an agent; a gateway has nothing to tell.
    asked = one_by_one and device.agent is not None
    fields, unread = linux.parts(session.run(linux.script(ways, one_by_one=asked)))
    return Observation(device.host, device.platform, unread=tuple(unread), **fields)


def _ios(device: DeviceModel, session: Session) -> Observation:
    version = session.run(ios.VERSION)
    simulator = ios.is_simulator(version)
    answers = {question.command: session.run(question.command) for question in ios.QUESTIONS}
    fields, unread = ios.parts(answers, simulator=simulator)
    return Observation(
        device.host,
        device.platform,
        simulator=simulator,
        unread=tuple(unread),
        version=ios.release(version),
        **fields,
    )


Ask = Callable[[Mapping[str, tuple[str, Access]]], Mapping[str, SnmpAnswer | Silent]]


def with_snmp(
    devices: Mapping[str, DeviceModel],
    seen: Mapping[str, Observation],
    opened: Mapping[str, str],
    ask: Ask = ask,
) -> dict[str, Observation]:
    """The observations with SNMP's answers, asked of all routers at once."""
    targets = {
        host: (devices[host].management, Access.of(devices[host].snmp, opened))
        for host, observation in seen.items()
        if not _runs_no_snmpd(observation)
    }
    answers = ask(targets)
    return {host: _answered(observation, answers.get(host)) for host, observation in seen.items()}


class SnmpRounds:
    """SNMP's part of round after round: who has answered is not asked again.

    A question of version 3 costs 20 ms of this machine, and what is tested by it (the address, the
    access rules, the keys) stays with the snmpd that answered: so an answer holds for as long as
    that process lives.
    """

    def __init__(self, opened: Mapping[str, str], ask: Ask = ask) -> None:
        self._opened = opened
        self._ask = ask
        self._answers: dict[str, tuple[SnmpAnswer, int]] = {}  # and the age of the process

    def complete(
        self, devices: Mapping[str, DeviceModel], seen: Mapping[str, Observation]
    ) -> dict[str, Observation]:
        """The observations of a round with SNMP's answers."""
        known = {host: told for host, one in seen.items() if (told := self._known(host, one))}
        asked = {host: one for host, one in seen.items() if host not in known}
        complete = with_snmp(devices, asked, self._opened, self._ask)
        complete |= {host: _answered(seen[host], answer) for host, answer in known.items()}
        for host, one in complete.items():
            if one.snmp is not None and (age := _snmpd_age(one)) is not None:
                self._answers[host] = (one.snmp, age)
        return complete

    def _known(self, host: str, seen: Observation) -> SnmpAnswer | None:
        age = _snmpd_age(seen)
        if age is None or host not in self._answers:
            return None
        answer, age_before = self._answers[host]
        return answer if age >= age_before else None


def _snmpd_age(seen: Observation) -> int | None:
    """For how many seconds snmpd has run; None where it doesn't, or nobody can tell."""
    unit = seen.unit("snmpd")
    return unit.running_s if unit and unit.state == "active" else None


def _runs_no_snmpd(seen: Observation) -> bool:
    """Nobody needs to wait for an answer of a daemon that is known not to run."""
    unit = seen.unit("snmpd")
    return unit is not None and unit.state == "inactive"


def _answered(seen: Observation, answer: SnmpAnswer | Silent | None) -> Observation:
    if isinstance(answer, SnmpAnswer):
        return dataclasses.replace(seen, snmp=answer)
    gap = Unread(Part.SNMP, answer.reason if answer else "snmpd does not run")
    return dataclasses.replace(seen, unread=(*seen.unread, gap))


def observer(
    fleet: Fleet, opened: Mapping[str, str], ask: Ask = ask
) -> Callable[[Sequence[ClusterModel]], Mapping[str, Observation]]:
    """Observes many routers at once over the fleet's sessions; what fails is an observation too."""
    snmp = SnmpRounds(opened, ask)

    def observe_all(clusters: Sequence[ClusterModel]) -> Mapping[str, Observation]:
        of = {device.host: cluster for cluster in clusters for device in cluster.devices}
        devices = {host: cluster.device(host) for host, cluster in of.items()}

        def step(router: Router, host: str) -> Observation:
            return observe(devices[host], of[host], router)

        outcomes = fleet.run(step, devices)
        seen = {
            host: Observation.failed(host, device.platform, _reason(outcome))
            if isinstance(outcome := outcomes[host], Failure)
            else outcome
            for host, device in devices.items()
        }
        return snmp.complete(devices, seen)

    return observe_all


def _reason(failure: Failure) -> str:
    return "; ".join(problem.message for problem in failure.error.problems)
