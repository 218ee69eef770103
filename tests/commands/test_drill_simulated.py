"""`hacc drill run --sim` as a user meets it: no routers, no root, no secrets."""

from __future__ import annotations

import json

import pytest

from tests.commands.program import Desk

DRILL = """\
title: The active controller dies
purpose: Nobody may have to register again.
subscribers: {number: 20, rate_hz: 50}
timeline:
  - {at: 1s, fault: power, controller: active}
settle: 4s
budget: {outage: {p50: LIMIT}}
"""


@pytest.fixture
def linked(desk: Desk) -> Desk:
    """The desk, with an intent whose routers have a link, and a drill."""
    with desk.intent.open("a") as intent:
        intent.write("\nlink: {certificates: pki/west}\n")
    drills(desk, "3s")
    return desk


def drills(desk: Desk, limit: str) -> None:
    folder = desk.inventory / "drills"
    folder.mkdir(exist_ok=True)
    (folder / "death.yaml").write_text(DRILL.replace("LIMIT", limit))


def test_many_runs_are_told_and_the_median_one_is_kept(linked: Desk) -> None:
    told = linked.hacc("drill", "run", "death", "--sim", "--times", "4", "--json").ends(0).value
    assert told["ok"]
    assert told["simulated"]["runs"] == 4
    assert told["simulated"]["broken"] == []
    assert told["bindings"] == {"before": 20, "lost": 0, "doubled": 0}
    again = linked.hacc("drill", "report", "death", "--json").ends(0).value
    assert again["run"].endswith("-simulation")
    assert again["subscribers"] == told["subscribers"]


def test_a_run_beyond_its_budget_is_played_again_by_its_seed(linked: Desk) -> None:
    drills(linked, "50ms")
    shown = linked.hacc("drill", "run", "death", "--sim", "--times", "2", "--seed", "7").ends(4)
    assert "2 of 2 runs broke a limit, --seed: 7, 8" in shown.out
    assert "power controller: active" in shown.out
    again = linked.hacc("drill", "run", "death", "--sim", "--seed", "7", "--json").ends(4).value
    (broken,) = again["simulated"]["broken"]
    assert broken["seed"] == 7
    assert broken["broken"][0].startswith("subscribers' outage, 50 %")
    json.dumps(again)


def test_only_simulations_are_repeated(linked: Desk) -> None:
    refused = linked.hacc("drill", "run", "death", "--times", "9").ends(1)
    assert "--times: only simulations are repeated" in refused.err
    assert "--sim" in refused.err


def test_a_cluster_that_hands_nothing_over_is_refused_with_a_hint(desk: Desk) -> None:
    drills(desk, "3s")
    refused = desk.hacc("drill", "run", "death", "--sim").ends(1)
    assert "cluster west has no `link`: nobody hands bindings over" in refused.err
    assert "link: {certificates: pki/NAME}" in refused.err
