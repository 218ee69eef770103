"""Revocations that are under way (RFC 3543), in either direction.

A Foreign Agent's goes to the binding's member, whose acknowledgement ends the binding here too. A
member's ends it at once: the member serves it no more. Retransmissions carry a new identifier and
acknowledgements no care-of address, and both come when the binding may be gone already, one that
the mobile node left behind by moving for instance: so who takes part is remembered for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..effects import Endpoint
from ..record import Row

KEPT: Final = 600
"""s: retransmissions back off like registrations (RFC 3543, 4.2.2.1), and stop earlier."""

MOST: Final = 65_536
"""Revocations under way at once, the oldest go: a revoked binding is no more than told late."""


@dataclass(frozen=True, slots=True)
class Revocation:
    bound: Row  # as it was
    nai: bytes | None
    agent: Endpoint  # the Foreign Agent, or a mobile node with a co-located care-of address
    member: int
    until: float  # s of the steady clock


class Revocations:
    """Found by the identifier that its acknowledgement carries, and by what it revokes."""

    def __init__(self) -> None:
        self._by_identifier: dict[tuple[int, int], Revocation] = {}
        self._by_binding: dict[tuple[int, int], Revocation] = {}

    def remember(self, bound: Row, member: int, nai: bytes | None, now: float) -> None:
        """A binding that ended, and that its member may still revoke."""
        agent = Endpoint(bound.source_address, bound.source_port)
        key = (bound.home_address, bound.care_of_address)
        _keep(self._by_binding, key, Revocation(bound, nai, agent, member, now + KEPT))

    def add(self, identifier: int, revocation: Revocation) -> None:
        """One that went on, and whose acknowledgement is to find its way back."""
        _keep(self._by_identifier, (revocation.bound.home_address, identifier), revocation)

    def acknowledged(self, home_address: int, identifier: int) -> Revocation | None:
        return self._by_identifier.get((home_address, identifier))

    def of_binding(self, home_address: int, care_of_address: int) -> Revocation | None:
        return self._by_binding.get((home_address, care_of_address))

    def expire(self, now: float) -> None:
        for kept in (self._by_identifier, self._by_binding):
            while kept:
                oldest = next(iter(kept))
                if kept[oldest].until > now:
                    break
                del kept[oldest]


def _keep(
    kept: dict[tuple[int, int], Revocation], key: tuple[int, int], revocation: Revocation
) -> None:
    kept.pop(key, None)  # to stand last: the order is that of `until`
    kept[key] = revocation
    if len(kept) > MOST:
        del kept[next(iter(kept))]
