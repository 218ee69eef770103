"""The members, as a controller sees to them: their links, their health, and what follows from it.

Both controllers of a pair watch all members, so the standby knows who is well when it takes over.
Only the one that leads decides (`engine.cluster.supervision`); what it decides is performed like
all that follows from a packet, in the daemon's order:

    slots in the log and with the standby -> members told, bindings transferred -> requests again

A member is told what it serves as soon as that is more, and that it is less when its heir has got
the bindings (`Release`): until then its tunnels carry on. One that is down is told the truth at
once, should it hear it: that is the fence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from .config import AgentConfig, MemberKind
from .engine.cluster.supervision import Supervision
from .engine.effects import Effect, Moment, Release, Retract, Transfer
from .engine.health import SERVES, Change, Figures, Health, Order, Source, State
from .events import Events
from .link import Language, Link
from .memberlink import Pulse, Watch
from .replica import Replica
from .roles import Controller
from .standby import LinkBroken

SOONEST: Final = 0.2  # s between attempts to reach a member
LATEST: Final = 1.0  # a member that is back is seen after this
SILENCES: Final = 3.0  # times what makes a member down: then its connection is given up
LEAST: Final = 2.0  # s, but not before: to dial anew helps nobody who is busy
OVERTAKEN_S: Final = 1.0
"""s for which a controller that was overtaken begins no new term: two that both get requests, cut
off from each other alone, would take the members from each other with every single one."""

UNLINKED_S: Final = 1.0
"""s between two looks at members where nobody can be quicker: what is due is waited for, instead of
asked for ten times a second."""


class Fleet:
    """A part of the daemon; its sockets are the link's, which the replica serves."""

    def __init__(
        self,
        config: AgentConfig,
        controller: Controller,
        replica: Replica,
        perform: Callable[[Iterable[Effect], Moment], None],
        events: Events,
        clock: Callable[[], Moment],
    ) -> None:
        """`perform` does what is decided here, in the daemon's order."""
        self._replica, self._perform, self.events = replica, perform, events
        self._clock = clock
        self._link: Link | None = replica.link
        self._controller = controller
        self._watches: dict[int, Watch] = {}
        self._generation = 0  # of configurations: what was dialled under one is nothing to the next
        self._told: dict[int, frozenset[int]] = {}
        self._pulses: dict[int, Pulse] = {}
        self._confirmed: dict[int, int] = {}
        self._listening: set[int] = set()  # members that have obeyed us in this term
        self._obeying: set[int] = set()  # those that have just done what they were told
        self._overtaken = 0.0  # s of the steady clock: until then another one decides
        self._burden = 0  # bindings of the member that has the most
        self._decided = 0.0  # s of the steady clock: when what is performed was begun with
        self._begin(config)

    def _begin(self, config: AgentConfig) -> None:
        now = self._clock()
        self._config = config
        self._number = [each.name for each in config.controllers].index(config.name)
        self.health = Health(config, now)
        self.supervision = Supervision(config, lambda: self._controller.cluster, self.health)
        self._beat = config.health.heartbeat_ms / 1000
        self._patience = max(LEAST, SILENCES * config.health.misses * self._beat)
        linux = [n for n, each in enumerate(config.members) if each.kind is MemberKind.LINUX]
        self._dial_at = dict.fromkeys(linux if self._link is not None else (), now.steady)
        self._attempts = dict.fromkeys(linux, 0)

    def reconfigure(self, config: AgentConfig) -> None:
        """Under another configuration."""
        if self._link is not None:
            for watch in list(self._watches.values()):
                self._link.end(watch, "")
        self._generation += 1
        self._begin(config)

    # ------------------------------------------------------------------ the daemon's part

    def fileno(self) -> None:
        return None

    def next_deadline(self) -> float | None:
        found = [self._due, *self._dial_at.values()]
        if self.supervision.leads != self._replica.leads:
            found.append(self._overtaken)
        if self._obeying:
            found.append(0.0)
        return min((at for at in found if at is not None), default=None)

    @property
    def _due(self) -> float | None:
        """Without links there are no heartbeats, and what else tells of members takes seconds."""
        due = self.supervision.next_deadline()
        if due is None or self._link is not None:
            return due
        return max(due, self._decided + UNLINKED_S)

    def handle(self, now: Moment) -> None:
        self._take_turns(now)
        for member, at in list(self._dial_at.items()):
            if now.steady >= at:
                self._dial(member, now)
        obeying, self._obeying = self._obeying, set()
        for member in sorted(obeying):
            self._heed(member, now)
        due = self._due
        if due is None or now.steady < due:
            return
        self._decided = now.steady
        self._burden = int(self._controller.cluster.weigh().served.max())
        acts = self.supervision.handle_timer(now)
        for change in acts.changes:
            self._note(change)
        self._do(acts.effects, now)

    def perform_order(self, effect: Transfer | Release | Retract, now: Moment) -> None:
        """What the daemon comes upon among effects."""
        if isinstance(effect, Retract):
            watch = self._watches.get(effect.member)
            if watch is not None:  # else it does the same again, and is told then
                watch.retract(effect.records)
            return
        slots = frozenset(effect.slots)
        if isinstance(effect, Transfer):
            self.events.note(
                "slots move",
                member=self._name(effect.member),
                slots=len(slots),
                epoch=effect.epoch,
                after_ms=round((now.steady - self._decided) * 1000, 2),  # both planes have them
            )
        else:
            self._told[effect.member] = self._told.get(effect.member, frozenset()) - slots
            self.events.note("slots released", member=self._name(effect.member), slots=len(slots))
        self._tell(now)

    # ------------------------------------------------------------------ who leads

    def _take_turns(self, now: Moment) -> None:
        """The replica says who leads; here it begins its term, or ends it."""
        overtaken = now.steady < self._overtaken
        if self._replica.leads and not self.supervision.leads and not overtaken:
            slots = self._controller.cluster.slots
            slots.epoch = max(slots.epoch, *(p.epoch for p in self._pulses.values()), 0)
            self._do(self.supervision.lead(self._number, now), now)
            self._told.clear()
            self._listening.clear()
            self.events.note("this controller decides", epoch=slots.epoch)
            self._tell(now)
        elif self.supervision.leads and (overtaken or not self._replica.leads):
            self.supervision.stand_back()
            for watch in self._watches.values():
                watch.stand_back()
            why = "a member obeys a later one" if overtaken else "it does not lead"
            self.events.note("this controller decides no more", why=why)
            if overtaken:
                self._replica.follow(now)

    def _tell(self, now: Moment) -> None:
        """Every member that is reached: what it serves."""
        if not self.supervision.leads:
            return
        for member, watch in self._watches.items():
            self._order(member, watch)
        if self._link is not None:
            self._link.flush(now.steady, Language.MEMBER)

    def _order(self, member: int, watch: Watch) -> None:
        slots = self._controller.cluster.slots
        served = slots.served_by(member).tolist()
        duties = dict(zip(served, slots.since[served].tolist(), strict=True))
        if self.health.state(member) in (*SERVES, State.MAINTENANCE):
            # What it gives up when an heir has it, it has got: nobody transfers it.
            duties = dict.fromkeys(self._told.get(member, frozenset()), 0) | duties
        self._told[member] = frozenset(duties)
        watch.serve(slots.epoch, duties)

    def _heed(self, member: int, now: Moment) -> None:
        """A member has done what it was told: in a new term it listens to us from here on."""
        watch = self._watches.get(member)
        if watch is None or not watch.obeyed or not self.supervision.leads:
            return
        cluster = self._controller.cluster
        if member not in self._listening or not cluster.is_listening(member):
            self._listening.add(member)
            cluster.listens(member)
        epoch = cluster.slots.epoch
        if not watch.transferring and self._confirmed.get(member) != epoch:
            self._confirmed[member] = epoch
            self._do(self.supervision.confirmed(member, epoch), now)

    def _do(self, effects: Iterable[Effect], now: Moment) -> None:
        decided = tuple(effects)
        if decided:
            self._perform(decided, now)

    # ------------------------------------------------------------------ links

    def _dial(self, member: int, now: Moment) -> None:
        assert self._link is not None
        told = self._config.members[member]
        attempt = self._attempts[member]
        self._attempts[member] += 1
        address = told.addresses[attempt % len(told.addresses)]
        del self._dial_at[member]
        self._link.dial(
            told.name,
            address.address,
            partial(self._start, member, self._generation),
            partial(self._closed, member, self._generation),
            now.steady,
            Language.MEMBER,
        )

    def _start(self, member: int, generation: int, _name: str, now: float) -> Watch:
        if generation != self._generation:
            raise LinkBroken("another configuration is in force by now")
        watch = Watch(
            self._beat,
            self._patience,
            partial(self._pulse, member),
            lambda slots: self._controller.cluster.bindings_of(slots),
            lambda: self._burden,
            partial(self._kept, member),
            now,
        )
        self._watches[member] = watch
        self._attempts[member] = 0
        if self.supervision.leads:
            self._order(member, watch)
        return watch

    def _closed(self, member: int, generation: int, _why: str) -> None:
        if generation != self._generation:
            return
        now = self._clock()
        delay = min(LATEST, SOONEST * 2 ** min(self._attempts[member], 8))
        self._dial_at[member] = now.steady + delay
        watch = self._watches.pop(member, None)
        if watch is not None:
            # Who was never reached is unknown, and not down.
            self._told.pop(member, None)
            self._pulses.pop(member, None)
            self._confirmed.pop(member, None)
            self.health.lost(member, now)

    def _pulse(self, member: int, pulse: Pulse, at: float) -> None:
        now = self._clock()
        self._pulses[member] = pulse
        vitals = pulse.vitals
        figures = Figures(
            member,
            Source.LINK,
            at,
            vitals.bindings,
            _known(vitals.cpu_percent),
            _known(vitals.memory_free_percent),
            _known(vitals.registrations_per_s),
        )
        self.health.heard(member, figures, now)
        own = self._controller.cluster.slots.epoch
        if self.supervision.leads and pulse.epoch > own:
            self._overtaken = now.steady + OVERTAKEN_S

    def _kept(self, member: int) -> None:
        """It obeys; what follows from that is done when the link is not being read."""
        self._obeying.add(member)

    # ------------------------------------------------------------------ what operators ask

    def order(self, member: int, order: Order, by: str) -> None:
        """Until another one is given. While nobody leads, it counts if this controller will.

        `by`: who has given it, if that is known.
        """
        now = self._clock()
        effects = self._controller.cluster.order(member, order)
        if self._replica.leads:
            self._do(effects, now)
        self.supervision.obey(now)
        told = {"by": by} if by else {}
        self.events.note(
            "an operator's order", member=self._name(member), order=order.value, **told
        )

    @property
    def follows(self) -> str | None:
        """The controller that decides, if it is another one and gives us its log."""
        return self._replica.follows

    @property
    def names(self) -> list[str]:
        """Of the members, each by its place in the configuration."""
        return [each.name for each in self._config.members]

    def members(self) -> Iterator[Mapping[str, Any]]:
        """For `status`, in the same order."""
        now = self._clock()
        slots = np.bincount(self._controller.slots.member_of, minlength=len(self._config.members))
        for each in self.supervision.candidates(now):
            member = each.member
            standing = self.health.standing(member, now)
            figures = standing.figures
            pulse = self._pulses.get(member)
            watch = self._watches.get(member)
            yield {
                "state": standing.state.value,
                "why": standing.reason,
                "since_s": round(now.steady - standing.since, 1),
                "load": round(each.load, 4),
                "closed": each.closed,
                "slots": int(slots[member]),
                "linked": watch is not None,
                "transferring": watch is not None and watch.transferring,
                "round_trip_ms": None if pulse is None else round(pulse.round_trip * 1000, 1),
                "announced": None if pulse is None else pulse.vitals.announced,
                "epoch": None if pulse is None else pulse.epoch,
                "figures": None
                if figures is None
                else {
                    "source": figures.source.value,
                    "age_s": round(now.steady - figures.at, 1),
                    "bindings": figures.bindings,
                    "cpu_percent": figures.cpu_percent,
                    "memory_free_percent": figures.memory_free_percent,
                    "registrations_per_s": figures.registrations_per_s,
                },
            }

    # ------------------------------------------------------------------ words

    def _name(self, member: int) -> str:
        return self._config.members[member].name

    def _note(self, change: Change) -> None:
        self.events.note(
            f"member {change.after}",
            member=self._name(change.member),
            before=change.before.value,
            why=change.reason,
        )


def _known(figure: float) -> float | None:
    return None if math.isnan(figure) else figure
