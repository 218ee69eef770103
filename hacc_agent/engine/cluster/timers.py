"""What time does: requests without a reply are sent again, bindings end.

A request waits TIMEOUT for its member, is sent to it once more, then to another one, then given up:
its mobile node retransmits by itself, and does so with a fresh Identification. A member that is
said to be down is not waited for. A request that is older than an accepted one goes to nobody else:
he would not know that it is old. Nor does one of a mobile node that left a moment ago, for the same
reason (`departures`).

Everything is due at whole seconds, and a call does a bounded part of it, so that nobody waits.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..effects import Effect, Endpoint, Log, Moment, Relay
from ..home_agent.replay import later
from ..record import STRUCT, Kind, Row, Trait
from . import ledger as ledgers
from .ledger import Ledger
from .members import Members
from .state import TIMEOUT, State

AT_ONCE: Final = 512
"""Bindings or requests that one call ends: some milliseconds of work."""

_SAME_MEMBER: Final = 2  # attempts at the first member
_ALL: Final = 3


class Timers:
    def __init__(self, state: State) -> None:
        self._ledger = state.ledger
        self._members = state.members
        self._selection = state.selection
        self._revocations = state.revocations
        self._answers = state.answers
        self._departures = state.departures
        self._counters = state.counters
        self._due: float | None = None
        self._hastened = False

    def next_deadline(self) -> float | None:
        return self._due

    def wait(self, now: float) -> None:
        """There is something that time may end."""
        if self._due is None:
            self._due = float(int(now) + 1)

    def handle(self, now: Moment) -> list[Effect]:
        self._due = None
        second = int(now.steady)
        ledger = self._ledger
        waiting = ledger.pending.expired(second)
        if self._hastened:
            waiting = np.union1d(waiting, self._lost())
            self._hastened = len(waiting) > AT_ONCE
        bound = ledger.table.expired(second)
        effects: list[Effect] = []
        for row in waiting[:AT_ONCE].tolist():
            effects += self._unanswered(row, second)
        effects += self._earlier(second)
        if len(bound):
            effects.append(Log(self._expire(bound[:AT_ONCE])))
        self._revocations.expire(now.steady)
        if max(len(waiting), len(bound)) > AT_ONCE:
            self._due = now.steady
        elif len(ledger.pending) or len(ledger.table):
            self._due = float(second + 1)
        return effects

    def hasten(self, now: float) -> None:
        """A member is down: requests that wait for it are due now."""
        self._due, self._hastened = now, True

    def _lost(self) -> NDArray[np.uint32]:
        """Pending rows of members that are down."""
        rows = self._ledger.pending.rows
        down = ~self._members.loads.available
        lost = (rows["kind"] == Kind.PENDING) & down[self._ledger.slots.member_of[rows["slot"]]]
        return np.flatnonzero(lost).astype(np.uint32)

    def _unanswered(self, row: int, second: int) -> list[Effect]:
        request = self._ledger.request(row)
        values = request.values
        member: int | None = self._members.of_slot(values.slot)
        assert member is not None
        name = self._ledger.name(values)
        if not self._members.listening[member] or repeats(
            self._ledger, self._members, member, values.home_address, name, values.identification
        ):
            if request.attempts >= _ALL:
                return self._give_up(values)
            return [self._wait_on(row, request, values._replace(expires=second + TIMEOUT))]
        self._members.unanswered[member] += 1
        self._members.silent[member] += self._answers.proves(request.octets)
        available = self._members.loads.available[member]
        late = self._departures.outdates(
            values.home_address, values.nai, values.identification, second
        )
        if not request.octets or request.attempts >= _ALL or late:
            return self._give_up(values)
        slot = values.slot
        if available and request.attempts < _SAME_MEMBER:
            self._counters.resent += 1
        elif self._stays(values, available, second):
            return self._give_up(values)
        else:
            member = self._members.choose(
                self._selection, values.home_address or values.nai, but=member
            )
            if member is None:
                return self._give_up(values)
            slot = self._ledger.slots.slot_for(member, values.home_address or values.nai)
            self._counters.moved += 1
            request.attempts = _SAME_MEMBER
        values = values._replace(slot=slot, expires=second + TIMEOUT)
        log = self._wait_on(row, request, values)
        if not self._members.listening[member]:
            return [log]
        source = Endpoint(values.source_address, values.source_port, request.link)
        return [log, Relay(request.octets, source, member)]

    def _wait_on(self, row: int, request: ledgers.Request, values: Row) -> Log:
        records = STRUCT.pack(*values)
        self._ledger.apply(records)
        self._ledger.keep(
            row, ledgers.Request(values, request.link, request.octets, request.attempts + 1)
        )
        return Log(records)

    def _stays(self, values: Row, available: bool, second: int) -> bool:
        """Whether no other member may get it, since it may have been accepted before.

        Of a mobile node that left only its member knows: that one is waited for until it is down.
        So it is for one that is bound under nonces: some member may have accepted this very request
        before, so that its answer was lost, and which of two nonces is newer nobody can tell.
        """
        home, name = values.home_address, self._ledger.name(values)
        if outdated(self._ledger, home, name, values.identification):
            return True
        bound = [self._ledger.table.get(row) for row in self._ledger.bindings(home, name)]
        if bound:
            return available and any(row.traits & Trait.NONCE for row in bound)
        return available and self._departures.slot_of(home, values.nai, second) is not None

    def _give_up(self, values: Row) -> list[Effect]:
        self._counters.given_up += 1
        records = STRUCT.pack(*values._replace(kind=Kind.SETTLED))
        self._ledger.apply(records)
        return [Log(records)]

    def _earlier(self, second: int) -> list[Effect]:
        """Requests that their mobile nodes followed up with newer ones are not sent again."""
        over = [
            request.values
            for held in self._ledger.earlier.values()
            for request in held
            if request.values.expires <= second
        ]
        return [effect for values in over[:AT_ONCE] for effect in self._give_up(values)]

    def _expire(self, rows: NDArray[np.uint32]) -> bytes:
        gone = self._ledger.table.rows[rows]
        gone["kind"] = Kind.UNBOUND
        gone["lifetime"] = gone["expires"] = gone["identification"] = 0
        self._counters.expired += len(gone)
        records = gone.tobytes()
        self._ledger.apply(records)
        return records


def repeats(
    ledger: Ledger,
    members: Members,
    member: int,
    home_address: int,
    nai: bytes | None,
    identification: int,
) -> bool:
    """Whether it is outdated, and its member does not know that yet: its bindings are on their way.

    That one would take it for new.
    """
    return not members.complete[member] and outdated(ledger, home_address, nai, identification)


def outdated(ledger: Ledger, home_address: int, nai: bytes | None, identification: int) -> bool:
    """Whether this very request of a mobile node was accepted, or by its timestamp a later one.

    Who does not know that would accept it again. Under nonces only the very request matters:
    who has not told a nonce accepts none.
    """
    for row in ledger.bindings(home_address, nai):
        bound = ledger.table.get(row)
        if bound.identification == identification:
            return True
        if not bound.traits & Trait.NONCE and later(bound.identification, identification):
            return True
    return False
