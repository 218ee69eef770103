"""Supervised clusters under faults; a failure names the seed that repeats it."""

from __future__ import annotations

from tests.simulation.campaign import Failure, campaign
from tests.simulation.faults import play

SCENARIOS = 160  # ten of each kind of fault; `make simulate` plays on


def test_no_law_breaks_whatever_fails() -> None:
    failures = list(campaign(range(SCENARIOS), play))
    assert not failures, "\n\n".join(map(Failure.told, failures[:3]))
