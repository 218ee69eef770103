"""Registrations per second, beside a relay in C that does nothing and what else could be deployed.

    make bench-relay

Everything is measured in one run on one machine: the relay on the first core, the generator, which
plays Foreign Agents and members, on the second. Our controller does its full work: a table of a
million bindings, pending and permanent, a journal on disk. The C relay (relay.c) makes the same
system calls and decides nothing; nginx balances single datagrams and knows no mobile node. A ratio
compares two rows of the same round; what is printed is the median of the rounds.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.machine import machine

from .deployed import AGENTS, FIRST_AGENT, LENGTHS, NODES, SERVED, Deployed, Missing
from .ours import controller, controller_on_frames, member
from .peers import c_relay, c_relay_on_frames, compiled, nginx

ROUNDS = 5
SECONDS = 3.0  # of each measurement, half a second of it warming up
WINDOW = 256  # registrations under way
COMPILED = "compiled code is in use"  # what the daemon's log says of it
PATIENCE_S = 120  # for a machine with other work


@dataclass(frozen=True, slots=True)
class Measured:
    per_second: float
    p50_us: float
    p99_us: float
    cpu_us: float  # of the relay's process, a registration
    lost: int
    denied: int


@dataclass(frozen=True, slots=True)
class Row:
    """One relay under one load."""

    name: str
    relay: str  # which of the deployed ones
    lengths: int = 1  # of NAIs
    window: int = WINDOW


@dataclass(frozen=True, slots=True)
class Limit:
    """A row against another one of the same round."""

    row: str
    peer: str
    least: float | None = None  # of registrations a second
    most: float | None = None  # of the 99th percentile


ROWS = (
    Row("C", "c"),
    Row("C, UDP_SEGMENT", "c-gso"),
    Row("hacc-agent", "ours"),
    Row("nginx, datagram by datagram", "nginx"),
    Row("C, 8 NAI lengths", "c", lengths=LENGTHS),
    Row("hacc-agent, 8 NAI lengths", "ours", lengths=LENGTHS),
    Row("hacc-agent, fdatasync before replies", "durable"),
    Row("C, window 16", "c", window=16),
    Row("hacc-agent, window 16", "ours", window=16),
    Row("member, HMAC-MD5 both ways", "member"),
    Row("C on AF_PACKET", "c-frames"),
    Row("hacc-agent on AF_PACKET", "frames"),
)
LIMITS = (
    Limit("hacc-agent", "C", least=0.85),
    Limit("hacc-agent, 8 NAI lengths", "C, 8 NAI lengths", least=0.65),
    Limit("hacc-agent", "nginx, datagram by datagram", least=2.5),
    Limit("hacc-agent, fdatasync before replies", "hacc-agent", least=0.6),
    Limit("hacc-agent, window 16", "C, window 16", most=2.0),
    Limit("member, HMAC-MD5 both ways", "C", least=0.4),
    Limit("hacc-agent on AF_PACKET", "C on AF_PACKET", least=0.6),
)

DEPLOYERS = {
    "c": c_relay,
    "c-gso": lambda place, port, programs: c_relay(place, port, programs, segmented=True),
    "ours": controller,
    "durable": lambda place, port, programs: controller(place, port, programs, durable=True),
    "nginx": nginx,
    "member": member,
    "c-frames": c_relay_on_frames,
    "frames": controller_on_frames,
}


def measure(row: Row, relay: Deployed, generator: Path, seconds: float = SECONDS) -> Measured:
    """One run of the generator against a relay that is up."""
    load = (str(AGENTS), str(row.window), str(seconds))
    match relay.kind:
        case "udp":
            what = (*relay.target, str(FIRST_AGENT), *load, str(NODES), str(row.lengths))
        case "frames":
            what = (*relay.target, str(FIRST_AGENT), *load, str(NODES), str(row.lengths))
        case _:
            what = (*relay.target[:2], relay.target[2], *load, str(SERVED), *relay.target[3:])
    before = relay.cpu_us()
    command = (*relay.inside, "taskset", "-c", "1", str(generator), relay.kind, *what)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise Missing(f"the generator failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    return Measured(
        found["per_second"],
        found["p50_us"],
        found["p99_us"],
        (relay.cpu_us() - before) / max(found["all"], 1),
        found["lost"],
        found["denied"],
    )


def warm_up(row: Row, relay: Deployed, generator: Path) -> None:
    """Load, until the relay has changed over to what it has for load. Raises `Missing`."""
    if relay.log is None:
        return
    deadline = time.monotonic() + PATIENCE_S
    while COMPILED not in relay.log.read_text():
        if time.monotonic() > deadline:
            raise Missing(f"no compiled code after {PATIENCE_S} s: {relay.log.read_text()[-300:]}")
        measure(row, relay, generator, 1.0)
        time.sleep(1.0)  # so that it is loaded by a core that has nothing else to do


def ratio(limit: Limit, measured: Mapping[str, Measured]) -> float:
    ours, peer = measured[limit.row], measured[limit.peer]
    if limit.most is not None:
        return ours.p99_us / max(peer.p99_us, 1)
    return ours.per_second / max(peer.per_second, 1)


def main() -> int:
    rounds: list[dict[str, Measured]] = [{} for _ in range(ROUNDS)]
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hacc-bench-")))
        try:
            programs = compiled(place)
        except Missing as missing:
            print(f"bench relay: {missing}")
            return 1
        relays: dict[str, Deployed] = {}
        for port, name in enumerate(DEPLOYERS, 4340):
            try:
                relays[name] = stack.enter_context(DEPLOYERS[name](place / name, port, programs))
            except Missing as missing:
                absent[name] = str(missing)
        for row in {row.relay: row for row in ROWS if row.relay in relays}.values():
            warm_up(row, relays[row.relay], programs / "generator")
        for number, measured in enumerate(rounds, 1):
            for row in ROWS:
                if row.relay in relays:
                    measured[row.name] = measure(row, relays[row.relay], programs / "generator")
                    time.sleep(0.2)  # what a lost window left behind drains
            print(f"round {number} of {ROUNDS}", file=sys.stderr, flush=True)
    _tell(rounds, absent)
    return _judge(rounds)


def _tell(rounds: list[dict[str, Measured]], absent: Mapping[str, str]) -> None:
    print(
        f"{2 * NODES:,} bindings in the table, window {WINDOW} unless told; "
        f"medians of {ROUNDS} rounds"
    )
    print(f"{'':38} {'reg/s':>8} {'us CPU/reg':>10} {'p50 us':>7} {'p99 us':>7} {'lost':>5}")
    for row in ROWS:
        found = [measured[row.name] for measured in rounds if row.name in measured]
        if not found:
            print(f"{row.name:38} not measured: {absent[row.relay]}")
            continue
        print(
            f"{row.name:38} {statistics.median(m.per_second for m in found):8,.0f} "
            f"{statistics.median(m.cpu_us for m in found):10.1f} "
            f"{statistics.median(m.p50_us for m in found):7,.0f} "
            f"{statistics.median(m.p99_us for m in found):7,.0f} "
            f"{sum(m.lost for m in found):5}"
            + (f"  denied {sum(m.denied for m in found)}" if any(m.denied for m in found) else "")
        )


def _judge(rounds: list[dict[str, Measured]]) -> int:
    print(f"\n{'ratio, median (lowest to highest)':72} {'limit':>8}")
    missed = 0
    for limit in LIMITS:
        found = sorted(
            ratio(limit, measured)
            for measured in rounds
            if limit.row in measured and limit.peer in measured
        )
        what = f"{limit.row} / {limit.peer}" + (", p99" if limit.most is not None else "")
        bound = f"<= {limit.most:g}" if limit.most is not None else f">= {limit.least:g}"
        if not found:
            print(f"{what:72} {bound:>8}  not measured")
            missed += 1
            continue
        middle = statistics.median(found)
        bad = middle > limit.most if limit.most is not None else middle < (limit.least or 0)
        missed += bad
        spread = f"{middle:.2f} ({found[0]:.2f} to {found[-1]:.2f})"
        print(f"{what:72} {bound:>8}  {spread}{'  MISSED' if bad else ''}")
    print(machine())
    return 1 if missed else 0
