"""What is going on, while it goes on: a table on a terminal, plain lines in a pipe, or JSON lines.

Always on standard error: standard output belongs to the result.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .runner import Event, Stage

# Stages that a person at a pipe wants to read: each is news, and none comes often.
_NEWS = frozenset(
    {
        Stage.TRUST,
        Stage.PUSH,
        Stage.REVERT,
        Stage.DONE,
        Stage.FAILED,
        Stage.SKIPPED,
        Stage.WAVE,
        Stage.BATCH,
        Stage.PAUSED,
        Stage.STOP,
    }
)
_STYLE = {Stage.DONE: "green", Stage.FAILED: "bold red", Stage.REVERT: "yellow"}
_ROWS = 24  # of a large fleet, those that moved last


class Progress:
    """Listens to a run's events. Use it as a context manager."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._stages: dict[str, Event] = {}
        self._live: Live | None = None
        if self._console.is_terminal and not as_json:
            self._live = Live(console=self._console, transient=True, refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody else for a while."""
        if self._live:
            self._live.stop()
        yield
        if self._live:
            self._live.start()

    def say(self, text: str) -> None:
        if not self._json:
            self._console.print(Text(text, "dim"))

    def listen(self, event: Event) -> None:
        if self._json:
            record = {
                "at": event.at.isoformat(),
                "host": event.host,
                "stage": str(event.stage),
                "text": event.text,
            }
            print(json.dumps(record), file=sys.stderr, flush=True)
            return
        if self._live and event.host:
            self._stages.pop(event.host, None)
            self._stages[event.host] = event
            self._live.update(self._table())
        if event.stage in _NEWS and (
            event.host == "" or event.stage is not Stage.PUSH or not self._live
        ):
            self._console.print(self._line(event))

    def _line(self, event: Event) -> Text:
        line = Text(f"{event.at:%H:%M:%S} ", "dim")
        first = event.text.splitlines()[0] if event.text else ""
        return line.append(f"{event.host or '-':<12} ").append(
            f"{event.stage:<8} {first}".rstrip(), _STYLE.get(event.stage, "")
        )

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for host, event in [*self._stages.items()][-_ROWS:]:
            first = event.text.splitlines()[0] if event.text else ""
            table.add_row(host, Text(str(event.stage), _STYLE.get(event.stage, "cyan")), first)
        return table
