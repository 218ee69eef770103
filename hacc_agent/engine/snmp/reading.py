"""From the values of an answer to the figures of a member, and which of them not to believe.

What is wanted is a handful of figures; where a router has them differs, by platform and by what
runs on it. `SOURCES` says where to look, best first. Instances are never guessed: a router is asked
once for what it has below each column (`unknown`, `learned`), from then on for exactly that
(`names`, `figures`) in one request. A router that ceases to have an instance is asked again.

An agent can answer and still say nothing true. What has the wrong type or is out of range is left
out, a counter that wraps is a difference modulo 2**32 (RFC 2578, 7.1.6), one that was reset is no
difference at all, and a router that says for a minute that registrations cost it nothing has its
CPU figure left out: selection would give it all the load.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...config import MemberKind
from ..health import Figures
from ..health import Source as Origin
from . import objects
from .objects import Oid, Value


class Figure(enum.StrEnum):
    """What is wanted of a member, by the names of `Figures`."""

    BINDINGS = "bindings"
    CPU = "cpu_percent"
    MEMORY = "memory_free_percent"
    REGISTRATIONS = "registrations_per_s"
    HSRP = "hsrp_state"


@dataclass(frozen=True, slots=True)
class Column:
    """Objects below a name, one or more."""

    name: Oid
    instances: int = 1  # as many of them are read, in their order, as there are


Formula = Callable[[Sequence[Sequence[int]]], float | None]
"""From the numbers of each column to a figure; None: they make no sense."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a figure can be read."""

    columns: tuple[Column, ...]
    formula: Formula
    counter: bool = False  # the formula's result counts up: the figure is its rate


PROCESSORS: Final = 256
"""Of hrProcessorLoad, at most: so many are averaged, and fit into a few datagrams."""


def _number(found: Sequence[Sequence[int]]) -> float:
    return found[0][0]


def _percent(found: Sequence[Sequence[int]]) -> float | None:
    return found[0][0] if 0 <= found[0][0] <= 100 else None


def _mean(found: Sequence[Sequence[int]]) -> float | None:
    loads = found[0]
    return sum(loads) / len(loads) if all(0 <= load <= 100 for load in loads) else None


def _free_of_pool(found: Sequence[Sequence[int]]) -> float | None:
    used, free = found[0][0], found[1][0]
    return 100 * free / (used + free) if used >= 0 and free >= 0 and used + free else None


def _free_of_linux(found: Sequence[Sequence[int]]) -> float | None:
    """With buffers and cache, which are given up when they are needed: comparable with IOS."""
    total, *available = (column[0] for column in found)
    share = 100 * sum(available) / total if total > 0 else -1
    return share if 0 <= share <= 100 else None


def _state(found: Sequence[Sequence[int]]) -> float | None:
    return found[0][0] if 1 <= found[0][0] <= 6 else None  # initial(1) ... active(6)


def _columns(*names: Oid) -> tuple[Column, ...]:
    return tuple(map(Column, names))


_CPU: Final = Source(_columns(objects.CPM_CPU_TOTAL_5SEC_REV), _percent)
_POOL_64: Final = Source(
    _columns(objects.CEMP_MEM_POOL_HC_USED, objects.CEMP_MEM_POOL_HC_FREE), _free_of_pool
)

SOURCES: Final[Mapping[MemberKind, Mapping[Figure, tuple[Source, ...]]]] = {
    MemberKind.IOS: {
        Figure.BINDINGS: (Source(_columns(objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS), _number),),
        Figure.CPU: (_CPU,),
        Figure.MEMORY: (
            # The processor's pool, number 1, comes first. Its 32 bits hold 4 GiB: what has more
            # also has the objects of 64 bits, whose first pool may be another processor's.
            Source(
                _columns(objects.CISCO_MEMORY_POOL_USED, objects.CISCO_MEMORY_POOL_FREE),
                _free_of_pool,
            ),
            _POOL_64,
        ),
        Figure.REGISTRATIONS: (
            Source(_columns(objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS), _number, counter=True),
            Source(
                _columns(objects.CMI_HA_REG_PROC_LOC_IN_LAST_MIN_REGS), lambda of: of[0][0] / 60
            ),
        ),
        Figure.HSRP: (Source(_columns(objects.C_HSRP_GRP_STANDBY_STATE), _state),),
    },
    # Our subagent serves the same objects (`subagent`); without it there is what snmpd has.
    MemberKind.LINUX: {
        Figure.BINDINGS: (Source(_columns(objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS), _number),),
        Figure.CPU: (_CPU, Source((Column(objects.HR_PROCESSOR_LOAD, PROCESSORS),), _mean)),
        Figure.MEMORY: (
            _POOL_64,
            Source(
                _columns(
                    objects.MEM_TOTAL_REAL,
                    objects.MEM_AVAIL_REAL,
                    objects.MEM_BUFFER,
                    objects.MEM_CACHED,
                ),
                _free_of_linux,
            ),
        ),
        Figure.REGISTRATIONS: (
            Source(_columns(objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS), _number, counter=True),
        ),
    },
}

