"""Registration Revocation (RFC 3543), of bindings whose two ends agreed on it when they registered.

Ours: the binding ends at once, and who served its other end is told, again after 1, 2, 4 ... s
until it acknowledges or the binding would have ended anyway. Each message has a new identifier, the
time in seconds: one more than our clock says, so that it is after every timestamp of a Revocation
Support Extension that we ever sent, even in this very second.

Theirs: a revocation has to be a Foreign Agent's (bit A), to be proven by its authenticator, to name
a binding as it is here, and to be later than all that this Foreign Agent said about it before.
Whoever did not hear our acknowledgement asks again; so the binding is remembered for a while.

Messages that wait for an acknowledgement are not in the log. After a restart nobody repeats them:
the other end then keeps a binding that is gone here until its lifetime ends.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final

from ...wire import (
    LOW_32,
    AcknowledgementFlags,
    ExtensionType,
    RegistrationRevocation,
    RevocationAcknowledgement,
    RevocationFlags,
    peek_extensions,
    peek_spi,
    verify,
)
from ...wire.messages import ACKNOWLEDGEMENT, REVOCATION
from ..effects import Endpoint, Moment, Send
from ..record import Kind, Row, Trait
from .associations import Association
from .service import Service

FIRST_S: Final = 1.0
"""Before the first repetition; RFC 3543, 3.3: no more than one message a second for a binding."""

REMEMBERED_S: Final = 64
"""How long a binding that was revoked is remembered for the Foreign Agent's repetitions: the sixth
of them, at intervals that double, still finds it."""

_HALF: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Waiting:
    """A revocation of ours that nobody acknowledged yet."""

    row: Row
    association: Association  # with the other end
    inform: bool
    identifier: int
    due: float  # s, steady: of the next one
    interval: float  # s, between that and the one after it


def later(one: int, other: int) -> bool:
    """Whether one 32-bit timestamp is after another, across its wrap in 2106 too."""
    return 0 < (one - other) & LOW_32 < _HALF


def end_of(service: Service, row: Row, nai: bytes | None) -> Association | None:
    """The association with the foreign end of a binding: its Foreign Agent, or its mobile node."""
    foreign = service.foreign_agent(Endpoint(row.source_address, 0), row.care_of_address)
    if foreign is not None:
        return foreign
    subscriber = service.directory.subscriber(row.home_address, nai)
    return subscriber.association if subscriber is not None else None


class Outstanding:
    """Revocations of ours that wait for their acknowledgement."""

    __slots__ = ("_due", "_service", "_waiting", "abandoned", "link", "sent")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: dict[int, dict[int, Waiting]] = {}  # by home and care-of address
        self._due: list[tuple[float, int, int]] = []  # a heap; some are settled meanwhile
        self.link = 0  # of the last datagram that a controller passed on: how it is reached
        self.sent = 0
        self.abandoned = 0  # nobody acknowledged before the binding would have ended

    def begin(self, row: Row, association: Association, inform: bool, now: Moment) -> list[Send]:
        """The first message about a binding that is gone."""
        return self._proceed(Waiting(row, association, inform, 0, now.steady, FIRST_S), now)

    def settle(self, home_address: int, care_of_address: int) -> None:
        """Nothing more is to be said about this binding."""
        of_home = self._waiting.get(home_address, {})
        of_home.pop(care_of_address, None)
        if not of_home:
            self._waiting.pop(home_address, None)

    def named(self, message: RevocationAcknowledgement) -> Waiting | None:
        """What an acknowledgement is about (RFC 3543, 3.5)."""
        of_home = self._waiting.get(int(message.home_address), {})
        return next((w for w in of_home.values() if w.identifier == message.identifier), None)

    def next_due(self) -> float | None:
        while self._due and self._current(*self._due[0]) is None:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def repeat(self, now: Moment) -> list[Send]:
        """What is due again."""
        sent = []
        while self._due and self._due[0][0] <= now.steady:
            waiting = self._current(*heapq.heappop(self._due))
            if waiting is not None:
                sent += self._proceed(waiting, now)
        return sent

    def _current(self, due: float, home_address: int, care_of_address: int) -> Waiting | None:
        waiting = self._waiting.get(home_address, {}).get(care_of_address)
        return waiting if waiting is not None and waiting.due == due else None

    def _proceed(self, waiting: Waiting, now: Moment) -> list[Send]:
        row = waiting.row
        if now.steady >= row.expires:  # RFC 3543, 4.2.2.1: not beyond the life of the binding
            self.settle(row.home_address, row.care_of_address)
            self.abandoned += 1
            return []
        identifier = int(now.wall) + 1 & LOW_32
        due = now.steady + waiting.interval
        waiting = replace(waiting, identifier=identifier, due=due, interval=2 * waiting.interval)
        self._waiting.setdefault(row.home_address, {})[row.care_of_address] = waiting
        heapq.heappush(self._due, (due, row.home_address, row.care_of_address))
        self.sent += 1
        destination, source = self._service.way_to(row, self.link)
        payload = waiting.association.seal(_message(waiting))
        return [Send(payload, destination, source)]


def _message(waiting: Waiting) -> bytes:
    row = waiting.row
    flags = RevocationFlags.HOME_AGENT
    if waiting.inform and row.traits & Trait.INFORM:
        flags |= RevocationFlags.INFORM
    return RegistrationRevocation(
        flags,
        IPv4Address(row.home_address),
        IPv4Address(row.home_agent),
        IPv4Address(row.care_of_address),
        waiting.identifier,
    ).to_bytes()


def is_proven(payload: bytes, fixed: int, association: Association) -> bool:
    """Whether the message ends with exactly one authenticator of this association, which holds."""
    kinds = (
        ExtensionType.FOREIGN_HOME_AUTHENTICATION,
        ExtensionType.MOBILE_HOME_AUTHENTICATION,
    )
    _, authentications = peek_extensions(payload, fixed, len(payload))
    found = [at for at in authentications if payload[at] in kinds]
    return (
        len(found) == 1
        and payload[found[0]] == association.kind
        and peek_spi(payload, found[0]) == association.spi
        and verify(payload, found[0], association.key)
    )


def is_revocation_proven(payload: bytes, association: Association) -> bool:
    return is_proven(payload, REVOCATION.size, association)


def is_acknowledgement_proven(payload: bytes, association: Association) -> bool:
    return is_proven(payload, ACKNOWLEDGEMENT.size, association)


def named(service: Service, message: RegistrationRevocation) -> Row | None:
    """The binding that a Foreign Agent revokes, or that it revoked a moment ago."""
    table = service.table
    at = table.find(int(message.home_address))
    while at:
        row = table.get(at)
        if (
            row.care_of_address == int(message.foreign_domain)
            and row.home_agent == int(message.home_domain)
            and row.kind in (Kind.BINDING, Kind.CLOSED)
            and row.traits & Trait.REVOCABLE
        ):
            return row
        at = table.following(at)
    return None


def acknowledgement(message: RegistrationRevocation, row: Row) -> bytes:
    """The answer to a valid revocation. We want the mobile node told, if that is ours to say."""
    inform = message.flags & RevocationFlags.INFORM and row.traits & Trait.INFORM
    flags = AcknowledgementFlags.INFORM if inform else AcknowledgementFlags(0)
    return RevocationAcknowledgement(flags, message.home_address, message.identifier).to_bytes()
