"""Which slots a member has got: those whose bindings it holds, all of them.

At first its own, and none of another's. A controller says what it serves; what it holds it finds
out itself, when a transfer is complete, and keeps in its log, so that after a restart it neither
asks for what it has nor believes to have what it was given only half of.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from .record import OCTETS, RECORD, SLOT, Kind, SlotChange

NOBODY: Final = 0xFFFF_FFFF
"""Member of a SLOT record that says: not held here."""


class Holdings:
    """Of the member at this place in the configuration. Changed by `apply` and by nothing else."""

    def __init__(self, member: int, own: Collection[int]) -> None:
        self._member, self._own = member, frozenset(own)
        self.slots: frozenset[int] = self._own
        self._since: dict[int, int] = {}  # the epoch that each was got in; not there: at first
        self.epoch = 0
        """The latest that it was told of when they changed last."""

    def since(self, slot: int) -> int:
        """The epoch in which it was got; 0: it was there from the beginning."""
        return self._since.get(slot, 0)

    def said(self, slots: Collection[int], held: bool, epoch: int) -> bytes:
        """The records of slots that it holds from now on, or no more."""
        member = self._member if held else NOBODY
        return b"".join(
            SLOT.pack(*SlotChange(Kind.SLOT, 0, slot, member, epoch)) for slot in sorted(slots)
        )

    def apply(self, records: bytes) -> None:
        """SLOT records; others are passed over."""
        kinds = np.frombuffer(records, RECORD)["kind"]
        for row in np.flatnonzero(kinds == Kind.SLOT).tolist():
            change = SlotChange._make(SLOT.unpack_from(records, row * OCTETS))
            one = frozenset({change.slot})
            self.slots = self.slots | one if change.member == self._member else self.slots - one
            self._since[change.slot] = change.epoch
            self.epoch = max(self.epoch, change.epoch)

    def snapshot(self) -> bytes:
        """Records that make the same of what there is at first."""
        return b"".join(
            self.said([slot], slot in self.slots, epoch)
            for slot, epoch in sorted(self._since.items())
        )
