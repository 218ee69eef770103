"""What can go wrong on purpose: each fault is a value, and all of them together are one state.

`apply` makes the fabric and the routers be as the list of faults says, whatever they were before;
so a fault survives the restart of a router, and mending is taking it from the list. The kernel at
hand has no netem: loss and one-way links are nftables rules of the bridges, as was measured.
"""

from __future__ import annotations

import enum
import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from .errors import InventoryInvalid, RouterFailed
from .namespaces import batch, kill_all, members, run_inside
from .topology import Kind, Port, Topology

TABLE: Final = "hacc_lab"

LASTING: Final = ("stop", "overload")
"""Kinds that are done inside a router, and again when it has been switched on."""

# Memory is the machine's, so nothing but the router's view of it is changed: what snmpd and the
# agent read says that one hundredth is left. The numbers are kilo-octets (proc(5)).
_MEMINFO: Final = "/proc/meminfo"
USED_UP: Final = f"""
umount {_MEMINFO} 2>/dev/null
awk '/^MemTotal:/ {{ left = $2 / 100 }}
     /^(MemFree|MemAvailable|Buffers|Cached|SReclaimable):/ {{
         printf "%-15s %8d kB\\n", $1, /^Mem/ ? left : 0; next }}
     {{ print }}' {_MEMINFO} > /run/hacc-lab-meminfo
mount --bind /run/hacc-lab-meminfo {_MEMINFO}
"""
FREE_AGAIN: Final = f"umount {_MEMINFO} 2>/dev/null || true"


