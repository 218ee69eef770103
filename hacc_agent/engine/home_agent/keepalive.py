"""Keepalives of UDP tunnels (RFC 3519, 4.9): a ping through the tunnel, answered through it.

Only the echo request from a mobile node to its Home Agent is ours; what else travels in a tunnel is
the data plane's.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from ...wire import Encapsulation, NotUnderstood, TunnelData
from ...wire.advertisement import checksum

_IPV4: Final = struct.Struct("!BBHHHBBHII")
_ICMP: Final = 1
_ECHO_REQUEST: Final = 8
_ECHO_HEADER: Final = 8
_VERSION_AND_WORDS: Final = 0x45  # IPv4 without options
_FRAGMENT: Final = 0x3FFF  # the More Fragments flag and the offset
_TTL: Final = 64


class Echo(NamedTuple):
    """A ping within a tunnel."""

    source: int
    destination: int
    identification: int
    message: bytes  # ICMP

    def reply(self) -> bytes:
        """The tunnel message that answers it."""
        message = bytes(4) + self.message[4:]  # type 0 is Echo Reply
        message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
        header = _IPV4.pack(
            _VERSION_AND_WORDS, 0, _IPV4.size + len(message), self.identification, 0, _TTL,
            _ICMP, 0, self.destination, self.source,
        )  # fmt: skip
        header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
        return TunnelData(Encapsulation.IP, header + message).to_bytes()


def read(message: TunnelData) -> Echo:
    """The ping in a tunnel message; anything else is `NotUnderstood`."""
    packet = message.payload
    if message.next_header != Encapsulation.IP or len(packet) < _IPV4.size + _ECHO_HEADER:
        raise NotUnderstood("no IP packet in this tunnel")
    first, _, length, identification, fragment, _, protocol, _, source, destination = (
        _IPV4.unpack_from(packet)
    )
    echo = packet[_IPV4.size : length]
    if (
        first != _VERSION_AND_WORDS
        or protocol != _ICMP
        or fragment & _FRAGMENT
        or length > len(packet)
        or len(echo) < _ECHO_HEADER
        or echo[0] != _ECHO_REQUEST
        or checksum(packet[: _IPV4.size])
        or checksum(echo)
    ):
        raise NotUnderstood("no echo request in this tunnel")
    return Echo(source, destination, identification, echo)
