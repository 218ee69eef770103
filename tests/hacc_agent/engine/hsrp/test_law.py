"""The law of a group: once its LAN is whole and quiet for a while, it has exactly one owner.

Any number of routers, under loss, delay, partition, death and return, for as long as the search
likes; then each part of the LAN is quiet, and later the whole.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.hsrp import Group, Suspicion
from hacc_agent.wire.hsrp import State
from tests.hacc_agent.engine.hsrp.segment import PLACE, Segment, settings

HOLD = 0.7
SETTLED = 3 * HOLD + 0.3
"""A Listen router waits a hold time for an active one and a second one in Speak before it is
standby; the third is for who was heard last just before, and two hellos for who has to give way."""

NEVER = (Suspicion.AUTHENTICATION, Suspicion.MALFORMED, Suspicion.DUPLICATE_ADDRESS)
TROUBLES = ("loss", "delay", "split", "heal", "kill", "start", "wait")
groups = st.fixed_dictionaries(
    {
        "priority": st.sampled_from([90, 100, 100, 110, 120]),
        "preempt": st.booleans(),
        "preempt_minimum_s": st.sampled_from([0, 0, 1]),
    }
)
troubles = st.tuples(st.sampled_from(TROUBLES), st.integers(0, 7), st.floats(0.0, 2.0))


def suffer(segment: Segment, kind: str, number: int, seconds: float) -> None:
    size = len(segment.routers)
    match kind:
        case "loss":
            segment.loss = number / 10
        case "delay":
            segment.delay = (0.0, number / 10)
        case "split":
            members = range(size)
            segment.split([[n for n in members if n % 2 == 0], [n for n in members if n % 2]])
        case "heal":
            segment.heal()
        case "kill":
            segment.kill(number % size)
        case "start":
            if not segment.routers[number % size].alive:
                segment.start(number % size)
    segment.run(seconds)


def check_one_owner(segment: Segment) -> None:
    """In every part where somebody lives one is active and, if there are two, one is standby."""
    parts = {segment.part(router.number) for router in segment.routers if router.alive}
    for part in parts:
        members = [r for r in segment.routers if r.alive and segment.part(r.number) == part]
        states = sorted(router.state.name for router in members)
        assert states.count("ACTIVE") == 1, states
        assert states.count("STANDBY") == min(1, len(members) - 1), states
        assert [r.number for r in members if r.state is State.ACTIVE] == [
            number for number in segment.owners() if segment.part(number) == part
        ]


@given(
    st.lists(groups, min_size=1, max_size=5),
    st.lists(troubles, max_size=25),
    st.integers(0, 2**16),
    st.sampled_from([1, 2]),
)
def test_one_owner_in_each_part_and_then_in_the_whole(
    configured: list[dict[str, Any]], suffered: list[tuple[str, int, float]], seed: int, md5: int
) -> None:
    key = {"md5": "0b" * 16} if md5 == 2 else {}
    segment = Segment([settings(**one, **key) for one in configured], seed)
    for kind, number, seconds in suffered:
        suffer(segment, kind, number, seconds)
    segment.loss, segment.delay = 0.0, (0.0, 0.001)
    segment.run(1.0)  # what was delayed arrives
    segment.run(SETTLED)
    check_one_owner(segment)
    segment.heal()
    segment.run(SETTLED)
    check_one_owner(segment)
    segment.run(1.0 + SETTLED)  # the longest preempt delay above, and what follows from it
    check_one_owner(segment)
    before = [len(router.changes) for router in segment.routers]
    segment.run(10.0)
    assert [len(router.changes) for router in segment.routers] == before  # and nothing moves again
    assert not [alarm for router in segment.routers for alarm in router.alarms
                if alarm.reason in NEVER]  # fmt: skip


@pytest.mark.parametrize("routers", [2, 3, 5])
def test_the_standby_takes_over_within_the_hold_time(routers: int) -> None:
    segment = Segment([settings(priority=200 - 10 * n, preempt=True) for n in range(routers)])
    segment.run(SETTLED)
    assert segment.owners() == [0]
    segment.kill(0)
    segment.run(HOLD)
    assert segment.owners() == [1]


def test_a_partition_heals_to_the_better_one_within_a_hello() -> None:
    segment = Segment([settings(priority=200), settings(priority=100)])
    segment.run(SETTLED)
    segment.split([[0], [1]])
    segment.run(SETTLED)
    assert segment.owners() == [0, 1]
    segment.heal()
    segment.run(0.21)
    assert segment.owners() == [0]


def test_without_the_expired_timer_s_memory_a_group_would_stay_without_an_owner() -> None:
    """The Active timer ends in Speak, where the table has no cell for it: Standby has."""
    segment = Segment([settings(priority=200), settings(), settings(priority=90)])
    segment.run(SETTLED)
    segment.kill(1)  # the standby one: the third begins to speak, its Active timer running ...
    segment.run(0.75)
    third = segment.routers[2]
    assert third.state is State.SPEAK
    segment.kill(0)  # ... and ending there
    segment.run(HOLD + 0.05)
    assert segment.owners() == [2]


def test_groups_in_one_packet_stay_apart() -> None:
    other = settings(name="h", group=11, priority=50)
    segment = Segment([(settings(priority=110), other), (settings(), settings(name="h", group=11))])
    segment.run(SETTLED)
    assert segment.owners(PLACE) == [0]
    assert segment.owners(PLACE._replace(group=11)) == [1]


def test_a_speaker_that_is_stopped_resigns_and_nobody_waits() -> None:
    segment = Segment([settings(priority=200), settings()])
    segment.run(SETTLED)
    first = segment.routers[0]
    segment.perform(first, first.speaker.stop(segment.now))
    segment.run(0.002)
    assert segment.owners() == [1]


def test_all_states_of_the_rfc_are_reached() -> None:
    segment = Segment([settings(priority=200), settings(), settings(priority=90, address=None)])
    segment.run(SETTLED)
    seen = {change.after for router in segment.routers for change in router.changes}
    assert seen == set(State) - {State.DISABLED, State.INITIAL}
    group: Group = segment.routers[2].speaker.groups[PLACE]
    assert group.addresses == segment.routers[0].speaker.groups[PLACE].addresses
