"""What the controller reads of a request and of a reply; the rest is between others.

Octets are read in place and nothing is judged that the member, or the mobile node, judges anyway.
Of extensions that may stand once the first counts; an empty NAI is none.
"""

from __future__ import annotations

from ipaddress import IPV4LENGTH, IPv4Network
from struct import Struct
from typing import Final, NamedTuple

from ...wire import (
    DynamicHomeAgentSubtype,
    Encapsulation,
    ExtensionType,
    MobileNetworkCode,
    RequestFlags,
    RevocationSupportFlags,
    Truncated,
)
from ...wire.messages import REPLY, REQUEST, TUNNEL_DATA
from ...wire.tlv import extensions
from ..record import Trait

_SPI: Final = Struct("!I")
_REVOCATION_SUPPORT: Final = Struct("!HI")
_TUNNEL_REPLY: Final = Struct("!BBHH")
_DECLINED: Final = 64  # of the UDP Tunnel Reply Extension: assent is below (RFC 3519, 3.2.1)
_IP_SOURCE: Final = 12  # offset of the source address in an IPv4 header
_MINIMAL_SOURCE: Final = 8  # and in a minimal forwarding header, if its S bit is set (RFC 2004, 3)
_MINIMAL_HAS_SOURCE: Final = 0x80
_GRE: Final = bytes((0, 0, 0x08, 0x00))  # without options, IPv4 inside (RFC 2784, 2)
_ADDRESS: Final = Struct("!I")
_NETWORK: Final = Struct("!BBBBI")  # sub-type, code, prefix length, reserved, prefix
_NETWORK_ACKNOWLEDGED: Final = (1, 2)  # sub-types of extension 148 (RFC 5177, 3)

MOBILE_HOME: Final = int(ExtensionType.MOBILE_HOME_AUTHENTICATION)
FOREIGN_HOME: Final = int(ExtensionType.FOREIGN_HOME_AUTHENTICATION)
NAI: Final = int(ExtensionType.NETWORK_ACCESS_IDENTIFIER)
REVOCATION_SUPPORT: Final = int(ExtensionType.REVOCATION_SUPPORT)
TUNNEL_REPLY: Final = int(ExtensionType.UDP_TUNNEL_REPLY)
MOBILE_NETWORK: Final = int(ExtensionType.MOBILE_NETWORK)
DYNAMIC_HOME_AGENT: Final = int(ExtensionType.DYNAMIC_HOME_AGENT)


def _tunnel(flags: int) -> Encapsulation:
    if flags & RequestFlags.GRE:
        return Encapsulation.GRE
    return Encapsulation.MINIMAL if flags & RequestFlags.MINIMAL else Encapsulation.IP


_TUNNELS: Final = bytes(_tunnel(flags) for flags in range(256))
# An operation of an enumeration's members takes as long as reading half a datagram.
_INFORM, _REVOCABLE = int(Trait.INFORM), int(Trait.REVOCABLE)
_UDP_TUNNEL, _NETWORKS = int(Trait.UDP_TUNNEL), int(Trait.NETWORKS)
_INFORMS: Final = int(RevocationSupportFlags.INFORM)


class Request(NamedTuple):
    """A Registration Request, as far as a controller reads it."""

    flags: int
    lifetime: int  # s
    home_address: int
    home_agent: int
    care_of_address: int
    identification: int
    nai: bytes | None
    mobile_home: int  # offset of the Mobile-Home Authentication Extension, 0 without one
    foreign_home: tuple[int, ...]  # offsets of Foreign-Home ones
    spi: int  # of the Mobile-Home one
    revocation: int  # timestamp of the Revocation Support Extension
    traits: int  # INFORM, if that extension has its I bit
    requested_home_agent: int  # of RFC 4433's extension, 0 without one


class Reply(NamedTuple):
    """A Registration Reply, as far as a controller reads it."""

    code: int
    lifetime: int  # s
    home_address: int
    home_agent: int
    identification: int
    nai: bytes | None
    traits: int  # REVOCABLE, INFORM, UDP_TUNNEL, NETWORKS: what the member consented to
    keepalive: int  # s
    networks: tuple[IPv4Network, ...]  # mobile networks that are routed to the mobile router


