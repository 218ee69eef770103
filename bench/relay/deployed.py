"""A relay that is up, and the addresses that everybody in the measurement agrees on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

NODES = 500_000
"""Mobile nodes that register with NAIs of one length, and as many with NAIs of LENGTHS lengths;
each has a binding before the start, so that the table holds a million."""

LENGTHS = 8

SERVED = 100_000
"""Mobile nodes of the member that is measured: its bindings are made while it warms up."""

MEMBERS, AGENTS = 4, 16
RELAY = IPv4Address("127.0.0.1")
FIRST_MEMBER = IPv4Address("127.0.1.1")
FIRST_AGENT = IPv4Address("127.0.2.1")

TICKS = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """Something that a row needs is not on this machine, or did not start."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A relay that accepts datagrams."""

    kind: str  # of the generator's load
    target: tuple[str, ...]  # the generator's words for where it is
    processes: tuple[int, ...]
    inside: tuple[str, ...] = ()  # words before the generator's command: its namespace
    log: Path | None = None  # of one that changes over to compiled code under load

    def cpu_us(self) -> float:
        """User and system time that it has used so far."""
        return sum(map(_cpu_us, self.processes))


def _cpu_us(process: int) -> float:
    stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) * 1e6 / TICKS


@contextmanager
def running(
    command: Sequence[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on the first core, ended at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            ("taskset", "-c", "0", *command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(
    process: subprocess.Popen[bytes], log: Path, word: str, patience_s: float = 60
) -> None:
    """Until the process has said the word. Raises `Missing` with what it said instead."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if word in log.read_text(errors="replace"):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise Missing(f"{log.stem} did not start: {log.read_text(errors='replace').strip()[-300:]}")
