"""The log on disk: whatever happens to the process or the machine, what was promised comes back.

A journal is one file, `journal.NNNNNNNN`: a state, then the groups of changes since. When the
changes outgrow the state, the next file is begun beside it: as `.new`, until the table was written
to it block by block *while* changes go on, to both files. A file gets its name only when everything
in it is safe, and the old one goes only when the new name is safe, so at any moment one file holds
everything. There is no other file, and none that could be missing.

Trouble with the disk stops nobody. Changes wait in memory, the trouble is told (`trouble`) and
writing is tried again; what could not wait, or was given up by a disk that failed to synchronise
(what it kept of the file is unknown then), is made good by a new file from the table itself.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from .disk import Disk, write_all
from .engine.log import (
    COUNT,
    START,
    Frame,
    FrameKind,
    encode,
    portions,
    stamp_of,
)
from .engine.record import OCTETS
from .recovery import Apply, Expect, JournalError, JournalLocked, Recovered, read

PREFIX: Final = "journal."
DRAFT: Final = ".new"
ASIDE: Final = ".damaged"
LOCK: Final = "lock"

RETRY: Final = 1.0  # s between attempts to write what waits
LONGEST_RETRY: Final = 60.0  # s; an attempt at a whole new file costs as much as the table is long
WAITING: Final = 64 << 20  # octets that wait for a disk, before only a new file can help
CAUGHT_UP: Final = 1 << 20  # octets of them written at a time, so that nobody waits for long
LEAST: Final = 32 << 20  # octets of changes that are no reason for a new file, however small it is
SHORTENED: Final = 16 << 20  # octets that a file loses at a time: a large one goes in milliseconds
FRAME_COST: Final = 256  # octets of records that could be replayed in the time a frame costs


class Journal:
    """One writer of one folder; the lock sees to that. Nothing but `open` raises."""

    def __init__(
        self,
        folder: Path,
        cluster: str,
        snapshot: Callable[[], Iterator[bytes]],
        *,
        sync_groups: bool = True,
        disk: Disk | None = None,
    ) -> None:
        """`snapshot` gives the records of the whole state in blocks, each as it is when taken."""
        self._folder, self._cluster, self._snapshot = folder, cluster, snapshot
        self._sync_groups = sync_groups
        self._disk = disk or Disk()
        self._lock: int | None = None
        self._file: int | None = None
        self._number = 0
        self._end = 0
        self._behind_state = 0  # what the changes in the file would cost to replay, in octets
        self._compact_at = LEAST
        self._draft: _Draft | None = None
        self._old: deque[Path] = deque()  # files that do not count any more
        self._receiving = False  # a state from elsewhere: the table is not whole
        self._waiting: deque[bytes] = deque()
        self._waiting_octets = 0
        self._syncing: tuple[Future[None], int, int] | None = None  # of which file, up to where
        self._unsound = False  # the file lacks something for ever: only a new one can help
        self._retry_at = 0.0
        self._retry_after = RETRY
        self._steady = 0.0
        self.trouble: str | None = None
        self.position = START
        self.durable = 0  # the last group that is safe on the disk

    def open(self, apply: Apply, expect: Expect | None = None) -> Recovered:
        """Lock the folder and apply what is in it. Raises `JournalError`, and changes nothing then.

        `expect` hears before that of how many rows and names it will be, if it is much.
        A folder without a journal is a first start.
        """
        try:
            self._disk.make_folder(self._folder)
            self._lock = self._disk.lock(self._folder / LOCK)
            names = self._disk.names(self._folder)
        except OSError as error:
            raise JournalError(self._folder, f"cannot be used: {_words(error)}") from None
        if self._lock is None:
            raise JournalLocked(
                self._folder, "another hacc-agent writes the journal here", "is it running twice?"
            )
        numbers = _numbers(names)
        recovered = Recovered()
        if numbers:
            self._number = numbers[-1]
            recovered = self._recover(apply, expect)
        for name in names:
            if name.startswith(PREFIX) and name.endswith(DRAFT):
                self._remove(self._folder / name)
        self._old.extend(map(self._path, numbers[:-1]))
        if not numbers:
            self._unsound = True
            self.work(0.0, to_the_end=True)
        return recovered

    def _recover(self, apply: Apply, expect: Expect | None) -> Recovered:
        path = self._path(self._number)
        try:
            file = self._disk.open(path)
        except OSError as error:
            raise JournalError(path, f"cannot be opened: {_words(error)}") from None
        try:
            recovered = read(self._disk, file, path, self._cluster, apply, expect)
        except BaseException:
            self._disk.close(file)
            raise
        self._file, self._end, self.position = file, recovered.end, recovered.position
        self._steady = recovered.steady
        self._behind_state = recovered.end + recovered.groups * FRAME_COST
        self._compact_at = max(LEAST, recovered.records * OCTETS)
        try:
            if recovered.torn:  # or a group that is dropped now could come back behind the next
                self._disk.truncate(file, self._end)
            self._disk.sync(file)  # what was read back counts from here on
        except OSError as error:
            self._distrust(error)
        else:
            self.durable = self.position.sequence
        return recovered

    def append(self, frame: bytes) -> None:
        """Keep a group: it outlives the process when this returns, and the machine after `commit`.

        If `trouble` is set then, it does neither yet.
        """
        self.position, self._steady = stamp_of(frame)
        if self._draft is not None and not self._draft.add((frame,)):
            self._abandon()
        if self._receiving or self._unsound:
            return  # the new file has it, or will have what comes of it
        if self.trouble is None:
            self._write(frame)
        else:
            self._wait(frame)

    def _write(self, frame: bytes) -> None:
        assert self._file is not None
        try:
            write_all(self._disk, self._file, frame, self._end)
        except OSError as error:
            if self._draft is not None:  # what it takes may be what is missing
                self._abandon()
            self._wait(frame)
            self._say(error)
            return
        self._end += len(frame)
        self._behind_state += len(frame) + FRAME_COST
        if self._behind_state > self._compact_at and self._draft is None:
            self._compact()

    def _wait(self, frame: bytes) -> None:
        self._waiting.append(frame)
        self._waiting_octets += len(frame)
        if self._waiting_octets > WAITING:
            self._waiting.clear()
            self._waiting_octets = 0
            self._unsound = True

    def commit(self) -> None:
        """What was appended is safe, if each group has to be before anybody hears of it."""
        if self._sync_groups:
            self.sync()

    def sync(self) -> None:
        """Everything that was appended is on the disk when this returns, or there is `trouble`."""
        if not self._sound or self._file is None:
            return
        try:
            self._disk.sync(self._file)
        except OSError as error:
            self._distrust(error)
        else:
            self.durable = self.position.sequence

    def sync_beside(self) -> None:
        """`sync` without waiting; `durable` follows, or `trouble`, when this is called again."""
        if self._syncing is not None:
            done, number, sequence = self._syncing
            if not done.done():
                return
            self._syncing = None
            if number == self._number:
                error = done.exception()
                if isinstance(error, OSError):
                    self._distrust(error)
                else:
                    self.durable = max(self.durable, sequence)
        if self._sound and self._file is not None and self.durable < self.position.sequence:
            done = self._disk.sync_beside(self._file)
            self._syncing = done, self._number, self.position.sequence

    @property
    def _sound(self) -> bool:
        """The file holds everything that it should."""
        return not (self._unsound or self._receiving or self._waiting)

    def compact(self) -> None:
        """Begin a new file from the table, if none is under way."""
        if self._draft is None and not self._receiving:
            self._compact()

    def _compact(self) -> None:
        self._draft = self._begin(
            encode(FrameKind.BEGIN, self.position, self._cluster.encode(), steady=self._steady),
            self._snapshot(),
        )

    def _begin(self, begin: bytes | memoryview, blocks: Iterator[bytes] | None) -> _Draft | None:
        path = self._path(self._number + 1)
        try:
            draft = _Draft(self._disk, path.with_name(path.name + DRAFT), path, blocks)
        except OSError as error:
            self._postpone(error)
            return None
        if draft.add((begin,)):
            return draft
        self._draft = draft
        self._abandon()
        return None

    def receive(self, frame: Frame) -> None:
        """Keep a frame of the router that is followed: first a state of its own, then its groups.

        Until a state is complete the file before it stays what counts.
        """
        match frame.kind:
            case FrameKind.BEGIN:
                if self._draft is not None:
                    self._abandon()
                self._receiving = True
                self._steady = frame.steady
                self._waiting.clear()
                self._waiting_octets = 0
                self._draft = self._begin(frame.whole, None)
            case FrameKind.STATE:
                if self._draft is not None and not self._draft.add((frame.whole,), state=True):
                    self._abandon()
            case FrameKind.COMPLETE:
                self._receiving = False
                self.position = frame.position
                if self._draft is None or not self._finish():
                    self._unsound = True
                    self._retry_at = 0.0
            case FrameKind.CHANGES:
                self.append(
                    encode(
                        FrameKind.CHANGES,
                        frame.position,
                        frame.payload,
                        steady=frame.steady,
                        durable=self.durable,  # on this disk, whatever is safe on the other one
                    )
                )

    def give_up_received(self, apply: Apply) -> None:
        """A state that was being received is dropped; what this disk holds is applied instead."""
        self._receiving = False
        if self._draft is not None:
            self._abandon()
        self._unsound = True  # until the file was read: what it lacks is lost to us as well
        self.position = START
        if self._file is None:
            return
        path = self._path(self._number)
        try:
            recovered = read(self._disk, self._file, path, self._cluster, apply, None)
        except JournalError as error:
            self.trouble = str(error)
            return
        self._unsound = False
        self.position, self._steady = recovered.position, recovered.steady
        self._end = recovered.end

    def work(self, now: float, *, to_the_end: bool = False) -> None:
        """The next piece of what is under way, or the next attempt: at `next_deadline`."""
        if self.trouble is not None and now >= self._retry_at and not self._receiving:
            self._retry_at = now + self._retry_after
            self._retry()
        elif self._unsound and self._draft is None and not self._receiving:
            self._compact()
        if self._draft is None and self._old:
            self._shorten()
        while self._draft is not None and not self._receiving:
            self._advance()
            if not to_the_end:
                break

    def _retry(self) -> None:
        if self._unsound:
            self._retry_after = min(2 * self._retry_after, LONGEST_RETRY)
            if self._draft is None:
                self._compact()
            return
        assert self._file is not None
        portion: list[bytes] = []
        octets = 0
        for frame in self._waiting:
            if octets >= CAUGHT_UP:
                break
            portion.append(frame)
            octets += len(frame)
        try:
            write_all(self._disk, self._file, b"".join(portion), self._end)
        except OSError as error:
            self._say(error)
            return
        self._end += octets
        self._behind_state += octets + FRAME_COST * len(portion)
        self._waiting_octets -= octets
        for _ in portion:
            self._waiting.popleft()
        if self._waiting:
            self._retry_at = 0.0
            return
        self.trouble = None
        self.commit()

    def _advance(self) -> None:
        assert self._draft is not None
        block = self._draft.next_block()
        if block is None:
            self._finish()
            return
        frames = [encode(FrameKind.STATE, self.position, part) for part in portions(block)]
        if not self._draft.add(frames, state=True, sync=True):
            self._abandon()

    def _finish(self) -> bool:
        """The new file is complete: from here on it is the journal."""
        draft, self._draft = self._draft, None
        assert draft is not None
        end = encode(FrameKind.COMPLETE, self.position, COUNT.pack(draft.state_records))
        if not draft.add((end,), sync=True):
            self._draft = draft
            self._abandon()
            return False
        try:
            self._disk.rename(draft.path, draft.final)
        except OSError as error:
            draft.error = error
            self._draft = draft
            self._abandon()
            return False
        if self._file is not None:
            self._disk.close(self._file)
        self._file, self._end, self._number = draft.file, draft.end, self._number + 1
        self._behind_state = draft.end - draft.state_records * OCTETS
        self._compact_at = max(LEAST, draft.state_records * OCTETS)
        self._waiting.clear()
        self._waiting_octets = 0
        try:
            self._disk.sync_folder(self._folder)
            names = self._disk.names(self._folder)
        except OSError as error:  # a crash might bring the old name back
            self._distrust(error)
            return False
        self._unsound = False
        self.trouble, self._retry_after = None, RETRY
        self.durable = self.position.sequence
        self._old.extend(map(self._path, _numbers(names)[:-1]))
        return True

    def _abandon(self) -> None:
        """Give the new file up; the one before it is still the journal."""
        draft, self._draft = self._draft, None
        assert draft is not None
        self._disk.close(draft.file)
        self._remove(draft.path)
        if draft.error is not None:
            self._postpone(draft.error)

    def _postpone(self, error: OSError) -> None:
        self._compact_at = self._behind_state + LEAST
        if self._unsound:
            self._say(error)

    def _distrust(self, error: OSError) -> None:
        self._unsound = True
        self._say(error)

    def _say(self, error: OSError) -> None:
        self.trouble = _words(error)

    def _remove(self, path: Path) -> None:
        try:
            self._disk.remove(path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._postpone(error)

    def _shorten(self) -> None:
        """Take a piece off an old file; the last piece with its name."""
        path = self._old[0]
        try:
            file = self._disk.open(path)
            try:
                left = self._disk.size(file) - SHORTENED
                if left > 0:
                    self._disk.truncate(file, left)
            finally:
                self._disk.close(file)
            if left <= 0:
                self._disk.remove(path)
                self._old.popleft()
        except OSError:  # it is in nobody's way, and goes at the next start
            self._old.popleft()

    def _path(self, number: int) -> Path:
        return self._folder / f"{PREFIX}{number:08}"

    def next_deadline(self) -> float | None:
        """When `work` has something to do: 0 is at once."""
        if self._receiving:
            return None
        if self._draft is not None or self._old:
            return 0.0
        return self._retry_at if self.trouble is not None or self._unsound else None

    def close(self, steady: float = 0.0) -> None:
        """Everything that can be kept is kept when this returns."""
        if self._draft is not None:
            self._abandon()
        if self.trouble is not None:
            self.work(float("inf"), to_the_end=True)
        self.sync()
        if self._file is not None:
            if self.trouble is None:
                # Behind a clean stop even damage of the last group is found.
                mark = encode(FrameKind.KEPT, self.position, steady=steady, durable=self.durable)
                self._write_mark(mark)
            self._disk.close(self._file)
        while self._old:
            self._shorten()
        if self._lock is not None:
            self._disk.close(self._lock)
        self._file = self._lock = None

    def _write_mark(self, mark: bytes) -> None:
        assert self._file is not None
        try:
            write_all(self._disk, self._file, mark, self._end)
            self._disk.sync(self._file)
        except OSError as error:
            self._say(error)


class _Draft:
    """The next file, as long as it does not count."""

    def __init__(self, disk: Disk, path: Path, final: Path, blocks: Iterator[bytes] | None) -> None:
        self._disk, self.path, self.final, self._blocks = disk, path, final, blocks
        self.file = disk.create(path)
        self.end = 0
        self.state_records = 0
        self.error: OSError | None = None

    def next_block(self) -> bytes | None:
        return next(self._blocks, None) if self._blocks is not None else None

    def add(
        self, frames: Iterable[bytes | memoryview], *, state: bool = False, sync: bool = False
    ) -> bool:
        """False: the file is of no use any more, `error` says why."""
        try:
            for frame in frames:
                write_all(self._disk, self.file, frame, self.end)
                self.end += len(frame)
                if state:
                    self.state_records += _records(frame)
            if sync:
                self._disk.sync(self.file)
        except OSError as error:
            self.error = error
            return False
        return True


def _records(frame: bytes | memoryview) -> int:
    return len(frame) // OCTETS  # a header is shorter than a record


def set_aside(folder: Path, disk: Disk | None = None) -> list[Path]:
    """Rename what cannot be read, so that a start without it is possible and it is not lost."""
    disk = disk or Disk()
    moved = []
    for number in _numbers(disk.names(folder)):
        path = folder / f"{PREFIX}{number:08}"
        disk.rename(path, path.with_name(path.name + ASIDE))
        moved.append(path.with_name(path.name + ASIDE))
    disk.sync_folder(folder)
    return moved


def _numbers(names: Iterable[str]) -> list[int]:
    """Of complete files, in order."""
    return sorted(
        int(name.removeprefix(PREFIX))
        for name in names
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).isdecimal()
    )


def _words(error: OSError) -> str:
    return (error.strerror or os.strerror(error.errno or errno.EIO)).lower()
