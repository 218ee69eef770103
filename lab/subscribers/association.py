"""What a mobile node, or a Foreign Agent, and its Home Agent agreed on beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from hacc_agent.config import Replay, Security
from hacc_agent.engine.effects import Moment
from hacc_agent.wire import LOW_32, Key

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970 (RFC 5905, figure 4)."""


UNASSIGNED = IPv4Address(0)
"""Home address of who wants to be given one (RFC 2794, 2)."""


class Token(Protocol):
    """Octets of chance: as many as asked for."""

    def __call__(self, count: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Association:
    """A mobility security association with its key prepared (RFC 5944, 1.6)."""

    spi: int
    key: Key
    replay: Replay = Replay.TIMESTAMP

    @classmethod
    def of(cls, security: Security) -> Association:
        key = Key(security.algorithm, bytes.fromhex(security.key))
        return cls(security.spi, key, security.replay)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who a mobile node is to its Home Agent. With an NAI the home address may be assigned."""

    association: Association
    home_agent: IPv4Address
    lifetime: int  # s, asked for
    nai: bytes = b""
    home_address: IPv4Address = UNASSIGNED
    reverse_tunnel: bool = False  # what the node says goes by way of its Home Agent (RFC 3024)


class Identifications(Protocol):
    """The style of replay protection, as seen by the mobile node (RFC 5944, 5.7)."""

    repeats: bool
    """Whether a retransmission is the same message again (3.6.3)."""

    def following(self, now: Moment, token: Token) -> int:
        """The Identification of the next request."""

    def answered(self, reply: int, *, mismatch: bool, now: Moment) -> None:
        """An authenticated reply came; `mismatch`: its code was 133."""


class Timestamps:
    """The time of day, never the same twice (RFC 5944, 5.7.1).

    After code 133 the Home Agent's time counts, also where it is behind ours: what has to grow is
    what the Home Agent accepted, and it has accepted nothing of our future.
    """

    __slots__ = ("_last", "_offset")
    repeats = False

    def __init__(self) -> None:
        self._offset = 0  # s, the Home Agent's clock less ours
        self._last = 0

    def following(self, now: Moment, token: Token) -> int:
        # A float of today's time has 22 bits behind the point; chance fills the rest (5.7.1).
        stamp = int((now.wall + self._offset + NTP_EPOCH) * (1 << 22)) << 10
        stamp |= int.from_bytes(token(2), "big") & 0x3FF
        self._last = max(stamp & 0xFFFFFFFF_FFFFFFFF, self._last + 1)
        return self._last

    def answered(self, reply: int, *, mismatch: bool, now: Moment) -> None:
        if mismatch:
            self._offset = (reply >> 32) - NTP_EPOCH - int(now.wall)
            self._last = 0


class Nonces:
    """What the last reply said comes back in the next request (RFC 5944, 5.7.2)."""

    __slots__ = ("_low", "_nonce")
    repeats = True

    def __init__(self) -> None:
        self._nonce = 0  # wrong, so the first answer is a 133 with the right one
        self._low = 0

    def following(self, now: Moment, token: Token) -> int:  # noqa: ARG002  nonces need no clock
        low = int.from_bytes(token(4), "big")
        self._low = low if low != self._low else (low + 1) & LOW_32
        return self._nonce << 32 | self._low

    def answered(self, reply: int, *, mismatch: bool, now: Moment) -> None:  # noqa: ARG002  as above
        self._nonce = reply >> 32


def identifications(replay: Replay) -> Identifications:
    return Timestamps() if replay is Replay.TIMESTAMP else Nonces()
