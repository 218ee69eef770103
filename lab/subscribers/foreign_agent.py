"""A Foreign Agent: advertises, relays registrations, knows its visitors (RFC 5944, 2.3 and 3.7).

It speaks to two sides. On its link it hears mobile nodes, each known by a number that stands for a
link-layer address; towards home it sends from the care-of address to port 434 of whom a request
names. What it may refuse by itself is the table of `_refusal`, in the order of 3.7.2; what it
relays it does not change up to the last authenticator that is meant for the Home Agent (3.7.2.2).
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from hacc_agent.engine.effects import Moment
from hacc_agent.wire import (
    AcknowledgementFlags,
    AgentAdvertisement,
    AgentFlags,
    Authentication,
    ExtensionType,
    MobilityAgent,
    RegistrationRevocation,
    ReplyCode,
    RequestFlags,
    RevocationAcknowledgement,
    RevocationFlags,
    RevocationSupport,
    WireError,
    authenticate,
    parse,
    peek_nai,
    peek_reply,
    peek_request,
    peek_spi,
    verify,
)
from hacc_agent.wire.messages import REPLY
from hacc_agent.wire.registry import ACCEPTING, INFINITE_LIFETIME, PORT, MessageType

from .association import NTP_EPOCH, Association
from .visitors import PENDING_S, Pending, Visitor, VisitorList

ADVERTISED_S: Final = 1800
"""Seconds an advertisement holds: AdvertisementLifetime's default (RFC 1256, 6.1)."""

ADVERTISING_S: Final = 600.0
"""Seconds between two of them: MaxAdvertisementInterval's default, a third of it."""

ASSIGNED_LATER: Final = frozenset({0, 0xFFFFFFFF})
"""Home Agent fields of who asks for any (RFC 4433, 3.1)."""

ENCAPSULATION: Final = RequestFlags.MINIMAL | RequestFlags.GRE
RESERVED: Final = int(RequestFlags.VAN_JACOBSON | RequestFlags.RESERVED)
_DECAPSULATION: Final = int(RequestFlags.DECAPSULATION)
_REVERSE: Final = int(RequestFlags.REVERSE_TUNNEL)
_FOREIGN_HOME: Final = int(ExtensionType.FOREIGN_HOME_AUTHENTICATION)
_MOBILE_FOREIGN: Final = int(ExtensionType.MOBILE_FOREIGN_AUTHENTICATION)
_GENERALIZED: Final = int(ExtensionType.GENERALIZED_AUTHENTICATION)

UNREACHABLE: Final = {
    0: ReplyCode.HOME_NETWORK_UNREACHABLE,
    1: ReplyCode.HOME_AGENT_HOST_UNREACHABLE,
    3: ReplyCode.HOME_AGENT_PORT_UNREACHABLE,
}
"""Code of an ICMP Destination Unreachable (RFC 792) -> what the mobile node is told (3.7.3)."""


class ToHomeAgent(NamedTuple):
    """A datagram from the care-of address to this address."""

    payload: bytes
    address: int
    port: int


class ToVisitor(NamedTuple):
    """A datagram to a mobile node on the link."""

    payload: bytes
    visitor: int


Effect = ToHomeAgent | ToVisitor


