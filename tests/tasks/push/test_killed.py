"""The orchestrator dies, or is told to stop, in the middle of a push to IOS routers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks import resume, runs
from tasks.course import State
from tasks.diff import normalised
from tasks.errors import Exit
from tasks.journal import Journal, Kind
from tasks.rendered import Platform
from tasks.runner import Event, Stage
from tests.tasks.push.simulated import (
    OPENED,
    Orchestrator,
    Simulator,
    orchestrator,
    simulated,
)


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


# The last record that the process writes: after it, nothing reaches a router any more.
LAST_RECORDS = {
    "begun": ("ios1", "begun"),
    "in-the-middle": ("ios1", "standby 10 preempt"),
    "in-force": ("ios1", "applied"),
    "confirming": ("ios1", "confirming"),
    "confirmed": ("ios1", "write memory"),
    "the-second-begun": ("ios2", "begun"),
    "the-second-in-force": ("ios2", "applied"),
}


@pytest.mark.parametrize("last", LAST_RECORDS)
@pytest.mark.parametrize(
    ("archive", "how"),
    [(True, resume.How.GO_ON), (False, resume.How.RETURN)],
    ids=["timer-goes-on", "no-timer-returns"],
)
def test_a_run_that_was_killed_is_finished_or_returned_by_another_process(
    work: Path, last: str, archive: bool, how: resume.How
) -> None:
    write = Journal.record

    def die_behind(_hacc: Orchestrator, event: Event) -> None:
        if event.stage is Stage.BACK_UP:
            setattr(Journal, "record", record)  # noqa: B010  # in the child alone

    def record(journal: Journal, host: str, kind: Kind, *texts: str) -> None:
        write(journal, host, kind, *texts)
        if host == LAST_RECORDS[last][0] and LAST_RECORDS[last][1] in map(str.strip, texts):
            os.kill(os.getpid(), signal.SIGKILL)

    with simulated("ios1", "ios2", archive=archive) as two:
        before = configs(two)
        assert in_a_process(two, work, die_behind) == -signal.SIGKILL
        with orchestrator(two, work) as hacc:
            run = resume.to_resume(work, "last")
            applied = resume.resume(
                run, hacc.fleet, OPENED, work=work, how=how, rendered=hacc.wanted
            )
            assert applied.exit is Exit.OK, applied.problems
            if how is resume.How.RETURN:
                assert configs(two) == before
                for name in two.devices:
                    saved = two.startup(name)
                    assert saved is None or normalised(saved, Platform.IOS) in before
            else:
                assert {host.state for host in applied.hosts} == {State.CHANGED}
                assert hacc.plan().empty
                two.pass_time(300)
                assert hacc.plan().empty, "a timer was left behind"
