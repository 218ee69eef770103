"""The LAN of the frame rows: two namespaces and the cable between them.

The generator's end hears every frame (promiscuous) and plays the members and the Foreign Agents'
router, each with a MAC address of its own; the relay's end has their addresses as neighbours.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from .deployed import MEMBERS, Missing

ADDRESS = IPv4Address("198.19.0.1")  # the virtual Home Agent address
RELAY_LAN = IPv4Interface("192.0.2.1/24")
FRAME_MEMBER = IPv4Address("192.0.2.10")  # the first
RELAY_MAC = "02:00:00:00:00:01"
ROUTER_MAC = "02:00:00:00:02:00"  # of the Foreign Agents' router


@dataclass(frozen=True, slots=True)
class Segment:
    relay: tuple[str, ...]  # words before a command that runs at the relay's end
    generator: tuple[str, ...]


def member_macs() -> str:
    return ",".join(f"02:00:00:00:01:{number:02x}" for number in range(MEMBERS))


@contextmanager
def lan(name: str) -> Iterator[Segment]:
    if os.geteuid() != 0:
        raise Missing("network namespaces need root")
    relay, generator = f"b{os.getpid()}-{name}-h", f"b{os.getpid()}-{name}-s"
    try:
        for namespace in (relay, generator):
            _ip("netns", "add", namespace)
            _ip("netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            _ip("-n", namespace, "link", "set", "lo", "up")
        _ip(
            *("link", "add", "h0", "netns", relay, "address", RELAY_MAC),
            *("type", "veth", "peer", "name", "s0", "netns", generator, "address", ROUTER_MAC),
        )
        _ip("-n", relay, "addr", "add", str(RELAY_LAN), "dev", "h0")
        _ip("-n", relay, "addr", "add", f"{ADDRESS}/32", "dev", "lo")
        _ip("-n", relay, "link", "set", "h0", "up")
        _ip("-n", generator, "link", "set", "s0", "up")
        for number, mac in enumerate(member_macs().split(",")):
            neighbour = str(FRAME_MEMBER + number)
            _ip("-n", relay, "neigh", "add", neighbour, "lladdr", mac, "dev", "h0")
        prefix = ("ip", "netns", "exec")
        yield Segment((*prefix, relay), (*prefix, generator))
    finally:
        for namespace in (relay, generator):
            subprocess.run(("ip", "netns", "del", namespace), check=False, capture_output=True)


def _ip(*words: str) -> None:
    done = subprocess.run(("ip", *words), check=False, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"ip {' '.join(words)}: {done.stderr.strip()}")
