"""The rest of the network, behind the cluster's LAN: a router that speaks OSPF with its routers.

It tells them the way to the Foreign Agents' care-of addresses, and hears from them who serves which
home addresses. The correspondent of the mobile nodes is this router itself. Its OSPF is FRR's, in
the words of one of the cluster's own routers: area, timers, key.

Everything is in namespaces of processes that end when we do, however we do.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Final, NamedTuple

from hacc_agent.datagrams import BUFFER, SO_RCVBUFFORCE

from ..errors import LabError, RouterFailed
from ..lab import Lab
from ..namespaces import SANE_PATH
from .network import INTERFACE, Stand, guest

NUMBER: Final = 0  # of the guest: Foreign Agents count from 1
PATIENCE_S: Final = 60.0
"""For OSPF: with its default timers a designated router is found after 40 s (RFC 2328, C.3)."""

_SO_NO_CHECK: Final = 11  # asm-generic/socket.h: UDP without checksums (RFC 768)
_SPOKEN: Final = (
    *("area", "authentication", "dead-interval", "hello-interval"),
    *("message-digest-key", "retransmit-interval"),
)
"""What all routers of a LAN have to agree on (RFC 2328, 10.5), and how fast."""

# Its own /run/frr, so that it meets no daemon of this machine. Both end with this shell, which is
# PID 1 of its own.
_DAEMONS: Final = """
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run/frr
chown frr:frr /run/frr
cat > /run/frr/ospfd.conf
/usr/lib/frr/zebra -A 127.0.0.1 -f /dev/null &
until [ -S /run/frr/zserv.api ]; do sleep 0.05; done
/usr/lib/frr/ospfd -A 127.0.0.1 -f /run/frr/ospfd.conf
"""


@dataclass(frozen=True, slots=True)
class Edge:
    """Where it stands, and what it says."""

    lan: str
    address: IPv4Interface
    networks: tuple[IPv4Network, ...]  # of home addresses
    ospf: str  # of FRR

    def lines(self, agents: Iterable[Stand]) -> list[str]:
        """ip(8) commands, for its namespace."""
        return [
            "link set lo up",
            f"addr add {self.address} dev {INTERFACE}",
            f"link set {INTERFACE} up",
            *(f"route add {one.care_of_address}/32 via {one.address.ip}" for one in agents),
        ]


def edge(
    text: str, interface: str, lan: str, address: IPv4Interface, networks: tuple[IPv4Network, ...]
) -> Edge:
    """`text`: frr.conf of a router of the cluster, whose LAN this is at that interface of it."""
    return Edge(lan, address, networks, _ospf(text, interface, address.ip))


def _ospf(text: str, interface: str, number: IPv4Address) -> str:
    block = re.search(
        rf"^interface {re.escape(interface)}\n((?: .*\n)*)", text + "\n", re.MULTILINE
    )
    spoken = [
        line
        for line in (block[1].splitlines() if block else ())
        if re.match(rf" ip ospf ({'|'.join(_SPOKEN)})\b", line)
    ]
    if not any(line.startswith(" ip ospf area ") for line in spoken):
        raise LabError(
            "the cluster's routers speak no OSPF on their LAN: nobody tells them the way to "
            "care-of addresses, and nobody tells a correspondent the way to home addresses",
            hint="routing: {ospf: ...} of the intent",
        )
    pace = re.findall(r"^ timers .*$", text, re.MULTILINE)
    return "\n".join(
        [
            f"interface {INTERFACE}",
            *spoken,
            " ip ospf priority 0",  # guests come and go: it never is the designated router
            "router ospf",
            f" ospf router-id {number}",
            *pace,
            " redistribute kernel",
            "",
        ]
    )


class Correspondent(NamedTuple):
    """Its sockets."""

    datagrams: socket.socket
    echoes: socket.socket  # ICMP, with its IP header when it comes in


@contextmanager
def correspondent(lab: Lab, place: Edge, agents: Sequence[Stand]) -> Iterator[Correspondent]:
    """When the routes are there; `agents` are plugged in already."""
    what = "the router behind the LAN"
    with (
        guest(lab, NUMBER, place.lan, place.address, place.lines(agents), what) as network,
        _routing(place, network.path),
        network.open(_datagrams, place) as datagrams,
        network.open(_echoes, place) as echoes,
    ):
        yield Correspondent(datagrams, echoes)


def _echoes(place: Edge) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP)
    made.bind((str(place.address.ip), 0))
    made.setblocking(False)
    return made


def _datagrams(place: Edge) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    # On a virtual cable the kernel leaves checksums to a card that is not there, and whoever takes
    # packets off it by raw sockets gets them without.
    made.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, 1)
    made.bind((str(place.address.ip), 0))
    made.setblocking(False)
    return made


@contextmanager
def _routing(place: Edge, namespace: str) -> Iterator[None]:
    """While OSPF is spoken; it knows the way to the home networks."""
    alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc")
    process = subprocess.Popen(
        (
            *("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={namespace}", "--"),
            *(*alone, "sh", "-ec", _DAEMONS),
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": SANE_PATH},
    )
    assert process.stdin is not None
    try:
        with process.stdin as told:
            told.write(place.ospf.encode())
        _await_routes(place, namespace, process)
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _await_routes(place: Edge, namespace: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        if process.poll() is not None:
            raise RouterFailed("the router behind the LAN: FRR does not start")
        known = _learned(namespace)
        if all(any(one.subnet_of(each) for each in known) for one in place.networks):
            return
        if time.monotonic() > end:
            missing = ", ".join(map(str, place.networks))
            raise RouterFailed(
                f"after {PATIENCE_S:.0f} s no OSPF route leads to {missing}",
                hint="hacc verify: is a controller active, and are adjacencies up?",
            )
        time.sleep(0.1)


def _learned(namespace: str) -> list[IPv4Network]:
    command = (
        "nsenter",
        f"--net={namespace}",
        "--",
        "ip",
        "-json",
        "route",
        "show",
        "proto",
        "ospf",
    )
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return [IPv4Network(route["dst"]) for route in json.loads(done.stdout or "[]")]
