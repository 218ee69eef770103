"""Registrations through the controller, one datagram after the other."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv4Network

import pytest

from hacc_agent.config import MemberKind
from hacc_agent.engine.cluster import Cluster, LeastLoaded
from hacc_agent.engine.effects import Endpoint, Log, Relay, Security, Send
from hacc_agent.engine.record import Kind, Row, Trait
from hacc_agent.engine.table import CROWD
from hacc_agent.wire import (
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    MobileNetworkAcknowledgement,
    MobileNetworkSubtype,
    RequestFlags,
    RevocationSupport,
    RevocationSupportFlags,
    TunnelReply,
    UdpTunnelReply,
)
from tests.hacc_agent.engine.cluster.world import (
    AGENT,
    AGENT_KEY,
    CARE_OF,
    HOME,
    NO_FLAGS,
    OTHER_AGENT,
    VIRTUAL,
    World,
    alarms,
    asked,
    configuration,
    logged,
    member,
    reply,
    request,
    sent,
)

NAI = b"mn7@example.net"
S = RequestFlags.SIMULTANEOUS
OTHER_CARE_OF = IPv4Address(OTHER_AGENT.address)


def registered(
    world: World,
    identification: int = 1,
    home: IPv4Address | int = HOME,
    *,
    care_of: IPv4Address = CARE_OF,
    flags: RequestFlags = NO_FLAGS,
) -> Row:
    """One registration, accepted by whom it was sent to; its binding."""
    effects = world.receive(request(identification, home, care_of=care_of, flags=flags))
    (number,) = asked(effects)
    world.answer(reply(identification, home), number)
    return next(row for row in world.bindings() if row.identification == identification)


# ------------------------------------------------------------------ request and reply


def test_a_request_goes_on_unchanged_and_its_reply_comes_back() -> None:
    world = World()
    octets = request(1)
    log, relay = world.receive(octets)
    assert relay == Relay(octets, AGENT, 0)
    assert logged([log]) == [Kind.PENDING]
    answer = reply(1, lifetime=600)
    log, send = world.answer(answer, 0)
    assert send == Send(answer, AGENT, int(VIRTUAL))
    assert logged([log]) == [Kind.BINDING]
    (bound,) = world.bindings()
    assert (bound.home_address, bound.care_of_address) == (int(HOME), int(CARE_OF))
    assert (bound.lifetime, bound.expires) == (600, 1600)
    assert (bound.source_address, bound.source_port) == AGENT[:2]
    assert not world.waiting()


def test_records_come_before_what_depends_on_them() -> None:
    world = World()
    for effects in (world.receive(request(1)), world.answer(reply(1), 0)):
        assert isinstance(effects[0], Log)
        assert not any(isinstance(effect, Log) for effect in effects[1:])


def test_who_is_bound_stays_with_its_member() -> None:
    world = World()
    registered(world, home=1)
    bound = registered(world, 2)
    for n in range(3, 9):
        assert asked(world.receive(request(n))) == [world.slots.member_of[bound.slot]]


def test_pending_comes_before_permanent() -> None:
    world = World()
    registered(world)
    world.cluster.set_available(0, False, world.now)
    assert asked(world.receive(request(2))) == [1]
    world.cluster.set_available(0, True, world.now)
    assert asked(world.receive(request(3, care_of=OTHER_CARE_OF))) == [1]


def test_new_mobile_nodes_are_spread_by_load_and_weight() -> None:
    world = World(configuration(members=(member(0), member(1, weight=3), member(2))))
    chosen = [number for n in range(1, 41) for number in asked(world.receive(request(n, n)))]
    assert [chosen.count(number) for number in range(3)] == [10, 30, 0]


def test_a_backup_serves_when_nobody_else_can() -> None:
    world = World()
    world.cluster.set_available(0, False, world.now)
    world.cluster.set_available(1, False, world.now)
    assert asked(world.receive(request(1))) == [2]


def test_a_granted_lifetime_is_never_longer_than_the_requested_one() -> None:
    world = World()
    world.receive(request(1, lifetime=300))
    world.answer(reply(1, lifetime=1800), 0)
    assert [row.lifetime for row in world.bindings()] == [300]


def test_an_endless_lifetime_never_expires() -> None:
    world = World()
    world.receive(request(1, lifetime=0xFFFF))
    world.answer(reply(1, lifetime=0xFFFF), 0)
    assert [row.expires for row in world.bindings()] == [0xFFFFFFFF]


def test_a_nonce_for_the_next_request_is_kept() -> None:
    world = World()
    world.receive(request(5 << 32 | 7))
    world.answer(reply(9 << 32 | 7), 0)
    (bound,) = world.bindings()
    assert (bound.identification, bound.nonce) == (5 << 32 | 7, 9)
    assert bound.traits & Trait.NONCE


def test_what_was_negotiated_is_kept() -> None:
    world = World()
    inform = RevocationSupportFlags.INFORM
    support = RevocationSupport(77, inform)
    nat = Endpoint(0x0A000001, 40_000)
    world.receive(request(1, flags=RequestFlags.GRE, extensions=(support,)), nat)
    tunnel = UdpTunnelReply(TunnelReply.ACCEPTED, 110)
    world.answer(reply(1, extensions=(tunnel, RevocationSupport(5, inform))), 0)
    (bound,) = world.bindings()
    assert bound.traits == Trait.NAT | Trait.UDP_TUNNEL | Trait.REVOCABLE | Trait.INFORM
    assert (bound.revocation, bound.keepalive, bound.tunnel, bound.spi) == (77, 110, 47, 256)


# ------------------------------------------------------------------ mobile networks

BEHIND, BESIDE = IPv4Network("203.0.113.0/25"), IPv4Network("203.0.113.128/25")


def granted(*networks: IPv4Network, code: int = 0) -> tuple[MobileNetworkAcknowledgement, ...]:
    kind = MobileNetworkSubtype.EXPLICIT_ACKNOWLEDGEMENT
    return tuple(
        MobileNetworkAcknowledgement(kind, code, each.network_address, each.prefixlen)
        for each in networks
    )


def networks(cluster: Cluster) -> dict[IPv4Network, int]:
    return dict(cluster.networks.items())


def test_what_a_member_routes_to_a_mobile_router_is_known() -> None:
    world = World()
    world.receive(request(1))
    answer = reply(1, extensions=(*granted(BEHIND), *granted(BESIDE, code=2)))
    assert logged(world.answer(answer, 0)) == [Kind.BINDING, Kind.NETWORK]
    assert networks(world.cluster) == {BEHIND: int(HOME)}
    world.receive(request(2))
    assert logged(world.answer(reply(2, extensions=granted(BEHIND)), 0)) == [Kind.BINDING]
    world.receive(request(3))
    answer = reply(3, extensions=granted(BESIDE))
    assert logged(world.answer(answer, 0)) == [Kind.BINDING, Kind.NETWORK, Kind.NETWORK]
    assert networks(world.cluster) == {BESIDE: int(HOME)}


def test_a_network_that_another_member_grants_is_no_more_the_first_router_s() -> None:
    world = World()
    for number, home in enumerate((HOME, HOME + 1), 1):
        (asked_of,) = asked(world.receive(request(number, home)))
        world.answer(reply(number, home, extensions=granted(BEHIND)), asked_of)
    assert networks(world.cluster) == {BEHIND: int(HOME) + 1}


def test_networks_go_where_their_bindings_go() -> None:
    """To a standby, into a journal, to an heir: while there is a binding."""
    world = World()
    world.receive(request(1))
    world.answer(reply(1, extensions=granted(BEHIND)), 0)
    (bound,) = world.bindings()
    for blocks in (world.cluster.snapshot(), world.cluster.bindings_of([bound.slot])):
        *_, other = world.controller()
        for block in blocks:
            other.apply(block, world.now)
        assert networks(other) == {BEHIND: int(HOME)}
    world.receive(request(2, lifetime=0))
    world.answer(reply(2, lifetime=0), 0)
    *_, other = world.controller()
    for block in world.cluster.snapshot():
        other.apply(block, world.now)
    assert networks(other) == {}


# ------------------------------------------------------------------ NAI


def test_an_assigned_address_is_found_from_then_on_by_either_name() -> None:
    world = World()
    assert logged(world.receive(request(1, 0, nai=NAI))) == [Kind.NAME, Kind.PENDING]
    assert logged(world.answer(reply(1, HOME, nai=NAI), 0)) == [Kind.BINDING]
    (bound,) = world.bindings()
    assert (bound.home_address, bound.traits) == (int(HOME), Trait.DYNAMIC)
    registered(world, 2, home=99)
    assert asked(world.receive(request(3, 0, nai=NAI))) == [0]
    assert asked(world.receive(request(4, HOME))) == [0]


def test_a_reply_without_the_nai_answers_nobody_who_is_known_by_it_alone() -> None:
    world = World()
    world.receive(request(1, 0, nai=NAI))
    (alarm,) = world.answer(reply(1, HOME), 0)
    assert alarms([alarm])[0].reason is Security.UNEXPECTED_REPLY
    assert not world.bindings()


def test_a_reply_with_another_nai_answers_nobody() -> None:
    world = World()
    world.receive(request(1, HOME, nai=NAI))
    assert alarms(world.answer(reply(1, HOME, nai=b"other@example.net"), 0))
    assert world.waiting()


def test_one_address_may_be_asked_for_under_several_names() -> None:
    """Whose it is the member decides; until then every request waits for its own reply."""
    world = World()
    world.receive(request(1))
    world.receive(request(2, nai=b"other@example.net", care_of=OTHER_CARE_OF))
    world.receive(request(3, nai=NAI, care_of=HOME))
    assert world.cluster.waiting == 3
    for number, nai in ((3, NAI), (1, None), (2, b"other@example.net")):
        assert sent(world.answer(reply(number, nai=nai, code=129), 0))
    assert world.cluster.waiting == 0


def test_a_name_alone_may_mean_either_of_two_addresses() -> None:
    """Until the replies come they are three requests: a standby's sync keeps them apart too."""
    world = World()
    world.receive(request(1, HOME, nai=NAI))
    world.receive(request(2, HOME + 1, nai=NAI))
    world.receive(request(3, 0, nai=NAI))
    assert len(world.waiting()) == 3
    assert sent(world.answer(reply(3, HOME + 2, nai=NAI), 0))
    assert world.cluster.waiting == 2