WRAP: Final = 1 << 32

MOST_REGISTRATIONS: Final = 1_000_000.0
"""/s. A counter that ran faster was reset between two readings: no Home Agent is that quick."""

BUSY: Final = 200.0
"""Registrations/s that no processor does in less than half a per cent of its time: an authenticator
and a table cost some 25 microseconds on the fastest."""

IDLE_READINGS: Final = 12
"""Readings in a row of 0 % while it is busy, after which they are not believed: a minute."""

LOOK_AGAIN: Final = 24
"""Readings after which sources that were not there are looked for again: two minutes. A subagent
may start later than its snmpd."""


class Reading:
    """One member's agent: what it has, and what it said before."""

    def __init__(self, member: int, kind: MemberKind) -> None:
        self.member = member
        self._sources = SOURCES[kind]
        self._chosen: dict[Figure, tuple[Source, tuple[tuple[Oid, ...], ...]]] = {}
        self._looked: dict[Figure, int] = {}  # readings until it is looked for again
        self._counts: dict[Figure, tuple[float, float]] = {}
        self._idle = 0
        self.oddities: list[str] = []  # what was not believed; whoever tells them clears them

    # ------------------------------------------------------------------ what the router has

    def unknown(self) -> list[tuple[Figure, Source]]:
        """Sources to look for now, best first; `learned` takes what each column has."""
        due = [
            figure
            for figure in self._sources
            if not self._chosen or self._looked.get(figure, 0) <= 0
        ]
        for figure in due:
            self._chosen.pop(figure, None)
        return [(figure, source) for figure in due for source in self._sources[figure]]

    def knows(self, figure: Figure) -> bool:
        """Whether a source of it was found, so that the others need not be looked for."""
        return figure in self._chosen

    def learned(self, figure: Figure, source: Source, found: Sequence[Sequence[Oid]]) -> None:
        """The instances below each of the source's columns, in their order."""
        self._looked[figure] = LOOK_AGAIN
        if all(found):
            self._chosen[figure] = source, tuple(map(tuple, found))

    # ------------------------------------------------------------------ what it says

    def names(self) -> tuple[Oid, ...]:
        """What to ask for, in one request; empty: it has nothing that we want."""
        return tuple(
            dict.fromkeys(
                name
                for _, columns in self._chosen.values()
                for column in columns
                for name in column
            )
        )

    def figures(self, values: Mapping[Oid, Value], at: float) -> Figures:
        """`values` of `names`, read at `at` (s of the steady clock)."""
        found: dict[Figure, float | None] = {}
        for figure, (source, columns) in list(self._chosen.items()):
            read = [[values.get(name) for name in column] for column in columns]
            if any(value is None for column in read for value in column):
                del self._chosen[figure]
                self._looked[figure] = 0  # it has changed: looked for with the next request
                continue
            found[figure] = self._figure(figure, source, read, at)
        for figure in self._sources:
            best = self._chosen.get(figure)
            if best is None or best[0] is not self._sources[figure][0]:
                self._looked[figure] = self._looked.get(figure, 0) - 1
        self._doubt(found)
        bindings, state = found.get(Figure.BINDINGS), found.get(Figure.HSRP)
        return Figures(
            self.member,
            Origin.SNMP,
            at,
            None if bindings is None else int(bindings),
            found.get(Figure.CPU),
            found.get(Figure.MEMORY),
            found.get(Figure.REGISTRATIONS),
            None if state is None else int(state),
        )

    def _figure(
        self, figure: Figure, source: Source, read: Sequence[Sequence[Value]], at: float
    ) -> float | None:
        numbers = [[value for value in column if type(value) is int] for column in read]
        if sum(map(len, numbers)) < sum(map(len, read)):
            self.oddities.append(f"{figure}: not a number")
            return None
        result = source.formula(numbers)
        if result is None or result < 0:
            self.oddities.append(f"{figure}: out of range")
            return None
        return self._rate(figure, result, at) if source.counter else result

    def _rate(self, figure: Figure, count: float, at: float) -> float | None:
        before = self._counts.get(figure)
        self._counts[figure] = count, at
        if before is None or at <= before[1]:
            return None
        rate = (count - before[0]) % WRAP / (at - before[1])
        return rate if rate <= MOST_REGISTRATIONS else None

    def _doubt(self, found: dict[Figure, float | None]) -> None:
        """Leaves a CPU figure out that cannot be true."""
        busy = (found.get(Figure.REGISTRATIONS) or 0) >= BUSY
        if found.get(Figure.CPU) != 0 or not busy:
            self._idle = 0
            return
        self._idle += 1
        if self._idle == IDLE_READINGS:
            self.oddities.append(f"{Figure.CPU}: 0 while it is busy")
        if self._idle >= IDLE_READINGS:
            found[Figure.CPU] = None
