"""A whole run: everybody registers, packets pass, the timeline is played, and what came of it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from hacc_agent.config import AgentConfig
from hacc_agent.daemon import Clock
from hacc_agent.drills.drill import Drill
from hacc_agent.drills.faults import FAULTS
from hacc_agent.drills.faults import Stage as Kind
from hacc_agent.drills.measured import Bin, Measured, Outages, Packets
from hacc_agent.drills.targets import NobodyThere
from hacc_agent.engine.effects import Moment

from ..errors import Exit, LabError, RouterFailed
from ..lab import Lab
from ..subscribers.pings import Pings
from ..subscribers.population import Population, Schedule
from ..subscribers.probes import Found, Ledger
from ..subscribers.run import Assembly, Wanted, assembled
from ..subscribers.session import GLANCE, Interrupt, Session
from ..subscribers.traffic import UNDER_WAY_S, Traffic
from .guardian import Guardian, command, guarded
from .site import Site
from .stage import Stage

BIN_S: Final = 0.1
"""Of the traffic's course: the picture of a report has room for as much."""

PINGS_HZ: Final = 50.0
"""To each address: an outage of it is known to 20 ms."""

WHOLE_S: Final = 180.0
"""For a cluster to be whole before a drill begins: members that failed are let in again after their
damping, and routers of the drill before have booted (docs/failover.md)."""

PREEMPTS_S: Final = 45.0
"""For the preferred controller to take over again, where its group preempts: the example's waits
20 s for its bindings first. A group that does not costs every drill this time."""

QUIET_S: Final = 1.0
"""Without a loss, before a drill begins: what is lost later is the drill's."""


LEAVING_S: Final = 10.0
"""For everybody to deregister; who cannot is forgotten when its lifetime ends."""


class Interrupted(LabError):
    """Ctrl-C before anything was measured."""

    exit = Exit.INTERRUPTED


def rehearse(
    lab: Lab, inventory: Path, drill: Drill, seed: int, tell: Callable[[str], None]
) -> Measured:
    """Play it. Whatever happens, what it breaks is mended when this returns or raises."""
    for step in drill.timeline:
        if Kind.LIVE not in FAULTS[step.fault.kind].stages:
            raise LabError(
                f"{drill.name}: {step.fault.kind} is for the simulation alone", hint="--sim"
            )
    if broken := lab.faults():
        raise LabError(
            f"broken on purpose already: {', '.join(map(str, broken))}", hint="hacc lab mend"
        )
    owner = f"drill/{drill.name}/{os.getpid()}"
    log = lab.directory / "drills.log"
    people = drill.subscribers
    wanted = Wanted(
        *(people.number, people.registrations, drill.seconds, 0.0, 0, 0, seed, False),
        *(drill.cluster, people.number * people.rate_hz),
    )
    with (
        guarded(command(inventory, lab.topology.name, owner), log) as guardian,
        Interrupt().caught() as interrupt,
        assembled(lab, wanted, tell) as there,
    ):
        try:
            return _Run(lab, drill, owner, seed, there, interrupt, tell).play(guardian)
        except NobodyThere as error:
            raise LabError(f"{drill.name}: {error}") from None