def test_of_a_crowd_of_requests_the_oldest_goes() -> None:
    """Who floods under somebody's name must not keep that one out until all time out."""
    world = World()
    for n in range(CROWD + 3):
        assert asked(world.receive(request(n, 0, nai=NAI, care_of=CARE_OF + n)))
    assert world.cluster.waiting == CROWD
    assert min(row.identification for row in world.waiting()) == 3
    assert world.cluster.counters.given_up == 3
    assert sent(world.answer(reply(CROWD + 2, nai=NAI), 0))


def test_an_address_that_is_bound_under_a_name_is_not_anothers() -> None:
    """Its member may be another one than that the request would go to: only we can know."""
    world = World()
    world.receive(request(1, nai=NAI))
    world.answer(reply(1, nai=NAI), 0)
    refused = world.receive(request(2, nai=b"other@example.net", foreign=AGENT_KEY))
    assert [effect.payload[1] for effect in sent(refused)] == [129]
    assert asked(refused) == []
    assert asked(world.receive(request(3, nai=NAI))) == [0]
    assert asked(world.receive(request(4))) == [0]  # without a name nobody else is named


def test_what_waits_survives_another_configuration() -> None:
    """A reload loses neither what is to be sent again nor who is known to be down."""
    world = World()
    world.cluster.set_available(1, False, world.now)
    assert asked(world.receive(request(1))) == [0]
    table, pending, slots = world.table, world.pending, world.slots
    changed = dataclasses.replace(world.config, lifetime_s=600)
    world.cluster = Cluster(changed, table, pending, slots, LeastLoaded(), world.cluster)
    assert asked(world.receive(request(2, HOME + 1))) == [0]
    assert [row.nonce for row in world.waiting()] == [1, 2]
    world.cluster.apply(b"", world.now)
    again = [effect.payload for effect in world.at(1003) if isinstance(effect, Relay)]
    assert again[0] == request(1)
    assert world.cluster.counters.relayed == 2


