"""A drill's fault, in the words of the lab: what `hacc lab break` would be told, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hacc_agent.drills.drill import Fault
from hacc_agent.drills.faults import FaultKind
from hacc_agent.drills.measured import Standing

from .. import faults
from ..faults import FaultKind as Kind

SNMP: Final = "snmpd"
REDUNDANCY: Final = ("keepalived", "hacc-hsrp")
"""Services of which an active controller runs one: whoever stops it gives the address away."""


@dataclass(frozen=True, slots=True)
class Struck:
    """Whom a fault means, when its moment has come."""

    routers: tuple[str, ...]
    members: tuple[str, ...]
    others: tuple[str, ...]  # the other side of a partition
    standing: Standing


def faults_of(
    fault: Fault, struck: Struck, running: Callable[[str, Sequence[str]], str]
) -> Iterator[faults.Fault]:
    """`running`: of a router, the first of these services that runs there."""
    routers = struck.routers
    match fault.kind:
        case FaultKind.PARTITION:
            rest = tuple(name for name in struck.others if name not in routers)
            yield faults.Fault(Kind.PARTITION, routers, others=rest)
        case FaultKind.KILL:
            for name in routers:
                yield faults.Fault(Kind.KILL, (name,), daemon=fault.daemon)
        case FaultKind.SNMP:
            for name in routers:
                yield faults.Fault(Kind.STOP, (name,), unit=SNMP)
        case FaultKind.SWITCHOVER:
            for name in routers:
                yield faults.Fault(Kind.STOP, (name,), unit=running(name, REDUNDANCY))
        case FaultKind.DRAIN | FaultKind.FAILOVER:
            for member in struck.members:
                ordered = faults.Fault(Kind.ORDER, struck.standing.controllers)
                yield replace(ordered, order=fault.kind.value, member=member)
        case kind:
            yield replace(
                faults.Fault(_SAME[kind], routers),
                direction=fault.direction,
                permille=round(fault.percent * 10),
            )


_SAME: Final[Mapping[FaultKind, Kind]] = {
    FaultKind.POWER: Kind.POWER,
    FaultKind.FREEZE: Kind.FREEZE,
    FaultKind.LINK: Kind.LINK,
    FaultKind.FLAP: Kind.LINK,
    FaultKind.ONEWAY: Kind.ONEWAY,
    FaultKind.LOSS: Kind.LOSS,
    FaultKind.OVERLOAD: Kind.OVERLOAD,
}
"""Kinds that the lab knows by themselves."""
