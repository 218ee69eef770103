"""What a member of ours serves: MIP-MIB, parts of CISCO-MOBILE-IP-MIB, and an IOS router's load.

Linux has no names of its own for what a Home Agent does, so the names are those that managers of
Home Agents know already, and our controllers read every member in the same way. An object that we
have nothing to say in is not there: the table of counters of each mobile node (haCounterTable),
which this Home Agent does not keep, and all that needs ARP.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ...wire.agentx import Kind, Name, VarBind
from ..effects import Alarm, Moment, Security
from . import objects
from .view import Leaves, Value


@dataclass(frozen=True, slots=True)
class Served:
    """What a member knows of itself."""

    bindings: int
    capacity: int
    counters: Mapping[str, int]  # by their names in MIP-MIB
    denied: int  # replies with a code that denies
    discarded: int  # datagrams without a reply
    aaa_failures: int
    cpu_percent: float | None  # of the router (`resources`)
    memory_free_percent: float | None
    memory_octets: int | None  # that the router may use
    encapsulations: int  # BITS of mipEncapsulationSupported, an octet
    version: str


ROOTS: Final = (
    objects.MIP_MIB,
    objects.CMI,
    objects.CPM_CPU_TOTAL_5SEC_REV,
    objects.CEMP_MEM_POOL_NAME,
    objects.CEMP_MEM_POOL_HC_USED,
    objects.CEMP_MEM_POOL_HC_FREE,
)
"""What is registered with the router's SNMP agent."""

SAMPLES_S: Final = 5.0
MINUTE: Final = 12
"""Samples in one."""

_ROW: Final = (1,)  # the one processor
_POOL: Final = (1, 1)  # of the one entity, its one pool
_VIOLATIONS: Final = ("haMNAuthenticationFailure", "haFAAuthenticationFailure", "haIDMismatch")

_SCALARS: Final = (
    objects.MIP_ENTITIES,
    objects.MIP_ENABLE,
    objects.MIP_ENCAPSULATION_SUPPORTED,
    objects.MIP_SEC_TOTAL_VIOLATIONS,
    objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS,
    objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS,
    objects.CMI_HA_REG_MAX_PROC_LOC_IN_MIN_REGS,
    objects.CMI_HA_REG_PROC_LOC_IN_LAST_MIN_REGS,
    objects.CMI_HA_REG_REQUESTS_RECEIVED,
    objects.CMI_HA_REG_REQUESTS_DENIED,
    objects.CMI_HA_REG_REQUESTS_DISCARDED,
    objects.CMI_HA_MN_HA_AUTH_FAILURES,
    objects.CMI_HA_MN_AAA_AUTH_FAILURES,
    objects.CMI_HA_MAXIMUM_BINDINGS,
    objects.CMI_HA_SYSTEM_VERSION,
    *((*objects.HA_REGISTRATION, number) for number in objects.HA_REGISTRATION_SCALARS.values()),
)
_NAMES: Final = (
    *((*name, 0) for name in _SCALARS),
    (*objects.CPM_CPU_TOTAL_5SEC_REV, *_ROW),
    (*objects.CEMP_MEM_POOL_NAME, *_POOL),
    (*objects.CEMP_MEM_POOL_HC_USED, *_POOL),
    (*objects.CEMP_MEM_POOL_HC_FREE, *_POOL),
)


