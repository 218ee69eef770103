"""Bindings from the routers that have them, for one that has lost its own (DESIGN, "resync").

A controller takes what each member serves, a member what the controllers know to be its own. What
comes is told as records like anything else that is decided here: to the journal and to who follows
first, then to the tables. A binding that we have is replaced by what its router says of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from .config import AgentConfig, MemberKind, Role
from .control import Answer
from .engine.effects import Moment
from .engine.record import RECORD, Kind, Records
from .engine.slots import Slots
from .replica import Replica
from .roles import Controller, Engine

Choose = Callable[[Records], Records]
Fetch = Callable[[str, Callable[[bytes], None], Callable[[str], None]], None]
"""Of a router by its name: what takes records, and what is told why there are no more, or ""."""

TURN_S: Final = 0.002
"""s between two pieces of what is taken: packets have their turn."""


class Resync:
    """Asks routers for their bindings, and takes those that are ours."""

    def __init__(
        self,
        config: AgentConfig,
        engine: Engine,
        replica: Replica,
        keep: Callable[[bytes, Moment], None],
        clock: Callable[[], Moment],
        by_snmp: Fetch,
    ) -> None:
        """`keep` puts records where they last, before they are applied; `by_snmp` reads the table
        of a stock Home Agent (`snmp.members`)."""
        self.config = config
        self._by_snmp = by_snmp
        self._engine, self._replica = engine, replica
        self._keep, self._clock = keep, clock

    def sources(self) -> list[str]:
        """Who can be asked."""
        config = self.config
        if config.role is Role.CONTROLLER:
            return [each.name for each in config.members]
        return [each.name for each in config.controllers]

    def answer(self, names: Sequence[str]) -> Answer:
        """One line for each router, when it has told everything or has failed to."""
        running = [_Fetching(self, name) for name in names]
        while running:
            for fetching in list(running):
                fetching.keep_some()
                if fetching.over:
                    running.remove(fetching)
                    yield fetching.told()
            yield None

    def chooser(self, name: str) -> Choose:
        """What of a router's records is ours."""
        return self._of_member(name) if self.config.role is Role.CONTROLLER else self._own()

    def fetch(self, name: str, take: Callable[[bytes], None], done: Callable[[str], None]) -> None:
        stock = {each.name for each in self.config.members if each.kind is MemberKind.IOS}
        if self.config.role is Role.CONTROLLER and name in stock:
            self._by_snmp(name, take, done)
        else:
            self._replica.fetch(name, take, done, self._clock())

    def keep(self, records: Records) -> None:
        """For good, then in the tables."""
        octets = records.tobytes()
        self._keep(octets, self._clock())
        self._engine.apply(octets)

    def _of_member(self, name: str) -> Choose:
        """Bindings of a member; its own records do not say in which slot they are with us."""
        assert isinstance(self._engine, Controller)
        slots = self._engine.slots
        member = [each.name for each in self.config.members].index(name)

        def chosen(records: Records) -> Records:
            kinds = records["kind"]
            found: Records = records[(kinds == Kind.NAME) | (kinds == Kind.BINDING)].copy()
            bound = np.flatnonzero(found["kind"] == Kind.BINDING)
            keys = found["home_address"][bound]
            found["slot"][bound] = slots.slots_for(np.full(len(bound), member), keys)
            return found

        return chosen

    def _own(self) -> Choose:
        """Bindings in slots that the controller says are served by us."""
        slots = Slots(len(self.config.members))
        own = [each.name for each in self.config.members].index(self.config.name)

        def chosen(records: Records) -> Records:
            slots.apply(records)
            kinds = records["kind"]
            bound = (kinds == Kind.BINDING) & (records["slot"] < len(slots))
            served = slots.member_of[np.where(bound, records["slot"], 0)] == own
            found: Records = records[(kinds == Kind.NAME) | (bound & served)].copy()
            return found

        return chosen


class _Fetching:
    """One router that was asked.

    What it tells is not kept while it is being read: keeping writes to the link that is read.
    """

    def __init__(self, resync: Resync, name: str) -> None:
        self._resync, self.name = resync, name
        self._chosen = resync.chooser(name)
        self._pieces: deque[bytes] = deque()
        self._bindings = 0
        self._failure: str | None = None  # "": it has told everything
        resync.fetch(name, self._pieces.append, self._done)

    @property
    def over(self) -> bool:
        return self._failure is not None and not self._pieces

    def keep_some(self) -> None:
        if self._pieces:
            records = self._chosen(np.frombuffer(self._pieces.popleft(), RECORD))
            if len(records):
                self._resync.keep(records)
                self._bindings += int(np.count_nonzero(records["kind"] == Kind.BINDING))

    def told(self) -> dict[str, Any]:
        return {"router": self.name, "bindings": self._bindings, "failure": self._failure}

    def _done(self, why: str) -> None:
        self._failure = why


class Errand:
    """An answer that nobody has asked for over the socket: it is made in the daemon's own time."""

    def __init__(self, answer: Answer, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._answer, self._tell = answer, tell
        self._at: float | None = 0.0

    def fileno(self) -> None:
        return None

    def handle(self, now: Moment) -> None:
        self._at = now.steady + TURN_S
        try:
            told = next(self._answer)
        except StopIteration:
            self._at = None
        else:
            if told is not None:
                self._tell(told)

    def next_deadline(self) -> float | None:
        return self._at
