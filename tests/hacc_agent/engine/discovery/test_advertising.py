"""When is advertised, whatever chance says and whoever asks; and the numbers of RFC 5944, 2.3.2."""

from __future__ import annotations

import math
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import LanAddress
from hacc_agent.engine.discovery.advertising import (
    APART_S,
    FIRST_S,
    INTERVAL_S,
    LIFETIME_S,
    RESPONSE_S,
    Advertising,
)
from hacc_agent.wire import (
    AgentAdvertisement,
    AgentLoad,
    AgentRole,
    AgentSolicitation,
    AgentState,
    parse_discovery,
)
from hacc_agent.wire.load import cluster_digest

OWN = LanAddress("core", IPv4Address("198.18.1.21"))
LOAD = AgentLoad(cluster_digest("west"), "ha1", AgentRole.HOME_AGENT, AgentState.ACTIVE, 9, 5, 60)


def read(octets: bytes | None) -> AgentAdvertisement:
    assert octets is not None
    message = parse_discovery(octets)
    assert isinstance(message, AgentAdvertisement)
    return message


def number(message: AgentAdvertisement) -> int:
    assert message.agent is not None
    return message.agent.sequence


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0, 1)), max_size=60))
def test_it_is_said_often_enough_and_not_too_often(steps: list[tuple[float, bool, float]]) -> None:
    chances = iter([chance for chance, _, _ in steps])
    one = Advertising(OWN, 1800, lambda: next(chances, 0.5), 0.0)
    now, last = 0.0, -math.inf
    for _, asked, when in steps:
        due = one.next_deadline
        assert due >= now
        if asked:
            at = now + when * (due - now)
            one.asked(at)
            assert one.next_deadline <= due
            assert one.next_deadline <= max(at + RESPONSE_S, last + APART_S)
            due = one.next_deadline
        assert one.advertise(LOAD, math.nextafter(due, -math.inf)) is None
        assert read(one.advertise(LOAD, due)).lifetime == LIFETIME_S
        if last > -math.inf:
            assert due - last <= INTERVAL_S + 1e-9
            assert due - last >= APART_S - 1e-9
        else:
            assert due <= FIRST_S
        now = last = due


def test_a_storm_of_solicitations_brings_one_answer() -> None:
    one = Advertising(OWN, 1800, lambda: 0.0, 0.0)
    assert one.advertise(LOAD, 0.0)
    sent = 0
    for step in range(1000):
        one.asked(step / 1000)
        sent += one.advertise(LOAD, step / 1000) is not None
    assert sent == 0
    assert one.next_deadline == APART_S


def test_numbers_begin_with_0_and_go_on_with_256_after_the_last() -> None:
    one = Advertising(OWN, 1800, lambda: 0.0, 0.0)
    found = [number(read(one.farewell(LOAD))) for _ in range(65_540)]
    assert found == [*range(65_536), 256, 257, 258, 259]


def test_what_is_said() -> None:
    one = Advertising(OWN, 1800, lambda: 0.0, 0.0)
    message = read(one.advertise(LOAD, 0.0))
    assert message.load == LOAD
    (router,) = message.routers
    assert (router.address, router.preference) == (OWN.address, -(2**31))
    assert message.agent is not None
    assert message.agent.lifetime == 1800
    assert len(message.to_bytes()) < 100
    assert read(one.farewell(LOAD)).lifetime == 0


def test_it_solicits_once() -> None:
    one = Advertising(OWN, 1800, lambda: 0.0, 0.0)
    octets = one.solicitation()
    assert octets is not None
    assert parse_discovery(octets) == AgentSolicitation()
    assert one.solicitation() is None
