"""The orchestrator dies, or is told to stop, in the middle of a push to IOS routers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks import runs
from tasks.diff import normalised
from tasks.rendered import Platform
from tasks.runner import Event, Stage
from tests.tasks.push.simulated import Orchestrator, Simulator, orchestrator, simulated


@pytest.fixture
def two() -> Iterator[Simulator]:
    with simulated("ios1", "ios2") as simulator:
        yield simulator


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / ".hacc"


def configs(simulator: Simulator) -> list[str]:
    return [normalised(simulator.config(name), Platform.IOS) for name in simulator.devices]


def in_a_process(
    simulator: Simulator, work: Path, listener: Callable[[Orchestrator, Event], None]
) -> int:
    """Apply in a process of its own, where signals are its own; how it ended."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            hacc: Orchestrator = orchestrator(
                simulator, work, listener=lambda event: listener(hacc, event)
            )
            with hacc:
                code = int(hacc.apply(hacc.plan()).exit)
        except KeyboardInterrupt:
            code = 42
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_killed_orchestrator_leaves_routers_that_go_back(two: Simulator, work: Path) -> None:
    def die(_hacc: Orchestrator, event: Event) -> None:
        if event.stage is Stage.APPLIED:
            os.kill(os.getpid(), signal.SIGKILL)

    before = configs(two)
    assert in_a_process(two, work, die) == -signal.SIGKILL
    assert configs(two) != before
    [run] = runs.runs(work)
    assert run.ended is None
    assert run.begun() == {"ios1"}
    two.pass_time(119)
    assert configs(two) != before
    two.pass_time(2)
    assert configs(two) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_one_signal_finishes_what_is_under_way_and_takes_it_back(
    two: Simulator, work: Path, number: signal.Signals
) -> None:
    def interrupt(_hacc: Orchestrator, event: Event) -> None:
        if (event.host, event.stage) == ("ios1", Stage.PUSH):
            os.kill(os.getpid(), number)

    before = configs(two)
    assert in_a_process(two, work, interrupt) == 130
    assert configs(two) == before
    assert two.lines("ios2") == []


def test_two_signals_leave_at_once_and_the_routers_go_back(two: Simulator, work: Path) -> None:
    def insist(hacc: Orchestrator, event: Event) -> None:
        if (event.host, event.stage) == ("ios1", Stage.APPLIED):
            os.kill(os.getpid(), signal.SIGINT)
            assert hacc.fleet.stop.wait(20)
            os.kill(os.getpid(), signal.SIGINT)

    before = configs(two)
    assert in_a_process(two, work, insist) == 42
    two.pass_time(121)
    assert configs(two) == before
