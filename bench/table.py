"""The table of bindings at 1,000,000 and 5,000,000 rows: memory, cost of a row, longest stall.

    python -m bench.table

Each table is measured in a process of its own, so that what the process grows by is the table: rows
known by home address alone, and rows known by address and NAI (`mn0000001@example.net`). It is
filled from the records of a log, by compiled code as under load, then a tenth of it is renewed, and
memory is read.

A stall is the longest single call, in processor time: a log of 256 or 8192 records, one row, or a
step of what goes over the whole table. A dict of Python's with the same keys is looked up in the
same run.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.machine import machine
from hacc_agent.engine.names import Names
from hacc_agent.engine.record import OCTETS, RECORD, Kind, Records, Row, name_records
from hacc_agent.engine.table import Table

SIZES = (1_000_000, 5_000_000)
BATCH = 256  # records: what one system call's datagrams leave
ROUNDS = 400  # calls of each kind
BLOCK = 8192  # rows that are made and applied at once
FIRST = 0x0A000000  # 10.0.0.0
EXPIRES = 1_000_000

STALL_MS = 20.0
LIMIT = {"address": 120, "address and NAI": 200}  # of memory for a row

NAME = np.dtype({"names": ["number"], "formats": ["<u8"], "offsets": [8], "itemsize": OCTETS})


def load() -> None:
    """The compiled code that applies logs: where it is not itself what is measured."""
    from hacc_agent.engine.kernels.replaying import warm

    warm()


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process found out about one table."""

    octets: float  # of memory for a row
    filled_s: float
    cost_ns: dict[str, float]  # of a row, median
    longest_ms: dict[str, float]  # of a call


# ------------------------------------------------------------------ rows


def nai(number: int) -> bytes:
    return b"mn%07d@example.net" % number


def bindings(numbers: NDArray[Any], names: Records | None) -> Records:
    records = np.zeros(len(numbers), RECORD)
    records["kind"] = Kind.BINDING
    records["home_address"] = FIRST + numbers
    records["care_of_address"] = 1 + numbers % 1000
    records["slot"] = numbers % 256
    records["expires"] = EXPIRES
    records["nai"] = 0 if names is None else names.view(NAME)["number"]
    return records


def names_of(numbers: NDArray[Any], names: Names) -> Records:
    """NAME records, as a log has them."""
    nais = [nai(number) for number in numbers.tolist()]
    return np.frombuffer(
        b"".join(name_records(each, names.hash_nai(each)) for each in nais), RECORD
    )


# ------------------------------------------------------------------ one table


def fill(table: Table, size: int, named: bool) -> float:
    """Applies a log in blocks, names first; the seconds of processor time that it took."""
    took = 0.0
    for first in range(0, size, BLOCK):
        numbers = np.arange(first, min(first + BLOCK, size))
        names = names_of(numbers, table.names) if named else None
        rows = bindings(numbers, names)
        log = rows if names is None else np.concatenate([names, rows])
        took += processor_ns(partial(table.apply, log))
    return took / 1e9