def test_an_empty_nai_is_none() -> None:
    world = World()
    assert logged(world.receive(request(1, nai=b""))) == [Kind.PENDING]
    assert sent(world.answer(reply(1), 0))
    assert world.receive(request(2, 0, nai=b"")) == []
    assert world.cluster.counters.unidentified == 1


# ------------------------------------------------------------------ replies that are not


@pytest.mark.parametrize(
    ("octets", "source", "reason"),
    [
        pytest.param(reply(2), 0, Security.UNEXPECTED_REPLY, id="identification"),
        pytest.param(reply(1, 5), 0, Security.UNEXPECTED_REPLY, id="home-address"),
        pytest.param(reply(1), 1, Security.WRONG_MEMBER, id="member"),
    ],
)
def test_a_reply_that_answers_nothing_is_dropped(
    octets: bytes, source: int, reason: Security
) -> None:
    world = World()
    world.receive(request(1))
    (alarm,) = alarms(world.answer(octets, source))
    assert alarm.reason is reason
    assert world.waiting()
    assert not world.bindings()


def test_a_reply_from_a_stranger_is_dropped() -> None:
    world = World()
    world.receive(request(1))
    (effect,) = world.receive(reply(1), OTHER_AGENT)
    assert alarms([effect])[0].reason is Security.NOT_A_PEER
    assert world.waiting()


