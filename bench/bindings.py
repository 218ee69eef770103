"""Bindings that a router has held for long, as its journal tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hacc_agent.engine.record import STRUCT, Row, name_records
from hacc_agent.engine.table import Table

BLOCK = 8192  # mobile nodes at once


def told(
    seed: int, count: int, nai: Callable[[int], bytes], row: Callable[[int], Row]
) -> Iterator[bytes]:
    """Records of mobile nodes 0 to `count`, with names; `seed`: of the cluster's names."""
    names = Table(1, seed)
    for first in range(0, count, BLOCK):
        records = []
        for number in range(first, min(first + BLOCK, count)):
            name = nai(number)
            hashed = names.hash_nai(name)
            bound = row(number)._replace(nai=hashed)
            records.append(name_records(name, hashed) + STRUCT.pack(*bound))
        yield b"".join(records)
