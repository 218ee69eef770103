"""A cluster that is supervised: heartbeats, epochs, transfers, and what goes wrong with them.

Each controller has its health and its supervision, each member what it knows of its right to serve.
Between them is a link that loses nothing while it is there; what is on its way when it breaks, or
when one end loses power, is lost. A transfer goes one binding after the other, slowly, so that
things happen while it is under way.

More laws:

- an Identification that a mobile node was told to be accepted is never accepted again, by whatever
  member (`judge_acceptance`);
- when all is quiet, every binding of the controller is with the member that serves its slot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import Any, Final

from hacc_agent.config import Link
from hacc_agent.engine.cluster import Cluster
from hacc_agent.engine.cluster.supervision import Supervision
from hacc_agent.engine.effects import Effect, Endpoint, Log, Moment, Release, Retract, Transfer
from hacc_agent.engine.health import Figures, Health, Source
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.record import OCTETS, Kind, Row, Trait, rows
from hacc_agent.engine.slots import Slots, began_again

from ..subscribers.foreign_agent import ToHomeAgent
from .world import EPOCH, GRACE_S, Broken, Memory, Router, World


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast things go. As it stands: slow enough for a fault to come in between."""

    beat_s: float = 1.0  # ten times what is usual, for the sake of the simulation's speed
    misses: int = 3
    link_s: float = 0.002
    block_s: tuple[float, float] = (0.01, 0.5)  # for one binding of a transfer
    patience_s: float = 3.0  # with a transfer that goes no further


SLOW: Final = Pace()


@dataclass(slots=True)
class Ward:
    """What a member knows of its right to serve."""

    slots: dict[int, int]  # whose bindings it has, all of them, and since which epoch; on its disk
    epoch: int = 0
    transfer: int = 0  # the number of the last one
    until: float = 0.0  # when it is given up; 0: none is under way


