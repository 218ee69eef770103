"""The timeline of a drill, done at its moments, beside the loop that moves packets."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Protocol

from hacc_agent.drills import measured, targets
from hacc_agent.drills.drill import Drill, Step
from hacc_agent.drills.faults import FAULTS, FaultKind
from hacc_agent.drills.measured import Standing

from ..errors import LabError
from ..faults import Fault
from .breaking import Struck, faults_of

AGENT: Final = "hacc-agent"  # the service
LISTENS_S: Final = 0.5
"""How often routers are asked what has happened: what a daemon tells in its last half second before
it dies by a fault is lost with it."""


class Routers(Protocol):
    """What a drill does to a lab: `lab.Lab`, or one that only keeps the books."""

    def break_(self, fault: Fault) -> Fault: ...

    def mend(
        self, numbers: Sequence[int] | None = None, *, owner: str | None = None
    ) -> tuple[Fault, ...]: ...

    def restart(self, name: str, unit: str) -> None: ...

    def running(self, name: str, units: Sequence[str]) -> str: ...


@dataclass(order=True, slots=True)
class _Act:
    at_s: float
    number: int  # for moments that are the same: in the order in which they were put there
    do: Callable[[], None] = field(compare=False)


class Stage(threading.Thread):
    """Does the steps. What it cannot do is its `trouble`, and ends the drill."""

    def __init__(
        self,
        drill: Drill,
        owner: str,
        routers: Routers,
        standing: Callable[[], Standing],
        listen: Callable[[], None],
        clock: Callable[[], float],
        tell: Callable[[str, str], None],
        listens_s: float = LISTENS_S,
    ) -> None:
        """`clock`: seconds of the timeline. `tell`: a phase, and what."""
        super().__init__(name=f"drill-{drill.name}", daemon=True)
        self._drill, self._owner, self._routers = drill, owner, routers
        self._standing, self._listen, self._clock, self._tell = standing, listen, clock, tell
        self._listens_s = listens_s
        self._acts: list[_Act] = []
        self._numbers = itertools.count()
        self._struck: dict[int, measured.Struck] = {}
        self._broken: dict[int, list[int]] = {}  # step -> numbers of the lab's faults
        self._over = threading.Event()
        self.trouble: Exception | None = None
        for number, step in enumerate(drill.timeline):
            self._at(step.at_s, partial(self._begin, number, step))

    @property
    def struck(self) -> tuple[measured.Struck, ...]:
        """Of the steps that were begun."""
        return tuple(self._struck[number] for number in sorted(self._struck))

    def stop(self) -> None:
        """Nothing is begun any more; what is under way is awaited."""
        self._over.set()
        self.join()

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._listen()
                due = self._acts[0].at_s if self._acts else float("inf")
                if self._over.wait(max(0.0, min(due - self._clock(), self._listens_s))):
                    break
                while self._acts and self._acts[0].at_s <= self._clock():
                    heapq.heappop(self._acts).do()
            self._listen()
        except (LabError, targets.NobodyThere) as error:
            self.trouble = error
            self._over.set()

    @property
    def played(self) -> bool:
        """There is nothing left to do, or no way to do it."""
        return not self._acts or self._over.is_set()

    def _at(self, at_s: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._acts, _Act(at_s, next(self._numbers), do))

    def _begin(self, number: int, step: Step) -> None:
        fault, standing = step.fault, self._standing()
        before = [name for one in self._struck.values() for name in one.members]
        routers = targets.routers_of(fault.targets, standing, before)
        members = targets.members_of(fault.targets, standing, before)
        others = targets.routers_of(fault.others, standing, before)
        self._struck[number] = measured.Struck(
            number,
            str(fault),
            routers,
            members,
            round(self._clock(), 4),
            lasts=FAULTS[fault.kind].lasts,
        )
        self._tell("fault", f"{fault}: {', '.join(routers)}")
        meant = Struck(routers, members, others, standing)
        if fault.kind is FaultKind.UPGRADE:
            stock = {name for one in standing.members if not one.agent for name in one.routers}
            for place, name in enumerate(name for name in routers if name not in stock):
                at_s = step.at_s + place * fault.every_s
                self._at(at_s, partial(self._routers.restart, name, AGENT))
        elif fault.kind is FaultKind.FLAP:
            self._flap(number, step, meant)
        else:
            self._break(number, step, meant)
            if step.end_s is not None and step.end_s > step.at_s:
                self._at(step.end_s, partial(self._mend, number, last=True))

    def _break(self, number: int, step: Step, meant: Struck) -> None:
        broken = self._broken.setdefault(number, [])
        for each in faults_of(step.fault, meant, self._routers.running):
            broken.append(self._routers.break_(replace(each, owner=self._owner)).number)

    def _mend(self, number: int, *, last: bool) -> None:
        if last:  # when it begins: that is when the lab gives back what it took
            self._struck[number] = replace(self._struck[number], end_s=round(self._clock(), 4))
            self._tell("mended", f"mended: {self._struck[number].fault}")
        self._routers.mend(self._broken.pop(number, []))

    def _flap(self, number: int, step: Step, meant: Struck) -> None:
        """Out for half of each period, in for the other."""
        end = step.end_s if step.end_s is not None else self._drill.seconds
        at_s, every = step.at_s, step.fault.every_s
        while at_s < end:
            self._at(at_s, partial(self._break, number, step, meant))
            at_s += every
            last = at_s >= end
            self._at(min(at_s - every / 2, end), partial(self._mend, number, last=last))
