"""The journal of a run: every line that was sent, on disk before it was sent.

One JSON object a line. A record is written and synchronised *before* the bytes leave for the
router, so that after any crash the journal holds at least what the routers have seen. Secrets
stay sealed: what is journalled is the line with its tokens, never the line that was sent.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

Kind = Literal["step", "send", "state"]
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Entry:
    """A record: a step of the run, a line for a router, or the state that a router is in."""

    at: str  # RFC 3339, UTC, microseconds
    host: str  # empty: the run as a whole
    kind: Kind
    text: str


class Journal:
    """Appends. Safe to use from many threads; records of one call stay together."""

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._forgiving = False
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        os.ftruncate(self._file, _whole(path))  # a record cut short by a crash would spoil the next

    def close(self) -> None:
        os.close(self._file)

    def forgive(self) -> None:
        """From now on a full disk stops nobody: the way back comes before its record."""
        self._forgiving = True

    def record(self, host: str, kind: Kind, *texts: str) -> None:
        """Write and synchronise; when this returns, the records survive a power failure."""
        at = self._now().strftime(TIME_FORMAT)
        lines = (
            json.dumps({"at": at, "host": host, "kind": kind, "text": text}, ensure_ascii=False)
            for text in texts
        )
        data = "".join(f"{line}\n" for line in lines).encode()
        with self._lock:
            before = os.fstat(self._file).st_size
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._file, view) :]
                os.fdatasync(self._file)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, before)  # all of it or nothing
                if not self._forgiving:
                    raise


def _whole(path: Path) -> int:
    """How many octets of a journal are whole records."""
    return path.read_bytes().rfind(b"\n") + 1


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Read a journal. A last line cut short by a crash was never acted upon, and is left out."""
    for line in lines:
        if not line.endswith("\n"):
            return
        record = json.loads(line)
        yield Entry(record["at"], record["host"], record["kind"], record["text"])
