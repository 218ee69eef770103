"""A scenario from a number: who takes part, what goes wrong, when."""

from __future__ import annotations

import dataclasses
import functools
import random
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TypeVar

from hacc_agent import config
from lab.simulation.world import Router, Weather, World
from lab.subscribers.association import Association, Subscription

W = TypeVar("W", bound=World)

VHA = IPv4Address("198.19.0.1")
LAN = "core"
TROUBLE_S = 60.0
"""Seconds in which things go wrong: several lifetimes, many timeouts."""

PEACE_S = 110.0
"""Seconds after which everything has to be in order again: a mobile node may have doubled its wait
to 32 s when the network heals, and may then have to be told the time (code 133), and wait again."""

LIFETIME_S = 40
CALM_S = LIFETIME_S + 5.0
"""Seconds of peace at least: whoever is registered then was registered, or renewed, in peace."""
NODE_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
AGENT_KEY = "00112233445566778899aabbccddeeff"
WRONG_BY_S = (0.0, 0.0, 0.0, -5.0, 5.0, -40.0, 40.0, -1e8)
"""Seconds that clocks of mobile nodes are ahead: right, within the tolerance, beyond, never set."""

AGENTS = (IPv4Address("198.18.9.1"), IPv4Address("198.18.9.2"))
REALM_POOL = IPv4Network("198.19.64.0/20")


def security(replay: config.Replay, key: str = NODE_KEY) -> config.Security:
    return config.Security(256, config.Algorithm.HMAC_MD5, key, replay, 7)


@functools.cache
def configurations(
    members: int, replay: config.Replay, proven: bool
) -> tuple[tuple[config.AgentConfig, config.AgentConfig], tuple[config.AgentConfig, ...]]:
    """Two controllers' and the members' configurations."""
    listed = tuple(
        config.Member(
            f"ha{n}",
            config.MemberKind.LINUX,
            n == members - 1 and members > 2,
            1 + n,
            32,
            (IPv4Network((int(REALM_POOL.network_address) + 256 * n, 24)),),
            (config.LanAddress(LAN, IPv4Address(f"198.18.1.{11 + n}")),),
        )
        for n in range(members)
    )
    controllers = tuple(
        config.Controller(
            f"hacc{n}",
            200 - n,
            (config.LanAddress(LAN, IPv4Address(f"198.18.1.{1 + n}")),),
        )
        for n in range(2)
    )
    agents = tuple(config.ForeignAgent(address, security(replay, AGENT_KEY)) for address in AGENTS)
    common = config.AgentConfig(
        cluster="simulated",
        name="hacc0",
        role=config.Role.CONTROLLER,
        home_agent_address=VHA,
        networks=(IPv4Network("198.19.64.0/18"),),
        lifetime_s=LIFETIME_S,
        replay=replay,
        tolerance_s=7,
        binding_sync_s=5,
        max_bindings=None,
        lans=(config.Lan(LAN, "eth0", IPv4Interface("198.18.1.1/24")),),
        gateways=(),
        controllers=controllers,
        members=listed,
        selection=config.Selection(0.1, config.Weights(1, 1, 1)),
        health=config.Health(100, 3, 5, 95, 3),
        snmp=config.Snmp(2, "public"),
        realms=(
            config.Realm(
                "@example.net",
                REALM_POOL,
                IPv4Network("198.19.64.0/18"),
                LIFETIME_S,
                security=security(replay),
            ),
        ),
        nodes=tuple(
            config.Node(
                IPv4Address(f"198.19.96.{n}"),
                IPv4Network("198.19.64.0/18"),
                LIFETIME_S,
                security(replay),
            )
            for n in range(1, 4)
        ),
        foreign_agents=agents if proven else (),
    )
    routers = tuple(
        dataclasses.replace(
            common,
            name=member.name,
            role=config.Role.BACKUP if member.backup else config.Role.HOME_AGENT,
            max_bindings=member.capacity,
            lans=(config.Lan(LAN, "eth0", IPv4Interface(f"{member.addresses[0].address}/24")),),
            snmp=None,
            realms=(
                dataclasses.replace(
                    common.realms[0],
                    assigns=(
                        config.AddressRange(
                            member.slices[0].network_address + 1,
                            member.slices[0].network_address + 6,
                        ),
                    ),
                ),
            ),
        )
        for member in listed
    )
    return (common, dataclasses.replace(common, name="hacc1")), routers


