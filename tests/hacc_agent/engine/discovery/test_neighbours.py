"""Who is heard, missed, strange or an impostor: cases, then laws over whatever a LAN may say."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import (
    AgentConfig,
    Controller,
    Lan,
    LanAddress,
    Member,
    MemberKind,
    Router,
)
from hacc_agent.engine.discovery.neighbours import (
    GRACE_S,
    LONGEST_S,
    MOST,
    Heard,
    Neighbourhood,
    Verdict,
    expected,
)
from hacc_agent.wire import (
    AgentAdvertisement,
    AgentFlags,
    AgentLoad,
    AgentRole,
    AgentState,
    MobilityAgent,
)
from hacc_agent.wire.load import cluster_digest
from tests.loopback import WEST

LIFETIME = 30
OWN = int(IPv4Address("198.18.1.11"))
STANDBY = int(IPv4Address("198.18.1.12"))
MEMBER = int(IPv4Address("198.18.1.21"))
PAIR = int(IPv4Address("198.18.1.253"))
NOBODY = int(IPv4Address("198.18.1.99"))


def at(address: int, lan: str = "core") -> LanAddress:
    return LanAddress(lan, IPv4Address(address))


def site() -> AgentConfig:
    """The first controller's, with a second one, a member of ours, and a pair of stock ones."""
    golden = WEST.device("hacc1").agent
    assert golden is not None
    halves = tuple(
        Router(f"ios{number}", (at(int(IPv4Address("198.18.1.30")) + number),)) for number in (1, 2)
    )
    return dataclasses.replace(
        golden,
        name="hacc1",
        cluster="west",
        lans=(Lan("core", "lan", IPv4Interface("198.18.1.11/24")),),
        controllers=(
            Controller("hacc1", 200, (at(OWN),)),
            Controller("hacc2", 190, (at(STANDBY),)),
        ),
        members=(
            Member("ha1", MemberKind.LINUX, False, 1, 1000, (), (at(MEMBER),)),
            Member("west-ios", MemberKind.IOS, False, 1, 1000, (), (at(PAIR),), halves),
        ),
    )


def load(router: str, role: AgentRole = AgentRole.HOME_AGENT, cluster: str = "west") -> AgentLoad:
    return AgentLoad(cluster_digest(cluster), router, role, AgentState.ACTIVE, 5)


def said(
    own: AgentLoad | None, sequence: int = 0, lifetime: int = LIFETIME, *, agent: bool = True
) -> AgentAdvertisement:
    extensions = (MobilityAgent(sequence, 1800, AgentFlags.HOME_AGENT),) if agent else ()
    return AgentAdvertisement((), lifetime, (*extensions, *((own.extension(),) if own else ())))


def heard(
    address: int, message: AgentAdvertisement, mac: int = 0, ttl: int = 1, lan: str = "core"
) -> Heard:
    return Heard(lan, address, mac or address, ttl, message)


def verdicts(found: Neighbourhood) -> dict[int, Verdict]:
    return {one.address: one.verdict for one in found.all()}


def test_who_is_expected() -> None:
    found = {address: router.name for (_, address), router in expected(site()).items()}
    assert found == {
        STANDBY: "hacc2",
        MEMBER: "ha1",
        PAIR: "west-ios",
        int(IPv4Address("198.18.1.31")): "ios1",
        int(IPv4Address("198.18.1.32")): "ios2",
    }


def test_stock_routers_need_not_advertise() -> None:
    lan = Neighbourhood(site(), 0.0)
    missing = lan.handle_timer(GRACE_S)
    assert {one.address for one in missing} == {STANDBY, MEMBER}
    assert lan.handle_timer(GRACE_S + 1) == []  # told once


def test_a_member_that_falls_silent_is_missed_once_and_comes_back_once() -> None:
    lan = Neighbourhood(site(), 0.0)
    assert lan.heard(heard(MEMBER, said(load("ha1"))), 1.0) is None
    assert [one.address for one in lan.handle_timer(GRACE_S)] == [STANDBY]
    (lost,) = lan.handle_timer(1.0 + LIFETIME + GRACE_S)
    assert (lost.address, lost.verdict, lost.why) == (MEMBER, Verdict.MISSING, "it is not heard")
    back = lan.heard(heard(MEMBER, said(load("ha1"))), 100.0)
    assert back is not None
    assert back.verdict is Verdict.EXPECTED
    assert lan.heard(heard(MEMBER, said(load("ha1"), 1)), 101.0) is None


