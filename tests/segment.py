"""A LAN of network namespaces that no file names: they live as long as this process does.

Each router is a namespace that is held open by a descriptor, joined to a bridge by a cable. Daemons
in it die with us, and the kernel takes namespaces and cables when nobody holds them: a run that is
killed leaves nothing behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
HERE = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """A network of its own, with loopback up."""

    def __init__(self) -> None:
        home = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.unshare(CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "unshare")
            self.descriptor = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _enter(home)
            os.close(home)
        self.ip("link", "set", "lo", "up")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is in it: sockets that are opened stay there."""
        home = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
        _enter(self.descriptor)
        try:
            yield
        finally:
            _enter(home)
            os.close(home)

    def enter_for_good(self) -> None:
        """For a child before it becomes another program: it dies with us."""
        _enter(self.descriptor)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def run(self, *command: str) -> str:
        with self.inside():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def ip(self, *words: str) -> str:
        return self.run("ip", *words)

    def setting(self, name: str, value: int) -> None:
        self.run("sysctl", "-qw", f"{name}={value}")

    def close(self) -> None:
        os.close(self.descriptor)


class Segment:
    """A bridge, and routers on it by name; each has its interface `lan`."""

    def __init__(self) -> None:
        self.fabric = Namespace()
        self.fabric.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.fabric.ip("link", "set", "br0", "up")
        # Bridged frames are no business of a packet filter that routers of this machine may have.
        self.fabric.setting("net.bridge.bridge-nf-call-iptables", 0)
        self._routers: list[Namespace] = []
        self.fabric.run("nft", "add", "table", "bridge", "faults")
        chain = "{ type filter hook forward priority 0; }"
        self.fabric.run("nft", "add", "chain", "bridge", "faults", "lost", chain)

    def _port(self, router: Namespace) -> str:
        return f"p{self._routers.index(router) + 1}"

    def pull(self, router: Namespace) -> None:
        """Its cable is out: carrier is lost at both ends."""
        self.fabric.ip("link", "set", self._port(router), "down")

    def lose(self, source: Namespace | None, destination: Namespace | None) -> None:
        """No frame from one reaches the other; None: whoever it is."""
        words = ["nft", "add", "rule", "bridge", "faults", "lost"]
        words += ["iifname", self._port(source)] if source else []
        words += ["oifname", self._port(destination)] if destination else []
        self.fabric.run(*words, "drop")

    def mend(self) -> None:
        """Everything is as it was."""
        self.fabric.run("nft", "flush", "chain", "bridge", "faults", "lost")
        for number in range(len(self._routers)):
            self.fabric.ip("link", "set", f"p{number + 1}", "up")

    def router(self, address: str, virtual: str = "") -> Namespace:
        """A router with this address; the virtual one is on its loopback and nobody asks for it."""
        made = Namespace()
        self._routers.append(made)
        port = f"p{len(self._routers)}"
        holder = f"/proc/{os.getpid()}/fd/{made.descriptor}"
        self.fabric.ip(
            *("link", "add", port, "type", "veth", "peer", "name", "lan", "netns", holder)
        )
        self.fabric.ip("link", "set", port, "master", "br0", "up")
        made.setting("net.ipv4.conf.all.arp_ignore", 1)
        made.setting("net.ipv4.conf.all.arp_announce", 2)
        made.ip("addr", "add", address, "dev", "lan")
        made.ip("link", "set", "lan", "up")
        if virtual:
            made.ip("addr", "add", f"{virtual}/32", "dev", "lo")
        return made

    def close(self) -> None:
        for router in self._routers:
            router.close()
        self.fabric.close()
