"""Bindings that change their Home Agent: nothing older replaces what is newer, no replay works."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import (
    Replay,
)
from hacc_agent.engine.effects import Effect, Log
from hacc_agent.engine.networks import routed
from hacc_agent.engine.record import STRUCT, Kind, Row, Trait, name_records, rows
from hacc_agent.engine.table import Table
from hacc_agent.wire import (
    RequestFlags,
)
from tests.hacc_agent.engine.home_agent.router import (
    ACCEPTED,
    CONTROLLER,
    FOREIGN_AGENT,
    NAI,
    NOW,
    OVERTAKEN,
    PROHIBITED,
    SPI,
    STALE,
    VIRTUAL,
    Router,
    later,
    request,
    stamp,
)


def known(**changes: Any) -> bytes:
    """What a controller knows of the mobile node: names and a binding."""
    number, names = Table(4, 1).names.introduce(NAI)
    values: dict[str, Any] = {
        "slot": 5,
        "home_address": int(IPv4Address("198.19.64.7")),
        "care_of_address": int(FOREIGN_AGENT),
        "source_address": int(FOREIGN_AGENT),
        "source_port": 434,
        "lifetime": 600,
        "expires": int(NOW.steady) + 500,
        "identification": stamp(-100),
        "nai": number,
        "spi": SPI,
        "traits": int(Trait.DYNAMIC),
        "home_agent": int(VIRTUAL),
    }
    return (names or name_records(NAI, number)) + STRUCT.pack(
        *Row(Kind.BINDING, **values | changes)
    )


def logged(effects: list[Effect]) -> list[Kind]:
    return [
        Kind(record.kind)
        for effect in effects
        if isinstance(effect, Log)
        for record in rows(effect.records)
    ]


def test_a_binding_that_is_new_is_put_and_renewed_with_its_address() -> None:
    heir = Router("ha2")
    assert logged(heir.takes(known(), NOW)) == [Kind.NAME, Kind.BINDING]
    assert heir.asked(request(stamp(1)), later(1)) == ACCEPTED
    assert [IPv4Address(row.home_address) for row in heir.bindings] == [IPv4Address("198.19.64.7")]


def test_mobile_networks_come_with_the_binding_of_their_router() -> None:
    heir, network = Router("ha2"), IPv4Network("203.0.113.0/24")
    home, stranger = int(IPv4Address("198.19.64.7")), int(IPv4Address("198.19.64.8"))
    records = known() + routed(home, [network]) + routed(stranger, [IPv4Network("192.0.2.0/24")])
    assert logged(heir.takes(records, NOW)) == [Kind.NAME, Kind.BINDING, Kind.NETWORK]
    assert dict(heir.engine.networks.items()) == {network: home}
    assert logged(heir.engine.give_up(known(traits=int(Trait.NETWORKS)))) == [
        Kind.UNBOUND,
        Kind.NETWORK,
    ]
    assert not len(heir.engine.networks)


def test_a_mobile_network_that_somebody_holds_here_does_not_come() -> None:
    heir, network = Router("ha2"), IPv4Network("203.0.113.0/24")
    home, other = int(IPv4Address("198.19.64.7")), int(IPv4Address("198.19.64.8"))
    heir.engine.apply(routed(other, [network]))
    assert Kind.NETWORK not in logged(heir.takes(known() + routed(home, [network]), NOW))
    assert dict(heir.engine.networks.items()) == {network: other}


def test_what_was_accepted_elsewhere_is_a_replay_here() -> None:
    heir = Router("ha2")
    heir.engine.begin_anew(NOW)
    heir.takes(known(identification=stamp(-1)), NOW)
    for older in (-1.5, -6):
        assert heir.asked(request(stamp(older)), later(0.1)) == STALE
    assert heir.asked(request(stamp(0.2)), later(0.2)) == ACCEPTED


def test_the_very_request_is_answered_again_and_grants_nothing_new() -> None:
    heir = Router("ha2")
    heir.takes(known(identification=stamp(-1)), NOW)
    expires = heir.bindings[0].expires
    assert heir.asked(request(stamp(-1)), later(3)) == ACCEPTED
    assert heir.bindings[0].expires == expires


def test_what_is_here_need_not_be_the_latest() -> None:
    """Its reply was lost, and another one has served the mobile node since, until it died."""
    heir = Router("ha2")
    assert heir.asked(request(stamp(-5)), NOW) == ACCEPTED
    heir.engine.begin_anew(later(1))
    assert heir.asked(request(stamp(0)), later(1)) == STALE  # the other one may have accepted it
    assert heir.asked(request(stamp(-5)), later(1)) == ACCEPTED  # again, and grants nothing new
    assert heir.asked(request(stamp(1.1)), later(1.1)) == ACCEPTED


def test_a_nonce_that_was_told_elsewhere_is_good_here_once() -> None:
    heir = Router("ha2", Replay.NONCE)
    heir.engine.begin_anew(NOW)
    heir.takes(known(identification=0x77 << 32, nonce=0x99, traits=int(Trait.NONCE)), NOW)
    assert heir.asked(request(0x77 << 32 | 1), NOW) == STALE
    assert heir.asked(request(0x99 << 32 | 2), NOW) == ACCEPTED
    assert heir.asked(request(0x99 << 32 | 3), NOW) == STALE


def test_who_left_elsewhere_cannot_be_brought_back_by_a_replay() -> None:
    """The controller has forgotten it: nothing is transferred."""
    heir = Router("ha2")
    heir.engine.begin_anew(NOW)
    assert heir.asked(request(stamp(-2)), later(0.5)) == STALE
    assert not heir.bindings
    assert heir.asked(request(stamp(0.6)), later(0.6)) == ACCEPTED


def test_nothing_older_comes_in_the_place_of_what_was_accepted_meanwhile() -> None:
    heir = Router("ha2")
    heir.engine.begin_anew(NOW)
    assert heir.asked(request(stamp(0.5), int(FOREIGN_AGENT) + 1), later(0.5)) == ACCEPTED
    before = heir.rows
    assert heir.takes(known(), later(1)) == []
    assert heir.rows == before


@pytest.mark.parametrize("replay", list(Replay))
def test_a_nonce_or_time_that_was_used_meanwhile_does_not_come_back(replay: Replay) -> None:
    heir = Router("ha2", replay)
    heir.engine.begin_anew(NOW)
    told = known(
        identification=0x77 << 32 if replay is Replay.NONCE else stamp(-1),
        nonce=0x99 if replay is Replay.NONCE else 0,
        traits=int(Trait.NONCE) if replay is Replay.NONCE else 0,
        expires=int(NOW.steady) + 600,
    )
    heir.takes(told, NOW)
    fresh = 0x99 << 32 | 2 if replay is Replay.NONCE else stamp(0.5)
    assert heir.asked(request(fresh, int(FOREIGN_AGENT) + 1), later(0.5)) == ACCEPTED
    assert heir.takes(told, later(1)) == []
    assert heir.asked(request(fresh | 1, int(FOREIGN_AGENT) + 2), later(1.5)) in (
        (STALE,) if replay is Replay.NONCE else (STALE, ACCEPTED)
    )


def test_what_is_stale_here_gives_way() -> None:
    """It was here long ago, and elsewhere since."""
    heir = Router("ha2")
    assert heir.asked(request(stamp(-50), int(FOREIGN_AGENT) + 1), later(-50)) == ACCEPTED
    heir.takes(known(identification=stamp(-10), home_address=heir.bindings[0].home_address), NOW)
    (row,) = heir.bindings
    assert (row.care_of_address, row.identification) == (int(FOREIGN_AGENT), stamp(-10))


def test_a_stranger_cannot_keep_a_binding_out_by_a_denial() -> None:
    """He repeats an old request before the transfer comes; the answer is a nonce."""
    heir = Router("ha2", Replay.NONCE)
    heir.engine.begin_anew(NOW)
    assert heir.asked(request(0x55 << 32 | 1), NOW) == STALE
    (told,) = heir.rows
    assert told.kind == Kind.CLOSED
    heir.takes(known(identification=0x77 << 32, nonce=0x99, traits=int(Trait.NONCE)), later(1))
    (row,) = heir.bindings
    assert (row.identification, row.nonce) == (0x77 << 32, told.nonce)
    assert len(heir.rows) == 1
    assert heir.asked(request(0x99 << 32 | 2), later(2)) == STALE
    assert heir.asked(request(told.nonce << 32 | 3), later(2)) == ACCEPTED


def test_simultaneous_bindings_are_put_beside_newer_ones() -> None:
    heir = Router("ha2")
    flags = int(RequestFlags.SIMULTANEOUS)
    heir.takes(known(flags=flags, identification=stamp(-10)), NOW)
    heir.takes(known(flags=flags, care_of_address=77, identification=stamp(-30)), NOW)
    assert {row.care_of_address for row in heir.bindings} == {int(FOREIGN_AGENT), 77}
    assert heir.asked(request(stamp(-20)), later(-14)) == STALE


def test_lifetimes_are_what_is_left_of_them_by_our_clock() -> None:
    heir = Router("ha2")
    heir.takes(known(), NOW, ahead=-86_400.4)
    assert heir.bindings == []  # a day ago by our clock
    heir.takes(known(), NOW, ahead=86_400.4)
    assert heir.bindings[0].expires == int(NOW.steady) + 500 + 86_400


def test_an_endless_lifetime_stays_one() -> None:
    heir = Router("ha2")
    heir.takes(known(expires=0xFFFF_FFFF, lifetime=0xFFFF), NOW, ahead=-5.0)
    assert heir.bindings[0].expires == 0xFFFF_FFFF


def test_what_there_is_no_room_for_is_counted() -> None:
    heir = Router("ha2", capacity=2)
    first = int(IPv4Address("198.19.64.20"))
    heir.takes(b"".join(known(home_address=first + n, nai=0) for n in range(3)), NOW)
    assert (len(heir.bindings), heir.engine.counters.left_out) == (2, 1)


def test_an_address_that_is_somebody_elses_here_stays_so() -> None:
    heir = Router("ha2")
    assert heir.asked(request(stamp(0)), NOW) == ACCEPTED
    taken = heir.bindings[0].home_address
    number, names = Table(4, 1).names.introduce(b"node2@example.net")
    heir.takes(names + known(home_address=taken, nai=number, identification=stamp(5))[-64:], NOW)
    assert [(row.home_address, row.nai == number) for row in heir.bindings] == [(taken, False)]


def test_what_is_given_up_is_gone_with_its_address() -> None:
    owner = Router("ha1")
    assert owner.asked(request(stamp(0)), NOW) == ACCEPTED
    told = b"".join(owner.table.snapshot())
    assert owner.engine.assigned == 1
    owner.engine.give_up(told)
    assert owner.rows == []
    assert owner.engine.assigned == 0
    assert owner.engine.give_up(told) == []


def test_a_member_takes_requests_from_the_controller_that_it_follows() -> None:
    member = Router("ha1")
    member.engine.follow(frozenset({CONTROLLER.link >> 16}))
    assert member.asked(request(stamp(0)), NOW, OVERTAKEN) is None
    assert member.engine.counters.discarded["controller-overtaken"] == 1
    assert member.asked(request(stamp(0)), NOW, CONTROLLER) == ACCEPTED


moments = st.integers(-40, 0)


@given(st.lists(st.tuples(moments, st.integers(1, 3), st.booleans()), min_size=1, max_size=6))
def test_whatever_comes_in_whatever_order_nothing_that_was_accepted_is_accepted_again(
    told: list[tuple[int, int, bool]],
) -> None:
    """And what is newest is there."""
    heir = Router("ha2")
    heir.engine.begin_anew(NOW)
    for seconds, care_of, beside in told:
        flags = int(RequestFlags.SIMULTANEOUS) if beside else 0
        heir.takes(known(flags=flags, care_of_address=care_of, identification=stamp(seconds)), NOW)
    newest = max(seconds for seconds, _, _ in told)
    assert max(row.identification for row in heir.bindings) == stamp(newest)
    for seconds, care_of, _ in told:
        expires = max(row.expires for row in heir.bindings)
        code = heir.asked(request(stamp(seconds), care_of), later(0.5))
        assert code in (STALE, ACCEPTED)
        assert max(row.expires for row in heir.bindings) == expires


def test_an_address_that_was_only_remembered_is_not_taken_from_who_has_it_now() -> None:
    """Its binding ended, and it was told a nonce; meanwhile the address was assigned anew."""
    member = Router("ha1", Replay.NONCE)
    address = int(IPv4Address("198.19.64.1"))
    assert member.asked(request(5 << 32 | 1, home=address), NOW) == STALE
    nonce = member.rows[0].nonce
    number, names = Table(4, 1).names.introduce(b"node2@example.net")
    member.takes(names + known(home_address=address, nai=number)[-64:], NOW)
    assert member.asked(request(nonce << 32 | 2, home=address), NOW) == PROHIBITED
