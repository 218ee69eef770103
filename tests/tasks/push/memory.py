"""Routers in memory under the real fleet, runner, journal and course, and every way to die.

`World.point` is passed before anything that has an effect outside of the orchestrator's memory: a
record, a file, a line to a router, an answer of one. At a chosen point a thing happens: the process
dies (from there on nothing that it does has any effect), a router reloads, a link is cut, a timer
ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tasks import durable, journal, push, resume, runs
from tasks.course import Applied, Verify
from tasks.devices import fleet as fleets
from tasks.devices.errors import DeviceError, LineRejected, Moved, SessionLost
from tasks.devices.fleet import Fleet
from tasks.devices.router import Job
from tasks.devices.session import Target
from tasks.hostkeys import HostKeys
from tasks.plan import FORMAT, HostPlan, Plan, Wave, plan_host
from tasks.policy import DEFAULT, Policy
from tasks.rendered import Platform, Rendered
from tasks.running import Running, RunningFile
from tests.tasks.push.simulated import rendered

OLD = "hostname {name}\nip route 198.51.100.0 255.255.255.0 Null0\n"
WANTED = "ip route 198.19.8.0 255.255.248.0 Null0\nip route 198.19.16.0 255.255.248.0 Null0\n"
NEW = f"hostname {{name}}\n{WANTED}"
OWNS = ("ip route **",)

# Two clusters: a pair and a member, and a pair. (host, cluster, standby group)
SITE = (
    ("a3", "a", ""),
    ("a2", "a", "pair-a"),
    ("a1", "a", "pair-a"),
    ("b2", "b", "pair-b"),
    ("b1", "b", "pair-b"),
)
WAVES = (
    Wave(("a3",), "one Home Agent first", "canary"),
    Wave(("a2",), "standby routers", "batch 1 of 2"),
    Wave(("a1",), "active routers, last", "batch 1 of 2"),
    Wave(("b2",), "standby routers", "batch 2 of 2"),
    Wave(("b1",), "active routers, last", "batch 2 of 2"),
)


Events = Mapping[int, Callable[[], None]]
NOTHING: Events = MappingProxyType({})


class Died(Exception):
    """The orchestrator's process is no more."""


@dataclass(slots=True)
class Device:
    name: str
    timer: bool  # it can go back by itself
    text: str = ""
    saved: str = ""  # what a reload brings back
    armed: str | None = None  # what it will go back to
    boots: int = 0

    def __post_init__(self) -> None:
        self.text = self.saved = OLD.format(name=self.name)

    @property
    def holds(self) -> str:
        """`old`, `new`, or the text when it is neither."""
        known = {OLD.format(name=self.name): "old", NEW.format(name=self.name): "new"}
        return known.get(self.text, self.text)

    def type(self, line: str) -> None:
        lines = self.text.splitlines()
        if line.startswith("no "):
            lines.remove(line.removeprefix("no "))
        else:
            lines.append(line)
        order = NEW.format(name=self.name).splitlines()
        lines.sort(key=lambda each: order.index(each) if each in order else 1)
        self.text = "".join(f"{each}\n" for each in lines)

    def expire(self) -> None:
        if self.armed is not None:
            self.text, self.armed = self.armed, None

    def reload(self) -> None:
        self.text, self.armed = self.saved, None
        self.boots += 1


@dataclass(slots=True)
class World:
    """All routers, and what happens at which point."""

    devices: dict[str, Device]
    events: dict[int, Callable[[], None]] = field(default_factory=dict)
    passed: int = 0
    dead: bool = False
    cut: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)  # a line of the change, not of the way back

    def point(self) -> None:
        if self.dead:
            raise Died
        self.passed += 1
        if event := self.events.pop(self.passed, None):
            event()
        if self.dead:
            raise Died

    def die(self) -> None:
        self.dead = True

    def begin(self, events: Events) -> None:
        """Another process; what happens in its time, by the points that it passes."""
        self.dead, self.passed, self.events = False, 0, dict(events)

    def holds(self) -> dict[str, str]:
        return {name: device.holds for name, device in self.devices.items()}


