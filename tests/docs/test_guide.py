"""The guide, followed by somebody who types what stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.lab import Lab
from lab.topology import load_topology
from tests.docs.reference import DOCS

pytestmark = pytest.mark.lab

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"^\[exit (\d+)(?: or (\d+))?\]$")
SECONDS = 400.0  # for all of it, which takes a minute
END = "end-of-command"


@dataclass(frozen=True)
class Typed:
    command: str
    printed: tuple[str, ...]  # lines, in which `...` stands for anything
    codes: tuple[int, ...]  # any of them


def typed() -> Iterator[Typed]:
    for block in BLOCK.findall((DOCS / "guide.md").read_text()):
        first, *others = re.split(r"^\$ ", block, flags=re.MULTILINE)
        assert not first, "a block begins with a command"
        for each in others:
            command, *lines = each.splitlines()
            code = EXIT.match(lines[-1]) if lines else None
            codes = tuple(int(each) for each in code.groups() if each) if code else (0,)
            yield Typed(command, tuple(lines[: -1 if code else None]), codes)


def form(lines: tuple[str, ...]) -> re.Pattern[str]:
    """A line of `...` alone stands for any number of lines, else for anything within one."""
    parts = [
        r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r" *\n"
        for line in lines
    ]
    return re.compile("".join(parts))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if (tmp_path / "house").exists():
        Lab(load_topology(tmp_path / "house" / "inventory"), keep_host_keys=False).down()


def test_it_leads_from_nothing_to_a_drill(place: Path) -> None:
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "COLUMNS": "120"}
    with subprocess.Popen(
        ["sh"],
        cwd=place,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        bound = threading.Timer(SECONDS, shell.kill)
        bound.start()
        try:
            for each in typed():
                printed, code = answer(shell, each.command)
                said = f"$ {each.command}\n{printed}"
                assert code in each.codes, said
                assert form(each.printed).fullmatch(printed), said
        finally:
            bound.cancel()
            shell.kill()


def answer(shell: subprocess.Popen[str], command: str) -> tuple[str, int]:
    """What a command of the shell prints, and its exit code."""
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(f"{{ {command}\n}} </dev/null\ncode=$?; echo; echo {END} $code\n")
    shell.stdin.flush()
    printed = ""
    for line in shell.stdout:
        if line.startswith(END):
            return printed.removesuffix("\n"), int(line.split()[1])
        printed += line
    raise AssertionError(f"{command} takes too long\n{printed}")
