"""Routes of who is bound here and lies in no slice of ours."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import numpy as np
import pytest

from hacc_agent.engine.effects import Moment
from hacc_agent.engine.networks import routed
from hacc_agent.engine.record import RECORD, STRUCT, Kind, Row, Trait
from hacc_agent.roles import Member
from hacc_agent.strays import AT_ONCE, KEPT, LATEST_S, MOST, Strays
from tests.lab.registration import member

SLICE = IPv4Network("198.19.64.0/22")
WITHIN, STATIC, FOREIGN, ON_LAN = "198.19.64.9", "198.19.96.7", "192.0.2.66", "198.18.1.200"
BEHIND = IPv4Network("198.19.100.0/24")
LAN = IPv4Network("198.18.1.0/24")
BLOCK = 200  # bindings


class Table:
    """What a routing daemon would be told."""

    def __init__(self) -> None:
        self.routes: frozenset[IPv4Network] = frozenset()
        self.changes = 0

    def announce(self, prefixes: frozenset[IPv4Network]) -> None:
        self.routes = prefixes
        self.changes += 1

    def elsewhere(self, prefix: IPv4Network) -> bool:
        return prefix == SLICE


class Site:
    def __init__(self) -> None:
        self.member = Member(member())
        self.table = Table()
        self.said: list[str] = []
        self.seconds = 1000.0

        def say(event: str, sender: str = "", **fields: str | int) -> None:  # noqa: ARG001
            self.said.append(f"{event} {fields}")

        self.strays = Strays(self.member, [LAN], say).through(self.table)
        self.strays.announce(frozenset({SLICE}))

    def decide(self, records: bytes) -> frozenset[IPv4Network]:
        """As the daemon does; the routes beyond the slice."""
        self.take(records)
        self.handle()
        return self.table.routes - {SLICE}

    def take(self, records: bytes) -> None:
        self.member.apply(records)
        self.strays.follow(np.frombuffer(records, RECORD))

    def handle(self) -> None:
        """Turn by turn, until nothing is due; each changes some routes."""
        while (due := self.strays.next_deadline()) is not None:
            self.seconds = max(self.seconds, due)
            before = self.table.routes
            self.strays.handle(Moment(self.seconds, 0.0))
            assert len(before ^ self.table.routes) <= AT_ONCE


@pytest.fixture
def site() -> Site:
    return Site()


def bound(home: str, care_of: str = "198.18.9.1", **fields: int) -> bytes:
    values = {"expires": 1 << 31, "lifetime": 600, **fields}
    care_of_address = int(IPv4Address(care_of))
    home_address = int(IPv4Address(home))
    row = Row(Kind.BINDING, home_address=home_address, care_of_address=care_of_address)
    return STRUCT.pack(*row._replace(**values))


def unbound(home: str, care_of: str = "0.0.0.0") -> bytes:
    return STRUCT.pack(
        *Row(
            Kind.UNBOUND,
            home_address=int(IPv4Address(home)),
            care_of_address=int(IPv4Address(care_of)),
        )
    )


def alone(*addresses: str) -> frozenset[IPv4Network]:
    return frozenset(map(IPv4Network, addresses))


@pytest.mark.parametrize("home", [STATIC, FOREIGN])
def test_an_address_outside_of_the_slice_has_a_route_while_it_is_bound(
    site: Site, home: str
) -> None:
    assert site.decide(bound(home)) == alone(home)
    assert site.decide(unbound(home)) == alone()


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(bound(WITHIN), id="in the slice"),
        pytest.param(bound(ON_LAN), id="on a lan"),
        pytest.param(bound(STATIC, traits=Trait.DYNAMIC), id="assigned, from another slice"),
        pytest.param(unbound(STATIC), id="nobody"),
    ],
)
def test_others_have_none(site: Site, records: bytes) -> None:
    before = site.table.changes
    assert site.decide(records) == alone()
    assert site.table.changes == before, "nor is anybody told anything"


def test_the_route_ends_with_the_last_of_several_bindings(site: Site) -> None:
    both = bound(STATIC, "198.18.9.1", flags=0x80) + bound(STATIC, "198.18.9.2", flags=0x80)
    assert site.decide(both) == alone(STATIC)
    assert site.decide(unbound(STATIC, "198.18.9.1")) == alone(STATIC)
    assert site.decide(unbound(STATIC, "198.18.9.2")) == alone()


def test_a_renewal_changes_no_route(site: Site) -> None:
    site.decide(bound(STATIC))
    before = site.table.changes
    site.decide(bound(STATIC, expires=(1 << 31) + 60))
    assert site.table.changes == before
    assert site.strays.next_deadline() is None


def test_a_mobile_network_has_a_route_while_its_router_has_it(site: Site) -> None:
    home = int(IPv4Address(WITHIN))
    assert site.decide(bound(WITHIN) + routed(home, [BEHIND])) == {BEHIND}
    assert site.decide(routed(home, [BEHIND], withdrawn=True)) == frozenset()


def test_who_is_covered_by_what_is_announced_now_needs_none(site: Site) -> None:
    site.decide(bound(STATIC) + bound(FOREIGN) + bound(WITHIN))
    site.strays.announce(frozenset({SLICE, IPv4Network("198.19.96.0/22")}))
    assert site.table.routes >= {IPv4Network("198.19.96.0/22"), IPv4Network(FOREIGN)}
    assert IPv4Network(STATIC) not in site.table.routes
    site.strays.announce(frozenset())
    assert site.table.routes == alone(STATIC, FOREIGN, WITHIN)


def test_after_a_start_all_that_is_bound_counts(site: Site) -> None:
    site.member.apply(bound(STATIC))
    site.strays.load()
    assert site.strays.next_deadline() is not None
    site.handle()
    assert site.table.routes == {SLICE, IPv4Network(STATIC)}
    site.member.clear()
    site.strays.load()
    site.handle()
    assert site.table.routes == {SLICE}


def test_there_are_never_more_than_routers_carry(site: Site) -> None:
    first = int(IPv4Address("10.0.0.1"))
    records = b"".join(bound(str(IPv4Address(first + n))) for n in range(MOST + 1))
    assert len(site.decide(records)) == MOST
    assert site.said == [f"not all home addresses have a route {{'most': {MOST}}}"]


def homes(first: str, count: int) -> Iterator[bytes]:
    """Bindings of a transfer, in its blocks."""
    begin = int(IPv4Address(first))
    for at in range(0, count, BLOCK):
        block = range(at, min(count, at + BLOCK))
        yield b"".join(bound(str(IPv4Address(begin + n))) for n in block)


def test_a_transfer_whose_slice_follows_needs_no_routes_of_its_own(site: Site) -> None:
    before = site.table.changes
    for block in homes("10.0.0.0", 8 * BLOCK):
        site.take(block)
        site.strays.handle(Moment(site.seconds, 0.0))
        site.seconds += 0.5
    assert site.table.changes == before
    site.strays.announce(frozenset({SLICE, IPv4Network("10.0.0.0/16")}))
    site.handle()
    assert site.table.routes == {SLICE, IPv4Network("10.0.0.0/16")}


def test_many_that_never_cease_do_not_wait_for_ever(site: Site) -> None:
    end = site.seconds + LATEST_S
    for block in homes("10.0.0.0", 100 * BLOCK):
        site.take(block)
        site.strays.handle(Moment(site.seconds, 0.0))
        site.seconds += 0.2
        if site.table.routes != {SLICE}:
            break
    assert site.seconds <= end + 0.5


def test_a_few_get_theirs_at_once(site: Site) -> None:
    site.take(bound(STATIC) + bound(FOREIGN))
    site.strays.handle(Moment(site.seconds, 0.0))
    assert site.table.routes == {SLICE} | alone(STATIC, FOREIGN)


def test_who_had_none_for_want_of_room_gets_one_when_there_is_some(site: Site) -> None:
    for block in homes("10.0.0.0", KEPT + BLOCK):
        site.take(block)
    site.handle()
    assert len(site.table.routes) == MOST + 1
    last = IPv4Address("10.0.0.0") + KEPT + BLOCK - 1
    first = int(IPv4Address("10.0.0.0"))
    for at in range(0, KEPT, BLOCK):
        site.take(b"".join(unbound(str(IPv4Address(first + n))) for n in range(at, at + BLOCK)))
    site.handle()
    assert IPv4Network(last) in site.table.routes


def test_what_others_announce_is_the_routing_tables_to_say(site: Site) -> None:
    assert site.strays.elsewhere(SLICE)
    assert not site.strays.elsewhere(BEHIND)
