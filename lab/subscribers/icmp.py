"""ICMP errors that a Foreign Agent's datagrams met: what 3.7.3 of RFC 5944 wants it to tell.

The kernel keeps them in a queue of the socket, each with the datagram that it is about (ip(7),
IP_RECVERR), also when the error is its own: nobody on the LAN has the gateway's address.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

IP_RECVERR: Final = 11  # linux/in.h
_EXTENDED: Final = struct.Struct("=IBBBB")  # struct sock_extended_err: errno, origin, type, code
_ICMP: Final = 2  # SO_EE_ORIGIN_ICMP
_UNREACHABLE: Final = 3  # RFC 792
_LONGEST: Final = 4096  # octets of what is quoted


class Unreachable(NamedTuple):
    """A Destination Unreachable."""

    quoted: bytes  # the UDP payload that it is about, or its start
    code: int  # of ICMP


def report_errors(opened: socket.socket) -> None:
    """Have the kernel keep errors. From now on a call may fail with one that came meanwhile."""
    opened.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def unreachable(opened: socket.socket) -> Iterator[Unreachable]:
    """The errors that have come; taking them clears the socket's own."""
    while True:
        try:
            quoted, ancillary, _, _ = opened.recvmsg(
                _LONGEST, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return
        for level, kind, octets in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR):
                _, origin, icmp_type, code, _ = _EXTENDED.unpack_from(octets)
                if (origin, icmp_type) == (_ICMP, _UNREACHABLE):
                    yield Unreachable(quoted, code)