class _Run:
    """One of them, with everybody in place."""

    def __init__(
        self,
        lab: Lab,
        drill: Drill,
        owner: str,
        seed: int,
        there: Assembly,
        interrupt: Interrupt,
        tell: Callable[[str], None],
    ) -> None:
        self._lab, self._drill, self._owner, self._seed = lab, drill, owner, seed
        self._there, self._interrupt, self._tell = there, interrupt, tell
        self._clock = Clock()
        people = drill.subscribers
        schedule = Schedule(people.registrations, renewals=people.renewals)
        self._population = Population(
            there.subscriptions, there.agents, schedule, seed, self._clock()
        )
        self._site = Site(lab, there.configs, time.time())
        self._begin = 0.0  # of the timeline, on the steady clock
        self._without: frozenset[IPv4Address] = frozenset()  # home addresses that get no packets

    def play(self, guardian: Guardian) -> Measured:
        self._register()
        self._whole()
        self._flow()
        drill, site = self._drill, self._site
        before = site.standing()
        bound = site.bound(before.leader)
        traffic, pings = self._traffic(), self._pings()
        now = self._clock()
        self._begin, began = now.steady, time.time()
        site.begin(began)
        stage = Stage(
            drill, self._owner, self._lab, site.standing, site.listen, self._now, self._announce
        )
        session = self._session((traffic, pings), stage)
        self._announce("begins", drill.title)
        stage.start()
        try:
            session.run(drill.seconds, self._interrupt)
            interrupted = self._interrupt.count > 0
            traffic.end()
            pings.end()
            session.run(UNDER_WAY_S, self._interrupt)
        finally:
            stage.stop()
        if stage.trouble is not None:
            raise stage.trouble
        after, end = site.standing(), self._clock()
        registered = self._population.registered(end)
        kept = site.bound(after.leader)
        doubled = site.doubled()
        site.listen()
        self._announce("ends", "what was broken is mended")
        restored = guardian.mended()
        site.forget_failures({name for one in stage.struck for name in one.members})
        if not interrupted:
            self._leave()
        found = traffic.ledger.found()
        return Measured(
            drill.name,
            Kind.LIVE,
            began,
            round(end.steady - self._begin, 3),
            before,
            after,
            stage.struck,
            site.events(),
            _outages(len(self._population.nodes) - len(self._without), found),
            registered=registered,
            packets=_packets(found),
            course=tuple(
                Bin(round(at - self._begin, 3), sent, back)
                for at, sent, back in traffic.ledger.course(BIN_S)
            ),
            addresses=self._answered(pings),
            bindings_before=len(bound),
            bindings_lost=len(bound - kept),
            bindings_doubled=doubled,
            interrupted=interrupted,
            restored=restored,
            seed=self._seed,
        )

    # Before the timeline --------------------------------------------------------------------

    def _whole(self) -> None:
        """Wait until the preferred controller decides, and members are up and serve their own."""
        self._tell("the cluster gets whole")
        session = self._session(())
        begin = time.monotonic()
        end = begin + WHOLE_S
        while trouble := _lacks(self._site, returns=time.monotonic() < begin + PREEMPTS_S):
            if time.monotonic() > end:
                raise RouterFailed(
                    f"the cluster is not whole after {WHOLE_S:.0f} s: {trouble}", hint="hacc verify"
                )
            session.run(GLANCE, self._interrupt)  # renewals go on
            self._may_go_on()

    def _register(self) -> None:
        number = self._drill.subscribers.number
        self._tell(f"{number} subscribers register")
        self._session(()).run(0, self._interrupt)
        self._may_go_on()
        registered = self._population.registered(self._clock())
        if registered < number:
            raise RouterFailed(f"{registered} of {number} subscribers are registered")

    def _flow(self) -> None:
        """Packets pass for a while: routes to new home addresses are everywhere."""
        self._tell("packets begin to pass")
        self._without = self._site.at_stock_members()
        end = time.monotonic() + WHOLE_S
        while True:
            traffic, pings = self._traffic(), self._pings()
            self._session((traffic, pings)).run(QUIET_S, self._interrupt)
            traffic.end()
            pings.end()
            self._session((traffic, pings)).run(UNDER_WAY_S, self._interrupt)
            self._may_go_on()
            lost = [each.sent - each.back for each in (traffic.ledger.found(), pings.found())]
            if not any(lost):
                return
            if time.monotonic() > end:
                raise RouterFailed(
                    f"packets are lost before the drill begins, {lost[0]} to subscribers and "
                    f"{lost[1]} to addresses in a second"
                )

    def _leave(self) -> None:
        """Nobody stays behind: the next who looks at the cluster sees it as it was before."""
        self._tell("subscribers leave")
        self._population.leave(self._clock())
        self._session(()).run(LEAVING_S, self._interrupt, until_settled=True)

    def _may_go_on(self) -> None:
        if self._interrupt.count:
            raise Interrupted("interrupted before the drill began: nothing was broken")

    def _announce(self, phase: str, what: str) -> None:
        self._tell(what)
        self._site.announce(self._drill.name, phase, what)

    # Parts ----------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._clock().steady - self._begin

    def _session(self, streams: tuple[Traffic | Pings, ...], stage: Stage | None = None) -> Session:
        def look(_population: Population, _now: Moment) -> None:
            if stage is not None and stage.trouble is not None:
                raise stage.trouble

        return Session(self._population, self._there.registrations, self._clock, look, streams)

    def _traffic(self) -> Traffic:
        assert self._there.correspondent is not None  # a drill always has packets
        rate = self._drill.subscribers.number * self._drill.subscribers.rate_hz
        ledger = Ledger(random.getrandbits(32))
        asking = self._there.correspondent.datagrams
        return Traffic(self._population, self._there.tunnels, asking, rate, ledger, self._without)

    def _pings(self) -> Pings:
        assert self._there.correspondent is not None
        addresses = [*self._addresses().values()]
        return Pings(self._there.correspondent.echoes, addresses, PINGS_HZ)

    def _addresses(self) -> Mapping[str, IPv4Address]:
        return _addresses(self._there.configs[0])

    def _answered(self, pings: Pings) -> Mapping[str, Outages]:
        found = pings.found()
        missed = dict(found.missed)
        return {
            name: Outages.of(1, [1000 * missed[number]] if number in missed else [])
            if number not in (*found.dead, *found.gone)
            else Outages.of(1, [], 1)
            for number, name in enumerate(self._addresses())
        }


def _addresses(config: AgentConfig) -> Mapping[str, IPv4Address]:
    """What the controllers answer for, in words."""
    groups = {f"group {one.address}": one.address for one in config.gateways}
    return {f"Home Agent {config.home_agent_address}": config.home_agent_address, **groups}


def _lacks(site: Site, *, returns: bool) -> str:
    """What a cluster at rest has not; `returns`: the first controller may still take over again."""
    standing = site.standing()
    if standing.leader is None:
        return "no controller decides"
    if returns and standing.leader != standing.controllers[0]:
        return f"{standing.leader} decides"
    lame = [f"{one.name} is {one.state}" for one in standing.members if one.state != "up"]
    return ", ".join((*lame, *site.astray()))


def _outages(watched: int, found: Found) -> Outages:
    gone = frozenset(found.gone)
    outages = [1000 * for_s for node, for_s in found.missed if node not in gone]
    return Outages.of(watched, outages, len(found.dead) + len(gone))


def _packets(found: Found) -> Packets:
    return Packets(
        *(found.sent, found.back, found.lost_there, found.lost_back),
        *(found.doubled, found.reordered),
    )
