"""Extensions of the messages on port 434: one frozen value each, named as in its RFC.

Reading never loses an octet: reserved fields are kept (an authenticator covers them), a skippable
extension that is unknown, or not laid out as its RFC says, stays as it came (`UnknownExtension`,
which RFC 3519, 3.1.3 asks for in so many words). One that may not be skipped and makes no sense
condemns its message. What a value means, whether it may stand where it stands and whether its
authenticator holds is for others to judge.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from . import tlv
from .errors import NotUnderstood, PoorlyFormed, Unencodable
from .registry import (
    DynamicHomeAgentSubtype,
    ExtensionType,
    MessageStringOrigin,
    MobileNetworkSubtype,
    RevocationSupportFlags,
    TunnelReplyFlags,
    TunnelRequestFlags,
)
from .tlv import Octets, pack
from .vendor import CriticalVendor, NormalVendor

_SPI = struct.Struct("!I")
_TUNNEL_REQUEST = struct.Struct("!BBBBH")
_TUNNEL_REPLY = struct.Struct("!BBHH")
_TWO_OCTETS = struct.Struct("!BB")
_REVOCATION_SUPPORT = struct.Struct("!HI")
_ADDRESS = struct.Struct("!I")
_SUBTYPE_ADDRESS = struct.Struct("!BI")
_NETWORK_REQUEST = struct.Struct("!BBI")
_NETWORK_ACKNOWLEDGEMENT = struct.Struct("!BBBBI")

_KINDS = {int(kind): kind for kind in ExtensionType}  # quicker than to call the enumeration

LEAST_GENERALIZED = 20
"""Least length of a Generalized Authentication Extension: SPI and 128 bits (RFC 4721, 5)."""


@dataclass(frozen=True, slots=True)
class Padding:
    """One-byte padding: neither length nor data (RFC 5944, 2.1.3)."""

    kind: ClassVar = ExtensionType.PADDING

    def to_bytes(self) -> bytes:
        return bytes((self.kind,))


@dataclass(frozen=True, slots=True)
class Authentication:
    """Mobile-Home, Mobile-Foreign or Foreign-Home Authentication (RFC 5944, 3.5.2-3.5.4)."""

    kind: ExtensionType
    spi: int
    authenticator: bytes  # covers all of the message before it, and the type, length and SPI here

    def to_bytes(self) -> bytes:
        return tlv.short(self.kind, pack(_SPI, self.spi) + self.authenticator)

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> Authentication:
        kind = _KINDS[data[at]]
        if end - body < tlv.SPI_OCTETS:
            raise PoorlyFormed(f"extension {kind} at octet {at} has no room for its SPI")
        (spi,) = _SPI.unpack_from(data, body)
        return cls(kind, spi, bytes(data[body + tlv.SPI_OCTETS : end]))


@dataclass(frozen=True, slots=True)
class GeneralizedAuthentication:
    """Generalized Mobile IP Authentication; sub-type 1 is Mobile-AAA (RFC 4721, 5 and 6)."""

    subtype: int
    spi: int
    authenticator: bytes
    kind: ClassVar = ExtensionType.GENERALIZED_AUTHENTICATION

    def to_bytes(self) -> bytes:
        return tlv.long(self.kind, self.subtype, pack(_SPI, self.spi) + self.authenticator)

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> GeneralizedAuthentication:
        if end - body < LEAST_GENERALIZED:
            raise PoorlyFormed(f"extension 36 at octet {at}: length below {LEAST_GENERALIZED}")
        (spi,) = _SPI.unpack_from(data, body)
        return cls(data[at + 1], spi, bytes(data[body + tlv.SPI_OCTETS : end]))


@dataclass(frozen=True, slots=True)
class UdpTunnelReply:
    """Whether the Home Agent will tunnel in UDP (RFC 3519, 3.2). May not be skipped."""

    code: int  # TunnelReply; below 64 is assent
    keepalive: int  # seconds between keepalives; 0: the mobile node's own default
    flags: TunnelReplyFlags = TunnelReplyFlags.NONE
    kind: ClassVar = ExtensionType.UDP_TUNNEL_REPLY

    def to_bytes(self) -> bytes:
        return tlv.short(self.kind, pack(_TUNNEL_REPLY, 0, self.code, self.flags, self.keepalive))

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> UdpTunnelReply:
        if end - body != _TUNNEL_REPLY.size:
            raise PoorlyFormed(f"extension 44 at octet {at}: length is not {_TUNNEL_REPLY.size}")
        subtype, code, flags, keepalive = _TUNNEL_REPLY.unpack_from(data, body)
        if subtype:
            raise NotUnderstood(f"extension 44 at octet {at}: sub-type {subtype} is not known")
        return cls(code, keepalive, TunnelReplyFlags(flags))


@dataclass(frozen=True, slots=True)
class ForeignAgentError:
    """What the Foreign Agent adds to a reply that it does not honour (RFC 4636, 3)."""

    status: int  # a ReplyCode from 64 to 127
    kind: ClassVar = ExtensionType.FOREIGN_AGENT_ERROR

    def to_bytes(self) -> bytes:
        return tlv.short(self.kind, pack(_TWO_OCTETS, 0, self.status))

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> ForeignAgentError:
        if end - body != _TWO_OCTETS.size:
            raise PoorlyFormed(f"extension 45 at octet {at}: length is not {_TWO_OCTETS.size}")
        if data[body]:
            raise NotUnderstood(f"extension 45 at octet {at}: sub-type {data[body]} is not known")
        return cls(data[body + 1])


@dataclass(frozen=True, slots=True)
class EncapsulatingDelivery:
    """Encapsulating Delivery Style: asked of the Foreign Agent, consumed there (RFC 3024, 3.3)."""

    kind: ClassVar = ExtensionType.ENCAPSULATING_DELIVERY

    def to_bytes(self) -> bytes:
        return tlv.short(self.kind, b"")

    @classmethod
    def decode(cls, _data: Octets, _at: int, body: int, end: int) -> EncapsulatingDelivery | None:
        return cls() if body == end else None


@dataclass(frozen=True, slots=True)
class NetworkAccessIdentifier:
    """Mobile Node NAI, `user@realm`, as octets: it is a key and is compared, not read (2794)."""

    nai: bytes
    kind: ClassVar = ExtensionType.NETWORK_ACCESS_IDENTIFIER

    def __str__(self) -> str:
        return self.nai.decode("utf-8", "backslashreplace")

    def to_bytes(self) -> bytes:
        return tlv.short(self.kind, self.nai)

    @classmethod
    def decode(cls, data: Octets, _at: int, body: int, end: int) -> NetworkAccessIdentifier:
        return cls(bytes(data[body:end]))


@dataclass(frozen=True, slots=True)
class Challenge:
    """Mobile-Foreign Challenge: what the Foreign Agent advertised, given back (RFC 4721, 4)."""

    challenge: bytes
    kind: ClassVar = ExtensionType.CHALLENGE

    def to_bytes(self) -> bytes:
        return tlv.short(self.kind, self.challenge)

    @classmethod
    def decode(cls, data: Octets, _at: int, body: int, end: int) -> Challenge:
        return cls(bytes(data[body:end]))


@dataclass(frozen=True, slots=True)
class RevocationSupport:
    """The sender wants revocations for this registration (RFC 3543, 3.2)."""

    timestamp: int  # of the sender's clock for revocation identifiers
    flags: RevocationSupportFlags = RevocationSupportFlags.NONE
    more: bytes = b""  # "allows for a longer extension length": later fields, unread
    kind: ClassVar = ExtensionType.REVOCATION_SUPPORT

    def to_bytes(self) -> bytes:
        return tlv.short(
            self.kind, pack(_REVOCATION_SUPPORT, self.flags, self.timestamp) + self.more
        )

    @classmethod
    def decode(cls, data: Octets, _at: int, body: int, end: int) -> RevocationSupport | None:
        if end - body < _REVOCATION_SUPPORT.size:
            return None
        flags, timestamp = _REVOCATION_SUPPORT.unpack_from(data, body)
        more = bytes(data[body + _REVOCATION_SUPPORT.size : end])
        return cls(timestamp, RevocationSupportFlags(flags), more)


class DynamicLayout(enum.Enum):
    """How extension 139 is laid out: see `tlv`. Answer a peer in the layout that it used."""

    RFC4433 = enum.auto()  # 16-bit length: what the text says
    SHORT = enum.auto()  # 8-bit length: what its type number promises, and decoders expect


@dataclass(frozen=True, slots=True)
class DynamicHomeAgent:
    """Requested or redirected Home Agent (RFC 4433, 3.4)."""

    subtype: DynamicHomeAgentSubtype
    home_agent: IPv4Address
    layout: DynamicLayout = DynamicLayout.RFC4433
    kind: ClassVar = ExtensionType.DYNAMIC_HOME_AGENT

    def to_bytes(self) -> bytes:
        if self.layout is DynamicLayout.RFC4433:
            return tlv.long(self.kind, self.subtype, self.home_agent.packed)
        return tlv.short(self.kind, bytes((self.subtype,)) + self.home_agent.packed)

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> DynamicHomeAgent | None:
        if body - at == 4:
            subtype, layout = data[at + 1], DynamicLayout.RFC4433
            (address,) = _ADDRESS.unpack_from(data, body)
        elif end - body == _SUBTYPE_ADDRESS.size:
            layout = DynamicLayout.SHORT
            subtype, address = _SUBTYPE_ADDRESS.unpack_from(data, body)
        else:
            return None
        if subtype not in tlv.DYNAMIC_SUBTYPES:
            return None
        return cls(DynamicHomeAgentSubtype(subtype), IPv4Address(address), layout)


@dataclass(frozen=True, slots=True)
class UdpTunnelRequest:
    """The sender can tunnel in UDP (RFC 3519, 3.1)."""

    encapsulation: int  # Encapsulation
    flags: TunnelRequestFlags = TunnelRequestFlags.NONE
    reserved: int = 0  # "Reserved 1": ignored; "Reserved 3" other than 0 makes it unknown
    kind: ClassVar = ExtensionType.UDP_TUNNEL_REQUEST

    def to_bytes(self) -> bytes:
        return tlv.short(
            self.kind,
            pack(_TUNNEL_REQUEST, 0, self.reserved, self.flags, self.encapsulation, 0),
        )

    @classmethod
    def decode(cls, data: Octets, _at: int, body: int, end: int) -> UdpTunnelRequest | None:
        if end - body != _TUNNEL_REQUEST.size:
            return None
        subtype, reserved, flags, encapsulation, reserved_3 = _TUNNEL_REQUEST.unpack_from(
            data, body
        )
        if subtype or reserved_3:
            return None
        return cls(encapsulation, TunnelRequestFlags(flags), reserved)


@dataclass(frozen=True, slots=True)
class MessageString:
    """Text for a person, in a reply or a revocation (RFC 4917, 3)."""

    origin: MessageStringOrigin
    text: str
    kind: ClassVar = ExtensionType.MESSAGE_STRING

    def to_bytes(self) -> bytes:
        try:
            text = self.text.encode()
        except UnicodeEncodeError as wrong:
            raise Unencodable(f"message string: {wrong}") from None
        if not text:
            raise Unencodable("a message string has at least one octet of text")
        return tlv.short(self.kind, bytes((self.origin,)) + text)

    @classmethod
    def decode(cls, data: Octets, _at: int, body: int, end: int) -> MessageString | None:
        if end - body < 2:  # a sub-type and one octet of text
            return None
        try:
            return cls(MessageStringOrigin(data[body]), bytes(data[body + 1 : end]).decode())
        except ValueError:  # an unknown sub-type, or no UTF-8
            return None


@dataclass(frozen=True, slots=True)
class MobileNetworkRequest:
    """A network behind the mobile router that shall be reached through it (RFC 5177, 3)."""

    prefix: IPv4Address
    prefix_length: int
    kind: ClassVar = ExtensionType.MOBILE_NETWORK

    def to_bytes(self) -> bytes:
        subtype = MobileNetworkSubtype.REQUEST
        return tlv.short(
            self.kind, pack(_NETWORK_REQUEST, subtype, self.prefix_length, int(self.prefix))
        )


@dataclass(frozen=True, slots=True)
class MobileNetworkAcknowledgement:
    """What became of a mobile router's network: one that it named, or one configured."""

    subtype: MobileNetworkSubtype
    code: int  # MobileNetworkCode
    prefix: IPv4Address
    prefix_length: int
    reserved: int = 0
    kind: ClassVar = ExtensionType.MOBILE_NETWORK

    def to_bytes(self) -> bytes:
        length, prefix = self.prefix_length, int(self.prefix)
        fields = pack(
            _NETWORK_ACKNOWLEDGEMENT, self.subtype, self.code, length, self.reserved, prefix
        )
        return tlv.short(self.kind, fields)


