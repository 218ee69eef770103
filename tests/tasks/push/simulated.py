"""Simulated IOS routers behind real SSH servers on loopback, and a small change to push to them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lab.ios import Device, Session
from lab.ios.server import Endpoint, Host, Server
from tasks import push
from tasks.course import Applied
from tasks.devices.fleet import Fleet
from tasks.devices.session import Target
from tasks.errors import Place
from tasks.hostkeys import HostKeys
from tasks.plan import FORMAT, HostPlan, Plan, Wave, plan_host
from tasks.rendered import File, Line, Owner, Platform, Rendered
from tasks.runner import Event, Listener
from tasks.running import Running

T = TypeVar("T")

PASSWORD, ENABLE, KEY = "correct-horse", "battery-staple", "s3same-open"
OPENED = {"env:KEY": KEY}

CONFIG = """\
hostname {name}
enable secret {enable}
username admin privilege 1 secret {password}
username old privilege 1 secret nothing
interface GigabitEthernet0/1
 description towards the core
 ip address 198.18.1.{number} 255.255.255.0
 no shutdown
interface GigabitEthernet0/2
 ip address 198.18.2.{number} 255.255.255.0
 standby version 2
 standby 20 ip 198.18.2.254
 standby 20 priority 90
 no shutdown
snmp-server community made-by-others RO
{archive}line vty 0 4
 login local
end
"""
ARCHIVE = "archive\n path flash:archive\n"

OWNS = (
    "interface GigabitEthernet0/1 / standby **",
    "interface GigabitEthernet0/2 / standby **",
    "ip route **",
)
# Twelve lines to send with its section headers; the seventh is `standby 10 ip`.
INTENDED = """\
interface GigabitEthernet0/1
 standby version 2
 standby 10 ip 198.18.1.254
 standby 10 priority {priority}
 standby 10 preempt
 standby 10 authentication md5 key-string <secret env:KEY>
 standby 10 name west-core
interface GigabitEthernet0/2
 standby version 2
 standby 20 ip 198.18.2.254
 standby 20 priority 120
ip route 198.19.8.0 255.255.248.0 Null0
"""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One loop for all tests, and never closed: connections end in their own time."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="simulators").start()
    return loop


class Simulator:
    """The routers' process, in a thread of this one. Devices are touched in its loop only."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = {device.name: device for device in devices}
        self._ahead = 0.0
        self._loop = _loop()
        self._server = Server([Host(device, Endpoint()) for device in devices], clock=self._clock)

    def _clock(self) -> float:
        return time.time() + self._ahead

    def start(self) -> None:
        self._await(self._server.start())

    def stop(self) -> None:
        self._await(self._server.close())

    def _await(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def _do(self, work: Callable[[], T]) -> T:
        done: Future[T] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(work()))
        return done.result(20)

    def port(self, name: str) -> int:
        return self._server.port(name)

    def fault(self, name: str, **faults: Any) -> None:
        for fault, value in faults.items():
            assert hasattr(self.devices[name].faults, fault)
            self._do(lambda f=fault, v=value: setattr(self.devices[name].faults, f, v))  # type: ignore[misc]
        self._await(self._server.apply_faults(name))

    def edit(self, name: str, *lines: str) -> None:
        """Somebody else, on the console."""

        def type_in() -> None:
            session = Session(self.devices[name], user="noc", privilege=15)
            for line in ("configure terminal", *lines, "end"):
                session.feed(line, self._clock())

        self._do(type_in)

    def pass_time(self, seconds: float) -> None:
        self._ahead += seconds
        for device in self.devices.values():
            self._do(lambda d=device: d.handle_timer(self._clock()))  # type: ignore[misc]

    def config(self, name: str) -> str:
        return self._do(self.devices[name].running_config)

    def startup(self, name: str) -> str | None:
        return self._do(lambda: self.devices[name].startup)

    def flash(self, name: str) -> tuple[str, ...]:
        return self._do(lambda: tuple(self.devices[name].flash.files))

    def lines(self, name: str) -> list[str]:
        """What the router was told in configuration mode, by us."""
        return [
            entry.line
            for entry in self.devices[name].journal
            if entry.mode not in ("user", "enable") and entry.user == "admin"
        ]

    def targets(self, password: str = PASSWORD, enable: str = ENABLE) -> list[Target]:
        return [
            Target(name, Platform.IOS, "127.0.0.1", "admin", password, enable, self.port(name))
            for name in self.devices
        ]


def device(name: str, number: int, *, archive: bool = True) -> Device:
    text = CONFIG.format(
        name=name,
        number=number,
        password=PASSWORD,
        enable=ENABLE,
        archive=ARCHIVE if archive else "",
    )
    return Device.from_text(name, text)


@contextmanager
def simulated(*names: str, archive: bool = True) -> Iterator[Simulator]:
    simulator = Simulator([device(name, 31 + n, archive=archive) for n, name in enumerate(names)])
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()


def rendered(name: str, text: str = INTENDED, owns: Sequence[str] = OWNS) -> Rendered:
    lines = text.format(priority=110).splitlines()
    file = File(
        path="running-config",
        mode=0,
        owner=Owner.LINES,
        owns=tuple(owns),
        lines=tuple(Line(line, Place("test.j2", n), ()) for n, line in enumerate(lines, 1)),
    )
    return Rendered(name, Platform.IOS, (file,))


def plan_of(hosts: Sequence[HostPlan], waves: Sequence[Sequence[str]] | None = None) -> Plan:
    """Each router in a wave of its own, unless said otherwise."""
    waves = waves or [[host.host] for host in hosts]
    return Plan(
        format=FORMAT,
        made_at="2026-11-23T06:00:00Z",
        clusters=("west",),
        intent_sha256="",
        templates_sha256="",
        hosts=tuple(hosts),
        waves=tuple(Wave(tuple(names), f"wave {n}") for n, names in enumerate(waves, 1)),
    )


class Orchestrator:
    """What the command line does, in one object: fetch, plan, apply."""

    def __init__(
        self,
        work: Path,
        targets: Sequence[Target],
        wanted: Mapping[str, Rendered],
        opened: Mapping[str, str],
        listener: Listener | None = None,
        *,
        strict: bool = False,
    ) -> None:
        self.work = work
        self.wanted = wanted
        self.opened = opened
        self.events: list[Event] = []
        listeners = [self.events.append, *([listener] if listener else [])]
        keys = HostKeys(work / "known_hosts", strict=strict)
        self.fleet = Fleet(targets, keys, listeners=listeners)

    def __enter__(self) -> Orchestrator:
        self.fleet.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.fleet.__exit__(*error)

    def fetch(self) -> Mapping[str, Running]:
        held = push.fetch(self.fleet, {h: push.paths_of(r) for h, r in self.wanted.items()})
        running = {host: value for host, value in held.items() if isinstance(value, Running)}
        assert running.keys() == held.keys(), held
        return running

    def plan(self, waves: Sequence[Sequence[str]] | None = None) -> Plan:
        held = self.fetch()
        return plan_of([plan_host(self.wanted[h], held[h], self.opened) for h in held], waves)

    def apply(self, plan: Plan, **how: Any) -> Applied:
        return push.apply(plan, self.fleet, self.wanted, self.opened, work=self.work, **how)


def orchestrator(simulator: Simulator, work: Path, **how: Any) -> Orchestrator:
    wanted = how.pop("wanted", None) or {name: rendered(name) for name in simulator.devices}
    targets = how.pop("targets", None) or simulator.targets()
    return Orchestrator(work, targets, wanted, OPENED, **how)
