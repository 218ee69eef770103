"""A drill in the simulation: played once, with what was measured, or a thousand times.

The same file means the same here as on virtual routers: whom a step strikes is chosen by the same
function, packets leave at the same pace and are counted by the same ledger, events have the names
that daemons give them. A seed decides everything that is chance, so it is a run that can be played
again. What differs is time: there is none but the world's own.
"""

from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import os
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from hacc_agent.config import MemberKind
from hacc_agent.drills import targets
from hacc_agent.drills.drill import Drill, Step
from hacc_agent.drills.faults import Stage
from hacc_agent.drills.measured import Bin, Measured, Member, Outages, Packets, Standing, Struck
from hacc_agent.drills.rehearsed import Run
from hacc_agent.drills.verdict import judge

from ..errors import LabError
from ..subscribers.probes import Found, Ledger
from . import breaking
from .blueprint import Blueprint
from .breaking import Meant, Mend
from .packets import Passage
from .site import Site
from .world import EPOCH, Broken, Router

BEGIN_S: Final = 0.5
"""From the start of all daemons to the first registration: heartbeats have come."""

PATIENCE_S: Final = 30.0
"""For everybody to be registered; a thousand need two seconds."""

STILL_S: Final = 1.0
"""After the last registration, before the timeline begins."""

BIN_S: Final = 0.1  # of the course, as on virtual routers
PINGS_HZ: Final = 50.0
AT_ONCE: Final = 20  # runs that a process is given
STORY: Final = 40  # lines of a failed run that are told
DATAGRAM: Final = " -> "  # in a line that is one

PEOPLE: Final = 30
"""Subscribers of a simulated run at most: what each notices does not depend on how many others
there are, but for the transfer of their bindings, a tenth of a millisecond for each."""


class NeverRegistered(LabError):
    """The cluster does not take these subscribers."""


def cast(drill: Drill) -> Drill:
    """With as many subscribers as show what it does."""
    people = drill.subscribers
    number = min(people.number, PEOPLE)
    return dataclasses.replace(drill, subscribers=dataclasses.replace(people, number=number))


def rehearse(
    drill: Drill, plan: Blueprint, seeds: Iterable[int], processes: int = 0
) -> Iterator[Run]:
    """Each seed once, in any order as they end; on all cores, or so many processes."""
    play_one = partial(_judged, drill, plan)
    if processes == 1:
        yield from map(play_one, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes or os.cpu_count()) as pool:
        yield from pool.imap_unordered(play_one, seeds, AT_ONCE)


def _judged(drill: Drill, plan: Blueprint, seed: int) -> Run:
    if seed % AT_ONCE == 0:  # worlds are cycles of few but large objects
        gc.collect()
    story: list[str] = []
    try:
        found = play(drill, plan, seed, story)
    except Broken as law:
        return Run(seed, 0.0, 0.0, (), str(law), tuple(story[-STORY:]))
    except LabError:
        raise
    except Exception:  # whatever an engine raises is a failure of it, and the seed repeats it
        return Run(seed, 0.0, 0.0, (), traceback.format_exc(), tuple(story[-STORY:]))
    verdict = judge(drill, found)
    broken = tuple(f"{one.what}: {one.found}, limit {one.limit}" for one in verdict.broken)
    told = tuple(line for line in story if DATAGRAM not in line)[-STORY:] if broken else ()
    outages = found.subscribers
    return Run(seed, outages.p50_ms, outages.max_ms, broken, "", told)


def play(drill: Drill, plan: Blueprint, seed: int, story: list[str]) -> Measured:
    """One run, told as it happens. Raises `Broken` where a law of the world does not hold."""
    return _Run(drill, plan, seed, story).play()


