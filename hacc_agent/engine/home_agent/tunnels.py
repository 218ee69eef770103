"""The tunnel that a registration asks for, and the one it gets (RFC 5944, 4.1; 3024; 3519).

Without a NAT the M and G flags say it, and IP in IP is always there. Who is able to tunnel in UDP
says so by an extension: the mobile node itself if its care-of address is its own, else its Foreign
Agent. A NAT is seen by a source address that is not the care-of address (RFC 3519, 4.6); then, or
if the F bit forces it, or if the R bit tells that a Foreign Agent hides the difference, packets
travel in UDP. A Home Agent that is behind a controller's own UDP sockets sees no source addresses
and finds no NAT; that transport is for tests.
"""

from __future__ import annotations

from typing import NamedTuple

from ...wire import (
    Encapsulation,
    ExtensionType,
    ReplyCode,
    RequestFlags,
    TunnelReply,
    TunnelReplyFlags,
    TunnelRequestFlags,
    UdpTunnelReply,
    UdpTunnelRequest,
    UnknownExtension,
)
from ...wire.extensions import Extension
from ..record import Trait
from .service import Service

_MINIMAL, _GRE = int(RequestFlags.MINIMAL), int(RequestFlags.GRE)
_TUNNEL_FLAGS = _MINIMAL | _GRE
_DECAPSULATION = int(RequestFlags.DECAPSULATION)
_TUNNEL_REQUEST_OCTETS = 6  # of data (RFC 3519, 3.1)


class Tunnel(NamedTuple):
    """What is granted, or the code of the denial."""

    denial: ReplyCode | None = None
    encapsulation: int = int(Encapsulation.IP)
    traits: int = 0
    keepalive: int = 0  # s
    reply: bytes = b""  # the extension of RFC 3519, 3.2
    awaits_keepalive: bool = False  # the port is known by the first one (RFC 3519, 4.6)


PLAIN = Tunnel()
_NAT = Tunnel(traits=int(Trait.NAT))


def by_flags(flags: int) -> Encapsulation:
    if flags & _GRE:
        return Encapsulation.GRE
    return Encapsulation.MINIMAL if flags & _MINIMAL else Encapsulation.IP


def choose(
    service: Service,
    flags: int,
    behind_nat: bool,
    of_mobile: tuple[Extension, ...],
    of_foreign: tuple[Extension, ...],
) -> Tunnel:
    """The tunnel of an authentic request, from its flags and extensions."""
    if not of_mobile and not of_foreign and not flags & _TUNNEL_FLAGS:
        return _NAT if behind_nat else PLAIN
    asked = _asked(of_mobile) or _asked(of_foreign)
    if asked is not None:
        co_located = flags & _DECAPSULATION != 0
        if co_located != (asked in of_mobile):
            return Tunnel(ReplyCode.POORLY_FORMED_REQUEST)  # RFC 3519, 4.6.1
        through_agent = asked.flags & TunnelRequestFlags.FOREIGN_AGENT != 0
        forced = asked.flags & TunnelRequestFlags.FORCE != 0
        if behind_nat or through_agent or forced:
            return _in_udp(service, flags, behind_nat, asked)
    elif service.denies_reserved_3 and any(map(_has_reserved_3, (*of_mobile, *of_foreign))):
        return Tunnel(ReplyCode.POORLY_FORMED_REQUEST)
    encapsulation = by_flags(flags)
    if encapsulation not in service.encapsulations:
        return Tunnel(ReplyCode.ENCAPSULATION)  # RFC 3024, 4.3.1
    declined = UdpTunnelReply(TunnelReply.DECLINED, 0).to_bytes() if asked is not None else b""
    traits = int(Trait.NAT) if behind_nat else 0
    return Tunnel(None, encapsulation, traits, 0, declined)


def _in_udp(service: Service, flags: int, behind_nat: bool, asked: UdpTunnelRequest) -> Tunnel:
    through_agent = asked.flags & TunnelRequestFlags.FOREIGN_AGENT != 0
    forced = not behind_nat and not through_agent
    if not (service.forced_udp_tunnels if forced else service.udp_tunnels):
        return Tunnel(ReplyCode.PROHIBITED)  # RFC 3519, 4.6.1
    encapsulation = asked.encapsulation or by_flags(flags)
    if encapsulation not in service.encapsulations:
        return Tunnel(ReplyCode.UDP_ENCAPSULATION)
    reply = UdpTunnelReply(
        TunnelReply.ACCEPTED,
        service.keepalive,
        TunnelReplyFlags.FORCED if forced else TunnelReplyFlags.NONE,
    )
    traits = int(Trait.UDP_TUNNEL | (Trait.NAT if behind_nat else 0))
    return Tunnel(None, encapsulation, traits, service.keepalive, reply.to_bytes(), through_agent)


def _asked(extensions: tuple[Extension, ...]) -> UdpTunnelRequest | None:
    return next((each for each in extensions if isinstance(each, UdpTunnelRequest)), None)


def _has_reserved_3(extension: Extension) -> bool:
    """A UDP Tunnel Request that was not understood, of its length and sub-type 0."""
    return (
        isinstance(extension, UnknownExtension)
        and extension.kind == ExtensionType.UDP_TUNNEL_REQUEST
        and len(extension.data) == _TUNNEL_REQUEST_OCTETS
        and extension.data[0] == 0
    )
