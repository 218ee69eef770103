"""What real runs leave behind: in the history, for Prometheus, and for who comes second."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tasks import locks, who
from tests.commands.fleet import LabDesk
from tests.commands.program import Desk
from tests.commands.test_bad_input import change


def journal(fleet: LabDesk, run: str) -> list[dict[str, Any]]:
    lines = (fleet.work / "runs" / run / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.lab
def test_a_change_and_its_way_back_are_kept_with_every_line(fleet: LabDesk) -> None:
    change(fleet)
    fleet.hacc("apply", "--yes").ends(0)
    run = fleet.last()
    held = fleet.hacc("history", "show", run, "--json").ends(0).value
    assert (held["kind"], held["exit"], held["clusters"]) == ("apply", 0, ["west"])
    assert held["entries"] == journal(fleet, run)
    assert sum(entry["kind"] == "send" for entry in held["entries"]) > 10, "on two IOS routers"
    assert {host["state"] for host in held["hosts"]} == {"changed"}
    shown = fleet.hacc("history", "show", run).ends(0).out
    assert "by       root on " in shown
    assert "ip mobile" in shown
    fleet.hacc("rollback", "--yes").ends(0)
    listed = fleet.hacc("history", "--json", "--last", "2").ends(0).value
    assert [(one["kind"], one["exit"]) for one in listed] == [("apply", 0), ("rollback", 0)]
    assert [one["name"] for one in listed] == fleet.runs()[-2:]


@pytest.mark.lab
def test_a_check_leaves_its_findings_and_its_metrics(fleet: LabDesk) -> None:
    fleet.on_console("ios1", "interface Loopback99")
    before = len(fleet.hacc("history", "--json", "--kind", "check", "--last", "999").value)
    fleet.hacc("verify", "--json")
    done = fleet.hacc("check", "--json", "--metrics", "hacc.prom")
    assert done.code in (0, 2), done.err
    checked = done.value
    (held,) = fleet.hacc("history", "--json", "--kind", "check").ends(0).value[before:]
    counted = {s: n for s, n in held["findings"].items() if n}
    kept = fleet.hacc("history", "show", "last", "--json").ends(0).value
    assert kept["findings"] == [
        {**one, "fingerprint": kept["findings"][n]["fingerprint"]}
        for n, one in enumerate(checked["findings"])
    ]
    assert kept["exit"] == done.code
    families = text_string_to_metric_families((fleet.place / "hacc.prom").read_text())
    samples = {family.name: family.samples for family in families}
    assert sum(one.value for one in samples["hacc_check_findings"]) == sum(
        n for s, n in counted.items() if s != "info"
    )
    assert samples["hacc_check_exit_code"][0].value == done.code
    drift = fleet.hacc("history", "drift", "--svg", "drift.svg").ends(0)
    assert held["name"] in drift.out
    assert (fleet.place / "drift.svg").read_text().startswith('<svg class="drift"')
    fleet.on_console("ios1", "no interface Loopback99")


@pytest.mark.parametrize(
    ("lock", "what"),
    [("check.lock", "another check from this directory"), ("lock", "a run that changes routers")],
)
def test_a_check_while_somebody_is_at_it(desk: Desk, lock: str, what: str) -> None:
    """Another check would find the same; a change under way would be found as drift."""
    with locks.sole(desk.work / lock, "anything"):
        told = desk.hacc("check").ends(1)
    assert f"{lock}: hacc: {what} is under way: hacc" in told.err
    assert f", by {who.user()} on {who.machine()}, process {os.getpid()}, since 2" in told.err
    assert not (desk.work / "history.sqlite").exists(), "who was refused did no run"


def test_where_nothing_was_recorded_yet(desk: Desk) -> None:
    told = desk.hacc("history").ends(1)
    assert "history.sqlite: history: nothing has been recorded yet" in told.err
    assert not desk.work.exists(), "a look leaves nothing behind"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("history: 7", "defaults.yaml:1: history: found 7"),
        ("history: mysql://db/x", "defaults.yaml:1: history: found 'mysql://db/x'"),
        (
            "history: postgresql://hacc:hunter22@db/x",
            "defaults.yaml:1: history: the password would stand there in clear",
        ),
        (
            "history: {urn: x}",
            "defaults.yaml:1: history.urn: unknown key\n    hint: did you mean url?",
        ),
        ("history: {url: x, password: hunter22}", "history.password: not a reference to a secret"),
        ("history: {keep: ever}", "history.keep: 'ever' is no length of time"),
        ("notify: env:CHAT", "defaults.yaml:1: notify: found str"),
        ("notify: ['json://hunter22@chat']", "notify[0]: not a reference to a secret"),
    ],
)
def test_settings_that_are_wrong(desk: Desk, written: str, said: str) -> None:
    file = desk.inventory / "defaults.yaml"
    file.write_text(f"{written}\n{file.read_text()}")
    told = desk.hacc("history").ends(1)
    assert said in told.err
    assert "hunter22" not in told.err


def test_a_channel_whose_secret_is_not_there(desk: Desk) -> None:
    file = desk.inventory / "defaults.yaml"
    file.write_text(f'notify: ["env:CHAT"]\n{file.read_text()}')
    told = desk.hacc("check", "--notify").ends(1)
    assert "defaults.yaml:1: env:CHAT: the environment has no CHAT" in told.err
    file.write_text(file.read_text().partition("\n")[2])
    assert "--notify: there is nobody to tell" in desk.hacc("check", "--notify").ends(1).err


def test_a_metrics_file_that_nobody_would_read(desk: Desk) -> None:
    told = desk.hacc("check", "--metrics", "hacc.txt").ends(1)
    assert "hacc.txt: --metrics: node_exporter would not read it" in told.err


def test_a_history_elsewhere(desk: Desk, tmp_path: Path) -> None:
    told = desk.hacc("history", "--history", f"sqlite:{tmp_path}/other.sqlite").ends(1)
    assert f"{tmp_path}/other.sqlite: history: nothing has been recorded yet" in told.err
    told = desk.hacc("history", "--since", "7d", "drift").ends(1)
    assert "--since: stands before drift\n    hint: write it after" in told.err
    told = desk.hacc("history", "--since", "yesterday").ends(1)
    assert "--since: 'yesterday' is no length of time" in told.err
