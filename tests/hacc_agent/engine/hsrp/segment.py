"""A LAN of speakers with one clock: it loses, delays and splits, and its routers die and return."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from itertools import count
from random import Random
from typing import Any

from hacc_agent.engine.hsrp import Alarm, Changed, Own, Place, Release, Send, Speaker
from hacc_agent.engine.hsrp.effects import Effect
from hacc_agent.hsrp.config import Group as Settings
from hacc_agent.wire.hsrp import State

NETWORK = "192.0.2.0/24"
VIRTUAL = IPv4Address("192.0.2.1")
LAN = "lan"
PLACE = Place(LAN, 2, 10)


def settings(**more: Any) -> Settings:
    """Group 10 of version 2, with the timers of a cluster: hello 200 ms, hold 700 ms."""
    usual: dict[str, Any] = {"hello_ms": 200, "hold_ms": 700, "address": VIRTUAL}
    usual |= {"name": "g", "interface": LAN, "version": 2, "group": 10}
    return Settings(**(usual | more))


@dataclass(slots=True)
class Router:
    """One speaker and what it owns."""

    number: int
    settings: tuple[Settings, ...]
    speaker: Speaker
    owned: set[Place] = field(default_factory=set)
    alive: bool = True
    alarms: list[Alarm] = field(default_factory=list)
    changes: list[Changed] = field(default_factory=list)
    sent: int = 0

    @property
    def address(self) -> IPv4Address:
        return IPv4Address(f"192.0.2.{10 + self.number}")

    @property
    def state(self) -> State:
        return self.speaker.groups[PLACE].state


class Segment:
    """The routers on it, and what is under way between them."""

    def __init__(self, groups: Iterable[Settings | tuple[Settings, ...]], seed: int = 0) -> None:
        self.chance = Random(seed)
        self.now = 1000.0
        self.loss = 0.0
        self.delay = (0.0, 0.001)  # s, at least and at most
        self.parts: dict[int, int] = {}  # router -> the part of the LAN that it is in
        self._flying: list[tuple[float, int, int, bytes, IPv4Address]] = []
        self._order = count()
        self.routers: list[Router] = []
        for number, one in enumerate(groups):
            wanted = one if isinstance(one, tuple) else (one,)
            self.routers.append(
                Router(number, wanted, Speaker(wanted, self.chance.random, self.now))
            )
        for router in self.routers:
            self._plug_in(router)

    # ------------------------------------------------------------------ what happens

    def kill(self, number: int) -> None:
        """Power off: it says nothing any more, and owns nothing."""
        router = self.routers[number]
        router.alive = False
        router.owned.clear()

    def start(self, number: int) -> None:
        router = self.routers[number]
        router.alive, router.owned = True, set()
        router.speaker = Speaker(router.settings, self.chance.random, self.now)
        self._plug_in(router)

    def split(self, parts: Iterable[Iterable[int]]) -> None:
        self.parts = {router: part for part, members in enumerate(parts) for router in members}

    def heal(self) -> None:
        self.parts, self.loss, self.delay = {}, 0.0, (0.0, 0.001)

    def inject(self, payload: bytes, source: str, to: int) -> None:
        """Octets from somebody who is no router of ours."""
        router = self.routers[to]
        self.perform(router, router.speaker.receive(payload, IPv4Address(source), LAN, self.now))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            found = [
                at
                for router in self.routers
                if router.alive and (at := router.speaker.next_deadline()) is not None
            ]
            if self._flying:
                found.append(self._flying[0][0])
            if not found or min(found) > end:
                break
            self.now = max(self.now, min(found))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, to, payload, source = heapq.heappop(self._flying)
                router = self.routers[to]
                if router.alive:
                    self.perform(router, router.speaker.receive(payload, source, LAN, self.now))
            for router in self.routers:
                if router.alive:
                    self.perform(router, router.speaker.handle_timer(self.now))
        self.now = end

    # ------------------------------------------------------------------ what is

    def owners(self, place: Place = PLACE) -> list[int]:
        return [router.number for router in self.routers if place in router.owned]

    def part(self, number: int) -> int:
        return self.parts.get(number, 0)

    # ------------------------------------------------------------------ how

    def _plug_in(self, router: Router) -> None:
        address = IPv4Interface(f"{router.address}/24")
        mac = 0x02_00_00_00_00_00 + router.number
        self.perform(router, router.speaker.interface_up(LAN, address, mac, self.now))

    def perform(self, router: Router, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Own(place):
                    assert place not in router.owned
                    router.owned.add(place)
                case Release(place):
                    router.owned.remove(place)
                case Send(place, payload, virtual):
                    assert virtual == (place in router.owned)  # RFC 2281, 6.1
                    router.sent += 1
                    self._carry(router, payload)
                case Alarm():
                    router.alarms.append(effect)
                case Changed():
                    router.changes.append(effect)

    def _carry(self, sender: Router, payload: bytes) -> None:
        for router in self.routers:
            if router is sender or self.part(router.number) != self.part(sender.number):
                continue
            if self.chance.random() >= self.loss:
                at = self.now + self.chance.uniform(*self.delay)
                entry = (at, next(self._order), router.number, payload, sender.address)
                heapq.heappush(self._flying, entry)
