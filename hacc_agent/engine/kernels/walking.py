"""Where what matters stands in one datagram: `wire.tlv.extensions`, for callers that are compiled.

Read in place: offsets are those in one array that holds many datagrams. Each octet is read only
behind a comparison with the datagram's end, since nobody else would notice.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...wire import ExtensionType, tlv
from .compile import part
from .numbers import i8, u8

MOST: Final = 32
"""Extensions that are walked past: a request has an NAI, a challenge, vendors' and up to four
authentications. Padding counts too."""

# What an extension is to who reads it quickly.
_UNUSUAL: Final = 0  # only who knows all rules can say what follows from it
_PADDING: Final = 1
_SKIPPED: Final = 2
_LONG: Final = 3  # skipped, with a 16-bit length
_NAI: Final = 4
_MOBILE_HOME: Final = 5
_REVOCATION: Final = 6
_TUNNEL_REPLY: Final = 7

_REVOCATION_OCTETS: Final = 6  # flags and timestamp (RFC 3543, 3.2)
_TUNNEL_REPLY_OCTETS: Final = 6  # sub-type, code, flags, keepalive interval (RFC 3519, 3.2.1)


def _forms(reply: bool) -> NDArray[np.uint8]:
    forms = np.full(256, _UNUSUAL, np.uint8)
    for kind, form in enumerate(tlv.FORMS):
        match form:
            case tlv.SHORT | tlv.AUTHENTICATION:
                forms[kind] = _SKIPPED
            case tlv.PADDING:
                forms[kind] = _PADDING
            case tlv.LONG | tlv.LONG_AUTHENTICATION:
                forms[kind] = _LONG
    forms[ExtensionType.NETWORK_ACCESS_IDENTIFIER] = _NAI
    forms[ExtensionType.MOBILE_HOME_AUTHENTICATION] = _MOBILE_HOME
    forms[ExtensionType.REVOCATION_SUPPORT] = _REVOCATION
    if reply:
        forms[ExtensionType.UDP_TUNNEL_REPLY] = _TUNNEL_REPLY
        forms[ExtensionType.MOBILE_NETWORK] = _UNUSUAL
    return forms


REQUEST_FORMS: Final = _forms(reply=False)
REPLY_FORMS: Final = _forms(reply=True)


class Places(NamedTuple):
    """Offsets of what is behind type and length; 0 where an extension is not there.

    0 is no extension's: the first datagram's own header stands there.
    """

    plain: bool  # every extension is one that can be read here, and those that count occur once
    nai: int
    nai_octets: int
    mobile_home: int
    revocation: int
    tunnel_reply: int


@part
def word16(octets: NDArray[Any], at: int) -> int:
    """In network order."""
    return i8(octets[at]) << 8 | i8(octets[at + 1])


@part
def word32(octets: NDArray[Any], at: int) -> int:
    return (
        i8(octets[at]) << 24
        | i8(octets[at + 1]) << 16
        | i8(octets[at + 2]) << 8
        | i8(octets[at + 3])
    )


@part
def word64(octets: NDArray[Any], at: int) -> int:
    """u8."""
    return u8(word32(octets, at)) << u8(32) | u8(word32(octets, at + 4))


@part
def walk(octets: NDArray[Any], at: int, end: int, forms: NDArray[Any]) -> Places:
    """The extensions from `at` to `end`."""
    nai = nai_octets = mobile_home = revocation = tunnel_reply = 0
    left = MOST
    while at < end and left:
        left -= 1
        form = forms[octets[at]]
        if form == _PADDING:
            at += 1
            continue
        body = at + (4 if form == _LONG else 2)
        if body > end:
            break
        long = word16(octets, at + 2) if form == _LONG else i8(octets[at + 1])
        at = body + long
        if form in (_SKIPPED, _LONG):
            continue
        if form == _NAI and not nai and long:
            nai, nai_octets = body, long
        elif form == _MOBILE_HOME and not mobile_home and long >= tlv.SPI_OCTETS:
            mobile_home = body
        elif form == _REVOCATION and not revocation and long >= _REVOCATION_OCTETS:
            revocation = body
        elif form == _TUNNEL_REPLY and not tunnel_reply and long == _TUNNEL_REPLY_OCTETS:
            tunnel_reply = body
        else:
            return Places(False, 0, 0, 0, 0, 0)
    return Places(at == end, nai, nai_octets, mobile_home, revocation, tunnel_reply)
