"""Routes in a network namespace: what `ip route` shows, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Network

import pytest

from hacc_agent.routes import PROTOCOL, Routes
from tests.segment import Namespace

pytestmark = pytest.mark.lab

SLICE = IPv4Network("198.19.64.0/21")
HALVES = frozenset(SLICE.subnets())
ONE, OTHER = SLICE.subnets()
AWAY = "via 198.18.1.9 proto ospf"
SINGLE = IPv4Network("198.19.96.7/32")


@pytest.fixture
def router() -> Iterator[Namespace]:
    with closing(Namespace()) as made:
        yield made


def shown(router: Namespace) -> set[str]:
    return set(router.ip("route", "show", "proto", str(PROTOCOL)).split("\n")) - {""}


def routes(router: Namespace, said: list[str]) -> Routes:
    def say(event: str, sender: str = "", **fields: str | int) -> None:  # noqa: ARG001
        said.append(f"{event} {fields}")

    with router.inside():
        return Routes(say)


def test_prefixes_are_blackholes_of_our_own(router: Namespace) -> None:
    said: list[str] = []
    ours = routes(router, said)
    ours.announce(frozenset({SLICE, SINGLE}))
    assert shown(router) == {"blackhole 198.19.64.0/21 ", "blackhole 198.19.96.7 "}
    ours.announce(HALVES)
    assert shown(router) == {"blackhole 198.19.64.0/22 ", "blackhole 198.19.68.0/22 "}
    ours.close()
    assert shown(router) == set()
    assert said == []


def test_what_a_killed_daemon_left_behind_is_taken_away_and_others_is_not(
    router: Namespace,
) -> None:
    said: list[str] = []
    killed = routes(router, said)
    killed.announce(frozenset({SLICE}))
    killed._kernel.close()
    router.ip("route", "add", "blackhole", "198.19.64.0/20")
    again = routes(router, said)
    again.announce(frozenset({SINGLE}))
    assert shown(router) == {"blackhole 198.19.96.7 "}
    again.close()
    assert "198.19.64.0/20" in router.ip("route", "show")


def test_a_refusal_is_told(router: Namespace) -> None:
    said: list[str] = []
    ours = routes(router, said)
    ours.announce(frozenset({SLICE}))
    router.ip("route", "del", "blackhole", str(SLICE), "proto", str(PROTOCOL))
    ours.close()
    assert "198.19.64.0/21" in said[0]
    assert "no such process" in said[0]


@pytest.mark.parametrize(
    ("found", "elsewhere"),
    [
        pytest.param(f"{ONE} {AWAY}, {OTHER} {AWAY}", True, id="both halves"),
        pytest.param(f"{ONE} {AWAY}", False, id="a half"),
        pytest.param(f"198.19.64.7 {AWAY}", False, id="a single address"),
        pytest.param(f"{SLICE} {AWAY} metric 20", False, id="the same"),
        pytest.param(f"198.19.0.0/16 {AWAY}", False, id="shorter"),
        pytest.param(f"blackhole {ONE}, blackhole {OTHER}", False, id="nowhere"),
        pytest.param(f"{ONE} {AWAY}, blackhole {OTHER} proto 178", False, id="ours"),
    ],
)
def test_the_routing_table_tells_whether_others_have_taken_a_slice(
    router: Namespace, found: str, elsewhere: bool
) -> None:
    router.ip("link", "add", "lan", "type", "veth", "peer", "name", "far")
    router.ip("addr", "add", "198.18.1.1/24", "dev", "lan")
    router.ip("link", "set", "lan", "up")
    router.ip("link", "set", "far", "up")
    ours = routes(router, [])
    ours.announce(frozenset({SLICE}))
    assert not ours.elsewhere(SLICE)
    for route in found.split(", "):
        router.ip("route", "add", *route.split())
    assert ours.elsewhere(SLICE) is elsewhere
    assert not ours.elsewhere(SINGLE)
    ours.close()
