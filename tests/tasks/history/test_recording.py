"""Every run is recorded in the end, whatever its end was and whatever became of the database."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks import runs, who
from tasks.course import Applied, HostResult, State
from tasks.ending import Finished
from tasks.errors import Exit, HaccError, Problem
from tasks.history import store, tables
from tasks.history.faults import HistoryError
from tasks.history.place import Location, locate
from tasks.history.record import Kind, Record, to_json
from tasks.history.recording import Recorder, waiting
from tasks.history.store import History
from tasks.pipeline import Prepared, prepare
from tasks.plan import FORMAT, Plan
from tasks.policy import DEFAULT
from tasks.settings import HistorySettings, Settings, load_settings
from tests.commands.program import SITE
from tests.tasks.history.conftest import Server
from tests.tasks.history.records import NOON, record

PLAN = Plan(FORMAT, "2026-11-23T12:00:00+00:00", ("west",), "5e" * 32, "7e" * 32, (), ())


@dataclass(slots=True)
class Books:
    """A recorder, and what it had to say."""

    recorder: Recorder
    prepared: Prepared
    told: list[Problem]

    @property
    def work(self) -> Path:
        return self.recorder.work

    def said(self) -> str:
        text = "\n".join(map(str, self.told))
        self.told.clear()
        return text

    def run(self, kind: Kind = Kind.VERIFY) -> str:
        """One that ends well; its name."""
        with self.recorder.recording(kind, self.prepared) as draft:
            draft.verified(())
        return draft.record.name

    def history(self) -> tuple[str, ...]:
        with History.open(self.recorder.location) as history:
            return tuple(one.name for one in history.summaries())

    def waiting(self) -> list[str]:
        return [path.stem for path in waiting(self.recorder.location)]

    def at(self, location: Location) -> Books:
        return Books(replace(self.recorder, location=location), self.prepared, self.told)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    shutil.copytree(SITE, tmp_path / "inventory")
    told: list[Problem] = []

    def say(problems: Iterable[Problem]) -> None:
        told.extend(problems)

    root = tmp_path / "inventory"
    recorder = Recorder(
        locate(root, tmp_path / ".hacc", site="west"), load_settings(root), tmp_path / ".hacc", say
    )
    return Books(recorder, prepare(root), told)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second is as bounded as five."""
    monkeypatch.setattr(store, "LOCK_S", 0.1)


# --- how a run ends


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (Finished(Exit.CHANGES), 2, ""),
        (HaccError(Problem(None, "ha1", "is gone")), 1, "ha1: is gone"),
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device"), 1, "hacc: no space left on device"),
        (RuntimeError("a bug"), None, "hacc: RuntimeError: a bug"),
    ],
    ids=["finished", "refused", "interrupted", "this-machine", "bug"],
)
def test_whatever_ends_a_run_is_recorded_and_goes_on(
    books: Books, raised: BaseException, code: int | None, said: str
) -> None:
    with (
        pytest.raises(type(raised)) as got,
        books.recorder.recording(Kind.APPLY, books.prepared),
    ):
        raise raised
    assert got.value is raised
    with History.open(books.recorder.location) as history:
        held = history.find("last")
    assert (held.kind, held.exit) == (Kind.APPLY, code)
    assert "\n".join(map(str, held.problems)) == said
    assert (held.user, held.machine, held.clusters) == (who.user(), who.machine(), ("west",))
    assert held.intent_sha256 == books.prepared.site.sha256
    assert books.said() == ""


def made(books: Books, *lines: str, at: datetime = NOON) -> runs.Run:
    """The directory of a run that sent these."""
    run = runs.create(books.work, PLAN, at, DEFAULT)
    with run.journal() as journal:
        journal.record("", "step", "wave 1")
        for line in lines:
            journal.record("ha1", "send", line)
    return run


