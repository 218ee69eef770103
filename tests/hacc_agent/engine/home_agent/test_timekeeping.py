"""A Home Agent's wall clock is set: who registered goes on, and nothing can be replayed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.effects import Moment
from hacc_agent.engine.home_agent.replay import timestamp
from hacc_agent.engine.home_agent.timekeeping import BEHIND_S, SLOWER, Timekeeping
from hacc_agent.engine.record import Kind, Row
from tests.hacc_agent.engine.home_agent.router import ACCEPTED, NOW, STALE, Router, request, stamp

HOUR_S = 3600.0
TOLERANCE_S = 7


def at(seconds: float, ahead: float = 0.0) -> Moment:
    """So long after the beginning, with a clock on the wall that is so far ahead."""
    return Moment(NOW.steady + seconds, NOW.wall + seconds + ahead)


def binding(router: Router) -> bytes:
    return b"".join(router.table.snapshot())


def test_a_clock_that_is_set_back_refuses_nobody() -> None:
    """Its mobile nodes had followed it: an hour would pass until they could register again."""
    router = Router("ha1")
    assert router.asked(request(stamp(HOUR_S)), at(0, HOUR_S)) == ACCEPTED
    assert router.asked(request(stamp(HOUR_S + 300)), at(300)) == ACCEPTED


def test_a_clock_that_is_set_forward_counts_at_once() -> None:
    router = Router("ha1")
    assert router.asked(request(stamp(0)), at(0)) == ACCEPTED
    assert router.asked(request(stamp(1)), at(1, HOUR_S)) == STALE
    assert router.asked(request(stamp(HOUR_S + 2)), at(2, HOUR_S)) == ACCEPTED


def test_what_was_accepted_in_a_false_hour_is_not_when_it_comes() -> None:
    router = Router("ha1")
    recorded = request(stamp(HOUR_S))
    assert router.asked(recorded, at(0, HOUR_S)) == ACCEPTED
    router.engine.handle_timer(at(700))  # its binding ends
    assert not router.bindings
    router.engine.handle_timer(at(800))  # and nobody remembers its mobile node
    assert not router.rows
    assert router.asked(recorded, at(HOUR_S)) == STALE


def test_the_heir_of_a_wrong_clock_goes_on_with_its_time() -> None:
    """At most one answer with code 133, from which a mobile node learns the second."""
    first, heir = Router("ha1"), Router("ha2")
    first.asked(request(stamp(HOUR_S)), at(0, HOUR_S))
    heir.engine.begin_anew(at(1))
    heir.takes(binding(first), at(2))
    told = heir.engine.time(at(3)).wall
    assert told == pytest.approx(NOW.wall + HOUR_S + BEHIND_S + 1, abs=0.1)
    assert heir.asked(request(timestamp(float(int(told)))), at(3)) == ACCEPTED
    assert heir.asked(request(stamp(HOUR_S)), at(4)) == STALE


def test_a_home_agent_that_starts_again_goes_on_with_its_time() -> None:
    first, again = Router("ha1"), Router("ha1")
    first.asked(request(stamp(HOUR_S)), at(0, HOUR_S))
    again.engine.apply(binding(first))
    assert again.asked(request(stamp(HOUR_S + 4)), at(4)) == ACCEPTED


@pytest.mark.parametrize("ahead", [-TOLERANCE_S, TOLERANCE_S, 1.9 * TOLERANCE_S])
def test_what_clocks_may_differ_by_moves_no_clock(ahead: float) -> None:
    """Or who is at the edge of the tolerance could push the time of everybody."""
    router = Router("ha2")
    first = Router("ha1")
    first.asked(request(stamp(ahead)), at(0, ahead))
    router.takes(binding(first), at(1))
    assert router.engine.time(at(1)) == at(1)


def test_nonces_tell_no_time() -> None:
    keeping = Timekeeping(TOLERANCE_S)
    router = Router("ha1")
    row = Row(Kind.BINDING, 1, 600, 2, 3, identification=stamp(HOUR_S))
    router.table.put(row)
    (records,) = router.table.held()
    nonces = records.copy()
    nonces["traits"] = 0xFF
    keeping.witness(nonces, NOW)
    assert keeping.told(NOW) == NOW
    keeping.witness(records, NOW)
    assert keeping.told(NOW).wall > NOW.wall + HOUR_S


steps = st.lists(st.tuples(st.floats(0, 1000), st.floats(-1e6, 1e6)), min_size=1, max_size=20)


@given(steps)
def test_time_is_told_forward_and_never_slower_than_it_says(
    steps: list[tuple[float, float]],
) -> None:
    """Whatever is done to the clock; and once it has caught up it is what counts."""
    keeping, steady, last = Timekeeping(TOLERANCE_S), 0.0, None
    for passed, wall in steps:
        steady += passed
        told = keeping.told(Moment(steady, wall))
        assert told.steady == steady
        assert told.wall >= wall
        if last is not None:
            least = last + passed * (1 - SLOWER)
            assert told.wall == pytest.approx(max(wall, least))
        assert keeping.told(told) == told
        last = told.wall
