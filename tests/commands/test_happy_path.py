"""The commands in the order of a working day: plan, apply, verify, change, and twice back."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.fleet import LabDesk
from tests.commands.program import KEY_OF_A_NODE, SECRETS, Done

pytestmark = pytest.mark.lab

ALLOW = ("--allow", "re-election,binding-loss")


def events(told: Done) -> list[dict[str, str]]:
    """Standard error with --json: one event a line, and nothing else."""
    return [json.loads(line) for line in told.err.splitlines()]


def test_a_provisioned_cluster_is_verified_and_has_nothing_to_do(fleet: LabDesk) -> None:
    told = fleet.hacc("verify").ends(0)
    assert told.out.startswith("west: verified\n")
    assert " failed" not in told.out.splitlines()[-1]
    (verdict,) = fleet.hacc("verify", "--json").ends(0).value
    assert (verdict["ok"], verdict["settled"]) == (True, True)
    assert verdict["counts"]["passed"] > 50
    for host in ("hacc1", "hacc2", "ha1"):
        assert fleet.sh(host, "sysctl -n net.ipv4.ip_forward") == "1\n"

    applied = fleet.hacc("apply", "--json").ends(0).value  # nothing to do: nobody is asked
    assert applied["run"] == ""
    assert {host["state"] for host in applied["hosts"]} == {"unchanged"}
    assert fleet.hacc("plan", "--json").ends(0).value["waves"] == []


def test_a_change_and_its_way_back_and_the_way_back_of_that(fleet: LabDesk) -> None:
    old = fleet.states()
    runs = fleet.runs()
    fleet.edit("lifetime: 1800", "lifetime: 900")
    fleet.edit("hello_ms: 500\n      hold_ms: 1600", "hello_ms: 600\n      hold_ms: 2000")

    planned = fleet.hacc("plan", "--exit-code", "--json", "-o", "change.json").ends(2)
    assert planned.value == json.loads((fleet.place / "change.json").read_text())
    assert fleet.runs() == runs
    assert fleet.states() == old, "a plan changes nothing"

    applied = fleet.hacc("apply", "change.json", "--yes", "--json", *ALLOW).ends(0)
    assert {host["state"] for host in applied.value["hosts"]} == {"changed"}
    assert {event["stage"] for event in events(applied)} >= {"wave", "push", "verify", "done"}
    new = fleet.states()
    assert [host for host in old if old[host] == new[host]] == []
    assert "ip mobile home-agent lifetime 900" in new["ios1"]
    assert fleet.hacc("plan", "--exit-code").ends(0).out.startswith("Nothing to do")

    back = fleet.hacc("rollback", "--yes", "--json").ends(0)
    assert {host["state"] for host in back.value["hosts"]} == {"returned"}
    assert fleet.states() == old

    forth = fleet.hacc("rollback", back.value["run"], "--yes").ends(0)
    assert forth.out.splitlines()[-1].endswith("done; undo it with: hacc rollback " + fleet.last())
    assert fleet.states() == new

    back = fleet.hacc("rollback", applied.value["run"], "--yes").ends(0)
    assert fleet.states() == old
    again = fleet.hacc("rollback", applied.value["run"], "--yes", "--json").ends(0)
    assert {host["state"] for host in again.value["hosts"]} == {"unchanged"}


def test_a_controller_hands_its_role_over_before_its_routing_restarts(fleet: LabDesk) -> None:
    fleet.sh("hacc1", "sed -i 's/^ospfd=yes/ospfd=no/' /etc/frr/daemons")
    fleet.sh("hacc2", "timeout 60 ip -o monitor address >/run/seen 2>&1 </dev/null &")
    told = fleet.hacc("plan").ends(0).out
    assert "before: west-core goes to hacc2, and back as it preempts" in told
    fleet.hacc("apply", "--yes", "--allow", "adjacency-reset").ends(0)
    assert "198.18.1.254/24" in fleet.sh("hacc2", "cat /run/seen"), "it has held the address"
    fleet.hacc("verify").ends(0)  # which waits until hacc1 has preempted
    assert "198.18.1.254" in fleet.sh("hacc1", "ip -br address")
    assert fleet.sh("hacc1", "systemctl is-active keepalived frr") == "active\nactive\n"
    assert fleet.sh("hacc1", "grep -c ^ospfd=yes /etc/frr/daemons") == "1\n"


def test_an_ios_router_hands_its_role_over_in_the_time_that_it_is_armed(fleet: LabDesk) -> None:
    fleet.edit("hello_ms: 500\n      hold_ms: 1600", "hello_ms: 600\n      hold_ms: 2000")
    fleet.hacc("apply", "--yes", *ALLOW).ends(0)
    lines = (fleet.work / "runs" / fleet.last() / "journal.jsonl").read_text().splitlines()
    sent = [r["text"] for line in lines if (r := json.loads(line))["kind"] == "send"
            and r["host"] == "ios1"]  # fmt: skip
    steps = [text for text in sent if "timer" in text or "priority" in text or "confirm" in text]
    assert steps == [
        "configure terminal revert timer 2",
        "standby 20 priority 1",
        "standby 20 timers msec 600 2",
        "standby 20 priority 200",
        "configure confirm",
    ]
    fleet.hacc("verify").ends(0)
    fleet.hacc("rollback", "--yes").ends(0)


def files(run: Path) -> Iterator[Path]:
    return (path for path in run.rglob("*") if path.is_file())


def test_a_run_is_for_its_owner_alone_and_holds_no_secret_of_ours(fleet: LabDesk) -> None:
    """Only what the routers themselves held is kept as it was: a backup must be a backup."""
    fleet.hacc("verify").ends(0)
    runs = [fleet.work / "runs" / name for name in fleet.runs()]
    assert runs
    for run in runs:
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        for path in files(run):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            if path.parent == run:
                text = path.read_text()
                found = [s for s in (*SECRETS.values(), KEY_OF_A_NODE) if s in text]
                assert not found, path
    kept = {path.name for run in runs for path in files(run) if path.parent == run}
    assert kept == {"plan.json", "run.json", "journal.jsonl", "log.jsonl", "result.json"}


def test_a_rollback_does_not_lose_what_somebody_did_since(fleet: LabDesk) -> None:
    """Refused, and told whose; then given up on purpose."""
    fleet.edit("lifetime: 1800", "lifetime: 900")
    fleet.hacc("apply", "--yes", *ALLOW).ends(0)
    new = fleet.states()
    fleet.on_console("ios1", "interface GigabitEthernet0/1", "description by the night shift")
    told = fleet.hacc("rollback", "--yes").ends(6)
    assert told.err == (
        "ios1: running-config was changed since the run: 1 lines added, 0 removed, "
        "which the rollback would lose\n"
        "    hint: --force gives them up; or plan the way back: change the intent\n"
    )
    assert {host: state for host, state in fleet.states().items() if host != "ios1"} == {
        host: state for host, state in new.items() if host != "ios1"
    }
    fleet.hacc("rollback", "--yes", "--force").ends(0)