class ForeignAgent:
    """One agent. `association` is the one with every Home Agent of the cluster, if there is any."""

    def __init__(
        self,
        address: IPv4Address,
        *,
        association: Association | None = None,
        home_agent: IPv4Address | None = None,
        lifetime: int = INFINITE_LIFETIME,
        pending_limit: int = 100_000,
        port: int = PORT,
    ) -> None:
        self.address = address
        self.visitors = VisitorList()
        self.counters: Counter[str] = Counter()
        self._own = int(address)
        self._association = association
        self._home_agent = int(home_agent or 0)  # for who has none (RFC 4433); 0: nobody is served
        self._lifetime = lifetime
        self._pending_limit = pending_limit
        self._port = port  # of Home Agents
        self._sequence = -1
        self._advertise_at = float("-inf")
        self._denied: dict[int, float] = {}  # visitor -> when it was told no last
        self._revoked: dict[int, int] = {}  # home address -> identifier of the last revocation

    # Towards the link -----------------------------------------------------------------------

    def advertisement(self, now: Moment) -> bytes:
        """The next Agent Advertisement, a whole ICMP message; also the answer to a solicitation."""
        self._sequence = 256 if self._sequence == 0xFFFF else self._sequence + 1  # 2.3.2
        self._advertise_at = now.steady + ADVERTISING_S
        flags = AgentFlags.REGISTRATION_REQUIRED | AgentFlags.FOREIGN_AGENT
        flags |= AgentFlags.REVERSE_TUNNEL
        if self._association is not None:
            flags |= AgentFlags.REVOCATION
        if self.visitors.pending >= self._pending_limit:
            flags |= AgentFlags.BUSY
        agent = MobilityAgent(self._sequence, self._lifetime, flags, (self.address,))
        return AgentAdvertisement((), ADVERTISED_S, (agent,)).to_bytes()

    def request(self, octets: bytes, visitor: int, now: Moment) -> list[Effect]:
        """A Registration Request from the link."""
        try:
            fields, nai_at, authentications = peek_request(octets, 0, len(octets))
        except WireError:
            self.counters["requests unreadable"] += 1
            return []
        _, flags, lifetime, home_address, home_agent, care_of, identification = fields
        nai = peek_nai(octets, nai_at) if nai_at else b""
        end = _end_of_home_part(octets, authentications)
        if end == 0 or flags & RESERVED:
            refusal = ReplyCode.FOREIGN_POORLY_FORMED_REQUEST
        else:
            refused = self._refusal(flags, lifetime, home_address, home_agent, care_of, nai)
            if refused is None:
                pending = Pending(
                    visitor,
                    nai,
                    flags,
                    lifetime,
                    home_address,
                    home_agent,
                    identification,
                    self._association is not None and lifetime != 0,
                    now.steady + min(PENDING_S, lifetime or PENDING_S),
                )
                self.visitors.wait(pending)
                self.counters["requests relayed"] += 1
                to = self._home_agent if home_agent in ASSIGNED_LATER else home_agent
                return [ToHomeAgent(self._for_home(octets[:end], pending, now), to, self._port)]
            refusal = refused
        told = self._lifetime if refusal is ReplyCode.FOREIGN_LIFETIME_TOO_LONG else lifetime
        reply = REPLY.pack(
            MessageType.REGISTRATION_REPLY, refusal, told, home_address, home_agent, identification
        )
        return self._deny(reply, visitor, refusal, now)

    def _refusal(
        self,
        flags: int,
        lifetime: int,
        home_address: int,
        home_agent: int,
        care_of: int,
        nai: bytes,
    ) -> ReplyCode | None:
        """Why a well-formed request is not relayed: 3.7.2, RFC 3024, RFC 4433; None: it is."""
        if home_agent == self._own:
            return ReplyCode.INVALID_HOME_AGENT
        if home_agent in ASSIGNED_LATER and not self._home_agent:
            return ReplyCode.NONZERO_HOME_AGENT_REQUIRED
        if not home_address and not nai:
            return ReplyCode.NONZERO_HOME_ADDRESS_REQUIRED
        if lifetime and not flags & _DECAPSULATION and care_of != self._own:
            return ReplyCode.FOREIGN_INVALID_CARE_OF_ADDRESS
        if lifetime > self._lifetime:
            return ReplyCode.FOREIGN_LIFETIME_TOO_LONG
        if flags & ENCAPSULATION:
            return ReplyCode.FOREIGN_ENCAPSULATION
        if self.visitors.pending >= self._pending_limit:
            return ReplyCode.FOREIGN_NO_RESOURCES
        return None

    def _for_home(self, octets: bytes, pending: Pending, now: Moment) -> bytes:
        """What goes on: the mobile node's part, and ours, proven where a key is shared."""
        association = self._association
        if association is None or not pending.proven:
            return octets
        octets += RevocationSupport(_seconds(now)).to_bytes()
        return authenticate(
            octets,
            ExtensionType.FOREIGN_HOME_AUTHENTICATION,
            association.spi,
            association.key,
        )

    def _deny(self, reply: bytes, visitor: int, code: int, now: Moment) -> list[Effect]:
        """A reply of our own; no more than one a second to the same mobile node (3.7.2)."""
        self.counters[f"denied with {int(code)}"] += 1
        if now.steady - self._denied.get(visitor, float("-inf")) < 1.0:
            return []
        self._denied[visitor] = now.steady
        return [ToVisitor(reply, visitor)]

    # From home ------------------------------------------------------------------------------

    def receive(self, octets: bytes, address: int, port: int, now: Moment) -> list[Effect]:
        """A datagram to the care-of address, port 434."""
        if octets[:1] == b"\x07":
            return self._revocation(octets, address, port)
        try:
            fields, nai_at, authentications = peek_reply(octets, 0, len(octets))
        except WireError:
            self.counters["replies unreadable"] += 1
            return []
        _, code, lifetime, home_address, home_agent, identification = fields
        nai = peek_nai(octets, nai_at) if nai_at else b""
        pending = self.visitors.answered(home_address, nai, identification)
        if pending is None:
            self.counters["replies unexpected"] += 1
            return []
        if not self._proven(octets, authentications, pending, lifetime):
            self.visitors.settle(pending)
            self.counters["replies unproven"] += 1
            code = ReplyCode.FOREIGN_HOME_AGENT_AUTHENTICATION
            return self._deny(_with_code(octets, code), pending.visitor, code, now)
        self.visitors.settle(pending)
        missing = _missing(nai, home_agent, home_address)
        if code in ACCEPTING and pending.nai and missing is not None:
            return self._deny(_with_code(octets, missing), pending.visitor, missing, now)
        self.counters["replies relayed"] += 1
        if code in ACCEPTING:
            self._accepted(pending, min(lifetime, self._lifetime), home_address, home_agent, now)
        end = _end_of_home_part(octets, authentications)
        if not end:  # nothing proves it to the node: our extensions go, the rest is its to judge
            ours = [at for at in authentications if octets[at] == _FOREIGN_HOME]
            end = ours[0] if ours else len(octets)
        return [ToVisitor(octets[:end], pending.visitor)]

    def _proven(
        self, octets: bytes, authentications: list[int], pending: Pending, lifetime: int
    ) -> bool:
        """Exactly one valid Foreign-Home Authentication Extension where a key is shared (3.7.3.1).

        A deregistration needs none (3.7.1), but one that is there has to hold.
        """
        association = self._association
        if association is None:
            return True
        ours = [at for at in authentications if octets[at] == _FOREIGN_HOME]
        if not ours:
            return not pending.proven or not lifetime
        if len(ours) > 1 or peek_spi(octets, ours[0]) != association.spi:
            return False
        return verify(octets, ours[0], association.key)

    def _accepted(
        self, pending: Pending, lifetime: int, home_address: int, home_agent: int, now: Moment
    ) -> None:
        """The lifetime begins when the reply goes on, so that no node outlives its entry."""
        if not lifetime or not pending.lifetime:
            self.visitors.dismiss(pending.identity)
            return
        endless = lifetime == INFINITE_LIFETIME
        self.visitors.admit(
            Visitor(
                pending.visitor,
                pending.nai,
                home_address,
                home_agent,
                pending.flags,
                pending.identification,
                lifetime,
                float("inf") if endless else now.steady + lifetime,
            )
        )

    def _revocation(self, octets: bytes, address: int, port: int) -> list[Effect]:
        """The Home Agent says that a binding is gone; it hears that we know (RFC 3543, 4.2)."""
        association = self._association
        try:
            message = parse(octets)
        except WireError:
            self.counters["revocations unreadable"] += 1
            return []
        assert isinstance(message, RegistrationRevocation)  # by its first octet
        last = message.extensions[-1] if message.extensions else None
        proven = (
            association is not None
            and isinstance(last, Authentication)
            and last.kind is ExtensionType.FOREIGN_HOME_AUTHENTICATION
            and last.spi == association.spi
            and verify(octets, len(octets) - len(last.to_bytes()), association.key)
        )
        home = int(message.home_address)
        if association is None or not proven or RevocationFlags.HOME_AGENT not in message.flags:
            self.counters["revocations unproven"] += 1
            return []
        if message.identifier < self._revoked.get(home, 0):  # an older one, again (5.1)
            self.counters["revocations replayed"] += 1
            return []
        self._revoked[home] = message.identifier
        if (visitor := self.visitors.find(home)) is not None:
            self.visitors.dismiss(visitor.identity)
            self.counters["revocations"] += 1
        acknowledgement = RevocationAcknowledgement(
            AcknowledgementFlags(0), message.home_address, message.identifier
        )
        answer = authenticate(
            acknowledgement.to_bytes(),
            ExtensionType.FOREIGN_HOME_AUTHENTICATION,
            association.spi,
            association.key,
        )
        return [ToHomeAgent(answer, address, port)]

    def unreachable(self, octets: bytes, icmp_code: int, now: Moment) -> list[Effect]:
        """An ICMP Destination Unreachable quotes a request of ours (3.7.3)."""
        try:
            fields, nai_at, _ = peek_request(octets, 0, len(octets))
        except WireError:
            return []
        _, _, lifetime, home_address, home_agent, identification = fields[:5] + fields[6:]
        nai = peek_nai(octets, nai_at) if nai_at else b""
        pending = self.visitors.answered(home_address, nai, identification)
        if pending is None:
            return []
        self.visitors.settle(pending)
        code = UNREACHABLE.get(icmp_code, ReplyCode.HOME_AGENT_UNREACHABLE)
        reply = REPLY.pack(
            MessageType.REGISTRATION_REPLY, code, lifetime, home_address, home_agent, identification
        )
        return self._deny(reply, pending.visitor, code, now)

    # Time -----------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float:
        later = self.visitors.next_deadline
        return self._advertise_at if later is None else min(later, self._advertise_at)

    def handle_timer(self, now: Moment) -> tuple[bytes, list[Effect]]:
        """The advertisement that is due, if one is, and what overdue requests are answered with."""
        advertised = self.advertisement(now) if now.steady >= self._advertise_at else b""
        told: list[Effect] = []
        for pending in self.visitors.due(now.steady):
            reply = REPLY.pack(
                MessageType.REGISTRATION_REPLY,
                ReplyCode.FOREIGN_TIMEOUT,
                pending.lifetime,
                pending.home_address,
                pending.home_agent,
                pending.identification,
            )
            told += self._deny(reply, pending.visitor, ReplyCode.FOREIGN_TIMEOUT, now)
        self._denied = {who: at for who, at in self._denied.items() if now.steady - at < 1.0}
        return advertised, told


