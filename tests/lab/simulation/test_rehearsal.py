"""A drill played in the simulation: what happens, in what order, and how long it takes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from hacc_agent.drills.drill import Budget, Drill, Fault, OutageBudget, Subscribers
from hacc_agent.drills.faults import FaultKind
from hacc_agent.drills.measured import Measured
from hacc_agent.drills.phases import phases
from lab.simulation import latencies
from lab.simulation.rehearsal import PEOPLE, cast, play, rehearse
from tests.lab.simulation.plans import controller, drill, member, west

BEAT_S = 0.1  # heartbeats of the example's intent, three of which may be missing
SEEDS = range(1, 9)


def played(fault: Fault, seed: int = 1, **changes: float | None) -> Measured:
    return play(drill(fault, **changes), west(), seed, [])  # type: ignore[arg-type]  # seconds


def told(found: Measured, *events: str) -> list[tuple[str, str]]:
    return [(one.router, one.event) for one in found.events if one.event in events]


def test_a_member_whose_daemon_dies_is_relieved_at_once() -> None:
    """Its kernel says that the connections have ended: one heartbeat later it is down."""
    for seed in SEEDS:
        found = played(member(FaultKind.KILL), seed)
        (struck,) = found.struck_members
        assert told(found, "slots move", "slots taken over") == [
            ("hacc1", "slots move"),
            ("ha9", "slots taken over"),
        ]
        took = {one.name: one.ms / 1000 for one in phases(found)}
        assert BEAT_S <= took["detect"] <= 2 * BEAT_S + 0.01
        moved = found.before.member(struck).bindings
        assert took["transfer"] <= (moved + 10) * (latencies.BLOCK_S[1] + latencies.LINK_S)
        outage_s = found.subscribers.p50_ms / 1000
        convergence = took["detect"] + took["decide"] + took["switch"] + took["transfer"]
        spacing = 1 / 50
        assert convergence <= outage_s + spacing
        assert outage_s <= convergence + latencies.ROUTE_S[1] + 2 * spacing
        assert found.subscribers.silent == found.bindings_lost == found.bindings_doubled == 0
        assert found.after.member("ha9").bindings == found.before.member(struck).bindings


def test_a_member_without_power_is_missed_after_its_heartbeats() -> None:
    for seed in SEEDS:
        found = played(member(FaultKind.POWER), seed)
        detect = phases(found)[0]
        assert 2 * BEAT_S <= detect.ms / 1000 <= 4 * BEAT_S + 0.01
        reasons = {one.details["why"] for one in found.events if one.event == "member down"}
        assert reasons == {"no heartbeat, and no answer to requests"}


def test_only_who_was_with_the_member_notices() -> None:
    found = played(member(FaultKind.POWER))
    (struck,) = found.struck_members
    assert found.subscribers.struck == found.before.member(struck).bindings


def test_the_standby_takes_the_address_after_the_hold_time() -> None:
    succession = west().succession
    for seed in SEEDS:
        found = played(controller(FaultKind.POWER), seed)
        assert (found.before.leader, found.after.leader) == ("hacc1", "hacc2")
        for outage in found.addresses.values():
            assert succession.hold_s - succession.hello_s <= outage.max_ms / 1000
            assert outage.max_ms / 1000 <= succession.hold_s + 2 / 50
        assert found.bindings_lost == 0


def test_an_address_that_follows_its_agent_moves_when_that_dies() -> None:
    fault = drill(controller(FaultKind.KILL))
    vrrp, hsrp = (play(fault, west(hsrp=hsrp), 1, []) for hsrp in (False, True))
    assert vrrp.after.leader == "hacc1"  # back after RestartSec, with the address all the time
    assert vrrp.subscribers.p50_ms > 1000 * latencies.RESTART_S
    assert hsrp.after.leader == "hacc2"
    assert hsrp.subscribers.p50_ms < 100


def test_who_is_drained_loses_packets_for_no_longer_than_routes_take() -> None:
    found = played(member(FaultKind.DRAIN))
    (struck,) = found.struck_members
    assert found.after.member(struck).state == "maintenance"
    assert found.after.member(struck).bindings == 0
    assert found.subscribers.max_ms / 1000 <= latencies.ROUTE_S[1] + 0.01 + 2 / 50


def test_a_cut_member_comes_back_with_nothing() -> None:
    found = played(member(FaultKind.LINK), for_s=3.0, settle_s=8.0)
    (struck,) = found.struck_members
    assert found.struck[0].end_s == 5.0
    assert found.after.member(struck).state == "up"
    assert found.after.member(struck).bindings == 0
    assert found.bindings_doubled == 0


def test_a_seed_is_a_run_that_can_be_played_again() -> None:
    first, again, other = (played(member(FaultKind.POWER), seed) for seed in (7, 7, 8))
    assert first == again
    assert first.events != other.events


def test_what_a_run_measures_is_json() -> None:
    json.dumps(dataclasses.asdict(played(member(FaultKind.POWER))))


def test_a_run_beyond_its_budget_is_told_with_its_seed_and_its_story() -> None:
    strict = dataclasses.replace(
        drill(member(FaultKind.KILL)), budget=Budget(OutageBudget(p50=100))
    )
    runs = [*rehearse(strict, west(), range(3, 6), processes=1)]
    assert [run.seed for run in runs] == [3, 4, 5]
    for run in runs:
        assert not run.ok
        assert run.broken[0].startswith("subscribers' outage, 50 %")
        assert any("kill member: busiest" in line for line in run.story)


@pytest.mark.parametrize(("asked", "cast_are"), [(1000, PEOPLE), (5, 5)])
def test_as_many_subscribers_as_show_what_it_does(asked: int, cast_are: int) -> None:
    wanted: Drill = dataclasses.replace(
        drill(member(FaultKind.KILL)), subscribers=Subscribers(asked, 4.0)
    )
    assert cast(wanted).subscribers.number == cast_are
