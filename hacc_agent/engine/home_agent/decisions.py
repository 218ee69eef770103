"""What is wrong with a Registration Request, and what follows: RFC 5944, 3.8.2, as one table.

The rules are asked in order, and the first one that is broken decides. The order is the RFC's, and
it is a story of trust. What cannot be read to its end is nobody's, and is dropped. Then who sent
it: without a key that both ends share no answer would be believed either, so there is none; with a
wrong authenticator there is one answer, 131, and only where the text allows it; with a stale
Identification there is another, 133, which tells the mobile node how to do better. Then the same
for the Foreign Agent on the way. From there on the request is authentic, and every denial says what
the mobile node or its operator may change: its form, the Home Agent, the home address, the tunnel.
What only a lack of room forbids comes last, since it may be true no more in a minute.

A denial has no effect on bindings that exist (3.8.2.3). Deregistrations ask for nothing, so rules
about what would be granted are not asked of them.

An invalid UDP checksum (3.8.2.1) never comes here: the kernel drops it, or the shell that reads
frames does.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

from ...wire import ReplyCode, RequestFlags
from ..effects import Security
from .case import Case
from .replay import Freshness

_RESERVED = int(RequestFlags.VAN_JACOBSON | RequestFlags.RESERVED)
_SIMULTANEOUS = int(RequestFlags.SIMULTANEOUS)
ALL_ZERO_ONE = frozenset({0, 0xFFFFFFFF})
"""No unicast address. In the Home Agent field: assign one (RFC 4433, 2: ALL-ZERO-ONE-ADDR)."""


class Silence(enum.Enum):
    """Consequences in which nobody is answered."""

    DROP = "silently discarded"


Consequence = Silence | ReplyCode


class Rule(NamedTuple):
    name: str
    section: str  # where the text says so
    broken: Callable[[Case], bool]
    consequence: Consequence
    alarm: Security | None = None
    of_deregistrations: bool = True  # asked of them too


def _unreadable(case: Case) -> bool:
    return case.unreadable


def _unauthorized(case: Case) -> bool:
    return not case.mobile_at and not case.generalized_at


def _unknown(case: Case) -> bool:
    return case.association is None


def _unproven_but_answerable(case: Case) -> bool:
    if case.mobile_valid:
        return False
    if case.foreign_valid:
        return True  # MUST
    return case.foreign is None and case.service.answers_bad_authenticators  # MAY


def _unproven(case: Case) -> bool:
    return not case.mobile_valid


def _stale(case: Case) -> bool:
    freshness = case.freshness
    if freshness is Freshness.RETRANSMITTED:
        return not case.service.answers_duplicates
    return freshness is Freshness.STALE


def _foreign_agent_unproven(case: Case) -> bool:
    if case.foreign is None or (not case.lifetime and not case.service.checks_deregistrations):
        return False
    return not case.foreign_valid


def _foreign_agent_unknown(case: Case) -> bool:
    return case.foreign is None and case.foreign_count > 0


def _poorly_formed(case: Case) -> bool:
    """Also: two Mobile-Home authenticators, an NAI that none covers, no care-of address."""
    return (
        case.poorly_formed
        or case.mobile_count > 1
        or case.nai_at > case.mobile_at > 0
        or case.care_of_address in ALL_ZERO_ONE
    )


def _reserved_bits(case: Case) -> bool:
    return case.service.denies_reserved_bits and case.flags & _RESERVED != 0


def _not_our_address(case: Case) -> bool:
    if case.destination not in case.service.addresses:
        return True
    return case.home_agent not in case.service.addresses and case.home_agent not in ALL_ZERO_ONE


def _home_address_not_served(case: Case) -> bool:
    """Neither its own by configuration, nor the one that was assigned, nor free in its pool."""
    claimed, subscriber = case.home_address, case.subscriber
    if not claimed or subscriber is None or subscriber.address == claimed:
        return False
    rows = case.rows
    if rows and rows[0].home_address:
        return rows[0].home_address != claimed
    if not subscriber.may_claim(claimed):
        return True
    table = case.service.table
    at = table.find(claimed, None)
    return bool(at) and table.get(at).nai != table.hash_nai(case.key[1] or b"")


def _too_many_bindings(case: Case) -> bool:
    limit = case.service.simultaneous_bindings
    if not case.flags & _SIMULTANEOUS or limit == 1:
        return False
    care_of = {row.care_of_address for row in case.bindings}
    return case.care_of_address not in care_of and len(care_of) >= limit


def _no_room(case: Case) -> bool:
    service = case.service
    if case.rows:
        return False
    return service.table.full or len(service.table) >= service.max_bindings


def _pool_empty(case: Case) -> bool:
    if case.home_address or (case.rows and case.rows[0].home_address):
        return False
    return case.subscriber is None or not case.subscriber.pool.choose()


RULES: tuple[Rule, ...] = (
    Rule("unreadable", "RFC 5944, 1.8", _unreadable, Silence.DROP),
    Rule(
        "no-authorization", "RFC 5944, 3.8.2.1 a",
        _unauthorized, Silence.DROP, Security.NO_ASSOCIATION,
    ),
    Rule(
        "no-association", "RFC 5944, 3.8.2.1 a",
        _unknown, Silence.DROP, Security.NO_ASSOCIATION,
    ),
    Rule(
        "bad-mobile-authenticator", "RFC 5944, 3.8.2.1 a",
        _unproven_but_answerable, ReplyCode.MOBILE_NODE_AUTHENTICATION,
        Security.MOBILE_AUTHENTICATOR,
    ),
    Rule(
        "bad-mobile-authenticator-unanswered", "RFC 5944, 3.8.2.1 a",
        _unproven, Silence.DROP, Security.MOBILE_AUTHENTICATOR,
    ),
    Rule(
        "stale-identification", "RFC 5944, 3.8.2.1 b and 5.7",
        _stale, ReplyCode.IDENTIFICATION_MISMATCH, Security.REPLAY,
    ),
    Rule(
        "bad-foreign-authenticator", "RFC 5944, 3.8.2.1 c",
        _foreign_agent_unproven, ReplyCode.FOREIGN_AGENT_AUTHENTICATION,
        Security.FOREIGN_AUTHENTICATOR,
    ),
    Rule(
        "unexpected-foreign-authenticator", "RFC 5944, 3.8.2.1 d",
        _foreign_agent_unknown, Silence.DROP, Security.FOREIGN_AUTHENTICATOR,
    ),
    Rule("poorly-formed", "RFC 5944, 3.8.2.3", _poorly_formed, ReplyCode.POORLY_FORMED_REQUEST),
    Rule("reserved-bits", "RFC 5944, 3.8.2.3", _reserved_bits, ReplyCode.POORLY_FORMED_REQUEST),
    Rule(
        "unknown-home-agent", "RFC 5944, 3.8.2.1 and 3.8.3.2",
        _not_our_address, ReplyCode.UNKNOWN_HOME_AGENT,
    ),
    Rule(
        "home-address-not-served", "RFC 5944, 3.8.3.2",
        _home_address_not_served, ReplyCode.PROHIBITED,
    ),
    Rule(
        "too-many-bindings", "RFC 5944, 3.8.2.3",
        _too_many_bindings, ReplyCode.TOO_MANY_BINDINGS, of_deregistrations=False,
    ),
    Rule(
        "no-room", "RFC 5944, 3.4",
        _no_room, ReplyCode.NO_RESOURCES, of_deregistrations=False,
    ),
    Rule(
        "pool-empty", "RFC 5944, 3.4 and RFC 2794",
        _pool_empty, ReplyCode.NO_RESOURCES, of_deregistrations=False,
    ),
)  # fmt: skip

_OF_DEREGISTRATIONS = tuple(rule for rule in RULES if rule.of_deregistrations)


def first_broken(case: Case) -> Rule | None:
    """The rule that decides, or none: the request is accepted."""
    if case.unreadable:
        return RULES[0]
    for rule in RULES if case.lifetime else _OF_DEREGISTRATIONS:
        if rule.broken(case):
            return rule
    return None
