"""How loaded members are, as `selection` compares them: by bindings, processor and memory.

    load  =  base  +  served * slope
    slope =  w.bindings / (weight * unit)          unit: bindings that a weight of one stands for
    base  =  w.cpu * processor in use  +  w.memory * memory in use      each 0 to 1; w sums up to 1

What a member does not tell counts as the mean of what the others tell, so that silence neither
attracts nor repels. Who tells no processor load is judged by its registrations, against what
admission lets it have.

A figure in use gives way to a measured one only when that differs by more than the hysteresis of
the configuration: mobile nodes are not sent to and fro for noise.

**Slow start.** Who is let in again, or starts later than the others, is empty, and would get every
new mobile node until it is as full as they are. So it begins at their mean load, and comes down to
its own within SLOW_START_S: at first it gets its share of the new ones and no more.

Capacity is what a member may be filled up to by new mobile nodes: nothing, where it gets none. It
gets some while its state allows it and while it serves all of its own slots, since as long as they
are divided its slice is not announced (`Slots.heir_of`). When nobody is left, whoever serves
anything gets them: refusing a mobile node is worse than loading a member that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...config import AgentConfig
from ..health import SERVES, TAKES_NEW, Standing, State
from ..slots import Slots
from .selection import Loads

SLOW_START_S: Final = 60.0
"""s until a member that is let in is compared by its own load: some rounds of SNMP, so that what it
got at first shows in its figures."""

SPREAD: Final = 0.05
"""Least part of bindings in a load: without any, all of a second's new mobile nodes would go to the
one member whose processor was least busy when it was asked."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member as a new mobile node finds it: one line of `hacc-agent why`."""

    member: int
    state: State
    load: float
    served: int
    capacity: int
    backup: bool
    closed: str  # why it gets no new mobile nodes; empty: it does


class Weighing:
    """Writes the columns that members are compared by."""

    def __init__(self, config: AgentConfig) -> None:
        members = config.members
        weights = config.selection.weights
        total = (weights.bindings + weights.cpu + weights.memory) or 1.0
        self._cpu, self._memory = weights.cpu / total, weights.memory / total
        self._hysteresis = config.selection.hysteresis
        self._capacity = np.array([member.capacity for member in members], np.int64)
        weight = np.array([float(member.weight) for member in members])
        unit = self._capacity.sum() / weight.sum()
        self._slope = max(weights.bindings / total, SPREAD) / (weight * unit)
        self._registrations = config.admission.member_registrations
        self._in_use = np.full((2, len(members)), np.nan)  # processor, memory
        self._opened: list[float | None] = [None] * len(members)
        self._first = True
        self._closed = [""] * len(members)

    def write(self, loads: Loads, slots: Slots, standings: Sequence[Standing], now: float) -> None:
        """As members are now; about once a second, and when one's state changes."""
        self._closed = [
            _closed(member, standing, slots) for member, standing in enumerate(standings)
        ]
        if all(self._closed):
            serving = set(np.unique(slots.member_of).tolist())
            self._closed = [
                "" if standing.state in SERVES and member in serving else why
                for member, (standing, why) in enumerate(zip(standings, self._closed, strict=True))
            ]
        closed = np.array([bool(why) for why in self._closed])
        loads.capacity[:] = np.where(closed, 0, self._capacity)
        loads.slope[:] = self._slope
        self._measure(standings)
        loads.base[:] = np.array([self._cpu, self._memory]) @ _with_means(self._in_use)
        self._start_slowly(loads, closed, now)

    def candidates(self, loads: Loads, standings: Sequence[Standing]) -> tuple[Candidate, ...]:
        """All members, as they were written last."""
        columns = (loads.base + loads.served * loads.slope, loads.served, loads.backup)
        return tuple(
            Candidate(
                member,
                standing.state,
                *(load, served, int(self._capacity[member]), backup),
                self._closed[member] or ("full" if served >= self._capacity[member] else ""),
            )
            for member, (standing, load, served, backup) in enumerate(
                zip(standings, *(column.tolist() for column in columns), strict=True)
            )
        )

    def _measure(self, standings: Sequence[Standing]) -> None:
        measured = np.array([self._figures(standing) for standing in standings]).T
        change = ~(np.abs(measured - self._in_use) <= self._hysteresis * self._in_use)
        self._in_use = np.where(change, measured, self._in_use)

    def _figures(self, standing: Standing) -> tuple[float, float]:
        """Parts of processor and memory in use; NaN: unknown."""
        figures = standing.figures
        if figures is None:
            return np.nan, np.nan
        cpu, free = figures.cpu_percent, figures.memory_free_percent
        rate = figures.registrations_per_s
        busy = np.nan if rate is None else min(1.0, rate / self._registrations)
        return (
            busy if cpu is None else cpu / 100,
            np.nan if free is None else 1 - free / 100,
        )

    def _start_slowly(self, loads: Loads, closed: NDArray[Any], now: float) -> None:
        for member, shut in enumerate(closed.tolist()):
            if shut:
                self._opened[member] = None
            elif self._opened[member] is None:
                self._opened[member] = now - SLOW_START_S if self._first else now
        self._first = False
        since = np.array([np.nan if each is None else now - each for each in self._opened])
        part = since / SLOW_START_S
        load = loads.base + loads.served * loads.slope
        settled = (part >= 1) & ~loads.backup
        if not settled.any():
            return
        lift = (1 - part) * np.maximum(load[settled].mean() - load, 0)
        loads.base[:] += np.where(part < 1, lift, 0.0)


def _closed(member: int, standing: Standing, slots: Slots) -> str:
    if standing.state not in TAKES_NEW:
        return f"{standing.state}: {standing.reason}"
    heir = slots.heir_of(member)
    if heir is None:
        return "its own slots are divided"
    return "" if heir == member else "its own slots are with another member"


def _with_means(figures: NDArray[Any]) -> NDArray[Any]:
    """NaN replaced by the mean of the row, 0 if nothing of it is known."""
    known = ~np.isnan(figures)
    count = known.sum(axis=1, keepdims=True)
    means = np.where(known, figures, 0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
    filled: NDArray[Any] = np.where(known, figures, means)
    return filled
