"""What came of a drill that was played in simulation, once or many times."""

from __future__ import annotations

from dataclasses import dataclass

from .drill import Drill
from .measured import Measured, Outages


@dataclass(frozen=True, slots=True)
class Run:
    """What is kept of one of many. The seed repeats it."""

    seed: int
    outage_ms: float  # of its subscribers, the median; 0: none lost anything
    worst_ms: float
    broken: tuple[str, ...] = ()  # what was beyond its limit
    failed: str = ""  # the law of the world that did not hold, or the engine's exception
    story: tuple[str, ...] = ()  # of one that is not ok, its last lines

    @property
    def ok(self) -> bool:
        return not self.broken and not self.failed


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """All runs, and one of them as a whole: the first beyond its budget, or else the median one."""

    drill: Drill  # as it was played: with fewer subscribers than its file says, maybe
    runs: tuple[Run, ...]  # by their seeds
    shown: Measured | None  # None: none came to its end

    @property
    def broken(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if not run.ok)

    @property
    def medians(self) -> Outages:
        """Of the runs that came to their end, each run's median subscriber."""
        return Outages.of(len(self.runs), [run.outage_ms for run in self.runs if not run.failed])

    @property
    def worst(self) -> Outages:
        """Each run's worst subscriber."""
        return Outages.of(len(self.runs), [run.worst_ms for run in self.runs if not run.failed])


def telling(runs: tuple[Run, ...]) -> Run | None:
    """The one that is worth to be shown as a whole; None: none came to its end."""
    ended = [run for run in runs if not run.failed]
    beyond = next((run for run in ended if run.broken), None)
    in_order = sorted(ended, key=lambda run: (run.outage_ms, run.seed))
    return beyond or (in_order[(len(in_order) - 1) // 2] if in_order else None)
