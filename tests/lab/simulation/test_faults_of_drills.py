"""Each kind of fault that a drill may have is played, and nothing of it is left."""

from __future__ import annotations

import dataclasses

import pytest

from hacc_agent.drills.drill import Fault, Target
from hacc_agent.drills.faults import FAULTS, FaultKind, Parameter, Role, Stage
from lab.simulation.breaking import STRIKES, Meant, NotSimulated, strike
from lab.simulation.rehearsal import play
from lab.simulation.site import Site
from tests.lab.simulation.plans import drill, member, west

VALUES: dict[Parameter, dict[str, object]] = {
    Parameter.DAEMON: {"daemon": "hacc-agent"},
    Parameter.DIRECTION: {"direction": "out"},
    Parameter.FROM: {"others": (Target(Role.CONTROLLER, "all"),)},
    Parameter.PERCENT: {"percent": 5.0},
    Parameter.EVERY: {"every_s": 1.0},
    Parameter.AHEAD: {"ahead_s": 3600.0},
}


def fault(kind: FaultKind, role: Role, which: str) -> Fault:
    found = Fault(kind, (Target(role, which),))
    for parameter in FAULTS[kind].parameters:
        found = dataclasses.replace(found, **VALUES[parameter])  # type: ignore[arg-type]  # by name
    return found


CASES = [
    fault(kind, role, "active" if role is Role.CONTROLLER else "busiest")
    for kind in FaultKind
    for role in (Role.MEMBER, Role.CONTROLLER)
    if role in FAULTS[kind].strikes
]


def test_the_table_has_a_row_for_each_kind() -> None:
    assert set(STRIKES) == {kind for kind in FaultKind if Stage.SIMULATION in FAULTS[kind].stages}


@pytest.mark.parametrize("broken", CASES, ids=lambda one: f"{one.kind} {one.targets[0].role}")
def test_everybody_has_packets_again_when_it_is_mended(broken: Fault) -> None:
    lasts = FAULTS[broken.kind].lasts
    found = play(drill(broken, 6.0 if lasts else None, settle_s=12.0), west(), 3, [])
    assert found.subscribers.silent == 0
    assert found.bindings_lost == found.bindings_doubled == 0
    assert found.registered == found.subscribers.watched
    last = [one for one in found.course if one.at_s > found.seconds - 2]
    assert all(one.answered == one.sent for one in last)


@pytest.mark.parametrize("broken", CASES, ids=lambda one: f"{one.kind} {one.targets[0].role}")
def test_mending_leaves_nothing_of_it(broken: Fault) -> None:
    site = Site(5, west(), 1)
    site.run(1.0)
    routers = (site.members[0] if broken.targets[0].role is Role.MEMBER else site.controllers[0],)
    others = tuple(each.name for each in site.controllers if each not in routers)
    meant = Meant(routers, tuple(each for each in routers if each in site.members), others)
    mend = strike(site, broken, meant)
    site.later(3.0, mend)
    site.run(30.0)
    left = (site.cut, site.deaf, site.off, site.frozen, site.unread, site.load, site.resigned)
    assert not any(left)
    assert not any(site.lossy.values())
    assert not any(site.offset.values())
    assert all(router.memory is not None for router in (*site.controllers, *site.members))


def test_a_daemon_without_an_engine_is_refused_with_a_way_out() -> None:
    killed = dataclasses.replace(member(FaultKind.KILL), daemon="ospfd")
    with pytest.raises(NotSimulated, match="ospfd cannot be killed") as caught:
        play(drill(killed), west(), 1, [])
    assert "virtual routers" in caught.value.hint


@pytest.mark.parametrize(("half", "notice"), [("ios1", True), ("ios2", False)])
def test_a_pair_of_stock_routers_lives_on_one_of_them(half: str, notice: bool) -> None:
    """Its own hold time passes, if it was the active one; no controller has anything to do."""
    fault = Fault(FaultKind.POWER, (Target(Role.ROUTER, half),))
    found = play(drill(fault), west(), 1, [])
    assert found.struck[0].routers == (half,)
    assert found.subscribers.struck == (found.before.member("west-ios").bindings if notice else 0)
    hello_s, hold_s = west().pair
    if notice:
        assert hold_s - hello_s <= found.subscribers.max_ms / 1000 <= hold_s + 2 / 50
    assert not [one for one in found.events if one.event == "slots move"]
    assert found.after.members == found.before.members


def test_who_loses_every_frame_is_as_good_as_cut_off() -> None:
    lossy = dataclasses.replace(member(FaultKind.LOSS), percent=100.0)
    lost, cut = (
        play(drill(fault, 3.0), west(), 1, []) for fault in (lossy, member(FaultKind.LINK))
    )
    assert lost.subscribers.struck == cut.subscribers.struck > 0
    assert lost.after.members == cut.after.members
