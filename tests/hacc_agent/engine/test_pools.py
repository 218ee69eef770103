"""Pools beside a set of numbers: what is free, what is taken, whose turn it is."""

from __future__ import annotations

from ipaddress import IPv4Address

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import AddressRange
from hacc_agent.engine.pools import Pool

FIRST = int(IPv4Address("198.19.64.1"))
RANGES = ((0, 3), (10, 10), (20, 22))  # offsets of both ends
ALL = {FIRST + at for first, last in RANGES for at in range(first, last + 1)}


def pool(ranges: tuple[tuple[int, int], ...] = RANGES) -> Pool:
    pairs = [(IPv4Address(FIRST + first), IPv4Address(FIRST + last)) for first, last in ranges]
    return Pool(AddressRange(*pair) for pair in pairs)


offsets = st.integers(-1, 24)
operations = st.tuples(st.sampled_from(["choose", "take", "free"]), offsets)


@given(st.lists(operations, max_size=60))
def test_beside_a_set(script: list[tuple[str, int]]) -> None:
    tried = pool()
    taken: set[int] = set()
    for operation, offset in script:
        address = FIRST + offset
        match operation:
            case "choose":
                chosen = tried.choose()
                assert (chosen in ALL - taken) if taken != ALL else chosen == 0
                if chosen:
                    assert tried.take(chosen)
                    taken.add(chosen)
            case "take":
                assert tried.take(address) is (address in ALL)
                taken |= {address} & ALL
            case "free":
                assert tried.free(address) is (address in ALL)
                taken -= {address}
        assert tried.taken == len(taken)


@given(st.lists(offsets), st.lists(offsets))
def test_many_at_once(taken: list[int], free: list[int]) -> None:
    at_once, one_by_one = pool(), pool()
    at_once.mark(np.array([FIRST + each for each in taken], np.uint32), taken=True)
    at_once.mark(np.array([FIRST + each for each in free], np.uint32), taken=False)
    for each in taken:
        one_by_one.take(FIRST + each)
    for each in free:
        one_by_one.free(FIRST + each)
    assert at_once.taken == one_by_one.taken
    assert {one_by_one.choose() or 0} <= ALL | {0}


def test_what_was_freed_last_comes_back_last() -> None:
    tried = pool(((0, 3),))
    for _ in range(2):
        tried.take(tried.choose())
    tried.free(FIRST)
    order = []
    while address := tried.choose():
        tried.take(address)
        order.append(address - FIRST)
    assert order == [2, 3, 0]


def test_renewals_do_not_move_the_turn() -> None:
    tried = pool(((0, 9),))
    for _ in range(3):
        tried.take(tried.choose())
    tried.take(FIRST)
    assert tried.choose() == FIRST + 3


def test_membership_and_size() -> None:
    assert (pool().size, FIRST in pool(), FIRST + 5 in pool()) == (8, True, False)
    assert pool(()).choose() == 0
