"""A stock Home Agent's bindings, from the rows of its haMobilityBindingTable (RFC 2006).

The table tells neither an NAI nor which association was used, so what comes of it relays and
expires as it should, and is replaced by the mobile node's next registration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from ...wire import RequestFlags
from ..record import RECORD, Kind, Records
from . import objects
from .objects import Oid, Value, below

SOURCE, FLAGS, ID_LOW, ID_HIGH, GRANTED, REMAINING = 3, 4, 5, 6, 7, 8
COLUMNS: Final = tuple(
    (*objects.HA_MOBILITY_BINDING_ENTRY, number)
    for number in (SOURCE, FLAGS, ID_LOW, ID_HIGH, GRANTED, REMAINING)
)
"""What is read: both addresses stand in the index of each."""

INDEX: Final = 8  # numbers: home address and care-of address

MOST: Final = 1_000_000
"""Rows of one member: twice what a Home Agent holds (cmiHaMaximumBindings)."""

FLAG_BITS: Final = {
    0: RequestFlags.VAN_JACOBSON,
    1: RequestFlags.GRE,
    2: RequestFlags.MINIMAL,
    3: RequestFlags.DECAPSULATION,
    4: RequestFlags.BROADCAST,
    5: RequestFlags.SIMULTANEOUS,
}
"""RegistrationFlags: the number of each bit, from the left."""


class Bound(NamedTuple):
    """A row, in numbers."""

    home_address: int
    care_of_address: int
    source_address: int
    flags: int
    identification: int
    granted: int
    remaining: int


def rows(found: Iterable[tuple[Oid, Value]]) -> tuple[list[Bound], Oid]:
    """Whole rows among objects of `COLUMNS`, and the last index that any of them had.

    A row that lacks a column has ended meanwhile; one that makes no sense is left out.
    """
    by_index: dict[Oid, dict[int, Value]] = {}
    for name, value in found:
        behind = below(name, objects.HA_MOBILITY_BINDING_ENTRY)
        if behind and len(behind) == 1 + INDEX and max(behind[1:]) < 256:
            by_index.setdefault(behind[1:], {})[behind[0]] = value
    made = (_bound(index, values) for index, values in sorted(by_index.items()))
    return [row for row in made if row is not None], max(by_index, default=())


def _bound(index: Oid, values: Mapping[int, Value]) -> Bound | None:
    source, flags = values.get(SOURCE), values.get(FLAGS)
    low, high = values.get(ID_LOW), values.get(ID_HIGH)
    granted, remaining = values.get(GRANTED), values.get(REMAINING)
    if not (isinstance(source, bytes) and isinstance(flags, bytes) and len(source) == 4):
        return None
    if not (isinstance(low, int) and isinstance(high, int)):
        return None
    if not (isinstance(granted, int) and isinstance(remaining, int)):
        return None
    if not (0 < granted < 1 << 16 and 0 < remaining <= granted):
        return None
    bits = sum(flag for bit, flag in FLAG_BITS.items() if flags and flags[0] & 0x80 >> bit)
    return Bound(
        int.from_bytes(bytes(index[:4]), "big"),
        int.from_bytes(bytes(index[4:]), "big"),
        int.from_bytes(source, "big"),
        bits,
        (high & 0xFFFF_FFFF) << 32 | low & 0xFFFF_FFFF,
        granted,
        remaining,
    )


def records(found: Sequence[Sequence[int]], home_agent: int, now: float) -> Records:
    """BINDING records of `Bound`s that were read at `now` (s of the steady clock)."""
    made = np.zeros(len(found), RECORD)
    if not len(found):
        return made
    columns = np.array(found, dtype=np.uint64).T
    made["kind"] = Kind.BINDING
    made["home_address"], made["care_of_address"], made["source_address"] = columns[:3]
    made["flags"], made["identification"], made["lifetime"] = columns[3:6]
    made["expires"] = int(now) + columns[6].astype(np.int64)
    made["source_port"] = 434
    made["tunnel"] = np.where(columns[3] & int(RequestFlags.GRE), 47, 4)
    made["home_agent"] = home_agent
    return made
