"""Which member gets a mobile node that nobody serves yet.

Selection is asked for new mobile nodes alone: who has a binding, or waits for one, stays with its
member. It sees numbers and no addresses, so that a policy can be tried on a table of loads.

A policy is what it writes into `base` and `slope`, about once a second: members are compared by
base + served * slope, so that each mobile node of an attach storm counts at once, without anybody
being asked; compiled code does the same with the same columns (`kernels.relaying`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...config import Member


@dataclass(slots=True)
class Loads:
    """What is known of the members: columns, one place for each as in the configuration."""

    served: NDArray[Any]  # i8: bindings, and requests that wait for a member's reply
    capacity: NDArray[Any]  # i8: bindings
    base: NDArray[Any]  # f8: how loaded a member is that serves nobody
    slope: NDArray[Any]  # f8: how much more with each that it serves
    backup: NDArray[Any]  # b1
    available: NDArray[Any]  # b1
    failed: int = -1  # the member that a request has already waited for in vain


class Selection(Protocol):
    """A policy. The same loads and mobile node always get the same answer."""

    def choose(self, mobile: int, loads: Loads) -> int | None:
        """The member for this mobile node (by address or hash of the NAI); None: there is none."""


class LeastLoaded:
    """The least loaded; of equals the first; a backup when nobody else can."""

    def choose(self, mobile: int, loads: Loads) -> int | None:  # noqa: ARG002  # by load alone
        best, least = None, 0.0
        columns = (loads.served, loads.capacity, loads.base, loads.slope, loads.available)
        members = list(zip(*(column.tolist() for column in columns), strict=True))
        backup = loads.backup.tolist()
        for spare in (False, True):
            for member, (served, capacity, base, slope, available) in enumerate(members):
                if (
                    backup[member] is spare
                    and available
                    and served < capacity
                    and member != loads.failed
                ):
                    load = base + served * slope
                    if best is None or load < least:
                        best, least = member, load
            if best is not None:
                return best
        return None


def loads_of(members: tuple[Member, ...], usable: list[bool]) -> Loads:
    """Nobody serves anything yet; who is not usable never becomes available."""
    return Loads(
        served=np.zeros(len(members), np.int64),
        capacity=np.array([member.capacity for member in members], np.int64),
        base=np.zeros(len(members)),
        slope=np.array([1 / member.weight for member in members]),
        backup=np.array([member.backup for member in members], np.bool_),
        available=np.array(usable, np.bool_),
    )
