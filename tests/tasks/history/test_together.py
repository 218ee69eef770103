"""Many who record at once, and one who is killed: a record is there whole, or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.history.place import Location
from tasks.history.store import History
from tests.commands.program import ROOT
from tests.tasks.history.records import NOON, applied, finding, location, record

# Records runs of a machine one after the other, and says so after each.
WRITER = """
import sys
from pathlib import Path
from tasks.history.place import Location
from tasks.history.store import History
from tests.tasks.history.records import NOON, finding, record
url, machine, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(count):
    with History.open(Location(url, "west", Path("/nowhere"))) as history:
        found = [finding(n) for n in range(50)]
        history.add(record(number, findings=found, machine=machine), NOON)
    print(record(number).name, flush=True)
"""


def writer(place: Location, machine: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, place.url, machine, str(count)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_machines_that_begin_a_history_at_the_same_moment(
    anywhere: Callable[[], Location],
) -> None:
    """Each finds no tables, and one of them makes them."""
    place = anywhere()
    if place.sqlite is not None:
        place.sqlite.parent.mkdir(parents=True, exist_ok=True)
    writers = [writer(place, f"noc{n}", 5) for n in range(3)]
    for one in writers:
        out, err = one.communicate(timeout=120)
        assert (one.returncode, err) == (0, ""), err
        assert len(out.splitlines()) == 5
    with History.open(place) as history:
        made = [one.machine for one in history.summaries()]
        assert sorted(made) == sorted(["noc0", "noc1", "noc2"] * 5)
        assert all(sum(one.findings.values()) == 50 for one in history.summaries())


@pytest.mark.parametrize("after", [1, 3, 8])
def test_a_writer_that_is_killed_leaves_whole_records(tmp_path: Path, after: int) -> None:
    place = location(tmp_path)
    with writer(place, "noc1", 10_000) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(after)]
        process.kill()
        said += process.stdout.read().split()
    with History.open(place) as history:
        kept = history.names()
        assert set(said) <= kept
        assert len(kept) <= len(said) + 1, "at most the one of which it could not speak any more"
        for one in history.summaries(last=None):
            assert sum(one.findings.values()) == 50
        history.add(applied(), NOON)
        assert history.find("last") == applied()


def test_a_reader_waits_for_nobody(anywhere: Callable[[], Location]) -> None:
    with History.open(anywhere()) as history, History.open(anywhere()) as other:
        history.add(record(1, findings=[finding()]), NOON)
        with other.writing():
            assert history.find("last") == record(1, findings=[finding()])
            assert len(history.summaries()) == 1
