"""What time does to requests and bindings."""

from __future__ import annotations

from ipaddress import IPv4Address

from hacc_agent.engine.effects import Relay
from hacc_agent.engine.record import Kind
from tests.hacc_agent.engine.cluster.world import (
    AGENT,
    HOME,
    OTHER_AGENT,
    World,
    asked,
    logged,
    reply,
    request,
    sent,
)

OTHER_CARE_OF = IPv4Address(OTHER_AGENT.address)


def test_a_request_without_reply_is_sent_again_then_elsewhere_then_given_up() -> None:
    world = World()
    octets = request(1)
    assert asked(world.receive(octets)) == [0]
    start = world.seconds
    assert world.at(start + 1.9) == []
    again = world.at(start + 2)
    assert again[1:] == [Relay(octets, AGENT, 0)]
    elsewhere = world.at(start + 4)
    assert elsewhere[1:] == [Relay(octets, AGENT, 1)]
    end = world.at(start + 6)
    assert logged(end) == [Kind.SETTLED]
    assert asked(end) == []
    assert not world.waiting()
    assert world.at(start + 60) == []


def test_the_member_that_was_asked_last_may_answer() -> None:
    world = World()
    world.receive(request(1))
    world.at(world.seconds + 4)
    assert sent(world.answer(reply(1), 0)) == []
    assert len(sent(world.answer(reply(1), 1))) == 1
    (bound,) = world.bindings()
    assert world.slots.member_of[bound.slot] == 1


def test_a_member_that_is_down_is_not_waited_for() -> None:
    world = World()
    world.receive(request(1))
    world.cluster.set_available(0, False, world.now)
    assert asked(world.at(world.seconds + 0.01)) == [1]


def test_a_binding_ends_with_its_lifetime() -> None:
    world = World()
    world.receive(request(1, lifetime=30))
    world.answer(reply(1, lifetime=30), 0)
    start = world.seconds
    world.at(start + 29)
    assert len(world.bindings()) == 1
    assert logged(world.at(start + 30)) == [Kind.UNBOUND]
    assert not world.bindings()


def test_what_is_older_than_an_accepted_request_goes_to_nobody_else() -> None:
    """A mobile node leaves and is back at once; the network turns the two around.

    Its member drops the older one as a replay, and the answer gets lost. Another member would take
    it for new, and the binding that the mobile node has would be ended.
    """
    world = World()
    world.receive(request(2, care_of=OTHER_CARE_OF))
    world.receive(request(1, lifetime=0, care_of=OTHER_CARE_OF))
    world.answer(reply(2), 0)
    effects = world.at(world.seconds + 10)
    assert asked(effects) == [0]
    assert logged(effects)[-1] == Kind.SETTLED
    assert [row.home_address for row in world.bindings()] == [int(HOME)]


def test_a_member_that_bound_somebody_long_ago_may_be_down_now() -> None:
    world = World()
    world.receive(request(1))
    world.answer(reply(1), 0)
    world.at(world.seconds + 10)
    assert asked(world.receive(request(2))) == [0]
    assert asked(world.at(world.seconds + 5)) == [0, 1]
