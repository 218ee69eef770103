"""The runner: who may begin, who may not, and that nobody is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from nornir.core import Nornir
from nornir.core.inventory import Host, Hosts, Inventory
from nornir.core.task import AggregatedResult, Result, Task

from tasks.errors import Problem
from tasks.runner import Event, Events, GroupRunner, Interrupted, NotBegun, Stage, Stop


class Bench:
    """Hosts h0..hN under a runner, and a log of what was under way together."""

    def __init__(self, count: int, workers: int, groups: dict[str, frozenset[str]] | None = None):
        self.stop = Stop(Events())
        self.workers = workers
        self.groups = groups or {}
        self.begun: list[str] = []
        self.together: list[frozenset[str]] = []
        self._under_way: set[str] = set()
        self._lock = threading.Lock()
        hosts = Hosts({f"h{n}": Host(f"h{n}") for n in range(count)})
        self.nornir = Nornir(Inventory(hosts))

    def run(
        self, work: Callable[[str], Any], processors: Any = (), **how: bool
    ) -> AggregatedResult:
        def task(task: Task) -> Result:
            name = task.host.name
            with self._lock:
                self.begun.append(name)
                self._under_way.add(name)
                self.together.append(frozenset(self._under_way))
            try:
                return Result(task.host, result=work(name))
            finally:
                with self._lock:
                    self._under_way.discard(name)

        runner = GroupRunner(self.workers, self.groups, self.stop, **how)
        nornir = self.nornir.with_runner(runner).with_processors(list(processors))
        return nornir.run(task=task)


def test_every_host_has_its_result() -> None:
    results = Bench(40, 7).run(lambda name: name.upper())
    assert {name: result[0].result for name, result in results.items()} == {
        f"h{n}": f"H{n}" for n in range(40)
    }


def test_two_hosts_of_a_group_are_never_under_way_together() -> None:
    groups = {f"h{n}": frozenset({f"pair{n // 2}", f"lan{n % 3}"}) for n in range(30)}
    bench = Bench(30, 10, groups)
    gate = threading.Event()
    bench.run(lambda _name: gate.wait(0.002))
    assert len(bench.begun) == 30
    for together in bench.together:
        names = [group for host in together for group in groups[host]]
        assert len(names) == len(set(names)), together


def test_workers_are_a_limit_and_are_used() -> None:
    bench = Bench(12, 4)
    meeting = threading.Barrier(4, timeout=10)  # breaks, and fails the hosts, if fewer come
    results = bench.run(lambda _name: meeting.wait())
    assert not results.failed
    assert max(map(len, bench.together)) == 4


def test_after_a_stop_nobody_begins_and_who_has_begun_ends() -> None:
    bench = Bench(10, 2)
    both = threading.Barrier(2, timeout=10)

    def work(name: str) -> str:
        both.wait()
        bench.stop.request("Ctrl-C")
        return name

    results = bench.run(work)
    assert sorted(bench.begun) == ["h0", "h1"]
    assert [results[name][0].result for name in ("h0", "h1")] == ["h0", "h1"]
    for n in range(2, 10):
        error = results[f"h{n}"][0].exception
        assert isinstance(error, Interrupted)
        assert str(error) == f"h{n}: not begun, because of the interruption"


def test_an_urgent_run_is_not_stopped() -> None:
    bench = Bench(5, 2)
    bench.stop.request("Ctrl-C")
    assert not bench.run(lambda name: name, urgent=True).failed


def test_after_a_failure_nobody_begins_and_the_culprit_is_named() -> None:
    bench = Bench(5, 1)

    def work(name: str) -> None:
        if name == "h2":
            raise ValueError

    results = bench.run(work, halt=True)
    assert bench.begun == ["h0", "h1", "h2"]
    error = results["h4"][0].exception
    assert isinstance(error, NotBegun)
    assert str(error) == "h4: not begun, because h2 failed before it"


class Saboteur:
    """A Processor that fails in one of its hooks."""

    def __init__(self, hook: str) -> None:
        self.hook = hook

    def __getattr__(self, name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            if name == self.hook:
                raise RuntimeError(name)

        return hook


@pytest.mark.parametrize("hook", ["task_instance_started", "task_instance_completed"])
def test_a_processor_cannot_abort_the_run(hook: str) -> None:
    results = Bench(6, 3).run(lambda name: name, processors=[Saboteur(hook)])
    assert len(results) == 6
    done = [name for name, result in results.items() if result[0].result == name]
    assert len(done) == (6 if hook == "task_instance_completed" else 0)


def test_a_listener_that_fails_is_dropped_and_the_others_hear_on() -> None:
    heard: list[Event] = []

    def closed_pipe(_event: Event) -> None:
        raise BrokenPipeError

    events = Events(closed_pipe, heard.append)
    events.emit("r1", Stage.PUSH)
    events.emit("r1", Stage.DONE)
    assert [event.stage for event in heard] == [Stage.PUSH, Stage.DONE]


def test_a_listener_may_stop_the_run() -> None:
    """Ctrl-C may come in the middle of a listener, in the same thread: no deadlock."""
    heard: list[str] = []

    def listen(event: Event) -> None:
        heard.append(str(event.stage))
        if event.stage is Stage.PUSH:
            stop.request("Ctrl-C")

    events = Events(listen)
    stop = Stop(events)
    events.emit("r1", Stage.PUSH)
    assert (heard, bool(stop)) == (["push", "stop"], True)


def test_a_problem_of_a_host_that_did_not_run_can_be_shown() -> None:
    error = NotBegun(Problem(None, "r1", "not begun"))
    assert (int(error.exit), str(error)) == (3, "r1: not begun")
