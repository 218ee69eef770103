"""What a controller answers to those who watch it: page by page, and every event once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from hacc_agent.control import Refused, ask
from hacc_agent.engine.effects import Moment
from hacc_agent.events import KEPT, Events
from hacc_agent.logs import Logs
from tests.loopback import Loopback, cluster, status

NODES = 7
NAMES = [f"node{number}@example.net" for number in range(NODES)]


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """A controller, a member, and mobile nodes that are bound there."""
    with cluster(tmp_path_factory.mktemp("west"), "ha1", "hacc1", complete=True) as made:
        for name in NAMES:
            with closing(made.mobile_node(name)) as node:
                assert node.register().code == 0
        yield made


def answers(west: Loopback, command: str, **arguments: Any) -> list[dict[str, Any]]:
    return list(ask(Path(west["hacc1"].config.runtime_directory), command, **arguments))


def pages(west: Loopback, **arguments: Any) -> list[list[str]]:
    """The names of each page, from the first to the last."""
    found, after = [], None
    while True:
        *lines, last = answers(west, "bindings", after=after, **arguments)
        told = lines if "more" in last else [*lines, last]
        found.append([each["nai"] for each in told])
        if "more" not in last:
            return found
        after = last["after"]


@pytest.mark.parametrize("limit", [1, 3, NODES - 1, NODES, NODES + 1])
def test_pages_of_any_size_hold_every_binding_once(west: Loopback, limit: int) -> None:
    found = pages(west, limit=limit)
    assert sorted(name for page in found for name in page) == NAMES
    assert all(len(page) == limit for page in found[:-1])


def test_one_who_is_named_is_found_without_going_through_the_table(west: Loopback) -> None:
    (bound,) = answers(west, "bindings", mobile=NAMES[3])
    assert answers(west, "bindings", mobile=bound["home_address"]) == [bound | {"left_s": ANY}]
    assert answers(west, "bindings", mobile="nobody@example.net") == []
    assert answers(west, "bindings", mobile="198.51.100.1") == []


@pytest.mark.parametrize("after", ["x", "0.", "2.1", "0.-1", "0.99999999999", 5])
def test_a_place_that_no_answer_has_told_is_refused(west: Loopback, after: object) -> None:
    with pytest.raises(Refused, match="after"):
        answers(west, "bindings", after=after)


def test_a_place_behind_the_table_has_nobody_behind_it(west: Loopback) -> None:
    assert answers(west, "bindings", after="0.9999999999") == []


def test_slots_are_told_in_runs_that_hold_all_of_them(west: Loopback) -> None:
    head, *runs = answers(west, "slots")
    told = [number for run in runs for number in range(run["first"], run["last"] + 1)]
    assert told == list(range(head["slots"]))
    assert sum(run["bindings"] for run in runs) == NODES
    served: dict[str, int] = {}
    for run in runs:
        served[run["member"]] = served.get(run["member"], 0) + run["last"] - run["first"] + 1
    members = status(west["hacc1"])["members"]
    assert served == {each["name"]: each["slots"] for each in members if each["slots"]}
    with pytest.raises(Refused, match="ask a controller"):
        list(ask(Path(west["ha1"].config.runtime_directory), "slots"))


def test_a_member_is_told_with_its_load(west: Loopback) -> None:
    """The one that `why` compares members by."""
    why = {each["candidate"]: each for each in answers(west, "why", mobile="new@example.net")[1:]}
    for each in status(west["hacc1"])["members"]:
        told = why[each["name"]]
        assert (each["load"], each["closed"]) == (told["load"], told["not"])


def test_a_drill_is_announced_to_who_watches(west: Loopback) -> None:
    answers(west, "announce", drill="member-kill", phase="begins", what="ha1 dies")
    last = answers(west, "events", limit=1)[0]
    told = {"event": "drill", "drill": "member-kill", "phase": "begins", "what": "ha1 dies"}
    assert {name: last[name] for name in told} == told
    assert answers(west, "events", after=last["id"]) == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"drill": "x", "phase": "explodes"},
        {"drill": "x" * 201, "phase": "begins"},
        {"drill": "x", "phase": "begins", "what": "\x1b[2J"},
    ],
    ids=["nameless", "unknown-phase", "endless", "not-printable"],
)
def test_an_announcement_that_is_none_is_refused(west: Loopback, fields: dict[str, str]) -> None:
    with pytest.raises(Refused):
        answers(west, "announce", **fields)


class _Silent(Logs):
    def __init__(self) -> None:
        super().__init__(1, lambda: 0.0, people=False)

    def info(self, event: str, **fields: Any) -> None:
        pass


def test_who_asks_again_gets_every_event_once() -> None:
    events = Events(_Silent(), lambda: Moment(0.0, 12.5))
    assert list(events.latest(9)) == []
    for number in range(3):
        events.note("it happened", number=number)
    first = list(events.latest(2))
    assert [each["number"] for each in first] == [1, 2]
    assert list(events.latest(9, first[-1]["id"])) == []
    assert [each["number"] for each in events.latest(9, first[0]["id"])] == [2]


def test_after_a_restart_and_after_a_flood_all_that_there_is_comes() -> None:
    events = Events(_Silent(), lambda: Moment(0.0, 12.5))
    for number in range(KEPT + 10):
        events.note("it happened", number=number)
    known = "12500-3"  # has been forgotten since
    assert [each["number"] for each in events.latest(KEPT, known)] == [*range(10, KEPT + 10)]
    for other in ("99-3", "12500-", "nonsense", "12500-99999999"):
        found = len(list(events.latest(KEPT, other)))
        assert found == (0 if other == "12500-99999999" else KEPT)