def test_a_stock_member_answers_from_the_virtual_address() -> None:
    world = World(configuration(members=(member(0, kind=MemberKind.IOS), member(1))))
    world.receive(request(1))
    assert alarms(world.answer(reply(1), 0))[0].reason is Security.NOT_A_PEER
    assert sent(world.receive(reply(1), Endpoint(int(VIRTUAL), 434)))


def test_a_reply_twice_counts_once() -> None:
    world = World()
    world.receive(request(1))
    world.answer(reply(1), 0)
    assert alarms(world.answer(reply(1), 0))[0].reason is Security.UNEXPECTED_REPLY


# ------------------------------------------------------------------ denial and deregistration


@pytest.mark.parametrize("code", [64, 128, 133, 199])
def test_a_denial_keeps_what_was_there(code: int) -> None:
    world = World()
    before = registered(world)
    world.receive(request(2, care_of=OTHER_CARE_OF))
    log, send = world.answer(reply(2, code=code), 0)
    assert logged([log]) == [Kind.SETTLED]
    assert sent([send])
    assert world.bindings() == [before]
    assert not world.waiting()


def test_deregistering_one_care_of_address_leaves_the_others() -> None:
    world = World()
    registered(world)
    registered(world, 2, care_of=OTHER_CARE_OF, flags=S)
    world.receive(request(3, lifetime=0))
    assert logged(world.answer(reply(3, lifetime=0), 0)) == [Kind.UNBOUND]
    assert [row.care_of_address for row in world.bindings()] == [int(OTHER_CARE_OF)]


def test_deregistering_at_home_ends_all() -> None:
    world = World()
    registered(world)
    registered(world, 2, care_of=OTHER_CARE_OF, flags=S)
    at_home = Endpoint(int(HOME), 434)
    world.receive(request(3, lifetime=0, care_of=HOME), at_home)
    assert logged(world.answer(reply(3, lifetime=0), 0)) == [Kind.UNBOUND]
    assert not world.bindings()
    assert not world.waiting()


def test_a_denied_deregistration_ends_nothing() -> None:
    world = World()
    registered(world)
    world.receive(request(2, lifetime=0))
    world.answer(reply(2, code=131), 0)
    assert world.bindings()


# ------------------------------------------------------------------ moving


def test_without_s_the_new_care_of_address_replaces_all_others() -> None:
    world = World()
    registered(world)
    world.receive(request(2, care_of=OTHER_CARE_OF))
    assert logged(world.answer(reply(2), 0)) == [Kind.UNBOUND, Kind.BINDING]
    assert [row.care_of_address for row in world.bindings()] == [int(OTHER_CARE_OF)]


def test_with_s_it_is_added() -> None:
    world = World()
    registered(world)
    registered(world, 2, care_of=OTHER_CARE_OF, flags=S)
    assert len(world.bindings()) == 2


