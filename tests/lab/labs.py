"""Small labs for tests, named after this process so that two runs never meet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface

from lab.topology import Kind, Port, Router, Topology


def routers(count: int) -> tuple[Router, ...]:
    """r1, r2 ... on one segment, 198.18.1.N each."""

    def router(number: int) -> Router:
        address = IPv4Interface(f"198.18.1.{number}/24")
        ports = (Port(f"r{number}", "lan", "core", address),)
        return Router(f"r{number}", Kind.LINUX, IPv4Address(f"198.18.0.{number}"), "root", ports)

    return tuple(router(number) for number in range(1, count + 1))


def topology(name: str, count: int) -> Topology:
    return Topology(f"t{os.getpid()}-{name}", routers(count))


def until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait for something that another process does; fail when it does not."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"did not happen within {seconds:g} s"
        time.sleep(0.02)
