"""What operators have ordered of members: `hacc-agent drain`, `undrain`, `failover`.

An order is a record of the log as a binding is, so that a controller which is started again, or
takes over, goes on with what was begun. The latest of each member is in force, until another one is
given; an UNDRAIN is kept as well, since it also forgives what was before (`health`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..health import Order
from ..record import OCTETS, ORDER, Kind, OrderGiven

_WORDS: Final = (Order.UNDRAIN, Order.DRAIN, Order.FAIL_OVER)
"""By their number in a record."""


class Given(NamedTuple):
    """An order that is in force."""

    order: Order
    number: int  # of all that were given: the same one given twice is two orders


class StandingOrders:
    """Of members, by their place in the configuration. Changed by `apply` and by nothing else."""

    def __init__(self) -> None:
        self._latest: dict[int, Given] = {}

    def of(self, member: int) -> Given | None:
        return self._latest.get(member)

    def given(self, member: int, order: Order) -> bytes:
        """The record of an order that is given now."""
        number = 1 + max((each.number for each in self._latest.values()), default=0)
        return _record(member, Given(order, number))

    def apply(self, record: bytes) -> None:
        """One ORDER record. What a later version may order is passed over."""
        told = OrderGiven._make(ORDER.unpack(record[:OCTETS]))
        if told.word < len(_WORDS):
            self._latest[told.member] = Given(_WORDS[told.word], told.number)

    def snapshot(self) -> bytes:
        """Records that make the same of none."""
        return b"".join(_record(member, each) for member, each in sorted(self._latest.items()))


def _record(member: int, given: Given) -> bytes:
    word = _WORDS.index(given.order)
    return ORDER.pack(*OrderGiven(Kind.ORDER, word, 0, member, given.number))
