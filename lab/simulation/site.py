"""A cluster as its intent makes it: who watches whom, and who has the controllers' address.

What decides is in the engines; cables, routes and packets are in `wired`, `routed` and `packets`.
The controllers' group address is with the active one. When nobody hears that one for the hold time,
the standby takes it, and with the first request that comes to it the log and the service as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from ipaddress import IPv4Address
from typing import Any, Final

import numpy as np

from hacc_agent.drills.measured import Happening
from hacc_agent.engine.effects import Effect, Endpoint, Log, Release, Transfer
from hacc_agent.engine.health import Figures, Source

from ..subscribers.association import Association
from ..subscribers.contract import FIRST_AGENT, Contract
from ..subscribers.foreign_agent import ToHomeAgent
from . import latencies
from .blueprint import Blueprint
from .packets import Watched
from .supervised import Pace
from .world import Memory, Router, Weather

PATIENCE_S: Final = 2.0
"""s of silence after which a member link is given up (LEAST of hacc_agent/fleet.py)."""


class Site(Watched):
    """A `Blueprint`, with subscribers of it."""

    def __init__(self, seed: int, plan: Blueprint, subscribers: int) -> None:
        first = plan.controllers[0]
        self.events: list[Happening] = []
        self.load: dict[str, float] = {}  # members, and per cent of memory that is free
        self.unread: set[str] = set()  # members whose snmpd is silent
        self.resigned: set[str] = set()  # controllers whose speaker was stopped
        self.deposed: set[str] = set()  # controllers that somebody took over from, unheard
        self.silent_since: dict[str, float] = {}
        self.masters: dict[str, str] = {}  # members -> the controller that each obeys
        self.unreached: dict[tuple[str, str], float] = {}  # member links, until they are made again
        contract = Contract.of(first)
        agents: tuple[tuple[IPv4Address, Association | None], ...]
        agents = contract.agents or ((FIRST_AGENT, None),)
        health = first.health
        super().__init__(
            plan,
            subscribers,
            seed,
            plan.controllers,
            plan.members,
            contract.subscriptions(subscribers, reverse_tunnel=True),
            agents,
            Weather(0.0, 0.0, latencies.WIRE_S),
            pace=Pace(
                health.heartbeat_ms / 1000,
                health.misses,
                latencies.LINK_S,
                latencies.BLOCK_S,
            ),
        )
        for controller in self.controllers:
            self.later(self.random.uniform(0, 1), partial(self.poll, controller))

    # ------------------------------------------------------------------ what is told

    def note(self, router: Router, event: str, **details: str | int | float) -> None:
        """What the daemon of this router would tell (`hacc-agent events`)."""
        self.events.append(Happening(self.now, router.name, event, details))
        self.tell(f"{router.name}: {event}")

    # ------------------------------------------------------------------ power

    def crash(self, router: Router, *, heard: bool = True) -> None:
        """`heard`: its kernel lives, and says that its connections have ended."""
        self.tell(f"{router.name} is gone")
        memory, router.memory = router.memory, None
        if memory is None:
            return
        self.moved = True
        if router in self.controllers:
            if router is self.active:
                self.active = None
            self.follows = False
        elif heard and self.is_ours(router):
            number = self.members.index(router)
            for controller in self.controllers:
                if self.hears(router.name, controller.name):
                    told = partial(self.closed, controller, controller.memory, number)
                    self.later(self.pace.link_s, told)

    def starts(self, router: Router) -> None:
        """The daemon of a router is there again."""
        if router.memory is not None or router.name in self.frozen:
            return
        if router in self.members:
            self._dial(router)
        self.restart(router)
        if router in self.members:
            self.announce(router)
        elif router is self.controllers[0]:
            self.later(self.plan.succession.preempt_s, partial(self.preempt, router))

    def restart(self, router: Router) -> None:
        """As in the world, but that the address decides who is active."""
        if router.memory is not None:
            return
        self.tell(f"{router.name} is back")
        if router in self.controllers and self.active is not None:
            router.disk.clear()
            router.seen = 0
        self.boot(router)
        if router in self.controllers:
            self.follow()

    def promote(self, router: Router) -> None:
        self.owner = router
        for other in self.controllers:
            if other is not router and other.memory is not None and not self.linked(router, other):
                # It goes on with what it has; when it hears of this one it begins anew.
                other.memory = None
                self.deposed.add(other.name)
        super().promote(router)
        self.moved = True
        assert router.memory is not None
        self.note(router, "this controller decides", epoch=router.memory.slots.epoch)
        for member in self.members:
            if self.is_ours(member):
                self.offer(router, member)

    # ------------------------------------------------------------------ the address

    def look_for_owner(self, resigned: bool = False) -> None:
        """Somebody may have fallen silent: who hears no hellos takes over when it is time."""
        succession = self.plan.succession
        wait = succession.resign_s
        if not resigned:
            # The last hello was heard up to an interval ago.
            wait = succession.hold_s - self.random.uniform(0, succession.hello_s)
        self.later(wait, self._succeed)

    def _succeed(self) -> None:
        owner = self.owner
        for heir in self.controllers:
            if heir is owner or not self.speaks(heir):
                continue
            if owner is None or not self.speaks(owner) or not self.hears(owner.name, heir.name):
                self.owner = heir
                self.moved = True
                return

    def preempt(self, router: Router) -> None:
        """The preferred one is back, and takes over again when it has all that the other has."""
        owner = self.owner
        if owner is router or not self.speaks(router) or router.memory is None:
            return
        if owner is None or not self.linked(router, owner):
            return
        if self.follows and router.seen == self.recorded:
            self.owner = router
            self.moved = True
        else:
            self.later(1.0, partial(self.preempt, router))

    def speaks(self, router: Router) -> bool:
        """Whether the router's speaker of HSRP or VRRP sends hellos."""
        if router.name in self.off | self.frozen | self.resigned:
            return False
        return router.memory is not None or not self.plan.succession.follows_agent

    def changes_places(self, pair: Router) -> None:
        """The active half of a stock pair is gone; the other takes over after the hold time."""
        hello, hold = self.plan.pair
        self.changing.add(pair.name)
        self.moved = True

        def taken_over() -> None:
            self.changing.discard(pair.name)
            self.moved = True

        self.later(hold - self.random.uniform(0, hello), taken_over)

    # ------------------------------------------------------------------ who is silent

    def fell_silent(self, router: Router) -> None:
        """Nobody, or not everybody, hears it any more."""
        self.moved = True
        self.silent_since.setdefault(router.name, self.now)
        if router in self.members:
            if router.name in self.off:
                self.adjacent.discard(router.name)
            self.goes_silent(router)
        elif router is self.owner:
            self.look_for_owner()
        else:
            self.follows = False

    def speaks_again(self, router: Router) -> None:
        """It is heard, and hears; what it missed it is told."""
        self.moved = True
        silent = self.now - self.silent_since.pop(router.name, self.now)
        if router in self.members:
            if silent > PATIENCE_S:
                self._dial(router)
            wait = self.random.uniform(*latencies.ADJACENT_S)
            self.later(wait, partial(self._becomes_adjacent, router))
            return
        for other in self.controllers:
            if other.name in self.deposed and other.name not in self.off:
                self.deposed.discard(other.name)
                self.restart(other)
        if self.owner is None or not self.speaks(self.owner):
            self.look_for_owner(resigned=True)
        elif not self.follows:
            self.follow()
        if router is self.controllers[0]:
            self.later(self.plan.succession.preempt_s, partial(self.preempt, router))

    def _becomes_adjacent(self, member: Router) -> None:
        if member.name not in self.off:
            self.adjacent.add(member.name)
            self.announce(member)

    def _dial(self, member: Router) -> None:
        for controller in self.controllers:
            wait = self.random.uniform(*latencies.DIAL_S)
            self.unreached[member.name, controller.name] = self.now + wait

    # ------------------------------------------------------------------ who is watched

    def beat(self, member: Router) -> None:
        if self.is_ours(member):
            super().beat(member)

    def heard(self, controller: Router, member: Router, epoch: int) -> None:
        if self.now < self.unreached.get((member.name, controller.name), 0.0):
            return  # it is not dialled yet
        first = self.unreached.pop((member.name, controller.name), None) is not None
        number = self.members.index(member)
        figures = Figures(
            number,
            Source.LINK,
            self.moment.steady,
            cpu_percent=1.0,
            memory_free_percent=self.load.get(member.name, 90.0),
        )
        self.health[controller.name].heard(number, figures, self.moment)
        if controller is not self.active or controller.memory is None:
            return
        slots = controller.memory.slots
        if epoch > slots.epoch:
            slots.epoch = epoch
            self.lead(controller)
        if first or epoch < slots.epoch:
            self.offer(controller, member)

    def closed(self, controller: Router, memory: Memory | None, member: int) -> None:
        super().closed(controller, memory, member)
        self.unreached[self.members[member].name, controller.name] = self.now

    def supervise(self, controller: Router) -> None:
        self.later(self.pace.beat_s, partial(self.supervise, controller))
        if controller.memory is None or controller.name in self.frozen:
            return
        acts = self.supervision[controller.name].handle_timer(self.moment)
        for change in acts.changes:
            told = {"member": self.members[change.member].name, "why": change.reason}
            self.note(controller, f"member {change.after}", before=change.before.value, **told)
        self.perform(controller, acts.effects)

    def poll(self, controller: Router) -> None:
        """SNMP: of all members, each in its turn."""
        self.later(self.plan.controllers[0].health.snmp_interval_s, partial(self.poll, controller))
        if controller.memory is None or controller.name in self.frozen:
            return
        health = self.health[controller.name]
        for number, member in enumerate(self.members):
            there = member.memory is not None and member.name not in self.unread
            if there and self.linked(controller, member):
                free = self.load.get(member.name, 90.0)
                figures = Figures(number, Source.SNMP, self.moment.steady, None, 1.0, free)
                health.reported(number, figures, self.moment)
            else:
                health.unreported(number, self.moment)

    def offer(self, controller: Router, member: Router) -> None:
        if self.is_ours(member):
            super().offer(controller, member)

    # ------------------------------------------------------------------ who serves what

    def perform(self, router: Router, effects: Iterable[Effect]) -> None:
        done = list(effects)
        super().perform(router, done)
        for effect in done:
            match effect:
                case Log(records):
                    self.moved |= self.changes(router, records)
                    if router in self.members and self.names_static(records):
                        self.announce(router)
                case Transfer(member, slots, epoch):
                    name = self.members[member].name
                    self.note(router, "slots move", member=name, slots=len(slots), epoch=epoch)
                case Release(member, slots, _):
                    name = self.members[member].name
                    self.note(router, "slots released", member=name, slots=len(slots))

    def serve(self, controller: Router, member: Router, epoch: int, own: dict[int, int]) -> None:
        if epoch < self.wards[member.name].epoch:
            return
        if self.masters.get(member.name) != controller.name:
            self.masters[member.name] = controller.name
            self.note(member, "this router obeys", controller=controller.name, epoch=epoch)
        super().serve(controller, member, epoch, own)
        self.announce(member)

    def to_cluster(self, number: int, effect: ToHomeAgent) -> None:
        """Who has the address gets the request, and with the first one decides."""
        owner = self.owner
        waits = owner is not None and owner is not self.active and owner.memory is not None
        if waits and owner is not None and self.hears(f"fa{number}", owner.name):
            self.promote(owner)
        super().to_cluster(number, effect)

    def send(self, router: Router, payload: bytes, to: Endpoint, source: int) -> None:
        """A stock member answers as the virtual Home Agent, by way of its default route."""
        stock = router in self.members and not self.is_ours(router)
        super().send(router, payload, to, self.vha if stock else source)

    def confirm(self, controller: Router, member: Router, epoch: int) -> None:
        super().confirm(controller, member, epoch)
        self.announce(member)

    def judge_transfer(self, controller: Router, member: Router, had: list[Any]) -> None:
        super().judge_transfer(controller, member, had)
        self.note(member, "slots taken over", bindings=len(self.held(member)))
        self.moved = True
        self.later(0.0, partial(self.announce, member))  # when it holds them

    def renew(self, every_s: float, number: int = 0) -> None:
        """One subscriber after the other registers again before it has to."""
        subscriber = self.subscribers[number]
        self.later(every_s, partial(self.renew, every_s, (number + 1) % len(self.subscribers)))
        self.ask(subscriber, subscriber.node.renew(self.moment_of(subscriber)))

    def served(self) -> list[int]:
        """Bindings of each member, as the controller that decides counts them."""
        active = self.active
        if active is None or active.memory is None:
            return [0] * len(self.members)
        slots = np.array(list(self.held(active).values()), np.int64)
        members = active.memory.slots.member_of[slots]
        return [int(count) for count in np.bincount(members, minlength=len(self.members))]
