"""`hacc lab drill`: plays a drill that `hacc drill run` has read and judged.

A drill comes in as JSON and what was measured goes out, the very values of `hacc_agent.drills`; in
between a line tells how far it is. So the orchestrator, which knows files and reports, and the lab,
which knows routers, share no more than that.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from hacc_agent.drills.drill import Drill

from ..errors import Exit, LabError
from ..options import INVENTORY, Inventory, Name, lab_of, told


def drill(
    inventory: Inventory = INVENTORY,
    name: Name = "",
    seed: Annotated[int, typer.Option(help="The same seed: the same subscribers.")] = 1,
) -> None:
    """Play a drill on the running lab: JSON in, JSON out. People use `hacc drill run`."""
    # It brings the agent's protocols along, which nobody should wait for who enters a router.
    from hacc_agent.drills.measured import Measured

    from .run import rehearse

    def tell(what: str) -> None:
        print(TypeAdapter(dict[str, str]).dump_json({"doing": what}).decode(), flush=True)

    with told():
        try:
            wanted = TypeAdapter(Drill).validate_json(sys.stdin.buffer.read())
        except ValidationError as error:
            raise LabError(f"no drill: {error}", hint="hacc drill run NAME") from None
        found = rehearse(lab_of(inventory, name), inventory, wanted, seed, tell)
        sys.stdout.buffer.write(TypeAdapter(Measured).dump_json(found) + b"\n")
    if found.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
