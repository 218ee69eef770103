"""One at a time, by a lock on a file; who is refused is told who holds it, and since when.

The lock is the kernel's (flock): it ends with its process, however that ends. The text in the file
only tells about it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from . import who
from .errors import HaccError, Place, Problem

_LONGEST: Final = 2000  # octets of what is told of a holder


class Held(HaccError):
    """Somebody else is at it."""


@contextmanager
def sole(path: Path, what: str) -> Iterator[None]:
    """Hold the lock. Raises Held at once: a run that waits for another is one too many."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(lock, path, what) from None
        _tell(
            lock,
            f"{who.command()}, by {who.user()} on {who.machine()}, process {os.getpid()}, "
            f"since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n",
        )
        try:
            yield
        finally:
            os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def refuse_while_held(path: Path, what: str) -> None:
    """Raises Held if somebody holds the lock at this moment. Nothing is held afterwards."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held(lock, path, what) from None
    finally:
        os.close(lock)


def _held(lock: int, path: Path, what: str) -> Held:
    holder = os.pread(lock, _LONGEST, 0).decode(errors="replace").strip()
    return Held(
        Problem(
            Place(str(path), 0),
            "hacc",
            f"{what} is under way" + (f": {holder}" if holder else ""),
            hint="wait for it to end",
        )
    )


def _tell(lock: int, text: str) -> None:
    with suppress(OSError):  # a full disk: a way back needs its lock, not its label
        os.ftruncate(lock, 0)
        os.pwrite(lock, text.encode()[:_LONGEST], 0)
