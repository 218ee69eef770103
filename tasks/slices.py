"""Cutting a pool of home addresses into one slice for each member.

A dynamic home address comes from the member's own slice, so the member announces the slice and a
failover moves a prefix (hole H2: when every Home Agent announces the whole network, a packet for a
mobile node lands on a random one). Slices are contiguous and proportional to weight, by largest
remainder; pinned slices are taken out first. What is cut is whole *grains*, aligned blocks of a
power of two: fine enough to be fair (a sixteenth of a mean share), coarse enough that a slice is a
handful of prefixes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, summarize_address_range

GRAINS_PER_MEMBER = 16


def cut(
    pool: IPv4Network,
    weights: Sequence[tuple[str, int]],
    pins: Mapping[str, Iterable[IPv4Network]],
) -> dict[str, tuple[IPv4Network, ...]]:
    """Each member's prefixes, aligned and sorted.

    Together they are the pool, each address once, whenever a member is unpinned and the pins are
    disjoint and inside the pool. (Whether they are is proven on the models.)
    """
    pinned = {name: [p for p in pins.get(name, ()) if p.subnet_of(pool)] for name, _ in weights}
    shares = [(name, weight) for name, weight in weights if not pinned[name]]
    free = _without(pool, [prefix for prefixes in pinned.values() for prefix in prefixes])
    sizes = _shares(_grains(pool, free, len(shares)), sum(p.num_addresses for p in free), shares)
    slices = {name: tuple(collapse_addresses(prefixes)) for name, prefixes in pinned.items()}
    for (name, _), size in zip(shares, sizes, strict=True):
        taken, free = _take(free, size)
        slices[name] = tuple(collapse_addresses(taken))
    return slices


def assignable(
    prefixes: Iterable[IPv4Network], reserved: Iterable[IPv4Address]
) -> tuple[tuple[IPv4Address, IPv4Address], ...]:
    """The ranges of addresses that may be given to a mobile node, both ends included."""
    ranges: list[tuple[int, int]] = []
    for prefix in sorted(prefixes):
        first, last = int(prefix.network_address), int(prefix.broadcast_address)
        if ranges and ranges[-1][1] + 1 == first:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    for address in sorted(set(map(int, reserved))):
        ranges = [
            part
            for first, last in ranges
            for part in (
                ((first, address - 1), (address + 1, last))
                if first <= address <= last
                else ((first, last),)
            )
            if part[0] <= part[1]
        ]
    return tuple((IPv4Address(first), IPv4Address(last)) for first, last in ranges)


def _without(pool: IPv4Network, taken: Iterable[IPv4Network]) -> list[IPv4Network]:
    free = [pool]
    for hole in collapse_addresses(taken):
        free = [
            part
            for prefix in free
            for part in (
                prefix.address_exclude(hole)
                if hole.subnet_of(prefix)
                else ()
                if prefix.subnet_of(hole)
                else (prefix,)
            )
        ]
    return sorted(free)


def _grains(pool: IPv4Network, free: Iterable[IPv4Network], members: int) -> int:
    """The size of a grain in addresses: a power of two that divides every free prefix."""
    wanted = max(1, members * GRAINS_PER_MEMBER)
    size = max(1, pool.num_addresses >> (wanted - 1).bit_length())
    return min([size, *(prefix.num_addresses for prefix in free)])


def _shares(grain: int, free: int, shares: Sequence[tuple[str, int]]) -> list[int]:
    """Addresses for each member by largest remainder; of equals, the earlier gets the rest."""
    if not shares:
        return []
    units, total = free // grain, sum(weight for _, weight in shares)
    counts = [units * weight // total for _, weight in shares]
    remainders = [units * weight % total for _, weight in shares]
    order = sorted(range(len(shares)), key=lambda index: (-remainders[index], index))
    for index in order[: units - sum(counts)]:
        counts[index] += 1
    return [count * grain for count in counts]


def _take(free: Sequence[IPv4Network], size: int) -> tuple[list[IPv4Network], list[IPv4Network]]:
    """The first `size` addresses of sorted free prefixes, and what is left."""
    taken: list[IPv4Network] = []
    for index, prefix in enumerate(free):
        if size == 0:
            return taken, list(free[index:])
        if prefix.num_addresses <= size:
            taken.append(prefix)
            size -= prefix.num_addresses
            continue
        first = prefix.network_address
        taken += summarize_address_range(first, first + (size - 1))
        rest = summarize_address_range(first + size, prefix.broadcast_address)
        return taken, [*rest, *free[index + 1 :]]
    return taken, []
