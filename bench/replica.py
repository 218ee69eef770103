"""Restart from the journal, and a standby that catches up: seconds, and records a second.

    python -m bench.replica

Real files, real TLS over loopback, real tables; the standby is a process of its own, and so is each
restart: loading the compiled code that reads long logs is a part of it, the interpreter's own start
is not. The standby has that code already, as one that records came to before. What is written is as
a controller writes it: a binding of 64 octets, groups of 256 records, each of them on the active's
disk and on its way to the standby before the next one. Mobile nodes are known by home address
alone, or by an NAI too. Rows are medians of a few rounds; the first one is what copying the same
octets in memory costs.
"""

from __future__ import annotations

import dataclasses
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface
from itertools import product
from pathlib import Path

import numpy as np

from bench import table
from bench.machine import machine
from hacc_agent.config import AgentConfig, Controller, Durability, Lan, LanAddress, Link
from hacc_agent.engine.effects import Moment
from hacc_agent.engine.names import Names
from hacc_agent.engine.record import OCTETS, Records
from hacc_agent.engine.table import Table
from hacc_agent.journal import Journal
from hacc_agent.replica import Replica
from tasks import pki
from tasks.compile import compile_site
from tasks.intent import load_site

MILLION = 1_000_000
RESTART = {MILLION: 1.0, 5 * MILLION: 5.0}  # s: bindings -> limit
SYNC = 1.0  # s, limit: a standby without anything, 1M bindings
STREAM = 500_000  # records/s, limit
STALL = 0.020  # s, limit: one turn of the loop that packets wait for
GROUP = 256  # records: what a full batch of requests leaves
ATTACHED = 8192  # records at once, before there is a standby
STREAMED = 2 * MILLION  # records
AHEAD = 256  # groups that the standby may be behind, so that none is sent as a state
ROUNDS = 3
SEED = 7
PORT = 43435
CLUSTER = "bench"


class State:
    """A table, as a replica sees an engine's."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.clear()

    def clear(self) -> None:
        self.table = Table(self._capacity, SEED)

    def expect(self, rows: int, names: int) -> None:
        self.table.expect(rows, names)

    def apply(self, records: bytes) -> None:
        self.table.apply(records)

    def snapshot(self) -> Iterator[bytes]:
        return self.table.snapshot()

    def digest(self) -> int:
        return self.table.digest()


def bindings(count: int) -> Records:
    """In an order that no cache likes."""
    records = table.bindings(np.random.default_rng(SEED).permutation(count), None)
    records["care_of_address"] = int(IPv4Address("198.18.9.1"))
    records["lifetime"], records["expires"] = 1800, 2**31
    records["identification"] = np.arange(count, dtype=np.uint64) << np.uint64(32)
    return records


def named(records: Records, names: Names) -> Iterator[bytes]:
    """The same of mobile nodes that have NAIs, as a log tells it."""
    for at in range(0, len(records), ATTACHED):
        some = records[at : at + ATTACHED].copy()
        told = table.names_of(some["home_address"].astype(np.int64) - table.FIRST, names)
        some["nai"] = told.view(table.NAME)["number"]
        yield told.tobytes() + some.tobytes()


def now() -> Moment:
    return Moment(time.monotonic(), time.time())


def quiet(event: str, sender: str = "", **fields: str | int) -> None:
    if "journal cannot" in event:
        print(event, sender, fields, file=sys.stderr)


# ------------------------------------------------------------------ restart


def write(folder: Path, count: int, nais: bool) -> tuple[float, int]:
    """A journal that is only a state. Seconds of the longest turn meanwhile, and the digest."""
    state = State(count)
    records = bindings(count)
    for some in named(records, state.table.names) if nais else [records.tobytes()]:
        state.apply(some)
    journal = Journal(folder, CLUSTER, state.snapshot, sync_groups=False)
    journal.open(lambda _records: None)
    for _ in state.snapshot():
        break  # numpy loads parts of itself when they are used first
    journal.compact()
    longest = 0.0
    while journal.next_deadline() == 0.0:
        begin = time.perf_counter()
        journal.work(0.0)
        longest = max(longest, time.perf_counter() - begin)
    journal.close()
    return longest, state.digest()


def restart(folder: Path, count: int) -> None:
    """The other process: prints seconds, processor seconds, the digest."""
    assert "numba" not in sys.modules  # it is a part of what is measured
    begin, computed = time.perf_counter(), time.process_time()
    state = State(count)
    journal = Journal(folder, CLUSTER, state.snapshot)
    journal.open(state.apply, state.expect)
    seconds = time.perf_counter() - begin, time.process_time() - computed
    journal.close()
    print(*seconds, state.digest())


def restarted(folder: Path, count: int) -> tuple[float, float, int]:
    command = [sys.executable, "-m", "bench.replica", str(folder), str(count)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600).stdout
    seconds, computed, digest = found.split()
    return float(seconds), float(computed), int(digest)


# ------------------------------------------------------------------ a standby


def config(folder: Path, name: str, durability: Durability) -> AgentConfig:
    (model,) = compile_site(load_site(Path(__file__).parents[1] / "inventory"))
    found = next(d.agent for d in model.devices if d.agent is not None and d.agent.snmp)
    addresses = {"active": IPv4Address("127.83.0.1"), "standby": IPv4Address("127.83.0.2")}
    return dataclasses.replace(
        found,
        cluster=CLUSTER,
        name=name,
        lans=(Lan("access", "lo", IPv4Interface(f"{addresses[name]}/8")),),
        controllers=tuple(
            Controller(each, 100, (LanAddress("access", address),))
            for each, address in addresses.items()
        ),
        link=Link(
            PORT,
            str(folder / "pki" / "authority.pem"),
            str(folder / "pki" / f"{name}.pem"),
            str(folder / "pki" / f"{name}.key"),
        ),
        state_directory=str(folder / name),
        durability=durability,
    )


def until(replica: Replica, happened: Callable[[], bool]) -> None:
    """Turns of a replica's own loop."""
    descriptor = replica.fileno()
    assert descriptor is not None
    while not happened():
        due = replica.next_deadline()
        wait = 0.1 if due is None else min(0.1, max(0.0, due - now().steady))
        select.select([descriptor], [], [], wait)
        replica.handle(now())


