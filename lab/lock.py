"""One `up`, `down`, `break` or `mend` of a lab at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import RouterFailed


@contextlib.contextmanager
def locked(
    folder: Path, name: str, *, last: bool = False, seconds: float = 120.0
) -> Iterator[None]:
    """Hold the lab's lock. `last` takes the lock file away afterwards.

    A process that is killed between fork and exec of a router still holds the lock, so `down`
    cannot look for the router before its mark can be seen.
    """
    folder.mkdir(exist_ok=True, mode=0o755)
    path, end = folder / f"{name}.lock", time.monotonic() + seconds
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                break  # else the one who held it has taken the file away: ours is nobody's lock
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(descriptor)
                raise RouterFailed(
                    f"lab {name}: another `hacc lab` command has been at work for {seconds:g} s"
                ) from None
        os.close(descriptor)
        time.sleep(0.05)
    try:
        yield
    finally:
        if last:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
        os.close(descriptor)
