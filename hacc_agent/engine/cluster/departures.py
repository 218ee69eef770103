"""Who served a mobile node that left, as long as what it said before could be said again.

The member that ended a binding remembers the last Identification of its mobile node (a CLOSED row);
no other one does. So what comes of that mobile node within twice the replay tolerance goes to that
member, or to whoever serves its slot by now, however the loads have changed: a repeated request is
known there, and an honest one is as welcome there as elsewhere.

Direct-mapped, so that compiled code finds out by one look: of two that share a place the later one
is remembered. A standby remembers deregistrations too, from their records, but not revocations, nor
does it learn what was before it came: a snapshot holds none of this. Nothing has to be remembered
when a lifetime ends: who registered last is as long ago.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...config import AgentConfig
from ..memory import zeros
from ..record import RECORD, Kind

PLACES: Final = 1 << 18
"""4 MiB. With 7 s of tolerance about as many as leave when 17,000 do so each second, half of that
when they have both an address and an NAI; when more do, some are forgotten early."""

DEPARTED: Final = np.dtype([("key", "<u8"), ("until", "<u4"), ("slot", "<u2"), ("spare", "<u2")])
"""`key`: a home address, or the hash of an NAI, which has more bits; 0 is nobody's."""


class Departures:
    """Under another configuration it begins anew: slots may be others."""

    def __init__(self, config: AgentConfig) -> None:
        securities = [node.security for node in config.nodes]
        securities += [realm.security for realm in config.realms]
        tolerance = max([config.tolerance_s, *[s.tolerance_s for s in securities if s]])
        # A timestamp may be ahead of a member's clock by the tolerance; seconds are rounded down.
        self.kept: Final = 2 * tolerance + 1
        self.places: Final[NDArray[Any]] = zeros(PLACES, DEPARTED)

    def remember(self, home_address: int, nai: int, slot: int, second: int) -> None:
        """It left the member of this slot; `nai` is a hash, 0 without one."""
        for key in (home_address, nai):
            if key:
                self.places[key % PLACES] = (key, second + self.kept, slot, 0)

    def follow(self, log: bytes, second: int) -> None:
        """The deregistrations among records of another controller."""
        records = np.frombuffer(log, RECORD)
        # One that ended otherwise has no Identification.
        left = (records["kind"] == Kind.UNBOUND) & (records["identification"] != 0)
        if not left.any():
            return
        slots = records["slot"][left]
        for keys in (records["home_address"][left], records["nai"][left]):
            some = keys.nonzero()[0]
            at = keys[some] % PLACES
            # Of several in one place the last one stays, in each column.
            self.places["key"][at] = keys[some]
            self.places["until"][at] = second + self.kept
            self.places["slot"][at] = slots[some]

    def slot_of(self, home_address: int, nai: int, second: int) -> int | None:
        """By its home address, else by its name."""
        for key in (home_address, nai):
            place = self.places[key % PLACES]
            if key and place["key"] == key and place["until"] > second:
                return int(place["slot"])
        return None
