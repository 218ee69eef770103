"""The journal's law: whatever fails and whenever, what it called safe comes back, and nothing else.

A group is safe when `durable` has reached it. What a restart finds is always the state after some
group n: no less than the safe ones, no more than the last that was tried, and no mixture.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent import journal as journal_module
from hacc_agent import recovery
from hacc_agent.engine.log import HEADER, START, FrameKind, Position, decode, encode
from hacc_agent.engine.record import STRUCT, Kind, Row
from hacc_agent.engine.table import Table
from hacc_agent.journal import Journal, set_aside
from hacc_agent.recovery import (
    JournalDamaged,
    JournalError,
    JournalLocked,
    JournalNewer,
    Recovered,
)
from tests.hacc_agent.crashing import FOLDER, Died, File, Platter, Rows, after, frame

GROUPS = 12


def journal(disk: Platter, rows: Rows, *, sync_groups: bool = True) -> Journal:
    return Journal(FOLDER, "west", rows.snapshot, sync_groups=sync_groups, disk=disk)


def restart(disk: Platter) -> tuple[dict[int, int], Recovered]:
    rows = Rows()
    return rows.rows, journal(disk, rows).open(rows.apply)


class Writer:
    """What the daemon does: groups one after the other, new files begun on the way."""

    def __init__(self, disk: Platter, *, sync_groups: bool = True) -> None:
        self.disk, self.rows, self.sync_groups = disk, Rows(), sync_groups
        self.journal = journal(disk, self.rows, sync_groups=sync_groups)
        self.tried = 0

    def open(self) -> Writer:
        self.journal.open(self.rows.apply)
        self.tried = self.journal.position.sequence
        return self

    def write(self) -> None:
        self.tried += 1
        octets = frame(self.tried, durable=self.journal.durable)
        self.rows.apply(octets[HEADER.size :])
        self.journal.append(octets)
        self.journal.commit()

    def work(self, now: float) -> None:
        if not self.sync_groups:
            self.journal.sync_beside()
        self.journal.work(now)

    def run(self, check: Callable[[], None] = lambda: None) -> None:
        """Twelve groups and two new files; the table changes while these are filled."""
        for step in range(GROUPS):
            if step in (3, 8):
                self.journal.compact()
            self.write()
            check()
            self.work(float(step))
            check()

    def live(self) -> None:
        self.open()
        self.run()
        self.journal.close()


def all_calls(sync_groups: bool) -> int:
    writer = Writer(Platter(), sync_groups=sync_groups)
    writer.live()
    return writer.disk.calls


def check_restart(writer: Writer, disk: Platter, at_least: int) -> None:
    rows, recovered = restart(disk)
    assert at_least <= recovered.position.sequence <= writer.tried
    assert rows == after(recovered.position.sequence)


# ------------------------------------------------------------------ without faults


def test_a_first_start_is_empty_and_the_next_one_is_where_it_ended() -> None:
    writer = Writer(Platter())
    assert writer.journal.open(writer.rows.apply) == Recovered()
    writer.run()
    writer.journal.close(steady=99.0)
    rows, recovered = restart(writer.disk)
    assert rows == after(GROUPS)
    assert recovered.position == Position(7, GROUPS)
    assert recovered.torn == 0
    assert recovered.steady == 99.0


def test_who_reads_much_hears_before_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and names, of which memory can be got ready."""
    table = Table(200, 7)
    for number in range(100):
        number_of_nai, told = table.names.introduce(b"mn%d@example.net" % number)
        named = Row(int(Kind.BINDING), home_address=number + 1, care_of_address=9)
        table.apply(told + STRUCT.pack(*named._replace(nai=number_of_nai)))
    disk = Platter()
    written = Journal(FOLDER, "west", table.snapshot, disk=disk)
    written.open(lambda _records: None)
    written.close()
    monkeypatch.setattr(recovery, "LONG", 1000)
    heard: list[tuple[int, int]] = []
    again = Journal(FOLDER, "west", table.snapshot, disk=disk)
    again.open(lambda _records: heard.append((0, 0)), lambda *many: heard.append(many))
    rows, names = heard[0]
    assert 100 <= rows <= 105
    assert 100 <= names <= 105
    assert set(heard[1:]) == {(0, 0)}


