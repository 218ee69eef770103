"""A scenario of a supervised cluster from a number: what fails, when, and for how long."""

from __future__ import annotations

import functools
from collections.abc import Callable

from hacc_agent.engine.cluster import Cluster
from hacc_agent.engine.health import Figures, Order, Source
from lab.simulation.supervised import Supervised
from lab.simulation.world import Router
from tests.simulation.scenario import PEACE_S, TROUBLE_S, fails, something, world

REST_S = 170.0
"""s after which everything has to be in order again: mobile nodes as in `scenario`; members that
were down are let in, and their slots come back, a minute later."""


def killed(made: Supervised) -> None:
    fails(made, made.random.choice(made.members))


def two_at_once(made: Supervised) -> None:
    for member in made.random.sample(made.members, 2):
        fails(made, member)


def controller_dies(made: Supervised) -> None:
    fails(made, made.random.choice(made.controllers))


def isolated(made: Supervised) -> None:
    """A member's link is cut."""
    cut(made, made.random.choice(made.members).name, *[each.name for each in made.controllers])


def partition(made: Supervised) -> None:
    """One controller and one member, or both controllers."""
    one = made.random.choice(made.controllers)
    other = made.random.choice([*made.members, *[c for c in made.controllers if c is not one]])
    cut(made, one.name, other.name)


def cut(made: Supervised, one: str, *others: str) -> None:
    wait = made.random.uniform(0.5, 25)
    for other in others:
        pair = frozenset((one, other))
        made.separate(pair)
        made.later(wait, functools.partial(made.join, pair))


def one_way(made: Supervised) -> None:
    """A member and its controllers: one direction is lost."""
    member, sends = made.random.choice(made.members).name, made.random.random() < 0.5
    pairs = {(member, each.name) if sends else (each.name, member) for each in made.controllers}
    made.tell(f"{member} {'is not heard' if sends else 'does not hear'}")
    made.deaf |= pairs
    made.later(made.random.uniform(0.5, 25), lambda: made.deaf.difference_update(pairs))


def slow(made: Supervised) -> None:
    member = made.random.choice(made.members).name
    made.slow[member] = made.random.uniform(0.2, 5)
    made.tell(f"{member} is slow: {made.slow[member]:.1f} s")
    made.later(made.random.uniform(1, 25), functools.partial(made.slow.update, {member: 0.0}))


def mute(made: Supervised) -> None:
    """No heartbeats, though it serves and SNMP answers."""
    member = made.random.choice(made.members).name
    made.tell(f"{member} sends no heartbeats")
    made.mute.add(member)
    made.later(made.random.uniform(1, 25), lambda: made.mute.discard(member))
    number = [each.name for each in made.members].index(member)
    for health in made.health.values():
        health.reported(number, Figures(number, Source.SNMP, made.moment.steady), made.moment)


def snmp_silent(made: Supervised) -> None:
    """Heartbeats go on."""
    number = made.random.randrange(len(made.members))
    for health in made.health.values():
        for _ in range(10):
            health.unreported(number, made.moment)


def flapping(made: Supervised) -> None:
    member = made.random.choice(made.members)
    for n in range(made.random.randint(3, 8)):
        made.later(6.0 * n, functools.partial(made.strike, member))


def transfers_fail(made: Supervised) -> None:
    """Either end of a transfer dies while it is under way."""
    made.fragile = 0.7
    killed(made)


def clock_steps(made: Supervised) -> None:
    """A router's wall clock, by less than Identifications may differ, or by an hour and back."""
    router = made.random.choice((*made.members, *made.controllers))
    far = made.random.choice((-3600.0, -90.0, 90.0, 3600.0))
    if made.random.random() < 0.5:
        set_clock(made, router, made.random.uniform(-3, 3))
    else:
        set_clock(made, router, far)
        made.later(made.random.uniform(3, 25), functools.partial(set_clock, made, router, 0.0))


def set_clock(made: Supervised, router: Router, ahead: float) -> None:
    made.offset[router.name] = ahead
    made.tell(f"the clock of {router.name} is {ahead:+.1f} s")


def ordered(made: Supervised) -> None:
    """An operator drains a member, or fails it over, and lets it in again."""
    number = made.random.randrange(len(made.members))
    order = made.random.choice((Order.DRAIN, Order.FAIL_OVER))
    made.tell(f"ha{number}: {order}, by order")
    tell(made, number, order)
    made.later(made.random.uniform(1, 25), functools.partial(tell, made, number, Order.UNDRAIN))


def tell(made: Supervised, number: int, order: Order) -> None:
    """The controller that leads; if none does, the operator asks again a second later."""
    active = made.active
    if active is None or active.memory is None:
        made.later(1.0, functools.partial(tell, made, number, order))
        return
    assert isinstance(active.memory.engine, Cluster)
    made.perform(active, active.memory.engine.order(number, order))


def replayed(made: Supervised) -> None:
    for _ in range(20):
        made.later(made.random.uniform(0, 20), made.replay)


def leaves_and_comes_back(made: Supervised) -> None:
    """A mobile node leaves, its member dies, and somebody repeats what the mobile node said."""
    subscriber = made.random.choice(made.subscribers)
    if not subscriber.wants:
        return
    made.leave(subscriber)
    for member in made.members:
        made.later(0.6, functools.partial(made.strike, member))
        if made.random.random() < 0.5:
            break
    for _ in range(40):
        made.later(made.random.uniform(1, 12), functools.partial(made.replay, 20))
    made.later(15, functools.partial(made.appear, subscriber, subscriber.at))


FAULTS: tuple[Callable[[Supervised], None], ...] = (
    *(killed, two_at_once, controller_dies, isolated, partition, one_way, slow, mute),
    *(snmp_silent, flapping, transfers_fail, clock_steps, ordered, replayed, something),
    leaves_and_comes_back,
)


def play(seed: int, story: list[str]) -> None:
    """The whole scenario, told as it happens. Raises `Broken` where a law does not hold.

    Every fault is the first of one scenario in sixteen; more of them follow by chance.
    """
    made = world(seed, Supervised)
    made.story = story
    chance = made.random
    for subscriber in made.subscribers:
        where = chance.randrange(len(made.agents))
        made.later(chance.uniform(0, 3), functools.partial(made.appear, subscriber, where))
    faults = [FAULTS[seed % len(FAULTS)], *chance.choices(FAULTS, k=chance.randint(0, 4))]
    for fault in faults:
        made.later(chance.uniform(8, TROUBLE_S), functools.partial(fault, made))
    replayed(made)
    made.run(TROUBLE_S)
    made.heal()
    made.run(TROUBLE_S + REST_S)
    while not made.settled() and made.now < TROUBLE_S + REST_S + PEACE_S:
        made.run(made.now + 1)
    while made.busy():
        made.run(made.now + 0.05)
    made.quiet()
