"""A run that nobody had to wait for."""

from __future__ import annotations

import dataclasses
from typing import Any

from hacc_agent.drills.drill import (
    Budget,
    Drill,
    Expectation,
    Fault,
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
from tasks.drills.keeping import Run

DRILL = Drill(
    "member-kill",
    "A <member> dies",
    "Nobody loses a binding",
    Subscribers(100, 4.0),
    (Step(5.0, Fault(FaultKind.POWER, (Target(Role.MEMBER, "busiest"),))),),
    settle_s=3.0,
    expect=Expectation(detected_within_s=1.0),
    budget=Budget(OutageBudget(p50=1000)),
)
MEMBERS = (Member("ha1", ("ha1",), True, False, "up", 100, 0),)
MEASURED = Measured(
    "member-kill",
    Stage.LIVE,
    began=1_795_473_063.0,
    seconds=8.0,
    before=Standing(("hacc1", "hacc2"), "hacc1", MEMBERS),
    after=Standing(("hacc1", "hacc2"), "hacc1", MEMBERS),
    struck=(Struck(0, "power member: busiest", ("ha1",), ("ha1",), 5.0),),
    events=(Happening(5.4, "hacc1", "member down", {"member": "ha1", "why": "<silence>"}),),
    subscribers=Outages.of(100, [400.0] * 40),
    registered=100,
    packets=Packets(3200, 3100, 90, 10, 0, 1),
    course=tuple(Bin(n / 2, 200, 150 if n in (10, 11) else 200) for n in range(16)),
    addresses={"group 198.18.1.254": Outages(1, 0, 0)},
    bindings_before=100,
)


def run(**changes: Any) -> Run:
    return Run(DRILL, dataclasses.replace(MEASURED, **changes))


BROKEN: dict[str, Any] = {"subscribers": Outages.of(100, [1400.0] * 40)}
