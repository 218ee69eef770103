"""A member's end of its links: who it obeys, what it serves, holds and announces.

The rules of who has the right to serve are written down in `engine.cluster.failover`; what a member
does about them is here:

- it obeys the controller of the highest epoch that it has heard of, and takes requests to the
  virtual address from that one alone;
- what it is told to serve it takes from the controller, what it does not serve any more it gives
  up, and says when it has (`memberlink`);
- it announces a slice while it serves, and has got, all slots of the slice's owner: its own slice
  as it is, another's in halves, since longer prefixes win over whatever a member announces that is
  dead or cut off, without its co-operation;
- a controller that was stopped and leads again may not know what another one led to meanwhile: who
  is bound elsewhere since then, with its latest Identification. So a member that it begins another
  term with believes no timestamp of before, like one that takes over;
- who hears no controller goes on as before, as long as nobody else announces its slice: to lose all
  controllers must not silence all members. When the routing table shows the halves of its slice,
  the others have gone on without it, and it announces nothing until a controller tells it to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network
from typing import Any, Final, Protocol

from .config import AgentConfig
from .engine.effects import Effect, Log, Moment
from .engine.slots import Slots, began_again
from .events import Events
from .link import Language, Talk
from .memberlink import Duty, Vitals
from .replica import Replica
from .resources import Resources
from .roles import Member
from .standby import LinkBroken
from .transport import Transport

LOOK_S: Final = 1.0  # s between looks at processor and memory
AHEAD_S: Final = 1.0  # s that the time of Identifications may be ahead before anybody is told
SILENCES: Final = 3.0  # as in `fleet`
LEAST: Final = 2.0


class Announcer(Protocol):
    """Tells the routing daemon which prefixes lead here: `routes.Routes`."""

    def announce(self, prefixes: frozenset[IPv4Network]) -> None: ...

    def elsewhere(self, prefix: IPv4Network) -> bool:
        """Whether the routing table has both its halves from other routers."""
        ...


class Ward:
    """A part of the daemon; its sockets are the link's, which the replica serves."""

    def __init__(
        self,
        config: AgentConfig,
        member: Member,
        replica: Replica,
        transport: Transport,
        announcer: Announcer,
        perform: Callable[[Iterable[Effect], Moment], None],
        events: Events,
        clock: Callable[[], Moment],
    ) -> None:
        self._member, self._replica, self._transport = member, replica, transport
        self._announcer, self._perform, self.events = announcer, perform, events
        self._clock = clock
        self._resources = Resources()
        self._use = self._resources.look(clock().steady)
        self._rate = math.nan
        self._counted = (clock().steady, member.requests)
        self._look_at = 0.0
        self._heard: dict[str, float] = {}
        self._talks: dict[Talk, str] = {}
        self._obeyed = ""  # the controller of `epoch`
        self._parted = True  # an order of the controller that is obeyed may have passed us by
        self._lacking: frozenset[int] = frozenset()
        self.serving: frozenset[int] | None = None
        """Slots, by order; None: nobody has said anything yet."""
        self.epoch = member.holdings.epoch
        self.burden = 0
        """Bindings that may have to be taken over at once."""
        self.announced: frozenset[IPv4Network] = frozenset()
        self._outvoted = False  # others announce our slice, and no controller is heard
        self._ahead = False  # mobile nodes are told another time than the clock's
        self.reconfigure(config)
        if replica.link is not None:
            replica.link.serve(Language.MEMBER, self._answer, self._left)

    def reconfigure(self, config: AgentConfig) -> None:
        self._config = config
        self._number = [each.name for each in config.members].index(config.name)
        self._beat = config.health.heartbeat_ms / 1000
        self._patience = max(LEAST, SILENCES * config.health.misses * self._beat)
        self._slots = Slots(len(config.members))
        if self.serving is not None:
            self._member.home_agent.begin_anew(self._clock())  # it knows of no takeover any more
            self._follow()
        self._announce()

    # ------------------------------------------------------------------ the daemon's part

    def fileno(self) -> None:
        return None

    def next_deadline(self) -> float | None:
        return self._look_at

    def handle(self, now: Moment) -> None:
        """Once a second: figures, who is heard, what others announce."""
        if now.steady < self._look_at:
            return
        self._look_at = now.steady + LOOK_S
        self._use = self._resources.look(now.steady)
        at, before = self._counted
        if now.steady > at:
            self._rate = (self._member.requests - before) / (now.steady - at)
        self._counted = now.steady, self._member.requests
        self._follow()
        self._keep_time(now)
        alone = all(now.steady - at > self._patience for at in self._heard.values())
        own = self._config.members[self._number].slices
        linked = self._replica.link is not None  # else nobody takes anything over
        outvoted = linked and alone and any(self._announcer.elsewhere(each) for each in own)
        if outvoted != self._outvoted:
            self._outvoted = outvoted
            if outvoted:
                self.events.note("others announce our slice: withdrawn", controllers="none heard")
            self._announce()

    def _ahead_s(self, now: Moment) -> float:
        """How far the time that mobile nodes are told is ahead of our clock (`timekeeping`)."""
        return self._member.home_agent.time(now).wall - now.wall

    def _keep_time(self, now: Moment) -> None:
        ahead = self._ahead_s(now)
        if (ahead > AHEAD_S) != self._ahead:
            self._ahead = not self._ahead
            told = "goes on from where it was" if self._ahead else "is that of the clock again"
            self.events.note(f"the time of Identifications {told}", ahead_s=round(ahead, 1))

    # ------------------------------------------------------------------ what controllers say

    def _answer(self, name: str, now: float) -> Duty:
        if name not in {each.name for each in self._config.controllers}:
            raise LinkBroken("only a controller watches members")
        duty = Duty(name, self._beat, self._patience, self, now)
        self._talks[duty] = name
        return duty

    def _left(self, talk: Talk) -> None:
        name = self._talks.pop(talk)
        self._parted |= name == self._obeyed
        if name not in self._talks.values():
            self._heard.pop(name, None)

    @property
    def held(self) -> frozenset[int]:
        return self._member.holdings.slots

    def vitals(self) -> Vitals:
        use = self._use
        return Vitals(
            self._member.bindings,
            math.nan if use.cpu is None else use.cpu,
            math.nan if use.memory_free is None else use.memory_free,
            self._rate,
            len(self.announced),
        )

    def heard(self, controller: str, burden: int, now: float) -> None:
        self._heard[controller] = now
        self.burden = burden

    @property
    def lacking(self) -> frozenset[int]:
        return self._lacking

    def serve(self, controller: str, epoch: int, slots: Mapping[int, int]) -> bool:
        if epoch < self.epoch:
            return False
        now = self._clock()
        holdings = self._member.holdings
        old = {slot for slot, since in slots.items() if since > holdings.since(slot)} & self.held
        if old and self._parted:
            # They were somebody else's since, and nothing here says which bindings are theirs.
            self.hold(self.held, False)
        self._parted = False
        self._lacking = frozenset(slots.keys() - self.held | old)
        if self._lacking or began_again(self.epoch, epoch):
            self._member.home_agent.begin_anew(now)
        if controller != self._obeyed:
            self.events.note("this router obeys", controller=controller, epoch=epoch)
        self.epoch, self.serving, self._obeyed = epoch, frozenset(slots), controller
        self._outvoted = False
        self._follow()
        self._announce()
        return True

    def take_over(self, records: bytes, ahead: float) -> None:
        now = self._clock()
        self._perform(self._member.home_agent.take_over(records, ahead, now), now)

    def give_up(self, records: bytes) -> None:
        self._perform(self._member.home_agent.give_up(records), self._clock())

    def hold(self, slots: frozenset[int], held: bool) -> None:
        holdings = self._member.holdings
        records = holdings.said(slots, held, self.epoch)
        self._perform([Log(records)], self._clock())
        holdings.apply(records)
        if not holdings.slots:
            # Whatever is left no controller knows of: it is nobody's here any more.
            for block in list(self._member.snapshot()):
                self.give_up(block)
        word = "slots taken over" if held else "slots given up"
        self.events.note(word, slots=len(slots), bindings=self._member.bindings)
        self._announce()

    def _follow(self) -> None:
        """Requests to the virtual address come from the controller that is obeyed.

        Who serves nothing takes none: what still comes is from before it gave up everything.
        """
        if self.serving is not None and not self.serving:
            self._member.home_agent.follow(frozenset())
            return
        found = next((each for each in self._config.controllers if each.name == self._obeyed), None)
        if found is not None:
            self._member.home_agent.follow(self._transport.known_as(found.addresses) or None)

    # ------------------------------------------------------------------ routes

    def _announce(self) -> None:
        served = self.held if self.serving is None else self.serving & self.held
        prefixes: set[IPv4Network] = set()
        for number, member in enumerate(self._config.members):
            if self._outvoted or not served.issuperset(self._slots.home_slots(number)):
                continue
            for each in member.slices:
                if any(each.overlaps(lan.address.network) for lan in self._config.lans):
                    continue  # a home network that is a LAN: its mobile nodes are found by ARP
                # A single address has no halves: there nothing longer can win.
                whole = number == self._number or each.prefixlen == each.max_prefixlen
                prefixes.update((each,) if whole else each.subnets())
        announced = frozenset(prefixes)
        if announced != self.announced:
            self.announced = announced
            self._announcer.announce(announced)

    # ------------------------------------------------------------------ what operators ask

    def status(self) -> dict[str, Any]:
        now = self._clock()
        return {
            "obeys": self._obeyed or None,
            "epoch": self.epoch,
            "controllers": {
                name: round(now.steady - at, 2) for name, at in sorted(self._heard.items())
            },
            "slots": len(self.held if self.serving is None else self.serving),
            "held": len(self.held),
            "time_ahead_s": round(self._ahead_s(now), 1),
            "announced": sorted(map(str, self.announced)),
            "figures_of": self._resources.of,
            "cpu_percent": self._use.cpu,
            "memory_free_percent": self._use.memory_free,
        }
