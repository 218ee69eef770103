"""A change by canary, with a pause, a window, and a run that somebody forgot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.commands.fleet import LabDesk

pytestmark = pytest.mark.lab

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALLOW = ("--allow", "re-election")


def changed(fleet: LabDesk, before: dict[str, str]) -> set[str]:
    return {host for host, state in fleet.states().items() if state != before[host]}


def test_a_canary_pauses_and_nothing_else_begins_until_it_goes_on(fleet: LabDesk) -> None:
    old = fleet.states()
    fleet.edit("lifetime: 1800", "lifetime: 900")
    fleet.edit("hello_ms: 500\n      hold_ms: 1600", "hello_ms: 600\n      hold_ms: 2000")
    planned = fleet.hacc("plan", "--canary", "ha1", "--batch", "2", "--summary", "-o", "c.json")
    told = planned.ends(0).out
    for line in ("canary: 1 routers", "batch 1 of 2: 2 routers", "batch 2 of 2: 2 routers"):
        assert line in told

    # What it means to the pair is asked for when its turn comes, not for a canary without it.
    paused = fleet.hacc("apply", "c.json", "--pause-after", "canary", "--yes", "--json").ends(2)
    run = paused.value["run"]
    assert paused.value["paused"].startswith("canary is done")
    assert {h["host"]: h["state"] for h in paused.value["hosts"] if h["state"] != "not-begun"} == {
        "ha1": "changed"
    }
    assert changed(fleet, old) == {"ha1"}

    listed = fleet.hacc("runs", "--unfinished").ends(2).out
    assert f"hacc apply --resume {run}" in listed
    for words in (("apply", "--yes"), ("rollback", "--yes")):
        refused = fleet.hacc(*words).ends(6).err
        assert f"{run}: this run is paused: canary is done" in refused
        assert f"hacc apply --resume {run}" in refused
    fleet.hacc("apply", "--resume", run, "--yes").ends(1)  # the pair's impact is not allowed yet
    assert changed(fleet, old) == {"ha1"}

    fleet.hacc("apply", "--resume", "last", "--yes", *ALLOW).ends(0)
    assert changed(fleet, old) == set(old)
    assert fleet.hacc("plan", "--exit-code").ends(0).out.startswith("Nothing to do")
    fleet.hacc("runs", "--unfinished").ends(0)
    assert (
        fleet.hacc("apply", "--resume", run, "--yes")
        .ends(1)
        .err.startswith(f"{fleet.work}/runs/{run}: {run}: this run has ended")
    )
    fleet.hacc("rollback", "--yes").ends(0)
    assert fleet.states() == old


def test_a_paused_run_is_taken_back_although_the_intent_has_changed(fleet: LabDesk) -> None:
    old = fleet.states()
    fleet.edit("lifetime: 1800", "lifetime: 900")
    fleet.hacc("apply", "--canary", "ha1", "--pause-after", "canary", "--yes").ends(2)
    fleet.edit("lifetime: 900", "lifetime: 600")
    refused = fleet.hacc("apply", "--resume", "last", "--yes", *ALLOW).ends(6).err
    assert "the intent or the templates have changed since this plan was made" in refused
    assert "--return takes it back" in refused
    back = fleet.hacc("apply", "--resume", "last", "--return", "--yes", "--json").ends(0)
    assert {h["host"]: h["state"] for h in back.value["hosts"]}["ha1"] == "returned"
    assert fleet.states() == old


def test_outside_of_the_maintenance_window_there_must_be_a_reason(fleet: LabDesk) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    window = f"{DAYS[soon.weekday()]} 02:00-05:00 UTC"
    fleet.edit("lifetime: 1800", "lifetime: 900")
    fleet.edit("binding_sync_s: 1\n", f'binding_sync_s: 1\nwindows: ["{window}"]\n')
    before = fleet.states()
    refused = fleet.hacc("apply", "--yes", *ALLOW).ends(1).err
    assert f"the next window that is long enough begins {soon:%a %Y-%m-%d} 02:00 UTC" in refused
    assert fleet.states() == before
    applied = fleet.hacc(
        "apply", "--canary", "ha1", "--pause-after", "canary", "--yes", "--now", "ticket 4711"
    ).ends(2)
    assert "is paused: canary is done" in applied.out
    assert (
        '"why_now": "ticket 4711"' in (fleet.work / "runs" / fleet.last() / "run.json").read_text()
    )
    fleet.hacc("apply", "--resume", "last", "--yes", *ALLOW).ends(1)  # a reason holds for its time
    fleet.hacc("apply", "--resume", "last", "--return", "--yes").ends(0)  # back is always in time
    assert fleet.states() == before
