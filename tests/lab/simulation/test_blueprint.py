"""A simulated cluster is what its routers are told."""

from __future__ import annotations

import pytest

from hacc_agent.config import MemberKind, Role
from lab.simulation.blueprint import AGENT, KEEPALIVED, Unbuildable, blueprint
from tests.lab.simulation.plans import texts, west


def test_everybody_is_there_in_the_order_of_the_configuration() -> None:
    plan = west()
    assert [each.name for each in plan.controllers] == ["hacc1", "hacc2"]
    told = plan.controllers[0].members
    assert [each.name for each in plan.members] == [each.name for each in told]
    assert [each.role for each in plan.members] == [
        Role.BACKUP if each.backup else Role.HOME_AGENT for each in told
    ]


def test_a_stock_member_assigns_what_the_others_are_told_of_it() -> None:
    plan = west()
    stock = next(one for one in plan.controllers[0].members if one.kind is MemberKind.IOS)
    built = next(one for one in plan.members if one.name == stock.name)
    assert [(one.first, one.last) for one in built.realms[0].assigns] == [
        (one.network_address + 1, one.broadcast_address - 1) for one in stock.slices
    ]
    assert built.max_bindings == stock.capacity


def test_vrrp_waits_three_hellos_and_a_skew() -> None:
    succession = west().succession
    # RFC 5798, 6.1, at the standby's priority, which is one below the first one's 200 here.
    assert succession.hold_s == pytest.approx(3 * 0.2 + 0.2 * (256 - 190) / 256, abs=0.01)
    assert succession.resign_s == pytest.approx(succession.hold_s - 0.6)
    assert not succession.follows_agent


def test_hsrp_waits_its_hold_time_and_follows_the_agent() -> None:
    succession = west(hsrp=True).succession
    assert (succession.hello_s, succession.hold_s) == (0.25, 0.9)
    assert succession.follows_agent


def test_routes_and_pairs_have_the_intents_timers() -> None:
    plan = west()
    assert (plan.ospf_hello_s, plan.dead_s, plan.pair) == (1.0, 4.0, (0.2, 0.7))


def test_no_secret_is_asked_for_and_both_ends_have_the_same_key() -> None:
    plan = west()
    everybody = [*plan.controllers, *plan.members]
    assert not any(one.sealed for one in everybody)
    assert len({one.realms[0].security for one in everybody}) == 1


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"link": False}, "has no `link`"),
        ({"controllers": 1}, "1 controllers"),
        ({"files": KEEPALIVED}, "nothing moves the controllers' address"),
        ({"cluster": "east"}, "no cluster 'east'"),
        ({"files": AGENT}, "there are 0 clusters"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_cannot_be_built_is_refused_with_a_reason(broken: dict[str, object], why: str) -> None:
    told = {
        host: dict(files) for host, files in texts(link=broken.get("link", True) is True).items()
    }
    if "controllers" in broken:
        del told["hacc2"]
    for files in told.values():
        files.pop(str(broken.get("files")), None)
    with pytest.raises(Unbuildable, match=why):
        blueprint(told, str(broken.get("cluster", "")))