class FaultKind(enum.StrEnum):
    """The words of `hacc lab break`."""

    LINK = "link"  # the cable is out: both ends lose carrier
    ONEWAY = "oneway"  # frames pass in one direction only, and nobody loses carrier
    PARTITION = "partition"  # two sets of routers do not hear each other
    LOSS = "loss"  # a share of the frames, in each direction
    KILL = "kill"  # SIGKILL to a daemon; a supervisor may well bring it back
    POWER = "power"  # carrier gone and every process dead, at once
    FREEZE = "freeze"  # every process stopped; the kernel goes on answering
    STOP = "stop"  # a service stopped in order, as `systemctl stop` does
    OVERLOAD = "overload"  # its memory is used up, as it tells
    ORDER = "order"  # an operator's, to a controller: no word of ours, but to be taken back


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `number` is what `mend` takes, given by the list; 0 before that."""

    kind: FaultKind
    routers: tuple[str, ...]
    number: int = 0
    interface: str = ""  # of the first router; empty: all but the management interface
    others: tuple[str, ...] = ()  # the other side of a partition
    direction: str = ""  # "in" or "out", as the router sees it
    permille: int = 0
    daemon: str = ""
    unit: str = ""  # the service that the daemon belonged to, or that is stopped
    order: str = ""  # drain or failover, as `hacc-agent` takes them
    member: str = ""  # whom the order is about
    owner: str = ""  # the drill that mends it; empty: whoever has broken it does

    def __str__(self) -> str:
        where = ",".join(self.routers) + (f":{self.interface}" if self.interface else "")
        details = {
            FaultKind.ONEWAY: f"--direction {self.direction}",
            FaultKind.PARTITION: ",".join(self.others),
            FaultKind.LOSS: f"{self.permille / 10:g}%",
            FaultKind.KILL: self.daemon,
            FaultKind.STOP: self.unit,
            FaultKind.ORDER: f"{self.order} {self.member}",
        }.get(self.kind, "")
        return f"{self.kind} {where} {details}".rstrip()


def check(topology: Topology, fault: Fault) -> None:
    """Refuse what this lab cannot break, with a reason."""
    for name in (*fault.routers, *fault.others):
        one = topology.router(name)
        if one.kind is Kind.IOS and fault.kind is not FaultKind.POWER:
            raise InventoryInvalid(
                f"{name}: a simulated IOS router has no real interfaces or daemons to break",
                hint=f"hacc lab break power {name}",
            )
    if fault.interface and topology.router(fault.routers[0]).port(fault.interface) is None:
        known = ", ".join(port.interface for port in topology.router(fault.routers[0]).ports)
        raise InventoryInvalid(
            f"{fault.routers[0]}: no interface {fault.interface}", hint=f"there is: {known}, mgmt"
        )
    if fault.kind is FaultKind.PARTITION and set(fault.routers) & set(fault.others):
        both = ", ".join(sorted(set(fault.routers) & set(fault.others)))
        raise InventoryInvalid(f"{both}: on both sides of the partition")
    if fault.kind is FaultKind.LOSS and not 0 < fault.permille <= 1000:
        raise InventoryInvalid("loss: more than 0% and at most 100%")


def ports_of(topology: Topology, fault: Fault) -> tuple[Port, ...]:
    """The ports that a fault of the first router(s) concerns."""
    if fault.interface:
        port = topology.router(fault.routers[0]).port(fault.interface)
        return (port,) if port is not None else ()
    return tuple(port for name in fault.routers for port in topology.router(name).ports)


def ruleset(topology: Topology, faults: Iterable[Fault]) -> str:
    """The whole nftables table, for one atomic `nft -f`. Rules count, so that loss can be seen."""
    inwards: list[str] = []  # from the router into the bridge
    outwards: list[str] = []  # from the bridge to the router
    between: list[str] = []
    for fault in faults:
        devices = [port.device for port in ports_of(topology, fault)]
        comment = f'comment "{fault.number}: {fault.kind}"'  # nft takes 128 characters
        if fault.kind is FaultKind.ONEWAY:
            chain, side = (
                (inwards, "iifname") if fault.direction == "out" else (outwards, "oifname")
            )
            chain += [f'{side} "{name}" counter drop {comment}' for name in devices]
        elif fault.kind is FaultKind.LOSS:
            share = f"numgen random mod 1000 < {fault.permille} counter drop {comment}"
            inwards += [f'iifname "{name}" {share}' for name in devices]
            outwards += [f'oifname "{name}" {share}' for name in devices]
        elif fault.kind is FaultKind.PARTITION:
            there = [p.device for n in fault.others for p in topology.router(n).ports]
            if devices and there:
                for one, other in ((devices, there), (there, devices)):
                    between.append(
                        f"iifname {_set(one)} oifname {_set(other)} counter drop {comment}"
                    )
    return "\n".join(
        (
            f"table bridge {TABLE}",  # made first, so that deleting it never fails
            f"delete table bridge {TABLE}",
            f"table bridge {TABLE} {{",
            *_chain("inwards", "prerouting", -300, inwards),
            *_chain("between", "forward", 0, between),
            *_chain("outwards", "postrouting", 300, outwards),
            "}\n",
        )
    )


def _chain(name: str, hook: str, priority: int, rules: list[str]) -> Iterator[str]:
    yield f"  chain {name} {{"
    yield f"    type filter hook {hook} priority {priority}; policy accept;"
    yield from (f"    {rule}" for rule in rules)
    yield "  }"


def _set(names: Sequence[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in names) + " }"


def apply(
    topology: Topology, faults: Sequence[Fault], fabric: int, routers: Mapping[str, int]
) -> None:
    """Make it so. `routers` is name -> PID 1 of the running ones."""
    done = run_inside(fabric, ["nft", "-f", "-"], kinds="n", text_in=ruleset(topology, faults))
    if done.returncode:
        raise RouterFailed(f"nft: {' '.join(done.stderr.split())}")
    off = {name for f in faults if f.kind is FaultKind.POWER for name in f.routers}
    down = {p.device for f in faults if f.kind is FaultKind.LINK for p in ports_of(topology, f)}
    lines = []
    for one in topology.linux:
        for port in (one.management_port, *one.ports):
            state = "down" if one.name in off or port.device in down else "up"
            lines.append(f"link set {port.device} {state}")
    batch(fabric, lines, force=True)  # the ports of a router that is off are not there
    kill_all(m for m in members(topology.name) if m.role.removeprefix("router/") in off)
    for fault in faults:
        if fault.kind is FaultKind.FREEZE:
            for name in fault.routers:
                if name in routers:
                    send(routers[name], signal.SIGSTOP)


def processes(init: int) -> list[int]:
    """Every process in the PID namespace of a router, its PID 1 first."""
    space, found = os.readlink(f"/proc/{init}/ns/pid"), []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") == space:
                    found.append(int(entry))
            except OSError:
                continue  # it ended while we looked
    return sorted(found, key=lambda pid: pid != init)


def send(init: int, number: signal.Signals) -> None:
    """A signal to every process of a router."""
    for pid in processes(init):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def named(init: int, name: str) -> list[tuple[int, int]]:
    """(PID here, PID inside) of the router's processes of that name, as `ps -o comm` shows it."""
    found = []
    for pid in processes(init):
        try:
            if Path(f"/proc/{pid}/comm").read_text().rstrip("\n") == name[:15]:
                found.append((pid, _inner(pid)))
        except (OSError, StopIteration):
            continue
    return found


def numbered_inside(init: int, inner: int) -> list[tuple[int, int]]:
    """The same of the process that has this PID inside."""
    found = []
    for pid in processes(init):
        try:
            if _inner(pid) == inner:
                found.append((pid, inner))
        except (OSError, StopIteration):
            continue
    return found


def _inner(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("NSpid:")).split()[-1])


# The list, in a file of the lab ---------------------------------------------------------------


def load(path: Path) -> tuple[Fault, ...]:
    if not path.exists():
        return ()
    return tuple(
        Fault(
            **{
                **row,
                "kind": FaultKind(row["kind"]),
                "routers": tuple(row["routers"]),
                "others": tuple(row["others"]),
            }
        )
        for row in json.loads(path.read_text())
    )


def save(path: Path, faults: Iterable[Fault]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps([asdict(fault) for fault in faults], indent=1))
    new.replace(path)


def numbered(faults: Sequence[Fault], fault: Fault) -> Fault:
    return replace(fault, number=max((f.number for f in faults), default=0) + 1)