class Supervised(World):
    def __init__(self, *arguments: Any, pace: Pace = SLOW) -> None:
        self.pace = pace
        self.health: dict[str, Health] = {}
        self.supervision: dict[str, Supervision] = {}
        self.wards: dict[str, Ward] = {}
        self.deaf: set[tuple[str, str]] = set()  # who does not hear whom
        self.slow: dict[str, float] = {}  # s that everything takes longer
        self.mute: set[str] = set()  # members that send no heartbeats, and do all else
        self.requests: list[tuple[int, bytes]] = []  # that a Foreign Agent sent
        # By home address and Identification: what was told to be accepted; until when, at first.
        self.told: set[tuple[int, int]] = set()
        self.granted: dict[tuple[int, int], int] = {}
        self.latest: dict[tuple[int, int], int] = {}  # by the half of it that replies repeat
        self.fragile = 0.0  # chance that a transfer meets a fault
        self.offset: dict[str, float] = {}  # s that a wall clock is ahead
        seed, controllers, *others = arguments
        health = dataclasses.replace(
            controllers[0].health, heartbeat_ms=int(1000 * pace.beat_s), misses=pace.misses
        )
        link = Link(43434, "authority.pem", "hacc.pem", "hacc.key")  # `self.link` is what it is
        pair = tuple(dataclasses.replace(each, health=health, link=link) for each in controllers)
        super().__init__(seed, pair, *others)
        for router in (*self.controllers, *self.members):
            tick = self.beat if router in self.members else self.supervise
            self.later(self.random.uniform(0, pace.beat_s), partial(tick, router))

    def clock(self, router: Router) -> Moment:
        """Now, as it sees it."""
        now = self.moment
        return now._replace(wall=now.wall + self.offset.get(router.name, 0.0))

    # ------------------------------------------------------------------ power

    def boot(self, router: Router) -> None:
        super().boot(router)
        assert router.memory is not None
        engine = router.memory.engine
        if isinstance(engine, Cluster):
            health = Health(router.config, self.moment)
            self.health[router.name] = health
            self.supervision[router.name] = Supervision(router.config, lambda: engine, health)
        else:
            before = self.wards.get(router.name)
            number = self.members.index(router)
            own = Slots(len(self.members)).home_slots(number)
            held = dict.fromkeys(own, 0) if before is None else before.slots
            self.wards[router.name] = Ward(held, max(held.values(), default=0))

    def crash(self, router: Router) -> None:
        super().crash(router)
        if router in self.members:  # its end of the links is closed, if anybody hears of it
            number = self.members.index(router)
            for controller in self.controllers:
                if self.hears(router.name, controller.name):
                    self.later(
                        self.pace.link_s,
                        partial(self.closed, controller, controller.memory, number),
                    )

    def closed(self, controller: Router, memory: Memory | None, member: int) -> None:
        if memory is not None and controller.memory is memory:
            self.health[controller.name].lost(member, self.moment)

    def promote(self, router: Router) -> None:
        super().promote(router)
        self.lead(router)

    def lead(self, router: Router) -> None:
        supervision = self.supervision[router.name]
        self.perform(router, supervision.lead(self.controllers.index(router), self.moment))

    # ------------------------------------------------------------------ the network

    def hears(self, sender: str, receiver: str) -> bool:
        cut = frozenset((sender, receiver)) in self.cut
        return not cut and (sender, receiver) not in self.deaf

    def carry(self, sender: str, receiver: str, deliver: Callable[[], None]) -> None:
        if (sender, receiver) in self.deaf:
            return
        wait = self.slow.get(sender, 0.0) + self.slow.get(receiver, 0.0)
        if wait:
            super().carry(sender, receiver, lambda: self.later(wait, deliver))
        else:
            super().carry(sender, receiver, deliver)

    def link(
        self, one: Router, other: Router, deliver: Callable[[], None], wait: float = 0.0
    ) -> None:
        """On the member link: it arrives, if both have power until then and hear each other.

        TCP needs both directions.
        """
        memories = one.memory, other.memory
        wait += self.pace.link_s + self.slow.get(one.name, 0.0) + self.slow.get(other.name, 0.0)

        def arrive() -> None:
            both = self.hears(one.name, other.name) and self.hears(other.name, one.name)
            if both and (one.memory, other.memory) == memories and None not in memories:
                deliver()

        self.later(wait, arrive)

    # ------------------------------------------------------------------ heartbeats

    def beat(self, member: Router) -> None:
        self.later(self.pace.beat_s, partial(self.beat, member))
        if member.memory is None or member.name in self.mute:
            return
        epoch = self.wards[member.name].epoch
        for controller in self.controllers:
            self.link(member, controller, partial(self.heard, controller, member, epoch))

    def heard(self, controller: Router, member: Router, epoch: int) -> None:
        number = self.members.index(member)
        figures = Figures(number, Source.LINK, self.moment.steady)
        self.health[controller.name].heard(number, figures, self.moment)
        if controller is not self.active or controller.memory is None:
            return
        slots = controller.memory.slots
        if epoch > slots.epoch:  # of a time that it was not told of
            slots.epoch = epoch
            self.lead(controller)
        if controller.memory is not None:
            self.offer(controller, member)

    def supervise(self, controller: Router) -> None:
        """Its supervision has its turn."""
        self.later(self.pace.beat_s, partial(self.supervise, controller))
        if controller.memory is not None:
            acts = self.supervision[controller.name].handle_timer(self.moment)
            for change in acts.changes:
                name = self.members[change.member].name
                self.tell(f"{controller.name}: {name} is {change.after}: {change.reason}")
            self.perform(controller, acts.effects)

    # ------------------------------------------------------------------ who serves what

    def perform(self, router: Router, effects: Iterable[Effect]) -> None:
        effects = list(effects)
        memory = router.memory
        super().perform(router, effects)
        for effect in effects:
            if router.memory is not memory or not isinstance(memory, Memory):
                return
            match effect:
                case Transfer(member, slots, _):
                    self.tell(f"{router.name} gives {len(slots)} slots to ha{member}")
                    self.offer(router, self.members[member])
                    if self.random.random() < self.fragile:
                        victim = self.random.choice((router, self.members[member]))
                        self.later(self.random.uniform(0, 1.0), partial(self.strike, victim))
                case Retract(member, records):
                    wrong = self.members[member]
                    self.tell(f"{wrong.name} has assigned an address that is not free")
                    self.link(router, wrong, partial(self.give_up, wrong, records))
                case Release(member, slots, _):
                    self.tell(f"{router.name} has ha{member} give up {len(slots)} slots")
                    former, records = self.members[member], self.told_of(router, slots)
                    self.offer(router, former)  # on one stream, and before it
                    self.link(router, former, partial(self.give_up, former, records))

    def strike(self, router: Router) -> None:
        if router.memory is not None:
            self.crash(router)
            self.later(self.random.uniform(0.1, 20), partial(self.restart, router))

    def offer(self, controller: Router, member: Router) -> None:
        """It is told which slots are its own."""
        assert controller.memory is not None
        slots = controller.memory.slots
        served = slots.served_by(self.members.index(member)).tolist()
        own = dict(zip(served, slots.since[served].tolist(), strict=True))
        self.link(controller, member, partial(self.serve, controller, member, slots.epoch, own))

    def serve(self, controller: Router, member: Router, epoch: int, own: dict[int, int]) -> None:
        ward = self.wards[member.name]
        if epoch < ward.epoch:
            return  # it obeys another controller, and says so with its heartbeats
        # What it was given again it has not heard to have been somebody else's meanwhile.
        old = any(since > ward.slots.get(slot, since) for slot, since in own.items())
        if (old or not own) and member.disk:
            self.tell(f"{member.name} gives everything up")
            member.disk.clear()
            ward.slots.clear()
            # What it accepted and nobody was told of may well be accepted once more; what anybody
            # was told of may not, by whomever (`told`).
            self.accepted = {k: until for k, until in self.accepted.items() if k[0] != member.name}
            self.boot(member)
            ward = self.wards[member.name]
            assert member.memory is not None
            assert isinstance(member.memory.engine, HomeAgent)
            member.memory.engine.begin_anew(self.moment)
        assert member.memory is not None
        engine = member.memory.engine
        assert isinstance(engine, HomeAgent)
        if began_again(ward.epoch, epoch):
            engine.begin_anew(self.moment)
        if epoch > ward.epoch:
            ward.until = 0.0  # whatever was on its way is somebody else's word
        ward.epoch = epoch
        ward.slots = {slot: since for slot, since in ward.slots.items() if slot in own}
        # Who serves nothing takes nothing: what still comes is from before it gave up everything.
        engine.follow(frozenset({controller.link >> 16} if own else ()))
        self.link(member, controller, partial(self.obeyed, controller, member, epoch))
        lacking = frozenset(own.keys() - ward.slots.keys())
        if not lacking:
            self.link(member, controller, partial(self.confirm, controller, member, epoch))
        elif self.now >= ward.until:
            engine.begin_anew(self.moment)
            ward.transfer += 1
            ward.until = self.now + self.pace.patience_s
            send = partial(self.transfer, controller, member, ward.transfer, lacking)
            self.link(member, controller, send)

    def obeyed(self, controller: Router, member: Router, epoch: int) -> None:
        assert controller.memory is not None
        cluster = controller.memory.engine
        assert isinstance(cluster, Cluster)
        number = self.members.index(member)
        if controller is self.active and epoch == cluster.slots.epoch:
            if not cluster.is_listening(number):
                cluster.listens(number)
            self.arm(controller)

    def confirm(self, controller: Router, member: Router, epoch: int) -> None:
        number = self.members.index(member)
        if controller is self.active:
            self.perform(controller, self.supervision[controller.name].confirmed(number, epoch))

    def told_of(self, controller: Router, slots: Iterable[int]) -> bytes:
        assert controller.memory is not None
        assert isinstance(controller.memory.engine, Cluster)
        return b"".join(controller.memory.engine.bindings_of(list(slots)))

    def transfer(
        self, controller: Router, member: Router, number: int, slots: frozenset[int]
    ) -> None:
        """All of it as it is now; it arrives bit by bit."""
        pieces, names = [], b""
        log = self.told_of(controller, slots)
        for at in range(0, len(log), OCTETS):
            record = log[at : at + OCTETS]
            if record[0] == Kind.NAME:
                names += record
            else:
                pieces.append(names + record)
        assert controller.memory is not None
        had = [row for row in bindings(controller.memory) if row.slot in slots]
        self.piece(controller, member, number, slots, pieces, had)

    def piece(
        self,
        controller: Router,
        member: Router,
        number: int,
        slots: frozenset[int],
        pieces: list[bytes],
        had: list[Row],
    ) -> None:
        ward = self.wards[member.name]

        def arrive() -> None:
            if ward is not self.wards[member.name] or ward.transfer != number or not ward.until:
                return
            if pieces:
                assert member.memory is not None
                assert isinstance(member.memory.engine, HomeAgent)
                self.keep(member, member.memory.engine.take_over(pieces[0], 0.0, self.moment))
                ward.until = self.now + self.pace.patience_s
                self.piece(controller, member, number, slots, pieces[1:], had)
                return
            self.tell(f"{member.name} has the bindings of {len(slots)} slots")
            self.judge_transfer(controller, member, had)
            ward.slots |= dict.fromkeys(slots, ward.epoch)
            ward.until = 0.0
            self.link(member, controller, partial(self.confirm, controller, member, ward.epoch))

        self.link(controller, member, arrive, self.random.uniform(*self.pace.block_s))

    def keep(self, member: Router, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Log):
                member.disk += effect.records
        self.arm(member)

    def give_up(self, member: Router, records: bytes) -> None:
        assert member.memory is not None
        engine = member.memory.engine
        assert isinstance(engine, HomeAgent)
        self.keep(member, engine.give_up(records))

    # ------------------------------------------------------------------ replays

    def to_cluster(self, number: int, effect: ToHomeAgent) -> None:
        super().to_cluster(number, effect)
        self.requests.append((number, effect.payload))

    def replay(self, newest: int = 10_000) -> None:
        """Somebody repeats one of the newest requests that he has heard.

        Under nonces not the one that its mobile node is bound by: its answer may come after that to
        a newer one, and nothing tells a controller which of two nonces came first.
        """
        if self.requests and self.active is not None and self.active.memory is not None:
            number, payload = self.random.choice(self.requests[-newest:])
            current = {
                row.identification
                for row in bindings(self.active.memory)
                if row.traits & Trait.NONCE
            }
            if int.from_bytes(payload[16:24], "big") in current:
                return
            origin = Endpoint(int(self.agents[number].address), 434, 0x02AA << 32 | number << 16)
            self.tell_datagram("somebody", self.active.name, payload)
            self.to_controller(self.active, payload, origin)

    def judge_reply(self, number: int, payload: bytes, to: Endpoint) -> None:
        super().judge_reply(number, payload, to)
        if payload[0] == 3 and payload[1] in (0, 1) and payload[2:4] != b"\0\0":
            home, low = payload[4:8], payload[16:20]
            said = int.from_bytes(home, "big"), int.from_bytes(low, "big")
            if said in self.latest:
                self.told.add((said[0], self.latest[said]))

    def judge_transfer(self, controller: Router, member: Router, had: list[Row]) -> None:
        """Whatever did not change meanwhile is there, or something newer of its mobile node.

        It may have got another address, if its request was quicker than its binding.
        """
        assert controller.memory is not None
        assert member.memory is not None
        known_here = known_to(member.memory)
        here = {row.home_address for row in known_here} | {row.nai for row in known_here if row.nai}
        still = {(row.home_address, row.identification) for row in bindings(controller.memory)}
        for row in had:
            lives = row.expires - EPOCH > self.now + GRACE_S
            known = (row.home_address, row.identification) in still
            if lives and known and not {row.home_address, row.nai} & here:
                home = IPv4Address(row.home_address)
                raise Broken(f"{member.name} did not get the binding of {home}")

    def judge_acceptance(self, member: Router, records: bytes) -> None:
        super().judge_acceptance(member, records)
        for values in rows(records):
            if isinstance(values, Row) and values.kind == Kind.BINDING:
                key = values.home_address, values.identification
                self.latest[key[0], key[1] & 0xFFFF_FFFF] = key[1]
                first = self.granted.setdefault(key, values.expires)
                again = key in self.told and values.expires > first + GRACE_S
                if again and self.serves(member, values):
                    raise Broken(f"{member.name} accepts a replay: {values.identification:016x}")

    def serves(self, member: Router, values: Row) -> bool:
        """By the controller. One that was passed over and has not heard of it harms nobody."""
        if self.active is None or self.active.memory is None:
            return False
        member_of = self.active.memory.slots.member_of
        number = self.members.index(member)
        return any(
            (known.home_address == values.home_address or 0 != known.nai == values.nai)
            and int(member_of[known.slot]) == number
            for known in known_to(self.active.memory)
        )

    # ------------------------------------------------------------------ the end

    def heal(self) -> None:
        self.deaf.clear()
        self.slow.clear()
        self.mute.clear()
        self.fragile = 0.0
        super().heal()

    def quiet(self) -> None:
        super().quiet()
        assert self.active is not None
        assert self.active.memory is not None
        for bound in bindings(self.active.memory):
            if bound.expires - EPOCH < self.now + GRACE_S:
                continue
            member = self.members[int(self.active.memory.slots.member_of[bound.slot])]
            assert member.memory is not None
            if not any(
                (row.home_address, row.care_of_address)
                == (bound.home_address, bound.care_of_address)
                for row in bindings(member.memory)
            ):
                home = IPv4Address(bound.home_address)
                raise Broken(f"{member.name} does not have the binding of {home} that it serves")


def known_to(memory: Memory) -> list[Row]:
    """Bindings and requests."""
    return [row for row in rows(memory.snapshot()) if isinstance(row, Row)]


def bindings(memory: Memory) -> list[Row]:
    return [row for row in known_to(memory) if row.kind == Kind.BINDING]