def _seconds(now: Moment) -> int:
    """The clock that revocation identifiers are compared by (RFC 3543, 3.2)."""
    return int(now.wall + NTP_EPOCH) & 0xFFFFFFFF


def _end_of_home_part(octets: bytes, authentications: list[int]) -> int:
    """Where the last authenticator ends that is between mobile node and home; 0: there is none."""
    for at in reversed(authentications):
        kind = octets[at]
        if kind == _GENERALIZED:
            return at + 4 + int.from_bytes(octets[at + 2 : at + 4], "big")
        if kind not in (_FOREIGN_HOME, _MOBILE_FOREIGN):
            return at + 2 + octets[at + 1]
    return 0


def _missing(nai: bytes, home_agent: int, home_address: int) -> ReplyCode | None:
    """What a reply to a request with an NAI lacks (RFC 2794, 3)."""
    if not nai:
        return ReplyCode.MISSING_NAI
    if not home_agent:
        return ReplyCode.MISSING_HOME_AGENT
    return None if home_address else ReplyCode.MISSING_HOME_ADDRESS


def _with_code(octets: bytes, code: int) -> bytes:
    """The fixed part of a reply with another code: its authenticators would not hold any more."""
    return octets[:1] + bytes((code,)) + octets[2 : REPLY.size]
