"""`hacc lab subscribers`: mobile nodes and Foreign Agents that register with a provisioned lab."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..errors import Exit
from ..options import INVENTORY, AsJson, Inventory, Name, lab_of, told


def subscribers(
    count: Annotated[int, typer.Option(min=1, help="Mobile nodes.")] = 1000,
    rate: Annotated[float, typer.Option(min=0.1, help="New registrations a second.")] = 500.0,
    duration: Annotated[
        float, typer.Option(min=0, help="Seconds. 0: until everybody is registered.")
    ] = 0.0,
    move: Annotated[
        float, typer.Option(min=0, help="Each node moves every so many seconds. 0: nobody does.")
    ] = 0.0,
    foreign_agents: Annotated[
        int, typer.Option(min=0, help="0: as many as the intent lists. Others share no key.")
    ] = 0,
    lifetime: Annotated[
        int, typer.Option(min=0, max=65535, help="Asked for, in seconds. 0: what the intent says.")
    ] = 0,
    seed: Annotated[
        int, typer.Option(help="The same seed: the same nodes, moves and moments.")
    ] = 1,
    deregister: Annotated[
        bool, typer.Option("--deregister", help="Deregister everybody at the end.")
    ] = False,
    traffic: Annotated[
        float,
        typer.Option(
            min=0, help="Packets a second to registered nodes, which answer each. 0: none."
        ),
    ] = 0.0,
    cluster: Annotated[str, typer.Option(help="Where the lab has more than one.")] = "",
    inventory: Inventory = INVENTORY,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Mobile nodes that register with a provisioned lab, through Foreign Agents.

    With --traffic a correspondent behind a router that speaks OSPF with the cluster sends packets
    to their home addresses; the report counts what was lost on either way, and each node's outage.

    Exit code 3 when one of them is not registered at the end (or, with --deregister, still is).
    """
    # It brings the agent's protocols along, which nobody should wait for who enters a router.
    from .run import Wanted, run

    with told():
        found = run(
            lab_of(inventory, name),
            Wanted(
                *(count, rate, duration, move, foreign_agents, lifetime, seed, deregister),
                *(cluster, traffic),
            ),
        )
        if as_json:
            typer.echo(json.dumps(found.as_json(), indent=1))
        else:
            for text in found.lines():
                typer.echo(text)
    if found.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
    if found.unlike:
        raise typer.Exit(Exit.DEVICE)
