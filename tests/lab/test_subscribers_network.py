"""Foreign Agents plugged into a lab whose routers run the agent as the pushed unit starts it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.config import SEALED, AgentConfig, Transport, parse, to_toml
from hacc_agent.daemon import Clock
from lab import fabric
from lab.errors import RouterFailed
from lab.lab import Lab
from lab.subscribers.contract import Contract
from lab.subscribers.network import sockets, stands
from lab.subscribers.population import Population, Schedule
from lab.subscribers.run import FILE, provisioned
from lab.subscribers.session import Interrupt, Session
from tests.lab.labs import topology

pytestmark = pytest.mark.lab

GOLDEN = Path(__file__).resolve().parents[2] / "tests/golden/render/west"
ROUTERS = {"r1": "hacc1", "r2": "ha1"}  # of the lab -> of the example cluster
UNIT = "etc/systemd/system/hacc-agent.service"
# What the orchestrator would have configured: each router's address, the group's, the virtual one.
ADDRESSES = {
    "r1": ("198.18.1.11/24", "198.18.1.254/32", "198.19.0.1/32"),
    "r2": ("198.18.1.21/24",),
}


def told(host: str) -> AgentConfig:
    """A golden router's configuration, opened, with plain UDP: frames have tests of their own."""
    text = SEALED.sub("0123456789abcdef" * 2, (GOLDEN / host / "etc_hacc_agent.toml").read_text())
    config = parse(text, "agent.toml")
    (ha1,) = (member for member in config.members if member.name == "ha1")
    return dataclasses.replace(config, transport=Transport.UDP, members=(ha1,))


@pytest.fixture(scope="module")
def served() -> Iterator[Lab]:
    """A controller and a member, provisioned by hand."""
    with Lab(topology("visited", 2), keep_host_keys=False) as lab:
        for router, host in ROUTERS.items():
            for address in ADDRESSES[router]:
                place(lab, router, "ip", "addr", "add", address, "dev", "lan")
            write(lab, router, FILE, to_toml(told(host)))
            write(lab, router, f"/{UNIT}", (GOLDEN / host / UNIT.replace("/", "_")).read_text())
            place(lab, router, "systemctl", "daemon-reload")
            place(lab, router, "systemctl", "start", "hacc-agent")
        # Plain UDP needs a way back to the Foreign Agents, which frames do not.
        for number, agent in ((253, 1), (252, 2)):
            via = f"198.18.1.{number}"
            place(lab, "r1", "ip", "route", "add", f"198.18.9.{agent}/32", "via", via)
        yield lab


def place(lab: Lab, router: str, *command: str, text: str | None = None) -> None:
    done = lab.run(router, *command, text_in=text)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def write(lab: Lab, router: str, path: str, text: str) -> None:
    place(lab, router, "sh", "-c", f"mkdir -p $(dirname {path}); cat > {path}", text=text)


def guests(lab: Lab) -> set[str]:
    return {one.name for one in fabric.devices(lab.fabric()).values() if one.guest}


def test_who_may_register_is_read_from_the_routers(served: Lab) -> None:
    assert [one.name for one in provisioned(served)] == ["hacc1", "ha1"]


def test_they_register_with_daemons_that_the_pushed_unit_started(served: Lab) -> None:
    configs = provisioned(served)
    contract = Contract.of(configs[0])
    agents = contract.foreign_agents(2)
    clock = Clock()
    places = stands(served, configs, [agent.address for agent in agents])
    assert [str(one.address.ip) for one in places] == ["198.18.1.253", "198.18.1.252"]
    with sockets(served, places, contract.port) as opened:
        assert len(guests(served)) == 2
        population = Population(
            contract.subscriptions(60), agents, Schedule(60, 1.5), seed=1, begin=clock()
        )
        session = Session(population, [one.registrations for one in opened], clock)
        session.run(4, Interrupt())
        assert [*population.unlike(clock())] == []
        assert population.tally.moves > 60
        served.up()  # somebody repairs the lab meanwhile: guests keep their cables
        assert len(guests(served)) == 2
        population.leave(clock())
        session.run(0, Interrupt())
        assert population.tally.deregistered == 60
    assert guests(served) == set()


def test_two_at_once_do_not_share_an_agent(served: Lab) -> None:
    (place,) = stands(served, provisioned(served), [IPv4Address("198.18.9.1")])
    with sockets(served, [place], 434):
        with (
            pytest.raises(RouterFailed, match="guest/1 is plugged into core already"),
            sockets(served, [place], 434),
        ):
            pass
        assert len(guests(served)) == 1
    assert guests(served) == set()


def test_3_7_3_a_gateway_that_is_not_there_is_said(served: Lab) -> None:
    configs = provisioned(served)
    contract, clock = Contract.of(configs[0]), Clock()
    (place,) = stands(served, configs, [IPv4Address("198.18.9.1")])
    place = dataclasses.replace(place, gateway=IPv4Address("198.18.1.99"))
    with sockets(served, [place], contract.port) as opened:
        agents = contract.foreign_agents(1)
        population = Population(
            contract.subscriptions(3), agents, Schedule(100), seed=1, begin=clock()
        )
        # ARP asks three times, a second apart (net.ipv4.neigh.default.mcast_solicit).
        Session(population, [one.registrations for one in opened], clock).run(5, Interrupt())
        assert set(population.tally.denials) == {81}
