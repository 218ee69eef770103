"""A run beside its budget, and what the time went into."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.drills.drill import (
    Budget,
    Drill,
    Expectation,
    Fault,
    Leader,
    OutageBudget,
    Step,
    Subscribers,
    Target,
)
from hacc_agent.drills.faults import FaultKind, Role, Stage
from hacc_agent.drills.measured import (
    Bin,
    Happening,
    Measured,
    Member,
    Outages,
    Packets,
    Standing,
    Struck,
)
from hacc_agent.drills.phases import detected_s, phases, recovered_s
from hacc_agent.drills.verdict import judge

DRILL = Drill(
    "member-kill",
    "The busiest member dies",
    "Nobody loses a binding",
    Subscribers(1000, 4.0),
    (Step(5.0, Fault(FaultKind.POWER, (Target(Role.MEMBER, "busiest"),)), 10.0),),
    settle_s=3.0,
    expect=Expectation(1.0, Leader.SAME, ("down",), struck_serve=False),
    budget=Budget(OutageBudget(p50=1000, max=2000), OutageBudget(max=500), packets_doubled=0),
)


def _standing(bindings: int, state: str = "up", leader: str | None = "hacc1") -> Standing:
    return Standing(
        ("hacc1", "hacc2"),
        leader,
        (
            Member("ha1", ("ha1",), True, False, state, bindings, 0),
            Member("ha2", ("ha2",), True, False, "up", 1000 - bindings, 0),
        ),
    )


MEASURED = Measured(
    "member-kill",
    Stage.LIVE,
    began=1_700_000_000.0,
    seconds=18.0,
    before=_standing(600),
    after=_standing(0, "down"),
    struck=(Struck(0, "power member: busiest", ("ha1",), ("ha1",), 5.01, 15.2),),
    events=(
        Happening(1.0, "hacc1", "member down", {"member": "ha9"}),
        Happening(5.31, "hacc1", "member down", {"member": "ha1"}),
        Happening(5.32, "hacc1", "slots move", {"member": "ha2", "after_ms": 4.0}),
        Happening(5.5, "ha2", "slots taken over", {"bindings": 600}),
        Happening(15.9, "ha1", "slots taken over", {"bindings": 600}),
    ),
    subscribers=Outages(1000, 600, 0, 400.0, 600.0, 700.0, 900.0),
    registered=1000,
    packets=Packets(18_000, 17_000, 990, 10),
    course=tuple(Bin(n / 2, 500, 400 if n in (10, 11) else 500) for n in range(36)),
    addresses={"group 198.18.1.254": Outages(1, 0, 0)},
    bindings_before=1000,
)


def test_a_run_within_its_budget_is_so() -> None:
    assert judge(DRILL, MEASURED).broken == ()


BROKEN: dict[str, dict[str, Any]] = {
    "steps of the timeline": {"interrupted": True},
    "what the drill broke": {"restored": False},
    "detected after": {"events": ()},
    "who decides": {"after": _standing(0, "down", "hacc2")},
    "ha1 is": {"after": _standing(0, "up")},
    "ha1 serves": {"after": _standing(1, "down")},
    "subscribers' outage, longest": {"subscribers": Outages(1000, 9, 0, 1.0, 1.0, 1.0, 2001.0)},
    "subscribers' outage, 50 %": {"subscribers": Outages(1000, 9, 0, 1001.0, 0, 0, 1001.0)},
    "group 198.18.1.254: outage, longest": {
        "addresses": {"group 198.18.1.254": Outages(1, 1, 0, 501, 501, 501, 501)}
    },
    "bindings lost": {"bindings_lost": 1},
    "bindings with two members": {"bindings_doubled": 1},
    "subscribers not registered": {"registered": 999},
    "packets that came twice": {"packets": Packets(doubled=1)},
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_limit_is_a_limit(what: str) -> None:
    verdict = judge(DRILL, dataclasses.replace(MEASURED, **BROKEN[what]))
    assert [check.what for check in verdict.broken] == [what]


def test_each_line_of_a_verdict_can_break() -> None:
    assert {check.what for check in judge(DRILL, MEASURED).checks} == set(BROKEN)


def test_who_never_came_back_breaks_every_limit() -> None:
    verdict = judge(
        DRILL, dataclasses.replace(MEASURED, subscribers=Outages.of(1000, [1.0] * 9, silent=1))
    )
    assert [check.what for check in verdict.broken] == [
        "subscribers' outage, 50 %",
        "subscribers' outage, longest",
    ]


def test_what_no_file_says_is_not_judged() -> None:
    free = dataclasses.replace(DRILL, expect=Expectation(), budget=Budget(bindings_lost=10**9))
    checks = {check.what for check in judge(free, MEASURED).checks}
    assert not checks & {"detected after", "who decides", "packets that came twice"}


def test_the_time_between_fault_and_recovery_is_told_whole() -> None:
    found = phases(MEASURED)
    assert [one.name for one in found] == ["detect", "decide", "switch", "transfer", "reconverge"]
    assert found[0].begin_s == MEASURED.struck[0].begin_s
    assert found[-1].end_s == 6.0
    assert all(one.end_s == other.begin_s for one, other in itertools.pairwise(found))
    assert detected_s(MEASURED) == 5.31  # not the one before the fault
    assert {one.name: one.ms for one in found}["switch"] == 4.0


def test_another_fault_s_consequences_are_not_the_first_one_s() -> None:
    again = Struck(1, "power member: busiest", ("ha2",), ("ha2",), 5.9)
    later = (
        Happening(6.2, "hacc1", "member down", {"member": "ha2"}),
        Happening(6.3, "ha9", "slots taken over", {"bindings": 400}),
    )
    found = dataclasses.replace(
        MEASURED, struck=(*MEASURED.struck, again), events=(*MEASURED.events, *later)
    )
    assert [one.name for one in phases(found)] == ["detect", "decide", "switch", "transfer"]
    assert phases(found)[-1].end_s == 5.5


def test_a_member_that_is_back_is_another_wave() -> None:
    back = (
        Happening(5.6, "hacc2", "member down", {"member": "ha1"}),  # the standby says it too
        Happening(7.0, "hacc1", "member up", {"member": "ha1"}),
        Happening(7.5, "ha1", "slots taken over", {"bindings": 600}),
    )
    found = dataclasses.replace(MEASURED, events=(*MEASURED.events, *back))
    assert {one.name: one.end_s for one in phases(found)}["transfer"] == 5.5


def test_what_is_over_at_once_is_not_mended_at_once() -> None:
    killed = dataclasses.replace(MEASURED.struck[0], end_s=5.01, lasts=False)
    found = dataclasses.replace(MEASURED, struck=(killed,), events=MEASURED.events[:4])
    assert phases(found) == phases(MEASURED)


def test_what_is_lost_to_the_end_has_not_recovered() -> None:
    lossy = (*MEASURED.course, Bin(18.0, 500, 499))
    lasting = (dataclasses.replace(MEASURED.struck[0], end_s=None),)
    assert recovered_s(dataclasses.replace(MEASURED, struck=lasting, course=lossy)) is None
    assert recovered_s(dataclasses.replace(MEASURED, course=lossy)) == 6.0  # before it was mended


@given(st.lists(st.floats(0.1, 1e6), min_size=1), st.integers(0, 5))
def test_percentiles_are_of_those_that_were_out_and_in_order(ms: list[float], silent: int) -> None:
    found = Outages.of(10_000, ms, silent)
    assert found.struck == len(ms) + silent
    assert found.p50_ms <= found.p95_ms <= found.p99_ms <= found.max_ms == round(max(ms), 1)
    not_beyond = sum(round(each, 1) <= found.p95_ms for each in ms)
    assert not_beyond >= 0.95 * len(ms)
