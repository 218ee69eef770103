"""The member: requests in, records and replies out.

Nothing here changes the table but `apply`, and what it is given are the records that were made of
a decision: a Home Agent that replays its journal, or takes over another one's bindings, goes the
same way. So what was answered and what is remembered cannot differ.

The order of effects is the contract of `engine/effects`: what has to be kept, the reply, what an
operator has to hear of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ...config import AgentConfig
from ...wire import MessageType, ReplyCode
from ...wire.messages import REPLY
from ..effects import Alarm, Effect, Endpoint, Log, Moment, Send
from ..record import OCTETS, RECORD, STRUCT, Kind, Row, Trait
from ..table import Table
from .acceptance import accept, closed, remember_nonce
from .case import Case
from .counters import Counters
from .decisions import Rule, first_broken
from .replay import outstanding_nonce, resynchronized, with_nonce
from .service import Service

_REQUEST = int(MessageType.REGISTRATION_REQUEST)
_REPLY = int(MessageType.REGISTRATION_REPLY)
_ACCEPTED = int(ReplyCode.ACCEPTED)
_ONE_BINDING = int(ReplyCode.ACCEPTED_ONE_BINDING)
_STALE = int(ReplyCode.IDENTIFICATION_MISMATCH)
_UNPROVEN = int(ReplyCode.MOBILE_NODE_AUTHENTICATION)
_DYNAMIC = int(Trait.DYNAMIC)
_pack_reply = REPLY.pack

SCAN_S: Final = 1.0
"""Seconds between looks for what has expired: lifetimes have the granularity of a second."""

AT_ONCE: Final = 512
"""Rows that one call of `handle_timer` ends: about 10 ms, so that requests do not wait longer."""

FEW: Final = 16
"""Records up to which one at a time is quicker than all as columns."""


class HomeAgent:
    """One member of the cluster (RFC 5944, 3.8). Pure: time and randomness are arguments."""

    def __init__(self, config: AgentConfig, table: Table, token: Callable[[int], bytes]) -> None:
        self._service = Service(config, table, token)
        self._table = table
        self._pools = [s.pool for s in self._service.directory.subscribers if s.pool.size]
        self._next_scan = 0.0
        self.counters = Counters()

    # ------------------------------------------------------------------ datagrams

    def receive(
        self, payload: bytes, source: Endpoint, destination: int, now: Moment
    ) -> list[Effect]:
        """What follows from one datagram to port 434."""
        kind = payload[0] if payload else 0
        if kind == _REQUEST:
            return self._request(Case(self._service, payload, source, destination, now))
        self.counters.discarded["not-for-a-home-agent"] += 1
        return []

    def _request(self, case: Case) -> list[Effect]:
        if not case.unreadable:
            self.counters.requests[case.lifetime == 0] += 1
        broken = first_broken(case)
        return self._accepted(case) if broken is None else self._refused(case, broken)

    def _accepted(self, case: Case) -> list[Effect]:
        association = case.association
        assert association is not None
        nonce = int.from_bytes(self._service.token(4), "big") if association.nonces else 0
        granted = accept(case, nonce)
        effects: list[Effect] = []
        if granted.records:
            self.apply(granted.records)
            effects.append(Log(granted.records))
        else:
            self.counters.retransmissions += 1
        identification = case.identification
        if association.nonces:
            identification = with_nonce(identification, granted.nonce)
        code = _ONE_BINDING if self._service.simultaneous_bindings == 1 else _ACCEPTED
        home_address = case.home_address or granted.home_address
        effects.append(self._reply(case, code, granted.lifetime, home_address, identification))
        return effects

    def _refused(self, case: Case, rule: Rule) -> list[Effect]:
        effects: list[Effect] = []
        consequence = rule.consequence
        if isinstance(consequence, ReplyCode):
            code = int(consequence)
            identification, records = self._identification_of_denial(case, code)
            if records:
                self.apply(records)
                effects.append(Log(records))
            home_address = case.home_address
            effects.append(self._reply(case, code, 0, home_address, identification))
        else:
            self.counters.discarded[rule.name] += 1
        if rule.alarm is not None:
            effects.append(Alarm(rule.alarm, case.source, case.mobile, case.spi))
        return effects

    def _identification_of_denial(self, case: Case, code: int) -> tuple[int, bytes]:
        """The reply's Identification (RFC 5944, 5.7), and records if a nonce has to be kept."""
        association = case.association
        assert association is not None
        if code == _UNPROVEN:
            return case.identification, b""  # nothing that it says is believed
        if not association.nonces:
            if code == _STALE:
                return resynchronized(case.identification, case.now.wall), b""
            return case.identification, b""
        nonce = outstanding_nonce(case.rows, association.spi)
        records = b""
        if nonce is None or nonce == case.identification >> 32:
            nonce = int.from_bytes(self._service.token(4), "big")
            records = remember_nonce(case, nonce)
        return with_nonce(case.identification, nonce), records

    def _reply(
        self, case: Case, code: int, lifetime: int, home_address: int, identification: int
    ) -> Send:
        """In the order of RFC 5944, 3.8.3.3."""
        association = case.association
        assert association is not None
        message = _pack_reply(
            _REPLY, code, lifetime, home_address, case.granted_home_agent, identification
        )
        message = association.seal(message + case.nai_extension)
        if case.foreign is not None:
            message = case.foreign.seal(message)
        self.counters.codes[code] += 1
        self.counters.replies[case.lifetime == 0] += 1
        destination, source = self._service.way_back(case.source, case.destination)
        return Send(message, destination, source)

    # ------------------------------------------------------------------ time

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do, s of the steady clock; None: never."""
        return self._next_scan if len(self._table) else None

    def handle_timer(self, now: Moment) -> list[Effect]:
        """Ends what has expired (RFC 5944, 3.8.2.2)."""
        if now.steady < self._next_scan:
            return []
        expired = self._table.expired(int(now.steady))
        at_once = expired[:AT_ONCE]
        self._next_scan = now.steady if len(at_once) < len(expired) else now.steady + SCAN_S
        if not len(at_once):
            return []
        tolerance = self._service.tolerance
        records = b"".join(
            closed(self._table.get(int(row)), now.steady, now.wall, tolerance) for row in at_once
        )
        self.apply(records)
        return [Log(records)]

    # ------------------------------------------------------------------ state

    def apply(self, records: bytes) -> None:
        """Records of ours, of our journal, of a member whose bindings we take over: all one."""
        self._table.apply(records)
        if not self._pools:
            return
        if len(records) <= FEW * OCTETS:
            for at in range(0, len(records), OCTETS):
                self._tell_pools(records, at)
        else:
            self._tell_pools_many(records)

    def _tell_pools(self, records: bytes, at: int) -> None:
        kind = records[at]
        if kind not in (Kind.BINDING, Kind.CLOSED, Kind.UNBOUND):
            return
        row = Row._make(STRUCT.unpack_from(records, at))
        if kind != Kind.UNBOUND:
            if row.traits & _DYNAMIC:
                any(pool.take(row.home_address) for pool in self._pools)
        elif not self._table.find(row.home_address, None):
            any(pool.free(row.home_address) for pool in self._pools)

    def _tell_pools_many(self, records: bytes) -> None:
        rows = np.frombuffer(records, RECORD)
        held = (rows["kind"] == Kind.BINDING) | (rows["kind"] == Kind.CLOSED)
        addresses = rows["home_address"][held & (rows["traits"] & _DYNAMIC != 0)]
        ended = rows["home_address"][rows["kind"] == Kind.UNBOUND]
        free = ended[self._table.find_addresses(ended) == 0]
        for pool in self._pools:
            pool.mark(addresses, taken=True)
            pool.mark(free, taken=False)
