"""A whole cluster in one process, under one virtual clock and a network that misbehaves.

Every engine is the real one: two controllers, members, Foreign Agents, mobile nodes. What is
simulated is what stands between them: a network that loses, doubles, delays, reorders and
partitions, disks that keep what was written, power that fails between two effects. All chance comes
from one seed, so a seed is a scenario that can be run again.

After every step the laws are checked (`World.check`):

- an accepted binding is in the active controller's table while its mobile node counts on it;
- a mobile node is served by one member, whatever care-of addresses it has;
- a reply goes to the Foreign Agent that asked, once for each request of it that can be answered;
- no member accepts an Identification that it accepted before;
- at a restart, the journal makes the tables that the crash destroyed.

At the end the network heals: every mobile node must get its registration, and once all is quiet
the standby must hold what the active controller holds.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from hacc_agent.config import AgentConfig, Replay, Role
from hacc_agent.engine.cluster import Cluster, LeastLoaded
from hacc_agent.engine.effects import Effect, Endpoint, Log, Moment, Relay, Send
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.record import Kind, Row, rows
from hacc_agent.engine.slots import Slots
from hacc_agent.engine.table import Table
from hacc_agent.wire import AgentAdvertisement, parse_discovery

from ..subscribers.association import Association, Subscription
from ..subscribers.foreign_agent import Effect as AgentEffect
from ..subscribers.foreign_agent import ForeignAgent, ToHomeAgent
from ..subscribers.mobile_node import Ending, MobileNode, Visited

EPOCH: Final = 1_700_000_000.0  # when a scenario begins, on both clocks
SEED: Final = 0x9E3779B97F4A7C15  # of the tables' hashes
ROWS: Final = 64
STANDBY_LINK_S: Final = 0.002
TAKEOVER_S: Final = 0.7  # what a standby needs to notice (HSRP's hold time in the example intent)
GRACE_S: Final = 2.0  # of rounding: expiries are whole seconds


def words(payload: bytes) -> str:
    """A registration in a line: what matters when a scenario is read."""
    number = payload[1]
    lifetime = int.from_bytes(payload[2:4], "big")
    home = IPv4Address(payload[4:8])
    match payload[0]:
        case 1:
            asks = f"from {IPv4Address(payload[12:16])}" if lifetime else "to leave"
            return f"{home} asks {asks}, {payload[16:24].hex()}"
        case 3:
            return f"{home} is told {number}, {lifetime} s, {payload[12:20].hex()}"
        case kind:
            return f"message type {kind} of {home}"


class Broken(AssertionError):
    """A law does not hold."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How the network behaves until it heals."""

    loss: float
    doubled: float
    delay_s: tuple[float, float]


class Memory:
    """An engine and its tables: what a crash destroys."""

    def __init__(self, config: AgentConfig, token: Callable[[int], bytes]) -> None:
        table = Table(ROWS, SEED)
        self.tables: tuple[Table, ...] = (table,)
        self.slots = Slots(len(config.members))
        self.engine: Cluster | HomeAgent
        if config.role is Role.CONTROLLER:
            self.tables = (table, table.beside(ROWS))
            self.engine = Cluster(config, *self.tables, self.slots, LeastLoaded())
        else:
            self.engine = HomeAgent(config, table, token)

    def apply(self, records: bytes, now: Moment) -> None:
        if isinstance(self.engine, Cluster):
            self.engine.apply(records, now)
        else:
            self.engine.apply(records)

    def snapshot(self) -> bytes:
        if isinstance(self.engine, Cluster):
            return b"".join(self.engine.snapshot())
        return b"".join(self.tables[0].snapshot())

    def digest(self) -> int:
        if isinstance(self.engine, Cluster):
            return self.engine.digest()
        return self.tables[0].digest()


@dataclass(slots=True, eq=False)
class Router:
    """A controller or a member: an engine that power can leave, and a disk that it cannot."""

    name: str
    config: AgentConfig
    link: int  # its MAC address on the LAN
    disk: bytearray = field(default_factory=bytearray)
    memory: Memory | None = None  # None: it has no power
    seen: int = 0  # of a controller: how many of the cluster's records it has, on disk too
    wake: float = float("inf")


