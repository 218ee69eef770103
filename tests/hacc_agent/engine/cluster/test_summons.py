"""A stock heir takes over nothing: its mobile nodes are made to register again, a few at a time."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from hacc_agent.config import AgentConfig, MemberKind
from hacc_agent.engine.cluster.summons import PER_S
from hacc_agent.engine.effects import Effect, Endpoint, Send, Transfer
from hacc_agent.engine.record import Row, rows
from hacc_agent.wire import (
    RegistrationRevocation,
    RevocationFlags,
    RevocationSupport,
    RevocationSupportFlags,
    parse,
    peek_spi,
    verify,
)
from hacc_agent.wire.messages import REVOCATION
from tests.hacc_agent.engine.cluster.world import (
    AGENT,
    AGENT_KEY,
    AGENT_SPI,
    CARE_OF,
    HOME,
    VIRTUAL,
    World,
    asked,
    configuration,
    member,
    reply,
    request,
    sent,
)

STOCK = Endpoint(int(VIRTUAL), 434)
"""Where the replies of a stock member come from."""


def with_stock_backup() -> AgentConfig:
    return configuration(
        members=(member(0), member(1, kind=MemberKind.IOS, backup=True)),
    )


def register(world: World, number: int, identification: int = 1, *, support: bool = True) -> None:
    home = int(HOME) + number
    extensions = (RevocationSupport(77, RevocationSupportFlags.INFORM),) if support else ()
    octets = request(identification, home, extensions=extensions, foreign=AGENT_KEY)
    (chosen,) = asked(world.receive(octets))
    source = STOCK if chosen else Endpoint(int(world.config.members[0].addresses[0].address), 434)
    world.receive(reply(identification, home, extensions=extensions), source)


def revoked(effects: list[Effect]) -> list[IPv4Address]:
    """Home addresses, of messages that prove who sent them."""
    found = []
    for each in sent(effects):
        message = parse(each.payload)
        assert isinstance(message, RegistrationRevocation)
        assert peek_spi(each.payload, REVOCATION.size) == AGENT_SPI
        assert verify(each.payload, REVOCATION.size, AGENT_KEY)
        found.append(message.home_address)
    return found


def waiting(world: World) -> list[int]:
    told = rows(b"".join(world.cluster.without_member()))
    return [each.home_address - int(HOME) for each in told if isinstance(each, Row)]


def fail(world: World) -> list[Effect]:
    world.cluster.set_available(0, available=False, now=world.now)
    return world.follow(world.cluster.fail_over({0}, {1}, world.now))


def test_who_agreed_on_revocation_is_told_and_registers_with_the_heir() -> None:
    world = World(with_stock_backup())
    register(world, 0)
    register(world, 1, support=False)
    world.at(world.seconds + 10)
    effects = fail(world)
    assert not [each for each in effects if isinstance(each, Transfer)]
    assert waiting(world) == [0, 1]
    effects = world.at(world.seconds + 1)
    assert revoked(effects) == [HOME]
    (message,) = sent(effects)
    assert message == Send(message.payload, Endpoint(AGENT.address, 434), int(VIRTUAL))
    told = parse(message.payload)
    assert isinstance(told, RegistrationRevocation)
    assert told.flags == RevocationFlags.HOME_AGENT | RevocationFlags.INFORM
    assert (told.home_domain, told.foreign_domain) == (VIRTUAL, CARE_OF)
    assert told.identifier > int(world.now.wall) - 2
    register(world, 0, 2)
    assert waiting(world) == [1]
    assert world.cluster.counters.summoned == 1


def test_no_binding_is_forgotten_meanwhile() -> None:
    world = World(with_stock_backup())
    register(world, 0)
    before = world.bindings()
    world.at(world.seconds + 10)
    fail(world)
    world.at(world.seconds + 5)
    assert world.bindings() == before


def test_a_storm_is_spread_over_time() -> None:
    count = 2 * PER_S + 100
    world = World(with_stock_backup(), capacity=1024)
    for number in range(count):
        register(world, number)
    world.at(world.seconds + 10)
    fail(world)
    told: list[IPv4Address] = []
    for seconds in range(1, 4):
        told += revoked(world.at(world.seconds + 1))
        assert len(told) <= min(count, PER_S * (seconds + 1))
    assert sorted(map(int, told)) == [int(HOME) + number for number in range(count)]
    assert world.at(world.seconds + 60) == []


@pytest.mark.parametrize("again", [True, False])
def test_who_registered_meanwhile_or_came_back_to_ours_is_left_alone(again: bool) -> None:
    world = World(with_stock_backup())
    register(world, 0)
    world.at(world.seconds + 10)
    fail(world)
    if again:
        register(world, 0, 2)
    else:
        world.cluster.set_available(0, available=True, now=world.now)
        world.follow(world.cluster.fail_over({1}, {0}, world.now))
    assert revoked(world.at(world.seconds + 5)) == []
    assert waiting(world) == []