def test_a_new_file_replaces_the_old_one() -> None:
    writer = Writer(Platter()).open()
    for _ in range(200):
        writer.write()
    before = sum(len(file.octets) for file in writer.disk.files.values())
    writer.journal.compact()
    while writer.journal.next_deadline() == 0.0:
        writer.work(0.0)
    assert list(writer.disk.files) == ["journal.00000002"]
    assert sum(len(file.octets) for file in writer.disk.files.values()) < before / 10
    assert restart(writer.disk.after_death())[0] == after(200)


def test_a_large_old_file_goes_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits while a file system frees the space of millions of bindings."""
    monkeypatch.setattr(journal_module, "SHORTENED", 3000)
    writer = Writer(Platter()).open()
    for _ in range(60):
        writer.write()
    writer.journal.compact()
    sizes = []
    while writer.journal.next_deadline() == 0.0:
        writer.work(0.0)
        left = writer.disk.files.get("journal.00000001")
        sizes.append(len(left.octets) if left else 0)
        check_restart(writer, writer.disk.after_death(), 60)
    steps = [before - after for before, after in itertools.pairwise(sizes)]
    assert sizes[-1] == 0
    assert max(steps) == 3000
    assert steps.count(3000) == sizes[0] // 3000


def test_changes_that_outgrow_the_state_begin_a_new_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LEAST", 10_000)
    writer = Writer(Platter()).open()
    for step in range(1000):
        writer.write()
        writer.work(float(step))
    assert sum(len(file.octets) for file in writer.disk.files.values()) < 40_000
    assert restart(writer.disk)[0] == after(1000)


def test_groups_are_synchronised_beside_the_loop(tmp_path: Path) -> None:
    """With real files and the real thread: what is safe is known a little later."""
    rows = Rows()
    kept = Journal(tmp_path, "west", rows.snapshot, sync_groups=False)
    kept.open(rows.apply)
    for number in range(1, 30):
        kept.append(frame(number))
        kept.commit()
    assert kept.durable == 0
    kept.sync_beside()
    for number in range(30, 40):
        kept.append(frame(number))
    assert kept._syncing is not None
    kept._syncing[0].result(20)
    kept.sync_beside()
    assert kept.durable == 29
    assert kept._syncing is not None
    kept._syncing[0].result(20)
    kept.close()
    assert kept.durable == 39


def test_a_failure_beside_the_loop_is_told_and_made_good() -> None:
    writer = Writer(Platter(), sync_groups=False).open()
    writer.write()
    disk = writer.disk
    disk.fails_from, disk.fails_to = disk.calls + 1, disk.calls + 2
    writer.work(0.0)
    assert writer.journal.durable == 0
    writer.work(0.0)
    assert str(writer.journal.trouble) == os.strerror(errno.EIO).lower()
    while (due := writer.journal.next_deadline()) is not None:
        writer.work(due)
    assert writer.journal.trouble is None
    assert writer.journal.durable == 1
    check_restart(writer, disk.after_power_failure(random.Random(3)), 1)


def test_the_second_writer_of_a_folder_is_turned_away(tmp_path: Path) -> None:
    rows = Rows()
    first = Journal(tmp_path, "west", rows.snapshot)
    first.open(rows.apply)
    with pytest.raises(JournalLocked, match="another hacc-agent"):
        Journal(tmp_path, "west", rows.snapshot).open(rows.apply)
    first.close()
    Journal(tmp_path, "west", rows.snapshot).open(rows.apply)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    rows = Rows()
    kept = Journal(tmp_path / "state", "west", rows.snapshot)
    kept.open(rows.apply)
    kept.close()
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "state").iterdir()}
    assert set(modes) == {"journal.00000001", "lock"}
    assert not any(modes.values())


# ------------------------------------------------------------------ death at every call


@pytest.mark.parametrize("sync_groups", [True, False], ids=["each-group", "now-and-then"])
def test_a_process_that_dies_at_any_call_loses_nothing_that_was_written(sync_groups: bool) -> None:
    for call in range(1, all_calls(sync_groups) + 1):
        disk = Platter()
        disk.dies_at = call
        writer = Writer(disk, sync_groups=sync_groups)
        with pytest.raises(Died):
            writer.live()
        check_restart(writer, disk.after_death(), max(0, writer.tried - 1))


@pytest.mark.parametrize("sync_groups", [True, False], ids=["each-group", "now-and-then"])
def test_a_machine_that_dies_at_any_call_loses_nothing_that_was_safe(sync_groups: bool) -> None:
    chance = random.Random(20261123)
    for call in range(1, all_calls(sync_groups) + 1):
        disk = Platter()
        disk.dies_at = call
        writer = Writer(disk, sync_groups=sync_groups)
        with pytest.raises(Died):
            writer.live()
        for _ in range(8):
            check_restart(writer, disk.after_power_failure(chance), writer.journal.durable)


def test_each_group_is_safe_when_it_is_committed() -> None:
    writer = Writer(Platter()).open()
    chance = random.Random(1)

    def check() -> None:
        assert writer.journal.durable == writer.tried
        check_restart(writer, writer.disk.after_power_failure(chance), writer.tried)

    writer.run(check)


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 3))
def test_dying_again_and_again_loses_nothing(seed: int, calls: int, times: int) -> None:
    """Also in a restart, and with what a death before had torn."""
    chance = random.Random(seed)
    disk, safe = Platter(), 0
    for _ in range(times + 1):
        writer = Writer(disk)
        disk.dies_at = chance.randint(1, calls)
        try:
            writer.open()
            writer.run()
        except Died:
            pass
        safe = max(safe, writer.journal.durable)
        disk = disk.after_power_failure(chance)
    rows, recovered = restart(disk)
    assert recovered.position.sequence >= safe
    assert rows == after(recovered.position.sequence)


# ------------------------------------------------------------------ a disk that fails


@pytest.mark.parametrize("calls", [1, 2, 9, 10_000], ids=lambda n: f"{n}-calls")
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_trouble_is_told_and_made_good(error: int, calls: int) -> None:
    """Nothing is raised, what `durable` says holds throughout, and afterwards all is kept."""
    opened = Writer(Platter()).open().disk.calls
    chance = random.Random(error)
    for first in range(opened + 1, all_calls(True)):
        disk = Platter()
        writer = Writer(disk).open()
        disk.error, disk.fails_from, disk.fails_to = error, first, first + calls

        def check(writer: Writer = writer) -> None:
            assert writer.journal.durable == writer.tried or writer.journal.trouble is not None
            check_restart(writer, writer.disk.after_power_failure(chance), writer.journal.durable)

        writer.run(check)
        if writer.journal.durable < writer.tried:
            assert writer.journal.trouble == os.strerror(error).lower()
        disk.fails_to = -1
        now = 1e6
        while (due := writer.journal.next_deadline()) is not None:
            now = max(now, due)
            writer.work(now)
        assert writer.journal.trouble is None
        assert writer.journal.durable == writer.tried == GROUPS
        check_restart(writer, disk.after_power_failure(chance), GROUPS)


def test_a_disk_without_room_at_the_first_start_is_no_reason_to_stop() -> None:
    disk = Platter()
    disk.error, disk.fails_from, disk.fails_to = errno.ENOSPC, 2, 10_000
    writer = Writer(disk).open()
    assert writer.journal.trouble == "no space left on device"
    writer.write()
    disk.fails_to = -1
    while (due := writer.journal.next_deadline()) is not None:
        writer.work(due)
    assert restart(disk)[0] == after(1)


def test_what_waits_for_a_disk_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "WAITING", 1000)
    disk = Platter()
    writer = Writer(disk).open()
    writer.write()
    disk.error, disk.fails_from, disk.fails_to = errno.ENOSPC, disk.calls + 1, 10_000
    for _ in range(50):
        writer.write()
    disk.fails_to = -1
    while (due := writer.journal.next_deadline()) is not None:
        writer.work(due)
    assert restart(disk)[0] == after(51)
    assert list(disk.files) == ["journal.00000002"]


# ------------------------------------------------------------------ damage


@pytest.fixture
def written() -> Platter:
    """A journal of three groups behind a state, and a clean stop."""
    writer = Writer(Platter()).open()
    for _ in range(6):
        writer.write()
    writer.journal.compact()
    while writer.journal.next_deadline() == 0.0:
        writer.work(0.0)
    for _ in range(3):
        writer.write()
    writer.journal.close()
    return writer.disk.after_death()


def frames_of(disk: Platter) -> Iterator[tuple[int, int]]:
    """Kind and place of every frame in the newest file."""
    octets = disk.files[max(disk.files)].octets
    at = 0
    while at < len(octets):
        found = decode(memoryview(bytes(octets)), at)
        assert found is not None
        yield found.kind, at
        at += found.octets


def test_any_octet_that_changes_is_found_and_its_place_told(written: Platter) -> None:
    """Behind a clean stop there is no octet that could be torn, but for the mark's own."""
    *places, (last, mark) = frames_of(written)
    assert last == FrameKind.KEPT
    name = max(written.files)
    for at in range(mark):
        disk = written.after_death()
        disk.files[name].octets[at] ^= 0x10
        rows = Rows()
        with pytest.raises(JournalError) as caught:
            journal(disk, rows).open(rows.apply)
        error = caught.value
        assert error.path == FOLDER / name
        begins = max(place for _, place in places if place <= at)
        assert error.at == begins
        assert f"{FOLDER / name}: octet {begins}: " in str(error)
        assert isinstance(error, JournalNewer) or "--resync" in str(error)
        assert written.files[name].octets[at] != disk.files[name].octets[at], "it is left alone"


