"""A drill's faults, in the words of the simulated world.

    kind         what is done                                      what mends it
    kill         memory gone, connections closed; RestartSec       by itself
    power        memory gone, nobody says so                       a boot, and OSPF's adjacencies
    freeze       it neither hears nor says anything; packets pass  it goes on
    link         nothing passes, in both directions                it passes
    oneway       nothing passes, in one direction                  it passes
    partition    nothing passes between two sides                  it passes
    loss         datagrams and packets are lost, TCP is late       none is
    flap         link, over and over                               it passes
    snmp         polls are not answered                            they are
    overload     heartbeats and polls say: no memory is free       90 % are
    clock        Identifications are compared with a wrong time    the right one
    drain        the order, to who decides                         undrain
    failover     the order, to who decides                         undrain
    switchover   the address is given up                           the speaker is there again
    upgrade      each agent ends in order and starts again         by itself

A table has a row for each kind (`STRIKES`), so a kind that the contract gets is missed by the type
checker and by a test, and not by a drill that silently breaks nothing. Of the daemons only
hacc-agent and snmpd can be killed here: those of routing and of standby groups have no engine of
their own in a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from hacc_agent.drills.drill import Fault
from hacc_agent.drills.faults import FaultKind
from hacc_agent.engine.cluster import Cluster
from hacc_agent.engine.health import Order

from ..errors import LabError
from . import latencies
from .routed import EDGE
from .site import Site
from .world import Router

AGENT: Final = "hacc-agent"
SNMP: Final = "snmpd"
USED_UP: Final = 1.0  # per cent of memory that is free


class NotSimulated(LabError):
    """This fault is for virtual routers."""


@dataclass(frozen=True, slots=True)
class Meant:
    """Whom a fault strikes. A stock pair is one router here, struck when both of its halves are."""

    routers: tuple[Router, ...]
    members: tuple[Router, ...]
    others: tuple[str, ...]  # names of the other side of a partition
    halved: tuple[Router, ...] = ()  # pairs whose active half alone is struck


Mend = Callable[[], None]
Strike = Callable[[Site, Fault, Meant], Mend]
"""Breaks it; what comes back mends it."""


def strike(site: Site, fault: Fault, meant: Meant) -> Mend:
    """Raises `NotSimulated`."""
    if fault.kind in SILENCES:
        for pair in meant.halved:
            site.changes_places(pair)
    return STRIKES[fault.kind](site, fault, meant)


def nothing() -> None:
    """It mends itself."""


# Daemons and power ------------------------------------------------------------------------------


def _kill(site: Site, fault: Fault, meant: Meant) -> Mend:
    if fault.daemon == SNMP:
        site.unread |= {each.name for each in meant.members}
        return nothing
    if fault.daemon != AGENT:
        raise NotSimulated(
            f"{fault.daemon} cannot be killed in a simulation: it has no engine there",
            hint="without --sim, on virtual routers",
        )
    for router in meant.routers:
        _end(site, router)
        wait = latencies.RESTART_S + site.random.uniform(*latencies.START_S)
        site.later(wait, partial(_starts, site, router))
    return nothing


def _upgrade(site: Site, fault: Fault, meant: Meant) -> Mend:
    for number, router in enumerate(meant.routers):
        site.later(number * fault.every_s, partial(_renew, site, router))
    return nothing


def _renew(site: Site, router: Router) -> None:
    _end(site, router)
    wait = site.random.uniform(*latencies.STOP_S) + site.random.uniform(*latencies.START_S)
    site.later(wait, partial(_starts, site, router))


def _end(site: Site, router: Router) -> None:
    """The daemon alone."""
    site.crash(router)
    if router in site.controllers and site.plan.succession.follows_agent:
        site.look_for_owner(resigned=True)


def _starts(site: Site, router: Router) -> None:
    if router.name not in site.off:
        site.starts(router)


def _power(site: Site, _: Fault, meant: Meant) -> Mend:
    for router in meant.routers:
        site.off.add(router.name)
        site.crash(router, heard=False)
        site.fell_silent(router)

    def boot(router: Router) -> None:
        site.off.discard(router.name)
        site.starts(router)
        site.speaks_again(router)

    def mend() -> None:
        for router in meant.routers:
            wait = site.random.uniform(*latencies.BOOT_S) + site.random.uniform(*latencies.START_S)
            site.later(wait, partial(boot, router))

    return mend


def _freeze(site: Site, _: Fault, meant: Meant) -> Mend:
    names = {each.name for each in meant.routers}
    site.frozen |= names
    for router in meant.routers:
        site.fell_silent(router)

    def mend() -> None:
        site.frozen -= names
        for router in meant.routers:
            site.speaks_again(router)

    return mend


# Cables -----------------------------------------------------------------------------------------


def _link(site: Site, _: Fault, meant: Meant) -> Mend:
    return _cut(site, meant.routers, _everybody(site))


def _partition(site: Site, _: Fault, meant: Meant) -> Mend:
    return _cut(site, meant.routers, meant.others)


def _cut(site: Site, routers: tuple[Router, ...], others: tuple[str, ...]) -> Mend:
    pairs = {
        frozenset((router.name, other))
        for router in routers
        for other in others
        if router.name != other
    }
    for pair in pairs:
        site.separate(pair)
    for router in routers:
        site.fell_silent(router)

    def mend() -> None:
        for pair in pairs:
            site.join(pair)
        for router in routers:
            site.speaks_again(router)

    return mend


def _oneway(site: Site, fault: Fault, meant: Meant) -> Mend:
    pairs = set()
    for router in meant.routers:
        for other in _everybody(site):
            if other != router.name:
                into = fault.direction == "in"
                pairs.add((other, router.name) if into else (router.name, other))
    site.deaf |= pairs
    for router in meant.routers:
        site.fell_silent(router)

    def mend() -> None:
        site.deaf -= pairs
        for router in meant.routers:
            site.speaks_again(router)

    return mend


def _flap(site: Site, fault: Fault, meant: Meant) -> Mend:
    """Down for half of the time."""
    over = False
    up: Mend = nothing

    def down() -> None:
        nonlocal up
        if not over:
            up = _link(site, fault, meant)
            site.later(fault.every_s / 2, plug)

    def plug() -> None:
        nonlocal up
        up()
        up = nothing
        if not over:
            site.later(fault.every_s / 2, down)

    def mend() -> None:
        nonlocal over
        over = True
        plug()

    down()
    return mend


def _loss(site: Site, fault: Fault, meant: Meant) -> Mend:
    names = [each.name for each in meant.routers]
    site.loses(dict.fromkeys(names, fault.percent / 100))
    return lambda: site.loses(dict.fromkeys(names, 0.0))


def _everybody(site: Site) -> tuple[str, ...]:
    agents = (f"fa{number}" for number in range(len(site.agents)))
    return (*(each.name for each in (*site.controllers, *site.members)), *agents, EDGE)


# What routers say of themselves -----------------------------------------------------------------


def _snmp(site: Site, _: Fault, meant: Meant) -> Mend:
    names = {each.name for each in meant.members}
    site.unread |= names
    return lambda: site.unread.difference_update(names)


def _overload(site: Site, _: Fault, meant: Meant) -> Mend:
    names = {each.name for each in meant.members}
    site.load.update(dict.fromkeys(names, USED_UP))

    def mend() -> None:
        for name in names:
            site.load.pop(name, None)

    return mend


def _clock(site: Site, fault: Fault, meant: Meant) -> Mend:
    names = [each.name for each in meant.routers]
    site.offset.update(dict.fromkeys(names, fault.ahead_s))
    return lambda: site.offset.update(dict.fromkeys(names, 0.0))


# Operators --------------------------------------------------------------------------------------


def _ordered(order: Order) -> Strike:
    def given(site: Site, _: Fault, meant: Meant) -> Mend:
        _order(site, meant.members, order)
        return partial(_order, site, meant.members, Order.UNDRAIN)

    return given


def _order(site: Site, members: tuple[Router, ...], order: Order) -> None:
    """While nobody decides, an operator asks again."""
    for member in members:
        active = site.active
        if active is None or active.memory is None:
            site.later(1.0, partial(_order, site, (member,), order))
            continue
        assert isinstance(active.memory.engine, Cluster)
        site.note(active, "an operator's order", member=member.name, order=order.value)
        effects = active.memory.engine.order(site.members.index(member), order)
        site.perform(active, effects)


def _switchover(site: Site, _: Fault, meant: Meant) -> Mend:
    names = {each.name for each in meant.routers}
    site.resigned |= names
    site.look_for_owner(resigned=True)

    def mend() -> None:
        site.resigned -= names
        for router in meant.routers:
            site.speaks_again(router)

    return mend


SILENCES: Final = frozenset(
    {FaultKind.POWER, FaultKind.FREEZE, FaultKind.LINK, FaultKind.PARTITION, FaultKind.FLAP}
)
"""Kinds by which a router is not heard any more."""

STRIKES: Final[Mapping[FaultKind, Strike]] = {
    FaultKind.KILL: _kill,
    FaultKind.POWER: _power,
    FaultKind.FREEZE: _freeze,
    FaultKind.LINK: _link,
    FaultKind.ONEWAY: _oneway,
    FaultKind.PARTITION: _partition,
    FaultKind.LOSS: _loss,
    FaultKind.FLAP: _flap,
    FaultKind.SNMP: _snmp,
    FaultKind.OVERLOAD: _overload,
    FaultKind.CLOCK: _clock,
    FaultKind.DRAIN: _ordered(Order.DRAIN),
    FaultKind.FAILOVER: _ordered(Order.FAIL_OVER),
    FaultKind.SWITCHOVER: _switchover,
    FaultKind.UPGRADE: _upgrade,
}
