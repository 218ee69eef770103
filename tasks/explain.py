"""Why a line stands in a router's configuration: `hacc explain HOST LINE`."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import HaccError, Place, Problem
from .rendered import File, Line, Rendered


class NothingToExplain(HaccError):
    """No rendered line is meant, or none is so numbered."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One rendered line, the template's line that made it, the intent's lines that stand in it."""

    host: str
    file: str
    number: int  # from 1
    line: Line

    @property
    def template(self) -> Place:
        return self.line.template

    @property
    def intent(self) -> tuple[Place, ...]:
        return self.line.intent

    def __str__(self) -> str:
        places = ", ".join(map(str, self.intent))
        return (
            f"{self.host} {self.file}:{self.number}: {self.line.text.strip()}\n"
            f"  made by {self.template}\n  because of {places}"
        )


def explain(rendered: Rendered, line: str) -> tuple[Origin, ...]:
    """Where `line` comes from: `N`, `FILE:N`, or a fragment of text that lines contain.

    A number counts in the router's first file unless the end of a path says which file is meant;
    a fragment is compared without regard to case and to the width of blanks, and may have several
    answers. Raises `NothingToExplain` with the nearest thing to try.
    """
    path, _, number = line.rpartition(":")
    if number.isdecimal():
        file = _file(rendered, path)
        if file:
            return (_numbered(rendered, file, int(number)),)
    wanted = _plain(line)
    found = tuple(
        Origin(rendered.host, file.path, number, each)
        for file in rendered.files
        for number, each in enumerate(file.lines, 1)
        if wanted and wanted in _plain(each.text)
    )
    if not found:
        raise NothingToExplain(
            Problem(
                None,
                rendered.host,
                f"no rendered line contains {line!r}",
                allowed="a line's number, FILE:NUMBER, or a part of its text",
                hint=f"hacc render {rendered.host} shows all lines",
            )
        )
    return found


def _file(rendered: Rendered, path: str) -> File | None:
    if not path:
        return rendered.files[0]
    return next((file for file in rendered.files if file.path.endswith(path)), None)


def _numbered(rendered: Rendered, file: File, number: int) -> Origin:
    if not 1 <= number <= len(file.lines):
        raise NothingToExplain(
            Problem(
                None,
                rendered.host,
                f"{file.path} has no line {number}",
                allowed=f"1-{len(file.lines)}",
            )
        )
    return Origin(rendered.host, file.path, number, file.lines[number - 1])


def _plain(text: str) -> str:
    return " ".join(text.split()).lower()
