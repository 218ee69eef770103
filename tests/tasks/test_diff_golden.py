"""One case a file: what the router holds, what is intended, and every command that follows.

The expected part of a file is read by people before it is trusted. To write it anew after a change
of the engine, run this module with HACC_GOLDEN=update and read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from tasks.diff import Changes, Command, diff, merge
from tasks.errors import Place
from tasks.rendered import File, Line, Owner, Platform

CASES = sorted((Path(__file__).resolve().parent.parent / "golden" / "diff").glob("*.yaml"))
EXPECTED = ("lines", "commands", "undo", "impact")


def rendered(text: str, owns: list[str] | None) -> File:
    """The intended side of a case; without patterns everything is ours."""
    lines = tuple(
        Line(line, Place("case.j2", number), ()) for number, line in enumerate(text.split("\n"), 1)
    )
    owner = Owner.WHOLE if owns is None else Owner.LINES
    return File("running-config", 0o600, owner, tuple(owns or ()), lines)


def typed(commands: Iterable[Command]) -> str:
    """Commands as one would type them, each with what it interrupts."""
    out: list[str] = []
    context: tuple[str, ...] = ()
    for command in commands:
        for depth, header in enumerate(command.context):
            if context[: depth + 1] != command.context[: depth + 1]:
                out.append(" " * depth + header)
        context = command.context
        interrupts = f"  ! {command.impact}" if command.impact else ""
        out.append(" " * len(context) + command.text + interrupts)
    return "".join(f"{line}\n" for line in out)


def answer(changes: Changes) -> dict[str, str]:
    return {
        "lines": "".join(f"{line.sign}{' ' * line.depth}{line.text}\n" for line in changes.lines),
        "commands": typed(changes.commands),
        "undo": typed(changes.undo),
        "impact": str(changes.impact),
    }


def write(path: Path, answered: dict[str, str]) -> None:
    """Keep the question as it was written, and write the answer behind it."""
    question = path.read_text().split("\nlines:")[0].rstrip("\n")
    body = "".join(
        f"{key}: |2\n" + "".join(f"  {line}\n" for line in answered[key].splitlines())
        if "\n" in answered[key]
        else f"{key}: {answered[key] or chr(39) * 2}\n"
        for key in EXPECTED
    )
    path.write_text(f"{question}\n{body}")


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_case(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    opened = case.get("opened") or {}
    file = rendered(case["after"].rstrip("\n"), case.get("owns"))

    changes = diff(case["before"], file, Platform.IOS, opened)
    after = merge(case["before"], file, Platform.IOS, opened)

    assert not diff(after, file, Platform.IOS, opened).lines, "the merged text still differs"
    for secret in (*opened.values(), *case.get("never", ())):
        assert secret not in repr(changes), "a secret in the open"
    if os.environ.get("HACC_GOLDEN") == "update":
        write(path, answer(changes))
        return
    assert answer(changes) == {key: case[key] for key in EXPECTED}
