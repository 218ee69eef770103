"""A run of subscribers, from what the routers of a lab were told to a report."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.status import Status

from hacc_agent import config
from hacc_agent.daemon import Clock
from hacc_agent.engine.effects import Moment

from ..errors import LabError
from ..lab import Lab
from .contract import Contract, chosen
from .network import sockets, stands
from .population import Population, Schedule
from .report import Report
from .session import Interrupt, Progress, Session

FILE = "/etc/hacc/agent.toml"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What subscribers do, as `hacc lab subscribers --help` tells it."""

    count: int
    rate: float
    duration: float
    move: float
    foreign_agents: int
    lifetime: int
    seed: int
    deregister: bool
    cluster: str


def run(lab: Lab, wanted: Wanted) -> Report:
    """Let them come, until everybody is registered, the time is up, or Ctrl-C."""
    configs = provisioned(lab)
    contract = chosen([Contract.of(one) for one in configs], wanted.cluster)
    agents = contract.foreign_agents(wanted.foreign_agents)
    places = stands(
        lab,
        [one for one in configs if one.cluster == contract.cluster],
        [agent.address for agent in agents],
    )
    subscriptions = contract.subscriptions(wanted.count, wanted.lifetime)
    schedule = Schedule(wanted.rate, wanted.move)
    clock = Clock()
    console = Console(stderr=True, highlight=False)
    with (
        sockets(lab, places, contract.port) as opened,
        Interrupt().caught() as interrupt,
        console.status("Foreign Agents are being plugged in") as line,
    ):
        population = Population(subscriptions, agents, schedule, wanted.seed, clock())
        session = Session(population, opened, clock, _shown(line))
        began = clock()
        session.run(wanted.duration, interrupt)
        if wanted.deregister:
            population.leave(clock())
            session.run(0, interrupt)
        return report(population, began, clock(), wanted.rate, interrupt.count > 0)


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
