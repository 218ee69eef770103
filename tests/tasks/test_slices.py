"""Laws of cutting pools: every address once, by weight, whatever is pinned."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.slices import GRAINS_PER_MEMBER, assignable, cut


@st.composite
def pools(draw: st.DrawFn) -> IPv4Network:
    length = draw(st.integers(0, 30))
    return IPv4Network((draw(st.integers(0, 2**length - 1)) << (32 - length), length))


@st.composite
def cuts(
    draw: st.DrawFn,
) -> tuple[IPv4Network, list[tuple[str, int]], dict[str, list[IPv4Network]]]:
    """A pool, weights, and pins that do not overlap."""
    pool = draw(pools())
    weights = [(f"m{n}", w) for n, w in enumerate(draw(st.lists(st.integers(1, 9), min_size=2,
                                                                max_size=9)))]  # fmt: skip
    blocks = list(pool.subnets(min(3, 32 - pool.prefixlen)))
    pinned = draw(st.lists(st.integers(0, len(blocks) - 1), unique=True, max_size=4))
    pins: dict[str, list[IPv4Network]] = {}
    for block in pinned:
        name, _ = weights[draw(st.integers(1, len(weights) - 1))]  # the first is never pinned
        pins.setdefault(name, []).append(blocks[block])
    return pool, weights, pins


def octets(prefixes: tuple[IPv4Network, ...]) -> int:
    return sum(prefix.num_addresses for prefix in prefixes)


@given(cuts())
def test_every_address_is_owned_exactly_once(
    drawn: tuple[IPv4Network, list[tuple[str, int]], dict[str, list[IPv4Network]]],
) -> None:
    pool, weights, pins = drawn
    slices = cut(pool, weights, pins)
    owned = sorted(prefix for prefixes in slices.values() for prefix in prefixes)
    at = int(pool.network_address)
    for prefix in owned:
        assert int(prefix.network_address) == at
        at = int(prefix.broadcast_address) + 1
    assert at == int(pool.broadcast_address) + 1
    for name, prefixes in pins.items():
        assert octets(slices[name]) == octets(tuple(prefixes))
        assert all(any(p.subnet_of(s) for s in slices[name]) for p in prefixes)


@given(pools(), st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_slices_are_contiguous_and_fair(pool: IPv4Network, numbers: list[int]) -> None:
    weights = [(f"m{n}", weight) for n, weight in enumerate(numbers)]
    slices = cut(pool, weights, {})
    at = int(pool.network_address)
    mean = pool.num_addresses / len(weights)
    for name, weight in weights:
        for prefix in slices[name]:
            assert int(prefix.network_address) == at  # in the members' order, without a gap
            at = int(prefix.broadcast_address) + 1
        exact = pool.num_addresses * weight / sum(numbers)
        grain = max(1.0, mean / GRAINS_PER_MEMBER)
        assert abs(octets(slices[name]) - exact) < grain


def test_the_example_of_the_guide() -> None:
    pool = IPv4Network("198.19.64.0/20")
    slices = cut(pool, [("ha1", 1), ("ha2", 2), ("west-ios", 1)], {})
    assert {name: list(map(str, prefixes)) for name, prefixes in slices.items()} == {
        "ha1": ["198.19.64.0/22"],
        "ha2": ["198.19.68.0/22", "198.19.72.0/22"],
        "west-ios": ["198.19.76.0/22"],
    }


def test_a_slice_is_a_handful_of_prefixes() -> None:
    pool = IPv4Network("10.0.0.0/12")
    for members in range(1, 70):
        slices = cut(pool, [(f"m{n}", 1) for n in range(members)], {})
        assert max(map(len, slices.values())) <= 10


def test_a_pool_smaller_than_its_members_leaves_some_without() -> None:
    slices = cut(IPv4Network("192.0.2.0/31"), [("a", 1), ("b", 1), ("c", 1)], {})
    assert [octets(prefixes) for prefixes in slices.values()] == [1, 1, 0]


def test_pins_that_cover_all_leave_nothing() -> None:
    pool = IPv4Network("192.0.2.0/24")
    low, high = pool.subnets(1)
    assert cut(pool, [("a", 1), ("b", 1)], {"a": [low], "b": [high]}) == {"a": (low,), "b": (high,)}


@given(st.lists(st.integers(0, 15), unique=True), st.lists(st.integers(-2, 260)))
def test_assignable_is_what_is_left(blocks: list[int], reserved: list[int]) -> None:
    base = int(IPv4Address("192.0.2.0"))
    prefixes = [IPv4Network((base + 16 * block, 28)) for block in blocks]
    taken = [IPv4Address(base + number) for number in reserved]
    found = assignable(prefixes, taken)
    listed = [
        IPv4Address(number)
        for first, last in found
        for number in range(int(first), int(last) + 1)
    ]  # fmt: skip
    wanted = sorted({address for prefix in prefixes for address in prefix} - set(taken))
    assert listed == wanted
    for (_, last), (first, _) in itertools.pairwise(found):
        assert last + 1 < first, "ranges that touch are one range"


@pytest.mark.parametrize("reserved", [[], ["192.0.2.0"], ["192.0.2.0", "192.0.2.1"]])
def test_assignable_at_the_edge(reserved: list[str]) -> None:
    ranges = assignable([IPv4Network("192.0.2.0/31")], map(IPv4Address, reserved))
    assert sum(int(last) - int(first) + 1 for first, last in ranges) == 2 - len(reserved)
