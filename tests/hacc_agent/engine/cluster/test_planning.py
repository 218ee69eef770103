"""Who gets the slots of whom: laws over any cluster, and the cases that the rules name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hacc_agent.engine.cluster.planning import plan
from hacc_agent.engine.cluster.selection import Loads
from hacc_agent.engine.slots import Slots

PER_MEMBER = 8


def loads(slots: Slots, counts: Any, capacity: list[int], weight: list[int], backup: Any) -> Loads:
    served = np.bincount(slots.member_of, counts, slots.members).astype(np.int64)
    return Loads(
        served,
        np.array(capacity, np.int64),
        np.zeros(slots.members),
        1 / np.array(weight, np.float64),
        np.array(backup, np.bool_),
        np.ones(slots.members, np.bool_),
    )


def even(members: int, each: int, **changes: Any) -> tuple[Slots, Any, Loads]:
    """`each` bindings in every slot."""
    slots = Slots(members, PER_MEMBER)
    counts = np.full(len(slots), each, np.int64)
    columns: dict[str, Any] = {
        "capacity": [10**6] * members,
        "weight": [1] * members,
        "backup": [False] * members,
    }
    columns |= changes
    for member in range(members):
        if columns["backup"][member]:
            counts[slots.home_slots(member)] = 0
    return slots, counts, loads(slots, counts, **columns)


def dealt(slots: Slots, counts: Any, known: Loads, leaving: set[int], heirs: set[int]) -> list[int]:
    """Slots that each member gets."""
    moving = np.flatnonzero(np.isin(slots.member_of, list(leaving)))
    moves = plan(slots, moving, heirs, known, counts)
    assert [slot for slot, _ in moves] == moving.tolist()
    heirs_of = [heir for _, heir in moves]
    return [heirs_of.count(member) for member in range(slots.members)]


def test_a_backup_with_room_for_all_gets_all() -> None:
    slots, counts, known = even(4, 100, backup=[False, False, False, True])
    assert dealt(slots, counts, known, {0}, {1, 2, 3}) == [0, 0, 0, PER_MEMBER]


def test_of_two_backups_each_takes_a_member_that_fails() -> None:
    slots, counts, known = even(4, 100, backup=[False, False, True, True])
    assert dealt(slots, counts, known, {0, 1}, {2, 3}) == [0, 0, PER_MEMBER, PER_MEMBER]


def test_what_no_backup_has_room_for_is_dealt_out_over_all() -> None:
    slots, counts, known = even(
        4, 100, backup=[False, False, False, True], capacity=[10**6, 10**6, 10**6, 500]
    )
    _, one, two, backup = dealt(slots, counts, known, {0}, {1, 2, 3})
    assert backup == 5  # 500 bindings
    assert {one, two} == {1, 2}


def test_survivors_get_slots_by_their_weight() -> None:
    slots, counts, known = even(3, 100, weight=[1, 1, 3])
    _, one, other = dealt(slots, counts, known, {0}, {1, 2})
    # 800 and 800 become 800 and 1600: 800 for a weight of 1, 533 for each of 3.
    assert (one, other) == (0, PER_MEMBER)


def test_who_carries_less_gets_more() -> None:
    slots = Slots(3, PER_MEMBER)
    counts = np.full(len(slots), 100, np.int64)
    counts[slots.home_slots(2)] = 50
    known = loads(slots, counts, [10**6] * 3, [1] * 3, [False] * 3)
    assert dealt(slots, counts, known, {0}, {1, 2}) == [0, 2, 6]


def test_empty_slots_are_dealt_out_too() -> None:
    slots, counts, known = even(3, 0)
    assert dealt(slots, counts, known, {0}, {1, 2}) == [0, PER_MEMBER // 2, PER_MEMBER // 2]


def test_the_heaviest_slot_is_dealt_first_whosever_it_is() -> None:
    """Eight small slots are more than one large one, but find room wherever that leaves some."""
    slots = Slots(4, PER_MEMBER)
    counts = np.zeros(len(slots), np.int64)
    counts[slots.home_slots(0)] = 10
    counts[PER_MEMBER] = 60
    known = loads(slots, counts, [100, 100, 60, 80], [1] * 4, [False] * 4)
    moves = dict(plan(slots, np.arange(2 * PER_MEMBER), {2, 3}, known, counts))
    after = [sum(int(counts[slot]) for slot, to in moves.items() if to == heir) for heir in (2, 3)]
    assert moves[PER_MEMBER] == 2
    assert after == [60, 80]


def test_when_nobody_has_room_somebody_serves_nevertheless() -> None:
    slots, counts, known = even(3, 100, capacity=[800, 800, 800])
    assert sum(dealt(slots, counts, known, {0}, {1, 2})) == PER_MEMBER


@pytest.mark.parametrize("heirs", [set[int](), {1}])
def test_without_heirs_or_slots_nothing_moves(heirs: set[int]) -> None:
    slots, counts, known = even(2, 100)
    assert plan(slots, np.array([], np.int64), heirs, known, counts) == ()
    if not heirs:
        assert plan(slots, np.arange(4), heirs, known, counts) == ()


clusters = st.integers(2, 6).flatmap(
    lambda members: st.tuples(
        st.lists(st.integers(0, 1000), min_size=members * 8, max_size=members * 8),
        st.lists(st.integers(1, 5), min_size=members, max_size=members),
        st.lists(st.booleans(), min_size=members, max_size=members),
        st.lists(st.integers(0, 10_000), min_size=members, max_size=members),
        st.sets(st.integers(0, members - 1), min_size=1, max_size=members - 1),
    )
)


# Empty slots of member 3 that member 2 gets are not to take the room for 210 bindings of member 0.
@example(
    (
        [*[0] * 7, 210, *[0] * 15, 607, 999, 999, 1000, 1000, 1000, 0, 0, 0],
        [3, 1, 1, 5],
        [False] * 4,
        [0, 0, 5817, 6],
        {0, 3},
    )
)
@given(clusters)
def test_every_slot_gets_an_heir_that_stays(
    cluster: tuple[list[int], list[int], list[bool], list[int], set[int]],
) -> None:
    """And nobody goes beyond its capacity while another one has room for that very slot.

    It is the last one that was dealt to it, hence the least; but a backup that took all of a member
    may have got smaller ones before.
    """
    bindings, weight, backup, capacity, leaving = cluster
    members = len(weight)
    slots = Slots(members, PER_MEMBER)
    counts = np.array(bindings, np.int64)
    known = loads(slots, counts, capacity, weight, backup)
    heirs = set(range(members)) - leaving
    moving = np.flatnonzero(np.isin(slots.member_of, list(leaving)))
    moves = plan(slots, moving, heirs, known, counts)
    assert [slot for slot, _ in moves] == moving.tolist()
    assert {heir for _, heir in moves} <= heirs
    after = known.served.copy()
    for slot, heir in moves:
        after[heir] += counts[slot]
    over = [heir for heir in heirs if after[heir] > max(capacity[heir], known.served[heir])]
    for heir in over:
        got = [counts[slot] for slot, to in moves if to == heir]
        beyond = max(got) if backup[heir] else max(min(got), 1)
        assert all(after[other] + beyond > capacity[other] for other in heirs - {heir})


@given(st.lists(st.integers(1, 4), min_size=3, max_size=6), st.integers(1, 50))
def test_a_share_is_ideal_up_to_one_slot(weight: list[int], each: int) -> None:
    """Nobody ends more than a slot above what an even distribution by weight would give it.

    Who had more than that already gets nothing.
    """
    members = len(weight)
    slots, counts, known = even(members, each, weight=weight)
    moves = plan(slots, np.arange(PER_MEMBER), set(range(1, members)), known, counts)
    after = known.served.copy()
    for slot, heir in moves:
        after[heir] += counts[slot]
    level = max(after[heir] / weight[heir] for _, heir in moves)
    for other in range(1, members):
        assert (after[other] + each) / weight[other] >= level - 1e-9
