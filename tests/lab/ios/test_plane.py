"""Simulated IOS routers on a real LAN: a pair that mobile nodes register with, and its failover."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface

import pytest

from hacc_agent.daemon import Clock
from lab import simulator
from lab.ios.home_agent import told
from lab.lab import Lab
from lab.namespaces import kill_until_gone
from lab.subscribers.contract import Contract
from lab.subscribers.network import Stand, sockets
from lab.subscribers.population import Population, Schedule
from lab.subscribers.session import Interrupt, Session
from lab.topology import Kind, Port, Router, Topology
from tests.lab.ios.test_home_agent import router
from tests.lab.labs import until

pytestmark = pytest.mark.lab

HOSTS = ("ios1", "ios2")
GROUP = IPv4Address("198.18.1.253")
AGENT = Stand(
    IPv4Address("198.18.9.1"),
    "core",
    IPv4Interface("198.18.1.254/24"),  # where the routers' policy sends replies: to us
    GROUP,
    IPv4Address("198.19.0.1"),
)


@pytest.fixture(scope="module")
def pair() -> Iterator[Lab]:
    """The example cluster's pair, configured through the simulator's own door."""
    ports = {name: (Port(name, "GigabitEthernet0/1", "core", None),) for name in HOSTS}
    routers = tuple(
        Router(name, Kind.IOS, IPv4Address(f"198.18.0.{31 + n}"), "admin", ports[name])
        for n, name in enumerate(HOSTS)
    )
    with Lab(Topology(f"t{os.getpid()}-plane", routers), keep_host_keys=False) as lab:
        for name in HOSTS:
            # Interfaces come shut down, and the text ends in `end`.
            text = "interface GigabitEthernet0/1\nno shutdown\n" + router(name).running_config()
            request = {"do": "edit", "device": name, "lines": text.splitlines()}
            assert simulator.ask(lab.directory, request)["rejected"] == []
        yield lab


def cables(lab: Lab) -> int:
    """Of simulated routers."""
    done = lab.run_managed(["ip", "-json", "link", "show"])
    assert done.returncode == 0
    return sum(row["ifname"].startswith("ios-") for row in json.loads(done.stdout))


def test_mobile_nodes_register_with_a_pair_and_with_its_other_half(pair: Lab) -> None:
    until(lambda: cables(pair) == 2)
    config = told(router())
    assert config is not None
    contract = Contract.of(config)
    clock = Clock()
    agents = contract.foreign_agents(1)
    subscriptions = [one for one in contract.subscriptions(40) if one.nai]
    with sockets(pair, [AGENT], contract.port) as opened:
        population = Population(subscriptions, agents, Schedule(100), seed=1, begin=clock())
        session = Session(population, [one.registrations for one in opened], clock)
        session.run(0, Interrupt())
        assert [*population.unlike(clock())] == []
        assert len({node.home_address for node in population.nodes}) == len(subscriptions)
        simulator.power(pair.directory, "ios1", on=False)
        population.leave(clock())  # the other one knows every binding: a pair copies them
        session.run(0, Interrupt())
        assert population.tally.deregistered == len(subscriptions)
        assert population.tally.denials == {}


def test_a_simulator_that_ends_leaves_no_cable(pair: Lab) -> None:
    until(lambda: cables(pair) > 0)
    other = Lab(dataclasses.replace(pair.topology, routers=()), keep_host_keys=False)
    other.up()  # the inventory has no IOS routers any more
    until(lambda: cables(pair) == 0)


def test_a_simulator_that_ended_is_told(pair: Lab) -> None:
    """Its routers refuse connections; why, nobody would guess."""
    pair.up()
    assert {(row.state, row.detail) for row in pair.status().routers} == {("running", "")}
    kill_until_gone(pair.topology.name, simulator.ROLE)
    rows = pair.status().routers
    assert {row.state for row in rows} == {"absent"}
    assert all(row.detail.startswith("the simulator has ended: ") for row in rows)