def test_a_file_that_is_cut_behind_its_state_ends_there(written: Platter) -> None:
    name = max(written.files)
    places = list(frames_of(written))
    groups = [place for kind, place in places if kind == FrameKind.CHANGES]
    for end in range(len(written.files[name].octets)):
        disk = written.after_death()
        del disk.files[name].octets[end:]
        if end < groups[0]:
            rows = Rows()
            with pytest.raises(JournalDamaged):
                journal(disk, rows).open(rows.apply)
        else:
            rows_found, recovered = restart(disk)
            whole = sum(place + len(frame(1)) <= end for place in groups)
            assert recovered.position.sequence == 6 + whole
            assert rows_found == after(6 + whole)


def test_what_was_torn_does_not_come_back() -> None:
    """A later group that had reached the platter, behind one that had not, is gone for good."""
    writer = Writer(Platter(), sync_groups=False).open()
    for _ in range(4):
        writer.write()
    disk = writer.disk.after_death()
    octets = disk.files["journal.00000001"].octets
    place = bytes(octets).index(frame(3)[: HEADER.size])
    octets[place : place + 10] = bytes(10)
    again = Writer(disk, sync_groups=False).open()
    assert again.tried == 2
    again.write()
    rows, recovered = restart(disk.after_death())
    assert (rows, recovered.position.sequence) == (after(3), 3)


