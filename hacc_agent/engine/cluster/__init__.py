"""The controller: makes many Home Agents behave as one (DESIGN, "the system in one page").

    request    pending table, then permanent one, else selection   -> PENDING, on to the member
    reply      the request it answers, from the member asked       -> BINDING, UNBOUND or SETTLED,
                                                                      on to who sent the request
    time       no reply: again, elsewhere, given up; a lifetime over -> PENDING, SETTLED; UNBOUND

    alone       the rules, for one datagram: the reference
    quick       the same for the plain ones of a batch, compiled
    ledger      both tables, by records alone: the same for a restart and a standby
    timers      what time does
    failover    what a decision about slots does; planning: the decision; summons: where nothing
                can be transferred; supervision, weighing: what is decided of health and load
    selection, admission, answers, revocation, nonces, departures, standing, members, counters

The controller judges nothing that a member judges, and passes on what it got, octet for octet. What
it answers itself, when the cluster is full or when it sends a mobile node elsewhere, it answers as
a Home Agent does: to who proved to be entitled to an answer, with the cluster's keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import AgentConfig
from ..batch import Batch, Outcome, one_by_one
from ..effects import Effect, Endpoint, Log, Moment
from ..health import Order
from ..networks import MobileNetworks
from ..slots import Slots
from ..table import Table
from .admission import Admission
from .alone import Alone
from .answers import Answers
from .counters import Counters
from .departures import Departures
from .failover import Failover
from .ledger import Ledger
from .members import Members
from .nonces import Nonces
from .planning import Moves
from .quick import Fit, Quick
from .revocation import Revocations
from .selection import LeastLoaded, Loads, Selection
from .standing import StandingOrders
from .state import State
from .timers import Timers

__all__ = ["Cluster", "Counters", "Fit", "LeastLoaded", "Loads", "Selection"]


class Cluster:
    """A controller's decisions. `pending` is made with `table.beside`: they share their names."""

    def __init__(
        self,
        config: AgentConfig,
        table: Table,
        pending: Table,
        slots: Slots,
        selection: Selection,
        before: Cluster | None = None,
    ) -> None:
        """`before` is who did the same under another configuration, and does so no more."""
        old: State | None = None if before is None else before._state
        self.counters = old.counters if old else Counters()
        members = Members(config, table, pending, slots)
        if old:
            members.take_over(old.members)
        self._state: State = State(
            config,
            old.ledger.under(slots) if old else Ledger(table, pending, slots),
            members,
            Admission(config.admission, len(config.members)),
            selection,
            Answers(config),
            old.revocations if old else Revocations(),
            Nonces(config),
            Departures(config, slots),
            self.counters,
        )
        self._alone = Alone(self._state)
        self._quick: Quick | None = None
        self._timers = Timers(self._state)
        self._failover = Failover(self._state)

    @property
    def unanswered(self) -> tuple[int, ...]:
        """Requests that each member let time out, by its place in the configuration."""
        return tuple(self._state.members.unanswered)

    @property
    def silent(self) -> tuple[int, ...]:
        """Those of them that a mobile node proved to be its own."""
        return tuple(self._state.members.silent)

    @property
    def answered(self) -> tuple[float, ...]:
        """s of the steady clock: when each member was seen to accept a request; 0: never."""
        return tuple(self._state.members.answered.tolist())

    @property
    def waiting(self) -> int:
        """Requests that wait for a reply."""
        return self._state.ledger.waiting

    def set_available(self, member: int, available: bool, now: Moment) -> None:
        """Whether a member is to get requests. Those that wait for one that is not move on."""
        self._state.members.set_available(member, available)
        if not available:
            self._timers.hasten(now.steady)

    # ------------------------------------------------------------------ slots

    def lead(self, controller: int, now: Moment) -> list[Effect]:
        """This controller, by its place in the configuration, decides from now on."""
        return self._failover.lead(controller, now)

    @property
    def orders(self) -> StandingOrders:
        """What operators have ordered, to be read."""
        return self._state.ledger.orders

    def order(self, member: int, order: Order) -> list[Effect]:
        """An operator wants this of a member, by its place in the configuration."""
        record = self.orders.given(member, order)
        self._state.ledger.apply(record)
        return [Log(record)]

    @property
    def slots(self) -> Slots:
        """Who serves what, to be read."""
        return self._state.ledger.slots

    def weigh(self) -> Loads:
        """What is known of the members at this moment; a policy may write into its columns."""
        return self._state.members.weigh()

    def counts(self) -> NDArray[Any]:
        """Bindings and requests of each slot."""
        return self._state.members.counts()

    def fail_over(
        self, leaving: Collection[int], heirs: Collection[int], now: Moment
    ) -> list[Effect]:
        """All slots of the `leaving` members go to `heirs`, and what waits for a reply with them.

        Without heirs nothing happens: better a member that is said to be down than none.
        """
        moving = np.flatnonzero(np.isin(self.slots.member_of, list(leaving)))
        return self.move(self.plan(moving, set(heirs) - set(leaving)), now, again=True)

    def plan(self, moving: NDArray[Any], heirs: Collection[int]) -> Moves:
        """Who is to serve these slots from now on; nothing happens yet."""
        return self._failover.plan(moving, heirs)

    def move(self, moves: Moves, now: Moment, *, again: bool = False) -> list[Effect]:
        """Slots get new members; `again`: the old ones will not answer what they were sent.

        Then `handle_timer` sends it to the new ones, when they listen.
        """
        effects = self._failover.move(moves, now, again=again)
        self._timers.wait(now.steady)
        return effects

    def is_listening(self, member: int) -> bool:
        """Whether it knows which slots it was given."""
        return bool(self._state.members.listening[member])

    def listens(self, member: int) -> None:
        """It says so, or that it obeys our term: what waits for it is sent, maybe once more."""
        self._failover.listens(member)

    def confirmed(self, member: int) -> None:
        """It has all bindings of what it serves."""
        self._failover.confirmed(member)

    @property
    def networks(self) -> MobileNetworks:
        """As members have granted them."""
        return self._state.ledger.networks

    def bindings_of(self, slots: Collection[int]) -> Iterator[bytes]:
        """What a `Transfer` of these slots is made of: records with names, in blocks."""
        return self._failover.bindings_of(slots)

    def without_member(self) -> Iterator[bytes]:
        """Bindings that the member which serves them does not have: records, in blocks."""
        return self._failover.summons.waiting()

    # ------------------------------------------------------------------ datagrams and time

    def receive(self, payload: bytes, source: Endpoint, now: Moment) -> list[Effect]:
        """One UDP payload that came to the virtual Home Agent address."""
        effects = self._alone.receive(payload, source, now)
        for effect in effects:
            if isinstance(effect, Log):
                self._state.members.look(effect.records, now.steady)
        self._timers.wait(now.steady)
        return effects

    def receive_batch(self, batch: Batch, now: Moment) -> Outcome:
        """What one system call brought: the same effects as `receive` of each datagram."""
        if self._quick is not None:
            outcome = self._quick.receive(batch, now)
        else:
            outcome = one_by_one(batch, partial(self._alone.receive, now=now))
        self._state.members.look(outcome.records, now.steady)
        self._timers.wait(now.steady)
        return outcome

    def quicken(self, fit: Fit) -> None:
        """From now on batches go through compiled code: `kernels.relaying.fit`."""
        self._quick = Quick(self._state, self._alone, fit)

    def next_deadline(self) -> float | None:
        """s of the steady clock; None: nothing is going to happen by itself; 0: there is more."""
        if self._failover.sending:
            return 0.0
        due = (self._failover.summons.due, self._timers.next_deadline())
        return min((each for each in due if each is not None), default=None)

    def handle_timer(self, now: Moment) -> list[Effect]:
        """A bounded part of what is due; `next_deadline` says when to come back."""
        again = [*self._failover.resend(now), *self._failover.summons.send(now)]
        return [*again, *self._timers.handle(now)]

    def apply(self, records: bytes, now: Moment) -> None:
        """What a journal or an active controller says: changes the tables, has no effects."""
        self._state.ledger.apply(records)
        self._state.departures.follow(records, int(now.steady))
        self._timers.wait(now.steady)

    def snapshot(self) -> Iterator[bytes]:
        """Records that make the same state elsewhere, in blocks, each as it is when it is taken.

        What changed since the first block, applied after the last one, makes it right.
        """
        return self._state.ledger.snapshot()

    def digest(self) -> int:
        """The same for the same slots, bindings and requests, in whatever order they came."""
        return self._state.ledger.digest()
