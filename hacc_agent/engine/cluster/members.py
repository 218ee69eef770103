"""The members as a controller sees them: where they answer from, and what they carry."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...config import AgentConfig, MemberKind, Transport
from ..record import RECORD, Kind
from ..slots import NO_SLOT, Slots
from ..table import Table
from .selection import Loads, Selection, loads_of

LOOK_S: Final = 0.02
"""s between two looks for answers, well below the time between two heartbeats."""


class Members:
    """By their place in the configuration.

    A Linux member answers from its own address on one of the cluster's LANs; a stock IOS one from
    the virtual Home Agent address, so that its replies do not tell which of them it is. It also
    needs requests as frames: sent by UDP it would answer their sender, whom it does not know.
    """

    def __init__(self, config: AgentConfig, table: Table, pending: Table, slots: Slots) -> None:
        self._tables = (table, pending)
        self._slots = slots
        frames = config.transport is Transport.FRAMES
        self.loads: Loads = loads_of(
            config.members,
            [frames or member.kind is MemberKind.LINUX for member in config.members],
        )
        self._usable = self.loads.available.copy()
        self.listening: NDArray[np.bool_] = np.ones(len(config.members), np.bool_)
        """False: it was given slots and has not said yet that it knows. Until then it would take
        requests as one that nobody has registered with before, and replays among them, so what
        comes for it waits (`failover`)."""
        self.complete: NDArray[np.bool_] = np.ones(len(config.members), np.bool_)
        """False: bindings of its slots are on their way to it. Until they are there it would take
        for new what others have accepted, so nothing of that kind is sent to it."""
        self.unanswered = [0] * len(config.members)
        """Requests that each let time out."""
        self.silent = [0] * len(config.members)
        """Of them those that a mobile node proved to be its own: nobody else can raise the number.

        They, and when a member answered last, are what the relay itself sees of its health.
        """
        self.answered = np.zeros(len(config.members))
        """s of the steady clock, LOOK_S too early at most: when it accepted a request."""
        self._looked = 0.0
        answers = [
            {int(config.home_agent_address)}
            if member.kind is MemberKind.IOS
            else {int(place.address) for place in member.addresses}
            for member in config.members
        ]
        width = max(map(len, answers), default=1)
        self.answers: NDArray[np.uint32] = np.zeros((len(answers), max(width, 1)), np.uint32)
        for member, addresses in enumerate(answers):
            self.answers[member, : len(addresses)] = sorted(addresses)
        self._answers = answers
        self.addresses = [
            int(member.addresses[0].address) if member.addresses else 0 for member in config.members
        ]
        """Where each is registered with directly (RFC 4433)."""
        self._known = set().union(*answers)

    def take_over(self, before: Members) -> None:
        """What was known of those that another configuration had in the same places."""
        known = min(len(self.unanswered), len(before.unanswered))
        self.listening[:known] = before.listening[:known]
        self.complete[:known] = before.complete[:known]
        self.loads.available[:known] &= before.loads.available[:known] | ~before._usable[:known]
        self.unanswered[:known] = before.unanswered[:known]
        self.silent[:known] = before.silent[:known]
        self.answered[:known] = before.answered[:known]

    def is_one(self, address: int) -> bool:
        return address in self._known

    def answers_from(self, member: int, address: int) -> bool:
        return address in self._answers[member]

    def of_slot(self, slot: int) -> int:
        return int(self._slots.member_of[slot])

    def set_available(self, member: int, available: bool) -> None:
        self.loads.available[member] = available and self._usable[member]

    def weigh(self) -> Loads:
        """Loads of this moment."""
        served = np.bincount(self._slots.member_of, self.counts(), len(self.loads.served))
        self.loads.served[:] = served
        return self.loads

    def choose(self, selection: Selection, key: int, but: int = -1) -> int | None:
        """The member for a new mobile node, not `but`: one that has slots to put it into."""
        loads = self.weigh()
        loads.failed = but
        while True:
            member = selection.choose(key, loads)
            if member is None or self._slots.slot_for(member, key) != NO_SLOT:
                loads.failed = -1
                return member
            loads.capacity[member] = 0  # until somebody weighs it who knows that it has some again

    def look(self, records: bytes, now: float) -> None:
        """Whose answers are among these records of datagrams. Not at all: that costs more."""
        if not records or now - self._looked < LOOK_S:
            return
        self._looked = now
        log = np.frombuffer(records, RECORD)
        bound = log["slot"][log["kind"] == Kind.BINDING]
        self.answered[self._slots.member_of[bound]] = now

    def counts(self) -> NDArray[Any]:
        """Bindings and requests of each slot."""
        slots = len(self._slots)
        one, other = (table.count_by_slot()[:slots] for table in self._tables)
        together: NDArray[Any] = one + other
        return together
