"""Names by role become routers."""

from __future__ import annotations

import pytest

from hacc_agent.drills.drill import Target
from hacc_agent.drills.faults import Role
from hacc_agent.drills.measured import Member, Standing
from hacc_agent.drills.targets import WORDS, NobodyThere, members_of, routers_of

WEST = Standing(
    ("hacc1", "hacc2"),
    "hacc2",
    (
        Member("ha1", ("ha1",), True, False, "up", 300, 0),
        Member("ha2", ("ha2",), True, False, "up", 200, 0),
        Member("west-ios", ("ios1", "ios2"), False, False, "up", 900, 0),
        Member("ha9", ("ha9",), True, True, "up", 0, 0),
    ),
)


@pytest.mark.parametrize(
    ("role", "which", "routers"),
    [
        ("member", "busiest", ("ha1",)),
        ("member", "idlest", ("ha2",)),
        ("member", "stock", ("ios1",)),
        ("member", "west-ios", ("ios1", "ios2")),
        ("member", "ha9", ("ha9",)),
        ("member", "struck", ("ha2",)),
        ("member", "all", ("ha1", "ha2", "ios1", "ios2", "ha9")),
        ("controller", "active", ("hacc2",)),
        ("controller", "standby", ("hacc1",)),
        ("controller", "all", ("hacc1", "hacc2")),
        ("router", "ios2", ("ios2",)),
        ("router", "all", ("hacc1", "hacc2", "ha1", "ha2", "ios1", "ios2", "ha9")),
    ],
)
def test_a_role_is_whoever_has_it_now(role: str, which: str, routers: tuple[str, ...]) -> None:
    assert routers_of([Target(Role(role), which)], WEST, struck=["ha2"]) == routers


def test_every_word_of_the_table_is_understood() -> None:
    for role, which in WORDS.items():
        for one in which:
            assert routers_of([Target(role, one)], WEST, struck=["ha1"])


def test_a_router_is_struck_once_though_two_targets_mean_it() -> None:
    both = [Target(Role.MEMBER, "busiest"), Target(Role.ROUTER, "ha1")]
    assert routers_of(both, WEST) == ("ha1",)


def test_the_member_of_a_router_has_its_own_name() -> None:
    assert members_of([Target(Role.ROUTER, "ios2")], WEST) == ("west-ios",)
    assert members_of([Target(Role.CONTROLLER, "active")], WEST) == ()


@pytest.mark.parametrize(
    ("role", "which", "standing"),
    [
        ("controller", "active", Standing(("hacc1", "hacc2"), None, WEST.members)),
        ("controller", "standby", Standing(("hacc2",), "hacc2", WEST.members)),
        ("member", "stock", Standing(("hacc1",), "hacc1", WEST.members[:2])),
        ("member", "struck", Standing(("hacc1",), "hacc1", WEST.members)),
        ("router", "paris", WEST),
    ],
)
def test_nobody_is_said_to_be_nobody(role: str, which: str, standing: Standing) -> None:
    with pytest.raises(NobodyThere):
        routers_of([Target(Role(role), which)], standing)
