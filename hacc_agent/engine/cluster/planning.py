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
    moves: list[tuple[int, int]] = []
    # The heaviest burden chooses first: what is small fits in later.
    for member in sorted(set(home.tolist()), key=lambda member: (-burdens[member], member)):
        own = moving[home == member]
        able = backup & (carried + burdens[member] <= room)
        if able.any():
            chosen = int(np.argmin(np.where(able, base + carried * slope, np.inf)))
            carried[chosen] += burdens[member]
            moves += [(slot, int(takers[chosen])) for slot in own.tolist()]
            continue
        for slot in own[np.argsort(-counts[own], kind="stable")].tolist():
            # Empty slots are dealt out like others, hence at least 1.
            after = carried + max(int(counts[slot]), 1)
            chosen = int(np.argmin(base + after * slope + FULL * (after > room)))
            carried[chosen] = after[chosen]
            moves.append((slot, int(takers[chosen])))
    return tuple(sorted(moves))