def standby(told: AgentConfig, count: int, ready: int, ends: int) -> None:
    """The other process: tells the seconds until it has the state, follows until it is told."""
    state = State(count)
    replica = Replica(told, state, os.urandom, quiet)
    replica.open(now())
    os.read(ends, 1)
    begin, computed = time.perf_counter(), time.process_time()
    replica.follow(now())
    until(replica, lambda: len(state.table) == count and replica.status()["whole"])
    seconds = time.perf_counter() - begin, time.process_time() - computed
    os.write(ready, "{} {}".format(*seconds).encode())
    until(replica, lambda: bool(select.select([ends], [], [], 0)[0]))
    replica.close(now())
    os.write(ready, f"{state.digest():020}".encode())


def replicate(
    folder: Path, count: int, durability: Durability
) -> tuple[float, float, float, float]:
    """Seconds of a full sync, and of it what the standby computed; records a second of the stream;
    us that the active's loop waits for each group.
    """
    pki.create_authority(folder / "pki", CLUSTER, datetime.now(UTC))
    for name in ("active", "standby"):
        pki.issue(folder / "pki", CLUSTER, name, datetime.now(UTC))
    (ready, child_ready), (child_ends, ends) = os.pipe(), os.pipe()
    state = State(count)
    records = bindings(count)
    replica = Replica(config(folder, "active", durability), state, os.urandom, quiet)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            standby(config(folder, "standby", durability), count, child_ready, child_ends)
            code = 0
        finally:
            os._exit(code)
    try:
        replica.open(now())
        replica.lead(now())
        for at in range(0, count, ATTACHED):
            state.apply(records[at : at + ATTACHED].tobytes())
            replica.append(records[at : at + ATTACHED].tobytes(), now())
        os.write(ends, b"!")
        until(replica, lambda: bool(select.select([ready], [], [], 0)[0]))
        synced, computed = map(float, os.read(ready, 64).split())
        rate, cost = stream(replica, state, records)
        os.write(ends, b".")
        assert int(os.read(ready, 64)) == state.digest()
        replica.close(now())
    finally:
        os.waitpid(child, 0)
        for descriptor in (ready, child_ready, child_ends, ends):
            os.close(descriptor)
    return synced, computed, rate, cost


def stream(replica: Replica, state: State, records: Records) -> tuple[float, float]:
    """Every group is a few hundred bindings that were registered again."""
    groups = [records[at : at + GROUP].tobytes() for at in range(0, len(records) - GROUP, GROUP)]

    def behind() -> int:
        followers = replica.status()["followers"]
        return int(followers[0]["behind"]) if followers else sys.maxsize

    count = STREAMED // GROUP
    inside = 0.0
    begin = time.perf_counter()
    for number in range(count):
        started = time.perf_counter()
        replica.append(groups[number % len(groups)], now())
        inside += time.perf_counter() - started
        if number % 16 == 0:
            replica.handle(now())
            if behind() > AHEAD:
                until(replica, lambda: behind() <= AHEAD // 2)
    until(replica, lambda: behind() == 0)
    seconds = time.perf_counter() - begin
    for number in range(min(count, len(groups))):
        state.apply(groups[number])
    return count * GROUP / seconds, inside / count * 1e6


def main() -> int:
    table.load()
    missed = 0

    def row(name: str, value: float, unit: str, limit: float | None, *, more: bool = False) -> None:
        nonlocal missed
        bound = "" if limit is None else f"   limit {'>' if more else '<'} {limit:,g}"
        over = limit is not None and (value < limit if more else value > limit)
        missed += over
        print(f"{name:48} {value:12,.3g} {unit:10}{bound}{'   MISSED' if over else ''}", flush=True)

    octets = bytes(MILLION * OCTETS)
    begin = time.perf_counter()
    bytearray(octets)
    row("copy 64 octets a million times, in memory", time.perf_counter() - begin, "s", None)
    for (count, limit), nais in product(RESTART.items(), (False, True)):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            longest, written = write(Path(name), count, nais)
            starts = [restarted(Path(name), count) for _ in range(ROUNDS)]
        assert {digest for _, _, digest in starts} == {written}
        seconds, computed, _ = map(statistics.median, zip(*starts, strict=True))
        kind = "with NAIs" if nais else "by address"
        row(f"restart, {count // MILLION}M bindings {kind}", seconds, "s", limit)
        row("  of which it computes", computed, "s", None)
        row("  longest turn while its journal is begun anew", longest, "s", STALL)
    for durability in Durability:
        rounds = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
                rounds.append(replicate(Path(name), MILLION, durability))
        synced, computed, rates, cost = map(statistics.median, zip(*rounds, strict=True))
        row(f"standby gets 1M bindings, durability {durability}", synced, "s", SYNC)
        row("  of which the standby computes", computed, "s", None)
        least = STREAM if durability is Durability.PROCESS else None  # else the disk's, not ours
        row(f"stream to it, durability {durability}", rates, "records/s", least, more=True)
        row("  of which the active's loop waits", cost, "us a group", None)
    print(machine())
    return 1 if missed else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case [folder, count]:
            restart(Path(folder), int(count))
        case _:
            sys.exit(main())
