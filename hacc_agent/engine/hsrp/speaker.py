"""All standby groups of a router: which of them a message is for, and whether it is to be believed.

Pure: a clock's seconds are an argument, what is to be done comes back as effects, and the jitter of
hellos is drawn from what it is given.

What is not right is told once, and again with a count for as long as it goes on: nobody can fill
a disk by sending us messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Interface
from typing import Final

from ...hsrp.config import Group as Settings
from ...wire import hsrp
from ...wire.errors import WireError
from .effects import Alarm, Effect, Place, Suspicion
from .group import Group, Port, proves

REMIND_S: Final = 60.0
"""Between two tellings of the same thing."""

TOLD: Final = 256
"""Things that are told apart; the rest share one entry per reason."""


@dataclass(slots=True)
class _Told:
    again: float
    since: int = 0


class Speaker:
    """The engine of `hacc-agent hsrp run`, and of the simulated routers' `standby` lines."""

    def __init__(
        self, settings: Iterable[Settings], jitter: Callable[[], float], now: float
    ) -> None:
        self.groups: dict[Place, Group] = {}
        self.counts: Counter[Suspicion] = Counter()
        self._jitter = jitter
        self._ports: dict[str, Port] = {}
        self._down: frozenset[str] = frozenset()
        self._in_step = False
        self._told: dict[tuple[Suspicion, str, int, IPv4Address], _Told] = {}
        self._alarms: list[Effect] = []
        self.configure(settings, now)

    # ------------------------------------------------------------------ what it is told

    def configure(self, settings: Iterable[Settings], now: float) -> list[Effect]:
        """These groups and no others; those that were there keep their state if they can."""
        wanted = {Place(one.interface, one.version, one.group): one for one in settings}
        effects: list[Effect] = []
        for place in [place for place in self.groups if place not in wanted]:
            effects += self.groups.pop(place).stop(now)
        for place, one in wanted.items():
            known = self.groups.get(place)
            if known is not None:
                effects += known.change(one, now) if known.settings != one else []
                continue
            fresh = self.groups[place] = Group(one, self._jitter, now)
            fresh.in_step = self._in_step
            effects += fresh.set_down(self._down, now)
            effects += fresh.set_port(self._ports.get(place.interface), now)
        return effects

    def interface_up(
        self, interface: str, address: IPv4Interface, mac: int, now: float
    ) -> list[Effect]:
        """An interface works, with this address; or has got another one."""
        self._ports[interface] = Port(address, mac)
        return self._set_port(interface, now)

    def interface_down(self, interface: str, now: float) -> list[Effect]:
        self._ports.pop(interface, None)
        return self._set_port(interface, now)

    def _set_port(self, interface: str, now: float) -> list[Effect]:
        port = self._ports.get(interface)
        return [
            effect
            for place, group in self.groups.items()
            if place.interface == interface
            for effect in group.set_port(port, now)
        ]

    def object_is(self, name: str, *, up: bool, now: float) -> list[Effect]:
        """A tracked object is up or down."""
        self._down = self._down - {name} if up else self._down | {name}
        return [
            effect for group in self.groups.values() for effect in group.set_down(self._down, now)
        ]

    def in_step(self, *, yes: bool) -> None:
        """Whether what a preemption waits for at most `preempt_sync_s` is as it should be."""
        self._in_step = yes
        for group in self.groups.values():
            group.in_step = yes

    def hand_over(self, name: str | None, now: float) -> list[Effect]:
        """Let the standby routers have the group of this name, or all."""
        return [
            effect
            for group in self.groups.values()
            if name in (None, group.settings.name)
            for effect in group.hand_over(now)
        ]

    def stop(self, now: float) -> list[Effect]:
        return [effect for group in self.groups.values() for effect in group.stop(now)]

    # ------------------------------------------------------------------ time

    def next_deadline(self) -> float | None:
        found = (group.next_deadline() for group in self.groups.values())
        return min((at for at in found if at is not None), default=None)

    def handle_timer(self, now: float) -> list[Effect]:
        return [effect for group in self.groups.values() for effect in group.handle_timer(now)]

    # ------------------------------------------------------------------ messages

    def receive(
        self, payload: bytes, source: IPv4Address, interface: str, now: float
    ) -> list[Effect]:
        """One UDP payload that came in on an interface."""
        port = self._ports.get(interface)
        if port is None:
            return []
        try:
            packet = hsrp.parse(payload)
        except WireError as wrong:
            self._complain(interface, -1, source, now, Suspicion.MALFORMED, str(wrong))
            return self._with_alarms([])
        effects: list[Effect] = []
        for message in packet.messages:
            complain = partial(self._complain, interface, message.group, source, now)
            group = self.groups.get(Place(interface, packet.version, message.group))
            if group is None:
                complain(Suspicion.NO_SUCH_GROUP)
            elif not proves(group.settings, packet, payload, source):
                complain(Suspicion.AUTHENTICATION)
            elif source == port.address.ip:
                complain(Suspicion.DUPLICATE_ADDRESS)
            elif source not in port.address.network:
                complain(Suspicion.STRANGER, f"not in {port.address.network}")
            else:
                effects += group.receive(message, source, now, complain)
        return self._with_alarms(effects)

    def _complain(
        self,
        interface: str,
        group: int,
        source: IPv4Address,
        now: float,
        reason: Suspicion,
        detail: str = "",
    ) -> None:
        self.counts[reason] += 1
        key = (reason, interface, group, source)
        if key not in self._told and len(self._told) >= TOLD:
            key = (reason, "", -1, IPv4Address(0))
        told = self._told.get(key)
        times = 1
        if told is None:
            self._told[key] = _Told(now + REMIND_S)
        elif now < told.again:
            told.since += 1
            return
        else:
            times = told.since + 1
            told.again, told.since = now + REMIND_S, 0
        self._alarms.append(Alarm(*key, detail, times))

    def _with_alarms(self, effects: list[Effect]) -> list[Effect]:
        told, self._alarms = self._alarms, []
        return effects + told