def test_a_newer_journal_is_left_as_it_is(written: Platter) -> None:
    name = max(written.files)
    octets = written.files[name].octets
    octets[8] = 9
    before = bytes(octets)
    rows = Rows()
    with pytest.raises(JournalNewer, match=r"octet 0: .*newer version.*format 9.*up to format 1"):
        journal(written, rows).open(rows.apply)
    assert bytes(octets) == before
    assert rows.rows == {}


def test_the_journal_of_another_cluster_is_refused(written: Platter) -> None:
    rows = Rows()
    with pytest.raises(JournalError, match="of cluster 'west', not of 'east'"):
        Journal(FOLDER, "east", rows.snapshot, disk=written).open(rows.apply)


def test_an_empty_file_is_no_first_start() -> None:
    with pytest.raises(JournalDamaged, match="cut short"):
        restart(Platter({"journal.00000004": File()}))


def test_what_is_damaged_can_be_set_aside(written: Platter) -> None:
    assert set_aside(FOLDER, written) == [FOLDER / "journal.00000002.damaged"]
    assert restart(written) == ({}, Recovered())
    assert "journal.00000002.damaged" in written.files


# ------------------------------------------------------------------ a state from elsewhere


def receive(kept: Journal, rows: Rows, *frames: bytes) -> None:
    for octets in frames:
        found = decode(memoryview(octets))
        assert found is not None
        if found.kind == FrameKind.BEGIN:
            rows.clear()
        elif found.kind in (FrameKind.STATE, FrameKind.CHANGES):
            rows.apply(bytes(found.payload))
        kept.receive(found)
    kept.commit()


