"""Where findings go besides the terminal: `--output [FORMAT=]FILE`, as many as are wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console

from .. import durable
from ..errors import HaccError, Problem
from ..findings import Area, Checked, to_json
from ..inventory import nearest
from .baseline import Compared
from .junit import junit
from .page import page
from .sarif import sarif
from .table import show

STDOUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Report:
    """All that a run can be told from."""

    checked: Checked
    areas: Collection[Area]
    sentences: Mapping[str, str]  # what each rule asserts, by its id
    compared: Compared | None = None
    chart: str = ""  # an SVG of the checks before, or nothing


def _table(report: Report) -> bytes:
    text = StringIO()
    show(Console(file=text, width=10_000, highlight=False), report.checked, report.compared)
    return text.getvalue().encode()


FORMATS: Final[Mapping[str, Callable[[Report], bytes]]] = {
    "table": _table,
    "json": lambda report: to_json(report.checked),
    "junit": lambda report: junit(report.checked, report.areas, report.compared),
    "sarif": lambda report: sarif(report.checked, report.sentences, report.compared),
    "html": lambda report: page(report.checked, report.sentences, report.compared, report.chart),
}
_BY_SUFFIX: Final[Mapping[str, str]] = {
    ".txt": "table", ".json": "json", ".xml": "junit", ".sarif": "sarif", ".html": "html",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """One `--output`."""

    format: str
    file: str  # STDOUT: instead of the table on standard output

    def write(self, report: Report) -> None:
        """A file is replaced as a whole: a reader sees the old or the new."""
        data = FORMATS[self.format](report)
        if self.file == STDOUT:
            sys.stdout.buffer.write(data)
        else:
            durable.write(Path(self.file), data, mode=0o644)


def targets(words: Iterable[str]) -> tuple[Target, ...]:
    """What was asked for. Raises HaccError with all that cannot be, before a router is asked."""
    problems: list[Problem] = []
    found = []
    for word in words:
        name, _, file = word.rpartition("=")
        name = name or _BY_SUFFIX.get(Path(file).suffix, "")
        if name not in FORMATS:
            known = ", ".join(f"{each}=FILE" for each in FORMATS)
            what = f"{name!r} is no format" if name else "its format is not told by its name"
            problems.append(
                Problem(
                    None, f"--output {word}", what, known, nearest(name, FORMATS) if name else ""
                )
            )
        elif not file:
            problems.append(Problem(None, f"--output {word}", "names no file", "FILE, or -"))
        elif file != STDOUT and not Path(file).parent.is_dir():
            problems.append(
                Problem(None, f"--output {word}", f"there is no folder {Path(file).parent}")
            )
        else:
            found.append(Target(name, file))
    if sum(target.file == STDOUT for target in found) > 1:
        problems.append(Problem(None, "--output", "two go to standard output", "one FORMAT=-"))
    if problems:
        raise HaccError(problems)
    return tuple(found)