@dataclass(slots=True, eq=False)
class Subscriber:
    """A mobile node, and what it was promised."""

    node: MobileNode
    at: int  # the Foreign Agent whose link it is on
    wants: bool = False  # to be registered
    wake: float = float("inf")
    promised: tuple[int, int, float] | None = None  # home address, care-of address, until
    asked_since: set[int] = field(default_factory=set)  # care-of addresses, since the promise
    left: bool = False  # asked to be forgotten, since the promise
    ahead: float = 0.0  # s that its clock is ahead of everybody else's
    said: list[tuple[int, int, bool]] = field(default_factory=list)
    """Identification, care-of address, whether it asked to leave: of its requests so far.

    Timestamps are in the order of its clock, and that is the order that its requests count in
    (RFC 5944, 5.7.1). Who is switched off forgets what the Home Agent's time was; the next code 133
    may set it back behind a request that it sent, that never arrived, and that somebody has kept.
    When it comes it is the latest word of its mobile node, for all that anybody can know.
    """


class World:
    def __init__(
        self,
        seed: int,
        controllers: tuple[AgentConfig, AgentConfig],
        members: tuple[AgentConfig, ...],
        subscriptions: tuple[Subscription, ...],
        agents: tuple[tuple[IPv4Address, Association | None], ...],
        weather: Weather,
    ) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.weather = weather
        self.vha = int(controllers[0].home_agent_address)
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.count = itertools.count()
        self.story: list[str] = []
        self.cut: set[frozenset[str]] = set()
        self.controllers = [
            Router(config.name, config, (0x020000000100 + n) << 16)
            for n, config in enumerate(controllers)
        ]
        self.members = [
            Router(config.name, config, (0x020000000200 + n) << 16)
            for n, config in enumerate(members)
        ]
        self.active: Router | None = None
        self.follows = False  # the standby has all that was sent to it
        self.agents = [
            ForeignAgent(address, association=association, home_agent=IPv4Address(self.vha))
            for address, association in agents
        ]
        self.agent_wakes = [float("inf")] * len(agents)
        self.asked: dict[tuple[int, int], set[int]] = {}  # (agent, low 32 bits) -> ports
        self.accepted: dict[tuple[str, int, int], int] = {}  # expiry of what it brought first
        self.subscribers = [
            Subscriber(MobileNode(subscription, self.random.randbytes), n % len(agents))
            for n, subscription in enumerate(subscriptions)
        ]
        self.advertised = [self._visited(agent) for agent in self.agents]
        self.recorded = 0  # by whoever was active
        self.recorded_at = 0.0
        self.losses = 0  # how often faults took what was recorded
        self.promises = 0  # given so far
        self.looked_at: tuple[Memory | None, int, int] = (None, 0, 0)
        self.crashiness = 0.0  # chance that power fails while effects are performed
        for router in (*self.controllers, *self.members):
            self.boot(router)
        self.promote(self.controllers[0])

    # ------------------------------------------------------------------ time

    @property
    def moment(self) -> Moment:
        return Moment(EPOCH + self.now, EPOCH + self.now)

    def clock(self, _router: Router) -> Moment:
        """Now, as a router sees it."""
        return self.moment

    def moment_of(self, subscriber: Subscriber) -> Moment:
        """The clock on its wall may be wrong: it is told so (RFC 5944, 5.7.1), and knows better."""
        return Moment(EPOCH + self.now, EPOCH + self.now + subscriber.ahead)

    def later(self, delay: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (self.now + delay, next(self.count), what))

    def run(self, until: float) -> None:
        while self.queue and self.queue[0][0] <= until:
            self.now, _, what = heapq.heappop(self.queue)
            what()
            self.check()
        self.now = until

    def tell(self, what: str) -> None:
        self.story.append(f"{self.now:9.3f} {what}")

    def tell_datagram(self, sender: str, receiver: str, payload: bytes) -> None:
        self.story.append(f"{self.now:9.3f} {sender} -> {receiver}: {words(payload)}")

    # ------------------------------------------------------------------ the network

    def carry(self, sender: str, receiver: str, deliver: Callable[[], None]) -> None:
        """A datagram on its way: lost, doubled, late, or overtaken by the next one."""
        if frozenset((sender, receiver)) in self.cut:
            return
        copies = 2 if self.random.random() < self.weather.doubled else 1
        for _ in range(copies):
            if self.random.random() >= self.weather.loss:
                self.later(self.random.uniform(*self.weather.delay_s), deliver)

    # ------------------------------------------------------------------ routers

    def boot(self, router: Router) -> None:
        router.memory = Memory(router.config, self.random.randbytes)
        router.memory.apply(bytes(router.disk), self.moment)
        router.wake = float("inf")
        self.arm(router)

    def crash(self, router: Router) -> None:
        """Power goes: what was in memory is gone, and what arrives is lost."""
        self.tell(f"{router.name} crashes")
        router.memory = None
        if router is self.active:
            self.active = None
            self.later(self.takeover_s(), self.elect)
        elif router in self.controllers:
            self.follows = False

    def takeover_s(self) -> float:
        """After the active controller's death, until the standby has noticed."""
        return TAKEOVER_S

    def restart(self, router: Router) -> None:
        if router.memory is not None:
            return
        self.tell(f"{router.name} is back")
        if router in self.controllers and self.active is not None:
            router.disk.clear()  # what the active controller knows counts
            router.seen = 0
        self.boot(router)
        if router in self.controllers:
            if self.active is None:
                self.elect()
            else:
                self.follow()

    def elect(self) -> None:
        if self.active is not None:
            return
        alive = [router for router in self.controllers if router.memory is not None]
        if alive:
            self.promote(alive[0])

    def promote(self, router: Router) -> None:
        behind = self.recorded - router.seen
        self.tell(f"{router.name} is active" + (f", {behind} records behind" if behind else ""))
        self.active = router
        if behind:  # two faults at once took what nothing can keep
            self.losses += 1
            for subscriber in self.subscribers:
                subscriber.promised = None
            router.seen = self.recorded
        if len([each for each in self.controllers if each.memory is not None]) == 2:
            self.follow()
        else:
            self.follows = False

    @property
    def standby(self) -> Router | None:
        return next(
            (each for each in self.controllers if each is not self.active and each.memory), None
        )

    def follow(self) -> None:
        """The standby takes a snapshot; what is recorded from here on follows on the same link."""
        active, standby = self.active, self.standby
        if active is None or standby is None:
            return
        if frozenset((active.name, standby.name)) in self.cut:
            self.follows = False
            return
        assert active.memory is not None
        snapshot, seen = active.memory.snapshot(), self.recorded
        self.follows = True

        def arrive() -> None:
            if standby.memory is not None and standby is not self.active:
                standby.disk[:] = snapshot
                standby.seen = seen
                self.boot(standby)

        self.later(STANDBY_LINK_S, arrive)

    def replicate(self, router: Router, records: bytes) -> None:
        self.recorded += 1
        self.recorded_at = self.now
        seen = router.seen = self.recorded
        standby = self.standby
        if standby is None or not self.follows:
            return

        def arrive() -> None:
            if standby.memory is not None and standby is not self.active:
                standby.disk += records
                standby.seen = seen
                standby.memory.apply(records, self.moment)

        self.later(STANDBY_LINK_S, arrive)

    def arm(self, router: Router) -> None:
        if router.memory is None or (router in self.controllers and router is not self.active):
            return
        deadline = router.memory.engine.next_deadline()
        if deadline is None:
            return
        at = max(deadline - EPOCH, self.now)
        if at < router.wake:
            router.wake = at
            heapq.heappush(self.queue, (at, next(self.count), lambda: self.wake(router, at)))

    def wake(self, router: Router, at: float) -> None:
        if router.memory is None or router.wake != at:
            return
        router.wake = float("inf")
        if router in self.controllers and router is not self.active:
            return
        self.perform(router, router.memory.engine.handle_timer(self.moment))

    def perform(self, router: Router, effects: Iterable[Effect]) -> None:
        """As the daemon does: records first, then datagrams; power may fail between any two."""
        crash_at = self.random.randrange(4) if self.random.random() < self.crashiness else None
        for number, effect in enumerate(effects):
            if number == crash_at:
                self.crash(router)  # before it was written: the engine knew more than the disk
                self.later(self.random.uniform(0.1, 8.0), lambda: self.restart(router))
                return
            match effect:
                case Log(records):
                    router.disk += records
                    if router is self.active:
                        self.replicate(router, records)
                    else:
                        self.judge_acceptance(router, records)
                case Relay(payload, source, member):
                    self.to_member(router, payload, source, member)
                case Send(payload, destination, source):
                    self.send(router, payload, destination, source)
        self.arm(router)

    def separate(self, pair: frozenset[str]) -> None:
        """Two that do not hear each other any more."""
        self.tell(f"{' and '.join(sorted(pair))} are separated")
        self.cut.add(pair)
        if pair == self.both_controllers:
            self.follows = False

    def join(self, pair: frozenset[str]) -> None:
        if pair in self.cut:
            self.tell(f"{' and '.join(sorted(pair))} meet again")
            self.cut.discard(pair)
            if pair == self.both_controllers:
                self.follow()

    @property
    def both_controllers(self) -> frozenset[str]:
        return frozenset(router.name for router in self.controllers)

    def heal(self) -> None:
        """From here on nothing is lost, late, cut or without power."""
        self.tell("the network heals")
        self.weather = Weather(0, 0, (0.0005, 0.002))
        self.crashiness = 0.0
        for pair in tuple(self.cut):
            self.join(pair)
        for router in (*self.controllers, *self.members):
            self.restart(router)
        for subscriber in self.subscribers:
            if not subscriber.wants:
                self.appear(subscriber, subscriber.at)

    # ------------------------------------------------------------------ who says what to whom

    def to_member(self, router: Router, payload: bytes, source: Endpoint, member: int) -> None:
        target = self.members[member]
        self.tell_datagram(router.name, target.name, payload)
        asked = Endpoint(source.address, source.port, router.link)

        def arrive() -> None:
            if target.memory is not None and isinstance(target.memory.engine, HomeAgent):
                effects = target.memory.engine.receive(payload, asked, self.vha, self.clock(target))
                self.perform(target, effects)

        self.carry(router.name, target.name, arrive)

    def send(self, router: Router, payload: bytes, to: Endpoint, source: int) -> None:
        if router in self.members:
            target = next((each for each in self.controllers if each.link == to.link), None)
            if to.address != self.vha or target is None:
                raise Broken(f"{router.name} sends to {IPv4Address(to.address)}, link {to.link:x}")
            origin = Endpoint(source, 434, router.link)
            self.tell_datagram(router.name, target.name, payload)
            self.carry(
                router.name, target.name, lambda: self.to_controller(target, payload, origin)
            )
            return
        number = next(
            (n for n, agent in enumerate(self.agents) if int(agent.address) == to.address), None
        )
        if number is None or source != self.vha:
            raise Broken(f"{router.name} sends from {IPv4Address(source)} to {to}")
        self.tell_datagram(router.name, f"fa{number}", payload)
        self.judge_reply(number, payload, to)
        losses = self.losses

        def arrive() -> None:
            replies = self.agents[number].receive(payload, source, 434, self.moment)
            self.from_agent(number, replies, lost=losses < self.losses)

        self.carry(router.name, f"fa{number}", arrive)

    def to_controller(self, router: Router, payload: bytes, origin: Endpoint) -> None:
        if router is self.active and router.memory is not None:
            assert isinstance(router.memory.engine, Cluster)
            self.perform(router, router.memory.engine.receive(payload, origin, self.clock(router)))

    def from_agent(
        self, number: int, effects: Iterable[AgentEffect], *, lost: bool = False
    ) -> None:
        """`lost`: what a reply says was taken by faults while it was under way."""
        agent = self.agents[number]
        for effect in effects:
            if isinstance(effect, ToHomeAgent):
                self.to_cluster(number, effect)
            else:
                self.to_subscriber(self.subscribers[effect.visitor], effect.payload, lost=lost)
        at = max(agent.next_deadline - EPOCH, self.now)
        if at < self.agent_wakes[number]:
            self.agent_wakes[number] = at
            heapq.heappush(self.queue, (at, next(self.count), lambda: self.wake_agent(number, at)))

    def wake_agent(self, number: int, at: float) -> None:
        if self.agent_wakes[number] == at:
            self.agent_wakes[number] = float("inf")
            _, effects = self.agents[number].handle_timer(self.moment)
            self.from_agent(number, effects)

    def to_cluster(self, number: int, effect: ToHomeAgent) -> None:
        active, agent = self.active, self.agents[number]
        self.tell_datagram(f"fa{number}", active.name if active else "nobody", effect.payload)
        if effect.payload[0] == 1:
            low = int.from_bytes(effect.payload[20:24], "big")
            self.asked.setdefault((number, low), set()).add(434)
        if active is None:
            return
        origin = Endpoint(int(agent.address), 434, 0x02AA << 32 | number << 16)
        payload = effect.payload
        self.carry(f"fa{number}", active.name, lambda: self.to_controller(active, payload, origin))

    # ------------------------------------------------------------------ subscribers

    def _visited(self, agent: ForeignAgent) -> Visited:
        heard = parse_discovery(agent.advertisement(self.moment))
        assert isinstance(heard, AgentAdvertisement)
        visited = Visited.of(heard)
        assert visited is not None
        return visited

    def to_subscriber(self, subscriber: Subscriber, payload: bytes, *, lost: bool) -> None:
        node = subscriber.node
        answer = node.receive(payload, self.moment_of(subscriber))
        if answer.ending is Ending.ACCEPTED:
            if node.expires is None or not answer.lifetime or lost:
                subscriber.promised = None
            else:
                care_of = int(self.advertised[subscriber.at].care_of_address)
                home = int(node.home_address)
                subscriber.promised = (home, care_of, node.expires - EPOCH)
                self.promises += 1
            subscriber.asked_since.clear()
            subscriber.left = False
            if node.subscription.association.replay is Replay.TIMESTAMP:
                accepted = int.from_bytes(payload[12:20], "big")
                later = [each for each in subscriber.said if each[0] > accepted]
                subscriber.asked_since.update(care_of for _, care_of, _ in later)
                subscriber.left = any(left for _, _, left in later)
        self.attend(subscriber)

    def attend(self, subscriber: Subscriber) -> None:
        deadline = subscriber.node.deadline
        if deadline is None:
            return
        at = max(deadline - EPOCH, self.now)
        if at < subscriber.wake:
            subscriber.wake = at
            heapq.heappush(
                self.queue, (at, next(self.count), lambda: self.wake_subscriber(subscriber, at))
            )

    def wake_subscriber(self, subscriber: Subscriber, at: float) -> None:
        if subscriber.wake == at:
            subscriber.wake = float("inf")
            self.ask(subscriber, subscriber.node.handle_timer(self.moment_of(subscriber)))

    def ask(self, subscriber: Subscriber, octets: bytes) -> None:
        if octets:
            care_of = int.from_bytes(octets[12:16], "big")
            subscriber.asked_since.add(care_of)
            leaves = octets[2:4] == b"\0\0"
            subscriber.left |= leaves
            subscriber.said.append((int.from_bytes(octets[16:24], "big"), care_of, leaves))
            number = subscriber.at
            visitor = self.subscribers.index(subscriber)
            self.from_agent(number, self.agents[number].request(octets, visitor, self.moment))
        self.attend(subscriber)

    def appear(self, subscriber: Subscriber, at: int) -> None:
        """It comes to a link and hears of the agent there; who had left was switched off."""
        if not subscriber.wants:
            subscriber.node = MobileNode(subscriber.node.subscription, self.random.randbytes)
            subscriber.promised = None
        subscriber.at, subscriber.wants = at, True
        heard = subscriber.node.hear(self.advertised[at], self.moment_of(subscriber))
        self.ask(subscriber, heard)

    def leave(self, subscriber: Subscriber) -> None:
        subscriber.wants = False
        self.ask(subscriber, subscriber.node.deregister(self.moment_of(subscriber)))

    # ------------------------------------------------------------------ laws

    def judge_reply(self, number: int, payload: bytes, to: Endpoint) -> None:
        if payload[0] != 3:
            return
        low = int.from_bytes(payload[16:20], "big")
        if to.port not in self.asked.get((number, low), ()):
            raise Broken(f"fa{number} gets a reply to {low:08x}, which it never asked")

    def judge_acceptance(self, member: Router, records: bytes) -> None:
        """No Identification twice: what makes a binding last longer is a request not seen before.

        A record may hold a binding again for another reason, a nonce that a denial hands out.
        """
        for values in rows(records):
            if isinstance(values, Row) and values.kind == Kind.BINDING:
                key = (member.name, values.home_address, values.identification)
                if values.expires > self.accepted.setdefault(key, values.expires):
                    raise Broken(f"{member.name} accepts {values.identification:016x} again")

    def replay_equals_memory(self, router: Router) -> None:
        if router.memory is None:
            return
        again = Memory(router.config, self.random.randbytes)
        again.apply(bytes(router.disk), self.moment)
        if again.digest() != router.memory.digest():
            raise Broken(f"the journal of {router.name} makes other tables than it had")

    def look(self, memory: Memory) -> dict[tuple[int, int], int]:
        """Home address and care-of address of each binding -> when it expires."""
        bound: dict[tuple[int, int], int] = {}
        served: dict[tuple[int, int], set[int]] = {}
        rows = memory.tables[0].rows
        held = rows[rows["kind"] == Kind.BINDING]
        fields = (held[name].tolist() for name in ("home_address", "care_of_address", "expires"))
        names, members = held["nai"].tolist(), memory.slots.member_of[held["slot"]].tolist()
        for home, care_of, expires, nai, member in zip(*fields, names, members, strict=True):
            bound[home, care_of] = expires
            served.setdefault((home, nai), set()).add(member)
        for mobile, by in served.items():
            if len(by) > 1:
                raise Broken(f"{IPv4Address(mobile[0])} is served by members {by}")
        return bound

    def check(self) -> None:
        """Only a record, a promise or another controller can break a law; time ends them."""
        active = self.active
        if active is None or active.memory is None:
            return
        seen = (active.memory, self.recorded, self.promises)
        if self.looked_at == seen:
            return
        self.looked_at = seen
        bound = self.look(active.memory)
        for subscriber in self.subscribers:
            if subscriber.promised is None or subscriber.left:
                continue
            home, care_of, until = subscriber.promised
            if self.now >= until - GRACE_S:
                continue
            places = {care_of, *subscriber.asked_since}
            if not any(
                bound.get((home, place), 0) - EPOCH >= until - GRACE_S or place != care_of
                for place in places
                if (home, place) in bound
            ):
                raise Broken(
                    f"{subscriber.node} counts on {IPv4Address(home)} at {IPv4Address(care_of)} "
                    f"until {until:.1f}; {active.name} does not know it"
                )

    def settled(self) -> bool:
        """Whether everybody who wants to be is registered, and nobody waits for an answer."""
        now = EPOCH + self.now
        return all(
            each.node.registered(now) and each.node.settled
            for each in self.subscribers
            if each.wants
        )

    def busy(self) -> bool:
        """Whether something was recorded so shortly ago that it is on its way still."""
        return self.now - self.recorded_at < 0.05

    def quiet(self) -> None:
        """After the end: everybody who wants to is registered, and all copies agree."""
        for subscriber in self.subscribers:
            node = subscriber.node
            if subscriber.wants and not node.registered(EPOCH + self.now):
                raise Broken(f"{node} is not registered though everything works")
        for router in (*self.controllers, *self.members):
            self.replay_equals_memory(router)
        active, standby = self.active, self.standby
        if active is None or standby is None:
            raise Broken("there are no two controllers at the end")
        assert active.memory is not None
        assert standby.memory is not None
        if active.memory.digest() != standby.memory.digest():
            raise Broken("the standby holds something else than the active controller")
