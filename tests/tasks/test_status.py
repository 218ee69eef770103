"""What controllers' answers mean together, and what a person sees of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from tasks.devices.fleet import Failure
from tasks.errors import Exit, HaccError, Problem
from tasks.status import _shown, standing

EVENT = {"id": "1-1", "at": 1.5, "event": "member down", "member": "ha1", "why": "no heartbeat"}


def member(name: str = "ha1", state: str = "up", **more: Any) -> dict[str, Any]:
    figures = {"cpu_percent": 12.0, "memory_free_percent": None, "registrations_per_s": 7.0}
    return {
        "name": name,
        "state": state,
        "why": "heard",
        "bindings": 1234567,
        "pending": 0,
        "load": 0.25,
        "backup": False,
        "transferring": False,
        "figures": figures | {"age_s": 0.4},
        **more,
    }


def answer(
    name: str = "hacc1",
    *members: dict[str, Any],
    leads: bool = True,
    followers: tuple[str, ...] = ("hacc2",),
    trouble: str = "",
) -> str:
    told = {
        "name": name,
        "bindings": 5,
        "pending": 1,
        "capacity": 100,
        "members": [*(members or (member(),))],
        "log": {
            "leads": leads,
            "trouble": trouble,
            "followers": [{"name": each, "behind": 0} for each in followers],
        },
    }
    return f"{json.dumps(told)}\r\n{json.dumps(EVENT)}\r\n"


SECOND = answer("hacc2", leads=False, followers=())


def test_a_cluster_that_is_well() -> None:
    found = standing("west", {"hacc1": answer(), "hacc2": SECOND})
    assert (found.leaders, found.troubles, found.exit) == (["hacc1"], [], Exit.OK)
    assert found.events == [EVENT]


UNREACHED = Failure("hacc2", HaccError(Problem(None, "hacc2", "connection refused")))


@pytest.mark.parametrize(
    ("answers", "trouble", "code"),
    [
        (
            {"hacc1": answer("hacc1", member(state="down", why="no heartbeat")), "hacc2": SECOND},
            "ha1 is down: no heartbeat",
            Exit.CHANGES,
        ),
        ({"hacc1": answer(leads=False)}, "nobody decides", Exit.CHANGES),
        ({"hacc1": answer(), "hacc2": answer("hacc2")}, "hacc1, hacc2 decides", Exit.CHANGES),
        (
            {"hacc1": answer(followers=()), "hacc2": SECOND},
            "hacc2 does not follow hacc1",
            Exit.CHANGES,
        ),
        (
            {"hacc1": answer(trouble="disk full"), "hacc2": SECOND},
            "hacc1: journal: disk full",
            Exit.CHANGES,
        ),
        ({"hacc1": answer(), "hacc2": "not running\n"}, "hacc2: not running", Exit.DEVICE),
        ({"hacc1": answer(), "hacc2": ""}, "hacc2: no answer", Exit.DEVICE),
        ({"hacc1": answer(), "hacc2": UNREACHED}, "hacc2: connection refused", Exit.DEVICE),
    ],
    ids=["down", "none", "two", "alone", "journal", "stopped", "silent", "unreached"],
)
def test_what_is_not_as_it_should_be(
    answers: dict[str, str | Failure], trouble: str, code: Exit
) -> None:
    found = standing("west", answers)
    assert trouble in found.troubles
    assert found.exit == code


def test_controllers_without_a_link_decide_each_for_itself() -> None:
    answers = {"hacc1": answer(followers=()), "hacc2": answer("hacc2", followers=())}
    found = standing("west", answers, linked=False)
    assert (found.leaders, found.exit) == (["hacc1", "hacc2"], Exit.OK)


@pytest.mark.parametrize("state", ["draining", "maintenance", "unknown"])
def test_what_somebody_has_ordered_is_no_trouble(state: str) -> None:
    found = standing("west", {"hacc1": answer("hacc1", member(state=state)), "hacc2": SECOND})
    assert found.exit == Exit.OK


def test_a_person_sees_a_table_and_a_program_the_same() -> None:
    answers = {"hacc1": answer("hacc1", member(state="down", figures=None)), "hacc2": SECOND}
    found = standing("west", answers)
    console = Console(width=120, no_color=True)
    with console.capture() as captured:
        console.print(_shown([found]))
    text = captured.get()
    for word in (
        "hacc1 decides",
        "✕",
        "down",
        "1,234,567",
        "0.250",
        "member down",
        "00:00:01.500Z",
    ):
        assert word in text
    told = found.to_json()
    assert told["troubles"] == ["ha1 is down: heard"]
    assert json.loads(json.dumps(told)) == told
