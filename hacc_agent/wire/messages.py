"""The messages on UDP port 434: `parse(octets)` makes one, `to_bytes()` gives its octets back.

    parse(message.to_bytes()) == message        parse(octets).to_bytes() == octets

Both hold for everything that parses, reserved bits and unknown extensions included: who relays a
message, and who checks an authenticator, may do it from either form. Who only relays uses `peek`,
which reads the same octets without making values of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from .errors import NotUnderstood, PoorlyFormed, Truncated, Unencodable
from .extensions import Extension, parse_extensions
from .registry import (
    ACCEPTING,
    AcknowledgementFlags,
    MessageType,
    ReplyCode,
    RequestFlags,
    RevocationFlags,
)
from .tlv import Octets, pack

REQUEST = struct.Struct("!BBHIIIQ")
REPLY = struct.Struct("!BBHIIQ")
REVOCATION = struct.Struct("!BBHIIII")
ACKNOWLEDGEMENT = struct.Struct("!BBHII")
TUNNEL_DATA = struct.Struct("!BBH")

LONGEST = 65507
"""Octets of the longest UDP payload over IPv4: 65,535 less 20 of IP and 8 of UDP."""

# Made once: calling an enumeration costs as much as reading the rest of the fixed fields.
_CODES: dict[int, int] = {int(code): code for code in ReplyCode}
_REQUEST_FLAGS = tuple(RequestFlags(octet) for octet in range(256))


def _joined(fixed: bytes, extensions: tuple[Extension, ...]) -> bytes:
    octets = b"".join((fixed, *[extension.to_bytes() for extension in extensions]))
    if len(octets) > LONGEST:
        raise Unencodable(f"{len(octets)} octets do not fit a UDP datagram, at most {LONGEST}")
    return octets


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """Mobile node, perhaps through its Foreign Agent, to Home Agent (RFC 5944, 3.3)."""

    flags: RequestFlags
    lifetime: int  # s; 0 deregisters, INFINITE_LIFETIME never ends
    home_address: IPv4Address  # 0.0.0.0 with an NAI: assign one (RFC 2794)
    home_agent: IPv4Address  # 0.0.0.0, 255.255.255.255: assign one (RFC 4433)
    care_of_address: IPv4Address
    identification: int  # 64 bits; replies carry the low 32
    extensions: tuple[Extension, ...] = ()
    kind: ClassVar = MessageType.REGISTRATION_REQUEST

    def to_bytes(self) -> bytes:
        fixed = pack(
            REQUEST,
            self.kind,
            self.flags,
            self.lifetime,
            int(self.home_address),
            int(self.home_agent),
            int(self.care_of_address),
            self.identification,
        )
        return _joined(fixed, self.extensions)


@dataclass(frozen=True, slots=True)
class RegistrationReply:
    """Home Agent, or Foreign Agent in denial, to mobile node (RFC 5944, 3.4)."""

    code: int  # a ReplyCode; a number that has no name yet is a denial
    lifetime: int  # s, granted; means nothing in a denial
    home_address: IPv4Address
    home_agent: IPv4Address
    identification: int  # low 32 bits from the request; the high ones by the style of replay
    extensions: tuple[Extension, ...] = ()
    kind: ClassVar = MessageType.REGISTRATION_REPLY

    @property
    def accepted(self) -> bool:
        return self.code in ACCEPTING

    def to_bytes(self) -> bytes:
        fixed = pack(
            REPLY,
            self.kind,
            self.code,
            self.lifetime,
            int(self.home_address),
            int(self.home_agent),
            self.identification,
        )
        return _joined(fixed, self.extensions)


@dataclass(frozen=True, slots=True)
class RegistrationRevocation:
    """One agent tells the other that a binding is gone (RFC 3543, 3.3)."""

    flags: RevocationFlags
    home_address: IPv4Address
    home_domain: IPv4Address  # the Home Agent
    foreign_domain: IPv4Address  # the Foreign Agent, or the co-located care-of address
    identifier: int  # timestamp of the revoking agent's clock, against replay
    extensions: tuple[Extension, ...] = ()
    reserved: int = 0
    kind: ClassVar = MessageType.REGISTRATION_REVOCATION

    def to_bytes(self) -> bytes:
        fixed = pack(
            REVOCATION,
            self.kind,
            self.reserved,
            self.flags,
            int(self.home_address),
            int(self.home_domain),
            int(self.foreign_domain),
            self.identifier,
        )
        return _joined(fixed, self.extensions)


@dataclass(frozen=True, slots=True)
class RevocationAcknowledgement:
    """Answer to a revocation that was valid (RFC 3543, 3.4)."""

    flags: AcknowledgementFlags
    home_address: IPv4Address
    identifier: int  # of the revocation
    extensions: tuple[Extension, ...] = ()
    reserved: int = 0
    kind: ClassVar = MessageType.REVOCATION_ACKNOWLEDGEMENT

    def to_bytes(self) -> bytes:
        fixed = pack(
            ACKNOWLEDGEMENT,
            self.kind,
            self.reserved,
            self.flags,
            int(self.home_address),
            self.identifier,
        )
        return _joined(fixed, self.extensions)


@dataclass(frozen=True, slots=True)
class TunnelData:
    """A packet in the UDP tunnel of a mobile node behind a NAT (RFC 3519, 3.3)."""

    next_header: int  # Encapsulation: what the payload begins with
    payload: bytes
    reserved: int = 0
    kind: ClassVar = MessageType.TUNNEL_DATA

    def to_bytes(self) -> bytes:
        octets = pack(TUNNEL_DATA, self.kind, self.next_header, self.reserved) + self.payload
        if len(octets) > LONGEST:
            raise Unencodable(f"{len(octets)} octets do not fit a UDP datagram, at most {LONGEST}")
        return octets


Message = (
    RegistrationRequest
    | RegistrationReply
    | RegistrationRevocation
    | RevocationAcknowledgement
    | TunnelData
)


def _request(data: Octets, end: int) -> RegistrationRequest:
    _, flags, lifetime, home, agent, care_of, identification = REQUEST.unpack_from(data)
    return RegistrationRequest(
        _REQUEST_FLAGS[flags],
        lifetime,
        IPv4Address(home),
        IPv4Address(agent),
        IPv4Address(care_of),
        identification,
        parse_extensions(data, REQUEST.size, end),
    )


def _reply(data: Octets, end: int) -> RegistrationReply:
    _, code, lifetime, home, agent, identification = REPLY.unpack_from(data)
    return RegistrationReply(
        _CODES.get(code, code),
        lifetime,
        IPv4Address(home),
        IPv4Address(agent),
        identification,
        parse_extensions(data, REPLY.size, end),
    )


def _revocation(data: Octets, end: int) -> RegistrationRevocation:
    _, reserved, flags, home, home_domain, foreign_domain, identifier = REVOCATION.unpack_from(data)
    return RegistrationRevocation(
        RevocationFlags(flags),
        IPv4Address(home),
        IPv4Address(home_domain),
        IPv4Address(foreign_domain),
        identifier,
        parse_extensions(data, REVOCATION.size, end),
        reserved,
    )


def _acknowledgement(data: Octets, end: int) -> RevocationAcknowledgement:
    _, reserved, flags, home, identifier = ACKNOWLEDGEMENT.unpack_from(data)
    return RevocationAcknowledgement(
        AcknowledgementFlags(flags),
        IPv4Address(home),
        identifier,
        parse_extensions(data, ACKNOWLEDGEMENT.size, end),
        reserved,
    )


def _tunnel_data(data: Octets, end: int) -> TunnelData:
    _, next_header, reserved = TUNNEL_DATA.unpack_from(data)
    return TunnelData(next_header, bytes(data[TUNNEL_DATA.size : end]), reserved)


_PARSERS: dict[int, tuple[struct.Struct, Callable[[Octets, int], Message]]] = {
    MessageType.REGISTRATION_REQUEST: (REQUEST, _request),
    MessageType.REGISTRATION_REPLY: (REPLY, _reply),
    MessageType.REGISTRATION_REVOCATION: (REVOCATION, _revocation),
    MessageType.REVOCATION_ACKNOWLEDGEMENT: (ACKNOWLEDGEMENT, _acknowledgement),
    MessageType.TUNNEL_DATA: (TUNNEL_DATA, _tunnel_data),
}

# Who may be told that a message is poorly formed, and how: codes of the Home and Foreign Agent.
_POORLY_FORMED: dict[int, tuple[ReplyCode | None, ReplyCode | None]] = {
    MessageType.REGISTRATION_REQUEST: (
        ReplyCode.POORLY_FORMED_REQUEST,
        ReplyCode.FOREIGN_POORLY_FORMED_REQUEST,
    ),
    MessageType.REGISTRATION_REPLY: (None, ReplyCode.FOREIGN_POORLY_FORMED_REPLY),
}


def parse(data: Octets) -> Message:
    """The message in one UDP payload, or a `WireError` that says what to do with it."""
    if not data:
        raise Truncated("no octets at all")
    known = _PARSERS.get(data[0])
    if known is None:
        raise NotUnderstood(f"message type {data[0]} is not known")
    fixed, parser = known
    if len(data) < fixed.size:
        raise Truncated(f"message type {data[0]}: {len(data)} octets, at least {fixed.size}")
    try:
        return parser(data, len(data))
    except PoorlyFormed as wrong:
        wrong.home_agent_code, wrong.foreign_agent_code = _POORLY_FORMED.get(data[0], (None, None))
        raise
