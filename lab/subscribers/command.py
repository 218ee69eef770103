"""`hacc lab subscribers`: mobile nodes and Foreign Agents that register with a provisioned lab."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from hacc_agent import config
from hacc_agent.daemon import Clock
from hacc_agent.engine.effects import Moment

from ..errors import Exit, LabError
from ..lab import Lab
from ..options import INVENTORY, AsJson, Inventory, Name, lab_of, told
from .contract import Contract, chosen
from .network import sockets, stands
from .population import Population, Schedule
from .report import Report
from .session import Interrupt, Progress, Session

FILE = "/etc/hacc/agent.toml"


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
    cluster: Annotated[str, typer.Option(help="Where the lab has more than one.")] = "",
    inventory: Inventory = INVENTORY,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Mobile nodes that register with a provisioned lab, through Foreign Agents.

    Exit code 3 when one of them is not registered at the end (or, with --deregister, still is).
    """
    with told():
        lab = lab_of(inventory, name)
        configs = provisioned(lab)
        contract = chosen([Contract.of(one) for one in configs], cluster)
        agents = contract.foreign_agents(foreign_agents)
        places = stands(
            lab,
            [one for one in configs if one.cluster == contract.cluster],
            [agent.address for agent in agents],
        )
        subscriptions = contract.subscriptions(count, lifetime)
        schedule = Schedule(rate, move)
        clock = Clock()
        console = Console(stderr=True, highlight=False)
        with (
            sockets(lab, places, contract.port) as opened,
            Interrupt().caught() as interrupt,
            console.status("Foreign Agents are being plugged in") as line,
        ):
            population = Population(subscriptions, agents, schedule, seed, clock())
            session = Session(population, opened, clock, _shown(line))
            began = clock()
            session.run(duration, interrupt)
            if deregister:
                population.leave(clock())
                session.run(0, interrupt)
            found = report(population, began, clock(), rate, interrupt.count > 0)
        if as_json:
            typer.echo(json.dumps(found.as_json(), indent=1))
        else:
            for text in found.lines():
                typer.echo(text)
    if found.interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
    if found.unlike:
        raise typer.Exit(Exit.DEVICE)


def provisioned(lab: Lab) -> tuple[config.AgentConfig, ...]:
    """What the routers of the lab were told, those that were told anything."""
    found = []
    for one in lab.topology.linux:
        text = lab.run(one.name, "cat", FILE)
        if text.returncode:
            continue
        try:
            found.append(config.parse(text.stdout, f"{one.name}:{FILE}"))
        except config.ConfigError as error:
            raise LabError(str(error), hint=f"{one.name} was provisioned by another hacc") from None
    return tuple(found)


def report(
    population: Population, began: Moment, now: Moment, rate: float, interrupted: bool
) -> Report:
    """What came of a run that began then and is over now."""
    tally = population.tally
    busy = population.last_accepted - began.steady
    answered = tally.registered + tally.deregistered
    return Report(
        count=len(population.nodes),
        agents=population.through(now),
        seconds=now.steady - began.steady,
        offered=rate,
        achieved=answered / busy if busy > 0 else 0.0,
        registered=population.registered(now),
        unlike=tuple(population.unlike(now)),
        bindings_end=population.bindings_end(now),
        tally=tally,
        interrupted=interrupted,
    )


def _shown(line: Status) -> Progress:
    """A line on a terminal; nothing in a pipe, where nobody waits for it."""

    def show(population: Population, now: Moment) -> None:
        tally = population.tally
        line.update(
            f"{population.registered(now)} of {len(population.nodes)} registered, "
            f"{tally.requests} requests, {sum(tally.denials.values())} denials"
        )

    return show
