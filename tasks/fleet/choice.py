"""Which way a fleet is worked on: from its size, or from what the user says."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from ..errors import HaccError, Problem
from ..hostkeys import HostKeys
from ..pipeline import Prepared, open_secrets
from ..runner import Events, Listener, Stop
from .beyond import LOCAL, Dask
from .here import Here
from .parts import ROUTERS, cut
from .processes import Processes
from .work import Outcome, Runner, Work

T = TypeVar("T")

ProcessCount = Annotated[
    int | None,
    typer.Option(
        "--processes",
        min=1,
        metavar="N",
        help="Worker processes on this machine; default: from the routers and the cores.",
    ),
]
RunnerAddress = Annotated[
    str | None,
    typer.Option(
        "--runner",
        metavar="dask://HOST:PORT",
        help="Workers on other machines: a dask scheduler (dask+tls:// with TLS, dask://local).",
    ),
]

# A process for so many routers at least: fewer are done before others would have started.
ROUTERS_PER_PROCESS: Final = 128
_ADDRESS: Final = re.compile(r"dask(?P<tls>\+tls)?://(?:(?P<local>local)|(?P<at>[^/\s]+:\d+))")


@dataclass(frozen=True, slots=True)
class Choice:
    """Processes of this machine, or those of a scheduler."""

    processes: int = 1
    scheduler: str = ""  # as distributed names it: "tcp://HOST:PORT"; or LOCAL

    @classmethod
    def of(cls, routers: int, processes: int | None, runner: str | None) -> Choice:
        """What the user says, or what suits so many routers."""
        cores = len(os.sched_getaffinity(0))
        if runner is None:
            suits = max(1, min(cores, routers // ROUTERS_PER_PROCESS))
            return cls(suits if processes is None else processes)
        found = _ADDRESS.fullmatch(runner)
        if found is None or (found["local"] and found["tls"]):
            raise HaccError(
                Problem(
                    None,
                    "--runner",
                    f"{runner!r} names no runner",
                    allowed="dask://HOST:PORT, dask+tls://HOST:PORT, dask://local",
                )
            )
        if found["local"]:
            return cls(processes or cores, LOCAL)
        if processes is not None:
            raise HaccError(
                Problem(
                    None,
                    "--processes",
                    "is for this machine; a scheduler has the workers that it has",
                    hint="leave one of --processes and --runner out",
                )
            )
        return cls(scheduler=f"{'tls' if found['tls'] else 'tcp'}://{found['at']}")


def work_on(
    prepared: Prepared,
    work: Work[T],
    choice: Choice,
    *,
    listeners: Iterable[Listener] = (),
    routers: int = ROUTERS,
) -> Iterator[Outcome[T]]:
    """Every part's outcome, as they come; parts of so many routers.

    Host keys that workers met elsewhere are kept here.
    """
    listeners = tuple(listeners)
    known_hosts = prepared.work / "known_hosts"
    keys = HostKeys(known_hosts, strict=work.strict)
    parts = cut(prepared, keys, routers)
    gc.freeze()  # what is loaded stays: neither searched for garbage, nor copied by forks
    for outcome in _runner(prepared, choice, known_hosts, listeners).map(work, parts):
        if choice.scheduler:
            keys.adopt(outcome.met)
        yield outcome


def _runner(
    prepared: Prepared,
    choice: Choice,
    known_hosts: Path,
    listeners: tuple[Listener, ...],
) -> Runner:
    stop = Stop(Events(*listeners))
    if choice.scheduler:
        return Dask(choice.scheduler, stop, listeners, count=choice.processes)
    opened = open_secrets(prepared)  # once, before anything is forked
    if choice.processes == 1:
        return Here(opened, known_hosts, stop, listeners)
    return Processes(choice.processes, opened, known_hosts, stop, listeners)
