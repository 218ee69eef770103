"""A cluster as its intent makes it: its timers, its routes, and the packets of its subscribers.

What decides is in the engines. Here is what surrounds them on a LAN:

    address    the controllers' group address is with the active one; when nobody hears that one for
               the hold time, the standby takes it, and with the first request that comes to it the
               log and the service as well
    routes     a member announces what it serves and has got, its own slice as it is and another's
               in halves (`hacc_agent.ward`); everybody else knows it a moment later, and a router
               that went silent is believed until OSPF's dead interval has passed
    packets    to a mobile node: by the longest prefix to a member, out of its tunnel to the Foreign
               Agent; back: through the controllers' address to the member that serves its slot

A packet passes if every router on its way has power, a plane and the binding, and every cable is
whole. So whether the next one would pass is a function of the world, and is noted when it changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

import numpy as np

from hacc_agent.config import MemberKind
from hacc_agent.drills.measured import Happening
from hacc_agent.engine.effects import Effect, Endpoint, Log, Release, Transfer
from hacc_agent.engine.health import Figures, Source
from hacc_agent.engine.record import RECORD, Kind
from hacc_agent.engine.slots import Slots

from ..subscribers.association import Association
from ..subscribers.contract import FIRST_AGENT, Contract
from ..subscribers.foreign_agent import ToHomeAgent
from . import latencies
from .blueprint import Blueprint
from .supervised import Pace, Supervised
from .world import Memory, Router, Subscriber, Weather

EDGE: Final = "edge"
"""The rest of the network, where correspondents are."""

PATIENCE_S: Final = 2.0
"""s of silence after which a member link is given up (LEAST of hacc_agent/fleet.py)."""

SPREAD: Final = 2654435761
"""A multiplier that spreads addresses over equal routes (Knuth, TAOCP 6.4)."""


@dataclass(slots=True)
class Passage:
    """Whether a packet that leaves now comes through, there and back: chances, since when."""

    at: list[float] = field(default_factory=list)
    there: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)

    def note(self, at: float, there: float, back: float) -> None:
        if not self.at or (there, back) != (self.there[-1], self.back[-1]):
            self.at.append(at)
            self.there.append(there)
            self.back.append(back)


class Site(Supervised):
    """A `Blueprint`, with subscribers of it."""

    def __init__(self, seed: int, plan: Blueprint, subscribers: int) -> None:
        self.plan = plan
        first = plan.controllers[0]
        self.events: list[Happening] = []
        self.lossy: dict[str, float] = {}  # routers, and the share of their frames that is lost
        self.load: dict[str, float] = {}  # members, and per cent of memory that is free
        self.unread: set[str] = set()  # members whose snmpd is silent
        self.off: set[str] = set()  # routers without power
        self.frozen: set[str] = set()  # their kernels go on
        self.resigned: set[str] = set()  # controllers whose speaker was stopped
        self.deposed: set[str] = set()  # controllers that somebody took over from, unheard
        self.silent_since: dict[str, float] = {}
        self.adjacent: set[str] = {each.name for each in first.members}  # members that speak OSPF
        self.unreached: dict[tuple[str, str], float] = {}  # member links, until they are made again
        self.believed: dict[str, frozenset[IPv4Network]] = {}  # of members, by everybody else
        self.changing: set[str] = set()  # pairs of stock routers whose other half has not noticed
        self._told: dict[str, frozenset[IPv4Network]] = {}  # by them, last
        self.owner: Router | None = None  # of the controllers' address
        # Those have routes of their own, wherever they are bound (`hacc_agent.strays`).
        self._static = {int(each.address) for each in first.nodes}
        self._kinds = [each.kind for each in first.members]
        self._slots = Slots(len(first.members))
        self._moved = True  # something that packets depend on
        self._watched = False
        self._tables: dict[str, dict[int, int]] = {}  # of routers, when packets were looked at last
        self.passages = [Passage() for _ in range(subscribers)]
        self.addresses = {
            **{f"group {each.address}": Passage() for each in first.gateways[:1]},
            f"Home Agent {first.home_agent_address}": Passage(),
        }
        contract = Contract.of(first)
        agents: tuple[tuple[IPv4Address, Association | None], ...]
        agents = contract.agents or ((FIRST_AGENT, None),)
        health = first.health
        super().__init__(
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

    def boot(self, router: Router) -> None:
        super().boot(router)
        self._moved = True

    def crash(self, router: Router, *, heard: bool = True) -> None:
        """`heard`: its kernel lives, and says that its connections have ended."""
        self.tell(f"{router.name} is gone")
        memory, router.memory = router.memory, None
        if memory is None:
            return
        self._moved = True
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
            if other is not router and other.memory is not None and not self._linked(router, other):
                # It goes on with what it has; when it hears of this one it begins anew.
                other.memory = None
                self.deposed.add(other.name)
        super().promote(router)
        self._moved = True
        assert router.memory is not None
        self.note(router, "this controller decides", epoch=router.memory.slots.epoch)
        for member in self.members:
            if self.is_ours(member):
                self.offer(router, member)

    def _linked(self, one: Router, other: Router) -> bool:
        return self.hears(one.name, other.name) and self.hears(other.name, one.name)

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
                self._moved = True
                return

    def preempt(self, router: Router) -> None:
        """The preferred one is back, and takes over again when it has all that the other has."""
        owner = self.owner
        if owner is router or not self.speaks(router) or router.memory is None:
            return
        if owner is None or not self._linked(router, owner):
            return
        if self.follows and router.seen == self.recorded:
            self.owner = router
            self._moved = True
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
        self._moved = True

        def taken_over() -> None:
            self.changing.discard(pair.name)
            self._moved = True

        self.later(hold - self.random.uniform(0, hello), taken_over)

    # ------------------------------------------------------------------ who is silent

    def fell_silent(self, router: Router) -> None:
        """Nobody, or not everybody, hears it any more."""
        self._moved = True
        self.silent_since.setdefault(router.name, self.now)
        if router in self.members:
            if router.name in self.off:
                self.adjacent.discard(router.name)
            self._goes_silent(router)
        elif router is self.owner:
            self.look_for_owner()
        else:
            self.follows = False

    def speaks_again(self, router: Router) -> None:
        """It is heard, and hears; what it missed it is told."""
        self._moved = True
        silent = self.now - self.silent_since.pop(router.name, self.now)
        if router in self.members:
            if silent > PATIENCE_S:
                self._dial(router)
            wait = self.random.uniform(*latencies.ADJACENT_S)
            self.later(wait, partial(self._becomes_adjacent, router))
            return
        for other in self.controllers:
            if other.name in self.deposed and not self.off & {other.name}:
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

    # ------------------------------------------------------------------ the network

    def loses(self, shares: Mapping[str, float]) -> None:
        """Of the frames of these routers."""
        self.lossy.update(shares)
        self._moved = True

    def separate(self, pair: frozenset[str]) -> None:
        super().separate(pair)
        self._moved = True

    def join(self, pair: frozenset[str]) -> None:
        super().join(pair)
        self._moved = True

    def hears(self, sender: str, receiver: str) -> bool:
        return not {sender, receiver} & self.frozen and super().hears(sender, receiver)

    def carry(self, sender: str, receiver: str, deliver: Callable[[], None]) -> None:
        if not self.hears(sender, receiver):
            return
        lost = 1 - self.share(sender, receiver)
        if not lost or self.random.random() >= lost:
            super().carry(sender, receiver, deliver)

    def link(
        self, one: Router, other: Router, deliver: Callable[[], None], wait: float = 0.0
    ) -> None:
        """TCP: what is lost comes later."""
        again = latencies.RTO_S
        whole = self.share(one.name, other.name)
        while whole < 1 and self.random.random() >= whole:
            wait += again
            again *= 2
        super().link(one, other, deliver, wait)

    def share(self, *route: str) -> float:
        """Of frames that pass all these."""
        return math.prod(1 - self.lossy[each] for each in route if each in self.lossy)

    # ------------------------------------------------------------------ who is watched

    def is_ours(self, member: Router) -> bool:
        return self._kinds[self.members.index(member)] is MemberKind.LINUX

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
            if there and self._linked(controller, member):
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
                    self._moved |= self._changes(router, records)
                    if router in self.members and self._names_static(records):
                        self.announce(router)
                case Transfer(member, slots, epoch):
                    name = self.members[member].name
                    self.note(router, "slots move", member=name, slots=len(slots), epoch=epoch)
                case Release(member, slots, _):
                    name = self.members[member].name
                    self.note(router, "slots released", member=name, slots=len(slots))

    def serve(self, controller: Router, member: Router, epoch: int, own: dict[int, int]) -> None:
        ward = self.wards[member.name]
        obeys = epoch >= ward.epoch
        if epoch > ward.epoch and epoch >> 16 != ward.epoch >> 16:
            self.note(member, "this router obeys", controller=controller.name, epoch=epoch)
        super().serve(controller, member, epoch, own)
        if obeys:
            self.announce(member)

    def _changes(self, router: Router, records: bytes) -> bool:
        """Whether anything but the times of bindings is another one."""
        log = np.frombuffer(records, RECORD)
        kinds = log["kind"]
        if np.isin(kinds, (Kind.UNBOUND, Kind.SLOT)).any():
            return True
        known = self._tables.get(router.name, {}).keys()
        return not known >= set(log["home_address"][kinds == Kind.BINDING].tolist())

    def _names_static(self, records: bytes) -> bool:
        """Whether somebody with an address of its own is bound, or is no more."""
        return not self._static.isdisjoint(np.frombuffer(records, RECORD)["home_address"].tolist())

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
        self._moved = True
        self.later(0.0, partial(self.announce, member))  # when it holds them

    # ------------------------------------------------------------------ routes

    def announce(self, member: Router) -> None:
        """As `ward.Ward` does; everybody else knows a moment later."""
        if member.name not in self.adjacent:
            return
        told = frozenset(self._served(member))
        if told != self._told.get(member.name):
            self._told[member.name] = told
            wait = self.random.uniform(*latencies.ROUTE_S)
            self.later(wait, partial(self._learn, member, told))

    def _learn(self, member: Router, told: frozenset[IPv4Network]) -> None:
        """The latest that it has told: what was told before has a lower sequence number."""
        if self._told.get(member.name) is told:
            self.believed[member.name] = told
            self._moved = True

    def _served(self, member: Router) -> Iterator[IPv4Network]:
        number = self.members.index(member)
        first = self.plan.controllers[0]
        if not self.is_ours(member):
            yield from first.members[number].slices
            return
        held = self.wards[member.name].slots.keys()
        for other, told in enumerate(first.members):
            if held >= set(self._slots.home_slots(other)):
                for each in told.slices:
                    whole = other == number or each.prefixlen == each.max_prefixlen
                    yield from (each,) if whole else each.subnets()
        yield from (IPv4Network(home) for home in self._static & self.held(member).keys())

    def _goes_silent(self, member: Router) -> None:
        """Its OSPF neighbours hear no hellos any more; the last one came up to an interval ago."""
        patience = self.plan.dead_s - self.random.uniform(0, self.plan.ospf_hello_s)

        def forget() -> None:
            if member.name in self.off or not self.hears(member.name, EDGE):
                self.adjacent.discard(member.name)
                self._told.pop(member.name, None)
                self.believed[member.name] = frozenset()
                self._moved = True

        self.later(patience, forget)

    # ------------------------------------------------------------------ packets

    def watch(self) -> None:
        """From now on it is noted whether packets pass."""
        self._watched = True
        self.look_at_packets()

    def renew(self, every_s: float, number: int = 0) -> None:
        """One subscriber after the other registers again before it has to."""
        subscriber = self.subscribers[number]
        self.later(every_s, partial(self.renew, every_s, (number + 1) % len(self.subscribers)))
        self.ask(subscriber, subscriber.node.renew(self.moment_of(subscriber)))

    def check(self) -> None:
        super().check()
        if self._moved and self._watched:
            self.look_at_packets()

    def look_at_packets(self) -> None:
        self._moved = False
        tables = {each.name: self.held(each) for each in (*self.members, *self.controllers)}
        self._tables = tables
        group = self.share(EDGE, self.owner.name) if self._answers() and self.owner else 0.0
        for passage in self.addresses.values():
            passage.note(self.now, group, group)
        for subscriber, passage in zip(self.subscribers, self.passages, strict=True):
            home = subscriber.node.home_address
            if home is None:
                passage.note(self.now, 0.0, 0.0)
                continue
            passage.note(self.now, *self._passes(subscriber, int(home), tables))

    def _passes(
        self, subscriber: Subscriber, home: int, tables: Mapping[str, Mapping[int, int]]
    ) -> tuple[float, float]:
        agent = f"fa{subscriber.at}"
        there = back = 0.0
        target = self._route(home, tables)
        if target is not None and self._carries(target, home, tables):
            there = self._way(EDGE, target.name) * self._way(target.name, agent)
        owner = self.owner
        if owner is not None and self._answers():
            serving = self._relayed_to(owner, home, tables)
            if serving is not None and self._carries(serving, home, tables):
                back = self._way(agent, owner.name) * self._way(owner.name, serving.name)
                back *= self._way(serving.name, EDGE)
        return there, back

    def _route(self, home: int, tables: Mapping[str, Mapping[int, int]]) -> Router | None:
        """By the longest prefix; of equal ones each has its share of mobile nodes."""
        address = IPv4Address(home)
        found: list[tuple[int, Router]] = [
            (each.prefixlen, member)
            for member in self.members
            for each in self.believed.get(member.name, ())
            if address in each
        ]
        if not found:
            owner = self.owner
            if owner is None or not self._answers():
                return None
            return self._relayed_to(owner, home, tables)
        longest = max(length for length, _ in found)
        equal = [member for length, member in found if length == longest]
        return equal[(home * SPREAD >> 16) % len(equal)]

    def _relayed_to(
        self, owner: Router, home: int, tables: Mapping[str, Mapping[int, int]]
    ) -> Router | None:
        slot = tables[owner.name].get(home)
        if slot is None or owner.memory is None:
            return None
        return self.members[int(owner.memory.slots.member_of[slot])]

    def _carries(self, member: Router, home: int, tables: Mapping[str, Mapping[int, int]]) -> bool:
        return member.name not in self.changing and home in tables[member.name]

    def _way(self, sender: str, receiver: str) -> float:
        """The kernel goes on where processes are frozen."""
        return self.share(sender, receiver) if super().hears(sender, receiver) else 0.0

    def _answers(self) -> bool:
        """Whether anybody hears the owner of the controllers' address."""
        owner = self.owner
        return owner is not None and owner.name not in self.off and self._way(EDGE, owner.name) > 0

    def to_subscriber(self, subscriber: Subscriber, payload: bytes, *, lost: bool) -> None:
        before = subscriber.node.home_address
        super().to_subscriber(subscriber, payload, lost=lost)
        self._moved |= subscriber.node.home_address != before

    def held(self, router: Router) -> dict[int, int]:
        """Home addresses that are bound there -> their slots."""
        if router.memory is None:
            return {}
        found = router.memory.tables[0].rows
        bound = found[found["kind"] == Kind.BINDING]
        return dict(zip(bound["home_address"].tolist(), bound["slot"].tolist(), strict=True))

    def served(self) -> list[int]:
        """Bindings of each member, as the controller that decides counts them."""
        active = self.active
        if active is None or active.memory is None:
            return [0] * len(self.members)
        slots = np.array(list(self.held(active).values()), np.int64)
        members = active.memory.slots.member_of[slots]
        return [int(count) for count in np.bincount(members, minlength=len(self.members))]
