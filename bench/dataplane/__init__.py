"""Packets a second through a controller and a member, beside the kernel's own forwarding.

    make bench-dataplane

One sender (sender.c) hands frames to a cable; everything behind it, the router and the sink, runs
on the sender's core in the same system call, so that packets a second are the cost of all of it. A
ratio compares two rows of the same round; what is printed is the median of the rounds.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.machine import machine
from hacc_agent.dataplane.controller import TcxRelay
from hacc_agent.dataplane.kernel import Attach, KernelRefused, Program
from hacc_agent.dataplane.maps import Folder
from hacc_agent.dataplane.member import TcxTunnels
from hacc_agent.dataplane.nft import NftRelay
from hacc_agent.dataplane.plane import Neighbour, PlaneFailed, RelayPlane
from hacc_agent.engine.record import RECORD, Kind, Records

from .topology import OUT_MAC, ROUTER_MAC, SINK_MAC, Absent, Row, counting, reflecting, row

ROUNDS: Final = 5
SECONDS: Final = 1.0  # of each measurement
BINDINGS: Final = 1_000_000
NETWORK: Final = IPv4Network("10.0.0.0/12")
VIRTUAL: Final = IPv4Address("198.19.0.1")
SLOTS: Final = 128  # of two members
MOVED: Final = 100  # times that half of the bindings change their member
STEADY: Final = 100_000  # packets a second, while they do
LOSS_PACKETS: Final = 1_000_000
NOWHERE: Final = Path("/nonexistent")  # nothing outlives a measurement


@dataclass(frozen=True, slots=True)
class Limit:
    row: str
    peer: str
    least: float


FORWARDING, TCX, NFT = "kernel, IP forwarding", "tcx, relay", "nftables, relay"
REFLECT, XDP, ENCAPSULATION = "XDP, reflect", "XDP, relay", "tcx, into tunnels"
LIMITS: Final = (
    Limit(TCX, FORWARDING, 0.95),
    Limit(NFT, FORWARDING, 0.75),
    Limit(XDP, REFLECT, 0.6),
    Limit(ENCAPSULATION, FORWARDING, 0.7),
)


def bound() -> Records:
    """A million mobile nodes of two members, all at one care-of address behind the sink."""
    found = np.zeros(BINDINGS, RECORD)
    found["kind"] = Kind.BINDING
    found["home_address"] = int(NETWORK.network_address) + np.arange(BINDINGS)
    found["care_of_address"] = int(IPv4Address("203.0.113.9"))
    found["slot"] = np.arange(BINDINGS) % SLOTS
    found["tunnel"] = 4
    return found


class Sender:
    """sender.c, compiled."""

    def __init__(self, program: Path) -> None:
        self._program = str(program)

    def start(
        self, where: Row, *, tunnel: bool, seconds: float = SECONDS, rate: int = 0, packets: int = 0
    ) -> subprocess.Popen[str]:
        kind = ("tunnel", str(VIRTUAL)) if tunnel else ("plain", "192.0.2.99")
        to = (ROUTER_MAC, *kind, str(NETWORK.network_address), str(BINDINGS))
        how = (str(seconds), str(rate), str(packets))
        return where.sender.start("taskset", "-c", "1", self._program, "s0", *to, *how)

    def rate(self, where: Row, *, tunnel: bool) -> float:
        """Packets a second that the sink has seen."""
        before = where.counted()
        told, _ = self.start(where, tunnel=tunnel).communicate()
        return (where.counted() - before) / float(json.loads(told)["seconds"])


@contextmanager
def sink(where: Row, *, xdp: bool = False) -> Iterator[None]:
    program = counting(where.counter, xdp=xdp)
    with where.sink.inside():
        link = program.attach(
            socket.if_nametoindex("k0"), Attach.XDP if xdp else Attach.TCX_INGRESS
        )
    try:
        yield
    finally:
        os.close(link)
        program.close()


def loaded(
    where: Row, make: Callable[[], RelayPlane], records: Records
) -> tuple[RelayPlane, float]:
    """A controller's plane with all bindings; s that it took to install them."""
    with where.router.inside():
        plane = make()
    for member in range(2):
        sink_mac, own = (int(mac.replace(":", ""), 16) for mac in (SINK_MAC, OUT_MAC))
        plane.reach(member, Neighbour(sink_mac, own, where.out))
    began = time.perf_counter()
    plane.load(records)
    return plane, time.perf_counter() - began


