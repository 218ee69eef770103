"""A run of subscribers, from what the routers of a lab were told to a report."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.status import Status

from hacc_agent import config
from hacc_agent.daemon import Clock
from hacc_agent.datagrams import Datagrams
from hacc_agent.engine.effects import Moment

from ..errors import LabError
from ..lab import Lab
from .association import Subscription
from .contract import Contract, chosen
from .edge import Correspondent, Edge, correspondent, edge
from .foreign_agent import ForeignAgent
from .network import free_places, sockets, stands
from .population import Population, Schedule
from .probes import Ledger
from .report import Report
from .session import Interrupt, Progress, Session
from .traffic import UNDER_WAY_S, Traffic

FILE = "/etc/hacc/agent.toml"
FRR = "/etc/frr/frr.conf"


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
    traffic: float


@dataclass(frozen=True, slots=True)
class Assembly:
    """Foreign Agents that are plugged in, and who may register through them."""

    configs: tuple[config.AgentConfig, ...]  # of the cluster's routers
    subscriptions: tuple[Subscription, ...]
    agents: tuple[ForeignAgent, ...]
    registrations: tuple[Datagrams, ...]  # sockets of the agents, in their order
    tunnels: tuple[socket.socket, ...]
    correspondent: Correspondent | None  # where there is traffic


@contextmanager
def assembled(lab: Lab, wanted: Wanted, progress: Callable[[str], None]) -> Iterator[Assembly]:
    """What is needed for a population: all of it is gone when this ends, however it ends."""
    provided = provisioned(lab)
    contract = chosen([Contract.of(one) for one in provided], wanted.cluster)
    configs = tuple(one for one in provided if one.cluster == contract.cluster)
    agents = contract.foreign_agents(wanted.foreign_agents)
    places = stands(lab, configs, [agent.address for agent in agents])
    asked = wanted.count, wanted.lifetime
    subscriptions = contract.subscriptions(*asked, reverse_tunnel=wanted.traffic > 0)
    with ExitStack() as stack:
        progress("Foreign Agents are being plugged in")
        opened = stack.enter_context(sockets(lab, places, contract.port))
        asking = None
        if wanted.traffic:
            progress("OSPF finds its neighbours")
            beyond = _beyond(lab, configs, len(places))
            asking = stack.enter_context(correspondent(lab, beyond, places))
        yield Assembly(
            configs,
            subscriptions,
            agents,
            tuple(one.registrations for one in opened),
            tuple(one.tunnels for one in opened),
            asking,
        )


def run(lab: Lab, wanted: Wanted) -> Report:
    """Let them come, until everybody is registered, the time is up, or Ctrl-C."""
    if wanted.traffic and not wanted.duration:
        raise LabError("--traffic: for how long?", hint="--duration 60: for a minute")
    clock = Clock()
    console = Console(stderr=True, highlight=False)
    with (
        Interrupt().caught() as interrupt,
        console.status("looking at what is there") as line,
        assembled(lab, wanted, line.update) as there,
    ):
        schedule = Schedule(wanted.rate, wanted.move)
        population = Population(there.subscriptions, there.agents, schedule, wanted.seed, clock())
        traffic = None
        if there.correspondent is not None:
            ledger = Ledger(random.getrandbits(32))
            asking = there.correspondent.datagrams
            traffic = Traffic(population, there.tunnels, asking, wanted.traffic, ledger)
        streams = () if traffic is None else (traffic,)
        shown = _shown(line, traffic)
        session = Session(population, there.registrations, clock, shown, streams)
        began = clock()
        session.run(wanted.duration, interrupt)
        if traffic is not None:
            traffic.end()
            session.run(UNDER_WAY_S, interrupt)
        if wanted.deregister:
            population.leave(clock())
            session.run(0, interrupt)
        found = report(population, began, clock(), wanted.rate, interrupt.count > 0)
        return found if traffic is None else replace(found, packets=traffic.ledger.found())


def _beyond(lab: Lab, configs: Sequence[config.AgentConfig], agents: int) -> Edge:
    """The router behind the LAN, at the address that is free after those of Foreign Agents."""
    lan, free = free_places(lab, configs, agents + 1)
    name, interface = next(
        (one.name, port.interface) for one in configs for port in one.lans if port.name == lan
    )
    text = lab.run(name, "cat", FRR)
    return edge(text.stdout, interface, lan, free[-1], configs[0].networks)


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
        names=tuple(map(str, population.nodes)),
    )


def _shown(line: Status, traffic: Traffic | None) -> Progress:
    """A line on a terminal; nothing in a pipe, where nobody waits for it."""

    def show(population: Population, now: Moment) -> None:
        tally = population.tally
        words = (
            f"{population.registered(now)} of {len(population.nodes)} registered, "
            f"{tally.requests} requests, {sum(tally.denials.values())} denials"
        )
        if traffic is not None:
            words += f", {traffic.ledger.answered_of_last(100)} % of packets answered"
        line.update(words)

    return show
