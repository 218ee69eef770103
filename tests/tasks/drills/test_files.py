"""Files of drills: every error at once, with its place; the ready ones load."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.drills.drill import Target
from hacc_agent.drills.faults import FAULTS, FaultKind, Parameter, Role
from tasks.drills.files import json_schema, load, names, parse
from tasks.errors import HaccError
from tasks.init import SKELETON
from tasks.intent import Site, load_site
from tests.conftest import ROOT

INVENTORIES = (ROOT / "inventory", SKELETON / "inventory")
SCHEMA = jsonschema.Draft202012Validator(json.loads(json_schema()))


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(ROOT / "inventory")


def told(text: str, site: Site | None = None) -> list[str]:
    with pytest.raises(HaccError) as caught:
        parse(text, "d.yaml", "d", site)
    return [str(problem) for problem in caught.value.problems]


RIGHT = """\
title: One
purpose: Two
subscribers: {number: 10, rate_hz: 5}
timeline:
  - {at: 1s, fault: power, member: busiest}
"""


@pytest.mark.parametrize("root", INVENTORIES, ids=["example", "skeleton"])
def test_the_ready_drills_are_right(root: Path) -> None:
    site = load_site(root)
    for name in names(root):
        assert load(root, name, site).name == name
        SCHEMA.validate(yaml.safe_load((root / "drills" / f"{name}.yaml").read_text()))


def test_who_begins_gets_the_example_s_drills() -> None:
    example, skeleton = (
        {name: (root / "drills" / f"{name}.yaml").read_text() for name in names(root)}
        for root in INVENTORIES
    )
    assert example
    assert "stock" in example.pop("mixed")  # and the skeleton's cluster has no IOS routers
    schema = "../../docs/drill.schema.json", "../drill.schema.json"
    assert {name: text.replace(*schema) for name, text in example.items()} == skeleton


def test_the_exported_schema_is_the_one_in_docs() -> None:
    assert (ROOT / "docs/drill.schema.json").read_text() == json_schema(), (
        "run: hacc drill show --schema > docs/drill.schema.json"
    )


def test_every_error_is_told_at_once_where_it_stands() -> None:
    assert told(
        """\
title: x
purpos: x
subscribers: {number: 0, rate_hz: 5}
timeline:
  - {at: 3, fault: pover, member: busiest}
  - {at: 3s, fault: loss, direction: in, controller: active, for: 5s}
settle: 5s
expect: {leader: nobody}
budget: {outage: {p51: 5ms, max: -5s}}
"""
    ) == [
        "d.yaml:1: purpose: missing",
        "d.yaml:2: purpos: unknown key [hint: did you mean purpose?]",
        "d.yaml:3: subscribers.number: found 0 (allowed: a whole number, 1-100000)",
        "d.yaml:5: timeline[0].at: found 3 (allowed: a duration: 500ms, 5s, 2m) [hint: write 3s]",
        f"d.yaml:5: timeline[0].fault: found 'pover' (allowed: {' or '.join(FaultKind)})",
        "d.yaml:6: timeline[1]: loss needs `percent`; loss takes no `direction`",
        "d.yaml:8: expect.leader: found 'nobody' (allowed: same or other or any)",
        "d.yaml:9: budget.outage.max: found '-5s' (allowed: a duration: 500ms, 5s, 2m)",
        "d.yaml:9: budget.outage.p51: unknown key [hint: did you mean p95?]",
    ]


def step(text: str) -> str:
    return RIGHT.replace("{at: 1s, fault: power, member: busiest}", text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{at: 1s, fault: power}", "power strikes nobody: it needs `member` or `controller`"),
        ("{at: 1s, fault: snmp, controller: active}", "snmp strikes `member`, no `controller`"),
        ("{at: 1s, fault: kill, member: all, for: 2s}", "kill is over at once"),
        ("{at: 1s, fault: flap, member: all, every: 0s}", "`every` is longer than nothing"),
        ("{at: 1s, fault: partition, member: all, from: {}}", "`from` names nobody"),
        ("{at: 99m, fault: power, member: all}", "at most 60m"),
        ("{at: 1s, fault: oneway, member: all, direction: up}", "allowed: in or out"),
    ],
)
def test_what_a_step_cannot_mean_is_refused(text: str, problem: str) -> None:
    assert problem in "\n".join(told(step(text)))


def test_a_name_that_nobody_has_is_a_problem_with_a_suggestion(site: Site) -> None:
    assert told(step("{at: 1s, fault: power, member: ha11}"), site) == [
        "d.yaml:5: timeline[0].member: 'ha11' is no router of the cluster (allowed: busiest, "
        "idlest, stock, struck, all, or a name) [hint: did you mean ha1?]"
    ]
    problems = told(RIGHT + "cluster: wset\n", site)
    assert problems == ["d.yaml:6: cluster: no cluster 'wset' [hint: did you mean west?]"]


def test_a_drill_that_is_not_there_is_one_that_was_meant() -> None:
    with pytest.raises(HaccError) as caught:
        load(ROOT / "inventory", "member-kil")
    assert "did you mean member-kill?" in str(caught.value)


def test_steps_come_in_the_order_of_their_moments() -> None:
    later = "  - {at: 500ms, fault: power, router: [ha1, ha2], for: 1m}\n"
    first, second = parse(RIGHT + later, "d.yaml", "d").timeline
    assert (first.at_s, first.end_s, second.at_s, second.end_s) == (0.5, 60.5, 1.0, None)
    assert first.fault.targets == (Target(Role.ROUTER, "ha1"), Target(Role.ROUTER, "ha2"))


VALUES = {
    Parameter.DAEMON: "snmpd",
    Parameter.DIRECTION: "in",
    Parameter.FROM: {"controller": "all"},
    Parameter.PERCENT: 10,
    Parameter.EVERY: "2s",
    Parameter.AHEAD: "-90s",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_told_as_the_table_says(kind: FaultKind) -> None:
    nature = FAULTS[kind]
    wanted: dict[str, object] = {"at": "1s", "fault": kind.value, nature.strikes[0].value: "all"}
    wanted |= {one.value: VALUES[one] for one in nature.parameters}
    text = RIGHT.replace("{at: 1s, fault: power, member: busiest}", json.dumps(wanted))
    found = parse(text, "d.yaml", "d").timeline[0].fault
    assert found.kind is kind
    for one in nature.needs:
        without = {key: value for key, value in wanted.items() if key != one}
        text = RIGHT.replace("{at: 1s, fault: power, member: busiest}", json.dumps(without))
        assert f"{kind} needs `{one}`" in "\n".join(told(text))


@given(st.integers(0, len(RIGHT)), st.text(max_size=4))
def test_whatever_becomes_of_a_file_it_is_a_problem_and_no_accident(at: int, text: str) -> None:
    with suppress(HaccError):
        parse(RIGHT[:at] + text + RIGHT[at + len(text) :], "d.yaml", "d")
