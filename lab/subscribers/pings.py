"""Echo requests to the addresses that the controllers answer for, at a steady pace (RFC 792).

Who asks them is the correspondent: one address is the way into the cluster's LAN, the other the
virtual Home Agent itself. An address is out from the last request that was answered to the next.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address
from struct import Struct
from typing import Final

from hacc_agent.engine.effects import Moment

from .probes import Found, Ledger
from .traffic import BACKLOG_S, LONGEST

_HEADER: Final = Struct("!BBHHH")  # type, code, checksum, identifier, sequence number
_REQUEST: Final = 8
_REPLY: Final = 0


def request(identifier: int, payload: bytes) -> bytes:
    """An echo request; the payload has its number, so the sequence number stays 0."""
    return _HEADER.pack(_REQUEST, 0, _checksum(identifier, payload), identifier, 0) + payload


def replied(packet: bytes, identifier: int) -> bytes:
    """The payload of an echo reply to us, in an IPv4 packet; nothing: it is none."""
    octets = packet[4 * (packet[0] & 15) :] if packet else b""
    if len(octets) < _HEADER.size:
        return b""
    kind, code, _, its, _ = _HEADER.unpack_from(octets)
    return octets[_HEADER.size :] if (kind, code, its) == (_REPLY, 0, identifier) else b""


def _checksum(identifier: int, payload: bytes) -> int:
    """RFC 1071; payloads of ours have an even length."""
    octets = _HEADER.pack(_REQUEST, 0, 0, identifier, 0) + payload
    total = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


class Pings:
    """A correspondent that asks a few addresses, in turn."""

    def __init__(
        self, echoes: socket.socket, addresses: Sequence[IPv4Address], rate: float
    ) -> None:
        """`rate`: requests a second to each of them."""
        self._echoes, self._addresses = echoes, tuple(addresses)
        self._every = 1 / (rate * len(self._addresses))
        self._identifier = random.getrandbits(16)
        self._ledger = Ledger(random.getrandbits(32))
        self._next = 0
        self._due: float | None = None
        self._ended = False

    def filenos(self) -> tuple[int, ...]:
        return (self._echoes.fileno(),)

    def end(self) -> None:
        """No request leaves any more."""
        self._ended = True

    def next_deadline(self) -> float:
        return float("inf") if self._ended or self._due is None else self._due

    def advance(self, now: Moment) -> None:
        if self._ended:
            return
        due = now.steady if self._due is None else max(self._due, now.steady - BACKLOG_S)
        while due <= now.steady:
            payload = self._ledger.leaves(self._next, now.steady)
            with contextlib.suppress(OSError):  # no route: one that never comes back
                address = str(self._addresses[self._next])
                self._echoes.sendto(request(self._identifier, payload), (address, 0))
            self._next = (self._next + 1) % len(self._addresses)
            due += self._every
        self._due = due

    def receive(self, _descriptor: int, now: Moment) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                payload = replied(self._echoes.recv(LONGEST), self._identifier)
                self._ledger.is_back(payload, now.steady)

    def found(self) -> Found:
        """Nodes are addresses, by their numbers."""
        return self._ledger.found()
