"""How many routers are worked on at once, in which order, and how it is stopped.

A Nornir runner plugin. Nornir's own hands every host to a thread pool at once, and after Ctrl-C
the pool goes on through the queue: an aborted push would continue. Here a worker asks for its
next host, and is given none once the run is stopped, so

* a host that has not begun when Ctrl-C is pressed never begins;
* a host that has begun is finished (its task decides how: a push reverts itself);
* two hosts of one standby group are never under way together;
* every host is in the result, with the reason if it did not run.

Progress leaves as a stream of `Event` values: a table on a terminal, plain lines in a pipe, JSON
lines with --json. Who listens cannot hurt the run: a listener's exception is dropped.
"""

from __future__ import annotations

import enum
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Final

from nornir.core.inventory import Host
from nornir.core.task import AggregatedResult, MultiResult, Result, Task

from .errors import Exit, HaccError, Problem

MAX_WORKERS: Final = 50  # beyond about 50 threads one process gets slower (the interpreter's lock)


class Stage(enum.StrEnum):
    """What is happening to a router. The words are part of the JSON output."""

    TRUST = "trust"  # a new host key was kept
    CONNECT = "connect"
    FETCH = "fetch"
    BACK_UP = "back-up"
    PUSH = "push"
    APPLIED = "applied"  # in force, not yet confirmed
    VERIFY = "verify"
    CONFIRM = "confirm"
    REVERT = "revert"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # never begun
    WAVE = "wave"
    BATCH = "batch"
    PAUSED = "paused"  # the run: it has not ended, and goes on when it is told to
    STOP = "stop"  # Ctrl-C


@dataclass(frozen=True, slots=True)
class Event:
    """One step of progress, of one router or (without a host) of the run."""

    at: datetime  # UTC
    host: str
    stage: Stage
    text: str


Listener = Callable[[Event], None]


class Events:
    """The stream: called by one thread at a time, and a listener's faults stay its own."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = [*listeners]
        # Reentrant: a listener, or Ctrl-C in the middle of one, may have something to say.
        self._lock = threading.RLock()

    @contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """One more listener, for a time."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners = [other for other in self._listeners if other is not listener]

    def emit(self, host: str, stage: Stage, text: str = "") -> None:
        self.pass_on(Event(datetime.now(UTC), host, stage, text))

    def pass_on(self, event: Event) -> None:
        """Something that happened elsewhere."""
        with self._lock:
            for listener in [*self._listeners]:
                try:
                    listener(event)
                except Exception:  # a closed pipe, a broken table: the routers come first
                    self._listeners.remove(listener)


class Interrupted(HaccError):
    """Ctrl-C: the host never began."""

    exit = Exit.INTERRUPTED


class NotBegun(HaccError):
    """An earlier failure stopped the run before this host's turn."""

    exit = Exit.DEVICE


class Stop:
    """Ctrl-C as a state. The first asks everybody to finish; the second takes no answer."""

    def __init__(self, events: Events) -> None:
        self._flag = threading.Event()
        self._events = events

    def __bool__(self) -> bool:
        return self._flag.is_set()

    def request(self, why: str) -> None:
        if not self._flag.is_set():
            self._flag.set()
            self._events.emit("", Stage.STOP, why)

    def wait(self, seconds: float) -> bool:
        """Sleep, or return True at once when a stop is asked for."""
        return self._flag.wait(seconds)

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for the time of a run; only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(signum: int, _frame: FrameType | None) -> None:
            if self._flag.is_set():
                raise KeyboardInterrupt
            name = signal.Signals(signum).name
            self.request(f"{name}: finishing what is under way; once more to leave at once")

        before = {number: signal.signal(number, handle) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


class GroupRunner:
    """Nornir's runner protocol: `workers` threads, never two hosts of one group at once.

    `groups` names each host's standby groups. With `halt`, the first failure keeps the hosts
    that have not begun from beginning. An `urgent` run (the way back) is not stopped by Ctrl-C.
    """

    def __init__(
        self,
        workers: int,
        groups: Mapping[str, frozenset[str]],
        stop: Stop,
        *,
        halt: bool = False,
        urgent: bool = False,
    ) -> None:
        self._workers = max(1, min(workers, MAX_WORKERS))
        self._groups = groups
        self._stop = stop
        self._halt = halt
        self._urgent = urgent

    def run(self, task: Task, hosts: list[Host]) -> AggregatedResult:
        turn = _Turn(deque(hosts), self._groups)
        threads = [
            threading.Thread(target=self._work, args=(task, turn), daemon=True, name=f"hacc-{n}")
            for n in range(min(self._workers, len(hosts)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)  # bounded, so that a signal's handler gets its turn
        results = AggregatedResult(task.name)
        for host in hosts:
            results[host.name] = turn.results.get(host.name) or self._not_begun(task, host, turn)
        return results

    def _work(self, task: Task, turn: _Turn) -> None:
        while True:
            stopped = (lambda: False) if self._urgent else (lambda: bool(self._stop))
            host = turn.take(stopped)
            if host is None:
                return
            attempt = task.copy()
            try:
                attempt.start(host)
            except Exception as error:  # a Processor's, for a task's own stay in its result
                if not attempt.results:
                    attempt.results.insert(0, Result(host, exception=error, failed=True))
            turn.give_back(host, attempt.results, halt=self._halt)

    def _not_begun(self, task: Task, host: Host, turn: _Turn) -> MultiResult:
        error: HaccError
        if turn.culprit:
            error = NotBegun(
                Problem(None, host.name, f"not begun, because {turn.culprit} failed before it")
            )
        else:
            error = Interrupted(Problem(None, host.name, "not begun, because of the interruption"))
        result = MultiResult(task.name)
        result.append(Result(host, exception=error, failed=True))
        return result


class _Turn:
    """Whose turn it is: hosts waiting, groups under way, results so far."""

    def __init__(self, waiting: deque[Host], groups: Mapping[str, frozenset[str]]) -> None:
        self.results: dict[str, MultiResult] = {}
        self.culprit = ""  # the host whose failure halted the run
        self._waiting = waiting
        self._groups = groups
        self._busy: set[str] = set()
        self._changed = threading.Condition()

    def take(self, stopped: Callable[[], bool]) -> Host | None:
        with self._changed:
            while self._waiting and not self.culprit and not stopped():
                for host in self._waiting:
                    groups = self._groups.get(host.name, frozenset())
                    if not groups & self._busy:
                        self._waiting.remove(host)
                        self._busy |= groups
                        return host
                self._changed.wait(0.5)
            return None

    def give_back(self, host: Host, result: MultiResult, *, halt: bool) -> None:
        with self._changed:
            self.results[host.name] = result
            self._busy -= self._groups.get(host.name, frozenset())
            if halt and result.failed and not self.culprit:
                self.culprit = host.name
            self._changed.notify_all()
