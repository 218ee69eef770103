"""A mobile node: what RFC 5944, 3.6 asks of it, as a state machine that is told the time.

    hear(visited)      an advertisement: on a new link it registers there, at once
    receive(octets)    a reply from the Foreign Agent
    handle_timer()     after `deadline`: retransmit, renew, or try again
    deregister()       leave
    fall_silent()      switched off: the binding lives on without it

Each returns the octets of a request to send to the Foreign Agent, or none. A node has at most one
request under way, the last one: a reply to an earlier one is discarded by its Identification
(3.6.2.1), so whoever moves while a reply is on its way hears of its new place only.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from hacc_agent.engine.effects import Moment
from hacc_agent.wire import (
    LOW_32,
    AgentAdvertisement,
    AgentFlags,
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    ExtensionType,
    NetworkAccessIdentifier,
    RegistrationReply,
    RegistrationRequest,
    ReplyCode,
    RequestFlags,
    WireError,
    authenticate,
    parse,
    peek_reply,
    peek_spi,
    verify,
)
from hacc_agent.wire.registry import ACCEPTING, INFINITE_LIFETIME, denied_by_foreign_agent

from .association import Subscription, Token, identifications

FIRST_WAIT: Final = 1.0
"""Seconds: "the minimum time between Registration Requests MUST NOT be less" (3.6.3)."""

LONGEST_WAIT: Final = 32.0
"""Seconds. The text allows the requested lifetime; but when a cluster comes back after an outage,
its subscribers shall notice within half a minute, as those of real networks do."""

RENEWAL: Final = 64.0
"""Seconds before the end of a binding: time for the 1 + 2 + 4 + ... + 32 of retransmissions."""

RENEWAL_PART: Final = 1 / 3
"""Of a lifetime that is too short for that: the part of it in which it is renewed."""


class Repair(enum.Enum):
    """What a node can do about a denial (3.6.2.3)."""

    SHORTEN = enum.auto()  # ask for the lifetime that the Foreign Agent said
    SYNCHRONISE = enum.auto()  # the next Identification follows the Home Agent's
    OTHER_HOME_AGENT = enum.auto()  # ask the one that the reply names
    WAIT = enum.auto()  # the reason may pass
    GIVE_UP = enum.auto()  # the same request would be denied again; until the node moves


REPAIRS: Final[Mapping[int, Repair]] = {
    ReplyCode.FOREIGN_LIFETIME_TOO_LONG: Repair.SHORTEN,
    ReplyCode.IDENTIFICATION_MISMATCH: Repair.SYNCHRONISE,
    ReplyCode.UNKNOWN_HOME_AGENT: Repair.OTHER_HOME_AGENT,
    ReplyCode.REDIRECT_HOME_AGENT: Repair.OTHER_HOME_AGENT,
    ReplyCode.FOREIGN_UNSPECIFIED: Repair.WAIT,
    ReplyCode.FOREIGN_NO_RESOURCES: Repair.WAIT,
    ReplyCode.FOREIGN_HOME_AGENT_AUTHENTICATION: Repair.WAIT,
    ReplyCode.FOREIGN_TIMEOUT: Repair.WAIT,
    ReplyCode.HOME_NETWORK_UNREACHABLE: Repair.WAIT,
    ReplyCode.HOME_AGENT_HOST_UNREACHABLE: Repair.WAIT,
    ReplyCode.HOME_AGENT_PORT_UNREACHABLE: Repair.WAIT,
    ReplyCode.HOME_AGENT_UNREACHABLE: Repair.WAIT,
    ReplyCode.UNSPECIFIED: Repair.WAIT,
    ReplyCode.NO_RESOURCES: Repair.WAIT,
}
"""Every other denial: give up."""

# Plain numbers: to look a member of an enumeration up costs as much as to read a field.
_MISMATCH: Final = int(ReplyCode.IDENTIFICATION_MISMATCH)
_MOBILE_HOME: Final = int(ExtensionType.MOBILE_HOME_AUTHENTICATION)
_NO_FLAGS: Final = RequestFlags(0)
_REVERSE: Final = RequestFlags.REVERSE_TUNNEL


@dataclass(frozen=True, slots=True)
class Visited:
    """What an Agent Advertisement tells a mobile node about the link that it is on."""

    care_of_address: IPv4Address
    lifetime: int  # s, the longest registration that the Foreign Agent takes
    sequence: int
    flags: AgentFlags = AgentFlags.FOREIGN_AGENT

    @classmethod
    def of(cls, heard: AgentAdvertisement) -> Visited | None:
        """None: no Foreign Agent, or one that takes nobody more."""
        agent = heard.agent
        if agent is None or not agent.care_of_addresses or AgentFlags.BUSY in agent.flags:
            return None
        return cls(agent.care_of_addresses[0], agent.lifetime, agent.sequence, agent.flags)

    def restarted_since(self, before: Visited) -> bool:
        """The agent has forgotten its visitors: its sequence began anew (2.4.4)."""
        return self.sequence < before.sequence and self.sequence < 256


class Ending(enum.Enum):
    """How an exchange ended, or why an answer did not end it."""

    ACCEPTED = "accepted"
    DENIED = "denied"
    UNREADABLE = "unreadable"
    UNEXPECTED = "not to the last request"
    UNAUTHENTIC = "no valid authenticator"

    @property
    def discarded(self) -> bool:
        return self not in (Ending.ACCEPTED, Ending.DENIED)


class Answer(NamedTuple):
    """What became of a reply. Figures are those of the request that it answers."""

    ending: Ending
    code: int = 0
    seconds: float = 0.0  # since the first transmission
    renewed: bool = False  # the node was registered when it asked
    lifetime: int = 0  # s, asked for: 0 is a deregistration


@dataclass(slots=True)
class _Pending:
    """A request under way: what 3.6 tells a node to remember of it."""

    octets: bytes
    identification: int
    lifetime: int  # s
    sent: float  # the first time, if it is repeated unchanged


class MobileNode:
    """One subscriber. `token` is a source of chance, shared by all nodes of a population."""

    __slots__ = (
        "_began",
        "_identifications",
        "_leaving",
        "_lifetime",
        "_nai",
        "_pending",
        "_token",
        "_visited",
        "_wait",
        "deadline",
        "expires",
        "home_address",
        "home_agent",
        "last_code",
        "subscription",
    )

    def __init__(self, subscription: Subscription, token: Token) -> None:
        self.subscription = subscription
        self.home_address = subscription.home_address
        self.home_agent = subscription.home_agent
        self.expires: float | None = None  # of the binding, on the steady clock
        self.deadline: float | None = None  # when handle_timer has something to do
        self.last_code: int | None = None
        self._nai = (NetworkAccessIdentifier(subscription.nai),) if subscription.nai else ()
        self._identifications = identifications(subscription.association.replay)
        self._lifetime = subscription.lifetime
        self._token = token
        self._visited: Visited | None = None
        self._pending: _Pending | None = None
        self._wait = FIRST_WAIT  # s, until the next request is sent again
        self._began: float | None = None  # when it was sent first what has not been granted yet
        self._leaving = False

    def __str__(self) -> str:
        return self.subscription.nai.decode() or str(self.subscription.home_address)

    # What it is -----------------------------------------------------------------------------

    def registered(self, now: float) -> bool:
        """Whether it may believe that its Home Agent has a binding for where it is."""
        return self.expires is not None and now < self.expires

    @property
    def waiting(self) -> bool:
        """A request is under way."""
        return self._pending is not None

    @property
    def settled(self) -> bool:
        """No request is under way, and none will be until a renewal."""
        return self._pending is None and (self.deadline is None or self.expires is not None)

    # What happens to it ---------------------------------------------------------------------

    def hear(self, visited: Visited, now: Moment) -> bytes:
        """An advertisement. A new agent on the link is a new link: register (2.4.2, 3.6)."""
        before, self._visited = self._visited, visited
        moved = before is None or before.care_of_address != visited.care_of_address
        if moved or before is None or visited.restarted_since(before):
            self._leaving = False
            self._lifetime = self.subscription.lifetime
            return self._begin(now)
        return b""

    def renew(self, now: Moment) -> bytes:
        """Before it has to; nothing, while a request is under way."""
        return self._begin(now) if self.registered(now.steady) and self.settled else b""

    def deregister(self, now: Moment) -> bytes:
        """Ask the Home Agent to forget the binding with this care-of address."""
        if self._visited is None:
            return b""
        self._leaving = True
        return self._begin(now)

    def fall_silent(self) -> None:
        """Switched off: nothing is retransmitted or renewed any more."""
        self._pending = self.deadline = None

    def handle_timer(self, now: Moment) -> bytes:
        """Something is due: the answer, the renewal, or another attempt."""
        if self.deadline is None or now.steady < self.deadline:
            return b""
        pending = self._pending
        if pending is None or not self._identifications.repeats:
            return self._ask(now)
        self._arm(now)
        return pending.octets

    def receive(self, octets: bytes, now: Moment) -> Answer:
        """A reply came from the Foreign Agent."""
        try:
            fields, _, authentications = peek_reply(octets, 0, len(octets))
        except WireError:
            return Answer(Ending.UNREADABLE)
        _, code, lifetime, home_address, home_agent, identification = fields
        pending = self._pending
        if pending is None or (identification ^ pending.identification) & LOW_32:
            return Answer(Ending.UNEXPECTED)
        if not denied_by_foreign_agent(code):
            if not self._authentic(octets, authentications):
                return Answer(Ending.UNAUTHENTIC, code)
            mismatch = code == _MISMATCH
            self._identifications.answered(identification, mismatch=mismatch, now=now)
        self._pending, self.last_code = None, code
        began, renewed = self._began or now.steady, self.registered(now.steady)
        if code in ACCEPTING:
            self._accepted(pending, lifetime, home_address, home_agent)
            ending = Ending.ACCEPTED
        else:
            self._denied(octets, code, lifetime)
            ending = Ending.DENIED
        return Answer(ending, code, now.steady - began, renewed, pending.lifetime)

    # How it is done -------------------------------------------------------------------------

    def _begin(self, now: Moment) -> bytes:
        """Ask for something else than before: whatever was under way does not count any more."""
        self._wait, self._began = FIRST_WAIT, None
        return self._ask(now)

    def _ask(self, now: Moment) -> bytes:
        """A new request."""
        visited = self._visited
        assert visited is not None  # a node without a link has no deadline
        lifetime = 0 if self._leaving else min(self._lifetime, visited.lifetime)
        identification = self._identifications.following(now, self._token)
        association = self.subscription.association
        request = RegistrationRequest(
            _REVERSE if self.subscription.reverse_tunnel else _NO_FLAGS,
            lifetime,
            self.home_address,
            self.home_agent,
            visited.care_of_address,
            identification,
            self._nai,
        )
        octets = authenticate(
            request.to_bytes(),
            ExtensionType.MOBILE_HOME_AUTHENTICATION,
            association.spi,
            association.key,
        )
        self._pending = _Pending(octets, identification, lifetime, now.steady)
        if self._began is None:
            self._began = now.steady
        self._arm(now)
        return octets

    def _arm(self, now: Moment) -> None:
        """When to send again: each wait is twice the one before (3.6.3)."""
        self.deadline = now.steady + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _authentic(self, octets: bytes, authentications: list[int]) -> bool:
        """Exactly one Mobile-Home Authentication Extension, of our SPI and key (3.6.2.1)."""
        found = [at for at in authentications if octets[at] == _MOBILE_HOME]
        ours = self.subscription.association
        return (
            len(found) == 1
            and peek_spi(octets, found[0]) == ours.spi
            and verify(octets, found[0], ours.key)
        )

    def _accepted(
        self, pending: _Pending, lifetime: int, home_address: int, home_agent: int
    ) -> None:
        """The lifetime counts from when the request was sent (3.6.2.2)."""
        self._wait, self._began = FIRST_WAIT, None
        if home_address != int(self.home_address):
            self.home_address = IPv4Address(home_address)
        if home_agent != int(self.home_agent):  # it was assigned (RFC 4433)
            self.home_agent = IPv4Address(home_agent)
        if self._leaving:
            self.expires = self.deadline = None
            return
        lifetime = min(lifetime, pending.lifetime)
        if lifetime == INFINITE_LIFETIME:
            self.expires, self.deadline = float("inf"), None
            return
        self.expires = pending.sent + lifetime
        self.deadline = self.expires - min(RENEWAL, lifetime * RENEWAL_PART)

    def _denied(self, octets: bytes, code: int, lifetime: int) -> None:
        """Prepare another attempt, or none. An earlier binding stays what it was.

        The attempt comes when the request would have been sent again without an answer: never two
        within a second, and ever more rarely while the denials last.
        """
        repair = REPAIRS.get(code, Repair.GIVE_UP)
        if code == ReplyCode.PROHIBITED and self.home_address != self.subscription.home_address:
            # The address that it was assigned is somebody else's by now: it asks for another.
            self.home_address = self.subscription.home_address
            repair = Repair.WAIT
        if repair is Repair.SHORTEN and 0 < lifetime < self._lifetime:
            self._lifetime = lifetime
        elif repair is Repair.OTHER_HOME_AGENT:
            other = _named_home_agent(octets)
            if other is None or other == self.home_agent:
                repair = Repair.GIVE_UP
            else:
                self.home_agent = other
        elif repair is Repair.SHORTEN:
            repair = Repair.GIVE_UP
        if repair is Repair.GIVE_UP:
            self.deadline = None


def _named_home_agent(octets: bytes) -> IPv4Address | None:
    """Where a denial sends the node: extension 139 (RFC 4433, 4), else the Home Agent field."""
    try:
        reply = parse(octets)
    except WireError:
        return None
    assert isinstance(reply, RegistrationReply)  # it was peeked at as one
    for extension in reply.extensions:
        if (
            isinstance(extension, DynamicHomeAgent)
            and extension.subtype is DynamicHomeAgentSubtype.REDIRECTED
        ):
            return extension.home_agent
    return reply.home_agent if int(reply.home_agent) else None
