"""`hacc drill run` as a user meets it, on running routers. Nothing depends on how fast they are.

What subscribers notice of a failure is in no budget here: `make demo`, the guide and
`make bench-drills` hold the ready drills to theirs. SNMP that falls silent costs nobody a packet.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.commands.fleet import LabDesk

pytestmark = pytest.mark.lab

DRILL = """\
title: SNMP falls silent
purpose: Nobody who registers asks it.
subscribers: {number: 20, rate_hz: 5}
timeline:
  - {at: 500ms, fault: snmp, member: busiest, for: 1s}
  - {at: 1s, fault: oneway, router: hacc2, direction: out, for: 500ms}
settle: 1s
expect: {leader: same, struck_serve: true}
"""


def broken(fleet: LabDesk) -> list[str]:
    told = fleet.lab_command("status", "--json")
    return [one["kind"] for one in json.loads(told.out)["faults"]]


def test_a_drill_is_played_told_and_leaves_nothing_behind(fleet: LabDesk) -> None:
    folder = fleet.inventory / "drills"
    folder.mkdir()
    (folder / "silence.yaml").write_text(DRILL)
    words = ("--name", fleet.lab.topology.name, "-o", "silence.xml", "--json")
    told = fleet.hacc("drill", "run", "silence", *words).value
    assert (told["registered"], told["restored"], told["interrupted"]) == (20, True, False)
    assert told["bindings"].pop("before") >= 20  # and whoever was bound before them
    assert told["bindings"] == {"lost": 0, "doubled": 0}
    assert told["packets"]["sent"] > 100
    assert set(told["addresses"]) == {"Home Agent 198.19.0.1", "group 198.18.1.254"}
    assert set(told["broken"]) <= {"who decides"}  # on a machine that stood still meanwhile
    assert "<testsuites" in (fleet.place / "silence.xml").read_text()
    (page,) = (fleet.work / "drills" / "silence").glob("*.html")
    assert "SNMP falls silent" in page.read_text()
    again = fleet.hacc("drill", "report", "silence", "--json")
    assert again.value["packets"] == told["packets"]
    assert "silence" in fleet.hacc("drill", "list").ends(0).out
    assert broken(fleet) == []
    assert fleet.sh("ha1", "systemctl is-active snmpd") == "active\n"
    bound = fleet.sh("hacc1", "hacc-agent bindings --json")
    assert not re.search(r"mn00000[01]\d@", bound), "everybody has left"