def test_code_1_means_that_s_was_not_granted() -> None:
    world = World()
    registered(world)
    world.receive(request(2, care_of=OTHER_CARE_OF, flags=S))
    world.answer(reply(2, code=1), 0)
    (bound,) = world.bindings()
    assert not bound.flags & S


def test_one_member_serves_all_care_of_addresses_of_a_mobile_node() -> None:
    world = World()
    registered(world)
    world.cluster.set_available(0, False, world.now)
    registered(world, 2, care_of=OTHER_CARE_OF, flags=S)
    assert {int(world.slots.member_of[row.slot]) for row in world.bindings()} == {1}


# ------------------------------------------------------------------ several at once


def test_a_duplicate_goes_to_the_same_member_and_says_nothing_new() -> None:
    world = World()
    first = world.receive(request(1))
    assert world.receive(request(1)) == [first[1]]
    assert world.cluster.counters.duplicates == 1


def test_the_reply_goes_where_the_duplicate_came_from() -> None:
    world = World()
    world.receive(request(1))
    world.receive(request(1), OTHER_AGENT)
    assert sent(world.answer(reply(1), 0))[0].destination == OTHER_AGENT


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_every_request_of_a_mobile_node_may_be_denied(order: tuple[int, ...]) -> None:
    world = World()
    for n in (1, 2, 3):
        assert asked(world.receive(request(n))) == [0]
    for left, n in zip((2, 1, 0), order, strict=True):
        assert sent(world.answer(reply(n, code=133), 0))
        assert world.cluster.waiting == left
    assert not world.bindings()


@pytest.mark.parametrize("second", [CARE_OF, OTHER_CARE_OF])
def test_what_was_asked_before_the_accepted_request_counts_no_more(second: IPv4Address) -> None:
    world = World()
    world.receive(request(1, lifetime=0))
    world.receive(request(2, care_of=second))
    world.receive(request(3, care_of=second))
    assert logged(world.answer(reply(2), 0)) == [Kind.SETTLED, Kind.BINDING]
    assert world.cluster.counters.superseded == 1
    assert alarms(world.answer(reply(1, lifetime=0), 0))  # late, and nobody waits for it
    assert [row.identification for row in world.bindings()] == [2]
    assert asked(world.at(1010)) == [0, 1]  # the third is sent again, the first is not
    assert sent(world.answer(reply(3), 1)) == []  # given up by then


@pytest.mark.parametrize(
    ("flags", "care_of", "lifetime", "left"),
    [
        (NO_FLAGS, CARE_OF, 1800, {2}),
        (NO_FLAGS, CARE_OF, 0, {2}),
        (NO_FLAGS, OTHER_CARE_OF, 1800, {2}),
        (S, CARE_OF, 1800, {2}),
        (S, HOME, 0, {2}),
        (S, OTHER_CARE_OF, 1800, {1, 2}),
    ],
    ids=["renewal", "departure", "move", "renewal-s", "departure-s", "another-s"],
)
def test_what_is_repeated_from_before_the_accepted_request_undoes_nothing(
    flags: RequestFlags, care_of: IPv4Address, lifetime: int, left: set[int]
) -> None:
    """Its member answers it as it did before, since it does not know yet of the accepted one."""
    world = World()
    world.receive(request(2, flags=flags))
    assert logged(world.answer(reply(2), 0)) == [Kind.BINDING]
    world.receive(request(1, care_of=care_of, lifetime=lifetime, flags=flags))
    effects = world.answer(reply(1, lifetime=lifetime), 0)
    assert len(sent(effects)) == 1
    assert {row.identification for row in world.bindings()} == left


def test_a_request_for_another_care_of_address_is_left_by_one_with_s() -> None:
    world = World()
    world.receive(request(1, flags=S))
    world.receive(request(2, care_of=OTHER_CARE_OF, flags=S), OTHER_AGENT)
    assert logged(world.answer(reply(2), 0)) == [Kind.BINDING]
    assert sent(world.answer(reply(1), 0))
    assert len(world.bindings()) == 2


def test_leaving_for_home_ends_what_was_asked_before() -> None:
    world = World()
    world.receive(request(1, flags=S))
    world.receive(request(2, care_of=OTHER_CARE_OF, flags=S), OTHER_AGENT)
    world.receive(request(3, lifetime=0, care_of=HOME), Endpoint(int(HOME), 434))
    kinds = logged(world.answer(reply(3, lifetime=0), 0))
    assert kinds == [Kind.SETTLED, Kind.SETTLED, Kind.UNBOUND]
    assert not world.waiting()


