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

from ...wire import CriticalVendor, ReplyCode, RequestFlags
from ..effects import Security, Verdict
from .case import Case
from .replay import Freshness
from .service import Service

_RESERVED = int(RequestFlags.VAN_JACOBSON | RequestFlags.RESERVED)
_SIMULTANEOUS = int(RequestFlags.SIMULTANEOUS)
_REVERSE_TUNNEL = int(RequestFlags.REVERSE_TUNNEL)
ALL_ZERO_ONE = frozenset({0, 0xFFFFFFFF})
"""No unicast address. In the Home Agent field: assign one (RFC 4433, 2: ALL-ZERO-ONE-ADDR)."""


class Silence(enum.Enum):
    """Consequences in which nobody is answered, or not yet."""

    DROP = "silently discarded"
    ASK = "the AAA server is asked first"


Consequence = Silence | ReplyCode

RESYNC_S = 10.0
"""Seconds for which an association from the AAA server is not asked for again: a mobile node whose
key was changed there waits so long, and forged requests ask the server no more often."""


class Rule(NamedTuple):
    name: str
    section: str  # where the text says so
    broken: Callable[[Case], bool]
    consequence: Consequence
    alarm: Security | None = None
    of_deregistrations: bool = True  # asked of them too
    of_plain: bool = True  # asked of requests with nothing but NAI and authenticators too
    matters: Callable[[Service], bool] | None = None  # by configuration; None: always


def _unreadable(case: Case) -> bool:
    return case.unreadable


def _unauthorized(case: Case) -> bool:
    return not case.mobile_at and not (case.generalized_at and case.service.uses_aaa)


def _association_not_asked_for(case: Case) -> bool:
    """Its association is the AAA server's to know, and none is here, or perhaps an old one."""
    subscriber, association = case.subscriber, case.association
    if subscriber is None or subscriber.association is not None or not case.service.uses_aaa:
        return False
    if case.answer is not None:
        return False
    if association is None or not case.mobile_at:
        return True
    since = association.since
    return since is not None and case.now.steady - since > RESYNC_S and not case.mobile_valid


def _aaa_silent(case: Case) -> bool:
    return case.answer is not None and case.answer.verdict is Verdict.UNANSWERED


def _unknown(case: Case) -> bool:
    return case.association is None


def _aaa_not_asked(case: Case) -> bool:
    """All indicated authentications are carried out, the AAA server's as well as ours."""
    if not case.generalized_at or not case.service.uses_aaa or case.answer is not None:
        return False
    return not case.mobile_at or not case.retransmitted


def _aaa_rejected(case: Case) -> bool:
    return case.answer is not None and case.answer.verdict is Verdict.REJECTED


def _aaa_rejected_unknown(case: Case) -> bool:
    return case.association is None and _aaa_rejected(case)


def _unproven_but_answerable(case: Case) -> bool:
    if not case.mobile_at or case.mobile_valid:
        return False
    if case.foreign_valid:
        return True  # MUST
    return case.foreign is None and case.service.answers_bad_authenticators  # MAY


def _unproven(case: Case) -> bool:
    return not case.proven


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


def _vendor_of_mobile_node(case: Case) -> bool:
    return any(isinstance(each, CriticalVendor) for each in case.of_mobile)


def _vendor_of_foreign_agent(case: Case) -> bool:
    return any(isinstance(each, CriticalVendor) for each in case.of_foreign)


def _poorly_formed(case: Case) -> bool:
    """Also: authenticators in an order or number that proves too little; no care-of address."""
    return (
        case.poorly_formed
        or case.mobile_count > 1
        or case.nai_at > case.mobile_at > 0
        or case.mobile_at > case.generalized_at > 0
        or case.care_of_address in ALL_ZERO_ONE
    )


def _reserved_bits(case: Case) -> bool:
    return case.flags & _RESERVED != 0