def resident() -> int:
    """Octets of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def measure(size: int, named: bool) -> Measured:
    load()
    fill(Table(2 * BLOCK, 1), BLOCK, named)  # what the code itself needs is there from now on
    gc.collect()
    before = resident()
    table = Table(size + BLOCK, 1)
    filled_s = fill(table, size, named)
    for numbers in np.random.default_rng(1).integers(0, size, (size // 10 // BLOCK, BLOCK)):
        table.apply(table.rows[table.find_addresses((FIRST + numbers).astype(np.uint32))])
    octets = (resident() - before) / size
    cost_ns: dict[str, float] = {}
    longest_ms: dict[str, float] = {}
    for what, rows, calls in work(table, size, named):
        times = [processor_ns(call) for call in calls]
        longest_ms[what] = max(times) / 1e6
        if rows:
            cost_ns[what] = statistics.median(times) / rows
    if not named:
        cost_ns["(dict.get of the same keys)"] = dict_ns(size)
    return Measured(octets, filled_s, cost_ns, longest_ms)


def processor_ns(call: Callable[[], object]) -> int:
    begin = time.process_time_ns()
    call()
    return time.process_time_ns() - begin


def dict_ns(size: int) -> float:
    rows = dict(zip(range(FIRST, FIRST + size), range(size), strict=True))
    keys = np.random.default_rng(2).integers(FIRST, FIRST + size, (ROUNDS, BATCH)).tolist()

    def look_up(some: list[int]) -> None:
        for key in some:
            rows.get(key)

    return statistics.median(processor_ns(partial(look_up, some)) for some in keys) / BATCH


Calls = Iterator[Callable[[], object]]


def work(table: Table, size: int, named: bool) -> Iterator[tuple[str, int, Calls]]:
    """What is done to a table: its name, how many rows a call is about (0: all), the calls."""
    chance = np.random.default_rng(3)
    picks = [chance.choice(size, BATCH, replace=False) for _ in range(64)]
    known = [table.rows[table.find_addresses((FIRST + pick).astype(np.uint32))] for pick in picks]
    single = [Row._make(some[0].item()) for some in known]
    away = [size + chance.choice(10**6, BATCH, replace=False) for _ in picks]
    told = [names_of(numbers, table.names) if named else None for numbers in away]
    new = [bindings(numbers, names) for numbers, names in zip(away, told, strict=True)]
    gone = [some.copy() for some in new]
    for some in gone:
        some["kind"] = Kind.UNBOUND
    come_and_gone = [
        np.concatenate([*([] if names is None else [names]), *some])
        for names, *some in zip(told, new, gone, strict=True)
    ]
    fresh = [Row._make(some[0].item()) for some in new]
    callers = [(row.home_address, nai(row.home_address - FIRST)) for row in single]

    def calls(work: Callable[[int], object], count: int = ROUNDS) -> Calls:
        return (partial(work, n % len(picks)) for n in range(count))

    def come_and_go_singly() -> None:
        for row in fresh:
            table.remove(table.put(row))

    def find_singly() -> None:
        for home, _ in callers:
            table.find(home)

    def find_named_singly() -> None:
        for _, name in callers:
            table.find(0, name)

    def expire(n: int) -> None:
        assert bool(len(table.expired(EXPIRES - 1 + n % 2))) == bool(n % 2)

    snapshot = table.snapshot()
    log = np.concatenate(known * (BLOCK // BATCH // len(known) + 1))[:BLOCK]
    yield "apply records of known rows", BATCH, calls(lambda n: table.apply(known[n]))
    yield "apply new rows and their end", BATCH, calls(lambda n: table.apply(come_and_gone[n]))
    yield "apply a block of a log", len(log), calls(lambda _: table.apply(log), 60)
    # So short that the clock would count as much: one call is one row of each batch.
    yield "find one by one", len(single), calls(lambda _: find_singly())
    if named:
        yield "find by NAI one by one", len(single), calls(lambda _: find_named_singly())
    yield "put one by one", len(single), calls(lambda _: [table.put(row) for row in single])
    yield "put new ones, remove them singly", len(single), calls(lambda _: come_and_go_singly())
    yield "scan for expired rows", 0, calls(expire, 40)
    yield "digest", 0, calls(lambda _: table.digest())
    yield "count by slot", 0, calls(lambda _: table.count_by_slot())
    yield "a block of a snapshot", 0, calls(lambda _: next(snapshot, None))


# ------------------------------------------------------------------ all of them


def show(size: int, known_by: str, measured: Measured) -> int:
    """Prints what was measured beside its limits; how many were missed."""
    lines: list[tuple[str, float, str, float | None]] = [
        ("memory", measured.octets, "octets a row", LIMIT[known_by]),
        ("filled from a log", measured.filled_s, "s", None),
        *((what, ns, "ns a row", None) for what, ns in measured.cost_ns.items()),
        *((f"longest: {what}", ms, "ms", STALL_MS) for what, ms in measured.longest_ms.items()),
    ]
    missed = 0
    print(f"{size:,} rows, known by {known_by}")
    for what, value, unit, limit in lines:
        over = limit is not None and value > limit
        missed += over
        bound = "" if limit is None else f"limit {limit:g}{'   MISSED' if over else ''}"
        print(f"  {what:36}{value:10.2f} {unit:14}{bound}".rstrip())
    return missed


def main() -> int:
    missed = 0
    for size, known_by in product(SIZES, LIMIT):
        command = [sys.executable, "-m", "bench.table", str(size), known_by]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600).stdout
        missed += show(size, known_by, Measured(**json.loads(found)))
    print(machine())
    return 1 if missed else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case [size, known_by]:
            print(json.dumps(asdict(measure(int(size), known_by == "address and NAI"))))
        case _:
            sys.exit(main())
