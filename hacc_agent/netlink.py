"""netlink(7): messages and attributes, the same for everything that is asked of the kernel."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Final

# linux/netlink.h
MESSAGE: Final = Struct("=IHHII")  # length, type, flags, sequence, port
ATTRIBUTE: Final = Struct("=HH")  # length, type

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP: Final = 0x300
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400

BUFFER: Final = 1 << 16  # octets; the kernel fills 32 KiB of a dump at most

_ERROR: Final = Struct("=i")
_NESTED: Final = 0x8000
_NATIVE: Final = Struct("=I")
_TYPE: Final = 0x3FFF  # of an attribute, without its flags


def message(kind: int, flags: int, body: bytes, sequence: int = 1) -> bytes:
    """A request."""
    length = MESSAGE.size + len(body)
    return MESSAGE.pack(length, kind, NLM_F_REQUEST | flags, sequence, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    length = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def messages(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each message in what was received."""
    at = 0
    while at + MESSAGE.size <= len(octets):
        length, kind, *_ = MESSAGE.unpack_from(octets, at)
        if length < MESSAGE.size:
            return
        yield kind, octets[at + MESSAGE.size : at + length]
        at += (length + 3) & ~3


def attributes(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute of a body, from where they begin."""
    while at + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, at)
        if length < ATTRIBUTE.size:
            return
        yield kind & _TYPE, body[at + ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def nest(kind: int, *inner: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | _NESTED, b"".join(inner))


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits, in the machine's own order."""
    return attribute(kind, _NATIVE.pack(value))


class Requests:
    """A socket of rtnetlink(7) for questions and wishes, one at a time."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, 0))

    def change(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Raises OSError when the kernel refuses."""
        self._socket.send(message(kind, flags | NLM_F_ACK, body))
        for found, answer in messages(self._socket.recv(BUFFER)):
            code = _ERROR.unpack_from(answer)[0] if found == NLMSG_ERROR else 0
            if code:
                raise OSError(-code, os.strerror(-code))

    def dump(self, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        """All that there is of a kind."""
        self._socket.send(message(kind, NLM_F_DUMP, body))
        while True:
            for found, answer in messages(self._socket.recv(BUFFER)):
                if found in (NLMSG_DONE, NLMSG_ERROR):
                    return
                yield found, answer

    def close(self) -> None:
        self._socket.close()
