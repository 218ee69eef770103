"""A pair is two routers: whose figures count, whatever one of them does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from hacc_agent.config import MemberKind
from hacc_agent.engine.health import Figures
from hacc_agent.engine.snmp import objects
from hacc_agent.engine.snmp.objects import Oid, Value, below
from hacc_agent.snmp.asking import HSRP_ACTIVE, Sweep
from hacc_agent.snmp.messages import Asked, Whom
from hacc_agent.snmp.reader import Access, Unanswered

STANDBY = 5
PAIR = Whom(
    MemberKind.IOS, ("198.18.1.253",), (("ios1", ("198.18.1.31",)), ("ios2", ("198.18.1.32",)))
)
Agent = dict[Oid, Value]


def router(cpu: int, state: int | None) -> Agent:
    agent: Agent = {(*objects.CPM_CPU_TOTAL_5SEC_REV, 1): cpu}
    if state is not None:
        agent[(*objects.C_HSRP_GRP_STANDBY_STATE, 2, 20)] = state
    return agent


class Routers:
    """Both agents; who is None does not answer. Nobody answers at the standby address."""

    at_once = 1

    def __init__(self, one: Agent | None, two: Agent | None) -> None:
        self.agents = {"198.18.1.31": one, "198.18.1.32": two}
        self.asked: list[str] = []

    def _agent(self, address: str) -> Mapping[Oid, Value]:
        self.asked.append(address)
        agent = self.agents.get(address)
        if agent is None:
            raise Unanswered("no answer in time")
        return agent

    async def get(self, address: str, names: Sequence[Oid]) -> Agent:
        agent = self._agent(address)
        return {name: agent.get(name) for name in names}

    async def first(self, address: str, columns: Sequence[Oid]) -> dict[Oid, Oid]:
        agent = self._agent(address)
        found = {column: [name for name in agent if below(name, column)] for column in columns}
        return {column: names[0] for column, names in found.items() if names}

    async def walk(self, address: str, column: Oid, most: int) -> list[tuple[Oid, Value]]:
        agent = self._agent(address)
        return [(name, value) for name, value in agent.items() if below(name, column)][:most]

    def close(self) -> None:
        """Nothing is open."""


def sweep_of(routers: Routers) -> Sweep:
    return Sweep(Asked(Access(2, "public"), 161, 5.0, (PAIR,)), routers, None)


def asked(sweep: Sweep) -> Figures:
    return asyncio.run(sweep.ask(0))


CASES: dict[str, tuple[Agent | None, Agent | None, int]] = {
    "first": (router(10, HSRP_ACTIVE), router(20, STANDBY), 10),
    "second": (router(10, STANDBY), router(20, HSRP_ACTIVE), 20),
    "first-dead": (None, router(20, HSRP_ACTIVE), 20),
    "second-dead": (router(10, HSRP_ACTIVE), None, 10),
    "nobody-active-yet": (router(10, STANDBY), router(20, STANDBY), 10),
    "one-left-and-not-active-yet": (router(10, STANDBY), None, 10),
    "without-the-mib": (router(10, None), router(20, None), 10),
}


@pytest.mark.parametrize("case", CASES)
def test_the_active_router_s_figures_count(case: str) -> None:
    one, two, cpu = CASES[case]
    assert asked(sweep_of(Routers(one, two))).cpu_percent == cpu


def test_both_dead_are_no_answer() -> None:
    with pytest.raises(Unanswered):
        asked(sweep_of(Routers(None, None)))


def test_the_active_one_is_asked_first_and_alone() -> None:
    routers = Routers(router(10, STANDBY), router(20, HSRP_ACTIVE))
    sweep = sweep_of(routers)
    asked(sweep)
    assert sweep.address_of(0) == "198.18.1.32"
    routers.asked.clear()
    asked(sweep)
    assert set(routers.asked) == {"198.18.1.32"}


def test_a_takeover_is_followed() -> None:
    routers = Routers(router(10, HSRP_ACTIVE), router(20, STANDBY))
    sweep = sweep_of(routers)
    assert asked(sweep).cpu_percent == 10
    routers.agents |= {"198.18.1.31": None, "198.18.1.32": router(20, HSRP_ACTIVE)}
    assert asked(sweep).cpu_percent == 20
    assert sweep.address_of(0) == "198.18.1.32"
