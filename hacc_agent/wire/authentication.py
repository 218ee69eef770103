"""Authenticators: proof that a message is from who shares a key with us (RFC 5944, 3.5.1 and 5.1).

What is covered is the UDP payload from its first octet up to and including the SPI of the very
extension; so an extension is authenticated by what is appended behind it, and nothing before an
authenticator may change afterwards. `authenticate` therefore works on octets, in the order in
which the agents along the way append:

    octets = authenticate(request.to_bytes(), MOBILE_HOME_AUTHENTICATION, spi, key)

A key digests its own octets once, when it is made; each message then continues from a copy of that
state: two fifths of the time of an HMAC from scratch over a message of this size (bench/wire.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Protocol

from ..config import Algorithm
from . import tlv
from .errors import Unencodable
from .registry import CHAP_SPI, ExtensionType, GeneralizedSubtype
from .tlv import SPI_OCTETS, Octets

try:  # the interpreter's own MD5 copies a state in half the time that OpenSSL's takes
    from _md5 import md5  # type: ignore[import-not-found]  # no stub: it is hashlib's private part
except ImportError:
    from hashlib import md5

DIGEST_OCTETS = 16
_BLOCK_OCTETS = 64
_GENERALIZED = int(ExtensionType.GENERALIZED_AUTHENTICATION)
_INNER = bytes(octet ^ 0x36 for octet in range(256))  # RFC 2104: ipad
_OUTER = bytes(octet ^ 0x5C for octet in range(256))  # RFC 2104: opad

_LONGEST_CHAP_CHALLENGE = 237
"""Octets: with the digest before it, what a RADIUS attribute holds (RFC 4721, 8)."""


class _State(Protocol):
    """An MD5 that has read something already."""

    def copy(self) -> _State: ...
    def update(self, data: Octets, /) -> None: ...
    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Key:
    """The secret of a mobility security association, ready for use. Its repr hides it.

    HMAC-MD5 is the default since RFC 3344; RFC 2002 digested the key, the data and the key again.
    """

    algorithm: Algorithm
    secret: bytes = field(repr=False)
    _first: _State = field(init=False, repr=False, compare=False)
    _last: _State | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.algorithm is Algorithm.HMAC_MD5:
            block = self.secret
            if len(block) > _BLOCK_OCTETS:
                block = md5(block).digest()
            block = block.ljust(_BLOCK_OCTETS, b"\0")
            first, last = md5(block.translate(_INNER)), md5(block.translate(_OUTER))
        else:
            first, last = md5(self.secret), None
        object.__setattr__(self, "_first", first)
        object.__setattr__(self, "_last", last)

    def authenticator(self, covered: Octets) -> bytes:
        """16 octets over everything from the first octet of the message to the SPI."""
        inner = self._first.copy()
        inner.update(covered)
        if self._last is None:  # prefix and suffix
            inner.update(self.secret)
            return inner.digest()
        outer = self._last.copy()
        outer.update(inner.digest())
        return outer.digest()


def chap_challenge(covered: Octets, challenge: bytes = b"\0") -> tuple[bytes, bytes]:
    """CHAP identifier (one octet) and CHAP challenge of a message, as RADIUS carries them.

    RFC 4721, 8. The challenge is the Foreign Agent's; with a co-located care-of address there is
    none and 0 stands in for it (3.5): one octet, by our reading.
    """
    if not challenge:
        raise Unencodable("an empty challenge has no high-order octet")
    return challenge[:1], md5(covered).digest() + challenge[-_LONGEST_CHAP_CHALLENGE:]


def chap_authenticator(secret: bytes, covered: Octets, challenge: bytes = b"\0") -> bytes:
    """The authenticator of SPI 2: what a RADIUS server computes for CHAP (RFC 4721, 8)."""
    identifier, value = chap_challenge(covered, challenge)
    digest: bytes = md5(identifier + secret + value).digest()
    return digest


def authenticate(message: bytes, kind: ExtensionType, spi: int, key: Key) -> bytes:
    """The message with an authentication extension appended that covers all of it."""
    header = _header(kind, spi, DIGEST_OCTETS)
    covered = message + header
    return covered + key.authenticator(covered)


def authenticate_chap(message: bytes, secret: bytes, challenge: bytes = b"\0") -> bytes:
    """The message with a Mobile-AAA Authentication Extension of SPI 2 appended."""
    header = _header(ExtensionType.GENERALIZED_AUTHENTICATION, CHAP_SPI, DIGEST_OCTETS)
    covered = message + header
    return covered + chap_authenticator(secret, covered, challenge)


def verify(data: Octets, at: int, key: Key, start: int = 0) -> bool:
    """Whether the authentication extension at this offset holds, of a message from `start` on."""
    cut, end = _authenticator(data, at)
    return compare_digest(data[cut:end], key.authenticator(data[start:cut]))


def verify_chap(
    data: Octets, at: int, secret: bytes, challenge: bytes = b"\0", start: int = 0
) -> bool:
    """The same for SPI 2, with the AAA server's secret."""
    cut, end = _authenticator(data, at)
    return compare_digest(data[cut:end], chap_authenticator(secret, data[start:cut], challenge))


def _header(kind: ExtensionType, spi: int, octets: int) -> bytes:
    """Type, length and SPI: the part of an authentication extension that it covers itself."""
    try:
        body = spi.to_bytes(SPI_OCTETS, "big")
    except OverflowError:
        raise Unencodable(f"SPI {spi} is no number of 32 bits") from None
    blank = body + bytes(octets)
    if kind == ExtensionType.GENERALIZED_AUTHENTICATION:
        return tlv.long(kind, GeneralizedSubtype.MOBILE_AAA, blank)[:-octets]
    return tlv.short(kind, blank)[:-octets]


def _authenticator(data: Octets, at: int) -> tuple[int, int]:
    """Offsets of the first octet of an authenticator and of the one behind it."""
    if data[at] == _GENERALIZED:
        return at + 8, at + 4 + (data[at + 2] << 8 | data[at + 3])
    return at + 6, at + 2 + data[at + 1]
