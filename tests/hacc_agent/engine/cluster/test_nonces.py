"""A mobile node comes back with a nonce to the member that told it."""

from __future__ import annotations

import dataclasses

import pytest

from hacc_agent.config import Replay
from hacc_agent.engine.cluster.nonces import KEPT
from hacc_agent.engine.record import Trait
from tests.hacc_agent.engine.cluster.world import (
    HOME,
    NODE_KEY,
    NODE_SPI,
    World,
    asked,
    configuration,
    reply,
    request,
    security,
)

NAI = b"mn7@example.net"
TOLD = 9 << 32  # the nonce of a denial


def world(replay: Replay = Replay.NONCE) -> World:
    config = configuration()
    nodes = (
        dataclasses.replace(
            config.nodes[0],
            security=dataclasses.replace(security(NODE_SPI, NODE_KEY), replay=replay),
        ),
    )
    return World(configuration(nodes=nodes))


def denied(made: World, *, nai: bytes | None = None, home: int = int(HOME)) -> None:
    """A first request, to the first member, which tells a nonce."""
    assert asked(made.receive(request(1, home, nai=nai))) == [0]
    made.answer(reply(TOLD | 1, home, code=133, nai=nai, lifetime=0), 0)


def load(made: World) -> None:
    """The first member has more to do than the second one."""
    made.receive(request(50, home=77))


@pytest.mark.parametrize(("home", "nai"), [(int(HOME), None), (0, NAI), (int(HOME), NAI)])
def test_it_goes_where_it_was_told_the_nonce(home: int, nai: bytes | None) -> None:
    made = world()
    denied(made, home=home, nai=nai)
    load(made)
    assert asked(made.receive(request(TOLD | 2, home, nai=nai))) == [0]


def test_under_timestamps_load_decides() -> None:
    made = world(Replay.TIMESTAMP)
    denied(made)
    load(made)
    assert asked(made.receive(request(2))) == [1]


def test_another_denial_tells_nothing() -> None:
    made = world()
    made.receive(request(1))
    made.answer(reply(1, code=130, lifetime=0), 0)
    load(made)
    assert asked(made.receive(request(2))) == [1]


def test_a_member_that_is_down_is_not_waited_for() -> None:
    made = world()
    denied(made)
    made.cluster.set_available(0, False, made.now)
    assert asked(made.receive(request(TOLD | 2))) == [1]


def test_a_nonce_is_forgotten_when_its_member_forgets_it() -> None:
    made = world()
    denied(made)
    made.at(made.seconds + KEPT + 1)
    load(made)
    assert asked(made.receive(request(TOLD | 2))) == [1]


def test_who_is_bound_is_where_his_binding_is() -> None:
    """Bound by another member since, and gone from there: in the end load decides again."""
    made = world()
    denied(made)
    (number,) = asked(made.receive(request(TOLD | 2)))
    made.answer(reply(TOLD | 2), number)
    (number,) = asked(made.receive(request(TOLD | 3, lifetime=0)))
    made.answer(reply(TOLD | 3, lifetime=0), number)
    assert not made.bindings()
    made.at(made.seconds + 30)  # nobody could repeat its last request any more
    load(made)
    assert asked(made.receive(request(TOLD | 4))) == [1]


@pytest.mark.parametrize("available", [True, False])
def test_who_is_bound_is_waited_for_there_until_its_member_is_down(available: bool) -> None:
    """Another one may have accepted this very request before, and its answer was lost.

    Its word would end the binding of today, since no nonce is newer than another.
    """
    made = world()
    denied(made)
    assert asked(made.receive(request(TOLD | 2))) == [0]
    made.answer(reply(10 << 32 | 2), 0)
    (bound,) = made.bindings()
    assert bound.traits & Trait.NONCE
    made.receive(request(8 << 32 | 5))
    made.cluster.set_available(0, available, made.now)
    others = set(asked(made.at(made.seconds + 10))) - {0}
    assert bool(others) is not available
