"""Slots: who serves what, and that a log says it again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.holdings import Holdings
from hacc_agent.engine.record import STRUCT, Kind, Row
from hacc_agent.engine.slots import NO_SLOT, Slots, began_again

single = st.tuples(st.integers(0, 4 * 8 - 1), st.integers(0, 3)).map(lambda change: [change])
failover = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(
    lambda change: [(slot, change[1]) for slot in range(change[0] * 8, change[0] * 8 + 8)]
)
changes = st.lists(single | failover, max_size=12).map(
    lambda several: [change for each in several for change in each]
)


def test_at_first_every_member_serves_its_own() -> None:
    slots = Slots(3)
    for member in range(3):
        assert slots.served_by(member).tolist() == list(slots.home_slots(member))
    assert slots.snapshot() == b""


@given(changes, st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_a_new_binding_gets_a_slot_that_its_member_serves(
    rewritten: list[tuple[int, int]], keys: list[int]
) -> None:
    slots = Slots(4, per_member=8)
    for slot, member in rewritten:
        slots.rewrite([(slot, member)], 1)
    for member in range(4):
        serves = slots.served_by(member).tolist()
        home = [slot for slot in serves if slot in slots.home_slots(member)]
        chosen = [slots.slot_for(member, key) for key in keys]
        assert (
            chosen
            == slots.slots_for(
                np.full(len(keys), member, np.uint16), np.array(keys, np.uint64)
            ).tolist()
        )
        assert set(chosen) <= set(home or serves or [NO_SLOT])
        # All of them are used: a failover spreads over the survivors by slots.
        offered = {slots.slot_for(member, key) for key in range(8)}
        assert offered == set((home or serves)[:8] or [NO_SLOT])


@given(changes)
def test_a_log_and_a_snapshot_say_who_serves_what(rewritten: list[tuple[int, int]]) -> None:
    slots, replayed, copied = (Slots(4, per_member=8) for _ in range(3))
    log = b"".join(slots.rewrite([change], n) for n, change in enumerate(rewritten, 1))
    row = STRUCT.pack(*Row(Kind.BINDING, home_address=1))  # somebody else's
    replayed.apply(row + log + log[-64:])
    copied.apply(slots.snapshot())
    for other in (replayed, copied):
        assert other.member_of.tolist() == slots.member_of.tolist()
        assert other.epoch == slots.epoch
        assert other.since.tolist() == slots.since.tolist()
        for member in range(4):
            assert [other.slot_for(member, key) for key in range(8)] == [
                slots.slot_for(member, key) for key in range(8)
            ]


@given(changes)
def test_a_slot_is_its_members_since_it_came_from_another(rewritten: list[tuple[int, int]]) -> None:
    slots, came = Slots(4, per_member=8), dict.fromkeys(range(32), 0)
    for epoch, (slot, member) in enumerate(rewritten, 1):
        if slots.member_of[slot] != member:
            came[slot] = epoch
        slots.rewrite([(slot, member)], epoch)
    assert dict(enumerate(slots.since.tolist())) == came


@given(st.lists(st.tuples(st.integers(0, 31), st.booleans()), max_size=20))
def test_what_a_member_holds_and_since_when_outlives_it(told: list[tuple[int, bool]]) -> None:
    held, again = (Holdings(1, range(8, 16)) for _ in range(2))
    for epoch, (slot, holds) in enumerate(told, 1):
        held.apply(held.said([slot], holds, epoch))
    again.apply(held.snapshot())
    assert (again.slots, again.epoch) == (held.slots, held.epoch)
    assert [again.since(slot) for slot in range(32)] == [held.since(slot) for slot in range(32)]


def test_more_slots_than_a_record_can_name_are_refused() -> None:
    with pytest.raises(ValueError, match="16 bits"):
        Slots(1024)


def test_a_controller_begins_again_when_it_had_a_term_before() -> None:
    slots = Slots(2)
    first = slots.term_of(3, 100.0)
    slots.epoch = first + 5
    again, another = slots.term_of(3, 101.0), slots.term_of(4, 101.0)
    assert not began_again(0, first)
    assert not began_again(first, slots.epoch)
    assert began_again(slots.epoch, again)
    assert not began_again(slots.epoch, another)
