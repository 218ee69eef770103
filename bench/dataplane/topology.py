"""Three namespaces in a row: who sends, the router that is measured, and who counts."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from struct import Struct
from typing import Final

from hacc_agent.dataplane.assembler import Assembler, Condition, Helper, Register, Width
from hacc_agent.dataplane.kernel import Attach, Map, MapKind, Program, ProgramKind

CLONE_NEWNET: Final = 0x40000000
ROUTER_MAC: Final = "02:00:00:00:00:01"
OUT_MAC: Final = "02:00:00:00:00:02"
SINK_MAC: Final = "02:00:00:00:00:03"

_libc = ctypes.CDLL(None, use_errno=True)
_WORD: Final = Struct("=I")


class Absent(Exception):
    """What cannot be measured here, and why."""


class Place:
    """A network namespace that lives as long as this process does."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise Absent("network namespaces need root")
        with _back_home():
            if _libc.unshare(CLONE_NEWNET) < 0:
                raise Absent(os.strerror(ctypes.get_errno()))
            self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        self.run("ip", "link", "set", "lo", "up")

    @contextmanager
    def inside(self) -> Iterator[None]:
        with _back_home():
            _libc.setns(self.descriptor, CLONE_NEWNET)
            yield

    def run(self, *words: str) -> str:
        with self.inside():
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Absent(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def close(self) -> None:
        os.close(self.descriptor)

    def start(self, *words: str) -> subprocess.Popen[str]:
        with self.inside():
            return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@contextmanager
def _back_home() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(home)


@dataclass
class Row:
    """sender -- router -- sink."""

    sender: Place
    router: Place
    sink: Place
    counter: Map

    @property
    def out(self) -> int:
        """The router's interface towards the sink."""
        with self.router.inside():
            return socket.if_nametoindex("r1")

    def counted(self) -> int:
        """Packets that the sink has seen."""
        found = self.counter.get(_WORD.pack(0)) or b""
        return sum(one for (one,) in Struct("=Q").iter_unpack(found))


@contextmanager
def row() -> Iterator[Row]:
    sender, router, sink = Place(), Place(), Place()
    for left, mine, right, theirs, mac, peer in (
        (router, "r0", sender, "s0", ROUTER_MAC, "02:00:00:00:00:63"),
        (router, "r1", sink, "k0", OUT_MAC, SINK_MAC),
    ):
        holder = f"/proc/{os.getpid()}/fd/{right.descriptor}"
        left.run(
            *("ip", "link", "add", mine, "address", mac, "type", "veth"),
            *("peer", "name", theirs, "address", peer, "netns", holder),
        )
        left.run("ip", "link", "set", mine, "up")
        right.run("ip", "link", "set", theirs, "up")
    router.run("ip", "addr", "add", "192.0.2.1/24", "dev", "r0")
    router.run("ip", "addr", "add", "198.51.100.1/24", "dev", "r1")
    router.run("ip", "neigh", "add", "198.51.100.2", "lladdr", SINK_MAC, "dev", "r1")
    router.run("ip", "route", "add", "203.0.113.0/24", "via", "198.51.100.2")
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    for name in ("all", "r0", "r1"):
        router.run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0")
    counter = Map.create(MapKind.PER_CPU_ARRAY, 4, 8, 1, "seen")
    yield Row(sender, router, sink, counter)
    counter.close()
    for place in (sender, router, sink):
        place.close()


def counting(counter: Map, *, xdp: bool) -> Program:
    """Counts a packet and drops it."""
    asm = Assembler()
    asm.store(Width.WORD, Register.STACK, -4, 0)
    asm.map(Register.R1, counter.descriptor)
    asm.move(Register.R2, Register.STACK)
    asm.add(Register.R2, -4)
    asm.call(Helper.MAP_LOOKUP)
    asm.jump_if(Register.R0, Condition.EQUAL, 0, "end")
    asm.load(Width.DOUBLE, Register.R1, Register.R0)
    asm.add(Register.R1, 1)
    asm.store(Width.DOUBLE, Register.R0, 0, Register.R1)
    asm.name("end")
    asm.leave(1 if xdp else 2)
    return _loaded(asm, xdp=xdp)


def reflecting(interface: int) -> Program:
    """XDP: to this interface and the sink, whoever it is for: what no relay can do better."""
    asm = Assembler()
    asm.move(Register.R6, Register.R1)
    octets = bytes.fromhex((SINK_MAC + OUT_MAC).replace(":", ""))
    for at in range(0, 12, 4):
        word = int.from_bytes(octets[at : at + 4], "little")
        asm.store(Width.WORD, Register.STACK, at - 12, word)
    asm.move(Register.R2, 0)
    asm.move(Register.R3, Register.STACK)
    asm.add(Register.R3, -12)
    asm.move(Register.R4, 12)
    asm.call(Helper.XDP_STORE_BYTES)
    asm.move(Register.R1, interface)
    asm.move(Register.R2, 0)
    asm.call(Helper.REDIRECT)
    asm.exit()
    return _loaded(asm, xdp=True)


def _loaded(asm: Assembler, *, xdp: bool) -> Program:
    kind = ProgramKind.XDP if xdp else ProgramKind.SCHED_CLS
    where = Attach.XDP if xdp else Attach.TCX_INGRESS
    return Program.load(kind, where, asm.assemble(), "bench")
