"""What comes of a mobile node that left goes to the member that knows its last Identification."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hacc_agent.engine.cluster.departures import PLACES
from hacc_agent.engine.effects import Effect, Endpoint, Relay
from hacc_agent.wire import (
    ExtensionType,
    RegistrationRevocation,
    RevocationFlags,
    RevocationSupport,
    authenticate,
)
from tests.hacc_agent.engine.cluster.test_quick import batch, effects_of, quick
from tests.hacc_agent.engine.cluster.world import (
    AGENT,
    AGENT_KEY,
    AGENT_SPI,
    CARE_OF,
    HOME,
    MEMBERS,
    VIRTUAL,
    World,
    asked,
    reply,
    request,
)

NAI = b"mn7@example.net"
KEPT = 15  # s: twice 7 of tolerance, and what rounding takes

Make = Callable[[], World]
Receive = Callable[[World, bytes, Endpoint], list[Effect]]


def singly(made: World, payload: bytes, source: Endpoint) -> list[Effect]:
    return made.receive(payload, source)


def in_a_batch(made: World, payload: bytes, source: Endpoint) -> list[Effect]:
    """In compiled code, from beginning to end."""
    mail = [(payload, source)]
    outcome = made.cluster.receive_batch(batch(mail), made.now)
    assert outcome.effects == ()
    return made.follow(effects_of(outcome, mail))


def by_either(made: World, payload: bytes, source: Endpoint) -> list[Effect]:
    """In compiled code, which leaves to the reference what is not plain."""
    mail = [(payload, source)]
    return made.follow(effects_of(made.cluster.receive_batch(batch(mail), made.now), mail))


PATHS = pytest.mark.parametrize(
    ("made", "receive"),
    [(World, singly), (quick, in_a_batch)],
    ids=["reference", "compiled"],
)

MIXED = pytest.mark.parametrize(
    ("made", "receive"),
    [(World, singly), (quick, by_either)],
    ids=["reference", "compiled"],
)


def left(made: World, receive: Receive, nai: bytes | None = None, home: int = int(HOME)) -> None:
    """It was served by the first member, which has more to do than the second one by now."""
    own = Endpoint(int(MEMBERS[0]), 434)
    assert asked(receive(made, request(1, home, nai=nai), AGENT)) == [0]
    receive(made, reply(1, int(HOME), nai=nai), own)
    assert asked(receive(made, request(2, home, nai=nai, lifetime=0), AGENT)) == [0]
    receive(made, reply(2, int(HOME), nai=nai, lifetime=0), own)
    assert not made.bindings()
    assert asked(receive(made, request(50, home=77), AGENT)) == [0]


@PATHS
@pytest.mark.parametrize(
    ("home", "nai"),
    [(int(HOME), None), (0, NAI), (int(HOME), NAI)],
    ids=["by-address", "by-nai", "by-both"],
)
def test_it_goes_where_it_left(made: Make, receive: Receive, home: int, nai: bytes | None) -> None:
    world = made()
    left(world, receive, nai, home)
    assert asked(receive(world, request(1, home, nai=nai), AGENT)) == [0]


@PATHS
def test_so_it_does_as_long_as_it_might_be_repeated(made: Make, receive: Receive) -> None:
    world = made()
    left(world, receive)
    world.seconds += KEPT - 1
    assert asked(receive(world, request(1), AGENT)) == [0]
    world = made()
    left(world, receive)
    world.seconds += KEPT
    assert asked(receive(world, request(1), AGENT)) == [1]


@PATHS
def test_a_member_that_is_down_is_not_asked(made: Make, receive: Receive) -> None:
    world = made()
    left(world, receive)
    world.cluster.set_available(0, False, world.now)
    assert asked(receive(world, request(1), AGENT)) == [1]


@MIXED
def test_an_heir_is_asked_in_its_place(made: Make, receive: Receive) -> None:
    world = made()
    left(world, receive)
    world.follow(world.cluster.fail_over({0}, {2}, world.now))
    assert asked(receive(world, request(3), AGENT)) == [2]


@PATHS
def test_of_two_in_one_place_the_later_one_is_remembered(made: Make, receive: Receive) -> None:
    world = made()
    left(world, receive)
    world.receive(request(1, int(HOME) + PLACES))
    (number,) = {row.slot // 64 for row in world.waiting() if row.home_address != 77}
    world.answer(reply(1, int(HOME) + PLACES), number)
    world.receive(request(2, int(HOME) + PLACES, lifetime=0))
    world.answer(reply(2, int(HOME) + PLACES, lifetime=0), number)
    assert asked(receive(world, request(1), AGENT)) == [1]


@PATHS
def test_a_standby_knows_it_too(made: Make, receive: Receive) -> None:
    world = made()
    left(world, receive, NAI)
    _, _, _, standby = world.replica
    assert asked(standby.receive(request(1, 0, nai=NAI), AGENT, world.now)) == [0]


def test_what_was_revoked_is_remembered_like_what_was_left() -> None:
    world = World()
    support = (RevocationSupport(7),)
    world.receive(request(1, extensions=support))
    world.answer(reply(1, extensions=support), 0)
    assert len(world.bindings()) == 1
    revocation = RegistrationRevocation(
        RevocationFlags.HOME_AGENT, HOME, VIRTUAL, CARE_OF, 9
    ).to_bytes()
    kind = ExtensionType.FOREIGN_HOME_AUTHENTICATION
    world.answer(authenticate(revocation, kind, AGENT_SPI, AGENT_KEY), 0)
    assert not world.bindings()
    world.receive(request(50, home=77))
    assert asked(world.receive(request(1))) == [0]


def test_nobody_else_gets_it_while_its_member_may_still_answer() -> None:
    """Nor when time is up, unless that member is down."""
    world = World()
    left(world, singly)
    world.at(world.seconds)
    octets = request(1)
    assert asked(world.receive(octets)) == [0]
    later = world.at(world.seconds + 6)
    assert [e.member for e in later if isinstance(e, Relay) and e.payload == octets] == [0]
    assert asked(world.receive(octets)) == [0]
    world.cluster.set_available(0, False, world.now)
    assert [
        e.member
        for e in world.at(world.seconds + 0.01)
        if isinstance(e, Relay) and e.payload == octets
    ] == [1]


@PATHS
def test_what_was_accepted_goes_where_it_was_accepted(made: Make, receive: Receive) -> None:
    """Though a newer request waits for another member, which would accept the older one again."""
    world = made()
    receive(world, request(5), AGENT)
    receive(world, reply(5), Endpoint(int(MEMBERS[0]), 434))
    receive(world, request(6), AGENT)
    assert asked(world.at(world.seconds + 4))[-1] == 1  # since its own one is silent
    assert asked(world.receive(request(5))) == [0]
    assert asked(world.receive(request(4))) == [0]


@MIXED
@pytest.mark.parametrize("nai", [None, NAI], ids=["by-address", "by-nai"])
def test_an_heir_is_not_asked_what_was_said_before(
    made: Make, receive: Receive, nai: bytes | None
) -> None:
    """By a clock that was ahead it might believe it; what was said since is welcome."""
    world = made()
    home = 0 if nai else int(HOME)
    left(world, receive, nai, home)
    _, _, _, standby = world.replica
    world.follow(world.cluster.fail_over({0}, {2}, world.now))
    for cluster in (world.cluster, standby):
        effects = cluster.receive(request(2, home, nai=nai), AGENT, world.now)
        if cluster is world.cluster:
            assert asked(effects) == []
    assert asked(receive(world, request(1, home, nai=nai), AGENT)) == []
    assert asked(receive(world, request(3, home, nai=nai), AGENT)) == [2]
    world.seconds += KEPT
    world.cluster.handle_timer(world.now)


@MIXED
def test_what_waits_when_the_heir_comes_is_not_passed_on(made: Make, receive: Receive) -> None:
    world = made()
    left(world, receive)
    repeated = request(1)
    assert asked(receive(world, repeated, AGENT)) == [0]
    effects = world.follow(world.cluster.fail_over({0}, {2}, world.now))
    assert asked(receive(world, repeated, AGENT)) == []  # once more, while it waits
    effects += world.at(world.seconds + 3)
    assert repeated not in [each.payload for each in effects if isinstance(each, Relay)]


def test_nonces_are_in_no_order() -> None:
    """So an heir is asked: it knows no nonce of that mobile node, and accepts none."""
    world = World()
    world.receive(request(1))
    world.answer(reply(1 | 7 << 32), 0)
    world.receive(request(2 | 7 << 32, lifetime=0))
    world.answer(reply(2 | 9 << 32, lifetime=0), 0)
    world.follow(world.cluster.fail_over({0}, {2}, world.now))
    assert asked(world.receive(request(1))) == [2]