def test_a_flood_of_requests_of_one_mobile_node_is_bounded() -> None:
    world = World()
    for n in range(1, 100):
        world.receive(request(n))
    assert len(world.waiting()) == 1
    assert alarms(world.answer(reply(1), 0))
    assert sent(world.answer(reply(99), 0))


def test_requests_for_two_care_of_addresses_wait_side_by_side() -> None:
    world = World()
    world.receive(request(1, flags=S))
    world.receive(request(2, care_of=OTHER_CARE_OF, flags=S), OTHER_AGENT)
    assert sent(world.answer(reply(1), 0))[0].destination == AGENT
    assert sent(world.answer(reply(2), 0))[0].destination == OTHER_AGENT
    assert len(world.bindings()) == 2


# ------------------------------------------------------------------ not for us


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x01", id="one-octet"),
        pytest.param(request(1)[:23], id="cut-in-the-header"),
        pytest.param(request(1)[:-1], id="cut-in-an-extension"),
        pytest.param(reply(1)[:19], id="reply-cut"),
        pytest.param(b"\x02" + request(1)[1:], id="unknown-type"),
        pytest.param(request(1, key=None) + b"\x7f\x00", id="not-skippable"),
        pytest.param(bytes([7]) + bytes(10), id="revocation-cut"),
        pytest.param(bytes([15]) + bytes(5), id="acknowledgement-cut"),
    ],
)
def test_what_nobody_understands_is_dropped_silently(octets: bytes) -> None:
    world = World()
    assert world.receive(octets) == []
    assert world.cluster.counters.malformed == 1


def test_a_request_of_nobody_is_dropped() -> None:
    world = World()
    assert world.receive(request(1, 0)) == []
    assert world.cluster.counters.unidentified == 1


def test_skippable_extensions_go_on_with_the_request() -> None:
    world = World()
    asked_for = DynamicHomeAgent(DynamicHomeAgentSubtype.REQUESTED, VIRTUAL)
    octets = request(1, extensions=(asked_for,)) + b"\xf0\x02ab"
    assert world.receive(octets)[-1] == Relay(octets, AGENT, 0)


def test_a_member_at_its_capacity_gets_no_more() -> None:
    config = configuration(members=tuple(member(n, capacity=2) for n in range(3)))
    world = World(config)
    chosen = [number for n in range(1, 7) for number in asked(world.receive(request(n, n)))]
    assert chosen == [0, 1, 0, 1, 2, 2]
    assert not asked(world.receive(request(7, 7)))


def test_the_answer_once_more_takes_no_lifetime_away() -> None:
    """It says what is left of it in whole seconds, a second less each time."""
    world = World()
    bound = registered(world)
    for seconds in (100.3, 100.6, 100.9):
        world.at(1000 + seconds)
        (number,) = asked(world.receive(request(1)))
        world.answer(reply(1, lifetime=int(bound.expires - world.seconds)), number)
        assert world.bindings()[0].expires == bound.expires


def test_a_request_that_was_accepted_goes_to_no_other_member() -> None:
    """It comes once more, and its member is silent: who knows nothing of it would accept it."""
    world = World()
    registered(world)
    assert asked(world.receive(request(1))) == [0]
    effects = world.at(world.seconds + 30)
    assert set(asked(effects)) <= {0}
    assert world.waiting() == []
    assert len(world.bindings()) == 1


@pytest.mark.parametrize("order", [(1 << 32 | 7, 2 << 32 | 7), (2 << 32 | 7, 1 << 32 | 7)])
def test_of_two_requests_with_the_same_half_the_one_that_the_reply_repeats_is_meant(
    order: tuple[int, int],
) -> None:
    """A mobile node's timestamps of two seconds may end alike; somebody repeats the older one."""
    world = World()
    for identification in order:
        world.receive(request(identification))
    world.answer(reply(2 << 32 | 7), 0)
    (bound,) = world.bindings()
    assert bound.identification == 2 << 32 | 7
