"""Scenarios of a cluster under trouble; a failure names the seed that repeats it."""

from __future__ import annotations

from tests.simulation.campaign import Failure, campaign

SCENARIOS = 10_000


def test_no_law_breaks_in_any_scenario() -> None:
    failures = list(campaign(range(SCENARIOS)))
    assert not failures, "\n\n".join(map(Failure.told, failures[:3]))
