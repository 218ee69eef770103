"""Batch by batch: pauses, limits, what stays and what goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tasks import push, runs
from tasks.batches import Share
from tasks.course import Applied, State, Verify
from tasks.errors import Exit, HaccError, Problem
from tasks.plan import Batch, Wave
from tasks.policy import OnFailure, PauseAfter, Policy
from tasks.resume import How, NothingToResume
from tasks.runner import Event, Stage
from tests.tasks.push.memory import WAVES, Desk, desk

CHANGED, RETURNED, NOT_BEGUN = State.CHANGED, State.RETURNED, State.NOT_BEGUN


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path / ".hacc") as made:
        yield made


def states(applied: Applied) -> dict[str, State]:
    return {result.host: result.state for result in applied.hosts}


def new(desk: Desk) -> set[str]:
    """Who holds the new configuration; everybody else must hold the old one."""
    holds = desk.world.holds()
    assert set(holds.values()) <= {"old", "new"}
    return {host for host, what in holds.items() if what == "new"}


def deaf(*hosts: str) -> Verify:
    """A verification that these routers fail."""

    def verify(wave: Wave) -> Sequence[Problem]:
        return [Problem(None, host, "it is deaf") for host in wave.hosts if host in hosts]

    return verify


def test_a_run_pauses_after_its_canary_and_goes_on_when_it_is_told_to(one: Desk) -> None:
    applied = one.apply(policy=Policy(pause_after=PauseAfter.CANARY))
    assert applied.exit is Exit.CHANGES
    assert applied.paused == (
        "canary is done, and was to be followed by a pause; batch 1 of 2 has not begun"
    )
    assert new(one) == {"a3"}
    assert states(applied) == dict.fromkeys(one.world.devices, NOT_BEGUN) | {"a3": CHANGED}
    assert {result.host: result.batch for result in applied.hosts}["b1"] == "batch 2 of 2"
    [told] = map(runs.told, runs.runs(one.work))
    assert (told.unfinished, told.batch, told.hosts) == (True, "canary", {"a3": "changed"})

    applied = one.resume()
    assert (applied.exit, applied.paused, len(new(one))) == (Exit.OK, "", 5)
    assert not runs.told(one.run()).unfinished
    with pytest.raises(NothingToResume, match=r"this run has ended .*no run is unfinished"):
        one.resume()


def test_it_pauses_after_every_batch_but_the_last(one: Desk) -> None:
    one.apply(policy=Policy(pause_after=PauseAfter.BATCH))
    assert new(one) == {"a3"}
    assert one.resume().paused.startswith("batch 1 of 2 is done")
    assert new(one) == {"a3", "a2", "a1"}
    assert one.resume().exit is Exit.OK


@pytest.mark.parametrize(
    ("how", "left"), [(How.RETURN, set()), (How.STOP, {"a3"})], ids=["return", "stop"]
)
def test_a_paused_run_is_taken_back_or_left(one: Desk, how: How, left: set[str]) -> None:
    one.apply(policy=Policy(pause_after=PauseAfter.CANARY))
    assert one.resume(how).exit is Exit.OK
    assert new(one) == left
    assert one.run().ended is not None
    assert one.apply(waves=WAVES).exit is Exit.OK, "the way is free for a new run"


@pytest.mark.parametrize(
    ("at", "exit_", "left"),
    [
        ((Stage.DONE, "a3"), Exit.CHANGES, {"a3"}),
        ((Stage.DONE, "a1"), Exit.CHANGES, {"a3", "a2", "a1"}),
        ((Stage.APPLIED, "a2"), Exit.INTERRUPTED, set()),
        ((Stage.DONE, "a2"), Exit.INTERRUPTED, set()),  # half a pair is no place to pause
        ((Stage.DONE, "b1"), Exit.OK, {"a1", "a2", "a3", "b1", "b2"}),
    ],
)
def test_ctrl_c_pauses_between_batches_and_returns_inside_of_one(
    one: Desk, at: tuple[Stage, str], exit_: Exit, left: set[str]
) -> None:
    with one.fleet() as fleet:

        def listen(event: Event) -> None:
            if (event.stage, event.host) == at:
                fleet.stop.request("Ctrl-C")

        plan = one.plan(fleet)
        with fleet.events.heard_by(listen):
            applied = push.apply(plan, fleet, one.wanted, {}, work=one.work)
    assert (applied.exit, new(one)) == (exit_, left)
    if exit_ is Exit.CHANGES:
        assert applied.paused.startswith("interrupted between two batches; batch")
        assert one.resume().exit is Exit.OK


@pytest.mark.parametrize(
    ("on_failure", "left"),
    [(OnFailure.RETURN, set()), (OnFailure.STOP, {"a3", "a2", "a1"})],
)
def test_a_batch_that_fails_takes_back_all_or_itself(
    one: Desk, on_failure: OnFailure, left: set[str]
) -> None:
    applied = one.apply(verify=deaf("b1"), policy=Policy(on_failure=on_failure))
    assert applied.exit is Exit.REVERTED
    assert new(one) == left
    assert states(applied)["b2"] is states(applied)["b1"] is RETURNED
    ended = one.run().ended
    assert ended is not None
    assert {host for host, state in ended.hosts.items() if state == CHANGED} == left


def test_within_the_limit_a_failure_takes_its_cluster_out_and_no_other(one: Desk) -> None:
    applied = one.apply(verify=deaf("a1"), policy=Policy(max_fail=Share(1)))
    assert applied.exit is Exit.REVERTED
    assert states(applied) == {
        "a3": RETURNED,  # of the canary, but of the same cluster
        "a2": RETURNED,
        "a1": RETURNED,
        "b2": CHANGED,
        "b1": CHANGED,
    }
    assert new(one) == {"b1", "b2"}


def test_beyond_the_limit_everything_goes_back(one: Desk) -> None:
    applied = one.apply(verify=deaf("a1", "b2"), policy=Policy(max_fail=Share(1)))
    assert (applied.exit, new(one)) == (Exit.REVERTED, set())


def test_with_stop_the_canary_of_a_cluster_that_is_out_stays(one: Desk) -> None:
    policy = Policy(max_fail=Share(1), on_failure=OnFailure.STOP)
    one.apply(verify=deaf("a1"), policy=policy)
    assert new(one) == {"a3", "b1", "b2"}


def test_a_percentage_of_few_routers_tolerates_none(one: Desk) -> None:
    applied = one.apply(verify=deaf("b1"), policy=Policy(max_fail=Share(19, percent=True)))
    assert (applied.exit, new(one)) == (Exit.REVERTED, set())


def test_a_failure_that_was_tolerated_is_remembered_over_a_pause(one: Desk) -> None:
    policy = Policy(max_fail=Share(1), pause_after=PauseAfter.BATCH)
    one.apply(verify=deaf("a3"), policy=policy)
    assert new(one) == set()
    applied = one.resume(verify=deaf("b1"))
    assert (applied.exit, new(one)) == (Exit.REVERTED, set()), "two have failed by now"


def test_what_holds_a_batch_pauses_the_run_before_it(one: Desk) -> None:
    def hold(batch: Batch) -> str:
        return "3 minutes are left of the maintenance window" if "2 of 2" in batch.name else ""

    applied = one.apply(hold=hold)
    assert applied.paused == (
        "3 minutes are left of the maintenance window; batch 2 of 2 has not begun"
    )
    assert new(one) == {"a3", "a2", "a1"}
    assert one.resume(hold=hold).exit is Exit.CHANGES
    assert one.resume().exit is Exit.OK


def test_what_others_did_in_a_pause_is_seen_before_it_is_lost(one: Desk) -> None:
    one.apply(policy=Policy(pause_after=PauseAfter.CANARY))
    one.world.devices["b1"].type("ip route 203.0.113.0 255.255.255.0 Null0")
    with pytest.raises(push.PlanStale, match=r"b1: its configuration has changed .*--stop"):
        one.resume()
    one.world.devices["a3"].type("ip route 203.0.113.0 255.255.255.0 Null0")
    with pytest.raises(HaccError, match="a3: running-config was changed since the run: 1 lines"):
        one.resume(How.RETURN)
    assert one.resume(How.STOP).exit is Exit.OK
    assert all("203.0.113.0" in one.world.devices[host].text for host in ("a3", "b1"))


def test_a_router_that_cannot_be_brought_back_keeps_the_run_open(one: Desk) -> None:
    def cut(wave: Wave) -> Sequence[Problem]:
        one.world.cut |= {*wave.hosts} & {"b2"}
        return [Problem(None, "b2", "it is deaf")] if "b2" in wave.hosts else []

    applied = one.apply(verify=cut)
    assert applied.exit is Exit.BROKEN
    assert states(applied)["b2"] is State.UNKNOWN
    again = one.resume()
    assert (again.exit, states(again)["b2"]) == (Exit.BROKEN, State.UNKNOWN)
    with pytest.raises(runs.Unfinished, match="this run did not end"):
        runs.refuse_unfinished(one.work)
    one.world.cut.clear()
    back = one.resume()
    assert (back.exit, new(one)) == (Exit.REVERTED, set())
    assert states(back)["b2"] is RETURNED


def test_a_router_that_never_comes_back_is_given_up_by_word(one: Desk) -> None:
    def cut(wave: Wave) -> Sequence[Problem]:
        one.world.cut |= {*wave.hosts} & {"a1"}
        return []

    one.apply(verify=cut)
    assert runs.unfinished(one.work) is not None
    applied = one.resume(How.STOP)
    assert (applied.exit, states(applied)["a1"]) == (Exit.BROKEN, State.UNKNOWN)
    assert states(applied)["a2"] is RETURNED
    assert runs.unfinished(one.work) is None
    assert json.loads((one.run().path / "result.json").read_text())["hosts"]["a1"] == "unknown"
