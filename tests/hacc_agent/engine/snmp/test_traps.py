"""What notifications tell, and a storm of them."""

from __future__ import annotations

import pytest

from hacc_agent.engine.health import TrapKind
from hacc_agent.engine.snmp import objects
from hacc_agent.engine.snmp.objects import Oid, Value
from hacc_agent.engine.snmp.traps import AT_ONCE, EACH_S, LONGEST, Allowance, meaning

UPTIME: tuple[Oid, Value] = ((*objects.SYS_UP_TIME, 0), 12)


def named(notification: Value) -> tuple[Oid, Value]:
    return objects.SNMP_TRAP_OID, notification


@pytest.mark.parametrize(
    ("varbinds", "expected"),
    [
        (
            (named(objects.LINK_DOWN), ((*objects.IF_INDEX, 7), 7)),
            (TrapKind.LINK_DOWN, "7"),
        ),
        (
            (named(objects.LINK_UP), ((*objects.IF_INDEX, 7), 7), ((*objects.IF_DESCR, 7), b"Gi1")),
            (TrapKind.LINK_UP, "Gi1"),
        ),
        (
            (named(objects.C_HSRP_STATE_CHANGE), ((*objects.C_HSRP_GRP_STANDBY_STATE, 2, 10), 5)),
            (TrapKind.HSRP_STATE, "standby"),
        ),
        (
            (named(objects.C_HSRP_STATE_CHANGE), ((*objects.C_HSRP_GRP_STANDBY_STATE, 2, 10), 16)),
            (TrapKind.HSRP_STATE, "16"),
        ),
        ((named(objects.AUTHENTICATION_FAILURE),), (TrapKind.AUTHENTICATION_FAILURE, "")),
        ((named(objects.COLD_START),), (TrapKind.COLD_START, "")),
        (
            (named(objects.CMI_HA_MAX_BINDINGS_NOTIF), ((*objects.CMI_HA_MAXIMUM_BINDINGS, 0), 9)),
            (TrapKind.BINDINGS_LIMIT, "9"),
        ),
        (
            (named(objects.LINK_DOWN), ((*objects.IF_DESCR, 1), b"a\nb\x1b[2J\xff" + b"x" * 200)),
            (TrapKind.LINK_DOWN, ("a?b?[2J\ufffd" + "x" * 200)[:LONGEST]),
        ),
        ((named((1, 3, 6, 1, 4, 1, 9, 9, 43, 2, 0, 1)),), None),  # a change of configuration
        ((named(5),), None),
        ((named(None),), None),
        ((), None),
    ],
)
def test_meaning(
    varbinds: tuple[tuple[Oid, Value], ...], expected: tuple[TrapKind, str] | None
) -> None:
    assert meaning((UPTIME, *varbinds)) == expected


def test_a_storm_is_cut_and_others_are_heard() -> None:
    allowance = Allowance()
    heard = [allowance.allows(1, n / 100) for n in range(1000)]
    assert all(heard[:AT_ONCE])
    assert sum(heard) == AT_ONCE + int(10 / EACH_S) - 1
    assert allowance.allows(2, 10.0)
    assert allowance.allows(1, 1000.0)
