"""A disk that fails at any call and a machine that dies at any octet; a table to be kept by them.

The model of a disk is the system's promise and no more. A write reaches the kernel; what reaches
the platter before `sync` is any set of its sectors, in any order. A name that was given reaches it
with `sync_folder`, or by chance before. A process that dies leaves what the kernel has.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct

from hacc_agent.disk import Disk
from hacc_agent.engine.log import FrameKind, Position, encode

SECTOR = 512
FOLDER = Path("/state")
ROW = Struct("<QQ48x")


class Died(BaseException):
    """The machine stands still: whatever is tried after this does not happen."""


@dataclass(slots=True)
class File:
    octets: bytearray = field(default_factory=bytearray)  # as the kernel shows them
    safe: bytes = b""  # as they were at the last `sync`
    unsafe: list[tuple[int, bytes]] = field(default_factory=list)  # writes since

    def after_power_failure(self, chance: random.Random) -> File:
        """What one platter might hold: any sectors of what was written since the last `sync`."""
        left = bytearray(self.safe)
        for at, octets in self.unsafe:
            begin = at
            while begin < at + len(octets):
                end = min(at + len(octets), (begin // SECTOR + 1) * SECTOR)
                if chance.random() < 0.5:
                    left.extend(bytes(max(0, end - len(left))))
                    left[begin:end] = octets[begin - at : end - at]
                begin = end
        return File(left, bytes(left))


class Platter(Disk):
    """Counts calls. From `fails_from` on and until `fails_to` they raise; at `dies_at` it dies."""

    def __init__(self, files: dict[str, File] | None = None) -> None:
        self.files = files or {}
        self.safe_names = dict(self.files)
        self.opened: dict[int, File] = {}
        self.calls = 0
        self.dies_at: int | None = None
        self.fails_from = self.fails_to = -1
        self.error = errno.EIO

    def after_power_failure(self, chance: random.Random) -> Platter:
        names = self.files if chance.random() < 0.5 else self.safe_names
        return Platter({name: file.after_power_failure(chance) for name, file in names.items()})

    def after_death(self) -> Platter:
        """The process is gone, the machine is not."""
        return Platter(
            {n: File(bytearray(f.octets), bytes(f.octets)) for n, f in self.files.items()}
        )

    def _call(self) -> None:
        self.calls += 1
        if self.dies_at is not None and self.calls >= self.dies_at:
            raise Died
        if self.fails_from <= self.calls < self.fails_to:
            raise OSError(self.error, os.strerror(self.error))

    def names(self, folder: Path) -> list[str]:
        assert folder == FOLDER
        self._call()
        return list(self.files)

    def create(self, path: Path) -> int:
        self._call()
        self.files[path.name] = File()
        return self._open(self.files[path.name])

    def open(self, path: Path) -> int:
        self._call()
        if path.name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self._open(self.files[path.name])

    def _open(self, file: File) -> int:
        number = len(self.opened) + 3
        self.opened[number] = file
        return number

    def size(self, file: int) -> int:
        return len(self.opened[file].octets)

    def read(self, file: int, count: int, at: int) -> bytes:
        return bytes(self.opened[file].octets[at : at + count])

    def write(self, file: int, octets: bytes | memoryview, at: int) -> int:
        """Who dies or fails in it has written the half: a torn or short write."""
        try:
            self._call()
        except (Died, OSError):
            half = bytes(octets[: len(octets) // 2])
            self._write(self.opened[file], half, at)
            if self.calls == self.fails_from and half:
                return len(half)
            raise
        self._write(self.opened[file], bytes(octets), at)
        return len(octets)

    def _write(self, file: File, octets: bytes, at: int) -> None:
        assert at <= len(file.octets), "a hole in the file"
        file.octets[at : at + len(octets)] = octets
        file.unsafe.append((at, octets))

    def sync(self, file: int) -> None:
        self._call()
        chosen = self.opened[file]
        chosen.safe = bytes(chosen.octets)
        chosen.unsafe.clear()

    def sync_beside(self, file: int) -> Future[None]:
        done = Future[None]()
        try:
            self.sync(file)
        except OSError as error:
            done.set_exception(error)
        else:
            done.set_result(None)
        return done

    def truncate(self, file: int, size: int) -> None:
        self._call()
        del self.opened[file].octets[size:]

    def rename(self, old: Path, new: Path) -> None:
        self._call()
        self.files[new.name] = self.files.pop(old.name)

    def remove(self, path: Path) -> None:
        self._call()
        del self.files[path.name]

    def sync_folder(self, folder: Path) -> None:
        assert folder == FOLDER
        self._call()
        self.safe_names = dict(self.files)

    def close(self, file: int) -> None:
        assert file in self.opened  # what is not on the platter yet stays where it is

    def lock(self, path: Path) -> int | None:
        assert path.parent == FOLDER
        return self._open(File())

    def make_folder(self, folder: Path) -> None:
        assert folder == FOLDER


class Rows:
    """Rows by a number. Group n of a log says that some of them are n now."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}

    def apply(self, records: bytes) -> None:
        for key, value in ROW.iter_unpack(records):
            if value:
                self.rows[key] = value
            else:
                self.rows.pop(key, None)

    def snapshot(self) -> Iterator[bytes]:
        """Three rows at a time, each as it is when its block is taken."""
        keys = sorted(self.rows)
        for at in range(0, len(keys), 3):
            yield b"".join(
                ROW.pack(key, self.rows[key]) for key in keys[at : at + 3] if key in self.rows
            )

    def expect(self, rows: int, names: int) -> None:
        """It has no memory of its own to get ready."""

    def clear(self) -> None:
        self.rows.clear()

    def digest(self) -> int:
        return hash(frozenset(self.rows.items())) & (2**64 - 1)


def group(number: int) -> bytes:
    """The records of group n: two rows become n, one goes."""
    return (
        ROW.pack(number % 7, number) + ROW.pack(100 + number % 11, number) + ROW.pack(number % 5, 0)
    )


def after(number: int) -> dict[int, int]:
    """The rows when groups 1 to n were applied."""
    rows = Rows()
    for each in range(1, number + 1):
        rows.apply(group(each))
    return rows.rows


def frame(number: int, history: int = 7, durable: int = 0) -> bytes:
    return encode(
        FrameKind.CHANGES,
        Position(history, number),
        group(number),
        steady=float(number),
        durable=durable,
    )
