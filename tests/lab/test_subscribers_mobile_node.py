"""The mobile node against RFC 5944, 3.6: what it sends, believes, repairs, and when it asks."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import Algorithm, Replay
from hacc_agent.wire import (
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    Key,
    NetworkAccessIdentifier,
    ReplyCode,
    verify,
)
from hacc_agent.wire.registry import denied_by_foreign_agent
from lab.subscribers.association import NTP_EPOCH, Association
from lab.subscribers.mobile_node import LONGEST_WAIT, REPAIRS, Ending, MobileNode, Repair, Visited
from tests.lab.registration import (
    BEGIN,
    CARE_OF,
    HOME_ADDRESS,
    HOME_AGENT,
    LINK,
    MOBILE,
    at,
    kinds,
    node,
    reply,
    request,
)

OTHER_LINK = Visited(IPv4Address("198.18.9.2"), 1800, 0)


def deadline(mobile: MobileNode) -> float:
    """Seconds after the beginning."""
    assert mobile.deadline is not None
    return mobile.deadline - BEGIN


def registered(mobile: MobileNode, *, lifetime: int = 600) -> MobileNode:
    """Asked at 0 s, answered at 10 ms."""
    sent = mobile.hear(LINK, at(0))
    assert mobile.receive(reply(sent, lifetime=lifetime), at(0.01)).ending is Ending.ACCEPTED
    return mobile


# What it sends ---------------------------------------------------------------------------------


def test_3_6_1_2_a_request_says_who_where_and_for_how_long() -> None:
    sent = request(node().hear(LINK, at(0)))
    assert (sent.home_address, sent.home_agent) == (HOME_ADDRESS, HOME_AGENT)
    assert (sent.care_of_address, sent.lifetime, int(sent.flags)) == (CARE_OF, 600, 0)


def test_3_6_1_2_the_lifetime_does_not_exceed_what_the_agent_advertised() -> None:
    assert request(node().hear(replace(LINK, lifetime=300), at(0))).lifetime == 300


def test_3_6_1_3_the_nai_stands_before_the_authenticator_that_covers_it() -> None:
    octets = node(nai=b"mn1@example.net").hear(LINK, at(0))
    assert kinds(octets) == [131, 32]
    assert request(octets).home_address == IPv4Address(0)
    assert verify(octets, len(octets) - 22, MOBILE.key)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_3_5_1_the_authenticator_is_of_the_algorithm_agreed(algorithm: Algorithm) -> None:
    mobile = node()
    key = Key(algorithm, b"k" * 16)
    mobile.subscription = replace(mobile.subscription, association=Association(0x101, key))
    octets = mobile.hear(LINK, at(0))
    assert verify(octets, len(octets) - 22, key)


def test_5_7_1_an_identification_is_the_time_of_day() -> None:
    sent = request(node().hear(LINK, at(0.5)))
    assert sent.identification >> 32 == int(BEGIN + 0.5) + NTP_EPOCH
    assert sent.identification >> 30 & 3 == 3  # BEGIN has a quarter of a second: 0.75 s


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20))
def test_5_7_1_identifications_grow_whatever_the_clock_does(steps: list[float]) -> None:
    mobile, seen, wall = node(), [], 0.0
    for number, step in enumerate(steps):
        wall += step
        now = at(number)._replace(wall=at(wall).wall)
        link = LINK if number % 2 else OTHER_LINK
        seen.append(request(mobile.hear(link, now)).identification)
    assert seen == sorted(set(seen))


# What it believes ------------------------------------------------------------------------------


def test_3_6_2_2_an_accepted_registration_holds_for_what_was_granted() -> None:
    mobile = registered(node(), lifetime=100)
    assert mobile.registered(at(99.9).steady)
    assert not mobile.registered(at(100).steady)  # from when it was sent, not answered


def test_rfc2794_an_assigned_home_address_is_the_nodes_from_then_on() -> None:
    mobile = node(nai=b"mn1@example.net")
    assigned = IPv4Address("198.19.64.9")
    sent = mobile.hear(LINK, at(0))
    mobile.receive(reply(sent, home_address=assigned), at(0.01))
    assert request(mobile.hear(OTHER_LINK, at(5))).home_address == assigned


def test_rfc4433_an_assigned_home_agent_is_asked_from_then_on() -> None:
    mobile = node()
    other = IPv4Address("198.18.1.21")
    mobile.receive(reply(mobile.hear(LINK, at(0)), home_agent=other), at(0.01))
    assert request(mobile.hear(OTHER_LINK, at(5))).home_agent == other


STRANGER = Association(0x100, Key(Algorithm.HMAC_MD5, b"x" * 16))


@pytest.mark.parametrize(
    ("change", "ending"),
    [
        pytest.param({"identification": 5}, Ending.UNEXPECTED, id="3.6.2.1 another request's"),
        pytest.param({"mobile": None}, Ending.UNAUTHENTIC, id="3.6.2.1 b no authenticator"),
        pytest.param({"mobile": STRANGER}, Ending.UNAUTHENTIC, id="3.6.2.1 b of another key"),
        pytest.param(
            {"mobile": Association(0x999, MOBILE.key)},
            Ending.UNAUTHENTIC,
            id="3.6.2.1 b of another SPI",
        ),
        pytest.param(
            {"code": 130, "mobile": None},
            Ending.UNAUTHENTIC,
            id="3.6.2.1 b a denial from home needs one as well",
        ),
    ],
)
def test_what_does_not_prove_itself_changes_nothing(change: dict[str, Any], ending: Ending) -> None:
    mobile = node()
    sent = mobile.hear(LINK, at(0))
    before = mobile.deadline
    assert mobile.receive(reply(sent, **change), at(0.01)).ending is ending
    assert (mobile.registered(at(0.01).steady), mobile.deadline) == (False, before)
    assert mobile.receive(reply(sent), at(0.02)).ending is Ending.ACCEPTED


def test_3_6_2_1_two_mobile_home_authenticators_are_one_too_many() -> None:
    mobile = node()
    sent = mobile.hear(LINK, at(0))
    twice = reply(sent) + reply(sent)[-22:]
    assert mobile.receive(twice, at(0.01)).ending is Ending.UNAUTHENTIC


@given(st.binary(max_size=80))
def test_octets_of_anybody_change_nothing(octets: bytes) -> None:
    mobile = node()
    mobile.hear(LINK, at(0))
    assert mobile.receive(octets, at(0.01)).ending.discarded


def test_a_denial_by_the_foreign_agent_needs_no_proof() -> None:
    mobile = node()
    answer = mobile.receive(reply(mobile.hear(LINK, at(0)), 66, mobile=None), at(0.01))
    assert (answer.ending, answer.code) == (Ending.DENIED, 66)


# What it repairs -------------------------------------------------------------------------------


def test_3_6_2_3_code_69_asks_for_the_lifetime_that_the_agent_takes() -> None:
    mobile = node()
    mobile.receive(reply(mobile.hear(LINK, at(0)), 69, lifetime=120, mobile=None), at(0.01))
    assert request(mobile.handle_timer(at(deadline(mobile)))).lifetime == 120


@pytest.mark.parametrize("ahead", [-3600, 3600], ids=["behind", "ahead"])
def test_3_6_2_3_code_133_follows_the_home_agents_clock(ahead: int) -> None:
    mobile = node()
    sent = mobile.hear(LINK, at(0))
    theirs = (int(BEGIN) + ahead + NTP_EPOCH) << 32 | request(sent).identification & 0xFFFFFFFF
    mobile.receive(reply(sent, 133, identification=theirs), at(0.01))
    assert deadline(mobile) == pytest.approx(1)  # never two within a second
    again = request(mobile.handle_timer(at(1)))
    assert again.identification >> 32 == pytest.approx((theirs >> 32) + 1, abs=1)


def test_5_7_1_only_an_authentic_133_moves_the_clock() -> None:
    mobile = node()
    sent = mobile.hear(LINK, at(0))
    mobile.receive(reply(sent, 133, identification=5 << 32, mobile=None), at(0.01))
    assert request(mobile.handle_timer(at(1))).identification >> 32 == int(BEGIN + 1) + NTP_EPOCH


def test_5_7_2_the_nonce_of_a_reply_comes_back_in_the_next_request() -> None:
    mobile = node(replay=Replay.NONCE)
    sent = mobile.hear(LINK, at(0))
    low = request(sent).identification & 0xFFFFFFFF
    mobile.receive(reply(sent, 133, identification=0xCAFE << 32 | low), at(0.01))
    again = mobile.handle_timer(at(1))
    assert request(again).identification >> 32 == 0xCAFE
    low = request(again).identification & 0xFFFFFFFF
    mobile.receive(reply(again, identification=0xBEEF << 32 | low), at(1.01))
    following = request(mobile.hear(OTHER_LINK, at(9))).identification
    assert (following >> 32, following & 0xFFFFFFFF != low) == (0xBEEF, True)


REDIRECTED = DynamicHomeAgent(DynamicHomeAgentSubtype.REDIRECTED, IPv4Address("198.18.1.22"))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (136, {"home_agent": IPv4Address("198.18.1.22")}),
        (143, {"extensions": (REDIRECTED,)}),
    ],
    ids=["3.6.2.3 code 136", "RFC 4433, 4 code 143"],
)
def test_a_node_asks_the_home_agent_that_it_is_sent_to(code: int, change: dict[str, Any]) -> None:
    mobile = node()
    mobile.receive(reply(mobile.hear(LINK, at(0)), code, **change), at(0.01))
    assert request(mobile.handle_timer(at(1))).home_agent == IPv4Address("198.18.1.22")


def test_a_node_that_is_sent_to_whom_it_asked_gives_up() -> None:
    mobile = node()
    mobile.receive(reply(mobile.hear(LINK, at(0)), 136), at(0.01))
    assert (mobile.deadline, mobile.settled) == (None, True)


@pytest.mark.parametrize("code", [c for c in ReplyCode if c > 1], ids=lambda c: f"code-{int(c)}")
def test_every_denial_is_followed_by_what_the_table_says(code: ReplyCode) -> None:
    mobile = node()
    proof = None if denied_by_foreign_agent(code) else MOBILE
    octets = reply(
        mobile.hear(LINK, at(0)), code, lifetime=60, mobile=proof, home_agent=IPv4Address(9)
    )
    assert mobile.receive(octets, at(0.01)).ending is Ending.DENIED
    if REPAIRS.get(code, Repair.GIVE_UP) is Repair.GIVE_UP:
        assert mobile.deadline is None
        assert request(mobile.hear(OTHER_LINK, at(5))).care_of_address != CARE_OF
    else:
        assert 1 <= deadline(mobile) <= 1.01


def test_denials_that_last_are_asked_about_ever_more_rarely() -> None:
    mobile, waits = node(), []
    octets, now = mobile.hear(LINK, at(0)), 0.0
    for _ in range(8):
        mobile.receive(reply(octets, ReplyCode.NO_RESOURCES), at(now))
        waits.append(deadline(mobile) - now)
        now = deadline(mobile)
        octets = mobile.handle_timer(at(now))
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 32, 32])


def test_3_7_2_a_denied_renewal_leaves_the_binding_alone() -> None:
    mobile = registered(node(), lifetime=600)
    mobile.receive(reply(mobile.handle_timer(at(540)), 130), at(540.1))
    assert mobile.registered(at(599).steady)
    assert not mobile.registered(at(600).steady)


# When it asks again ----------------------------------------------------------------------------


def retransmissions(mobile: MobileNode) -> tuple[list[float], list[bytes]]:
    """When it sends, and what, if nobody ever answers."""
    times, octets = [0.0], [mobile.hear(LINK, at(0))]
    for _ in range(7):
        times.append(deadline(mobile))
        octets.append(mobile.handle_timer(at(times[-1])))
    return times, octets


def test_3_6_3_each_wait_is_twice_the_one_before() -> None:
    times, _ = retransmissions(node())
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == pytest.approx([1, 2, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT])


def test_3_6_3_with_timestamps_a_retransmission_is_a_new_request() -> None:
    _, octets = retransmissions(node())
    assert len({request(one).identification for one in octets}) == len(octets)


def test_3_6_3_with_nonces_a_retransmission_is_the_same_request() -> None:
    _, octets = retransmissions(node(replay=Replay.NONCE))
    assert len(set(octets)) == 1


def test_3_6_2_1_only_the_last_of_several_requests_can_be_answered() -> None:
    mobile = node()
    first = mobile.hear(LINK, at(0))
    second = mobile.handle_timer(at(1))
    assert mobile.receive(reply(first), at(1.1)).ending is Ending.UNEXPECTED
    answer = mobile.receive(reply(second), at(1.2))
    assert answer.ending is Ending.ACCEPTED
    assert answer.seconds == pytest.approx(1.2)  # since the first of them


@pytest.mark.parametrize(
    ("lifetime", "renewal"), [(600, 536), (90, 60), (3, 2)], ids=lambda n: f"{n}s"
)
def test_3_6_2_2_a_binding_is_renewed_before_its_end(lifetime: int, renewal: float) -> None:
    mobile = registered(node(), lifetime=lifetime)
    assert deadline(mobile) == pytest.approx(renewal)
    answer = mobile.receive(reply(mobile.handle_timer(at(renewal))), at(renewal + 0.01))
    assert (answer.ending, answer.renewed) == (Ending.ACCEPTED, True)


def test_3_3_an_infinite_lifetime_is_never_renewed() -> None:
    mobile = node(lifetime=65535)
    mobile.receive(reply(mobile.hear(replace(LINK, lifetime=65535), at(0))), at(0.01))
    assert (mobile.deadline, mobile.registered(at(1e9).steady)) == (None, True)


# Where it is -----------------------------------------------------------------------------------


def test_2_4_2_a_new_agent_on_the_link_is_a_move() -> None:
    mobile = registered(node())
    moved = request(mobile.hear(OTHER_LINK, at(5)))
    assert moved.care_of_address == OTHER_LINK.care_of_address


def test_2_4_2_the_same_agent_again_is_none() -> None:
    assert registered(node()).hear(replace(LINK, sequence=1), at(5)) == b""


@pytest.mark.parametrize(
    ("before", "after", "restarted"),
    [(700, 3, True), (3, 2, True), (0xFFFF, 256, False), (255, 256, False), (9, 9, False)],
)
def test_2_4_4_a_sequence_that_begins_anew_is_a_restart(
    before: int, after: int, restarted: bool
) -> None:
    mobile = node()
    sent = mobile.hear(replace(LINK, sequence=before), at(0))
    mobile.receive(reply(sent), at(0.01))
    assert bool(mobile.hear(replace(LINK, sequence=after), at(5))) == restarted


def test_3_6_1_2_deregistering_asks_for_a_lifetime_of_zero() -> None:
    mobile = registered(node())
    sent = mobile.deregister(at(5))
    assert (request(sent).lifetime, request(sent).care_of_address) == (0, CARE_OF)
    answer = mobile.receive(reply(sent), at(5.01))
    assert (answer.ending, answer.lifetime) == (Ending.ACCEPTED, 0)
    assert not mobile.registered(at(5.02).steady)
    assert mobile.settled


def test_a_node_that_is_switched_off_asks_for_nothing() -> None:
    mobile = node()
    mobile.hear(LINK, at(0))
    mobile.fall_silent()
    assert (mobile.deadline, mobile.settled) == (None, True)


def test_a_deregistration_that_nobody_answers_is_sent_again() -> None:
    mobile = registered(node())
    mobile.deregister(at(5))
    assert request(mobile.handle_timer(at(6))).lifetime == 0


def test_the_name_of_a_node_is_what_its_operator_knows() -> None:
    assert str(node(nai=b"mn1@example.net")) == "mn1@example.net"
    assert str(node()) == str(HOME_ADDRESS)
    assert (
        NetworkAccessIdentifier(b"mn1@example.net")
        in request(node(nai=b"mn1@example.net").hear(LINK, at(0))).extensions
    )