def test_who_says_that_it_stops_is_missed_at_once() -> None:
    lan = Neighbourhood(site(), 0.0)
    lan.heard(heard(MEMBER, said(load("ha1"))), 31.0)
    lan.handle_timer(32.0)
    lan.heard(heard(MEMBER, said(load("ha1"), 1, 0)), 33.0)
    (lost,) = lan.handle_timer(33.0)
    assert (lost.address, lost.why) == (MEMBER, "it has said that it stops")


IMPOSTORS: dict[str, tuple[Heard, str]] = {
    "own-address": (
        heard(OWN, said(load("hacc1", AgentRole.CONTROLLER)), 77),
        "it has an address of this router",
    ),
    "ttl": (heard(MEMBER, said(load("ha1")), ttl=2), "its TTL is 2: it may come from beyond"),
    "ttl-zero": (heard(MEMBER, said(load("ha1")), ttl=0), "its TTL is 0"),
    "silent-of-itself": (heard(MEMBER, said(None)), "it does not say what our agents say"),
    "name": (heard(MEMBER, said(load("ha2"))), "it says that it is ha2, not ha1"),
    "role": (
        heard(STANDBY, said(load("hacc2"))),
        "it says that it is a home agent, not a controller",
    ),
    "backup": (
        heard(MEMBER, said(load("ha1", AgentRole.BACKUP))),
        "it says that it is a backup, not a home-agent",
    ),
    "cluster": (heard(MEMBER, said(load("ha1", cluster="east"))), "it is of another cluster"),
    "stock": (heard(PAIR, said(load("west-ios"))), "it says what our agents say, and should be"),
}


@pytest.mark.parametrize("case", IMPOSTORS)
def test_impostors(case: str) -> None:
    message, why = IMPOSTORS[case]
    lan = Neighbourhood(site(), 0.0)
    found = lan.heard(message, 1.0)
    assert found is not None
    assert found.verdict is Verdict.IMPOSTOR
    assert found.why.startswith(why)
    assert lan.heard(message, 2.0) is None  # told once
    assert found.heard == 2  # with a count
    assert not lan.adjacent("core", message.address)


