"""Whether an Identification is fresh (RFC 5944, 5.7): the same words for timestamps and for nonces.

Timestamps are 64 bits in NTP's format. One is fresh when it is close to our clock and greater than
all that were accepted before under the same SPI. Both comparisons are of serial numbers, so that
the turn of NTP's era in 2036 is a second like any other.

Nonces are what the high 32 bits of our last reply said. One that was handed out and not used yet is
handed out again in a denial, so that who replays an old request cannot invalidate the nonce that
the mobile node is about to use.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from ...wire import LOW_32
from ..record import Kind, Row, Trait
from .associations import Association

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970, where Unix time does (RFC 5905, 6)."""

_FRACTION = 1 << 32  # of a second
_CYCLE = 1 << 64
_HALF = 1 << 63


class Freshness(enum.Enum):
    FRESH = enum.auto()
    RETRANSMITTED = enum.auto()  # the very request that was accepted last, once more
    STALE = enum.auto()


_FRESH, _RETRANSMITTED, _STALE = Freshness
_BINDING, _CLOSED = int(Kind.BINDING), int(Kind.CLOSED)


def timestamp(wall: float) -> int:
    """Unix time as an Identification."""
    return int((wall + NTP_EPOCH) * _FRACTION) % _CYCLE


def later(one: int, other: int) -> bool:
    """Whether one timestamp is after another, across the turn of an era too."""
    return 0 < (one - other) % _CYCLE < _HALF


def is_near(identification: int, wall: float, tolerance: int) -> bool:
    """Whether a timestamp is at most this many seconds from our clock, before or after it."""
    distance = (identification - timestamp(wall)) % _CYCLE
    return min(distance, _CYCLE - distance) <= tolerance * _FRACTION


def outstanding_nonce(rows: Sequence[Row], spi: int) -> int | None:
    """What the next Identification has to begin with, if that was ever said."""
    for row in rows:
        if row.spi == spi and row.traits & Trait.NONCE:
            return row.nonce
    return None


def judge(
    association: Association,
    identification: int,
    care_of_address: int,
    lifetime: int,
    rows: Sequence[Row],
    wall: float,
    not_before: int = 0,
) -> Freshness:
    """The Identification of an authentic request, in the light of the mobile node's rows.

    A row remembers a deregistration (CLOSED) or a registration (BINDING); only the same kind of
    request with the same care-of address repeats it (RFC 5944, 3.8.2.2). Timestamps are held
    against `not_before`, an Identification (`takeover`), as well; 0: against nothing.
    """
    fresh = association.nonces or not not_before or later(identification, not_before)
    for row in rows:
        if row.spi != association.spi:
            continue  # another association is another context (RFC 5944, 3.8.2.1 b)
        if row.identification == identification:
            repeated = _BINDING if lifetime else _CLOSED
            if row.kind == repeated and row.care_of_address == care_of_address:
                return _RETRANSMITTED
            fresh = False
        elif not association.nonces and not later(identification, row.identification):
            fresh = False
    if association.nonces:
        fresh = fresh and identification >> 32 == outstanding_nonce(rows, association.spi)
    else:
        fresh = fresh and is_near(identification, wall, association.tolerance)
    return _FRESH if fresh else _STALE


def resynchronized(identification: int, wall: float) -> int:
    """For the reply to a stale timestamp: our time, and the request's low 32 bits (5.7.1)."""
    return timestamp(wall) & ~LOW_32 | identification & LOW_32


def with_nonce(identification: int, nonce: int) -> int:
    """For a reply under nonces: the next one, and the request's low 32 bits (5.7.2)."""
    return nonce << 32 | identification & LOW_32