def read_request(data: bytes) -> Request:
    """Raises `WireError` where `wire.peek_request` does."""
    if len(data) < REQUEST.size:
        raise Truncated(f"{len(data)} octets are no Registration Request")
    _, flags, lifetime, home, agent, care_of, identification = REQUEST.unpack_from(data)
    nai: bytes | None = None
    mobile_home = spi = revocation = traits = requested = 0
    foreign_home: list[int] = []
    supports = False
    for kind, at, body, end in extensions(data, REQUEST.size, len(data)):
        if kind == NAI and nai is None:
            nai = data[body:end]
        elif kind == MOBILE_HOME and not mobile_home:
            mobile_home = at
            spi = _SPI.unpack_from(data, body)[0] if end - body >= _SPI.size else 0
        elif kind == FOREIGN_HOME:
            foreign_home.append(at)
        elif kind == REVOCATION_SUPPORT and not supports:
            supports = end - body >= _REVOCATION_SUPPORT.size
            if supports:
                bits, revocation = _REVOCATION_SUPPORT.unpack_from(data, body)
                traits = _INFORM if bits & _INFORMS else 0
        elif kind == DYNAMIC_HOME_AGENT and not requested:
            requested = _requested_home_agent(data, at, body, end)
    return Request(
        flags,
        lifetime,
        home,
        agent,
        care_of,
        identification,
        nai or None,
        mobile_home,
        tuple(foreign_home),
        spi,
        revocation,
        traits,
        requested,
    )


def _requested_home_agent(data: bytes, at: int, body: int, end: int) -> int:
    """The address, in either layout of extension 139 (see `wire.tlv`)."""
    subtype = at + 1 if body - at == 4 else body
    if data[subtype : subtype + 1] != bytes((DynamicHomeAgentSubtype.REQUESTED,)):
        return 0
    return int.from_bytes(data[end - 4 : end], "big") if end - body in (4, 5) else 0


def read_reply(data: bytes) -> Reply:
    """Raises `WireError` where `wire.peek_reply` does."""
    if len(data) < REPLY.size:
        raise Truncated(f"{len(data)} octets are no Registration Reply")
    _, code, lifetime, home, agent, identification = REPLY.unpack_from(data)
    nai: bytes | None = None
    traits = keepalive = 0
    networks: list[IPv4Network] = []
    for kind, _, body, end in extensions(data, REPLY.size, len(data)):
        if kind == NAI and nai is None:
            nai = data[body:end]
        elif kind == REVOCATION_SUPPORT and end - body >= _REVOCATION_SUPPORT.size:
            bits, _ = _REVOCATION_SUPPORT.unpack_from(data, body)
            traits |= _REVOCABLE
            if bits & _INFORMS:
                traits |= _INFORM
        elif kind == TUNNEL_REPLY and end - body == _TUNNEL_REPLY.size:
            _, consent, _, seconds = _TUNNEL_REPLY.unpack_from(data, body)
            if consent < _DECLINED:
                traits, keepalive = traits | _UDP_TUNNEL, seconds
        elif (
            kind == MOBILE_NETWORK
            and end - body == _NETWORK.size
            and data[body] in _NETWORK_ACKNOWLEDGED
            and data[body + 1] == MobileNetworkCode.SUCCESS
        ):
            _, _, length, _, prefix = _NETWORK.unpack_from(data, body)
            if 0 < length <= IPV4LENGTH:
                traits |= _NETWORKS
                networks.append(IPv4Network((prefix, length), strict=False))
    told = (code, lifetime, home, agent, identification, nai or None, traits, keepalive)
    return Reply(*told, tuple(networks))


def encapsulation(flags: int) -> int:
    """The tunnel that a request asks for (RFC 5944, 3.3)."""
    return _TUNNELS[flags]


def inner_source(data: bytes) -> int:
    """Source address of the packet in a UDP tunnel (RFC 3519, 3.3), 0 if there is none."""
    if len(data) < TUNNEL_DATA.size:
        return 0
    at = TUNNEL_DATA.size
    match data[1]:
        case Encapsulation.IP:
            at += _IP_SOURCE
        case Encapsulation.GRE if data[at : at + 4] == _GRE:
            at += len(_GRE) + _IP_SOURCE
        case Encapsulation.MINIMAL if len(data) > at + 1 and data[at + 1] & _MINIMAL_HAS_SOURCE:
            at += _MINIMAL_SOURCE
        case _:
            return 0
    return int(_ADDRESS.unpack_from(data, at)[0]) if len(data) >= at + _ADDRESS.size else 0
