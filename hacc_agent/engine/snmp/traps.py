"""From the variables of a notification to what happened, and how many of them are listened to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..health import TrapKind
from . import objects
from .objects import Oid, Value, below

KINDS: Final[Mapping[Oid, TrapKind]] = {
    objects.COLD_START: TrapKind.COLD_START,
    objects.LINK_DOWN: TrapKind.LINK_DOWN,
    objects.LINK_UP: TrapKind.LINK_UP,
    objects.AUTHENTICATION_FAILURE: TrapKind.AUTHENTICATION_FAILURE,
    objects.C_HSRP_STATE_CHANGE: TrapKind.HSRP_STATE,
    objects.CMI_HA_MAX_BINDINGS_NOTIF: TrapKind.BINDINGS_LIMIT,
}
"""Notifications that mean something here."""

HSRP_STATES: Final = ("initial", "learn", "listen", "speak", "standby", "active")
"""cHsrpGrpStandbyState from 1; these are not the numbers on the wire."""

_DETAILS: Final[Mapping[TrapKind, tuple[Oid, ...]]] = {
    TrapKind.LINK_DOWN: (objects.IF_DESCR, objects.IF_INDEX),
    TrapKind.LINK_UP: (objects.IF_DESCR, objects.IF_INDEX),
    TrapKind.HSRP_STATE: (objects.C_HSRP_GRP_STANDBY_STATE,),
    TrapKind.BINDINGS_LIMIT: (objects.CMI_HA_MAXIMUM_BINDINGS,),
}
"""Which of its variables says more, best first."""

LONGEST: Final = 64
"""Characters of a detail: it is text of a router's, and stands in our log."""


def meaning(varbinds: Sequence[tuple[Oid, Value]]) -> tuple[TrapKind, str] | None:
    """What a notification tells, with a detail for people; None: nothing that matters here."""
    values = dict(varbinds)
    named = values.get(objects.SNMP_TRAP_OID)
    kind = KINDS.get(named) if isinstance(named, tuple) else None
    if kind is None:
        return None
    for column in _DETAILS.get(kind, ()):
        for name, value in varbinds:
            if below(name, column) is not None:
                return kind, _text(kind, value)
    return kind, ""


def _text(kind: TrapKind, value: Value) -> str:
    if kind is TrapKind.HSRP_STATE and isinstance(value, int):
        return HSRP_STATES[value - 1] if 1 <= value <= len(HSRP_STATES) else str(value)
    if isinstance(value, bytes):
        return shown(value)
    return "" if value is None else str(value)


def shown(text: bytes) -> str:
    """A router's words, as they may stand in our log and on a terminal."""
    found = text.decode("ascii", "replace")
    return "".join(one if one.isprintable() else "?" for one in found)[:LONGEST]


AT_ONCE: Final = 20
"""Notifications of one member that are read at once: all interfaces of a router that lose their
link together."""

EACH_S: Final = 0.5
"""After which one more is read."""


class Allowance:
    """A storm of notifications from one member must not hide what others have to say."""

    def __init__(self) -> None:
        self._left: dict[int, tuple[float, float]] = {}  # how many, and when that was true

    def allows(self, member: int, now: float) -> bool:
        left, at = self._left.get(member, (float(AT_ONCE), now))
        left = min(float(AT_ONCE), left + (now - at) / EACH_S)
        self._left[member] = (left - 1 if left >= 1 else left), now
        return left >= 1
