"""Runs of drills, kept so that the next one can be compared with them.

.hacc/drills/member-kill/20261123T223107Z-live.json     the drill, and what was measured
.hacc/drills/member-kill/20261123T223107Z-live.html     the same as a page
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from hacc_agent.drills.drill import Drill
from hacc_agent.drills.measured import Measured
from hacc_agent.drills.verdict import Verdict, judge

from .. import durable
from ..errors import HaccError, Place, Problem

KEPT: Final = 100
"""Of each drill: a year of one a few days apart, and a night of one after the other."""

LAST: Final = "last"


@dataclass(frozen=True, slots=True)
class Run:
    """A drill as its file was, and what came of it."""

    drill: Drill
    measured: Measured

    @property
    def name(self) -> str:
        """Sorts by time."""
        at = datetime.fromtimestamp(self.measured.began, UTC)
        return f"{at:%Y%m%dT%H%M%SZ}-{self.measured.stage}"

    @property
    def verdict(self) -> Verdict:
        return judge(self.drill, self.measured)


def keep(work: Path, run: Run) -> Path:
    """Writes it; the file. Those that are too many go, the oldest first."""
    folder = folder_of(work, run.drill.name)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.name}.json"
    durable.write(path, as_json(run))
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
        old.with_suffix(".html").unlink(missing_ok=True)
        old.unlink(missing_ok=True)
    return path


def kept(work: Path, name: str) -> Iterator[Run]:
    """The oldest first. What cannot be read, another version's, is passed over."""
    for path in sorted(folder_of(work, name).glob("*.json")):
        try:
            yield TypeAdapter(Run).validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue


def find(work: Path, name: str, run: str = LAST) -> tuple[Run, list[Run]]:
    """The run of that name, and those before it. Raises HaccError."""
    runs = list(kept(work, name))
    wanted = [number for number, one in enumerate(runs) if run in (LAST, one.name)]
    if not wanted:
        known = ", ".join(one.name for one in runs[-5:])
        place = Place(str(folder_of(work, name)), 0)
        message = f"no run {run!r}" if runs else "it has not been run"
        hint = f"the last are: {known}" if runs else f"hacc drill run {name}"
        raise HaccError(Problem(place, name, message, hint=hint))
    return runs[wanted[-1]], runs[: wanted[-1]]


def folder_of(work: Path, name: str) -> Path:
    return work / "drills" / name


def as_json(run: Run) -> bytes:
    return TypeAdapter(Run).dump_json(run, indent=1) + b"\n"
