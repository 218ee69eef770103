"""What a shell is told to complete, asked in the way in which bash asks."""

from __future__ import annotations

import sqlite3
import subprocess

import pytest

from tasks.history.store import History
from tests.commands.program import HACC, Desk
from tests.tasks.history.records import NOON, location, record


def complete(desk: Desk, line: str) -> list[str]:
    """What is offered where the cursor stands, at the end of the line."""
    words = line.split(" ")
    done = subprocess.run(
        HACC,
        cwd=desk.place,
        env={
            **desk.environment(),
            "_HACC_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_routers_clusters_and_runs(desk: Desk) -> None:
    assert complete(desk, "hacc explain i") == ["ios1", "ios2"]
    assert complete(desk, "hacc doctor ha") == ["hacc1", "hacc2", "ha1"]
    assert complete(desk, "hacc plan --cluster ") == ["west"]
    (desk.work / "runs" / "20261123T120000Z-1a2b3c4d").mkdir(parents=True)
    (desk.work / "runs" / "20261124T120000Z-5e6f7a8b").mkdir()
    newest_first = ["last", "20261124T120000Z-5e6f7a8b", "20261123T120000Z-1a2b3c4d"]
    assert complete(desk, "hacc rollback ") == newest_first
    assert complete(desk, "hacc apply --resume 20261124") == newest_first[1:2]
    with History.open(location(desk.place)) as history:
        for number in (1, 2):
            history.add(record(number), NOON)
    assert complete(desk, "hacc history show ") == ["last", record(2).name, record(1).name]


def test_another_inventory(desk: Desk) -> None:
    desk.inventory.rename(desk.place / "elsewhere")
    assert complete(desk, "hacc plan --cluster ") == []
    assert complete(desk, "hacc plan -i elsewhere --cluster ") == ["west"]


@pytest.mark.parametrize("damage", ["nothing", "hosts", "history"])
def test_what_is_wrong_completes_to_nothing(desk: Desk, damage: str) -> None:
    match damage:
        case "nothing":
            desk.inventory.rename(desk.place / "gone")
        case "hosts":
            (desk.inventory / "hosts.yaml").write_bytes(b"\xff\xfe: [")
        case "history":
            desk.work.mkdir()
            (desk.work / "history.sqlite").write_text("no database")
    assert complete(desk, "hacc explain i") == ([] if damage != "history" else ["ios1", "ios2"])
    assert complete(desk, "hacc history show ") == ["last"]


def test_a_history_that_is_being_written(desk: Desk) -> None:
    """Nobody waits for a lock with a finger on a key."""
    desk.work.mkdir()
    with sqlite3.connect(desk.work / "history.sqlite") as history:
        history.execute("CREATE TABLE hacc_runs (id INTEGER PRIMARY KEY, name TEXT)")
        history.execute("INSERT INTO hacc_runs (name) VALUES ('20261123T120000Z-1a2b3c4d')")
    history.isolation_level = None
    history.execute("BEGIN EXCLUSIVE")
    try:
        assert complete(desk, "hacc history show ") == ["last"]
        history.execute("COMMIT")
    finally:
        history.close()
    assert complete(desk, "hacc history show 2") == ["20261123T120000Z-1a2b3c4d"]
