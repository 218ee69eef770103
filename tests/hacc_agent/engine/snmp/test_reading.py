"""Figures from answers: platforms as they are, and answers that lie."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hacc_agent.config import MemberKind
from hacc_agent.engine.health import Figures, Source
from hacc_agent.engine.snmp import objects
from hacc_agent.engine.snmp.objects import Oid, Value, below
from hacc_agent.engine.snmp.reading import (
    BUSY,
    IDLE_READINGS,
    LOOK_AGAIN,
    MOST_REGISTRATIONS,
    WRAP,
    Figure,
    Reading,
)

IOS: dict[Oid, Value] = {
    (*objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, 0): 41_234,
    (*objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS, 0): 1_000_000,
    (*objects.CMI_HA_REG_PROC_LOC_IN_LAST_MIN_REGS, 0): 6_000,
    (*objects.CPM_CPU_TOTAL_5SEC_REV, 1): 17,
    (*objects.CISCO_MEMORY_POOL_USED, 1): 300_000_000,
    (*objects.CISCO_MEMORY_POOL_USED, 2): 90_000_000,
    (*objects.CISCO_MEMORY_POOL_FREE, 1): 900_000_000,
    (*objects.CISCO_MEMORY_POOL_FREE, 2): 10_000_000,
    (*objects.C_HSRP_GRP_STANDBY_STATE, 2, 10): 6,
}
BARE_LINUX: dict[Oid, Value] = {
    (*objects.HR_PROCESSOR_LOAD, 196_608): 10,
    (*objects.HR_PROCESSOR_LOAD, 196_609): 40,
    (*objects.MEM_TOTAL_REAL, 0): 1_000_000,
    (*objects.MEM_AVAIL_REAL, 0): 100_000,
    (*objects.MEM_BUFFER, 0): 50_000,
    (*objects.MEM_CACHED, 0): 350_000,
}
OURS: dict[Oid, Value] = BARE_LINUX | {
    (*objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, 0): 7,
    (*objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS, 0): 12,
    (*objects.CPM_CPU_TOTAL_5SEC_REV, 1): 3,
    (*objects.CEMP_MEM_POOL_HC_USED, 1, 1): 6_000_000_000,
    (*objects.CEMP_MEM_POOL_HC_FREE, 1, 1): 2_000_000_000,
}


def ask(reading: Reading, agent: Mapping[Oid, Value], at: float = 0.0) -> Figures:
    """What the process beside the daemon does, without a network."""
    for figure, source in reading.unknown():
        if not reading.knows(figure):
            found = [
                [name for name in sorted(agent) if below(name, column.name)][: column.instances]
                for column in source.columns
            ]
            reading.learned(figure, source, found)
    return reading.figures({name: agent.get(name) for name in reading.names()}, at)


@pytest.mark.parametrize(
    ("kind", "agent", "expected"),
    [
        (MemberKind.IOS, IOS, (41_234, 17, 75.0, None, 6)),
        (MemberKind.LINUX, BARE_LINUX, (None, 25, 50.0, None, None)),
        (MemberKind.LINUX, OURS, (7, 3, 25.0, None, None)),
        (MemberKind.IOS, {}, (None,) * 5),
        (MemberKind.LINUX, {}, (None,) * 5),
    ],
    ids=["ios", "linux-without-our-agent", "linux", "empty-ios", "empty-linux"],
)
def test_figures(kind: MemberKind, agent: Mapping[Oid, Value], expected: tuple[int, ...]) -> None:
    assert ask(Reading(3, kind), agent) == Figures(3, Source.SNMP, 0.0, *expected)


def test_the_rate_of_registrations_is_that_between_two_readings() -> None:
    reading = Reading(0, MemberKind.IOS)
    total = (*objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS, 0)
    assert ask(reading, IOS, 10.0).registrations_per_s is None
    assert ask(reading, IOS | {total: 1_000_500}, 15.0).registrations_per_s == 100


def test_without_a_counter_there_is_the_last_minute() -> None:
    agent = {k: v for k, v in IOS.items() if k[:-1] != objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS}
    assert ask(Reading(0, MemberKind.IOS), agent).registrations_per_s == 100


def test_a_counter_that_wraps_is_no_leap() -> None:
    reading = Reading(0, MemberKind.IOS)
    total = (*objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS, 0)
    ask(reading, IOS | {total: WRAP - 200}, 0.0)
    assert ask(reading, IOS | {total: 300}, 5.0).registrations_per_s == 100
    assert not reading.oddities


def test_a_counter_that_was_reset_is_no_rate() -> None:
    reading = Reading(0, MemberKind.IOS)
    total = (*objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS, 0)
    ask(reading, IOS | {total: WRAP // 2}, 0.0)
    assert (WRAP // 2) / 5 > MOST_REGISTRATIONS  # or this shows nothing
    assert ask(reading, IOS | {total: 0}, 5.0).registrations_per_s is None
    assert ask(reading, IOS | {total: 500}, 10.0).registrations_per_s == 100


@pytest.mark.parametrize(
    ("name", "value", "figure"),
    [
        ((*objects.CPM_CPU_TOTAL_5SEC_REV, 1), 101, Figure.CPU),
        ((*objects.CPM_CPU_TOTAL_5SEC_REV, 1), -1, Figure.CPU),
        ((*objects.CPM_CPU_TOTAL_5SEC_REV, 1), b"17", Figure.CPU),
        ((*objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, 0), (1, 3, 6), Figure.BINDINGS),
        ((*objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS, 0), -5, Figure.BINDINGS),
        ((*objects.CISCO_MEMORY_POOL_FREE, 1), -900, Figure.MEMORY),
        ((*objects.C_HSRP_GRP_STANDBY_STATE, 2, 10), 16, Figure.HSRP),
    ],
)
def test_garbage_is_left_out_and_told_of_and_the_rest_is_used(
    name: Oid, value: Value, figure: Figure
) -> None:
    reading = Reading(0, MemberKind.IOS)
    good = ask(reading, IOS)
    bad = ask(reading, IOS | {name: value}, 5.0)
    assert getattr(bad, figure) is None
    assert [what.split(":")[0] for what in reading.oddities] == [figure]
    for other in set(Figure) - {figure, Figure.REGISTRATIONS}:
        assert getattr(bad, other) == getattr(good, other)


def test_pools_that_are_both_empty_are_no_share_of_anything() -> None:
    used, free = (*objects.CISCO_MEMORY_POOL_USED, 1), (*objects.CISCO_MEMORY_POOL_FREE, 1)
    reading = Reading(0, MemberKind.IOS)
    assert ask(reading, IOS | {used: 0, free: 0}).memory_free_percent is None


def test_a_router_that_says_for_ever_that_it_has_no_load_is_not_believed() -> None:
    reading = Reading(0, MemberKind.IOS)
    total, cpu = (*objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS, 0), (*objects.CPM_CPU_TOTAL_5SEC_REV, 1)
    found = [
        ask(reading, IOS | {cpu: 0, total: int(at * BUSY * 2)}, at).cpu_percent
        for at in (5.0 * n for n in range(IDLE_READINGS + 20))
    ]
    assert found == [0] * IDLE_READINGS + [None] * 20
    assert len(reading.oddities) == 1  # said once
    assert ask(reading, IOS | {cpu: 9, total: 0}, 1e4).cpu_percent == 9


def test_a_router_without_work_may_have_no_load() -> None:
    reading = Reading(0, MemberKind.IOS)
    idle = IOS | {(*objects.CPM_CPU_TOTAL_5SEC_REV, 1): 0}
    assert [ask(reading, idle, 5.0 * n).cpu_percent for n in range(50)] == [0] * 50
    assert not reading.oddities


def test_an_instance_that_goes_is_looked_for_again() -> None:
    """An interface that comes back after a restart has another index."""
    reading = Reading(0, MemberKind.IOS)
    old = (*objects.C_HSRP_GRP_STANDBY_STATE, 2, 10)
    ask(reading, IOS)
    moved = {k: v for k, v in IOS.items() if k != old}
    moved[*objects.C_HSRP_GRP_STANDBY_STATE, 7, 10] = 5
    assert ask(reading, moved, 5.0).hsrp_state is None
    assert ask(reading, moved, 10.0).hsrp_state == 5


def test_our_agent_may_start_after_its_snmpd() -> None:
    reading = Reading(0, MemberKind.LINUX)
    assert ask(reading, BARE_LINUX).cpu_percent == 25
    found = [ask(reading, OURS, 5.0 * n) for n in range(1, LOOK_AGAIN + 2)]
    assert found[-1].bindings == 7
    assert found[-1].cpu_percent == 3
    assert len(reading.names()) == 5  # and asks for nothing else any more
