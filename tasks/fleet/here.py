"""One process: part by part. What the others are made of, and what small fleets need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..pipeline import Opened
from ..runner import Listener, Stop
from .parts import Part
from .work import Outcome, Work, interrupted, perform

T = TypeVar("T")


class Here:
    """A `Runner` in the process that asks."""

    def __init__(
        self,
        opened: Opened,
        known_hosts: Path,
        stop: Stop,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self._opened = opened
        self._known_hosts = known_hosts
        self._stop = stop
        self._listeners = tuple(listeners)

    def map(self, work: Work[T], parts: Sequence[Part]) -> Iterator[Outcome[T]]:
        with self._stop.on_interrupt():
            for part in parts:
                yield interrupted(part) if self._stop else self.one(work, part)

    def one(self, work: Work[T], part: Part) -> Outcome[T]:
        return perform(
            work,
            part,
            self._opened,
            self._known_hosts,
            listeners=self._listeners,
            stop=self._stop,
        )