class Minute:
    """How many registrations there were in the last minute, and in the busiest one."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=MINUTE + 1)
        self.last = self.most = 0

    def note(self, total: int, now: float) -> None:
        """Called often; samples are taken as they fall due."""
        if not self._samples or now - self._samples[-1][0] >= SAMPLES_S:
            self._samples.append((now, total))
        self.last = total - self._samples[0][1]
        self.most = max(self.most, self.last)


def leaves(served: Callable[[], Served], minute: Minute) -> Leaves:
    """All but the table of bindings."""

    def read(now: Moment) -> Mapping[Name, Value]:
        found = served()
        counters = found.counters
        requests = counters["haRegRequestsReceived"]  # deregistrations too
        minute.note(requests, now.steady)
        values: dict[Name, Value] = {
            objects.MIP_ENTITIES: (Kind.OCTET_STRING, b"\x20"),  # homeAgent(2)
            objects.MIP_ENABLE: (Kind.INTEGER, 1),
            objects.MIP_ENCAPSULATION_SUPPORTED: (
                Kind.OCTET_STRING,
                bytes([found.encapsulations]),
            ),
            objects.MIP_SEC_TOTAL_VIOLATIONS: _counter(
                sum(counters[name] for name in _VIOLATIONS) + found.aaa_failures
            ),
            objects.CMI_HA_REG_TOTAL_MOBILITY_BINDINGS: (Kind.GAUGE32, found.bindings),
            objects.CMI_HA_REG_TOTAL_PROC_LOC_REGS: _counter(requests),
            objects.CMI_HA_REG_MAX_PROC_LOC_IN_MIN_REGS: (Kind.GAUGE32, minute.most),
            objects.CMI_HA_REG_PROC_LOC_IN_LAST_MIN_REGS: (Kind.GAUGE32, minute.last),
            objects.CMI_HA_REG_REQUESTS_RECEIVED: _counter(requests),
            objects.CMI_HA_REG_REQUESTS_DENIED: _counter(found.denied),
            objects.CMI_HA_REG_REQUESTS_DISCARDED: _counter(found.discarded),
            objects.CMI_HA_MN_HA_AUTH_FAILURES: _counter(counters["haMNAuthenticationFailure"]),
            objects.CMI_HA_MN_AAA_AUTH_FAILURES: _counter(found.aaa_failures),
            objects.CMI_HA_MAXIMUM_BINDINGS: (Kind.GAUGE32, found.capacity),
            objects.CMI_HA_SYSTEM_VERSION: (Kind.OCTET_STRING, found.version.encode()),
        }
        for name, number in objects.HA_REGISTRATION_SCALARS.items():
            values[*objects.HA_REGISTRATION, number] = _counter(counters[name])
        return {(*name, 0): value for name, value in values.items()} | _load(found)

    return Leaves(_NAMES, read)


def _load(found: Served) -> dict[Name, Value]:
    values: dict[Name, Value] = {}
    if found.cpu_percent is not None:
        percent = round(found.cpu_percent)
        values[*objects.CPM_CPU_TOTAL_5SEC_REV, *_ROW] = Kind.GAUGE32, percent
    if found.memory_free_percent is not None and found.memory_octets is not None:
        free = int(found.memory_octets * found.memory_free_percent / 100)
        values[*objects.CEMP_MEM_POOL_NAME, *_POOL] = Kind.OCTET_STRING, b"router"
        values[*objects.CEMP_MEM_POOL_HC_FREE, *_POOL] = Kind.COUNTER64, free
        values[*objects.CEMP_MEM_POOL_HC_USED, *_POOL] = (
            Kind.COUNTER64,
            found.memory_octets - free,
        )
    return values


def _counter(count: int) -> Value:
    return Kind.COUNTER32, count & 0xFFFF_FFFF


# ---------------------------------------------------------------------- notifications


class Reason(enum.IntEnum):
    """mipSecRecentViolationReason (RFC 2006)."""

    NO_ASSOCIATION = 1
    BAD_AUTHENTICATOR = 2
    BAD_IDENTIFIER = 3


_REASONS: Final = {
    Security.NO_ASSOCIATION: Reason.NO_ASSOCIATION,
    Security.MOBILE_AUTHENTICATOR: Reason.BAD_AUTHENTICATOR,
    Security.FOREIGN_AUTHENTICATOR: Reason.BAD_AUTHENTICATOR,
    Security.AAA_REJECTED: Reason.BAD_AUTHENTICATOR,
    Security.REVOCATION: Reason.BAD_AUTHENTICATOR,
    Security.REPLAY: Reason.BAD_IDENTIFIER,
}

VIOLATIONS_S: Final = 10.0
"""Between two notifications of violations: whoever sends us bad requests decides on their number,
and must not flood our managers."""

ARMED: Final = 0.95
"""Of the capacity: below, reaching it is news again."""


class Notices:
    """Which notifications are due."""

    def __init__(self) -> None:
        self._violation_at = float("-inf")
        self._armed = True

    def violation(self, alarm: Alarm, now: Moment) -> list[VarBind]:
        """mipAuthFailure, at most one in `VIOLATIONS_S`; nothing for other alarms."""
        reason = _REASONS.get(alarm.reason)
        if reason is None or now.steady - self._violation_at < VIOLATIONS_S:
            return []
        self._violation_at = now.steady
        violator = alarm.source.address.to_bytes(4, "big")

        def column(number: int, value: Value) -> VarBind:
            return VarBind((*objects.MIP_SEC_VIOLATION_ENTRY, number, *violator), *value)

        spi = (alarm.spi ^ 0x8000_0000) - 0x8000_0000
        return [
            _named(objects.MIP_AUTH_FAILURE),
            column(1, (Kind.IP_ADDRESS, violator)),
            column(3, (Kind.INTEGER, spi)),
            column(5, (Kind.INTEGER, 0)),  # an Identification that nobody authenticated
            column(6, (Kind.INTEGER, 0)),
            column(7, (Kind.INTEGER, reason)),
        ]

    def bindings(self, count: int, capacity: int) -> list[VarBind]:
        """cmiHaMaxBindingsNotif, when the capacity is reached."""
        if count < ARMED * capacity:
            self._armed = True
        if count < capacity or not self._armed:
            return []
        self._armed = False
        return [
            _named(objects.CMI_HA_MAX_BINDINGS_NOTIF),
            VarBind((*objects.CMI_HA_MAXIMUM_BINDINGS, 0), Kind.GAUGE32, capacity),
        ]


def _named(notification: Name) -> VarBind:
    return VarBind(objects.SNMP_TRAP_OID, Kind.OBJECT_IDENTIFIER, notification)
