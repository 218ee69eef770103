"""The member: requests in, records and replies out.

Nothing here changes the table but `apply`, and what it is given are the records that were made of
a decision: a Home Agent that replays its journal, or takes over another one's bindings, goes the
same way. So what was answered and what is remembered cannot differ.

The order of effects is the contract of `engine/effects`: what has to be kept, the reply, what an
operator has to hear of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...config import AgentConfig
from ...wire import (
    MessageType,
    RegistrationRevocation,
    ReplyCode,
    RevocationAcknowledgement,
    RevocationFlags,
    TunnelData,
    WireError,
    parse,
)
from ...wire.messages import REPLY
from ..batch import Batch, Outcome, one_by_one
from ..effects import Alarm, Answer, Effect, Endpoint, Log, Moment, Security, Send, Verdict
from ..networks import MobileNetworks
from ..record import RECORD, STRUCT, Kind, Row, Trait
from ..table import Refused, Table
from . import keepalive, revocation, takeover
from .acceptance import (
    accept,
    closed,
    forgotten_soon,
    remember_nonce,
    remembered,
    unbound,
    withdrawn,
)
from .associations import mobile_association
from .case import Case
from .counters import Counters
from .decisions import NO_ROOM, Rule, Rulebook, Silence
from .questions import Questions
from .quick import DigestKey, Fit, Quick
from .replay import outstanding_nonce, resynchronized, timestamp, with_nonce
from .service import Service
from .state import State
from .timekeeping import Timekeeping

_REQUEST = int(MessageType.REGISTRATION_REQUEST)
_REPLY = int(MessageType.REGISTRATION_REPLY)
_ACCEPTED = int(ReplyCode.ACCEPTED)
_ONE_BINDING = int(ReplyCode.ACCEPTED_ONE_BINDING)
_STALE = int(ReplyCode.IDENTIFICATION_MISMATCH)
_BINDING = int(Kind.BINDING)
_pack_reply = REPLY.pack

SCAN_S: Final = 1
"""Seconds between looks for what has expired, at whole seconds, as lifetimes end: when it looks
does not depend on when it was started."""

AT_ONCE: Final = 256
"""Rows that one call of `handle_timer` ends: some 10 ms, so that requests do not wait longer."""


class HomeAgent:
    """One member of the cluster (RFC 5944, 3.8). Pure: time and randomness are arguments."""

    def __init__(self, config: AgentConfig, table: Table, token: Callable[[int], bytes]) -> None:
        self._service = Service(config, table, token)
        self._rulebook = Rulebook(self._service)
        self._table = table
        pools = [s.pool for s in self._service.directory.subscribers if s.pool.size]
        self._state = State(table, pools, self._service.mobile_networks)
        self._next_scan = 0.0
        self._questions = Questions()
        self._revocations = revocation.Outstanding(self._service)
        self._time = Timekeeping(self._service.tolerance)
        self.counters = Counters()
        self._quick: Quick | None = None

    @property
    def networks(self) -> MobileNetworks:
        """Those behind its mobile routers."""
        return self._service.mobile_networks

    # ------------------------------------------------------------------ datagrams

    def receive(
        self, payload: bytes, source: Endpoint, destination: int, now: Moment
    ) -> list[Effect]:
        """What follows from one datagram to port 434."""
        now = self.time(now)
        if self._service.from_overtaken(source, destination):
            return self._discard("controller-overtaken")
        if source.link and destination == self._service.home_agent_address:
            self._revocations.link = source.link
        if payload and payload[0] == _REQUEST:
            return self._request(Case(self._service, payload, source, destination, now))
        try:
            message = parse(payload)
        except WireError:
            return self._discard("unreadable")
        match message:
            case RegistrationRevocation():
                return self._revocation(message, payload, source, destination, now)
            case RevocationAcknowledgement():
                return self._acknowledgement(message, payload, source)
            case TunnelData():
                return self._tunnel_data(message, source, destination)
        return self._discard("not-for-a-home-agent")

    def receive_batch(self, batch: Batch, destination: NDArray[Any], now: Moment) -> Outcome:
        """The same of many, which came to these addresses."""
        now = self.time(now)
        if self._quick is not None:
            return self._quick.receive(batch, destination, now, self._came_by)
        addresses = iter(destination[: batch.count].tolist())
        return one_by_one(
            batch, lambda payload, source: self.receive(payload, source, next(addresses), now)
        )

    def quicken(self, fit: Fit, digest_key: DigestKey) -> None:
        """From now on batches go through compiled code: `kernels.serving`."""
        self._quick = Quick(self._service, self._table, self.receive, self._count, fit, digest_key)

    def _count(self, code: int, accepted: int) -> None:
        """Registrations that were granted."""
        counters = self.counters
        counters.requests[0] += accepted
        counters.replies[0] += accepted
        counters.codes[code] += accepted

    def _came_by(self, link: int) -> None:
        self._revocations.link = link

    def answered(self, number: int, answer: Answer, now: Moment) -> list[Effect]:
        """What the AAA server said to a question (`AskAaa`). The request is judged anew."""
        now = self.time(now)
        question = self._questions.close(number)
        if question is None:
            return []
        service = self._service
        if answer.verdict is Verdict.ACCEPTED and answer.security is not None:
            learned = mobile_association(answer.security, now.steady)
            assert learned is not None
            if len(service.learned) >= max(1, service.max_bindings):
                service.learned.pop(next(iter(service.learned)))  # the oldest one
            service.learned.pop(question.name, None)
            service.learned[question.name] = learned
        case = Case(service, question.payload, question.source, question.destination, now, answer)
        return self._decided(case)

    def _discard(self, reason: str) -> list[Effect]:
        self.counters.discarded[reason] += 1
        return []

    # ------------------------------------------------------------------ registration

    def _request(self, case: Case) -> list[Effect]:
        if not case.unreadable:
            self.counters.requests[case.lifetime == 0] += 1
        return self._decided(case)

    def _decided(self, case: Case) -> list[Effect]:
        broken = self._rulebook.first_broken(case)
        if broken is None:
            return self._accepted(case)
        if broken.consequence is Silence.ASK:
            return self._ask(case)
        return self._refused(case, broken)

    def _accepted(self, case: Case) -> list[Effect]:
        association, service = case.association, self._service
        assert association is not None
        nonce = int.from_bytes(service.token(4), "big") if association.nonces else 0
        try:
            granted = accept(case, nonce)
        except Refused:  # no room for its name
            return self._refused(case, NO_ROOM)
        effects: list[Effect] = []
        if granted.records:
            self._state.apply(granted.records)
            effects.append(Log(granted.records))
        else:
            self.counters.retransmissions += 1
        identification = case.identification
        if association.nonces:
            identification = with_nonce(identification, granted.nonce)
        code = _ONE_BINDING if service.simultaneous_bindings == 1 else _ACCEPTED
        home_address = case.home_address or granted.home_address
        effects.append(
            self._reply(
                case,
                code,
                granted.lifetime,
                home_address,
                identification,
                granted.for_mobile,
                granted.for_foreign,
            )
        )
        return effects

    def _refused(self, case: Case, rule: Rule) -> list[Effect]:
        effects: list[Effect] = []
        consequence = rule.consequence
        if isinstance(consequence, ReplyCode):
            code = int(consequence)
            identification, records = self._identification_of_denial(case, code)
            if records:
                self._state.apply(records)
                effects.append(Log(records))
            effects.append(self._reply(case, code, 0, case.home_address, identification))
        else:
            self.counters.discarded[rule.name] += 1
        if rule.alarm is not None:
            effects.append(Alarm(rule.alarm, case.source, case.mobile, case.spi))
        return effects

    def _identification_of_denial(self, case: Case, code: int) -> tuple[int, bytes]:
        """The reply's Identification (RFC 5944, 5.7), and records if a nonce has to be kept."""
        association = case.association
        assert association is not None
        if not case.proven:
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
        elif forgotten_soon(case):
            records = remember_nonce(case, nonce)
        return with_nonce(case.identification, nonce), records

    def _reply(
        self,
        case: Case,
        code: int,
        lifetime: int,
        home_address: int,
        identification: int,
        for_mobile: bytes = b"",
        for_foreign: bytes = b"",
    ) -> Send:
        """In the order of RFC 5944, 3.8.3.3."""
        association = case.association
        assert association is not None
        message = _pack_reply(
            _REPLY, code, lifetime, home_address, case.granted_home_agent, identification
        )
        message = association.seal(message + case.nai_extension + for_mobile)
        if case.challenge is not None:
            message += case.challenge.to_bytes()  # RFC 4721, 3.4
        message += for_foreign
        if case.foreign is not None:
            message = case.foreign.seal(message)
        self.counters.codes[code] += 1
        self.counters.replies[case.lifetime == 0] += 1
        destination, source = self._service.way_back(case.source, case.destination)
        return Send(message, destination, source)

    def _ask(self, case: Case) -> list[Effect]:
        question = self._questions.ask(case)
        return self._discard(question) if isinstance(question, str) else [question]

    # ------------------------------------------------------------------ revocation

    def revoke(
        self, home_address: int, now: Moment, care_of_address: int = 0, *, inform: bool = True
    ) -> list[Effect]:
        """Ends a mobile node's bindings, or the one with a care-of address (RFC 3543, 4.2.2).

        Who serves the other end is told where that was agreed on.
        """
        now = self.time(now)
        service = self._service
        effects: list[Effect] = []
        records = b""
        left = False
        for at, row in self._state.rows(home_address):
            if row.kind != _BINDING:
                continue
            if care_of_address not in (0, row.care_of_address):
                left = True
                continue
            records += closed(service, row, now)
            other_end = revocation.end_of(service, row, self._table.nai(at) or None)
            if row.traits & Trait.REVOCABLE and other_end is not None:
                effects += self._revocations.begin(row, other_end, inform, now)
        if not records:
            return []
        if not left:
            records += withdrawn(service, home_address)
        self._state.apply(records)
        return [Log(records), *effects]

    def _acknowledgement(
        self, message: RevocationAcknowledgement, payload: bytes, source: Endpoint
    ) -> list[Effect]:
        waiting = self._revocations.named(message)
        if waiting is None:
            return self._discard("acknowledgement-of-nothing")
        if not revocation.is_acknowledgement_proven(payload, waiting.association):
            self.counters.discarded["acknowledgement-unproven"] += 1
            return [Alarm(Security.REVOCATION, source, str(message.home_address))]
        self._revocations.settle(waiting.row.home_address, waiting.row.care_of_address)
        self.counters.revocations_acknowledged += 1
        return []

    def _revocation(
        self,
        message: RegistrationRevocation,
        payload: bytes,
        source: Endpoint,
        destination: int,
        now: Moment,
    ) -> list[Effect]:
        """A Foreign Agent's (RFC 3543, 4.2.3.2)."""
        service = self._service
        association = service.foreign_agent(source, int(message.foreign_domain))
        if association is None or not revocation.is_revocation_proven(payload, association):
            self.counters.discarded["revocation-unproven"] += 1
            return [Alarm(Security.REVOCATION, source, str(message.home_address))]
        if message.flags & RevocationFlags.HOME_AGENT:
            return self._discard("revocation-reflected")
        row = revocation.named(service, message)
        if row is None:
            return self._discard("revocation-of-nothing")
        if not revocation.later(message.identifier, row.revocation):
            self.counters.discarded["revocation-replayed"] += 1
            return [Alarm(Security.REPLAY, source, str(message.home_address))]
        self.counters.revocations_received += 1
        until = math.ceil(now.steady) + max(2 * service.tolerance, revocation.REMEMBERED_S)
        kept = remembered(row, until)._replace(revocation=message.identifier)
        records = unbound(row.home_address, row.care_of_address, row.nai) + STRUCT.pack(*kept)
        if not self._state.bound_elsewhere(row, now.steady):
            records += withdrawn(service, row.home_address)
        self._state.apply(records)
        self._revocations.settle(row.home_address, row.care_of_address)
        answer = association.seal(revocation.acknowledgement(message, row))
        to, own = service.way_back(source, destination)
        return [Log(records), Send(answer, to, own)]

    # ------------------------------------------------------------------ UDP tunnels

    def _tunnel_data(self, message: TunnelData, source: Endpoint, destination: int) -> list[Effect]:
        """A keepalive is answered, if its tunnel is there (RFC 3519, 4.6 and 4.9)."""
        try:
            echo = keepalive.read(message)
        except WireError:
            return self._discard("tunnel-data")
        row = self._tunnel_of(echo.source, source)
        if row is None or echo.destination not in self._service.addresses:
            return self._discard("keepalive-without-tunnel")
        effects: list[Effect] = []
        if not row.source_port:  # it came through a Foreign Agent: now the port is known
            records = STRUCT.pack(*row._replace(source_port=source.port))
            self._state.apply(records)
            effects.append(Log(records))
        own = destination if destination in self._service.addresses else row.home_agent
        effects.append(Send(echo.reply(), source, own))
        return effects

    def _tunnel_of(self, home_address: int, source: Endpoint) -> Row | None:
        for _, row in self._state.rows(home_address):
            if (
                row.kind == _BINDING
                and row.traits & Trait.UDP_TUNNEL
                and row.source_address == source.address
                and row.source_port in (0, source.port)
            ):
                return row
        return None

    # ------------------------------------------------------------------ time

    def time(self, now: Moment) -> Moment:
        """The same moment by the clock that mobile nodes are told (`timekeeping`)."""
        if not self._time.begun:
            for records in self._table.held():
                self._time.witness(records, now)
        return self._time.told(now)

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do, s of the steady clock; None: never."""
        scan = self._next_scan if len(self._table) else None
        due = (scan, self._revocations.next_due(), self._questions.next_end())
        return min((each for each in due if each is not None), default=None)

    def handle_timer(self, now: Moment) -> list[Effect]:
        """Ends what has expired, and what waits too long."""
        now = self.time(now)
        effects = self._expire(now) if now.steady >= self._next_scan else []
        effects += self._revocations.repeat(now)
        for number in self._questions.late(now.steady):
            effects += self.answered(number, Answer(Verdict.UNANSWERED), now)
        return effects

    def _expire(self, now: Moment) -> list[Effect]:
        """RFC 5944, 3.8.2.2: after its lifetime a binding is deleted."""
        expired = self._table.expired(int(now.steady))
        at_once = expired[:AT_ONCE].tolist()
        more = len(at_once) < len(expired)
        self._next_scan = now.steady if more else float(int(now.steady) + SCAN_S)
        if not at_once:
            return []
        service, table = self._service, self._table
        records = b""
        for each in at_once:
            row = table.get(each)
            records += closed(service, row, now)
            if row.traits & Trait.NETWORKS and not self._state.bound_elsewhere(row, now.steady):
                records += withdrawn(service, row.home_address)
        self._state.apply(records)
        return [Log(records)]

    # ------------------------------------------------------------------ takeover

    def take_over(self, records: bytes, ahead: float, now: Moment) -> list[Effect]:
        """Bindings of another Home Agent, as a controller knows them, after `begin_anew`.

        `ahead`: s that our steady clock is ahead of the one that their `expires` means.
        """
        now = self.time(now)
        self._time.witness(np.frombuffer(records, RECORD), now)
        taken, left_out = takeover.taken_over(self._table, records, ahead, now.steady)
        self.counters.left_out += left_out
        return self._kept(taken + takeover.networks_of(self._service, records, taken))

    def give_up(self, records: bytes) -> list[Effect]:
        """The mobile nodes of these records are another Home Agent's now: nobody is told."""
        return self._kept(takeover.given_up(self._service, records))

    def begin_anew(self, now: Moment) -> None:
        """What was accepted up to now is not all known here: before what others served is served.

        At the first word of new slots, and when all was forgotten, since it was somebody else's.
        """
        self._service.not_before = timestamp(self.time(now).wall)

    def follow(self, neighbours: frozenset[int] | None) -> None:
        """Takes requests to the virtual address from these alone: the controller that is obeyed.

        MAC addresses, or, of controllers that relay by UDP, IPv4 addresses. None: from anybody, as
        long as no controller has said that it leads.
        """
        self._service.followed = neighbours

    def _kept(self, records: bytes) -> list[Effect]:
        if not records:
            return []
        self._state.apply(records)
        return [Log(records)]

    # ------------------------------------------------------------------ state

    def apply(self, records: bytes) -> None:
        """Records of ours, and of our journal: all one."""
        self._state.apply(records)

    def snapshot(self) -> Iterator[bytes]:
        """All that there is, as records, in blocks."""
        yield from self._state.snapshot()

    @property
    def assigned(self) -> int:
        """Home addresses of our slices that mobile nodes have."""
        return self._state.assigned
