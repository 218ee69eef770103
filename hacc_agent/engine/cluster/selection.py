"""Which member gets a mobile node that nobody serves yet.

Selection is asked for new mobile nodes alone: who has a binding, or waits for one, stays with its
member. It sees numbers and no addresses, so that a policy can be tried on a table of loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...config import Member


@dataclass(slots=True)
class Loads:
    """What is known of the members, each by its place in the configuration."""

    served: list[int]  # bindings, and requests that wait for a member's reply
    capacity: list[int]  # bindings
    weight: list[int]
    backup: list[bool]
    available: list[bool]
    failed: int = -1  # the member that a request has already waited for in vain


class Selection(Protocol):
    """A policy. The same loads and mobile node always get the same answer."""

    def choose(self, mobile: int, loads: Loads) -> int | None:
        """The member for this mobile node (by address or hash of the NAI); None: there is none."""


class LeastLoaded:
    """The least part of its weight in use; of equals the first; a backup when nobody else can."""

    def choose(self, mobile: int, loads: Loads) -> int | None:  # noqa: ARG002  # by load alone
        best, least = None, 0.0
        for spare in (False, True):
            for member, served in enumerate(loads.served):
                if (
                    loads.backup[member] is spare
                    and loads.available[member]
                    and served < loads.capacity[member]
                    and member != loads.failed
                ):
                    part = served / loads.weight[member]
                    if best is None or part < least:
                        best, least = member, part
            if best is not None:
                return best
        return None


def loads_of(members: tuple[Member, ...], usable: list[bool]) -> Loads:
    """Nobody serves anything yet; who is not usable never becomes available."""
    return Loads(
        served=[0] * len(members),
        capacity=[member.capacity for member in members],
        weight=[member.weight for member in members],
        backup=[member.backup for member in members],
        available=list(usable),
    )
