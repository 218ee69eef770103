"""When an agent advertises on one LAN, and with which sequence number.

Advertisements go to all systems (224.0.0.1). RFC 5944, 2.1 allows that or the limited broadcast,
and not the group of mobility agents (224.0.0.11), which is for solicitations (2.3); and every host
listens to it without a join, so that a switch that snoops on joins lets it through (RFC 4541,
2.1.2). Chance is given from outside, a number from 0 to 1 each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...config import LanAddress
from ...wire import (
    AgentAdvertisement,
    AgentFlags,
    AgentLoad,
    AgentSolicitation,
    MobilityAgent,
    RouterAddress,
)
from ...wire.advertisement import MOBILE_TRAFFIC_ONLY

INTERVAL_S: Final = 10.0
"""MaxAdvertisementInterval of RFC 1256, 4.1 (4 to 1800 s). Frames of some 150 octets: seldom
enough to be nothing on a LAN, often enough that who is missing is known within half a minute."""

EARLIEST: Final = 0.75
"""MinAdvertisementInterval, in parts of the other: they must not fall into step."""

LIFETIME_S: Final = 30
"""Of an advertisement: three intervals, as RFC 5944, 2.1.1 asks for."""

FIRST_S: Final = 1.0
"""Within which a start is announced: routers that are started together do not speak together."""

RESPONSE_S: Final = 2.0  # MAX_RESPONSE_DELAY of RFC 1256, 6
APART_S: Final = 3.0
"""MIN_DELAY_BETWEEN_RAS of RFC 4861, 10, which bounds what solicitations can cause; RFC 5944, 2.3
wants a bound and names none."""

LAST_SEQUENCE: Final = 0xFFFF
AFTER_LAST: Final = 256  # lower numbers say that the agent has restarted: RFC 5944, 2.3.2

NEVER_A_DEFAULT_ROUTER: Final = -(2**31)  # RFC 1256, 4.1

Chance = Callable[[], float]


class Advertising:
    """One LAN's timetable, and what is said there."""

    def __init__(self, own: LanAddress, registration_s: int, chance: Chance, now: float) -> None:
        """`registration_s`: the longest registration that is accepted."""
        self._own, self._registration, self._chance = own.address, registration_s, chance
        self._sequence = 0
        self._solicited = False
        self._due = now + FIRST_S * chance()
        self._last = float("-inf")

    @property
    def next_deadline(self) -> float:
        return self._due

    def asked(self, now: float) -> None:
        """A host solicits: all are answered by one advertisement to everybody, a little later."""
        answer = max(now + RESPONSE_S * self._chance(), self._last + APART_S)
        self._due = min(self._due, answer)

    def solicitation(self) -> bytes | None:
        """Once, at the start: those who are there need not be waited for."""
        if self._solicited:
            return None
        self._solicited = True
        return AgentSolicitation().to_bytes()

    def advertise(self, load: AgentLoad, now: float) -> bytes | None:
        """What to send, if it is time to."""
        if now < self._due:
            return None
        self._last = now
        self._due = now + INTERVAL_S * (EARLIEST + (1 - EARLIEST) * self._chance())
        return self._message(load, LIFETIME_S)

    def farewell(self, load: AgentLoad) -> bytes:
        """On an orderly stop: a lifetime of 0 (RFC 1256, 4.3)."""
        return self._message(load, 0)

    def _message(self, load: AgentLoad, lifetime: int) -> bytes:
        sequence = self._sequence
        self._sequence = AFTER_LAST if sequence == LAST_SEQUENCE else sequence + 1
        agent = MobilityAgent(sequence, self._registration, AgentFlags.HOME_AGENT)
        return AgentAdvertisement(
            (RouterAddress(self._own, NEVER_A_DEFAULT_ROUTER),),
            lifetime,
            (agent, load.extension()),
            MOBILE_TRAFFIC_ONLY,
        ).to_bytes()