def _mobile_network(
    data: Octets, _at: int, body: int, end: int
) -> MobileNetworkRequest | MobileNetworkAcknowledgement | None:
    size = end - body
    if size == _NETWORK_REQUEST.size and data[body] == MobileNetworkSubtype.REQUEST:
        _, length, prefix = _NETWORK_REQUEST.unpack_from(data, body)
        return MobileNetworkRequest(IPv4Address(prefix), length)
    if size == _NETWORK_ACKNOWLEDGEMENT.size and data[body] in (1, 2):
        subtype, code, length, reserved, prefix = _NETWORK_ACKNOWLEDGEMENT.unpack_from(data, body)
        kind = MobileNetworkSubtype(subtype)
        return MobileNetworkAcknowledgement(kind, code, IPv4Address(prefix), length, reserved)
    return None


@dataclass(frozen=True, slots=True)
class UnknownExtension:
    """Skippable and not understood: kept octet for octet."""

    kind: int
    data: bytes

    def to_bytes(self) -> bytes:
        return tlv.short(self.kind, self.data)


Extension = (
    Padding
    | Authentication
    | GeneralizedAuthentication
    | CriticalVendor
    | NormalVendor
    | UdpTunnelReply
    | ForeignAgentError
    | EncapsulatingDelivery
    | NetworkAccessIdentifier
    | Challenge
    | RevocationSupport
    | DynamicHomeAgent
    | UdpTunnelRequest
    | MessageString
    | MobileNetworkRequest
    | MobileNetworkAcknowledgement
    | UnknownExtension
)

