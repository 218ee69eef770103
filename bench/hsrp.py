"""How long nobody has the virtual address: our HSRP speaker beside keepalived, in one run.

    .venv/bin/python -m bench hsrp

Two routers and a host on a bridge, each with a network namespace. The host sends a datagram to the
virtual address every millisecond; what counts is that one of the routers gets it. A fault's outage
is the longest time without one. Timers are equal: hellos of 200 ms, and a router is taken for dead
after 650 ms (what VRRP's three hellos and a skew come to at the standby's priority).

    powered off    the cable is pulled and every process killed
    stopped        SIGTERM: the protocol's own way to leave
    killed         SIGKILL to the daemon alone, while its kernel lives on

The last one is where owners are counted: who still holds the address when the other has taken it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from bench.machine import machine
from hacc_agent.hsrp.config import Group, HsrpConfig, to_toml
from lab.namespaces import enter_network

T = TypeVar("T")

ROUNDS = 3
VIRTUAL = "192.0.2.1"
PROBE = 7777  # UDP port
HELLO_MS, HOLD_MS = 200, 650
SETTLE_S, WATCH_S = 15.0, 2.5
LIMIT = 1.1
"""Of the longer of keepalived's worst and the hold time: within it, how long an outage is depends
on when the last hello was, for both."""

PRIORITIES = {"r1": 200, "r2": 190}
OWN = Group(
    "g", "lan", 2, 10, IPv4Address(VIRTUAL), preempt=True, hello_ms=HELLO_MS, hold_ms=HOLD_MS
)

KEEPALIVED = """\
global_defs {{
    router_id {host}
    vrrp_version 3
}}
vrrp_instance g {{
    state BACKUP
    interface lan
    virtual_router_id 10
    priority {priority}
    advert_int 0.2
    virtual_ipaddress {{
        {virtual}/24 dev lan
    }}
}}
"""


@dataclass(slots=True)
class Router:
    """A namespace, kept by a process that sleeps, and the daemon in it."""

    name: str
    keeper: subprocess.Popen[bytes]
    daemon: subprocess.Popen[bytes] | None = None

    def ip(self, *words: str) -> None:
        _in(self.keeper.pid, lambda: subprocess.run(["ip", *words], check=True))

    def holds(self) -> bool:
        done = _in(
            self.keeper.pid,
            lambda: subprocess.run(["ip", "-4", "addr"], capture_output=True, text=True),
        )
        return f"{VIRTUAL}/" in done.stdout


def _in(pid: int, function: Callable[[], T]) -> T:
    """Called in a thread that is in the network namespace of a process."""

    def inside() -> T:
        enter_network(pid)
        return function()

    with ThreadPoolExecutor(1) as worker:
        return worker.submit(inside).result()


@contextlib.contextmanager
def _lan() -> Iterator[tuple[Router, Router, Router]]:
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("host", "r1", "r2"):
            keeper = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
            stack.callback(keeper.wait)
            stack.callback(keeper.kill)
            made.append(Router(name, keeper))
        time.sleep(0.2)  # unshare(1) has no way to say that it has done it
        host, *routers = made
        host.ip("link", "add", "name", "br", "type", "bridge")
        host.ip("addr", "add", "192.0.2.100/24", "dev", "br")
        host.ip("link", "set", "dev", "br", "up")
        for number, router in enumerate(routers, 11):
            port = f"to-{router.name}"
            inside = ("netns", str(router.keeper.pid))
            host.ip("link", "add", "name", port, "type", "veth", "peer", "name", "lan", *inside)
            host.ip("link", "set", "dev", port, "master", "br", "up")
            router.ip("addr", "add", f"192.0.2.{number}/24", "dev", "lan")
            router.ip("link", "set", "dev", "lan", "up")
        yield host, routers[0], routers[1]


def _start(router: Router, system: str, folder: Path) -> None:
    place = folder / router.name
    place.mkdir(exist_ok=True)
    if system == "keepalived":
        file = place / "keepalived.conf"
        file.write_text(
            KEEPALIVED.format(host=router.name, priority=PRIORITIES[router.name], virtual=VIRTUAL)
        )
        pids = [f"--{kind}={place / kind}.pid" for kind in ("pid", "vrrp_pid")]
        command = ["keepalived", "--dont-fork", "--vrrp", "-f", str(file), *pids]
    else:
        file = place / "hsrp.toml"
        own_mac = system == "ours, own MAC"
        group = replace(OWN, priority=PRIORITIES[router.name], own_mac=own_mac)
        file.write_text(to_toml(HsrpConfig(router.name, (group,), (), str(place))))
        command = [sys.executable, "-m", "hacc_agent", "hsrp", "run", "-c", str(file)]
    router.daemon = _in(
        router.keeper.pid,
        lambda: subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ),
    )


def _end(router: Router) -> None:
    if router.daemon is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(router.daemon.pid, signal.SIGKILL)
        router.daemon.wait()
        router.daemon = None


def _listen() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("0.0.0.0", PROBE))
    return one


def _outage_ms(host: Router, routers: tuple[Router, Router], fault: Callable[[], None]) -> float:
    """Send, break, and find the longest time in which no router got anything."""
    sender = _in(host.keeper.pid, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    heard = [_in(router.keeper.pid, _listen) for router in routers]
    arrived = [time.monotonic()]
    begin, broken = time.monotonic(), False
    with contextlib.ExitStack() as stack:
        for one in (sender, *heard):
            stack.enter_context(one)
            one.setblocking(False)
        while (now := time.monotonic()) < begin + WATCH_S:
            if not broken and now > begin + 0.5:
                broken = True
                fault()
            with contextlib.suppress(OSError):
                sender.sendto(b"?", (VIRTUAL, PROBE))
            for one in select.select(heard, (), (), 0.001)[0]:
                with contextlib.suppress(BlockingIOError):
                    while one.recv(16):
                        arrived.append(time.monotonic())
    arrived.append(time.monotonic())
    return max(later - earlier for earlier, later in pairwise(arrived)) * 1000


def _power_off(host: Router, router: Router) -> None:
    host.ip("link", "set", "dev", f"to-{router.name}", "down")
    _end(router)


def _signal(router: Router, number: signal.Signals) -> None:
    assert router.daemon is not None
    os.kill(router.daemon.pid, number)


def _measure(system: str, fault: str) -> tuple[float, int]:
    """The outage in ms, and how many hold the address in the end."""
    with tempfile.TemporaryDirectory() as place, _lan() as (host, first, second):
        try:
            for router in (first, second):
                _start(router, system, Path(place))
            end = time.monotonic() + SETTLE_S
            while not first.holds() or second.holds():
                if time.monotonic() > end:
                    raise RuntimeError(f"{system}: nobody is active after {SETTLE_S:g} s")
                time.sleep(0.1)
            time.sleep(2.0)  # the other one is standby
            breaks: dict[str, Callable[[], None]] = {
                "powered off": lambda: _power_off(host, first),
                "stopped": lambda: _signal(first, signal.SIGTERM),
                "killed": lambda: _signal(first, signal.SIGKILL),
            }
            outage = _outage_ms(host, (first, second), breaks[fault])
            return outage, sum(router.holds() for router in (first, second))
        finally:
            for router in (first, second):
                _end(router)


def main() -> int:
    systems = ("keepalived", "ours, own MAC", "ours, virtual MAC")
    slow = False
    print(f"{'fault':<14}{'system':<20}{'outage, median ms':>18}{'worst':>8}{'holders':>9}")
    for fault in ("powered off", "stopped", "killed"):
        longest = float(HOLD_MS)
        for system in systems:
            found = [_measure(system, fault) for _ in range(ROUNDS)]
            outages = [outage for outage, _ in found]
            median, holders = statistics.median(outages), max(count for _, count in found)
            verdict = ""
            if system == "keepalived":
                longest = max(longest, *outages)
            elif max(outages) > LIMIT * longest:
                verdict, slow = f"  above {LIMIT * longest:.0f}", True
            elif fault != "powered off" and holders != 1:
                verdict, slow = "  not one owner", True
            # A machine without power holds nothing; the namespace that stands for it goes on.
            held = "-" if fault == "powered off" else holders
            print(
                f"{fault:<14}{system:<20}{median:>18.0f}{max(outages):>8.0f}{held:>9}{verdict}",
                flush=True,
            )
    print(machine())
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
