"""The matrix: one row for each thing that a text asks of a Home Agent, with a scene that shows it.

    @row("5944-3.8.2.1", "no-mhae-dropped", "A request without authorization ... is discarded.")
    def _(scene): ...

A row's test has its section and its name as id; `docs/conformance.md` is made of the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hacc_agent.config import Readings
from tests.hacc_agent.conformance.scene import Scene

Play = Callable[[Scene], None]


@dataclass(frozen=True)
class Row:
    section: str  # number of the RFC, and of the section in it
    name: str
    says: str
    play: Play
    reading: str  # of the readings, the one that the row needs; empty: any
    changes: dict[str, Any]

    @property
    def id(self) -> str:
        return f"rfc{self.section}-{self.name}"

    @property
    def rfc(self) -> int:
        return int(self.section.split("-")[0])

    def perform(self) -> Scene:
        scene = Scene(**self.changes)
        self.play(scene)
        return scene


ROWS: list[Row] = []


def row(section: str, name: str, says: str, **changes: Any) -> Callable[[Play], Play]:
    """Adds a row. `changes` are to the configuration of its scene."""
    readings: Readings | None = changes.get("readings")
    usual = Readings()
    chosen = [
        f"{each} = {getattr(readings, each)}"
        for each in Readings.__slots__
        if readings is not None and getattr(readings, each) != getattr(usual, each)
    ]

    def add(play: Play) -> Play:
        ROWS.append(Row(section, name, says, play, ", ".join(chosen), changes))
        return play

    return add