def world(seed: int, kind: type[W]) -> W:
    """Everybody, before anything has happened."""
    chance = random.Random(seed)
    replay = chance.choice(tuple(config.Replay))
    proven = chance.random() < 0.5
    controllers, members = configurations(chance.randint(2, 4), replay, proven)
    association = Association.of(security(replay))
    fixed = Subscription(association, VHA, LIFETIME_S)
    subscriptions = tuple(
        dataclasses.replace(fixed, nai=f"node{n}@example.net".encode())
        if chance.random() < 0.5
        else dataclasses.replace(fixed, home_address=IPv4Address(f"198.19.96.{n}"))
        for n in range(1, chance.randint(2, 4))
    )
    agents = AGENTS[: chance.randint(1, 2)]
    agent_key = Association.of(security(replay, AGENT_KEY)) if proven else None
    longest = chance.choice((0.005, 0.05, 1.5))
    weather = Weather(
        chance.choice((0.0, 0.05, 0.3)), chance.choice((0.0, 0.1, 0.4)), (0.0005, longest)
    )
    made = kind(
        seed,
        controllers,
        members,
        subscriptions,
        tuple((address, agent_key) for address in agents),
        weather,
    )
    made.crashiness = chance.choice((0.0, 0.0, 0.02))
    for subscriber in made.subscribers:
        subscriber.ahead = chance.choice(WRONG_BY_S)
    return made


def play(seed: int, story: list[str]) -> None:
    """The whole scenario, told as it happens. Raises `Broken` where a law does not hold."""
    made = world(seed, World)
    made.story = story
    chance = made.random
    for subscriber in made.subscribers:
        where = chance.randrange(len(made.agents))
        made.later(chance.uniform(0, 3), functools.partial(made.appear, subscriber, where))
    for _ in range(chance.randint(0, 6)):
        made.later(chance.uniform(1, TROUBLE_S), functools.partial(something, made))
    made.run(TROUBLE_S)
    made.heal()
    made.run(TROUBLE_S + CALM_S)
    while not made.settled() and made.now < TROUBLE_S + PEACE_S:
        made.run(made.now + 1)
    while made.busy():
        made.run(made.now + 0.05)
    made.quiet()


def something(made: World) -> None:
    """One event that nobody wished for, or that a subscriber did."""
    chance = made.random
    match chance.randrange(6):
        case 0:
            subscriber = chance.choice(made.subscribers)
            made.appear(subscriber, chance.randrange(len(made.agents)))
        case 1:
            subscriber = chance.choice(made.subscribers)
            if subscriber.wants:
                made.leave(subscriber)
                made.later(
                    chance.uniform(1, 20), functools.partial(made.appear, subscriber, subscriber.at)
                )
        case 2 | 3:
            fails(made, chance.choice((*made.members, *made.controllers)))
        case 4:
            names = [router.name for router in (*made.controllers, *made.members)]
            names += [f"fa{n}" for n in range(len(made.agents))]
            pair = frozenset(chance.sample(names, 2))
            made.separate(pair)
            made.later(chance.uniform(0.5, 25), functools.partial(made.join, pair))
        case _:
            both = made.controllers
            for router in both:
                fails(made, router)


def fails(made: World, router: Router) -> None:
    if router.memory is not None:
        made.replay_equals_memory(router)
        made.crash(router)
        made.later(made.random.uniform(0.1, 20), functools.partial(made.restart, router))
