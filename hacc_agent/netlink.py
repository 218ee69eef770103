"""netlink(7): messages and their attributes, the same for everything that is asked of the kernel."""

from __future__ import annotations

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
NLM_F_CREATE: Final = 0x400


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
        yield kind, body[at + ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
