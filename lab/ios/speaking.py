"""A simulated router's HSRP speaker in the network namespace of its plane.

The engine, the frames and what the kernel is told are those of `hacc-agent hsrp`; there is no guard
here, since the namespace goes with the process.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from ipaddress import IPv4Interface
from typing import NamedTuple

from hacc_agent.engine.hsrp import Effect, GratuitousArp, Group, Own, Place, Release, Send, Speaker
from hacc_agent.hsrp.config import Group as Settings
from hacc_agent.hsrp.kernel import Kernel
from hacc_agent.hsrp.lan import Lan
from hacc_agent.wire.hsrp import virtual_mac

VERSIONS = (1, 2)
LATE_S = 0.05
"""A timer that comes later than this was held up by what another router of this process did."""


class Plug(NamedTuple):
    """An interface in the namespace."""

    name: str
    address: IPv4Interface
    mac: int


class Speaking:
    """Serves the groups of one router until its stack is closed."""

    def __init__(
        self,
        plugs: Iterable[Plug],
        worker: ThreadPoolExecutor,
        clock: Callable[[], float],
        log: Callable[[str], None],
        stack: ExitStack,
    ) -> None:
        """`worker` is a thread within the namespace. Raises OSError."""
        self._clock = clock
        self._log = log
        self._worker = worker
        self._kernel = worker.submit(Kernel).result()
        stack.callback(self._kernel.close)
        self._timer: asyncio.TimerHandle | None = None
        self._lans: dict[str, Lan] = {}
        self._plugs = {plug.name: plug for plug in plugs}
        self._owned: dict[Place, Settings] = {}
        self._objects: Mapping[str, bool] = {}
        self.powered = True  # without, its end is one that nobody hears of
        self._wanted: tuple[tuple[str, Settings], ...] = ()
        self.speaker = Speaker((), random.random, clock())
        self.speaker.in_step(yes=True)  # a pair is one Home Agent here: nothing is to be copied
        loop = asyncio.get_running_loop()
        for plug in self._plugs.values():
            number = worker.submit(socket.if_nametoindex, plug.name).result()
            worker.submit(self._kernel.prepare, number).result()
            lan = self._lans[plug.name] = worker.submit(Lan, plug.name, number, VERSIONS).result()
            stack.callback(lan.close)
            for descriptor in lan.filenos():
                loop.add_reader(descriptor, self._hear, lan)
                stack.callback(loop.remove_reader, descriptor)
            self.speaker.interface_up(plug.name, plug.address, plug.mac, clock())
        stack.callback(self._end)

    def settle(self, wanted: tuple[tuple[str, Settings], ...], objects: Mapping[str, bool]) -> None:
        """Serve these groups, with these tracked objects up or down."""
        now = self._clock()
        for name, up in objects.items():
            if self._objects.get(name, True) != up:
                self._perform(self.speaker.object_is(name, up=up, now=now))
        self._objects = objects
        if wanted != self._wanted:
            self._wanted = wanted
            self._perform(self.speaker.configure([one for _, one in wanted], now))
        self._arm()

    def live(self) -> dict[tuple[str, int], Group]:
        """The groups by the router's own name of their interface, and number."""
        return {
            (interface, one.group): self.speaker.groups[place]
            for interface, one in self._wanted
            if (place := Place(one.interface, one.version, one.group)) in self.speaker.groups
        }

    def _hear(self, lan: Lan) -> None:
        self._read(lan)
        self._arm()

    def _read(self, lan: Lan) -> None:
        for payload, source, interface in lan.receive():
            self._perform(self.speaker.receive(payload, source, interface, self._clock()))

    def _due(self, *, waited: bool = False) -> None:
        self._timer = None
        now, deadline = self._clock(), self.speaker.next_deadline()
        if not waited and deadline is not None and now > deadline + LATE_S:
            # The process was busy, and with it the routers that we listen to: they speak first.
            again = partial(self._due, waited=True)
            self._timer = asyncio.get_running_loop().call_later(LATE_S, again)
            return
        for lan in self._lans.values():
            self._read(lan)
        self._perform(self.speaker.handle_timer(self._clock()))
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.speaker.next_deadline()
        if deadline is not None:
            delay = max(0.0, deadline - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            try:
                self._do(effect)
            except OSError as error:
                self._log(f"{effect}: {error}")

    def _do(self, effect: Effect) -> None:
        match effect:
            case Own(place, addresses):
                settings = self._owned[place] = self.speaker.groups[place].settings
                number = self._lans[place.interface].index
                self._worker.submit(self._kernel.own, settings, number, addresses).result()
            case Release(place):
                self._worker.submit(self._kernel.release, self._owned.pop(place)).result()
            case Send(place, payload, virtual):
                plug = self._plugs[place.interface]
                mac = virtual_mac(place.version, place.group) if virtual else plug.mac
                self._lans[plug.name].send(payload, place.version, mac, plug.address.ip)
            case GratuitousArp(place, addresses):
                mac = virtual_mac(place.version, place.group)
                self._lans[place.interface].announce(addresses, mac)
            case _:
                pass  # a router's own log is not simulated

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.powered:
            self._perform(self.speaker.stop(self._clock()))
