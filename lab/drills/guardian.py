"""Mends what a drill broke, when the drill ends: in order, by Ctrl-C, or by SIGKILL.

A process in a session of its own, so that no signal that is meant for the drill reaches it. It
reads from a pipe that the drill holds open; the kernel closes that at the drill's end, whichever
end it is. Every fault of a drill stands in the lab's list with its owner before it is there
(`Lab.break_`), so what has to be mended needs no message that could be lost.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import LabError, NotRunning
from ..lab import Lab
from ..router import CODE
from ..topology import load_topology

ATTEMPTS: Final = 5
PAUSE_S: Final = 2.0
PATIENCE_S: Final = 180.0
"""For all of them: a whole site that was without power boots meanwhile."""


class Guardian:
    """The drill's end of it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def mended(self) -> bool:
        """Let it go to work, and wait; whether nothing is left of what the drill broke."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(PATIENCE_S) == 0
        except subprocess.TimeoutExpired:
            return False


def command(inventory: Path, name: str, owner: str) -> list[str]:
    """Of a guardian of this lab, for the faults of this owner."""
    code = (
        f"import sys; sys.path.insert(0, {str(CODE)!r}); "
        f"from {__name__} import main; sys.exit(main(sys.argv[1:]))"
    )
    return [sys.executable, "-c", code, str(inventory.resolve()), name, owner]


@contextmanager
def guarded(argv: Sequence[str], log: Path) -> Iterator[Guardian]:
    """While a drill runs. `log`: for what it has to say, which nobody else would hear."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    guardian = Guardian(process)
    try:
        yield guardian
    finally:
        guardian.mended()


def main(arguments: list[str]) -> int:
    inventory, name, owner = arguments
    lab = Lab(load_topology(Path(inventory), name))
    await_end()
    return restore(lab, owner)


def await_end() -> None:
    """Until nobody holds the other end of standard input any more."""
    while os.read(sys.stdin.fileno(), 64):
        pass


def restore(lab: Lab, owner: str) -> int:
    """0: nothing is left; else what is, is listed by `hacc lab status`."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S)
        try:
            for fault in lab.mend(owner=owner):
                print(f"{owner}: mended: {fault}", flush=True)
        except NotRunning as error:
            print(f"{owner}: {error}", flush=True)
            return 0  # the lab is down: its faults went with it
        except LabError as error:
            print(f"{owner}: {error}", flush=True)
        else:
            return 0
    return 1
