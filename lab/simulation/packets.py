"""Packets to mobile nodes of a simulated cluster and back: whether the next one would come through.

    there   by the longest prefix to a member, out of its tunnel to the Foreign Agent
    back    through the controllers' address to the member that serves the mobile node's slot

A packet passes if every router on its way has power, its daemon and the binding, and every cable is
whole. That is a function of the world, so it is noted when the world changes and not packet by
packet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final

import numpy as np

from hacc_agent.engine.record import RECORD, Kind

from .blueprint import Blueprint
from .routed import EDGE, Routed
from .world import Router, Subscriber

SPREAD: Final = 2654435761
"""A multiplier that spreads addresses over equal routes (Knuth, TAOCP 6.4)."""

Tables = Mapping[str, Mapping[int, int]]
"""Of routers: home addresses that are bound there -> their slots."""


@dataclass(slots=True)
class Passage:
    """Whether a packet that leaves now comes through, there and back: chances, since when."""

    at: list[float] = field(default_factory=list)
    there: list[float] = field(default_factory=list)
    back: list[float] = field(default_factory=list)

    def note(self, at: float, there: float, back: float) -> None:
        if not self.at or (there, back) != (self.there[-1], self.back[-1]):
            self.at.append(at)
            self.there.append(there)
            self.back.append(back)


class Watched(Routed):
    """A cluster whose subscribers' packets are looked after."""

    def __init__(self, plan: Blueprint, subscribers: int, *arguments: Any, **options: Any) -> None:
        first = plan.controllers[0]
        self.owner: Router | None = None  # of the controllers' address
        self.changing: set[str] = set()  # pairs of stock routers whose other half has not noticed
        self.passages = [Passage() for _ in range(subscribers)]
        self.addresses = {
            **{f"group {each.address}": Passage() for each in first.gateways[:1]},
            f"Home Agent {first.home_agent_address}": Passage(),
        }
        self._watched = False
        self._tables: Tables = {}  # when packets were looked at last
        super().__init__(plan, *arguments, **options)

    def watch(self) -> None:
        """From now on it is noted whether packets pass."""
        self._watched = True
        self._look()

    def check(self) -> None:
        super().check()
        if self.moved and self._watched:
            self._look()

    def _look(self) -> None:
        self.moved = False
        tables = {each.name: self.held(each) for each in (*self.members, *self.controllers)}
        self._tables = tables
        group = self.share(EDGE, self.owner.name) if self._answers() and self.owner else 0.0
        for passage in self.addresses.values():
            passage.note(self.now, group, group)
        for subscriber, passage in zip(self.subscribers, self.passages, strict=True):
            home = subscriber.node.home_address
            if home is None:
                passage.note(self.now, 0.0, 0.0)
                continue
            passage.note(self.now, *self._passes(subscriber, int(home), tables))

    def _passes(self, subscriber: Subscriber, home: int, tables: Tables) -> tuple[float, float]:
        agent = f"fa{subscriber.at}"
        there = back = 0.0
        target = self._route(home, tables)
        if target is not None and self._carries(target, home, tables):
            there = self.way(EDGE, target.name) * self.way(target.name, agent)
        owner = self.owner
        if owner is not None and self._answers():
            serving = self._relayed_to(owner, home, tables)
            if serving is not None and self._carries(serving, home, tables):
                back = self.way(agent, owner.name) * self.way(owner.name, serving.name)
                back *= self.way(serving.name, EDGE)
        return there, back

    def _route(self, home: int, tables: Tables) -> Router | None:
        """By the longest prefix; of equal ones each has its share of mobile nodes."""
        address = IPv4Address(home)
        found: list[tuple[int, Router]] = [
            (each.prefixlen, member)
            for member in self.members
            for each in self.believed.get(member.name, ())
            if address in each
        ]
        if not found:
            owner = self.owner
            if owner is None or not self._answers():
                return None
            return self._relayed_to(owner, home, tables)
        longest = max(length for length, _ in found)
        equal = [member for length, member in found if length == longest]
        return equal[(home * SPREAD >> 16) % len(equal)]

    def _relayed_to(self, owner: Router, home: int, tables: Tables) -> Router | None:
        slot = tables[owner.name].get(home)
        if slot is None or owner.memory is None:
            return None
        return self.members[int(owner.memory.slots.member_of[slot])]

    def _carries(self, member: Router, home: int, tables: Tables) -> bool:
        return member.name not in self.changing and home in tables[member.name]

    def _answers(self) -> bool:
        """Whether anybody hears the owner of the controllers' address."""
        owner = self.owner
        return owner is not None and owner.name not in self.off and self.way(EDGE, owner.name) > 0

    def to_subscriber(self, subscriber: Subscriber, payload: bytes, *, lost: bool) -> None:
        before = subscriber.node.home_address
        super().to_subscriber(subscriber, payload, lost=lost)
        self.moved |= subscriber.node.home_address != before

    def changes(self, router: Router, records: bytes) -> bool:
        """Whether anything but the times of bindings is another one."""
        log = np.frombuffer(records, RECORD)
        kinds, homes = log["kind"].tolist(), log["home_address"].tolist()
        if Kind.UNBOUND in kinds or Kind.SLOT in kinds:
            return True
        bound = {home for home, kind in zip(homes, kinds, strict=True) if kind == Kind.BINDING}
        return not bound <= self._tables.get(router.name, {}).keys()
