"""Agent discovery: ICMP router discovery with Mobile IP's extensions (RFC 5944, 2; RFC 1256).

Octets here are a whole ICMP message. Its checksum is computed on the way out and verified on the
way in; that it came with TTL 1 where it must, and from a neighbour, only the socket can know.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from . import tlv
from .errors import Corrupted, NotUnderstood, PoorlyFormed, Truncated, Unencodable
from .extensions import Padding, UnknownExtension
from .load import AgentLoad
from .registry import AdvertisementExtensionType, AgentFlags
from .tlv import Octets, pack
from .vendor import CriticalVendor, NormalVendor

ADVERTISEMENT_TYPE = 9
SOLICITATION_TYPE = 10

COMMON_TRAFFIC = 0
"""Code of an advertisement whose sender also routes for everybody (RFC 5944, 2.1)."""

MOBILE_TRAFFIC_ONLY = 16
"""Code of one that routes for mobile nodes alone, lest others make it their default router."""

_ADVERTISEMENT = struct.Struct("!BBHBBH")
_SOLICITATION = struct.Struct("!BBHI")
_ROUTER = struct.Struct("!Ii")
_AGENT = struct.Struct("!HHH")
_ADDRESS_OCTETS = 4

ENTRY_WORDS = 2
"""32-bit words of a router address with its preference; later protocols may add some."""


def checksum(octets: Octets) -> int:
    """Of ICMP, over a message with a checksum of zero; over a sound one as it is, zero."""
    padded = bytes(octets) + bytes(len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _sealed(octets: bytes) -> bytes:
    return octets[:2] + checksum(octets).to_bytes(2, "big") + octets[4:]


@dataclass(frozen=True, slots=True)
class RouterAddress:
    """One address of the advertising router (RFC 1256, 3)."""

    address: IPv4Address
    preference: int = 0  # as a default router; the higher the better
    more: bytes = b""  # fields of longer entries: unread

    def to_bytes(self) -> bytes:
        return pack(_ROUTER, int(self.address), self.preference) + self.more


@dataclass(frozen=True, slots=True)
class MobilityAgent:
    """Mobility Agent Advertisement Extension (RFC 5944, 2.1.1)."""

    sequence: int  # 0-255 only after a start: a mobile node sees a restart by it (2.3.2)
    lifetime: int  # s, the longest registration accepted; INFINITE_LIFETIME: any
    flags: AgentFlags
    care_of_addresses: tuple[IPv4Address, ...] = ()
    kind: ClassVar = AdvertisementExtensionType.MOBILITY_AGENT

    def to_bytes(self) -> bytes:
        addresses = b"".join(address.packed for address in self.care_of_addresses)
        return tlv.short(
            self.kind, pack(_AGENT, self.sequence, self.lifetime, self.flags) + addresses
        )

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> MobilityAgent:
        if end - body < _AGENT.size or (end - body - _AGENT.size) % _ADDRESS_OCTETS:
            raise PoorlyFormed(f"extension 16 at octet {at}: length {end - body} is not 6 + 4 N")
        sequence, lifetime, flags = _AGENT.unpack_from(data, body)
        addresses = struct.iter_unpack("!I", data[body + _AGENT.size : end])
        return cls(
            sequence,
            lifetime,
            AgentFlags(flags),
            tuple(IPv4Address(address) for (address,) in addresses),
        )


@dataclass(frozen=True, slots=True)
class PrefixLengths:
    """Prefix-Lengths Extension: one for each router address, in order (RFC 5944, 2.1.2)."""

    lengths: tuple[int, ...]
    kind: ClassVar = AdvertisementExtensionType.PREFIX_LENGTHS

    def to_bytes(self) -> bytes:
        try:
            return tlv.short(self.kind, bytes(self.lengths))
        except ValueError as wrong:
            raise Unencodable(f"prefix lengths {self.lengths}: {wrong}") from None

    @classmethod
    def decode(cls, data: Octets, _at: int, body: int, end: int) -> PrefixLengths:
        return cls(tuple(data[body:end]))


@dataclass(frozen=True, slots=True)
class AdvertisedChallenge:
    """Agent Advertisement Challenge Extension (RFC 4721, 2)."""

    challenge: bytes  # SHOULD be at least 4 octets, never used before
    kind: ClassVar = AdvertisementExtensionType.CHALLENGE

    def to_bytes(self) -> bytes:
        return tlv.short(self.kind, self.challenge)

    @classmethod
    def decode(cls, data: Octets, _at: int, body: int, end: int) -> AdvertisedChallenge:
        return cls(bytes(data[body:end]))


AdvertisementExtension = (
    Padding
    | MobilityAgent
    | PrefixLengths
    | AdvertisedChallenge
    | CriticalVendor
    | NormalVendor
    | UnknownExtension
)

_DECODERS: dict[int, Callable[[Octets, int, int, int], AdvertisementExtension | None]] = {
    AdvertisementExtensionType.PADDING: lambda *_: Padding(),
    AdvertisementExtensionType.MOBILITY_AGENT: MobilityAgent.decode,
    AdvertisementExtensionType.PREFIX_LENGTHS: PrefixLengths.decode,
    AdvertisementExtensionType.CHALLENGE: AdvertisedChallenge.decode,
    AdvertisementExtensionType.CRITICAL_VENDOR: CriticalVendor.decode,
    AdvertisementExtensionType.NORMAL_VENDOR: NormalVendor.decode,
}


def _form(kind: int) -> int:
    if kind == AdvertisementExtensionType.PADDING:
        return tlv.PADDING
    if kind == AdvertisementExtensionType.CRITICAL_VENDOR:
        return tlv.LONG
    return tlv.SHORT if kind >= tlv.FIRST_SKIPPABLE or kind in _DECODERS else tlv.UNKNOWN


_FORMS = bytes(_form(kind) for kind in range(256))


@dataclass(frozen=True, slots=True)
class AgentAdvertisement:
    """A router, and with its extension a mobility agent, says that it is there."""

    routers: tuple[RouterAddress, ...]
    lifetime: int  # s, of the router addresses; of registrations see MobilityAgent
    extensions: tuple[AdvertisementExtension, ...] = ()
    code: int = COMMON_TRAFFIC
    entry_words: int = ENTRY_WORDS
    kind: ClassVar = ADVERTISEMENT_TYPE

    @property
    def agent(self) -> MobilityAgent | None:
        """What makes it an Agent Advertisement; None: of a router only."""
        for extension in self.extensions:
            if isinstance(extension, MobilityAgent):
                return extension
        return None

    @property
    def load(self) -> AgentLoad | None:
        """What a router of ours says of itself; None: this one is none."""
        for extension in self.extensions:
            if isinstance(extension, NormalVendor) and (found := AgentLoad.of(extension)):
                return found
        return None

    def to_bytes(self) -> bytes:
        entries = [router.to_bytes() for router in self.routers]
        if any(len(entry) != self.entry_words * 4 for entry in entries):
            raise Unencodable(f"a router address is not of {self.entry_words} words")
        fixed = pack(
            _ADVERTISEMENT, self.kind, self.code, 0, len(entries), self.entry_words, self.lifetime
        )
        extensions = [extension.to_bytes() for extension in self.extensions]
        return _sealed(b"".join((fixed, *entries, *extensions)))


@dataclass(frozen=True, slots=True)
class AgentSolicitation:
    """A host asks routers to advertise now; an agent's has TTL 1 (RFC 5944, 2.2)."""

    reserved: int = 0
    more: bytes = b""  # "the contents of any octets beyond the first 8 are ignored"
    kind: ClassVar = SOLICITATION_TYPE

    def to_bytes(self) -> bytes:
        return _sealed(pack(_SOLICITATION, self.kind, 0, 0, self.reserved) + self.more)


