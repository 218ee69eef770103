"""Who gets slots that their members cannot keep.

Backups are there for this, so they come first: one that has room for all that a member carried gets
all of it, since the member's slice then stays one prefix with one announcer (`Slots.heir_of`). What
no backup has room for is dealt out over everybody who is well, the heaviest slot first, each to
whoever is least loaded by then, so that nobody gets all of the misfortune. When nobody has room
left, the least loaded gets it nevertheless: a member that refuses some mobile nodes is better than
one that answers none.

Pure: slots, loads and counts in, changes out. Of equals the lower place is taken.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..slots import Slots
from .selection import Loads

Moves = tuple[tuple[int, int], ...]
"""Slots, each with its new member."""

FULL: Final = 1e9
"""Added to the load of a member without room: it comes after all that have some."""


def plan(
    slots: Slots,
    moving: NDArray[Any],
    heirs: Collection[int],
    loads: Loads,
    counts: NDArray[Any],
) -> Moves:
    """Every one of the slots `moving` goes to one of the `heirs`; without heirs none does.

    `counts` are the bindings and requests of each slot.
    """
    takers = np.array(sorted(heirs), np.int64)
    if not len(takers) or not len(moving):
        return ()
    home = moving // slots.per_member
    burdens = np.bincount(home, counts[moving], slots.members)
    carried = loads.served[takers].astype(np.float64)
    base, slope, room = loads.base[takers], loads.slope[takers], loads.capacity[takers]
    backup = loads.backup[takers]
    heir_of: dict[int, int] = {}
    rest: list[int] = []
    # The heaviest burden chooses first: what is small fits in later.
    for member in sorted(set(home.tolist()), key=lambda member: (-burdens[member], member)):
        own = moving[home == member].tolist()
        able = backup & (carried + burdens[member] <= room)
        if not able.any():
            rest += own
            continue
        chosen = int(np.argmin(np.where(able, base + carried * slope, np.inf)))
        carried[chosen] += burdens[member]
        heir_of |= dict.fromkeys(own, int(takers[chosen]))
    # Empty slots weigh 1 each, so that they are dealt out too, but they take nobody's room.
    empty = np.zeros(len(takers))
    for slot in sorted(rest, key=lambda slot: (-counts[slot], slot)):
        after = carried + max(int(counts[slot]), 1)
        chosen = int(np.argmin(base + (after + empty) * slope + FULL * (after > room)))
        carried[chosen] += counts[slot]
        empty[chosen] += counts[slot] == 0
        heir_of[slot] = int(takers[chosen])
    return tuple(sorted(heir_of.items()))
