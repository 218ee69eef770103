"""Subscribers over real sockets, against daemons of a cluster on loopback."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.daemon import Clock
from hacc_agent.datagrams import Datagrams
from lab.subscribers.contract import Contract
from lab.subscribers.population import Population, Schedule
from lab.subscribers.session import Interrupt, Session
from tests.loopback import PORT, Loopback, cluster


@pytest.fixture
def west(tmp_path: Path) -> Iterator[Loopback]:
    with cluster(tmp_path, "hacc1", "ha1", "ha2") as running:
        yield running


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def session(
    west: Loopback, stack: ExitStack, count: int, schedule: Schedule, *, agents: int = 2
) -> tuple[Session, Population]:
    """Foreign Agents on loopback addresses; the first is one that the cluster has a key for."""
    contract = Contract.of(west["hacc1"].config)
    clock = Clock()
    population = Population(
        contract.subscriptions(count), contract.foreign_agents(agents), schedule, 1, clock()
    )
    opened = [
        Datagrams(int(IPv4Address(f"{west.network}.{201 + number}")), PORT)
        for number in range(agents)
    ]
    for one in opened:
        stack.callback(one.close)
    return Session(population, opened, clock), population


def test_a_thousand_register_and_leave(west: Loopback, stack: ExitStack) -> None:
    running, population = session(west, stack, 1000, Schedule(2000))
    running.run(0, Interrupt())
    now = Clock()()
    assert [*population.unlike(now)] == []
    assert population.registered(now) == 1000
    assert len({node.home_address for node in population.nodes}) == 1000
    assert sum(len(agent.visitors) for agent in population.agents) == 1000
    tally = population.tally
    assert (tally.registered, tally.denials, tally.discarded) == (1000, {}, {})
    assert tally.latencies.count == 1000
    population.leave(now)
    running.run(0, Interrupt())
    assert (tally.deregistered, population.registered(Clock()())) == (1000, 0)


def test_an_interrupt_ends_a_run_between_two_exchanges(west: Loopback, stack: ExitStack) -> None:
    running, population = session(west, stack, 100, Schedule(20))
    with Interrupt().caught() as interrupt:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        running.run(60, interrupt)
    assert interrupt.count == 1
    assert 0 < population.registered(Clock()()) < 100


def test_3_7_3_where_nobody_listens_the_agent_says_so(tmp_path: Path, stack: ExitStack) -> None:
    with cluster(
        tmp_path, "ha1"
    ) as west:  # no controller: its address answers with port unreachable
        contract = Contract.of(west["ha1"].config)
        clock = Clock()
        schedule = Schedule(100)
        population = Population(
            contract.subscriptions(5), contract.foreign_agents(), schedule, 1, clock()
        )
        one = Datagrams(int(IPv4Address(f"{west.network}.201")), PORT)
        stack.callback(one.close)
        Session(population, [one], clock).run(1.5, Interrupt())
        assert population.registered(clock()) == 0
        assert set(population.tally.denials) == {82}
