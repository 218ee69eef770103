"""SNMP's part of round after round, against routers that are only told of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from tasks.model import ClusterModel
from tasks.verify import Observation
from tasks.verify.observation import SnmpAnswer, Unit
from tasks.verify.observe import SnmpRounds
from tasks.verify.snmp import Access, Silent

OPENED = {"env:VERIFY_KEY": "0" * 32, "env:VERIFY_OSPF": "ospf", "env:VERIFY_SNMP": "snmp-pass-1"}
HOST = "ha1"


class Router:
    """One whose snmpd answers or not, and who counts the questions."""

    def __init__(self) -> None:
        self.answer: SnmpAnswer | Silent = SnmpAnswer(HOST, 1.0)
        self.asked = 0

    def ask(self, targets: Mapping[str, tuple[str, Access]]) -> dict[str, SnmpAnswer | Silent]:
        self.asked += len(targets)
        return dict.fromkeys(targets, self.answer)


def seen(healthy: Mapping[str, Observation], age: int | None, state: str = "active") -> Observation:
    units = (Unit("snmpd", state, age),)
    return dataclasses.replace(healthy[HOST], units=units, snmp=None)


def test_who_has_answered_is_asked_again_only_when_its_snmpd_is_another(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    devices = {HOST: cluster.device(HOST)}
    router = Router()
    rounds = SnmpRounds(OPENED, router.ask)

    def look(age: int | None, state: str = "active") -> Observation:
        return rounds.complete(devices, {HOST: seen(healthy, age, state)})[HOST]

    router.answer = Silent("no answer")
    assert look(0).snmp is None
    router.answer = SnmpAnswer(HOST, 1.0)
    assert look(2).snmp == router.answer
    assert router.asked == 2
    assert look(3).snmp == router.answer
    assert router.asked == 2, "it has answered"
    router.answer = Silent("wrong key")
    assert look(0).snmp is None, "it was started again, and must show that it still answers"
    assert router.asked == 3
    assert look(None).snmp is None, "nobody knows how old it is"
    assert look(5, "failed").snmp is None
    assert router.asked == 5
    assert look(None, "inactive").snmp is None
    assert router.asked == 5, "nothing runs that could be asked"


def test_no_answer_outlives_the_process_that_gave_it(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    """A second passes before each look; SNMP is asked after each start, and once."""

    @given(st.lists(st.booleans(), min_size=1, max_size=20))
    def law(restarts: list[bool]) -> None:
        router = Router()
        rounds = SnmpRounds(OPENED, router.ask)
        age, starts = 0, 1
        for restarted in (False, *restarts):
            age, starts = (0, starts + 1) if restarted and age else (age + 1, starts)
            complete = rounds.complete({HOST: cluster.device(HOST)}, {HOST: seen(healthy, age)})
            assert complete[HOST].snmp == router.answer
        assert router.asked == starts

    law()
