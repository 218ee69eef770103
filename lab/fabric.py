"""The cables: one network namespace that holds a bridge per segment, and a veth per interface.

It has no way out: no interface of the machine is in it, and none of it is in the machine. Times
and pitfalls were measured: bridged frames traverse iptables of the namespace unless told not to,
and multicast snooping without a querier starves HSRP, VRRP and OSPF.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import RouterFailed
from .namespaces import GUEST, await_inits, batch, run_inside, unshare
from .topology import MANAGEMENT, Port, Topology, device_name

ROLE: Final = "fabric"
# SIGCHLD ignored survives exec, so that the kernel reaps what is orphaned here (dash's trap does
# not do it).
_SCRIPT: Final = """
hostname fabric
mount --make-rprivate /
mount -t sysfs -o ro sysfs /sys
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 || true
ip link set lo up
exec env --ignore-signal=CHLD sleep infinity
"""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that exists in the fabric. `finished` means: both ends were set up."""

    name: str
    finished: bool
    guest: bool = False


def bridge(lan: str) -> str:
    return device_name(f"br-{lan}")


def start(lab: str, directory: Path) -> int:
    """Returns the process that holds the namespace."""
    log = directory / "fabric.log"
    unshare(lab, ROLE, ["sh", "-ec", _SCRIPT], log)
    return await_inits(lab, {ROLE: log})[ROLE]


def devices(pid: int) -> dict[str, Device]:
    done = run_inside(pid, ["ip", "-json", "link", "show"], kinds="n", seconds=10)
    if done.returncode:
        raise RouterFailed(f"fabric: {done.stderr.strip()}")
    return {
        row["ifname"]: Device(
            row["ifname"], bool(row.get("ifalias")), row.get("ifalias", "").startswith(GUEST)
        )
        for row in json.loads(done.stdout or "[]")
    }


def lay_segments(pid: int, topology: Topology) -> None:
    """Bridges, the orchestrator's address, and the addresses of simulated IOS routers."""
    there = devices(pid)
    wanted = [bridge(lan) for lan in (MANAGEMENT, *topology.lans)]
    lines = []
    for name in wanted:
        if name not in there:
            lines += [f"link add name {name} type bridge mcast_snooping 0 stp_state 0"]
        lines.append(f"link set {name} up")
    management = bridge(MANAGEMENT)
    lines.append(f"addr replace {topology.gateway} dev {management}")
    lines += [f"addr replace {router.management}/32 dev {management}" for router in topology.ios]
    lines += [f"link del {name}" for name in there if name.startswith("br-") and name not in wanted]
    batch(pid, lines)
    run_inside(
        pid,
        ["sysctl", "-qw", "-e", *(f"net.bridge.bridge-nf-call-{x}=0"
                                   for x in ("iptables", "ip6tables", "arptables"))],
        kinds="n",
    )  # fmt: skip


def hardware_address(lab: str, port: Port) -> str:
    """Locally administered, and the same after every boot: neighbours keep what they learned."""
    digest = hashlib.blake2s(f"{lab}/{port.router}/{port.interface}".encode(), digest_size=5)
    return "02:" + digest.digest().hex(":")


def plug(pid: int, topology: Topology, routers: Mapping[str, int]) -> None:
    """Give every running Linux router the cables that it lacks; `routers` is name -> PID 1."""
    there = devices(pid)
    cables: list[str] = []
    inner: dict[int, list[str]] = {}
    finished: list[str] = []
    for router in topology.linux:
        if router.name not in routers:
            continue
        for port in (router.management_port, *router.ports):
            known = there.get(port.device)
            if known is not None and known.finished:
                continue
            if known is not None:  # the lab was killed between laying it and finishing it
                cables.append(f"link del {port.device}")
            cables += _cable(topology.name, port, routers[router.name])
            mine = inner.setdefault(routers[router.name], [])
            if port.interface == MANAGEMENT:
                length = topology.management.prefixlen
                mine.append(f"addr replace {router.management}/{length} dev {MANAGEMENT}")
            mine.append(f"link set {port.interface} up")
            finished.append(f'link set {port.device} alias "{port.router} {port.interface}"')
    wanted = _wanted(topology)
    cables += [
        f"link del {name}" for name, one in there.items() if name not in wanted and not one.guest
    ]
    batch(pid, cables)
    for router_pid, lines in inner.items():
        batch(router_pid, lines)
    batch(pid, finished)


def plug_guest(pid: int, lab: str, port: Port, namespace: str) -> None:
    """A cable to a network namespace that is no router's, by a path that names it.

    It goes when the namespace goes, so nobody unplugs it.
    """
    if port.device in devices(pid):
        raise RouterFailed(
            f"{port.router} is plugged into {port.lan} already",
            hint="another process uses it: wait for its end, or end it",
        )
    lay, raise_ = _cable(lab, port, namespace)
    # The alias first: without it, another command would take the cable for a broken one.
    lines = (lay, f'link set {port.device} alias "{port.router} {port.interface}"', raise_)
    batch(pid, lines)


def unplug(pid: int, ports: Iterable[Port]) -> None:
    """Take cables away, whether they are there or not. The other end goes with them."""
    batch(pid, [f"link del {port.device}" for port in ports], force=True)


def _cable(lab: str, port: Port, namespace: int | str) -> tuple[str, str]:
    """`namespace`: that of this process, or the one that a path names."""
    return (
        f"link add name {port.device} type veth peer name {port.interface} "
        f"address {hardware_address(lab, port)} netns {namespace}",
        f"link set {port.device} master {bridge(port.lan)} up",
    )


def _wanted(topology: Topology) -> set[str]:
    ports = {p.device for r in topology.linux for p in (r.management_port, *r.ports)}
    return ports | {bridge(lan) for lan in (MANAGEMENT, *topology.lans)} | {"lo"}
