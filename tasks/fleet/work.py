"""What is done with a part, wherever it is done, and what becomes of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from ..devices.fleet import Fleet
from ..errors import Exit, HaccError, Place, Problem
from ..hostkeys import HostKeys
from ..pipeline import Opened, Prepared, reach
from ..runner import Listener, Stop
from .parts import Part

# Of the routers of a part no session stays open: each is visited once. Ten thousand sessions that
# wait cost processor time, ten times a second each, and a vty line of each router.
VISITED_ONCE: Final = 0

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """One function for every part."""

    # Of a module's top level: another machine is told its name.
    function: Callable[[Prepared, Opened, Fleet], T]
    repeatable: bool  # it only reads: a part whose worker died is given to another one
    strict: bool = False  # routers whose host key is not known are refused


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T_co]):
    """What became of a part: a value, or why there is none."""

    part: Part
    value: T_co | None
    exit: Exit = Exit.OK
    problems: tuple[Problem, ...] = ()
    met: tuple[str, ...] = ()  # lines of known_hosts: first contacts

    @property
    def done(self) -> bool:
        return self.exit is Exit.OK


class Runner(Protocol):
    """A way to work on many parts at once. Use it as a context manager."""

    def map(self, work: Work[T], parts: Sequence[Part]) -> Iterator[Outcome[T]]:
        """Every part's outcome, once, as they come."""
        ...


def perform(
    work: Work[T],
    part: Part,
    opened: Opened,
    known_hosts: Path,
    *,
    listeners: Iterable[Listener] = (),
    stop: Stop | None = None,
) -> Outcome[T]:
    """Work on one part, here and now. What is wrong is in the outcome."""
    try:
        prepared = part.prepared
        keys = HostKeys(known_hosts, strict=work.strict, excerpt=part.known)
        with reach(
            prepared, opened, keys, listeners=listeners, stop=stop, sessions=VISITED_ONCE
        ) as routers:
            value = work.function(prepared, opened, routers)
        return Outcome(part, value, met=keys.met)
    except HaccError as error:
        return Outcome(part, None, error.exit, error.problems)
    except Exception as error:  # ours, and no reason to lose the other parts
        where = traceback.extract_tb(error.__traceback__)[-1]
        fault = Problem(
            Place(where.filename, where.lineno or 0),
            part.name,
            f"internal error: {error!r}",
            hint="please report it",
        )
        return Outcome(part, None, Exit.DEVICE, (fault,))


def interrupted(part: Part) -> Outcome[T]:
    """Ctrl-C came first."""
    problem = Problem(None, part.name, f"not begun, because of the interruption: {told(part)}")
    return Outcome(part, None, Exit.INTERRUPTED, (problem,))


def lost(part: Part, why: str) -> Outcome[T]:
    """Its worker died, and nobody else may or can take it."""
    problem = Problem(
        None,
        part.name,
        f"the worker was lost ({why}) while it worked on {told(part)}",
        hint="look at these routers before anything else; hacc plan shows how they are",
    )
    return Outcome(part, None, Exit.DEVICE, (problem,))


def told(part: Part, most: int = 6) -> str:
    """Its routers, in words."""
    more = len(part.hosts) - most
    return ", ".join(part.hosts[:most]) + (f" and {more} more" if more > 0 else "")
