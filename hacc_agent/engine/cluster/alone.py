"""One datagram: all the rules. What compiled code does to plain ones is what is done here to each.

A request goes to the member that has an earlier one of its mobile node pending, else to the one
that serves it, or did a moment ago, else to one that selection finds. One that may have been
accepted before goes to nobody who would not know. A home address that is bound under one NAI is not
to be had under another, which a member that does not hold that binding cannot know. A reply goes to
whoever sent the request that it answers, if it comes from the member that was asked.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Final

from ...config import Assignment, DynamicLayoutForm
from ...wire import (
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    DynamicLayout,
    MessageType,
    ReplyCode,
    RequestFlags,
    WireError,
)
from ...wire.messages import ACKNOWLEDGEMENT, REVOCATION
from ...wire.registry import ACCEPTING, INFINITE_LIFETIME
from ...wire.tlv import extensions
from ..effects import Alarm, Effect, Endpoint, Log, Moment, Relay, Retract, Security, Send
from ..home_agent.replay import later
from ..networks import routed
from ..record import STRUCT, Kind, Row, Trait, name_records
from . import ledger as ledgers
from .answers import name
from .ledger import before
from .reading import Reply, Request, encapsulation, inner_source, read_reply, read_request
from .revocation import KEPT, Revocation
from .state import FOREVER, TIMEOUT, State
from .timers import outdated, repeats

ANY_HOME_AGENT: Final = (0, 0xFFFF_FFFF)
"""Home Agent fields of who wants one assigned (RFC 4433, 3.1)."""


# An operation of an enumeration's members takes as long as reading half a datagram.
_NAT, _REVOCABLE, _INFORM = int(Trait.NAT), int(Trait.REVOCABLE), int(Trait.INFORM)
_DYNAMIC, _NONCE = int(Trait.DYNAMIC), int(Trait.NONCE)
_SIMULTANEOUS: Final = int(RequestFlags.SIMULTANEOUS)


class Alone:
    """Decides on datagrams one by one."""

    def __init__(self, state: State) -> None:
        self._config = state.config
        self._ledger = state.ledger
        self._members = state.members
        self._admission = state.admission
        self._selection = state.selection
        self._answers = state.answers
        self._revocations = state.revocations
        self._nonces = state.nonces
        self._departures = state.departures
        self._counters = state.counters
        self._home_agent = int(state.config.home_agent_address)
        self._rules = {
            int(MessageType.REGISTRATION_REQUEST): self._request,
            int(MessageType.REGISTRATION_REPLY): self._reply,
            int(MessageType.REGISTRATION_REVOCATION): self._revocation,
            int(MessageType.REVOCATION_ACKNOWLEDGEMENT): self._acknowledgement,
            int(MessageType.TUNNEL_DATA): self._tunnel_data,
        }

    def receive(self, data: bytes, source: Endpoint, now: Moment) -> list[Effect]:
        rule = self._rules.get(data[0]) if data else None
        if rule is None:
            self._counters.malformed += 1
            return []
        try:
            return rule(data, source, now)
        except WireError:
            self._counters.malformed += 1
            return []

    # -------------------------------------------------------------- requests

    def _request(self, data: bytes, source: Endpoint, now: Moment) -> list[Effect]:
        request = read_request(data)
        home, nai = request.home_address, request.nai
        if not home and nai is None:
            self._counters.unidentified += 1
            return []
        ledger, counters = self._ledger, self._counters
        self._admission.refill(now.steady)
        self._nonces.expire(now.steady)
        hashed = 0 if nai is None else ledger.table.hash_nai(nai)
        if self._departures.outdates(home, hashed, request.identification, int(now.steady)):
            counters.superseded += 1
            return []
        found = ledger.find_request(home, nai, request.identification, request.care_of_address)
        if found:
            return self._duplicate(data, source, found)
        if ledger.is_anothers(home, nai):
            return self._answer(data, request, source, ReplyCode.PROHIBITED)
        slot, member, new = self._place(home, nai, hashed, request.identification, now)
        if (
            member is not None
            and not new
            and repeats(ledger, self._members, member, home, nai, request.identification)
        ):
            counters.repeated += 1
            return []
        if member is None or not self._room(request) or not self._admission.take(member, new=new):
            return self._answer(data, request, source, ReplyCode.NO_RESOURCES)
        if new and self._redirects(request):
            return self._answer(data, request, source, ReplyCode.REDIRECT_HOME_AGENT, member)
        number, names = (0, b"") if nai is None else ledger.table.names.introduce(nai)
        traits = request.traits | (_NAT if source.address != request.care_of_address else 0)
        values = Row(
            Kind.PENDING,
            request.flags,
            slot,
            home,
            request.care_of_address,
            source.address,
            source.port,
            request.lifetime,
            int(now.steady) + TIMEOUT,
            request.identification,
            number,
            request.spi,
            request.revocation,
            encapsulation(request.flags),
            traits,
            nonce=ledger.arrive(),
            home_agent=request.home_agent,
        )
        counters.relayed += 1
        effects: list[Effect] = []
        oldest = ledger.oldest_of_crowd(home, nai)
        if oldest is not None:  # no mobile node has so many: it is a flood, and the newest may win
            counters.given_up += 1
            effects.append(self._do(oldest.values._replace(kind=Kind.SETTLED)))
        effects.append(self._pend(names, ledgers.Request(values, source.link, data)))
        return [*effects, *self._relay(data, source, member)]

    def _place(
        self, home: int, nai: bytes | None, hashed: int, identification: int, now: Moment
    ) -> tuple[int, int | None, bool]:
        """Slot, its member, and whether the member is new to the mobile node. Pending first.

        But what its member accepted before, it alone knows: another one would accept it again.
        """
        ledger, members = self._ledger, self._members
        known = ledger.slot_of(home, nai)
        if known is not None and outdated(ledger, home, nai, identification):
            known = int(ledger.table.rows["slot"][ledger.bindings(home, nai)[0]])
            return known, members.of_slot(known), False
        loads = members.loads
        if known is not None and loads.available[members.of_slot(known)]:
            return known, members.of_slot(known), False
        key = home or hashed
        if known is None:
            told = self._nonces.slot_of(home, nai)
            if told is None:
                told = self._departures.slot_of(home, hashed, int(now.steady))
            if told is not None and loads.available[members.of_slot(told)]:
                return told, members.of_slot(told), True
        member = members.choose(self._selection, key)
        if member is not None:
            return ledger.slots.slot_for(member, key), member, True
        if known is not None:  # better one that is said to be down than none
            return known, members.of_slot(known), False
        return 0, None, True

    def _room(self, request: Request) -> bool:
        """Whether there is a row for it now, and one for what may come of it."""
        ledger = self._ledger
        if ledger.pending.full:
            return False
        if len(ledger.table) + len(ledger.pending) < len(ledger.table.rows) - 1:
            return True
        return bool(ledger.bindings(request.home_address, request.nai))

    def _duplicate(
        self, data: bytes, source: Endpoint, found: tuple[int, ledgers.Request | None]
    ) -> list[Effect]:
        """The very request again: to the same member, its answer to where it came from last."""
        row, held = found
        request = held or self._ledger.request(row)
        values = request.values
        member = self._members.of_slot(values.slot)
        name = self._ledger.name(values)
        if repeats(
            self._ledger, self._members, member, values.home_address, name, values.identification
        ):
            self._counters.repeated += 1
            return []
        self._counters.duplicates += 1
        if not self._admission.take(member, new=False):
            return []  # not silent: the answer to the first one is on its way
        effects = self._relay(data, source, member)
        if (values.source_address, values.source_port) != (source.address, source.port):
            moved = values._replace(source_address=source.address, source_port=source.port)
            request = ledgers.Request(moved, source.link, data, request.attempts)
            return [self._pend(b"", request), *effects]
        if held:
            held.link, held.octets = source.link, data
        else:
            self._ledger.keep(row, ledgers.Request(values, source.link, data, request.attempts))
        return effects

    def _relay(self, data: bytes, source: Endpoint, member: int) -> list[Effect]:
        """To a member that listens; what waits for another one is sent when it does."""
        return [Relay(data, source, member)] if self._members.listening[member] else []

    def _pend(self, names: bytes, request: ledgers.Request) -> Log:
        self._ledger.keep(self._ledger.do(request.values), request)
        return Log(names + STRUCT.pack(*request.values))

    def _redirects(self, request: Request) -> bool:
        """Who can be told so, and comes to us as to a Home Agent, is told a member's address."""
        return (
            self._config.assignment is Assignment.REDIRECT
            and request.lifetime > 0
            and request.home_agent in (*ANY_HOME_AGENT, self._home_agent)
            and self._answers.associations.of_mobile(request.home_address, request.nai) is not None
        )

    def _answer(
        self,
        data: bytes,
        request: Request,
        source: Endpoint,
        code: ReplyCode,
        member: int = -1,
    ) -> list[Effect]:
        extensions: tuple[DynamicHomeAgent, ...] = ()
        if code is ReplyCode.REDIRECT_HOME_AGENT:
            rfc = self._config.readings.dynamic_layout is DynamicLayoutForm.RFC
            extensions = (
                DynamicHomeAgent(
                    DynamicHomeAgentSubtype.REDIRECTED,
                    IPv4Address(self._members.addresses[member]),
                    DynamicLayout.RFC4433 if rfc else DynamicLayout.SHORT,
                ),
            )
        effects = self._answers.deny(data, request, source, code, extensions)
        if not any(isinstance(effect, Send) for effect in effects):
            self._counters.unanswered += 1
        elif code is ReplyCode.REDIRECT_HOME_AGENT:
            self._counters.redirected += 1
        else:
            self._counters.refused += 1
        return effects

    # -------------------------------------------------------------- replies

    def _reply(self, data: bytes, source: Endpoint, now: Moment) -> list[Effect]:
        reply = read_reply(data)
        home, nai = reply.home_address, reply.nai
        if not self._members.is_one(source.address):
            self._counters.unexpected_replies += 1
            return [Alarm(Security.NOT_A_PEER, source, name(home, nai))]
        reason, found = Security.UNEXPECTED_REPLY, None
        awaited = self._ledger.awaited(home, nai, reply.identification & 0xFFFF_FFFF)
        # Of several with the same half the one whose timestamp it repeats, if it repeats one.
        exact = reply.identification
        for request in sorted(awaited, key=lambda each: each.values.identification != exact):
            if self._members.answers_from(
                self._members.of_slot(request.values.slot), source.address
            ):
                found = request
                break
            reason = Security.WRONG_MEMBER
        if found is None:
            if reason is Security.WRONG_MEMBER:
                self._counters.wrong_member += 1
            else:
                self._counters.unexpected_replies += 1
            return [Alarm(reason, source, name(home, nai))]
        asked = found.values
        if self._taken(asked, reply, now):
            return self._retract(asked, reply)
        destination = Endpoint(asked.source_address, asked.source_port, found.link)
        records = self._settled(asked, reply, now)
        return [Log(records), Send(data, destination, self._home_agent)]

    def _taken(self, asked: Row, reply: Reply, now: Moment) -> bool:
        """Whether the member assigned a home address that is another mobile node's.

        It may not know: who has it was moved to another member, and this one began anew since.
        """
        if asked.home_address or not asked.lifetime or reply.code not in ACCEPTING:
            return False
        holder = self._ledger.table.find(reply.home_address) if reply.home_address else 0
        if not holder:
            return False
        values = self._ledger.table.get(holder)
        return values.nai != asked.nai and values.expires > now.steady

    def _retract(self, asked: Row, reply: Reply) -> list[Effect]:
        """Nobody hears of it. The request waits on, is sent again, and gets the next address."""
        self._counters.retracted += 1
        nai = self._ledger.name(asked)
        assert nai is not None  # who has no home address is known by its name
        assigned = asked._replace(kind=Kind.BINDING, home_address=reply.home_address)
        records = name_records(nai, asked.nai) + STRUCT.pack(*assigned)
        return [Retract(self._members.of_slot(asked.slot), records)]

    def _settled(self, asked: Row, reply: Reply, now: Moment) -> bytes:
        """What becomes of a request by its reply, done and as records."""
        ledger, counters = self._ledger, self._counters
        home = reply.home_address or asked.home_address
        if reply.code not in ACCEPTING or not home:
            counters.denied += 1
            nai = ledger.name(asked)
            if reply.code == ReplyCode.IDENTIFICATION_MISMATCH and not ledger.bindings(home, nai):
                self._nonces.told(asked.home_address, nai, asked.slot, now.steady)
            return self._do(asked._replace(kind=Kind.SETTLED)).records
        if self._overtaken(asked, home):
            counters.superseded += 1
            return self._do(asked._replace(kind=Kind.SETTLED)).records
        if not asked.lifetime or not reply.lifetime:
            counters.deregistered += 1
            everything = asked.care_of_address == home
            records = self._supersede(asked, home, everything=everything)
            nonces = reply.identification != asked.identification
            ended = asked._replace(
                kind=Kind.UNBOUND,
                home_address=home,
                care_of_address=0 if everything else asked.care_of_address,
                lifetime=0,
                expires=0,
                traits=asked.traits | _NONCE if nonces else asked.traits,
                nonce=0,
            )
            self._departures.remember(ended, home, int(now.steady))
            return records + self._do(ended).records
        counters.accepted += 1
        if self._nonces:
            self._nonces.forget(asked.home_address, ledger.name(asked))
        flags = asked.flags
        if reply.code == ReplyCode.ACCEPTED_ONE_BINDING:
            flags &= ~_SIMULTANEOUS
        lifetime = min(asked.lifetime, reply.lifetime)
        traits = asked.traits & _NAT | reply.traits & ~_INFORM
        traits |= asked.traits & reply.traits & _INFORM
        if reply.identification != asked.identification:
            traits |= _NONCE
        if not asked.home_address:
            traits |= _DYNAMIC
        bound = asked._replace(
            kind=Kind.BINDING,
            flags=flags,
            home_address=home,
            lifetime=lifetime,
            expires=FOREVER if lifetime == INFINITE_LIFETIME else int(now.steady) + lifetime,
            traits=traits,
            keepalive=reply.keepalive,
            nonce=reply.identification >> 32 if traits & _NONCE else 0,
            home_agent=reply.home_agent,
        )
        alone = not flags & _SIMULTANEOUS
        records = self._supersede(asked, home, everything=alone)
        for row in ledger.bindings(home, ledger.name(asked)):
            other = ledger.table.get(row)
            if other.care_of_address == bound.care_of_address:
                if other.identification == bound.identification:
                    # The same request, answered with what is left of its lifetime, rounded down.
                    bound = bound._replace(expires=max(bound.expires, other.expires))
                continue
            if alone:
                records += self._unbind(other, now).records
            elif other.slot != bound.slot:  # one member serves all of a mobile node
                records += self._do(other._replace(slot=bound.slot)).records
        return records + self._do(bound).records + self._routed(home, reply.networks)

    def _routed(self, home: int, networks: tuple[IPv4Network, ...]) -> bytes:
        """What its member routes to a mobile router from now on; it has taken it from nobody."""
        held = self._ledger.networks
        if not networks and not len(held):
            return b""
        granted, before = frozenset(networks), held.of(home)
        records = b"".join(
            routed(other, [network], withdrawn=True)
            for network, other in list(held.items())
            if network in granted and other != home  # as another member has granted it once
        )
        records += routed(home, before - granted, withdrawn=True) + routed(home, granted - before)
        self._ledger.apply(records)
        return records

    def _overtaken(self, asked: Row, home: int) -> bool:
        """Whether a later request was accepted that took the place of what this one asks for.

        By their timestamps: its member accepted this one before. What it said then comes late, or
        in answer to somebody who repeats the request.
        """
        bindings = self._ledger.bindings(home, self._ledger.name(asked))
        return any(
            not bound.traits & _NONCE
            and later(bound.identification, asked.identification)
            and (
                bound.care_of_address == asked.care_of_address
                or asked.care_of_address == home
                or not bound.flags & _SIMULTANEOUS
            )
            for bound in map(self._ledger.table.get, bindings)
        )

    def _supersede(self, accepted: Row, home: int, *, everything: bool) -> bytes:
        """Requests from before the accepted one wait no more: their replies would undo it.

        They may still be under way, to a member that did not hear of the accepted one above all.
        One that only concerns its own care-of address leaves the others alone.
        """
        older = [
            request.values
            for request in self._ledger.requests_of(home, self._ledger.name(accepted))
            if before(request.values.nonce, accepted.nonce)
            and (everything or request.values.care_of_address == accepted.care_of_address)
        ]
        self._counters.superseded += len(older)
        return b"".join(self._do(values._replace(kind=Kind.SETTLED)).records for values in older)

    def _unbind(self, bound: Row, now: Moment) -> Log:
        """Ends one binding. Its member may still send the revocation that goes with it."""
        if bound.traits & _REVOCABLE:
            self._remember(bound, now)
        return self._do(bound._replace(kind=Kind.UNBOUND, lifetime=0, expires=0, identification=0))

    def _revoke(self, bound: Row, now: Moment) -> Log:
        """The same, when nothing has taken its place."""
        self._departures.remember(bound, bound.home_address, int(now.steady))
        return self._unbind(bound, now)

    def _remember(self, bound: Row, now: Moment) -> None:
        member = self._members.of_slot(bound.slot)
        self._revocations.remember(bound, member, self._ledger.name(bound), now.steady)

    def _do(self, values: Row) -> Log:
        self._ledger.do(values)
        return Log(STRUCT.pack(*values))

    # -------------------------------------------------------------- revocations

    def _revocation(self, data: bytes, source: Endpoint, now: Moment) -> list[Effect]:
        if len(data) < REVOCATION.size:
            self._counters.malformed += 1
            return []
        _, _, _, home, _, care_of, identifier = REVOCATION.unpack_from(data)
        refused = self._unproven(data, REVOCATION.size, source, home)
        if refused:
            return refused
        bound = next(
            (
                values
                for row in self._ledger.bindings(home, None)
                if (values := self._ledger.table.get(row)).care_of_address == care_of
            ),
            None,
        )
        if self._members.is_one(source.address):
            return self._members_revocation(data, source, home, care_of, identifier, bound, now)
        if bound is None:
            self._counters.unknown_mobile += 1
            return []
        revocation = Revocation(
            bound,
            self._ledger.name(bound),
            source,
            self._members.of_slot(bound.slot),
            now.steady + KEPT,
        )
        self._revocations.add(identifier, revocation)
        self._counters.revocations += 1
        return [Relay(data, source, revocation.member)]

    def _members_revocation(
        self,
        data: bytes,
        source: Endpoint,
        home: int,
        care_of: int,
        identifier: int,
        bound: Row | None,
        now: Moment,
    ) -> list[Effect]:
        """The binding has ended with its member, so it ends here, and the Foreign Agent hears."""
        effects: list[Effect] = []
        if bound is not None and self._members.answers_from(
            self._members.of_slot(bound.slot), source.address
        ):
            self._remember(bound, now)
            effects.append(self._revoke(bound, now))
        revocation = self._revocations.of_binding(home, care_of)
        if revocation is None:
            self._counters.unknown_mobile += 1
            return effects
        if not self._members.answers_from(revocation.member, source.address):
            self._counters.wrong_member += 1
            return [Alarm(Security.WRONG_MEMBER, source, name(home, None))]
        self._revocations.add(identifier, revocation)
        self._counters.revocations += 1
        return [*effects, Send(data, revocation.agent, self._home_agent)]

    def _acknowledgement(self, data: bytes, source: Endpoint, now: Moment) -> list[Effect]:
        if len(data) < ACKNOWLEDGEMENT.size:
            self._counters.malformed += 1
            return []
        _, _, _, home, identifier = ACKNOWLEDGEMENT.unpack_from(data)
        refused = self._unproven(data, ACKNOWLEDGEMENT.size, source, home)
        if refused:
            return refused
        revocation = self._revocations.acknowledged(home, identifier)
        if revocation is None:
            self._counters.unknown_mobile += 1
            return []
        if self._members.answers_from(revocation.member, source.address):
            return self._members_acknowledgement(data, revocation, now)
        if source.address != revocation.agent.address:
            self._counters.unknown_mobile += 1
            return [Alarm(Security.NOT_A_PEER, source, name(home, None))]
        self._counters.revocations += 1
        return [Relay(data, source, revocation.member)]

    def _members_acknowledgement(
        self, data: bytes, revocation: Revocation, now: Moment
    ) -> list[Effect]:
        """The member has done what the Foreign Agent asked: the binding has ended."""
        effects: list[Effect] = []
        ended = revocation.bound
        for row in self._ledger.bindings(ended.home_address, revocation.nai):
            bound = self._ledger.table.get(row)
            same = bound.identification == ended.identification  # not registered again since
            if bound.care_of_address == ended.care_of_address and same:
                effects.append(self._revoke(bound, now))
        self._counters.revocations += 1
        return [*effects, Send(data, revocation.agent, self._home_agent)]

    def _unproven(self, data: bytes, at: int, source: Endpoint, home: int) -> list[Effect]:
        """Nobody acts on a revocation without an authenticator (RFC 3543, 3.3): nor do we."""
        kinds = {kind for kind, *_ in extensions(data, at, len(data))}
        if kinds & {32, 34}:
            return []
        self._counters.malformed += 1
        return [Alarm(Security.REVOCATION, source, name(home, None))]

    # -------------------------------------------------------------- tunnels

    def _tunnel_data(self, data: bytes, source: Endpoint, _now: Moment) -> list[Effect]:
        """A reverse-tunnelled packet goes to the member of its inner source (P10)."""
        home = inner_source(data)
        rows = self._ledger.bindings(home, None) if home else []
        if not rows:
            self._counters.unknown_mobile += 1
            return []
        self._counters.tunnel_data += 1
        slot = int(self._ledger.table.rows["slot"][rows[0]])
        return [Relay(data, source, self._members.of_slot(slot))]
