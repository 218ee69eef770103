"""The timeline of a drill is done in its order, to those whom it means, and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hacc_agent.drills.drill import Drill, Step, Target
from hacc_agent.drills.faults import FAULTS, FaultKind, Role, Stage
from hacc_agent.drills.targets import NobodyThere
from lab.drills.breaking import Struck, faults_of
from lab.errors import RouterFailed
from lab.faults import Fault
from lab.faults import FaultKind as Kind
from tests.lab.drills.books import ACTIVE, BUSIEST, DRILL, OWNER, STANDING, stage_of, step
from tests.lab.labs import until


class Diary:
    """A lab that writes down what is done to it."""

    def __init__(self, refuses: Kind | None = None) -> None:
        self.lines: list[str] = []
        self.broken: list[Fault] = []
        self._refuses = refuses

    def break_(self, fault: Fault) -> Fault:
        if fault.kind is self._refuses:
            raise RouterFailed("it cannot be broken")
        fault = replace(fault, number=len(self.lines) + 1)
        self.broken.append(fault)
        self.lines.append(f"break {fault}")
        return fault

    def mend(
        self, numbers: Sequence[int] | None = None, *, owner: str | None = None
    ) -> tuple[Fault, ...]:
        assert owner is None
        mended = tuple(one for one in self.broken if one.number in (numbers or ()))
        self.lines += [f"mend {one}" for one in mended]
        return mended

    def restart(self, name: str, unit: str) -> None:
        self.lines.append(f"restart {name} {unit}")

    def running(self, name: str, units: Sequence[str]) -> str:
        assert name in STANDING.controllers
        return units[-1]


def played(drill: Drill, lab: Diary, told: list[tuple[str, str]] | None = None) -> Diary:
    stage = stage_of(lab, drill, told)
    stage.start()
    until(lambda: stage.played, 60)
    stage.stop()
    if stage.trouble is not None:
        raise stage.trouble
    return lab


def timeline(*steps: Step) -> Drill:
    return replace(DRILL, timeline=steps)


def test_faults_come_and_go_in_their_order() -> None:
    drill = timeline(
        step(1, FaultKind.LINK, BUSIEST, for_s=4),
        step(2, FaultKind.POWER, ACTIVE, for_s=1),
        step(9, FaultKind.SNMP, Target(Role.MEMBER, "struck")),
    )
    assert played(drill, Diary()).lines == [
        "break link ha2",
        "break power hacc1",
        "mend power hacc1",
        "mend link ha2",
        "break stop ha2 snmpd",
    ]


def test_a_flap_is_out_for_half_of_each_period() -> None:
    drill = timeline(step(1, FaultKind.FLAP, BUSIEST, for_s=6, every_s=2.0))
    assert played(drill, Diary()).lines == ["break link ha2", "mend link ha2"] * 3


def test_an_upgrade_takes_one_agent_after_the_other_and_no_stock_router() -> None:
    everybody = Target(Role.ROUTER, "all")
    drill = timeline(step(1, FaultKind.UPGRADE, everybody, every_s=3.0))
    lines = played(drill, Diary()).lines
    assert lines == [f"restart {name} hacc-agent" for name in ("hacc1", "hacc2", "ha1", "ha2")]


def test_what_is_done_is_told_with_its_moments() -> None:
    told: list[tuple[str, str]] = []
    drill = timeline(step(1, FaultKind.LINK, BUSIEST, for_s=4))
    stage = stage_of(Diary(), drill, told)
    stage.start()
    until(lambda: stage.played, 60)
    stage.stop()
    (struck,) = stage.struck
    assert (struck.routers, struck.members, struck.step) == (("ha2",), ("ha2",), 0)
    assert struck.begin_s >= 1
    assert struck.end_s is not None
    assert struck.end_s >= 5
    assert told == [
        ("fault", "link member: busiest: ha2"),
        ("mended", "mended: link member: busiest"),
    ]


def test_every_fault_has_its_owner() -> None:
    lab = played(DRILL, Diary())
    assert {fault.owner for fault in lab.broken} == {OWNER}


def test_trouble_ends_it_and_nothing_more_is_broken() -> None:
    lab = Diary(refuses=Kind.LINK)
    drill = timeline(step(1, FaultKind.LINK, BUSIEST), step(2, FaultKind.POWER, ACTIVE))
    with pytest.raises(RouterFailed, match="it cannot be broken"):
        played(drill, lab)
    assert lab.lines == []


def test_nobody_is_trouble_too() -> None:
    with pytest.raises(NobodyThere):
        played(timeline(step(1, FaultKind.POWER, Target(Role.MEMBER, "struck"))), Diary())


LASTING = [kind for kind, nature in FAULTS.items() if nature.lasts and Stage.LIVE in nature.stages]


@pytest.mark.parametrize("kind", LASTING)
def test_each_lasting_fault_is_something_that_the_lab_can_break(kind: FaultKind) -> None:
    struck = Struck(("ha2",), ("ha2",), ("hacc1", "ha2"), STANDING)
    wanted = replace(DRILL.timeline[0].fault, kind=kind, percent=2.5, direction="in")
    found = list(faults_of(wanted, struck, lambda _name, units: units[0]))
    assert found
    for fault in found:
        assert "ha2" in (*fault.routers, fault.member)
        assert not set(fault.routers) & set(fault.others)
    if kind is FaultKind.LOSS:
        assert found[0].permille == 25
