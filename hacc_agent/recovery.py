"""Reads a journal back, and tells the end of a log from a hole in it.

A process that dies leaves at most one frame torn, the last. A machine that dies may also leave a
later group on the disk and an earlier one not, as long as neither was synchronised: every frame
says up to where its writer had synchronised, so a hole is the end of the log exactly if no frame
behind it calls what is missing safe. Otherwise the disk lost what it had promised to keep, and
nothing here is decided by guessing: the error says where, and that the state can be had elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .disk import Disk
from .engine.log import (
    START,
    Damaged,
    Frame,
    FrameKind,
    Newer,
    Position,
    count_of,
    decode,
    frames_behind,
)
from .engine.record import OCTETS, Kind
from .quickening import read_long_logs

BLOCK: Final = 8 << 20  # octets read at a time; several of the longest frames
PORTION: Final = 4 << 20  # octets applied at a time: 65536 records, where numpy is at its best
LONG: Final = 16 << 20  # octets of a journal: a quarter of a million records
RESYNC: Final = (
    "hacc-agent run --resync sets it aside and takes the bindings from the other routers"
)

Apply = Callable[[bytes], None]
Expect = Callable[[int, int], None]
"""(rows, names): about so many will be applied; what they need can be got ready."""


class JournalError(Exception):
    """A journal that the daemon must not go on with. Says where, and what to do."""

    def __init__(self, path: Path, message: str, hint: str = "", *, at: int | None = None) -> None:
        place = f"{path}: " if at is None else f"{path}: octet {at}: "
        super().__init__(f"{place}{message}" + (f" [hint: {hint}]" if hint else ""))
        self.path = path
        self.at = at


class JournalDamaged(JournalError):
    """What was safe on the disk is not there any more."""


class JournalNewer(JournalError):
    """A newer version of the program wrote it."""


class JournalLocked(JournalError):
    """Another process writes it."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a journal held."""

    position: Position = START  # the last group that was applied
    steady: float = 0.0  # s, when it was written: our steady clock must not begin before it
    records: int = 0
    groups: int = 0
    end: int = 0  # octets of the file that count
    torn: int = 0  # octets behind them that do not: nobody was told of what they say


class _Reader:
    """One pass through a file."""

    def __init__(self, path: Path, cluster: str, apply: Apply, get_ready: Apply) -> None:
        """`get_ready` is called with the first records, before `apply` is."""
        self._path, self._cluster, self._apply = path, cluster, apply
        self._get_ready: Apply | None = get_ready
        self._waiting: list[memoryview] = []
        self._waiting_octets = 0
        self._begun = False
        self._complete = False
        self._state_records = 0
        self.position, self.steady, self.at = START, 0.0, 0
        self.records = self.groups = 0

    def take(self, frame: Frame) -> None:
        match frame.kind:
            case FrameKind.CHANGES if self._begun:
                if frame.sequence != self.position.sequence + 1:
                    raise self.damaged(f"group {frame.sequence} stands here")
                self.position = frame.position
                self.groups += 1
                self._hold(frame)
            case FrameKind.BEGIN if not self._begun:
                self._begun = True
                if bytes(frame.payload) != self._cluster.encode():
                    other = bytes(frame.payload).decode(errors="replace")
                    raise JournalError(
                        self._path,
                        f"this is the journal of cluster {other!r}, not of {self._cluster!r}",
                        "give each cluster a state_directory of its own",
                    )
                self.position = frame.position
            case FrameKind.STATE if self._begun and not self._complete:
                self._state_records += len(frame.payload) // OCTETS
                self._hold(frame)
            case FrameKind.COMPLETE if self._begun and not self._complete:
                if count_of(frame) != self._state_records:
                    raise self.damaged("a part of the state is missing")
                self._complete = True
            case FrameKind.KEPT if self._complete:
                pass
            case _:
                raise self.damaged(f"a frame of kind {frame.kind} is out of place")
        self.steady = max(self.steady, frame.steady)
        self.at += frame.octets

    def _hold(self, frame: Frame) -> None:
        self.records += len(frame.payload) // OCTETS
        self._waiting.append(frame.payload)
        self._waiting_octets += len(frame.payload)
        if self._waiting_octets >= PORTION:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            records = b"".join(self._waiting)
            if self._get_ready is not None:
                self._get_ready(records)
                self._get_ready = None
            self._apply(records)
            self._waiting.clear()
            self._waiting_octets = 0

    def damaged(self, what: str) -> JournalDamaged:
        return JournalDamaged(
            self._path,
            f"damaged behind group {self.position.sequence}: {what}",
            RESYNC,
            at=self.at,
        )

    def judge_end(self, behind: memoryview, what: str) -> None:
        """Raises if this cannot be where the log ends."""
        if not self._complete:  # a file gets its name when its state is safe on the disk
            raise self.damaged(what or "the state in it is cut short")
        missing = self.position.sequence + 1
        for frame in frames_behind(behind, 1):
            if frame.durable >= missing:
                raise self.damaged(f"{what}, and it had been safe on the disk")


def read(
    disk: Disk, file: int, path: Path, cluster: str, apply: Apply, expect: Expect | None
) -> Recovered:
    """Apply everything that a journal holds, in order. Raises `JournalError`."""
    size = disk.size(file)
    loading = read_long_logs() if size >= LONG else None

    def get_ready(first: bytes) -> None:
        """The kernel clears memory while the code is loaded: each takes some tenths of a second."""
        if loading is not None:
            if expect is not None:
                expect(*_extrapolate(first, size))
            loading.join()

    reader = _Reader(path, cluster, apply, get_ready)
    what = ""
    while reader.at < size and not what:
        block = memoryview(_read(disk, file, path, BLOCK, reader.at))
        begin = reader.at
        try:
            while (frame := decode(block, reader.at - begin)) is not None:
                reader.take(frame)
                if reader.at - begin == len(block):
                    break
            else:
                if begin + len(block) >= size:
                    what = "the frame is cut short"
        except Damaged as damaged:
            what = str(damaged)
        except Newer as newer:
            raise JournalNewer(
                path,
                f"written by a newer version of hacc-agent: {newer}",
                "install that version again; this file was left as it is",
                at=reader.at,
            ) from None
    left = _read(disk, file, path, size - reader.at, reader.at) if what else b""
    reader.judge_end(memoryview(left), what)
    reader.flush()
    return Recovered(
        reader.position,
        reader.steady,
        reader.records,
        reader.groups,
        reader.at,
        size - reader.at,
    )


def _extrapolate(first: bytes, size: int) -> tuple[int, int]:
    """Rows and names of a journal of so many octets, whose first records are these."""
    kinds = first[::OCTETS]
    names = kinds.count(Kind.NAME)
    rows = kinds.count(Kind.BINDING) + kinds.count(Kind.CLOSED)
    of_all = size / len(first)
    return int(rows * of_all), int(names * of_all)


def _read(disk: Disk, file: int, path: Path, count: int, at: int) -> bytes:
    try:
        octets = disk.read(file, count, at)
    except OSError as error:
        raise JournalDamaged(
            path, f"cannot be read: {(error.strerror or str(error)).lower()}", RESYNC, at=at
        ) from error
    if not octets:
        raise JournalDamaged(path, "became shorter while it was read", RESYNC, at=at)
    return octets
