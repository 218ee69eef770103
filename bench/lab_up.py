"""Fifty virtual Linux routers from nothing: sshd, zebra, staticd and ospfd in each.

    python -m bench.lab_up

The limit is the issue's: 20 seconds on a machine with two cores.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from bench.machine import machine
from lab.errors import LabError
from lab.faults import processes
from lab.lab import Lab
from lab.topology import Kind, Port, Router, Topology

ROUTERS = 50
ROUNDS = 3
LIMIT_SECONDS = 20.0


def topology() -> Topology:
    def router(number: int) -> Router:
        name = f"r{number}"
        address = IPv4Interface(f"198.18.1.{number}/24")
        ports = (Port(name, "lan", "core", address),)
        return Router(name, Kind.LINUX, IPv4Address(f"198.18.0.{number}"), "root", ports)

    routers = tuple(router(number) for number in range(1, ROUTERS + 1))
    return Topology(f"bench-{os.getpid()}", routers)


def proportional_memory(lab: Lab) -> float:
    """MiB of a router: what its processes have alone, and their share of what they share."""
    total = 0
    inits = lab.routers()
    for init in inits.values():
        for pid in processes(init):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += next(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
    return total / 1024 / len(inits)


def main() -> int:
    up: list[float] = []
    again: list[float] = []
    down: list[float] = []
    memory: list[float] = []
    for _ in range(ROUNDS):
        lab = Lab(topology(), keep_host_keys=False)
        try:
            begin = time.monotonic()
            lab.up()
            up.append(time.monotonic() - begin)
            begin = time.monotonic()
            lab.up()
            again.append(time.monotonic() - begin)
            memory.append(proportional_memory(lab))
        finally:
            begin = time.monotonic()
            lab.down()
            down.append(time.monotonic() - begin)
    took = statistics.median(up)
    ratio = LIMIT_SECONDS / took
    verdict = "ok" if took <= LIMIT_SECONDS else "TOO SLOW"
    print(f"{f'medians of {ROUNDS} rounds':<44}{'measured':>12}{'limit':>10}{'ratio':>8}")
    print(f"{ROUTERS} routers up (sshd + FRR)".ljust(44)
          + f"{took:>10.2f} s{LIMIT_SECONDS:>8.0f} s{ratio:>7.1f}x  {verdict}")  # fmt: skip
    print(f"{'the same, nothing to do'.ljust(44)}{statistics.median(again):>10.2f} s")
    print(f"{'down'.ljust(44)}{statistics.median(down):>10.2f} s")
    print(f"{'memory of a router (PSS, all its processes)'.ljust(44)}"
          f"{statistics.median(memory):>8.1f} MiB")  # fmt: skip
    print(machine())
    return 0 if took <= LIMIT_SECONDS else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"bench.lab_up: {error}")