def test_an_apply_is_recorded_with_every_line(books: Books) -> None:
    with books.recorder.recording(Kind.APPLY, books.prepared) as draft:
        run = made(books, "hostname ha1", "snmp-server <secret env:SNMP>", at=datetime.now(UTC))
        problem = Problem(None, "ha2", "has moved")
        draft.applied(
            Applied(
                run.name,
                Exit.STALE,
                (HostResult("ha1", State.RETURNED), HostResult("ha2", State.NOT_BEGUN, (problem,))),
            )
        )
    with History.open(books.recorder.location) as history:
        held = history.find(run.name)
    assert [e.text for e in held.entries] == [
        "wave 1", "hostname ha1", "snmp-server <secret env:SNMP>"
    ]  # fmt: skip
    assert held.exit == Exit.STALE
    assert held.plan_sha256 == PLAN.digest
    assert [(h.host, h.state) for h in held.hosts] == [("ha1", "returned"), ("ha2", "not-begun")]
    assert held.hosts[1].problems == (problem,)


def test_a_run_that_breaks_off_keeps_its_lines(books: Books) -> None:
    with suppress(KeyboardInterrupt), books.recorder.recording(Kind.APPLY, books.prepared):
        run = made(books, "hostname ha1", at=datetime.now(UTC))
        raise KeyboardInterrupt
    with History.open(books.recorder.location) as history:
        held = history.find(run.name)
    assert (held.exit, held.summary.lines) == (130, 1)


# --- runs that did not live to record themselves


def test_a_run_that_was_killed_is_written_down_by_the_next(books: Books) -> None:
    killed = made(books, "hostname ha1")
    name = books.run()
    assert books.history() == (killed.name, name)
    with History.open(books.recorder.location) as history:
        held = history.find(killed.name)
    assert held.exit is None
    assert [(h.host, h.state) for h in held.hosts] == [("ha1", "unknown")]
    assert str(held.problems[0]).endswith(
        "the run did not end: its process, or its machine, did [hint: hacc apply --resume "
        f"{killed.name}; with --return to take it back]"
    )
    books.run()
    assert books.history().count(killed.name) == 1


def test_a_run_that_went_on_after_its_pause_and_was_killed(books: Books) -> None:
    with books.recorder.recording(Kind.APPLY, books.prepared) as draft:
        run = made(books, "hostname ha1", at=datetime.now(UTC))
        draft.applied(Applied(run.name, Exit.OK, (HostResult("ha1", State.CHANGED),)))
    books.run()
    with History.open(books.recorder.location) as history:
        assert history.find(run.name).exit == Exit.OK, "a pause is no death"
    with run.journal() as journal:
        journal.record("ha2", "send", "hostname ha2")
    books.run()
    with History.open(books.recorder.location) as history:
        held = history.find(run.name)
    assert (held.exit, held.user) == (None, who.user())
    assert [entry.text for entry in held.entries][-1] == "hostname ha2"
    assert "the run did not end" in str(held.problems[0])


def test_a_run_that_is_gone_on_with_and_breaks_off_keeps_its_name(books: Books) -> None:
    run = made(books, "hostname ha1")
    books.run()
    with suppress(KeyboardInterrupt), books.recorder.recording(Kind.APPLY, books.prepared):
        with run.journal() as journal:
            journal.record("ha2", "send", "hostname ha2")
        raise KeyboardInterrupt
    with History.open(books.recorder.location) as history:
        held = history.find(run.name)
    assert (held.exit, held.summary.lines) == (130, 2)


def test_runs_from_before_there_was_a_history_come_in(books: Books) -> None:
    before = made(books, "hostname ha1")
    before.end(runs.Ended(0, {"ha1": "changed"}, undoes=""))
    undo = made(books, "no hostname", at=NOON + timedelta(hours=1))
    undo.end(runs.Ended(0, {"ha1": "returned"}, undoes=before.name))
    books.run()
    with History.open(books.recorder.location) as history:
        assert [str(one.kind) for one in history.summaries()] == ["apply", "rollback", "verify"]
        assert history.find(undo.name).hosts[0].state == "returned"


