"""Hands a drill to the lab, in a process of its own, and takes what was measured.

JSON in, JSON out (`hacc lab drill`, `hacc lab simulate`): the orchestrator and the lab know nothing
of each other. When we end, however that is, the kernel tells the lab's process, which restores what
it broke and ends.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from pydantic import TypeAdapter

from hacc_agent.drills.drill import Drill
from hacc_agent.drills.measured import Measured
from hacc_agent.drills.rehearsed import Rehearsed

from ..ending import Finished
from ..errors import Exit
from ..rendered import Rendered

T = TypeVar("T")

_DIES_WITH_US: Final = ("setpriv", "--pdeathsig", "TERM", "--")
_HACC: Final = (sys.executable, "-m", "hacc_agent.orchestrator")


def play(
    root: Path, drill: Drill, tell: Callable[[str], None], *, name: str = "", seed: int = 1
) -> Measured:
    """On the virtual routers of an inventory. `name`: of the lab; empty: the inventory's own.

    Ends with the lab's exit code, and its words on standard error, where it measured nothing.
    """
    words = ["lab", "drill", "--inventory", str(root), "--seed", str(seed)]
    words += ["--name", name] if name else []
    asked = TypeAdapter(Drill).dump_json(drill)
    return _answered([*_DIES_WITH_US, *_HACC, *words], asked, TypeAdapter(Measured), tell)


def simulate(
    drill: Drill,
    routers: Iterable[Rendered],
    tell: Callable[[str], None],
    *,
    times: int = 1,
    seed: int = 1,
) -> Rehearsed:
    """In simulation, on the engines of a cluster whose routers are told these texts.

    Secrets are sealed in them, and stay so.
    """
    files = {one.host: {file.path: file.text for file in one.present} for one in routers}
    asked = TypeAdapter(tuple[Drill, dict[str, dict[str, str]]]).dump_json((drill, files))
    words = ["lab", "simulate", "--times", str(times), "--seed", str(seed)]
    return _answered([*_DIES_WITH_US, *_HACC, *words], asked, TypeAdapter(Rehearsed), tell)


def _answered(
    command: Sequence[str], asked: bytes, answer: TypeAdapter[T], tell: Callable[[str], None]
) -> T:
    found: T | None = None
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended already, and said why
            process.stdin.write(asked)
        with suppress(BrokenPipeError):
            process.stdin.close()
        while process.poll() is None or found is None:
            try:
                line = process.stdout.readline()
            except KeyboardInterrupt:
                # On a terminal it has heard that too; it restores, and tells what it has.
                process.send_signal(signal.SIGINT)
                continue
            if not line:
                break
            told = json.loads(line)
            if "doing" in told:
                tell(told["doing"])
            else:
                found = answer.validate_python(told)
        code = process.wait()
    if found is None:
        raise Finished(Exit(code) if code in [*Exit] and code else Exit.DEVICE)
    return found