def parse_discovery(data: Octets) -> AgentAdvertisement | AgentSolicitation:
    """The router discovery message in one ICMP message, or a `WireError`: silently discard."""
    if len(data) < _SOLICITATION.size:
        raise Truncated(f"{len(data)} octets are no router discovery message")
    kind, code = data[0], data[1]
    if kind == SOLICITATION_TYPE and code == 0:
        message: AgentAdvertisement | AgentSolicitation = _solicitation(data)
    elif kind == ADVERTISEMENT_TYPE and code in (COMMON_TRAFFIC, MOBILE_TRAFFIC_ONLY):
        message = _advertisement(data)
    else:
        raise NotUnderstood(f"ICMP type {kind}, code {code} is no router discovery")
    if checksum(data):
        raise Corrupted("the ICMP checksum does not hold")
    return message


def _solicitation(data: Octets) -> AgentSolicitation:
    *_, reserved = _SOLICITATION.unpack_from(data)
    return AgentSolicitation(reserved, bytes(data[_SOLICITATION.size :]))


def _advertisement(data: Octets) -> AgentAdvertisement:
    *_, code, _, count, words, lifetime = _ADVERTISEMENT.unpack_from(data)
    if count and words < ENTRY_WORDS:  # RFC 1256, 5.2; no address at all is RFC 5944's, 2.1.2
        raise PoorlyFormed(f"{count} router addresses of {words} words each")
    size = words * 4
    end = _ADVERTISEMENT.size + count * size
    if end > len(data):
        raise Truncated(f"{count} router addresses of {words} words do not fit {len(data)} octets")
    routers = []
    for number in range(count):
        at = _ADVERTISEMENT.size + number * size
        address, preference = _ROUTER.unpack_from(data, at)
        more = bytes(data[at + _ROUTER.size : at + size])
        routers.append(RouterAddress(IPv4Address(address), preference, more))
    return AgentAdvertisement(tuple(routers), lifetime, _extensions(data, end), code, words)


def _extensions(data: Octets, at: int) -> tuple[AdvertisementExtension, ...]:
    found: list[AdvertisementExtension] = []
    for kind, start, body, stop in [*tlv.extensions(data, at, len(data), _FORMS)]:
        decoder = _DECODERS.get(kind)
        extension = decoder(data, start, body, stop) if decoder else None
        found.append(extension or UnknownExtension(kind, bytes(data[body:stop])))
    return tuple(found)
