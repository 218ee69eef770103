"""The few calls that a journal makes to the operating system, so that tests can fail each of them.

Every method is one system call or two, raises OSError as the system does, and promises no more than
the system does: what was written is in the kernel's memory until it is synchronised, and a name is
in its folder only after the folder was synchronised too.
"""

from __future__ import annotations

import errno
import fcntl
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600


class Disk:
    """The real one."""

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(0o700, parents=True, exist_ok=True)

    def names(self, folder: Path) -> list[str]:
        return os.listdir(folder)

    def create(self, path: Path) -> int:
        """An empty file, to be written and read."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE)

    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def size(self, file: int) -> int:
        return os.fstat(file).st_size

    def read(self, file: int, count: int, at: int) -> bytes:
        return os.pread(file, count, at)

    def write(self, file: int, octets: bytes | memoryview, at: int) -> int:
        """How many were written: a disk that fills up takes a part."""
        return os.pwrite(file, octets, at)

    def sync(self, file: int) -> None:
        os.fdatasync(file)

    def sync_beside(self, file: int) -> Future[None]:
        """`sync` in a thread, of what was written until now at least. The file may be closed."""
        return _beside.submit(_sync_and_close, os.dup(file))

    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)

    def remove(self, path: Path) -> None:
        os.unlink(path)

    def sync_folder(self, folder: Path) -> None:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def close(self, file: int) -> None:
        os.close(file)

    def lock(self, path: Path) -> int | None:
        """An exclusive lock, gone with the process however it ends. None: somebody else has it."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise
        return file


_beside = ThreadPoolExecutor(1, "disk")  # makes its thread when it is used first


def _sync_and_close(file: int) -> None:
    try:
        os.fdatasync(file)
    finally:
        os.close(file)


def write_all(disk: Disk, file: int, octets: bytes | memoryview, at: int) -> None:
    """Raises OSError when the disk takes less; the next try writes over what it took."""
    view = memoryview(octets)
    while view:
        count = disk.write(file, view, at)
        if not count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view, at = view[count:], at + count
