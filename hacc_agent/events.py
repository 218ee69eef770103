"""What has happened to the cluster, the latest of it in memory: `hacc-agent events`.

Decisions and what led to them, not packets: a line here is also one in the log, and who looks after
a failover finds in one place in which order things went, in milliseconds. Each has an id, by which
who asks again and again gets every event once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from .engine.effects import Moment
from .logs import Logs

KEPT: Final = 512


class Events:
    def __init__(self, logs: Logs, clock: Callable[[], Moment]) -> None:
        self._logs, self._clock = logs, clock
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._term = f"{clock().wall * 1000:.0f}"  # of this daemon: those before it had others
        self._number = 0

    def note(self, event: str, **fields: str | int | float) -> None:
        """This has happened now."""
        self._number += 1
        name = f"{self._term}-{self._number}"
        self._kept.append({"id": name, "at": self._clock().wall, "event": event, **fields})
        self._logs.info(event, **fields)

    def latest(self, count: int, after: str = "") -> Iterator[dict[str, Any]]:
        """The oldest of them first. `after` is the id of one that is known, and all before it.

        One of another daemon, of before a restart, is before all that there are here.
        """
        term, _, number = after.rpartition("-")
        known = int(number) if term == self._term and number.isdecimal() else 0
        fresh = min(self._number - known, len(self._kept), count) if known < self._number else 0
        yield from list(self._kept)[len(self._kept) - fresh :]
