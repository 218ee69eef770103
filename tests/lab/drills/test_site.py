"""What daemons say becomes the values of a drill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hacc_agent.drills.measured import Happening
from lab.drills.site import Site
from lab.lab import Lab
from lab.topology import Topology
from tests.lab.registration import member

CONFIG = member()


class Told(Site):
    """A site whose daemons say what they are told to say."""

    def __init__(self, says: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__(Lab(Topology("none", ())), [CONFIG], began=1000.0)
        self.says = says

    def _ask(self, name: str, command: str, **_arguments: Any) -> Sequence[dict[str, Any]]:
        return [dict(line) for line in self.says.get(f"{name} {command}", [])]


def test_without_an_answer_nobody_decides_and_nothing_is_known() -> None:
    standing = Told({}).standing()
    assert standing.leader is None
    assert {one.state for one in standing.members} == {"unknown"}
    assert standing.bindings == 0
    assert Told({}).bound(None) == frozenset()


def test_who_decides_says_who_serves_how_many() -> None:
    name, controller = CONFIG.members[0].name, CONFIG.controllers[0].name
    seen = {"name": name, "state": "up", "bindings": 7, "pending": 1}
    site = Told({f"{controller} status": [{"log": {"leads": True}, "members": [seen]}]})
    standing = site.standing()
    assert standing.leader == controller
    assert (standing.member(name).bindings, standing.member(name).state) == (7, "up")


def test_what_has_happened_is_told_once_from_the_begin_on() -> None:
    name = CONFIG.name
    before = {"at": 999.9, "event": "member up", "member": "ha1"}
    down = {"at": 1001.5, "event": "member down", "member": "ha1"}
    ours = {"at": 1001.0, "event": "drill", "drill": "x", "phase": "fault", "what": "-"}
    site = Told({f"{name} events": [before, ours, down]})
    site.listen()
    site.says[f"{name} events"] = [down]  # its memory is short
    site.listen()
    assert site.events() == (Happening(1.5, name, "member down", {"member": "ha1"}),)
    site.begin(2000.0)
    assert site.events() == ()


@pytest.mark.parametrize(("others", "doubled"), [([], 0), (["10.0.0.2"], 0), (["10.0.0.1"], 1)])
def test_a_binding_that_two_members_have_is_doubled(others: list[str], doubled: int) -> None:
    first, second = (one.name for one in CONFIG.members[:2])

    def bound(*addresses: str) -> list[dict[str, Any]]:
        return [{"home_address": one, "state": "binding"} for one in addresses]

    site = Told({f"{first} bindings": bound("10.0.0.1"), f"{second} bindings": bound(*others)})
    assert site.doubled() == doubled