def foreign_state() -> list[bytes]:
    """The active's: rows after group 40 in two parts, group 41 between them."""
    rows = Rows()
    rows.rows |= after(40)
    blocks = list(rows.snapshot())
    at = Position(9, 40)
    return [
        encode(FrameKind.BEGIN, at, b"west"),
        *(encode(FrameKind.STATE, at, block) for block in blocks),
        frame(41, history=9),
        encode(FrameKind.COMPLETE, Position(9, 41), len(rows.rows).to_bytes(8, "little")),
    ]


def test_a_state_from_elsewhere_counts_when_it_is_whole() -> None:
    frames = foreign_state()
    chance = random.Random(2)
    for cut in range(len(frames) + 1):
        writer = Writer(Platter()).open()
        writer.run()
        receive(writer.journal, writer.rows, *frames[:cut])
        rows, recovered = restart(writer.disk.after_power_failure(chance))
        if cut < len(frames):
            assert (rows, recovered.position) == (after(GROUPS), Position(7, GROUPS))
        else:
            assert (rows, recovered.position) == (after(41), Position(9, 41))


def test_who_must_lead_before_it_is_whole_goes_back_to_its_disk() -> None:
    writer = Writer(Platter()).open()
    writer.run()
    receive(writer.journal, writer.rows, *foreign_state()[:3])
    writer.rows.clear()
    writer.journal.give_up_received(writer.rows.apply)
    assert writer.rows.rows == after(GROUPS)
    assert writer.journal.position == Position(7, GROUPS)
    writer.write()
    assert restart(writer.disk.after_death())[0] == after(GROUPS + 1)


def test_a_standby_whose_disk_fails_while_it_receives_makes_it_good() -> None:
    frames = foreign_state()
    base = Writer(Platter()).open()
    base.run()
    for call in range(1, 2 * len(frames) + 8):
        writer = Writer(base.disk.after_death()).open()
        disk = writer.disk
        disk.error = errno.ENOSPC
        disk.fails_from, disk.fails_to = disk.calls + call, disk.calls + call + 1
        receive(writer.journal, writer.rows, *frames)
        while (due := writer.journal.next_deadline()) is not None:
            writer.work(due)
        rows, recovered = restart(disk.after_power_failure(random.Random(call)))
        assert (rows, recovered.position) == (after(41), Position(9, 41))


# ------------------------------------------------------------------ a real process, really killed


CHILD = """
import sys
from pathlib import Path
from hacc_agent.journal import Journal
from tests.hacc_agent.crashing import Rows, frame
from hacc_agent.engine.log import HEADER
rows = Rows()
kept = Journal(Path(sys.argv[1]), "west", rows.snapshot)
kept.open(rows.apply)
number = kept.position.sequence
while True:
    number += 1
    octets = frame(number, durable=kept.durable)
    rows.apply(octets[HEADER.size:])
    kept.append(octets)
    kept.commit()
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    if number % 40 == 0:
        kept.compact()
    kept.work(0.0)
"""


def test_killed_processes_lose_nothing_that_they_told(tmp_path: Path, root: Path) -> None:
    told = 0
    for times in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, cwd=root
        )
        assert child.stdout is not None
        lines = iter(child.stdout)
        for _ in range(50 + 17 * times):
            told = int(next(lines))
        child.send_signal(signal.SIGKILL)
        told = max([told, *(int(line) for line in lines if line.endswith(b"\n"))])
        child.wait()
        child.stdout.close()
    rows = Rows()
    kept = Journal(tmp_path, "west", rows.snapshot)
    recovered = kept.open(rows.apply)
    kept.close()
    assert told <= recovered.position.sequence <= told + 1
    assert rows.rows == after(recovered.position.sequence)
    assert recovered.position != START