def test_a_machine_that_is_called_otherwise_now_brings_nothing_in_twice(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = made(books, "hostname ha1")
    books.run()
    monkeypatch.setattr(who, "machine", lambda: "renamed")
    books.run()
    assert books.history().count(killed.name) == 1


def test_what_is_kept_is_nobody_elses(books: Books) -> None:
    umask = os.umask(0)
    try:
        elsewhere = books.work.parent / "elsewhere.sqlite"
        there = books.at(replace(books.recorder.location, url=f"sqlite:///{elsewhere}"))
        there.run()
        with History.open(there.recorder.location):
            for path in elsewhere.parent.glob("elsewhere.sqlite*"):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    finally:
        os.umask(umask)


def test_a_run_that_is_under_way_is_left_alone(books: Books) -> None:
    under_way = made(books, "hostname ha1")
    with (books.work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        name = books.run()
        assert books.history() == (name,)
    books.run()
    assert under_way.name in books.history()


def test_what_was_forgotten_does_not_come_back(books: Books) -> None:
    old = made(books, "hostname ha1", at=NOON - timedelta(days=400))
    keep = Settings(HistorySettings(books.recorder.settings.history.place, keep=timedelta(days=1)))
    books.recorder = replace(books.recorder, settings=keep)
    books.run()
    books.run()
    assert old.name not in books.history()
    assert old.path.exists(), "what a rollback needs is not the history's to take"


def test_a_plan_that_cannot_be_read_hides_no_run(books: Books) -> None:
    run = made(books, "hostname ha1")
    (run.path / "plan.json").write_text("{")
    books.run()
    assert run.name in books.history()


# --- a database that is away


@contextmanager
def locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def file(books: Books) -> Path:
    path = books.recorder.location.sqlite
    assert path is not None
    return path


def waits(books: Books, name: str, why: str) -> None:
    """The record is kept beside the database, and whoever ran it was told so."""
    said = books.said()
    assert why in said
    assert f"{name}: this run is not in the history yet; its record waits in " in said
    assert books.waiting() == [name]


def comes_in(books: Books, *names: str) -> None:
    last = books.run()
    assert books.said() == ""
    assert books.history() == (*names, last)
    assert books.waiting() == []


@pytest.mark.usefixtures("impatient")
def test_a_history_that_is_locked_is_waited_for_and_then_left(books: Books) -> None:
    first = books.run()
    with locked(file(books)):
        second = books.run()
    waits(books, second, "is locked by somebody else")
    comes_in(books, first, second)


def test_a_history_of_a_newer_version_is_left_alone(books: Books) -> None:
    first = books.run()
    with sqlite3.connect(file(books)) as other:
        other.execute(f"UPDATE hacc_schema SET version = {tables.VERSION + 1}")
    other.close()
    second = books.run()
    waits(
        books,
        second,
        f"of version {tables.VERSION + 1} (allowed: {tables.VERSION}) [hint: a newer hacc",
    )
    with sqlite3.connect(file(books)) as other:
        assert other.execute("SELECT count(*) FROM hacc_runs").fetchone() == (1,)
        other.execute(f"UPDATE hacc_schema SET version = {tables.VERSION}")
    other.close()
    comes_in(books, first, second)


@pytest.mark.parametrize("damage", ["no-database", "in-the-middle"])
def test_a_history_that_is_damaged(books: Books, damage: str) -> None:
    first = books.run()
    path = file(books)
    data = path.read_bytes()
    zeros = b"\xff" * (len(data) - 512)
    path.write_bytes(b"#!/bin/sh\n" * 100 if damage == "no-database" else data[:512] + zeros)
    second = books.run()
    waits(books, second, "is damaged, or is no history")
    path.rename(path.with_suffix(".broken"))
    for rest in path.parent.glob("history.sqlite-*"):
        rest.unlink()
    comes_in(books, second)
    assert first not in books.history()


@contextmanager
def disk_full(octets: int) -> Iterator[None]:
    """No file may grow past so many; what this process wrote already stays."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_with_room_for_a_small_file(books: Books) -> None:
    first = books.run()
    with disk_full(8192):
        second = books.run()
    waits(books, second, "its disk full")
    comes_in(books, first, second)


def test_a_full_disk_without_room_for_anything(books: Books) -> None:
    first = books.run()
    with disk_full(0):
        second = books.run()
    assert f"{second}: this run was not recorded anywhere: " in books.said()
    assert not list(books.recorder.location.pending.iterdir()), "and no half a file is left"
    comes_in(books, first)


def test_a_folder_that_may_not_be_written(books: Books) -> None:
    """Even root cannot open a folder as a database, nor make one where a file is."""
    file(books).mkdir(parents=True)
    books.recorder.location.pending.write_text("")
    books.run()
    said = books.said()
    assert "history.sqlite: history: cannot be opened" in said
    assert "this run was not recorded anywhere" in said


def test_a_folder_that_cannot_be_made(books: Books) -> None:
    elsewhere = books.work.parent / "inventory" / "hosts.yaml" / "h.sqlite"
    there = books.at(replace(books.recorder.location, url=f"sqlite:///{elsewhere}"))
    name = there.run()
    waits(there, name, f"{elsewhere}: history: cannot be opened")
    comes_in(books, name)


def test_a_record_that_cannot_be_taken_away_again(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    with disk_full(8192):
        first = books.run()
    books.said()

    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        second = books.run()
    assert "read-only file system" in books.said()
    books.run()
    held = books.history()
    assert held.count(first) == held.count(second) == 1, "it comes in again, and is still one"


def test_a_server_that_is_away(books: Books, postgresql: Location, server: Server) -> None:
    pending = books.recorder.location.pending
    away = books.at(Location(server.url("nowhere"), "west", pending))
    first = away.run()
    waits(away, first, 'the server refuses (database "nowhere" does not exist)')
    nobody = "postgresql+psycopg://hacc@127.0.0.1:1/hacc"
    gone = books.at(Location(nobody, "west", pending))
    second = gone.run()
    assert "does not answer" in gone.said()
    comes_in(books.at(replace(postgresql, pending=pending)), first, second)


@pytest.mark.usefixtures("impatient")
def test_a_server_whose_tables_somebody_else_holds(books: Books, postgresql: Location) -> None:
    here = books.at(replace(postgresql, pending=books.recorder.location.pending))
    first = here.run()
    with History.open(postgresql) as other, other.writing():
        second = here.run()
    waits(here, second, "is locked by somebody else")
    comes_in(here, first, second)


def test_a_file_that_is_no_record_stays_and_is_named(books: Books) -> None:
    books.run()
    pending = books.recorder.location.pending
    pending.mkdir()
    (pending / "junk.json").write_text("{}")
    (pending / "newer.json").write_bytes(to_json(record()).replace(b'"format":1', b'"format":2', 1))
    books.run()
    said = books.said()
    assert f"{pending}/junk.json: history: is no record of a run" in said
    assert f"{pending}/newer.json: history: is a record of format 2 (allowed: 1)" in said
    assert books.waiting() == ["junk", "newer"]


def test_a_clock_that_went_back_is_said(books: Books) -> None:
    with History.open(books.recorder.location) as history:
        later = datetime.now(UTC) + timedelta(days=400)
        history.add(record(machine=who.machine(), at=later), later)
    name = books.run()
    assert f"{name}: began at " in (said := books.said())
    assert "this machine's clock went back" in said
    assert books.history()[-1] == name


class Breaking:
    """A history that fails at its n-th word."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, method: Callable[..., object]) -> Callable[..., object]:
        def guarded(*args: object, **named: object) -> object:
            self.left -= 1
            if self.left == 0:
                raise HistoryError(Problem(None, "history", "broke"))
            return method(*args, **named)

        return guarded


@pytest.mark.parametrize("at", range(1, 8))
def test_wherever_the_database_breaks_nothing_is_lost_or_there_twice(
    books: Books, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = made(books, "hostname ha1")
    with monkeypatch.context() as patch:
        breaks = Breaking(at)
        for word in ("reading", "writing"):
            patch.setattr(History, word, breaks(getattr(History, word)))
        first = books.run()
    second = books.run()
    assert sorted(books.history()) == sorted((killed.name, first, second))
    assert books.waiting() == []
    with History.open(books.recorder.location) as history:
        held: Record = history.find(first)
    assert (held.kind, held.exit) == (Kind.VERIFY, 0)
