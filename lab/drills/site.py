"""The cluster as its own daemons tell it, asked at their control sockets.

A socket is reached through the root of the router's PID 1, so nothing has to be started in a router
to ask it: a status costs a millisecond, which is what a timeline has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from hacc_agent.config import AgentConfig, MemberKind
from hacc_agent.control import Refused, Unanswered, ask
from hacc_agent.drills.measured import Happening, Member, Standing

from ..lab import Lab

EVENTS = 512  # all that a daemon keeps
EVERYBODY = 10_000_000  # bindings
ANNOUNCED = "drill"  # what daemons are told of us


class Site:
    """A cluster of the lab."""

    def __init__(self, lab: Lab, configs: Sequence[AgentConfig], began: float) -> None:
        """`began`: Unix time at which events count as happening at 0."""
        self._lab, self._began = lab, began
        self._config = configs[0]
        self._runtime = {one.name: one.runtime_directory for one in configs}
        self._heard: dict[tuple[str, float, str, str], Happening] = {}
        self._inits = lab.routers()  # as they were when last looked at, which takes its time

    @property
    def controllers(self) -> tuple[str, ...]:
        """The preferred one first."""
        ordered = sorted(self._config.controllers, key=lambda one: -one.priority)
        return tuple(one.name for one in ordered)

    def begin(self, began: float) -> None:
        """From now on, events are counted from then."""
        self._began = began
        self._heard.clear()

    # Who does what --------------------------------------------------------------------------

    def standing(self) -> Standing:
        """As the controller that decides sees it; without one, as any that answers does."""
        told = {name: self._one(name, "status") for name in self.controllers}
        answered = {name: status for name, status in told.items() if status is not None}
        leader = next((name for name, one in answered.items() if one["log"]["leads"]), None)
        status = answered.get(leader or "") or next(iter(answered.values()), {"members": ()})
        seen = {each["name"]: each for each in status["members"]}
        members = tuple(
            Member(
                one.name,
                tuple(each.name for each in one.routers) or (one.name,),
                one.kind is MemberKind.LINUX,
                one.backup,
                *_figures(seen.get(one.name)),
            )
            for one in self._config.members
        )
        return Standing(self.controllers, leader, members)

    def astray(self) -> Iterator[str]:
        """Members that announce what is another's, or not what is theirs: a failure of before is
        not over, and the next one would be a second. Without a link nobody stands in for others."""
        for member in self._config.members if self._config.link is not None else ():
            status = self._one(member.name, "status")
            if status is None or status["serves"] is None:
                continue
            announced = {IPv4Network(each) for each in status["serves"]["announced"]}
            others = [s for one in self._config.members if one is not member for s in one.slices]
            if not announced.issuperset(member.slices):
                yield f"{member.name} has not got all of its own back"
            elif any(one.subnet_of(other) for one in announced for other in others):
                yield f"{member.name} stands in for another"

    def bound(self, leader: str | None) -> frozenset[str]:
        """Home addresses that the controller has bindings of."""
        lines = self._ask(leader, "bindings", limit=EVERYBODY) if leader else ()
        return frozenset(one["home_address"] for one in lines if one.get("state") == "binding")

    def at_stock_members(self) -> frozenset[IPv4Address]:
        """Home addresses that routers without hacc-agent serve: the IOS simulator registers mobile
        nodes, and carries no packets."""
        stock = {one.name for one in self._config.members if one.kind is not MemberKind.LINUX}
        lines = self._ask(self.standing().leader or "", "bindings", limit=EVERYBODY)
        return frozenset(
            IPv4Address(one["home_address"]) for one in lines if one.get("member") in stock
        )

    def doubled(self) -> int:
        """Home addresses that more than one member has bindings of."""
        served: Counter[str] = Counter()
        for member in self._config.members:
            lines = self._ask(member.name, "bindings", limit=EVERYBODY)
            served.update({one["home_address"] for one in lines if one.get("state") == "binding"})
        return sum(count > 1 for count in served.values())

    # What is said to it ---------------------------------------------------------------------

    def announce(self, drill: str, phase: str, what: str) -> None:
        """Who watches the controllers is told that it is a drill."""
        for name in self.controllers:
            self._ask(name, "announce", drill=drill, phase=phase, what=what)

    def forget_failures(self, members: Iterable[str]) -> None:
        """As an operator does who knows why they failed: the next failure is their first again."""
        leader = self.standing().leader
        for member in members:
            if leader is not None:
                self._ask(leader, "undrain", member=member)

    # What happened --------------------------------------------------------------------------

    def listen(self) -> None:
        """Take what has happened: a daemon that dies takes its memory with it."""
        for name in self._runtime:
            for told in self._ask(name, "events", limit=EVENTS):
                at, event = told.pop("at"), told.pop("event")
                key = name, at, event, repr(sorted(told.items()))
                if at >= self._began and event != ANNOUNCED and key not in self._heard:
                    self._heard[key] = Happening(round(at - self._began, 4), name, event, told)

    def events(self) -> tuple[Happening, ...]:
        return tuple(sorted(self._heard.values(), key=lambda one: (one.at_s, one.router)))

    # Asking ---------------------------------------------------------------------------------

    def _one(self, name: str, command: str) -> dict[str, Any] | None:
        return next(iter(self._ask(name, command)), None)

    def _ask(self, name: str, command: str, **arguments: Any) -> Sequence[dict[str, Any]]:
        """Nothing, when nobody is there who could answer."""
        folder = self._runtime.get(name)
        if folder is None:
            return ()
        with suppress(Unanswered, Refused):
            try:
                return self._answer(name, folder, command, arguments)
            except Unanswered:  # it may have been switched off and on since we looked
                self._inits = self._lab.routers()
                return self._answer(name, folder, command, arguments)
        return ()

    def _answer(
        self, name: str, folder: str, command: str, arguments: Mapping[str, Any]
    ) -> Sequence[dict[str, Any]]:
        root = f"/proc/{self._inits.get(name, 0)}/root"  # without a PID, of nobody
        return list(ask(Path(root + folder), command, **arguments))


def _figures(seen: Mapping[str, Any] | None) -> Iterator[Any]:
    """State, bindings, pending ones."""
    if seen is None:
        yield from ("unknown", 0, 0)
    else:
        yield from (seen["state"], seen["bindings"], seen["pending"])
