"""`hacc lab simulate`: plays a drill that `hacc drill run --sim` has read and will judge.

JSON in, JSON out, as `hacc lab drill`: a drill and the texts of its routers come in; lines tell how
many runs are done, and the last one what came of them.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import Annotated, Final, NamedTuple

import typer
from pydantic import TypeAdapter, ValidationError

from hacc_agent.drills.drill import Drill

from ..errors import LabError
from ..options import told

REPORTED: Final = 20  # runs between two lines


class Asked(NamedTuple):
    """What comes in."""

    drill: Drill
    files: dict[str, dict[str, str]]  # of routers: path -> text


def simulate(
    times: Annotated[int, typer.Option(min=1, help="Runs, each with other chance.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the first run; the next has the next.")] = 1,
) -> None:
    """Play a drill in simulation: JSON in, JSON out. People use `hacc drill run --sim`."""
    # The engines are not what somebody waits for who enters a router.
    from hacc_agent.drills.rehearsed import Rehearsed, telling

    from .blueprint import blueprint
    from .rehearsal import cast, play, rehearse

    with told():
        try:
            asked = TypeAdapter(Asked).validate_json(sys.stdin.buffer.read())
        except ValidationError as error:
            raise LabError(f"no drill: {error}", hint="hacc drill run NAME --sim") from None
        plan, drill = blueprint(asked.files, asked.drill.cluster), cast(asked.drill)
        runs = []
        for run in rehearse(drill, plan, range(seed, seed + times), 1 if times == 1 else 0):
            runs.append(run)
            if not len(runs) % REPORTED:
                told_so_far = {"doing": f"{len(runs)} of {times} runs"}
                print(json.dumps(told_so_far), flush=True)
        runs.sort(key=lambda one: one.seed)
        chosen, shown = telling(tuple(runs)), None
        if chosen is not None:
            shown = replace(play(drill, plan, chosen.seed, []), began=time.time())
        found = Rehearsed(drill, tuple(runs), shown)
        sys.stdout.buffer.write(TypeAdapter(Rehearsed).dump_json(found) + b"\n")
        sys.stdout.flush()
