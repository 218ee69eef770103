"""Slots change hands: what is recorded, what the new member gets, what is sent to it again.

In this order, as effects:

    Log         SLOT records of one epoch: from here on both planes lead to the heirs
    Transfer    to each heir of ours: the bindings, those of who waits for a reply first
                (a stock heir takes over nothing: its mobile nodes are summoned, `summons`)
    Relay       requests that wait for a member that will not answer, to the heir: when that has
                said that it knows of the takeover (`listens`), which it does at once. Until then it
                accepts what others have accepted before, so all that comes for it is held back

A transfer takes seconds, and a request may well be faster than the binding that it is about. That
does no harm: the heir accepts no Identification from before the failover of mobile nodes that it
does not know (`home_agent.takeover`), and never puts an older binding in the place of a newer one.

Who has the right to serve is said by epochs (`slots`). These are the rules of split brains:

- a controller that becomes active begins a term of its own, above all that it has heard of and
  begun later than any other (`Slots.term_of`);
- a member obeys the highest term that it has heard of. It takes requests from that controller's
  address alone, and gives up what it is told to before anything else;
- a controller that hears of a higher term than its own was overtaken: it decides nothing for a
  while. Who is active by HSRP nevertheless begins another term then, above the other;
- a member that hears no controller goes on with what it has: to lose all controllers must not
  silence all members. It cannot do harm either: no controller, no requests; and the heir of its
  slice announces longer prefixes than it does, so that packets come to the heir;
- a slot is served by whoever the log of the highest term names. Two halves of a divided cluster
  both go on with what they can reach; when they meet, what the lower term did meanwhile is undone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...config import MemberKind
from ..effects import Effect, Endpoint, Log, Moment, Relay, Transfer
from ..ledger import SLOTS
from ..record import STRUCT, Kind
from . import ledger as ledgers
from .planning import Moves, plan
from .state import TIMEOUT, State
from .summons import Summons
from .timers import outdated

AT_ONCE: Final = 256
"""Requests that one call sends again: some milliseconds of work."""

BLOCK: Final = 1024
"""Bindings of one block of a transfer: their heir needs 10 ms for them without compiled code, and
has packets to see to in between."""


class Failover:
    def __init__(self, state: State) -> None:
        self._ledger = state.ledger
        self._slots = state.ledger.slots
        self._members = state.members
        self._departures = state.departures
        self._counters = state.counters
        self._again: deque[int] = deque()  # pending rows to be sent again
        self._unlistened: set[int] = set()  # slots; rows of theirs are to be sent again as well
        self._takes_over = [each.kind is MemberKind.LINUX for each in state.config.members]
        self._linked = state.config.link is not None
        self.summons = Summons(state)

    # ------------------------------------------------------------------ decisions

    def lead(self, controller: int, now: Moment) -> list[Effect]:
        """This controller is the one that decides from now on: it begins its term.

        What was ordered of it while nobody led is in the log from here on.
        """
        epoch = self._slots.term_of(controller, now.steady)
        self._members.listening[:] = True  # members obey another term: they drop what we send
        self._members.complete[:] = [
            not (self._linked and takes_over) for takes_over in self._takes_over
        ]
        first = (0, int(self._slots.member_of[0]))
        return [Log(self._slots.rewrite([first], epoch) + self._ledger.orders.snapshot())]

    def move(self, moves: Moves, now: Moment, *, again: bool) -> list[Effect]:
        """These slots change hands; `again`: their members will not answer what they were sent.

        Then it is sent to the heirs by `resend`: to a stock one at once, to one of ours when it
        listens.
        """
        if not moves:
            return []
        epoch = self._slots.epoch + 1
        records = self._slots.rewrite(moves, epoch)
        heirs: dict[int, list[int]] = {}
        for slot, member in moves:
            heirs.setdefault(member, []).append(slot)
        effects: list[Effect] = [Log(records)]
        for member, own in heirs.items():
            if self._takes_over[member]:
                self.summons.withdraw(own)
                self._members.listening[member] = not self._linked
                self._members.complete[member] = not self._linked
                effects.append(Transfer(member, tuple(own), epoch))
            else:
                self.summons.issue(own, now)
        if again:
            listening = self._members.listening
            self._unlistened.update(slot for slot, member in moves if listening[member])
        return effects

    def plan(self, moving: NDArray[Any], heirs: Collection[int]) -> Moves:
        """Who is to serve these slots from now on."""
        return plan(self._slots, moving, heirs, self._members.weigh(), self._members.counts())

    # ------------------------------------------------------------------ what follows

    @property
    def sending(self) -> bool:
        """Whether there is more to be sent again."""
        return bool(self._again or self._unlistened)

    def listens(self, member: int) -> None:
        """What waits for it is sent with `resend`."""
        self._members.listening[member] = True
        self._unlistened.update(self._slots.served_by(member).tolist())

    def confirmed(self, member: int) -> None:
        """It has the bindings of all slots that it serves."""
        self._members.complete[member] = True

    def resend(self, now: Moment) -> list[Effect]:
        """A bounded part of the requests that moved, to whoever serves them now.

        Those that came by the log alone have no octets here: their mobile nodes ask again. What was
        accepted before waits in vain: an heir that has not got its binding would accept it again.
        """
        ledger = self._ledger
        if self._unlistened:
            already = set(self._again)
            waiting = self._waiting(self._unlistened)
            self._again.extend(row for row in waiting if row not in already)
            self._unlistened.clear()
        effects: list[Effect] = []
        for _ in range(min(AT_ONCE, len(self._again))):
            row = self._again.popleft()
            if int(ledger.pending.rows["kind"][row]) != Kind.PENDING:
                continue
            member = self._members.of_slot(int(ledger.pending.rows["slot"][row]))
            if not self._members.listening[member]:
                continue
            request = ledger.request(row)
            values, name = request.values, ledger.name(request.values)
            old = outdated(ledger, values.home_address, name, values.identification)
            old = old or self._departures.outdates(
                values.home_address, values.nai, values.identification, int(now.steady)
            )
            if old or not request.octets:
                continue
            values = values._replace(expires=int(now.steady) + TIMEOUT)
            records = STRUCT.pack(*values)
            ledger.apply(records)
            ledger.keep(row, ledgers.Request(values, request.link, request.octets))
            source = Endpoint(values.source_address, values.source_port, request.link)
            self._counters.moved += 1
            effects += [Log(records), Relay(request.octets, source, member)]
        return effects

    def _waiting(self, slots: Collection[int]) -> list[int]:
        rows = self._ledger.pending.rows
        waiting = np.flatnonzero(rows["kind"] == Kind.PENDING)
        found: list[int] = waiting[np.isin(rows["slot"][waiting], list(slots))].tolist()
        return found

    # ------------------------------------------------------------------ bindings of slots

    def bindings_of(self, slots: Collection[int]) -> Iterator[bytes]:
        """BINDING records of these slots with their names and mobile networks, in blocks.

        Those of mobile nodes that wait for a reply come first, and again among the others. Each
        block is as the table is when it is taken, so a binding that changes meanwhile is told as it
        was or as it is: the member that it is with now knows the newer one by itself.
        """
        table = self._ledger.table
        wanted = np.zeros(SLOTS, np.bool_)
        wanted[list(slots)] = True
        yield self._records_of(self._bound_and_waiting(slots))
        for rows in table.bound_in(wanted):
            for first in range(0, len(rows), BLOCK):
                yield self._records_of(rows[first : first + BLOCK])

    def _records_of(self, rows: NDArray[Any]) -> bytes:
        """And of the mobile networks behind them."""
        ledger = self._ledger
        records = ledger.table.records_of(rows)
        if not len(ledger.networks):
            return records
        homes = ledger.table.rows["home_address"][rows].tolist()
        return records + ledger.networks_of(frozenset(homes))

    def _bound_and_waiting(self, slots: Collection[int]) -> NDArray[Any]:
        """Bindings of mobile nodes with a request under way."""
        ledger = self._ledger
        found: set[int] = set()
        for row in self._waiting(slots):
            values = ledger.pending.get(row)
            found.update(ledger.bindings(values.home_address, ledger.name(values)))
        return np.array(sorted(found), np.uint32)
