"""What the active controller does about its members: health judged, slots moved.

    state of a member        its slots                                      new mobile nodes
    unknown, up              stay; its own come back to it, slowly          if it has all its own
    failing                  leave in portions, if most members are well    if nobody else is left
    draining                 leave in portions; then it is in maintenance   if nobody else is left
    down, held, maintenance  leave at once, all of them                     none

Failover is at once and everything else is slow. A portion is followed by the next when the heir has
confirmed it, and not within PORTION_S: the cluster has mobile nodes to serve meanwhile. Who comes
back gets nothing before it was well for STEADY_S, and then a portion of its own slots at a time.

While nobody is well, slots go to who was never heard: it may serve, and who is down does not. That
is a bet, and it ends as soon as their own member is up: they come back at once.

Who gave up slots and lives is told so when the heir has their bindings, not before: until then its
tunnels carry on. Whoever is told later by the new epoch that it serves none, because nobody could
reach it at the time, gives up everything before it serves anything (`home_agent.takeover`).

All of this is a function of states, orders and slots as they are. A controller that takes over, or
that was stopped anywhere between two effects, looks at them and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...config import AgentConfig, MemberKind
from ..effects import Effect, Moment, Release
from ..health import SERVES, TAKES_NEW, Change, Health, Order, Standing, State
from . import Cluster
from .standing import Given
from .weighing import Candidate, Weighing

PORTION: Final = 10_000
"""Bindings that move at once where there is no hurry: a fifteenth of a second of transfer."""

PORTION_S: Final = 1.0
STEADY_S: Final = 60.0
"""s that a member has been up before its own slots come back: a machine that is about to fail again
mostly does so within its first minute."""

WEIGH_S: Final = 1.0
"""s between two looks at the loads."""

_AT_ONCE: Final = frozenset({State.DOWN, State.HELD, State.MAINTENANCE})


@dataclass(frozen=True, slots=True)
class Acts:
    """What follows, in this order."""

    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]


class Supervision:
    def __init__(self, config: AgentConfig, cluster: Callable[[], Cluster], health: Health) -> None:
        """`cluster` is asked each time: one that follows another controller is made anew."""
        self._find = cluster
        self._known = cluster()
        self._health = health
        self._weighing = Weighing(config)
        self._members = range(len(config.members))
        self._ours = [
            number
            for number, member in enumerate(config.members)
            if member.kind is MemberKind.LINUX
        ]
        self._leads = False
        self._weighed: float | None = None
        self._answered, self._silent = self._known.answered, self._known.silent
        self._obeyed: dict[int, Given] = {}  # of members, that health was told of
        self._moved = -PORTION_S
        self._unconfirmed: dict[int, int] = {}  # members -> the epoch of their last transfer
        self._former: dict[int, int] = {}  # slots -> who may still have what they hold
        self._bets: dict[int, int] = {}  # slots -> who got them without having been heard

    # ------------------------------------------------------------------ who decides

    @property
    def leads(self) -> bool:
        return self._leads

    def lead(self, controller: int, now: Moment) -> list[Effect]:
        """This controller is active: it begins its term, and moves slots from now on."""
        self._leads = True
        self._forget()
        return self._cluster.lead(controller, now)

    def stand_back(self) -> None:
        """It is not active any more, or a member obeys a later term."""
        self._leads = False

    # ------------------------------------------------------------------ what members say

    def confirmed(self, member: int, epoch: int) -> list[Effect]:
        """It serves what this epoch gave it, and has all of its bindings."""
        if self._unconfirmed.get(member, epoch + 1) <= epoch:
            del self._unconfirmed[member]
        if member in self._unconfirmed:
            return []
        self._cluster.confirmed(member)
        slots = self._cluster.slots
        released: dict[int, list[int]] = {}
        for slot, former in list(self._former.items()):
            if int(slots.member_of[slot]) == member:
                del self._former[slot]
                released.setdefault(former, []).append(slot)
        return [Release(former, tuple(slots), epoch) for former, slots in released.items()]

    # ------------------------------------------------------------------ time

    def next_deadline(self) -> float | None:
        return self._health.next_deadline()

    def handle_timer(self, now: Moment) -> Acts:
        """What became of members since the last look, and what is done about it."""
        self._listen(now)
        self.obey(now)
        changes = self._health.handle_timer(now)
        changed: Iterable[int] = [change.member for change in changes]
        for member in changed if self._weighed is not None else self._members:
            self._cluster.set_available(member, self._state(member) in SERVES, now)
        if changes or self._weighed is None or now.steady - self._weighed >= WEIGH_S:
            self._weigh(now)
        effects: list[Effect] = []
        if self._leads:
            effects += self._fail_over(now)
            effects += self._call_off(now)
            effects += self._portion(now)
            served = np.bincount(self._cluster.slots.member_of, minlength=len(self._members))
            for member in np.flatnonzero(served == 0).tolist():
                self._health.emptied(member, now)
        return Acts(tuple(changes), tuple(effects))

    # ------------------------------------------------------------------ what operators ask

    def obey(self, now: Moment) -> None:
        """What was ordered of members counts, whether it was ordered here or came by the log."""
        orders = self._cluster.orders
        for member in self._members:
            latest = orders.of(member)
            if latest == self._obeyed.get(member):
                continue
            if latest is None:  # the log of another controller does not know it
                del self._obeyed[member]
            else:
                self._obeyed[member] = latest
            self._health.order(member, Order.UNDRAIN if latest is None else latest.order, now)

    def candidates(self, now: Moment) -> tuple[Candidate, ...]:
        """The members as a new mobile node finds them."""
        self._weigh(now)
        return self._weighing.candidates(self._cluster.weigh(), self._standings(now))

    # ------------------------------------------------------------------ decisions

    @property
    def _cluster(self) -> Cluster:
        found = self._find()
        if found is not self._known:
            self._known = found
            self._answered, self._silent = found.answered, found.silent
            self._forget()
            self._weighed = None
        return found

    def _forget(self) -> None:
        """What was under way in another term."""
        self._unconfirmed.clear()
        self._former.clear()
        self._bets.clear()

    def _listen(self, now: Moment) -> None:
        """What the relay saw of the members."""
        answered, silent = self._cluster.answered, self._cluster.silent
        for member, (at, count) in enumerate(zip(answered, silent, strict=True)):
            if count > self._silent[member]:
                self._health.unanswered(member, count - self._silent[member], now)
            if at > self._answered[member]:
                self._health.answered(member, now._replace(steady=at))
        self._answered, self._silent = answered, silent

    def _state(self, member: int) -> State:
        return self._health.state(member)

    def _standings(self, now: Moment) -> list[Standing]:
        return [self._health.standing(member, now) for member in self._members]

    def _weigh(self, now: Moment) -> None:
        self._weighed = now.steady
        loads = self._cluster.weigh()
        self._weighing.write(loads, self._cluster.slots, self._standings(now), now.steady)

    def _heirs(self) -> list[int]:
        """Who is well and takes bindings over; if nobody does, whoever is well, may be, or serves.

        A stock backup comes after our survivors: with it every mobile node has to register anew.
        """
        for states, members in (
            ({State.UP}, self._ours),
            ({State.UP}, self._members),
            (TAKES_NEW, self._members),
            (SERVES, self._members),
        ):
            found = [member for member in members if self._state(member) in states]
            if found:
                return found
        return []

    def _fail_over(self, now: Moment) -> list[Effect]:
        slots = self._cluster.slots
        leaving = [member for member in self._members if self._state(member) in _AT_ONCE]
        moving = np.flatnonzero(np.isin(slots.member_of, leaving))
        if not len(moving):
            return []
        return self._move(moving, self._heirs(), now, again=True)

    def _call_off(self, now: Moment) -> list[Effect]:
        """Slots come back from who has not been heard yet to their own member, which is up."""
        slots = self._cluster.slots
        lost: dict[int, list[int]] = {}
        for slot, heir in list(self._bets.items()):
            if int(slots.member_of[slot]) != heir or self._state(heir) is not State.UNKNOWN:
                del self._bets[slot]  # others have it meanwhile, or it was won
            elif self._state(slot // slots.per_member) is State.UP:
                lost.setdefault(slot // slots.per_member, []).append(slot)
        effects: list[Effect] = []
        for home, own in lost.items():
            effects += self._move(np.array(own), [home], now, again=True)
        return effects

    def _portion(self, now: Moment) -> list[Effect]:
        """The next step of what is slow, one at a time in the whole cluster."""
        if self._unconfirmed or now.steady - self._moved < PORTION_S:
            return []
        slots = self._cluster.slots
        for member in self._members:
            if self._state(member) is State.DRAINING or self._drained(member):
                served = slots.served_by(member)
                heirs = [heir for heir in self._heirs() if heir != member]
                if len(served) and heirs:
                    return self._move(self._some(served), heirs, now)
        homes = np.arange(len(slots)) // slots.per_member
        away = slots.member_of != homes
        for member in np.unique(homes[away]).tolist():
            standing = self._health.standing(member, now)
            if standing.state is State.UP and now.steady - standing.since >= STEADY_S:
                own = np.flatnonzero(away & (homes == member))
                return self._move(self._some(own), [member], now)
        return []

    def _drained(self, member: int) -> bool:
        """A failing member is relieved while most of the cluster is well: a storm has no lee."""
        if self._state(member) is not State.FAILING:
            return False
        well = sum(self._state(each) in TAKES_NEW for each in self._members)
        failing = sum(self._state(each) is State.FAILING for each in self._members)
        return well > failing

    def _some(self, slots: NDArray[Any]) -> NDArray[Any]:
        """As many as a portion holds, one at least."""
        held = np.cumsum(self._cluster.counts()[slots])
        return slots[: max(1, int(np.searchsorted(held, PORTION, "right")))]

    def _move(
        self, moving: NDArray[Any], heirs: Collection[int], now: Moment, *, again: bool = False
    ) -> list[Effect]:
        moves = self._cluster.plan(moving, heirs)
        if not moves:
            return []
        slots = self._cluster.slots
        for slot, heir in moves:
            former = int(slots.member_of[slot])
            if self._state(former) in SERVES or self._state(former) is State.MAINTENANCE:
                # What it was once to give up it gives up later, when this heir has it.
                self._former.setdefault(slot, former)
            if self._former.get(slot) == heir:
                del self._former[slot]
            if self._state(heir) is State.UNKNOWN:
                self._bets[slot] = heir
        effects = self._cluster.move(moves, now, again=again)
        self._moved = now.steady
        for heir in {heir for _, heir in moves} & set(self._ours):
            self._unconfirmed[heir] = slots.epoch
        for gone in [each for each in self._unconfirmed if self._state(each) not in SERVES]:
            del self._unconfirmed[gone]
        self._weigh(now)
        return effects
