"""Whom to ask next: laws over fleets, clocks and answers that hypothesis thinks of."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.snmp.polling import BACK_OFF, SHARE, SILENT, Polling

INTERVAL = 5.0
AT_ONCE = 64


def played(members: int, took: list[float | None], until: float) -> list[tuple[float, int]]:
    """Who is asked when, where member n answers after `took[n]` seconds, or never (for 2 s)."""
    polling = Polling(members, INTERVAL, AT_ONCE, 0.0)
    under_way: list[tuple[float, int]] = []
    asked = []
    now = 0.0
    while now <= until:
        for at, member in sorted(under_way):
            if at <= now:
                under_way.remove((at, member))
                answer = took[member]
                if answer is None:
                    polling.unanswered(member, now)
                else:
                    polling.answered(member, answer, now)
        for member in polling.due(now):
            asked.append((now, member))
            answer = took[member]
            under_way.append((now + (2.0 if answer is None else answer), member))
            assert Counter(other for _, other in under_way)[member] == 1
        assert len(under_way) <= AT_ONCE
        due = polling.next_deadline()
        nexts = [at for at, _ in under_way] + ([] if due is None else [due])
        assert due is None or due > now
        now = min(nexts)
    return asked


@given(st.lists(st.none() | st.floats(0.001, 3.0), min_size=1, max_size=200))
def test_each_member_has_its_turn_and_no_member_has_two_requests(took: list[float | None]) -> None:
    asked = played(len(took), took, 120.0)
    times = Counter(member for _, member in asked)
    assert set(times) == set(range(len(took)))
    for member, answer in enumerate(took):
        most = 121 / INTERVAL + 1
        if answer is not None:
            most = min(most, 121 / max(INTERVAL, answer / SHARE) + 1)
        assert times[member] <= most


@given(st.integers(2, 2000))
def test_members_are_spread_over_the_interval(members: int) -> None:
    """However many there are: no two are asked sooner after one another than must be."""
    asked = played(members, [0.001] * members, INTERVAL - 0.01)
    found = [at for at, _ in asked]
    assert [member for _, member in asked] == list(range(len(asked)))
    for earlier, later in pairwise(found):
        assert later - earlier <= INTERVAL / members + 1e-6 or later - earlier <= 0.001 + 1e-9


def test_a_silent_member_is_asked_less_and_less_often_down_to_a_floor() -> None:
    times = [at for at, _ in played(1, [None], 400.0)]
    gaps = [round((b - a) / INTERVAL) for a, b in pairwise(times)]
    assert gaps[: SILENT - 1] == [1] * (SILENT - 1)  # by then `health` knows that it is silent
    assert gaps[SILENT - 1 : SILENT + 2] == list(BACK_OFF[1:])
    assert set(gaps[SILENT + 2 :]) == {BACK_OFF[-1]}


def test_one_that_answers_again_is_asked_as_before() -> None:
    polling = Polling(1, INTERVAL, AT_ONCE, 0.0)
    now = 0.0
    for _ in range(6):
        assert polling.due(now) == [0]
        polling.unanswered(0, now)
        now = polling.next_deadline() or pytest.fail("it is never asked again")
    assert polling.due(now) == [0]
    polling.answered(0, 0.01, now)
    assert polling.next_deadline() == pytest.approx(now + INTERVAL)


def test_silent_members_take_no_turns_of_others() -> None:
    """Even when more than may be under way at once are silent."""
    took: list[float | None] = [None] * AT_ONCE + [0.01] * 10
    times = Counter(member for _, member in played(len(took), took, 300.0))
    assert all(times[member] >= 0.9 * 300 / INTERVAL for member in range(AT_ONCE, len(took)))