Decoder = Callable[[Octets, int, int, int], Extension | None]
"""Data, offsets of type, of what follows type and length, and of the end; None: not understood."""

_DECODERS: dict[int, Decoder] = {
    ExtensionType.PADDING: lambda *_: Padding(),
    ExtensionType.MOBILE_HOME_AUTHENTICATION: Authentication.decode,
    ExtensionType.MOBILE_FOREIGN_AUTHENTICATION: Authentication.decode,
    ExtensionType.FOREIGN_HOME_AUTHENTICATION: Authentication.decode,
    ExtensionType.GENERALIZED_AUTHENTICATION: GeneralizedAuthentication.decode,
    ExtensionType.CRITICAL_VENDOR: CriticalVendor.decode,
    ExtensionType.UDP_TUNNEL_REPLY: UdpTunnelReply.decode,
    ExtensionType.FOREIGN_AGENT_ERROR: ForeignAgentError.decode,
    ExtensionType.ENCAPSULATING_DELIVERY: EncapsulatingDelivery.decode,
    ExtensionType.NETWORK_ACCESS_IDENTIFIER: NetworkAccessIdentifier.decode,
    ExtensionType.CHALLENGE: Challenge.decode,
    ExtensionType.NORMAL_VENDOR: NormalVendor.decode,
    ExtensionType.REVOCATION_SUPPORT: RevocationSupport.decode,
    ExtensionType.DYNAMIC_HOME_AGENT: DynamicHomeAgent.decode,
    ExtensionType.UDP_TUNNEL_REQUEST: UdpTunnelRequest.decode,
    ExtensionType.MESSAGE_STRING: MessageString.decode,
    ExtensionType.MOBILE_NETWORK: _mobile_network,
}


def parse_extensions(data: Octets, at: int, end: int) -> tuple[Extension, ...]:
    """Every extension from this offset on, in order.

    All their bounds are found before one of them is read: what is poorly formed has at least been
    read to the end, so whoever answers that can still find the authenticators (with `peek`).
    """
    found: list[Extension] = []
    for kind, start, body, stop in [*tlv.extensions(data, at, end)]:
        decoder = _DECODERS.get(kind)
        extension = decoder(data, start, body, stop) if decoder else None
        found.append(extension or UnknownExtension(kind, bytes(data[body:stop])))
    return tuple(found)