def _not_our_address(case: Case) -> bool:
    """A broadcast address, in the packet or in the request, is none of ours either."""
    service = case.service
    if case.destination in service.addresses and case.home_agent in service.addresses:
        return False
    if case.destination not in service.addresses or not service.assigns_home_agent:
        return True
    return case.home_agent not in ALL_ZERO_ONE


def _home_address_not_served(case: Case) -> bool:
    """Neither its own by configuration, nor the one that it has here, nor free of others.

    What it has here does not exclude another: an answer of ours may have been lost, and another
    member have assigned one since. Its word, proven and fresh, is the latest.
    """
    claimed, subscriber = case.home_address, case.subscriber
    if not claimed or subscriber is None or subscriber.address == claimed:
        return False
    if any(row.home_address == claimed for row in case.bindings):
        return False
    remembered = any(row.home_address == claimed for row in case.rows)
    if not remembered and not subscriber.may_claim(claimed):
        return True
    return case.of_another(claimed)


def _tunnel_poorly_formed(case: Case) -> bool:
    return case.tunnel.denial is ReplyCode.POORLY_FORMED_REQUEST


def _encapsulation_unavailable(case: Case) -> bool:
    return case.tunnel.denial is ReplyCode.ENCAPSULATION


def _udp_tunnel_prohibited(case: Case) -> bool:
    return case.tunnel.denial is ReplyCode.PROHIBITED


def _udp_encapsulation_unavailable(case: Case) -> bool:
    return case.tunnel.denial is ReplyCode.UDP_ENCAPSULATION


def _reverse_tunnel_missing(case: Case) -> bool:
    return not case.flags & _REVERSE_TUNNEL


def _reverse_tunnel_refused(case: Case) -> bool:
    return case.flags & _REVERSE_TUNNEL != 0


def _too_many_bindings(case: Case) -> bool:
    limit = case.service.simultaneous_bindings
    if not case.flags & _SIMULTANEOUS or limit == 1:
        return False
    care_of = {row.care_of_address for row in case.bindings}
    return case.care_of_address not in care_of and len(care_of) >= limit


def _no_room(case: Case) -> bool:
    """For one row more. A mobile node that only moves needs none."""
    service, rows = case.service, case.rows
    if rows and (not case.flags & _SIMULTANEOUS or service.simultaneous_bindings == 1):
        return False
    return service.table.full or len(service.table) >= service.max_bindings


def _pool_empty(case: Case) -> bool:
    if case.home_address or case.known_address:
        return False
    return case.subscriber is None or not case.subscriber.pool.choose()


def _with_aaa(service: Service) -> bool:
    return service.uses_aaa


def _strict_about_bits(service: Service) -> bool:
    return service.denies_reserved_bits


def _with_reverse_tunnels_alone(service: Service) -> bool:
    return service.needs_reverse_tunnel


def _without_reverse_tunnels(service: Service) -> bool:
    return service.refuses_reverse_tunnel


