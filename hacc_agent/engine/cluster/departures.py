"""Who served a mobile node that left, as long as what it said before could be said again.

The member that ended a binding remembers the last Identification of its mobile node (a CLOSED row);
no other one does. So what comes of that mobile node within twice the replay tolerance goes to that
member, or to whoever serves its slot by now, however the loads have changed: a repeated request is
known there, and an honest one is as welcome there as elsewhere.

An heir of the slot does not know it: nobody has told it what a mobile node without binding said
last. What was said before that, by its timestamp, is dropped while the heir might believe it.

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
from ..home_agent.replay import later
from ..memory import zeros
from ..record import RECORD, Kind, Row, Trait
from ..slots import Slots

PLACES: Final = 1 << 18
"""6 MiB. With 7 s of tolerance about as many as leave when 17,000 do so each second, half of that
when they have both an address and an NAI; when more do, some are forgotten early."""

DEPARTED: Final = np.dtype(
    [
        ("key", "<u8"),  # a home address, or the hash of an NAI, which has more bits; 0: nobody's
        ("identification", "<u8"),  # a timestamp, its last; 0: not known, or a nonce
        ("until", "<u4"),
        ("slot", "<u2"),
        ("member", "<u2"),  # that it left
    ]
)


class Departures:
    """Under another configuration it begins anew: slots may be others."""

    def __init__(self, config: AgentConfig, slots: Slots) -> None:
        self._slots: Final = slots
        securities = [node.security for node in config.nodes]
        securities += [realm.security for realm in config.realms]
        tolerance = max([config.tolerance_s, *[s.tolerance_s for s in securities if s]])
        # A timestamp may be ahead of a member's clock by the tolerance; seconds are rounded down.
        self.kept: Final = 2 * tolerance + 1
        self.places: Final[NDArray[Any]] = zeros(PLACES, DEPARTED)

    def remember(self, left: Row, home_address: int, second: int) -> None:
        """A mobile node, as its binding or its last request says, left the member of its slot."""
        identification = 0 if left.traits & Trait.NONCE else left.identification
        member = int(self._slots.member_of[left.slot])
        for key in (home_address, left.nai):
            if key:
                self.places[key % PLACES] = (
                    *(key, identification, second + self.kept, left.slot, member),
                )

    def follow(self, log: bytes, second: int) -> None:
        """The deregistrations among records of another controller."""
        records = np.frombuffer(log, RECORD)
        # One that ended otherwise has no Identification.
        left = (records["kind"] == Kind.UNBOUND) & (records["identification"] != 0)
        if not left.any():
            return
        slots = records["slot"][left]
        nonces = records["traits"][left] & Trait.NONCE != 0
        identifications = np.where(nonces, 0, records["identification"][left])
        for keys in (records["home_address"][left], records["nai"][left]):
            some = keys.nonzero()[0]
            at = keys[some] % PLACES
            # Of several in one place the last one stays, in each column.
            self.places["key"][at] = keys[some]
            self.places["until"][at] = second + self.kept
            self.places["slot"][at] = slots[some]
            self.places["member"][at] = self._slots.member_of[slots[some]]
            self.places["identification"][at] = identifications[some]

    def slot_of(self, home_address: int, nai: int, second: int) -> int | None:
        """Of a mobile node that left; `nai` is a hash, 0 without one."""
        place = self._find(home_address, nai, second)
        return None if place is None else int(place["slot"])

    def outdates(self, home_address: int, nai: int, identification: int, second: int) -> bool:
        """Whether it said this before it left, and who serves its slot does not know that."""
        place = self._find(home_address, nai, second)
        return (
            place is not None
            and int(self._slots.member_of[place["slot"]]) != int(place["member"])
            and int(place["identification"]) != 0
            and not later(identification, int(place["identification"]))
        )

    def _find(self, home_address: int, nai: int, second: int) -> Any | None:
        """By its home address, else by its name."""
        for key in (home_address, nai):
            place = self.places[key % PLACES]
            if key and place["key"] == key and place["until"] > second:
                return place
        return None
