"""`hacc check` on routers: nothing to find after an apply, then all that was done behind it."""

from __future__ import annotations

import json

import pytest

from tests.commands.fleet import LabDesk
from tests.commands.program import SECRETS

pytestmark = pytest.mark.lab

ALLOW = ("--allow", "re-election,binding-loss")


def test_what_was_just_applied_has_nothing_that_counts(fleet: LabDesk) -> None:
    fleet.hacc("verify").ends(0)  # which waits for what converges; a check looks once
    told = fleet.hacc("check").ends(0)
    assert told.out.splitlines()[-1].startswith("west: 5 routers, as intended, ")
    checked = fleet.hacc("check", "--json").ends(0).value
    assert {finding["severity"] for finding in checked["findings"]} <= {"info"}
    assert sorted(checked["hosts"]) == ["ha1", "hacc1", "hacc2", "ios1", "ios2"]


def test_what_was_done_behind_it_is_found_explained_waived_and_mended(fleet: LabDesk) -> None:
    fleet.hacc("verify").ends(0)
    fleet.on_console(
        "ios2",
        "interface GigabitEthernet0/1",
        "standby 20 priority 90",
        "line vty 0 4",
        "transport input telnet ssh",
    )
    fleet.sh("ha1", "echo '# mine' >> /etc/snmp/snmpd.conf; chmod 644 /etc/snmp/snmpd.conf")
    found = {
        (one["rule"], one["host"]): one
        for one in fleet.hacc("check", "--json").ends(2).value["findings"]
        if one["severity"] != "info"
    }
    assert set(found) == {
        ("config.differs", "ios2"),
        ("standard.no-telnet", "ios2"),
        ("config.extra", "ha1"),
        ("config.mode", "ha1"),
    }
    priority = found["config.differs", "ios2"]
    assert priority["message"] == "`standby 20 priority 90` instead of `standby 20 priority 190`"
    intent = fleet.intent.read_text().splitlines()
    assert "hosts: [ios1, ios2]" in intent[priority["intent"]["line"] - 1]
    assert priority["device"]["text"] == "standby 20 priority 90"
    running = fleet.ios("config", "ios2")["text"].splitlines()
    above = priority["device"]["line"] - 1 - running.index(" standby 20 priority 90")
    assert 0 <= above <= 8, "only what IOS prints above its configuration"
    assert priority["remedy"].splitlines() == [
        "hacc apply -c west, which types:",
        "interface GigabitEthernet0/1",
        " standby 20 priority 190",
    ]

    forms = ("-o", "now.json", "-o", "now.sarif", "-o", "junit=now", "-o", "now.html")
    fleet.hacc("check", *forms).ends(2)
    kept = {path.name: path.read_text() for path in fleet.place.glob("now*")}
    assert set(kept) == {"now.json", "now.sarif", "now", "now.html"}
    for text in kept.values():
        assert "standby 20 priority 190" in text
        assert not any(secret in text for secret in SECRETS.values())
    assert '<svg class="drift"' in kept["now.html"]
    again = fleet.hacc("check", "--baseline", "now.json").ends(0)
    assert again.out.splitlines()[-1] == "since now.json: 0 new, 0 gone"
    fleet.on_console("ios1", "interface GigabitEthernet0/1", "no standby 20 name")
    told = fleet.hacc("check", "--baseline", "last").ends(2)
    assert told.out.splitlines()[-1].endswith(": 1 new, 0 gone")

    waivers = fleet.inventory / "waivers.yaml"
    waivers.write_text(
        "waivers:\n"
        "  - {rule: standard.no-telnet, host: ios2, owner: jane, expires: 2999-12-31,\n"
        "     reason: the console server of the east wing}\n"
    )
    told = fleet.hacc("check").ends(2)
    assert "until 2999-12-31 by jane, the console server of the east wing" in told.out
    fleet.on_console("ios2", "no line vty 0 4")
    fleet.hacc("apply", "--yes", *ALLOW).ends(0)
    fleet.hacc("verify").ends(0)
    told = fleet.hacc("check", "--baseline", "now.json").ends(0)
    assert "waiver.unused" in told.out
    assert told.out.splitlines()[-1] == "since now.json: 0 new, 4 gone"
    waivers.unlink()


def test_who_cannot_be_asked_is_told_and_the_others_are_judged(fleet: LabDesk) -> None:
    fleet.hacc("verify").ends(0)
    fleet.fault("ios1", refuse_connection=True)
    told = fleet.hacc("check", "--json", "-o", "silent.sarif").ends(3)
    assert [one["host"] for one in told.value["failed"]] == ["ios1"]
    assert sorted(told.value["hosts"]) == ["ha1", "hacc1", "hacc2", "ios2"]
    counted = [one for one in told.value["findings"] if one["severity"] != "info"]
    assert [(one["rule"], one["host"]) for one in counted if one["host"] == "ios1"] == [
        ("reach.asked", "ios1")
    ]
    log = json.loads((fleet.place / "silent.sarif").read_text())
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is False
    fleet.ios("clear", "ios1")
    told = fleet.hacc("check", "--baseline", "last").ends(0)
    assert "gone: ios1: reach.asked: session" in told.out


def test_bindings_of_members_are_those_of_the_controller(fleet: LabDesk) -> None:
    fleet.lab_command("subscribers", "--count", "30", "--lifetime", "90").ends(0)
    lines = fleet.sh("hacc1", "hacc-agent bindings --json --limit 200").splitlines()
    assert len(lines) == 30, "few: they are compared one by one"
    assert '"member": "ha1"' in lines[0]
    fleet.hacc("verify").ends(0)
    fleet.hacc("check", "--only", "state").ends(0)
