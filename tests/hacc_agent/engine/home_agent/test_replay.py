"""Timestamps as serial numbers (RFC 5944, 5.7.1): laws, and the turn of NTP's era in 2036."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.home_agent.replay import (
    NTP_EPOCH,
    is_near,
    later,
    resynchronized,
    timestamp,
)

ERA = 2**32 - NTP_EPOCH  # Unix time of 7 February 2036, 6:28:16 UTC
walls = st.floats(1e9, 5e9)


@given(walls, st.integers(1, 255), st.floats(-300, 300))
def test_near_is_within_the_tolerance(wall: float, tolerance: int, offset: float) -> None:
    if abs(abs(offset) - tolerance) > 1e-3:  # a float of 5e9 s has steps of a microsecond
        near = is_near(timestamp(wall + offset), wall, tolerance)
        assert near is (abs(offset) < tolerance)


@given(walls, st.floats(0.001, 1e9))
def test_later_is_an_order_within_half_an_era(wall: float, seconds: float) -> None:
    one, other = timestamp(wall), timestamp(wall + seconds)
    assert later(other, one)
    assert not later(one, other)
    assert not later(one, one)


@pytest.mark.parametrize("offset", [-3.0, -0.5, 0.5, 3.0])
def test_turn_of_the_era(offset: float) -> None:
    before, after = timestamp(ERA - 1), timestamp(ERA + 1)
    assert after < before  # as numbers
    assert later(after, before)
    assert is_near(before, ERA + offset, 7)
    assert is_near(after, ERA + offset, 7)


@given(st.integers(0, 2**64 - 1), walls)
def test_resynchronized(identification: int, wall: float) -> None:
    told = resynchronized(identification, wall)
    assert told & 0xFFFFFFFF == identification & 0xFFFFFFFF
    assert told >> 32 == int(wall + NTP_EPOCH) % 2**32
