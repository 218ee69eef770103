"""What surrounds a check that a timer may have started: alone, recorded, measured, told."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from .. import locks, metrics
from ..errors import HaccError, Problem
from ..findings import Area, Checked
from ..opening import open_all
from ..pipeline import Prepared
from ..settings import Channel
from .record import Kind
from .recording import Draft, Recorder, Say, recorder


@contextmanager
def checking(
    root: Path,
    url: str,
    prepared: Prepared,
    *,
    areas: Collection[Area],
    measure: Path | None,
    notify: bool,
    say: Say,
) -> Iterator[Draft]:
    """One check of an inventory at a time, and none while a run changes routers: what it found
    would be the change. The body says what it found (`Draft.checked`); `measure` is a file for
    Prometheus. What cannot be recorded or told is said, and changes no exit code.
    """
    if measure is not None:
        metrics.check_name(measure)
    books = recorder(root, url, say)
    channels = books.settings.notify if notify else ()
    if notify and not channels:
        raise HaccError(
            Problem(books.settings.history.place, "--notify", "there is nobody to tell",
                    hint='name channels in defaults.yaml: notify: ["env:NAME"]')
        )  # fmt: skip
    urls = open_all({c.url: c.place for c in channels}, root, os.environ) if channels else {}
    locks.refuse_while_held(books.work / "lock", "a run that changes routers")
    with locks.sole(books.work / "check.lock", "another check from this directory"), _ending():
        with books.recording(Kind.CHECK, prepared) as draft:
            draft.record = replace(draft.record, areas=tuple(areas))
            yield draft
        checked = draft.seen
        if checked is None:
            return
        if measure is not None:
            metrics.write(measure, checked)
        if channels:
            _tell(books, channels, urls, checked, areas, draft.record.name)


@contextmanager
def _ending() -> Iterator[None]:
    """A timer that ends a run by SIGTERM ends it as Ctrl-C does: it lets go, and records itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(
    books: Recorder,
    channels: Collection[Channel],
    urls: dict[str, str],
    checked: Checked,
    areas: Collection[Area],
    run: str,
) -> None:
    from .store import History
    from .telling import tell

    try:
        with History.open(books.location) as history:
            for problem in tell(history, channels, urls, checked, areas, run, datetime.now(UTC)):
                books.say([problem])
    except HaccError as error:  # without a history nobody knows what was told: nothing is
        books.say(error.problems)
        books.say(
            [
                Problem(
                    None,
                    "notify",
                    "not everybody was told, since what was told could not be kept",
                    hint="the next run tells the same news",
                )
            ]
        )