class _Run:
    def __init__(self, drill: Drill, plan: Blueprint, seed: int, story: list[str]) -> None:
        self._drill, self._plan, self._seed = drill, plan, seed
        self._site = Site(seed, plan, drill.subscribers.number)
        self._site.story = story
        self._begin = 0.0
        self._struck: dict[int, Struck] = {}
        self._mends: dict[int, Mend] = {}

    def play(self) -> Measured:
        site, drill = self._site, self._drill
        self._register()
        self._begin = site.now
        site.events.clear()
        site.watch()
        site.renew(1 / drill.subscribers.renewals)
        before, bound = self._standing(), self._bound()
        for number, step in enumerate(drill.timeline):
            site.later(step.at_s, partial(self._strike, number, step))
        site.run(self._begin + drill.seconds)
        after, kept = self._standing(), self._bound()
        ledger = self._ledger()
        found = ledger.found()
        measured = Measured(
            drill.name,
            Stage.SIMULATION,
            EPOCH,
            drill.seconds,
            before,
            after,
            tuple(self._struck[number] for number in sorted(self._struck)),
            tuple(self._events()),
            _outages(len(site.subscribers), found),
            registered=sum(each.node.registered(site.moment.steady) for each in site.subscribers),
            packets=Packets(found.sent, found.back, found.lost_there, found.lost_back),
            course=tuple(Bin(round(at, 3), sent, back) for at, sent, back in ledger.course(BIN_S)),
            addresses=self._addresses(),
            bindings_before=len(bound),
            bindings_lost=len(bound - kept),
            bindings_doubled=self._doubled(),
            seed=self._seed,
        )
        for mend in self._mends.values():
            mend()
        return measured

    def _register(self) -> None:
        site, drill = self._site, self._drill
        agents = len(site.agents)
        for number, subscriber in enumerate(site.subscribers):
            at = BEGIN_S + number / drill.subscribers.registrations
            where = site.random.randrange(agents)
            site.later(at, partial(site.appear, subscriber, where))
        for member in site.members:
            site.announce(member)
        site.run(BEGIN_S + len(site.subscribers) / drill.subscribers.registrations)
        while not site.settled():
            site.run(site.now + 0.1)
            if site.now > PATIENCE_S:
                lacking = sum(not each.node.settled for each in site.subscribers)
                raise NeverRegistered(f"{lacking} subscribers are not registered by the cluster")
        site.run(site.now + STILL_S + site.random.random())

    # The timeline ---------------------------------------------------------------------------

    def _strike(self, number: int, step: Step) -> None:
        site, fault = self._site, step.fault
        standing = self._standing()
        before = [name for one in self._struck.values() for name in one.members]
        routers = targets.routers_of(fault.targets, standing, before)
        members = targets.members_of(fault.targets, standing, before)
        others = targets.routers_of(fault.others, standing, before)
        now = round(site.now - self._begin, 4)
        self._struck[number] = Struck(number, str(fault), routers, members, now)
        site.tell(f"{fault}: {', '.join(routers)}")
        meant = Meant(
            tuple(self._routers(routers)),
            tuple(each for each in site.members if each.name in members),
            tuple(each.name for each in self._routers(others)),
            tuple(self._halved(routers)),
        )
        self._mends[number] = breaking.strike(site, fault, meant)
        if step.end_s is not None and step.end_s > step.at_s:
            site.later(step.end_s - step.at_s, partial(self._mend, number))

    def _mend(self, number: int) -> None:
        site, one = self._site, self._struck[number]
        now = round(site.now - self._begin, 4)
        self._struck[number] = Struck(
            one.step, one.fault, one.routers, one.members, one.begin_s, now
        )
        site.tell(f"mended: {one.fault}")
        self._mends.pop(number)()

    def _routers(self, names: Iterable[str]) -> Iterator[Router]:
        """A stock pair is one router here, out when both of its halves are."""
        site, struck = self._site, set(names)
        for router in site.controllers:
            if router.name in struck:
                yield router
        for router, told in zip(site.members, self._plan.controllers[0].members, strict=True):
            halves = {each.name for each in told.routers} or {router.name}
            if halves <= struck:
                yield router

    def _halved(self, names: Iterable[str]) -> Iterator[Router]:
        """The first of a pair is its active half: the order is the priority."""
        members = self._plan.controllers[0].members
        for router, told in zip(self._site.members, members, strict=True):
            halves = [each.name for each in told.routers]
            if halves and halves[0] in names and not set(halves) <= set(names):
                yield router

    # What was found -------------------------------------------------------------------------

    def _standing(self) -> Standing:
        site, active = self._site, self._site.active
        served = site.served()
        health = None if active is None else site.health[active.name]
        members = tuple(
            Member(
                told.name,
                tuple(each.name for each in told.routers) or (told.name,),
                told.kind is MemberKind.LINUX,
                told.backup,
                "unknown" if health is None else health.state(number).value,
                served[number],
                0,
            )
            for number, told in enumerate(self._plan.controllers[0].members)
        )
        controllers = tuple(each.name for each in site.controllers)
        return Standing(controllers, None if active is None else active.name, members)

    def _bound(self) -> frozenset[int]:
        """Home addresses that the controller has bindings of."""
        active = self._site.active
        return frozenset() if active is None else frozenset(self._site.held(active))

    def _doubled(self) -> int:
        found = Counter(home for each in self._site.members for home in self._site.held(each))
        return sum(count > 1 for count in found.values())

    def _events(self) -> Iterator[Any]:
        for one in self._site.events:
            at = round(one.at_s - self._begin, 4)
            yield type(one)(at, one.router, one.event, one.details)

    def _ledger(self) -> Ledger:
        """Of packets that leave in turn, at the drill's pace, to the end of its timeline."""
        site, drill = self._site, self._drill
        people = len(site.subscribers)
        each = 1 / (people * drill.subscribers.rate_hz)
        sent = np.arange(0.0, drill.seconds, each)
        node = np.arange(len(sent)) % people
        there, back = np.empty(len(sent), bool), np.empty(len(sent), bool)
        for number, passage in enumerate(site.passages):
            mine = node == number
            there[mine], back[mine] = self._passed(passage, sent[mine])
        return Ledger.known(node, sent, there, there & back)

    def _passed(self, passage: Passage, sent: Any) -> tuple[Any, Any]:
        """Which of the packets that left then came through."""
        at = np.searchsorted(np.array(passage.at), sent + self._begin, "right") - 1
        draw = np.random.default_rng(self._seed ^ len(sent)).random
        return (
            draw(len(sent)) < np.array(passage.there)[at],
            draw(len(sent)) < np.array(passage.back)[at],
        )

    def _addresses(self) -> Mapping[str, Outages]:
        sent = np.arange(0.0, self._drill.seconds, 1 / PINGS_HZ)
        found = {}
        for name, passage in self._site.addresses.items():
            there, back = self._passed(passage, sent)
            node = np.zeros(len(sent), np.int64)
            found[name] = _outages(1, Ledger.known(node, sent, there, there & back).found())
        return found


def _outages(watched: int, found: Found) -> Outages:
    """As on virtual routers: who has not come back at the end has no figure."""
    gone = frozenset(found.gone)
    outages = [1000 * float(for_s) for node, for_s in found.missed if node not in gone]
    return Outages.of(watched, outages, len(found.dead) + len(gone))
