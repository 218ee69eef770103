"""binding -> slot -> member: a failover rewrites a few dozen slots and no binding.

Every member has slots of its own, its home slots, and serves them until one is given to another
member. A binding keeps its slot for life; who serves it is asked of the slot.

Each decision about slots has an **epoch**, greater than all before it. Its high bits are the term
of the controller that decides: whoever becomes active begins one that no other controller can have,
so that a member which hears two controllers knows the one to obey (as Paxos tells proposals apart).

Each slot also has the epoch **since** which its member serves it. A member that was away while a
slot of its own was somebody else's, and is given it again before it has heard of that, knows by it
that what it holds is old.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .record import OCTETS, SINCE, SLOT, Kind, Records, SlotChange

NO_SLOT: Final = 0xFFFF  # of a member that serves none; no slot has this number
MEMBERS: Final = 1023  # at most, with 64 slots each: a record has 16 bits for a slot
CONTROLLERS: Final = 16  # of a cluster, at most: the low bits of a term say whose it is
_TERM: Final = (
    24  # bits of an epoch below its term: decisions of one controller until it is stopped
)


def began_again(before: int, epoch: int) -> bool:
    """Whether the controller of an epoch has begun another term since the one before.

    Another controller may have led in between, whose log it does not have.
    """
    terms = before >> _TERM, epoch >> _TERM
    return 0 < terms[0] != terms[1] and terms[0] % CONTROLLERS == terms[1] % CONTROLLERS


class Slots:
    """Slots of `members` members, numbered as in the configuration."""

    def __init__(self, members: int, per_member: int = 64) -> None:
        if not 0 < members * per_member <= NO_SLOT:
            raise ValueError(f"{members} members of {per_member} slots do not fit into 16 bits")
        self.members: Final = members
        self.per_member: Final = per_member
        self.epoch = 0
        """Of the last decision."""
        self.member_of: Final = np.repeat(np.arange(members, dtype=np.uint16), per_member)
        """Who serves each slot, to be read: change it with `rewrite`."""
        self.since: Final = np.zeros(len(self.member_of), np.uint64)
        """The epoch in which each slot came to its member; 0: it was there from the beginning."""
        self.offered: Final = np.arange(len(self.member_of), dtype=np.uint16).reshape(members, -1)
        """Of each member, the slots that new bindings get, to be read."""

    def __len__(self) -> int:
        return len(self.member_of)

    def home_slots(self, member: int) -> range:
        return range(member * self.per_member, (member + 1) * self.per_member)

    def home_of(self, slot: int) -> int:
        """The member whose own slot it is."""
        return slot // self.per_member

    def served_by(self, member: int) -> NDArray[Any]:
        """All slots that a member serves, its own and others'."""
        return np.flatnonzero(self.member_of == member)

    def heir_of(self, member: int) -> int | None:
        """Who serves all of a member's own slots, itself as a rule; None: they are divided.

        It is who announces the member's slice, and assigns addresses from it. While a slice is
        divided nobody does: the controllers announce the whole network and relay by binding.
        """
        own = self.member_of[member * self.per_member : (member + 1) * self.per_member]
        return int(own[0]) if (own == own[0]).all() else None

    def slot_for(self, member: int, key: int) -> int:
        """A slot that the member serves, for a new binding: equal keys, equal slots."""
        return int(self.offered[member, key % self.per_member])

    def slots_for(self, members: NDArray[Any], keys: NDArray[Any]) -> NDArray[Any]:
        """`slot_for` of many; u2."""
        chosen: NDArray[Any] = self.offered[members, keys % self.per_member]
        return chosen

    # ------------------------------------------------------------------ decisions

    def term_of(self, controller: int, now: float) -> int:
        """The first epoch of a controller that becomes active.

        Terms are numbered by the second in which they begin, so that one is greater than those
        that this controller has never heard of, too; and by all that it has heard of, so that it
        is greater than those when the clock was set back.
        """
        number = max((self.epoch >> _TERM) // CONTROLLERS + 1, int(now))
        return (number * CONTROLLERS + controller) << _TERM

    def rewrite(self, changes: Iterable[tuple[int, int]], epoch: int) -> bytes:
        """Each slot is served by this member from now on. The records that say so."""
        said, touched = [], set()
        for slot, member in changes:
            before = int(self.member_of[slot])
            self.member_of[slot] = member
            if before != member:
                self.since[slot] = epoch
                touched |= {before, member}
            said.append(SLOT.pack(*SlotChange(Kind.SLOT, 0, slot, member, epoch)))
        if said:
            self.epoch = max(self.epoch, epoch)
        for member in touched:
            self._offer(member)
        return b"".join(said)

    def apply(self, records: bytes | Records) -> None:
        """The SLOT records of a log, in its order; others are passed over."""
        octets = records if isinstance(records, bytes) else records.tobytes()
        for at in range(0, len(octets), OCTETS):
            if octets[at] == Kind.SLOT:
                change = SlotChange._make(SLOT.unpack_from(octets, at))
                self.rewrite([(change.slot, change.member)], change.epoch)
                if change.flags & SINCE:
                    self.since[change.slot] = change.epoch

    def snapshot(self) -> bytes:
        """SLOT records of all slots that ever changed hands, and of the epoch."""
        moved = [
            (SINCE, slot, int(self.since[slot])) for slot in np.flatnonzero(self.since).tolist()
        ]
        if self.epoch:
            moved.append((0, 0, self.epoch))
        return b"".join(
            SLOT.pack(*SlotChange(Kind.SLOT, flags, slot, int(self.member_of[slot]), epoch))
            for flags, slot, epoch in moved
        )

    def _offer(self, member: int) -> None:
        """New bindings go to home slots as long as there are any, so that slots stay apart."""
        own = np.array(self.home_slots(member))
        served = own[self.member_of[own] == member]
        if not len(served):
            served = self.served_by(member)
        self.offered[member] = np.resize(served, self.per_member) if len(served) else NO_SLOT