class MemoryRouter:
    """`tasks.devices.router.Router`, as IOS does it: with a timer, or with inverse commands."""

    def __init__(self, world: World, host: str) -> None:
        self._world = world
        self._device = world.devices[host]
        self._armed = False
        self._boots = self._device.boots

    def _reach(self) -> Device:
        self._world.point()
        if self._boots != self._device.boots:
            self._boots = self._device.boots  # the next command opens another session
            raise SessionLost(self._device.name, "the router closed the connection")
        if self._device.name in self._world.cut:
            raise SessionLost(self._device.name, "the connection was lost")
        return self._device

    def run(self, command: str) -> str:
        raise NotImplementedError(command)

    def fetch(self, paths: Sequence[str]) -> Running:
        del paths
        device = self._reach()
        file = RunningFile("running-config", device.text, 0)
        return Running(device.name, Platform.IOS, (file,), (), revert_timer=device.timer)

    def back_up(self, job: Job) -> None:
        if self.fetch(()).digest != job.before.digest:
            raise Moved(self._device.name, "it was changed by somebody else just now")

    def apply(self, job: Job) -> None:
        job.journal.record(self._device.name, "send", "configure terminal")
        device = self._reach()
        if device.timer:
            device.armed, self._armed = device.text, True
        for number, command in enumerate(job.plan.commands):
            job.journal.record(device.name, "send", command.text)
            self._reach().type(command.text)
            if number and device.name in self._world.refusing:
                raise LineRejected(device.name, "the second line was refused")
        after = plan_host(
            Rendered(device.name, Platform.IOS, job.intended), self.fetch(()), job.opened
        )
        if not after.empty:
            raise DeviceError(device.name, "it does not hold what was intended")

    def armed(self, job: Job) -> bool:
        del job
        self._armed = self._reach().armed is not None
        return self._armed

    def confirm(self, job: Job) -> Running:
        device = self._reach()
        if self._armed and device.armed is None:
            raise DeviceError(device.name, "the change could not be confirmed")
        device.armed, self._armed = None, False
        device = self._reach()
        device.saved = device.text
        return self.fetch([file.path for file in job.before.files])

    def revert(self, job: Job) -> None:
        device = self._reach()
        if self._armed:
            device.expire()
            self._armed = False
        self._return_to(job)

    def restore(self, job: Job) -> None:
        self._return_to(job)
        device = self._reach()
        device.saved = device.text

    def _return_to(self, job: Job) -> None:
        """Line by line, from whatever it holds."""
        [file] = job.before.files
        back, device = (file.text or "").splitlines(), self._device
        for line in [line for line in device.text.splitlines() if line not in back]:
            self._reach().type(f"no {line}")
        for line in [line for line in back if line not in device.text.splitlines()]:
            self._reach().type(line)

    def close(self) -> None:
        """There is no session."""


class Desk:
    """An orchestrator's directory and its routers; every call is a process of its own."""

    def __init__(self, work: Path, world: World) -> None:
        self.work = work
        self.world = world
        self.wanted = {name: rendered(name, WANTED, OWNS) for name in world.devices}

    @contextmanager
    def fleet(self) -> Iterator[Fleet]:
        targets = [Target(name, Platform.IOS, "", "", "") for name in self.world.devices]
        groups = {host: frozenset({group} - {""}) for host, _, group in SITE}
        keys = HostKeys(self.work / "known_hosts", strict=True)
        with Fleet(targets, keys, groups=groups, workers=1) as fleet:
            yield fleet

    def plan(self, fleet: Fleet, waves: Sequence[Wave] = WAVES) -> Plan:
        held = push.fetch_all(fleet, {name: ["running-config"] for name in self.world.devices})
        cluster_of = {host: cluster for host, cluster, _ in SITE}
        hosts = [plan_host(self.wanted[host], running, {}) for host, running in held.items()]
        return Plan(
            format=FORMAT,
            made_at="2026-11-23T06:00:00Z",
            clusters=("a", "b"),
            intent_sha256="",
            templates_sha256="",
            hosts=tuple(_in(host, cluster_of[host.host]) for host in hosts),
            waves=tuple(waves),
        )

    def apply(
        self,
        events: Events = NOTHING,
        *,
        verify: Verify | None = None,
        policy: Policy = DEFAULT,
        waves: Sequence[Wave] = WAVES,
        **how: Any,
    ) -> Applied:
        self.world.begin(NOTHING)
        with self.fleet() as fleet:
            plan = self.plan(fleet, waves)
            self.world.begin(events)
            return push.apply(
                plan,
                fleet,
                self.wanted,
                {},
                work=self.work,
                verify=verify,
                policy=policy,
                **how,
            )

    def resume(
        self,
        how: resume.How = resume.How.GO_ON,
        events: Events = NOTHING,
        *,
        verify: Verify | None = None,
        **more: Any,
    ) -> Applied:
        with self.fleet() as fleet:
            self.world.begin(events)
            run = resume.to_resume(self.work, "last")
            return resume.resume(
                run,
                fleet,
                {},
                work=self.work,
                how=how,
                rendered=self.wanted,
                verify=verify,
                **more,
            )

    def run(self) -> runs.Run:
        return runs.find(self.work, "last")


def _in(host: HostPlan, cluster: str) -> HostPlan:
    return replace(host, cluster=cluster)


@contextmanager
def desk(work: Path, timers: Mapping[str, bool] | bool = True) -> Iterator[Desk]:
    """Everything that the orchestrator does to the world passes a point of the world."""
    world = World(
        {
            host: Device(host, timers if isinstance(timers, bool) else timers[host])
            for host, _, _ in SITE
        }
    )
    record, write = journal.Journal.record, durable.write

    def recorded(self: journal.Journal, *what: Any) -> None:
        world.point()
        record(self, *what)
        world.point()

    def written(path: Path, data: bytes, mode: int = 0o600) -> None:
        world.point()
        write(path, data, mode)

    with pytest.MonkeyPatch.context() as patch:
        # What is tested is the death of a process, not of a disk.
        patch.setattr("os.fsync", lambda _file: None)
        patch.setattr("os.fdatasync", lambda _file: None)
        patch.setattr(journal.Journal, "record", recorded)
        patch.setattr(durable, "write", written)
        patch.setattr(
            fleets,
            "PLATFORMS",
            {Platform.IOS: lambda host, _connect: MemoryRouter(world, host)},
        )
        yield Desk(work, world)
