"""Processes of this machine: each takes a part, works on it, and asks for the next.

The workers are forked, so all that was loaded, compiled and opened is theirs without a copy, and
no secret passes through a pipe: only the number of a part does, and what comes back. One that is
killed (by the kernel, when memory ends) is missed at once; its part is given to another one if
that cannot hurt, up to `TRIES` times, and a worker is forked in its place.

Ctrl-C reaches this process alone: the workers are in process groups of their own. They are then
asked to finish what is under way, as one process would, and get nothing more.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Final, TypeVar

from ..pipeline import Opened
from ..runner import Event, Events, Listener, Stop
from .here import Here
from .parts import Part
from .work import Outcome, Work, interrupted, lost

T = TypeVar("T")

TRIES: Final = 2  # workers that a part may cost
_FORK: Final = multiprocessing.get_context("fork")


@dataclass(slots=True)
class _Worker:
    process: ForkProcess
    pipe: Connection
    part: int | None = None  # what it works on


class Processes:
    """A `Runner` over forked workers."""

    def __init__(
        self,
        count: int,
        opened: Opened,
        known_hosts: Path,
        stop: Stop,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self._count = count
        self._opened = opened
        self._known_hosts = known_hosts
        self._stop = stop
        self._listeners = tuple(listeners)
        self._events = Events(*self._listeners)
        self._workers: list[_Worker] = []

    def map(self, work: Work[T], parts: Sequence[Part]) -> Iterator[Outcome[T]]:
        try:
            with self._stop.on_interrupt():
                yield from self._map(work, parts)
        finally:
            self._end()

    def _map(self, work: Work[T], parts: Sequence[Part]) -> Iterator[Outcome[T]]:
        waiting = deque(range(len(parts)))
        tries = [0] * len(parts)
        stopping = False
        while waiting or any(worker.part is not None for worker in self._workers):
            if self._stop:
                if not stopping:
                    self._tell_to_stop()
                stopping = True
                yield from (interrupted(parts[number]) for number in waiting)
                waiting.clear()
            self._hand_out(work, parts, waiting, tries)
            for worker in self._ready():
                number = worker.part
                assert number is not None
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    self._bury(worker)
                    if work.repeatable and tries[number] < TRIES:
                        waiting.append(number)
                    else:
                        yield lost(parts[number], _cause(worker.process))
                    continue
                if isinstance(answer, Event):
                    self._events.pass_on(answer)
                else:
                    worker.part = None
                    yield Outcome(parts[number], *answer)

    def _end(self) -> None:
        for worker in self._workers:
            worker.pipe.close()  # which ends one that waits
            if worker.part is not None:
                worker.process.kill()  # nobody waits for what it does
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()

    def _hand_out(
        self, work: Work[Any], parts: Sequence[Part], waiting: deque[int], tries: list[int]
    ) -> None:
        while waiting:
            worker = next((each for each in self._workers if each.part is None), None)
            if worker is None and len(self._workers) < self._count:
                worker = self._fork(work, parts)
            if worker is None:
                return
            number = waiting.popleft()
            try:
                worker.pipe.send(number)
            except OSError:  # it died while it waited: nothing is lost
                self._bury(worker)
                waiting.appendleft(number)
                continue
            worker.part = number
            tries[number] += 1

    def _fork(self, work: Work[Any], parts: Sequence[Part]) -> _Worker:
        ours, theirs = _FORK.Pipe()
        others = [ours, *(worker.pipe for worker in self._workers)]
        process = _FORK.Process(
            target=_serve,
            args=(
                theirs,
                others,
                work,
                parts,
                self._opened,
                self._known_hosts,
                bool(self._listeners),
            ),
            daemon=True,
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _ready(self) -> list[_Worker]:
        """The workers that have something to say, or died; nobody for half a second at most."""
        by_pipe = {worker.pipe: worker for worker in self._workers if worker.part is not None}
        return [by_pipe[pipe] for pipe in wait([*by_pipe], timeout=0.5) if pipe in by_pipe]

    def _bury(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)

    def _tell_to_stop(self) -> None:
        for worker in self._workers:
            if worker.part is not None and worker.process.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGINT)


def _cause(process: ForkProcess) -> str:
    code = process.exitcode
    if code is None or code >= 0:
        return f"exit code {code}"
    return signal.Signals(-code).name


# ------------------------------------------------------------------ in a worker


def _serve(
    pipe: Connection,
    others: Sequence[Connection],
    work: Work[Any],
    parts: Sequence[Part],
    opened: Opened,
    known_hosts: Path,
    heard: bool,
) -> None:
    """A worker's life: parts by their numbers, until the pipe is closed."""
    os.setpgid(0, 0)
    for other in others:  # or it would hold its siblings' pipes open, and nobody would miss one
        other.close()
    stop = Stop(Events())  # who was interrupted says so himself
    signal.signal(signal.SIGINT, lambda _number, _frame: stop.request("interrupted"))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    telling = threading.Lock()

    def tell(event: Event) -> None:
        with telling:
            pipe.send(event)

    here = Here(opened, known_hosts, stop, [tell] if heard else [])
    with contextlib.suppress(EOFError, OSError):  # whoever asked is gone
        while True:
            outcome = here.one(work, parts[pipe.recv()])
            pipe.send((outcome.value, outcome.exit, outcome.problems, outcome.met))