STRANGERS: dict[str, tuple[Heard, str]] = {
    "agent": (heard(NOBODY, said(None)), "an agent that the intent does not know"),
    "router": (heard(NOBODY, said(None, agent=False)), "a router that the intent does not know"),
    "of-us": (heard(NOBODY, said(load("ha1"))), "an agent that says it is ha1 of this cluster"),
    "of-others": (
        heard(NOBODY, said(load("x", cluster="east"))),
        "an agent of another cluster, x",
    ),
    "from-afar": (heard(NOBODY, said(None), ttl=64), "its TTL is 64"),
    "another-lan": (
        heard(MEMBER, said(load("ha1")), lan="edge"),
        "an agent that says it is ha1 of this cluster",
    ),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_strangers(case: str) -> None:
    message, why = STRANGERS[case]
    lan = Neighbourhood(site(), 0.0)
    found = lan.heard(message, 1.0)
    assert found is not None
    assert found.verdict is Verdict.STRANGER
    assert found.why.startswith(why)


def test_gateways_and_foreign_agents_are_no_strangers_and_are_not_missed() -> None:
    """Stock ones may advertise; what only our agents say does not become them."""
    config = site()
    (peer, *_) = config.foreign_agents
    near = dataclasses.replace(peer, address=IPv4Address(NOBODY))
    gateway = Router("fa1", (at(NOBODY + 1),))
    lan = Neighbourhood(
        dataclasses.replace(config, foreign_agents=(near, peer), routers=(gateway,)), 0.0
    )
    for address in (NOBODY, NOBODY + 1):
        assert lan.heard(heard(address, said(None)), 1.0) is None
    assert verdicts(lan) == {NOBODY: Verdict.EXPECTED, NOBODY + 1: Verdict.EXPECTED}
    liar = lan.heard(heard(NOBODY + 1, said(load("fa1"))), 2.0)
    assert liar is not None
    assert liar.verdict is Verdict.IMPOSTOR
    assert {one.address for one in lan.handle_timer(40.0)} == {STANDBY, MEMBER}


def test_the_first_of_two_that_claim_an_address_counts_until_it_is_silent() -> None:
    lan = Neighbourhood(site(), 0.0)
    lan.heard(heard(MEMBER, said(load("ha1")), 1), 1.0)
    other = lan.heard(heard(MEMBER, said(load("ha1")), 2), 2.0)
    assert other is not None
    assert other.why == "another MAC address than 00:00:00:00:00:01, which is heard too"
    assert [one.mac for one in lan.all() if one.verdict is Verdict.EXPECTED] == [1]
    lan.handle_timer(2.0 + LIFETIME + 1)  # a network card was replaced: the old one is not heard
    lan.heard(heard(MEMBER, said(load("ha1"), 1), 2), 40.0)
    assert [one.mac for one in lan.all() if one.verdict is Verdict.EXPECTED] == [2]


SEQUENCES = {
    "5944-2.3.2-restart": ((5, 0), 1),
    "5944-2.3.2-rollover": ((0xFFFF, 256), 0),
    "5944-2.3.2-restart-within-256": ((200, 100), 1),
    "late": ((300, 299), 0),
    "again": ((5, 5), 0),
    "twice": ((300, 0, 1, 0), 2),
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_restarts_are_told_from_rollover(case: str) -> None:
    numbers, restarts = SEQUENCES[case]
    lan = Neighbourhood(site(), 0.0)
    for now, number in enumerate(numbers):
        lan.heard(heard(MEMBER, said(load("ha1"), number)), float(now))
    (one,) = lan.all()
    assert one.restarts == restarts


def test_who_invents_addresses_gets_a_few_of_them_and_hides_nobody() -> None:
    lan = Neighbourhood(site(), 0.0)
    told = [lan.heard(heard(NOBODY + 0x1000 + n, said(None)), 1.0) for n in range(10 * MOST)]
    assert sum(one is not None for one in told) == MOST
    assert lan.untold == 9 * MOST
    lan.heard(heard(MEMBER, said(load("ha1"))), 2.0)
    assert lan.adjacent("core", MEMBER)


# ------------------------------------------------------------------ laws

ADDRESSES = st.sampled_from((OWN, STANDBY, MEMBER, PAIR, NOBODY, NOBODY + 1))
LOADS = st.none() | st.builds(
    load,
    st.sampled_from(("hacc2", "ha1", "x")),
    st.sampled_from(AgentRole),
    st.sampled_from(("west", "east")),
)
MESSAGES = st.builds(
    said, LOADS, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), agent=st.booleans()
)
EVENTS = st.lists(
    st.tuples(
        st.builds(heard, ADDRESSES, MESSAGES, st.integers(1, 3), st.sampled_from((1, 1, 1, 64))),
        st.floats(0, 60),
    ),
    max_size=40,
)


@given(EVENTS)
def test_whatever_is_said_one_holds_an_address_and_it_says_the_right_thing(
    events: list[tuple[Heard, float]],
) -> None:
    config, now = site(), 0.0
    lan = Neighbourhood(config, now)
    known = expected(config)
    told: list[tuple[int, int]] = []
    for message, later in events:
        now += later
        lan.handle_timer(now)
        found = lan.heard(message, now)
        if found is not None and found.verdict is not Verdict.EXPECTED:
            told.append((found.address, found.mac))
        everybody = list(lan.all())
        right = [one for one in everybody if one.verdict is Verdict.EXPECTED]
        assert len({(one.lan, one.address) for one in right}) == len(right)
        for one in right:
            assert (one.lan, one.address) in known
            assert one.load is None or one.load.cluster == cluster_digest("west")
        missing = {one.address for one in everybody if one.verdict is Verdict.MISSING}
        assert not missing & {one.address for one in right}
        assert all(one.until <= now + LONGEST_S for one in everybody)
        lan.handle_timer(now)
        due = lan.next_deadline()
        assert due is None or due > now


@given(EVENTS)
def test_everything_that_is_heard_is_forgotten(events: list[tuple[Heard, float]]) -> None:
    lan, now = Neighbourhood(site(), 0.0), 0.0
    for message, later in events:
        now += later
        lan.heard(message, now)
    lan.handle_timer(now + LONGEST_S)
    assert verdicts(lan) == {STANDBY: Verdict.MISSING, MEMBER: Verdict.MISSING}
