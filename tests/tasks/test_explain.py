"""Why a line stands where it stands: by number, by file and number, by a part of its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.explain import NothingToExplain, explain
from tasks.pipeline import prepare
from tasks.render import render
from tests.clusters import controller, ios, service

ROOT = Path(__file__).resolve().parents[2]


def test_a_number_counts_in_the_first_file() -> None:
    rendered = render(ios())
    for number in (1, len(rendered.files[0].lines)):
        (origin,) = explain(rendered, str(number))
        assert origin.line is rendered.files[0].lines[number - 1]
        assert origin.number == number


def test_a_path_and_a_number_mean_that_file() -> None:
    (origin,) = explain(render(controller()), "frr.conf:2")
    assert origin.file == "/etc/frr/frr.conf"
    assert origin.line.text == " ip address 198.18.1.11/24"
    assert origin.template.file == "templates/linux/frr.conf.j2"
    assert origin.intent == (controller().ports[0].place,)


def test_a_fragment_finds_every_line_that_contains_it() -> None:
    found = explain(render(ios()), "IP  mobile secure")
    assert len(found) == 4
    security = service(ios()).realms[0].security
    assert security is not None
    assert found[0].intent[0] == security.place


def test_a_fragment_that_looks_like_a_path_is_a_fragment() -> None:
    (origin,) = explain(render(controller()), "agentaddress udp:161")
    assert origin.file == "/etc/snmp/snmpd.conf"


def test_it_reads_as_a_sentence() -> None:
    (origin,) = explain(render(ios()), "standby 20 name")
    assert str(origin).splitlines() == [
        f"ios1 running-config:{origin.number}: standby 20 name west-ios-core",
        f"  made by {origin.template}",
        f"  because of {origin.intent[0]}",
    ]


@pytest.mark.parametrize(
    ("host", "line", "written"),
    [
        ("ios1", "ip mobile home-agent lifetime", ["lifetime: 1800", "replay:"]),
        ("ios1", "standby 20 timers", ["hello_ms:", "hold_ms:", "{lan: core, group: 20"]),
        ("ios1", "standby 20 priority", ["hosts: [ios1, ios2]", "{lan: core, group: 20"]),
        ("ios1", "standby 20 preempt", ["preempt_delay_s:", "{lan: core, group: 20"]),
        ("ios1", "router-id", ["router_id: 198.19.255.31", "{process: 1"]),
        ("hacc1", "keepalived.conf:14", ["members: [hacc1, hacc2]"]),
    ],
)
def test_a_value_comes_from_its_own_line(host: str, line: str, written: list[str]) -> None:
    """And not only from the beginning of what it is a part of."""
    rendered = prepare(ROOT / "inventory").rendered[host]
    (origin,) = explain(rendered, line)
    lines = [Path(place.file).read_text().splitlines()[place.line - 1] for place in origin.intent]
    assert all(each in found for each, found in zip(written, lines, strict=True)), lines


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("router eigrp", "no rendered line contains 'router eigrp'"),
        ("0", "running-config has no line 0"),
        ("4711", "running-config has no line 4711"),
        ("", "no rendered line contains ''"),
    ],
)
def test_what_is_not_there_is_told(line: str, message: str) -> None:
    with pytest.raises(NothingToExplain) as caught:
        explain(render(ios()), line)
    (problem,) = caught.value.problems
    assert problem.message == message
    assert problem.allowed
