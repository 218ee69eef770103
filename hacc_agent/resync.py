"""Bindings from the routers that have them, for one that has lost its own (DESIGN, "resync").

A controller takes what each member serves, a member what the controllers know to be its own. What
comes is told as records like anything else that is decided here: to the journal and to who follows
first, then to the tables. A binding that we have is replaced by what its router says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .config import AgentConfig, MemberKind, Role
from .control import Answer
from .engine.effects import Moment
from .engine.record import RECORD, Kind, Records
from .engine.slots import Slots
from .replica import Replica
from .roles import Controller, Engine

Keep = Callable[[Records], Records]


class Resync:
    """Asks routers for their bindings, and takes those that are ours."""

    def __init__(
        self,
        config: AgentConfig,
        engine: Engine,
        replica: Replica,
        keep: Callable[[bytes, Moment], None],
        clock: Callable[[], Moment],
    ) -> None:
        """`keep` puts records where they last, before they are applied."""
        self.config = config
        self._engine, self._replica = engine, replica
        self._keep, self._clock = keep, clock

    def sources(self) -> list[str]:
        """Who can be asked: IOS members cannot, their bindings are read by SNMP."""
        config = self.config
        if config.role is Role.CONTROLLER:
            return [each.name for each in config.members if each.kind is MemberKind.LINUX]
        return [each.name for each in config.controllers]

    def answer(self, names: Sequence[str]) -> Answer:
        """One line for each router, when it has told everything or has failed to."""
        running = [_Fetching(self, name) for name in names]
        while running:
            for fetching in list(running):
                if fetching.failure is not None:
                    running.remove(fetching)
                    yield fetching.told()
            yield None

    def fetch(self, name: str, done: Callable[[str], None], took: Callable[[int], None]) -> None:
        chosen = self._of_member(name) if self.config.role is Role.CONTROLLER else self._own()

        def take(octets: bytes) -> None:
            records = chosen(np.frombuffer(octets, RECORD))
            if len(records):
                now = self._clock()
                kept = records.tobytes()
                self._keep(kept, now)
                self._engine.apply(kept)
                took(int(np.count_nonzero(records["kind"] == Kind.BINDING)))

        self._replica.fetch(name, take, done, self._clock())

    def _of_member(self, name: str) -> Keep:
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

    def _own(self) -> Keep:
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
    """One router that was asked."""

    def __init__(self, resync: Resync, name: str) -> None:
        self.name = name
        self.bindings = 0
        self.failure: str | None = None  # "": it has told everything
        resync.fetch(name, self._done, self._took)

    def _done(self, why: str) -> None:
        self.failure = why

    def _took(self, bindings: int) -> None:
        self.bindings += bindings

    def told(self) -> dict[str, Any]:
        return {"router": self.name, "bindings": self.bindings, "failure": self.failure}
