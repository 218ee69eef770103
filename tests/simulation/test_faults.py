"""Supervised clusters under faults; a failure names the seed that repeats it."""

from __future__ import annotations

from tests.simulation.campaign import Failure, campaign
from tests.simulation.faults import play

OTHERS = (
    1374,  # repeated: what a mobile node is bound by, while it waits for an answer elsewhere
    1679,  # what it said before it left, when the member that it left is no more
)
SCENARIOS = 160  # ten of each kind of fault; `make simulate` plays on


def test_no_law_breaks_whatever_fails() -> None:
    failures = list(campaign((*range(SCENARIOS), *OTHERS), play))
    assert not failures, "\n\n".join(map(Failure.told, failures[:3]))
