"""Routes to home addresses in a simulated cluster: what members announce, and what is believed.

A member announces what it serves and has got, its own slice as it is and another's in halves
(`hacc_agent.ward`), and who has an address of its own by itself (`hacc_agent.strays`). Everybody
else knows it a moment later; a router that went silent is believed until OSPF's dead interval is
over.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Network
from typing import Any, Final

import numpy as np

from hacc_agent.config import MemberKind
from hacc_agent.engine.record import RECORD, Kind
from hacc_agent.engine.slots import Slots

from . import latencies
from .blueprint import Blueprint
from .wired import Wired
from .world import Router

EDGE: Final = "edge"
"""The rest of the network, where correspondents are."""


class Routed(Wired):
    """A cluster of a `Blueprint`, with the routes of its members."""

    def __init__(self, plan: Blueprint, *arguments: Any, **options: Any) -> None:
        self.plan = plan
        first = plan.controllers[0]
        self.adjacent: set[str] = {each.name for each in first.members}  # members that speak OSPF
        self.believed: dict[str, frozenset[IPv4Network]] = {}  # of members, by everybody else
        self._told: dict[str, frozenset[IPv4Network]] = {}  # by them, last
        self._static = {int(each.address) for each in first.nodes}
        self._kinds = [each.kind for each in first.members]
        self._slots = Slots(len(first.members))
        super().__init__(*arguments, **options)

    def is_ours(self, member: Router) -> bool:
        return self._kinds[self.members.index(member)] is MemberKind.LINUX

    def held(self, router: Router) -> dict[int, int]:
        """Home addresses that are bound there -> their slots."""
        if router.memory is None:
            return {}
        found = router.memory.tables[0].rows
        bound = found[found["kind"] == Kind.BINDING]
        return dict(zip(bound["home_address"].tolist(), bound["slot"].tolist(), strict=True))

    def announce(self, member: Router) -> None:
        """As `ward.Ward` does; everybody else knows a moment later."""
        if member.name not in self.adjacent:
            return
        told = frozenset(self._served(member))
        if told != self._told.get(member.name):
            self._told[member.name] = told
            wait = self.random.uniform(*latencies.ROUTE_S)
            self.later(wait, partial(self._learn, member, told))

    def _learn(self, member: Router, told: frozenset[IPv4Network]) -> None:
        """The latest that it has told: what was told before has a lower sequence number."""
        if self._told.get(member.name) is told:
            self.believed[member.name] = told
            self.moved = True

    def _served(self, member: Router) -> Iterator[IPv4Network]:
        number = self.members.index(member)
        first = self.plan.controllers[0]
        if not self.is_ours(member):
            yield from first.members[number].slices
            return
        held = self.wards[member.name].slots.keys()
        for other, told in enumerate(first.members):
            if held >= set(self._slots.home_slots(other)):
                for each in told.slices:
                    whole = other == number or each.prefixlen == each.max_prefixlen
                    yield from (each,) if whole else each.subnets()
        yield from (IPv4Network(home) for home in self._static & self.held(member).keys())

    def goes_silent(self, member: Router) -> None:
        """Its OSPF neighbours hear no hellos any more; the last one came up to an interval ago."""
        patience = self.plan.dead_s - self.random.uniform(0, self.plan.ospf_hello_s)

        def forget() -> None:
            if member.name in self.off or not self.hears(member.name, EDGE):
                self.adjacent.discard(member.name)
                self._told.pop(member.name, None)
                self.believed[member.name] = frozenset()
                self.moved = True

        self.later(patience, forget)

    def names_static(self, records: bytes) -> bool:
        """Whether somebody with an address of its own is bound, or is no more."""
        return not self._static.isdisjoint(np.frombuffer(records, RECORD)["home_address"].tolist())
