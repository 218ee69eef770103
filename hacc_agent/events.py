"""What has happened to the cluster, the latest of it in memory: `hacc-agent events`.

Decisions and what led to them, not packets: a line here is also one in the log, and who looks after
a failover finds in one place in which order things went, in milliseconds.
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

    def note(self, event: str, **fields: str | int | float) -> None:
        """This has happened now."""
        self._kept.append({"at": self._clock().wall, "event": event, **fields})
        self._logs.info(event, **fields)

    def latest(self, count: int) -> Iterator[dict[str, Any]]:
        """The oldest of them first."""
        yield from list(self._kept)[-count:]