RULES: tuple[Rule, ...] = (
    Rule("unreadable", "RFC 5944, 1.8", _unreadable, Silence.DROP),
    Rule(
        "no-authorization", "RFC 5944, 3.8.2.1 a",
        _unauthorized, Silence.DROP, Security.NO_ASSOCIATION,
    ),
    Rule(
        "association-not-asked-for", "RFC 4721, 8",
        _association_not_asked_for, Silence.ASK, matters=_with_aaa,
    ),
    Rule("aaa-silent", "RFC 5944, 3.8.2.1 a", _aaa_silent, Silence.DROP, matters=_with_aaa),
    Rule(
        "aaa-rejected-without-association", "RFC 5944, 3.8.2.1 a",
        _aaa_rejected_unknown, Silence.DROP, Security.AAA_REJECTED, matters=_with_aaa,
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
        "aaa-rejected", "RFC 4721, 3.4",
        _aaa_rejected, ReplyCode.AAA_AUTHENTICATION, Security.AAA_REJECTED, matters=_with_aaa,
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
        "aaa-not-asked", "RFC 5944, 3.8.2.1 a and RFC 4721, 3.4",
        _aaa_not_asked, Silence.ASK, matters=_with_aaa,
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
    Rule(
        "reserved-bits", "RFC 5944, 3.8.2.3",
        _reserved_bits, ReplyCode.POORLY_FORMED_REQUEST, matters=_strict_about_bits,
    ),
    Rule(
        "vendor-of-mobile-node", "RFC 3115, 2.1 and 3",
        _vendor_of_mobile_node, ReplyCode.VENDOR_OF_MOBILE_NODE, of_plain=False,
    ),
    Rule(
        "vendor-of-foreign-agent", "RFC 3115, 2.1 and 3",
        _vendor_of_foreign_agent, ReplyCode.VENDOR_OF_FOREIGN_AGENT, of_plain=False,
    ),
    Rule(
        "unknown-home-agent", "RFC 5944, 3.8.2.1 and 3.8.3.2",
        _not_our_address, ReplyCode.UNKNOWN_HOME_AGENT,
    ),
    Rule(
        "home-address-not-served", "RFC 5944, 3.8.3.2",
        _home_address_not_served, ReplyCode.PROHIBITED,
    ),
    Rule(
        "udp-tunnel-poorly-formed", "RFC 3519, 4.6.1",
        _tunnel_poorly_formed, ReplyCode.POORLY_FORMED_REQUEST,
        of_deregistrations=False, of_plain=False,
    ),
    Rule(
        "encapsulation-unavailable", "RFC 3024, 4.3.1",
        _encapsulation_unavailable, ReplyCode.ENCAPSULATION,
        of_deregistrations=False, of_plain=False,
    ),
    Rule(
        "udp-tunnel-prohibited", "RFC 3519, 4.6.1",
        _udp_tunnel_prohibited, ReplyCode.PROHIBITED,
        of_deregistrations=False, of_plain=False,
    ),
    Rule(
        "udp-encapsulation-unavailable", "RFC 3519, 4.1 and 4.6.1",
        _udp_encapsulation_unavailable, ReplyCode.UDP_ENCAPSULATION,
        of_deregistrations=False, of_plain=False,
    ),
    Rule(
        "reverse-tunnel-missing", "RFC 3024, 4.3.1",
        _reverse_tunnel_missing, ReplyCode.REVERSE_TUNNEL_MANDATORY,
        of_deregistrations=False, matters=_with_reverse_tunnels_alone,
    ),
    Rule(
        "reverse-tunnel-refused", "RFC 3024, 4.3.1",
        _reverse_tunnel_refused, ReplyCode.REVERSE_TUNNEL,
        of_deregistrations=False, matters=_without_reverse_tunnels,
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
        "pool-empty", "RFC 5944, 3.4 and 3.8.3.2",
        _pool_empty, ReplyCode.NO_RESOURCES, of_deregistrations=False,
    ),
)  # fmt: skip

NO_ROOM = next(rule for rule in RULES if rule.broken is _no_room)


class Rulebook:
    """The rules that matter to one Home Agent, ready for the four kinds of requests."""

    __slots__ = ("_rules",)

    def __init__(self, service: Service) -> None:
        matter = [rule for rule in RULES[1:] if rule.matters is None or rule.matters(service)]
        self._rules = {
            (deregistration, plain): tuple(
                (rule.broken, rule)
                for rule in matter
                if (rule.of_deregistrations or not deregistration) and (rule.of_plain or not plain)
            )
            for deregistration in (False, True)
            for plain in (False, True)
        }

    def first_broken(self, case: Case) -> Rule | None:
        """The rule that decides, or none: the request is accepted."""
        if case.unreadable:  # of such a request nothing else is known
            return RULES[0]
        for broken, rule in self._rules[case.lifetime == 0, case.plain]:
            if broken(case):
                return rule
        return None