def slots() -> NDArray[np.uint16]:
    return np.repeat(np.arange(2, dtype=np.uint16), SLOTS // 2)


def tcx() -> TcxRelay:
    fixed = (VIRTUAL, (NETWORK,), ("r0",), slots(), 2, lambda _: None)
    return TcxRelay(*fixed, folder=Folder("relay", "bench", NOWHERE))


def nftables() -> NftRelay:
    return NftRelay(VIRTUAL, (NETWORK,), ("r0",), slots(), 2, lambda _: None)


@dataclass(frozen=True, slots=True)
class Found:
    """Of one round."""

    rates: dict[str, float]
    installed: dict[str, float]  # s


def measure(sender: Sender, records: Records) -> Found:
    """Each way on a row of namespaces of its own, so that none meets what another left."""
    rates: dict[str, float] = {}
    installed: dict[str, float] = {}
    with row() as where, sink(where):
        where.router.run("ip", "route", "add", str(NETWORK), "via", "198.51.100.2")
        rates[FORWARDING] = sender.rate(where, tunnel=False)
    for name, make in ((TCX, tcx), (NFT, nftables)):
        with row() as where, sink(where):
            plane, installed[name] = loaded(where, make, records)
            rates[name] = sender.rate(where, tunnel=True)
            plane.close()
    with row() as where, sink(where, xdp=True):
        program = reflecting(where.out)
        with xdp(where, program):
            rates[REFLECT] = sender.rate(where, tunnel=True)
    with row() as where, sink(where, xdp=True):
        plane, _ = loaded(where, tcx, records)
        assert isinstance(plane, TcxRelay)
        with xdp(where, plane.for_driver(int(ROUTER_MAC.replace(":", ""), 16))):
            rates[XDP] = sender.rate(where, tunnel=True)
        plane.close()
    with row() as where, sink(where):
        with where.router.inside():
            tunnels = TcxTunnels(
                *(VIRTUAL, (NETWORK,), ("r0", "r1")),
                lambda _: [],
                folder=Folder("member", "bench", NOWHERE),
            )
            tunnels.load(records)
        where.router.run("ip", "route", "add", str(NETWORK), "dev", tunnels.device.name)
        rates[ENCAPSULATION] = sender.rate(where, tunnel=False)
        tunnels.close()
    return Found(rates, installed)


@contextmanager
def xdp(where: Row, program: Program) -> Iterator[None]:
    with where.router.inside():
        link = program.attach(socket.if_nametoindex("r0"), Attach.XDP)
    try:
        yield
    finally:
        os.close(link)
        program.close()


def lost(sender: Sender, records: Records) -> tuple[int, int]:
    """Packets that did not arrive, of how many, while half of the bindings changed their member."""
    with row() as where, sink(where):
        plane, _ = loaded(where, tcx, records)
        before = where.counted()
        running = sender.start(where, tunnel=True, seconds=60, rate=STEADY, packets=LOSS_PACKETS)
        moved = range(SLOTS // 2)
        for number in range(MOVED):
            plane.repoint(moved, 1 - number % 2)
            time.sleep(LOSS_PACKETS / STEADY / MOVED)
        told, _ = running.communicate()
        plane.close()
        sent = int(json.loads(told)["sent"])
        return sent - (where.counted() - before), sent


def main() -> int:
    if shutil.which("gcc") is None:
        print("bench dataplane: no C compiler; type: apt-get install gcc libc6-dev")
        return 1
    records = bound()
    with tempfile.TemporaryDirectory(prefix="hacc-bench-") as place:
        program = Path(place) / "sender"
        source = Path(__file__).with_name("sender.c")
        subprocess.run(("gcc", "-O2", "-Wall", "-o", program, source), check=True)
        sender = Sender(program)
        try:
            rounds = []
            for number in range(1, ROUNDS + 1):
                rounds.append(measure(sender, records))
                print(f"round {number} of {ROUNDS}", file=sys.stderr, flush=True)
            missing, sent = lost(sender, records)
        except (Absent, PlaneFailed, KernelRefused) as why:
            print(f"bench dataplane: {why}")
            return 1
    return _tell(rounds, missing, sent)


def _tell(rounds: list[Found], missing: int, sent: int) -> int:
    """Figures beside their limits; 1 if one is missed."""
    print(f"{BINDINGS:,} bindings, random sources; medians of {ROUNDS} rounds")
    for name in rounds[0].rates:
        rate = statistics.median(one.rates[name] for one in rounds)
        print(f"{name:28} {rate:10,.0f} packets/s {1e9 / rate:8,.0f} ns")
    print(f"\n{'':56} {'limit':>8}")
    missed = 0
    for limit in LIMITS:
        found = sorted(one.rates[limit.row] / one.rates[limit.peer] for one in rounds)
        middle = statistics.median(found)
        missed += bad(
            f"{limit.row} / {limit.peer}",
            f">= {limit.least:g}",
            f"{middle:.2f} ({found[0]:.2f} to {found[-1]:.2f})",
            middle >= limit.least,
        )
    for name, most in ((TCX, 0.1), (NFT, 3.0)):
        took = statistics.median(one.installed[name] for one in rounds)
        what = f"{BINDINGS:,} bindings installed, {name}"
        missed += bad(what, f"<= {most:g} s", f"{took:.3f} s", took <= most)
    what = f"lost while {BINDINGS // 2:,} bindings moved {MOVED} times"
    missed += bad(what, "0", f"{missing} of {sent:,}", missing == 0)
    print(machine())
    return 1 if missed else 0


def bad(what: str, limit: str, found: str, holds: bool) -> bool:
    print(f"{what:56} {limit:>8}  {found}{'' if holds else '  MISSED'}")
    return not holds
