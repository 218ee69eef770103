"""Packets of a thousand mobile nodes through daemons, while nodes move and a member dies."""

from __future__ import annotations

import dataclasses
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.config import Link
from hacc_agent.daemon import Clock
from hacc_agent.datagrams import Datagrams
from hacc_agent.routes import PROTOCOL
from lab.subscribers.contract import Contract
from lab.subscribers.population import Population, Schedule
from lab.subscribers.probes import Found, Ledger
from lab.subscribers.session import Interrupt, Session
from lab.subscribers.traffic import UNDER_WAY_S, Traffic
from tests.hacc_agent.pair import certificates
from tests.loopback import PATIENCE_S, Agent, opened_config, running
from tests.segment import Namespace, Segment

pytestmark = pytest.mark.lab

VIRTUAL = "198.19.0.1"
CONTROLLER = "198.18.1.11"
ROUTERS = {"hacc1": CONTROLLER, "ha1": "198.18.1.21", "ha9": "198.18.1.29"}
CARE_OF = ("198.18.9.1", "198.18.9.2")
CORRESPONDENT = "198.18.1.90"
STATIC = "198.19.96.7 dev hacc0"
NODES, RATE = 1000, 1000  # packets a second, of all


class Site:
    """A controller, a Home Agent and its backup; two Foreign Agents, and a correspondent.

    Without a routing protocol the correspondent sends by way of the controller, which knows each
    node's member: the last resort.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        keys = certificates(folder / "pki", "west", *ROUTERS)
        self.segment = segment = stack.enter_context(closing(Segment()))
        self.routers: dict[str, Namespace] = {}
        self.agents: dict[str, Agent] = {}
        for host, address in ROUTERS.items():
            self.routers[host] = router = segment.router(f"{address}/24", VIRTUAL)
            router.ip("route", "add", "198.18.9.0/24", "dev", "lan")
            router.setting("net.ipv4.ip_forward", 1)
            for where in ("all", "lan"):
                router.setting(f"net.ipv4.conf.{where}.rp_filter", 0)
            files = (keys / name for name in ("authority.pem", f"{host}.pem", f"{host}.key"))
            config = opened_config(host, folder / host)
            config = dataclasses.replace(
                config,
                members=tuple(each for each in config.members if each.name in ROUTERS),
                link=Link(43434, *map(str, files)),
            )
            self.agents[host] = Agent(config, folder / host, router.enter_for_good)
        self._visited = [self._foreign(segment, address) for address in CARE_OF]
        beyond = segment.router(f"{CORRESPONDENT}/24")
        beyond.ip("route", "add", "198.19.64.0/18", "via", CONTROLLER)
        with beyond.inside():
            self.correspondent = stack.enter_context(
                closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            )
        self.correspondent.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
        self.correspondent.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
        self.correspondent.bind((CORRESPONDENT, 0))
        self.correspondent.setblocking(False)
        stack.enter_context(running(self.agents))
        self._stack = stack

    @staticmethod
    def _foreign(segment: Segment, address: str) -> Namespace:
        router = segment.router(f"{address}/24")
        router.ip("route", "add", "198.18.1.0/24", "dev", "lan")
        router.ip("route", "add", VIRTUAL, "via", CONTROLLER)
        return router

    def routes(self, host: str) -> str:
        """Those that a routing daemon would announce."""
        return self.routers[host].ip("route", "show", "proto", str(PROTOCOL))

    def kill(self, host: str) -> None:
        """Its cable as well: what the kernel was told outlives the daemon."""
        self.segment.pull(self.routers[host])
        self.agents[host].stop(signal.SIGKILL)

    def begin(self, count: int, schedule: Schedule, rate: float) -> Run:
        """Everybody comes, and is asked as soon as it is registered."""
        contract = Contract.of(self.agents["hacc1"].config)
        registrations, tunnels = [], []
        for router, address in zip(self._visited, CARE_OF, strict=True):
            with router.inside():
                registrations.append(Datagrams(int(IPv4Address(address)), contract.port))
                tunnel = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP)
            self._stack.callback(registrations[-1].close)
            tunnels.append(self._stack.enter_context(closing(tunnel)))
            tunnel.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
            tunnel.setblocking(False)
        clock = Clock()
        population = Population(
            contract.subscriptions(count, reverse_tunnel=True),
            *(contract.foreign_agents(len(CARE_OF)), schedule, 1, clock()),
        )
        traffic = Traffic(population, tunnels, self.correspondent, rate, Ledger(count))
        session = Session(population, registrations, clock, streams=(traffic,))
        return Run(session, population, traffic, clock)


@dataclasses.dataclass
class Run:
    session: Session
    population: Population
    traffic: Traffic
    clock: Clock

    def until_all_are_answered(self) -> None:
        """All of the last second, or as many: some are still under way."""
        end = time.monotonic() + PATIENCE_S
        ledger = self.traffic.ledger
        while True:
            self.session.run(1, Interrupt())
            everybody = self.population.registered(self.clock()) == len(self.population.nodes)
            if everybody and ledger.answered_of_last(RATE * 6 // 5) >= RATE:
                return
            assert time.monotonic() < end, "\n".join(ledger.found().lines(str))

    def end(self) -> Found:
        self.traffic.end()
        self.session.run(UNDER_WAY_S, Interrupt())
        return self.traffic.ledger.found()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


def test_a_member_dies_under_the_traffic_of_a_thousand(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    run = site.begin(NODES, Schedule(500), RATE)
    run.until_all_are_answered()
    assert STATIC in site.routes("ha1")
    requests = run.population.tally.requests
    site.kill("ha1")
    run.until_all_are_answered()
    found = run.end()
    assert STATIC in site.routes("ha9"), "one of them has its own address, and so a route"
    record_property("packets", found.as_json(str))
    assert (found.silent, found.doubled) == (0, 0), "everybody has packets, and once each"
    assert run.population.tally.requests == requests, "nobody has had to register again"


def test_nodes_move_between_foreign_agents_under_traffic(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    run = site.begin(200, Schedule(200, move_every=2.0), 500)
    run.session.run(6, Interrupt())
    found = run.end()
    assert run.population.tally.moves > 200
    assert (found.silent, found.doubled) == (0, 0)
    assert found.back > found.sent / 2
    record_property("packets", found.as_json(str))
