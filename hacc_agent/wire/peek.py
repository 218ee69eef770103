"""What a relay needs of a message, read in place: no value is made that nobody asked for.

A controller passes requests and replies on unchanged; for that it needs the fixed fields, the NAI
and where the authentication extensions stand, more than 100,000 times a second. These functions
work on any buffer, a frame among others, from `start` to `end`; addresses come as integers, since
they are keys of a table, and the NAI and the authenticators come as offsets.

They accept whatever `messages.parse` accepts, and find the same in it. They do not look into
extensions that a relay has no use for, so they also accept messages that `parse` finds poorly
formed: the member that the message goes to will judge.
"""

from __future__ import annotations

from .errors import NotUnderstood, Truncated
from .messages import REPLY, REQUEST
from .registry import ExtensionType, MessageType
from .tlv import (
    AUTHENTICATION,
    DYNAMIC_HOME_AGENT,
    FORMS,
    IDENTIFIER,
    LONG_AUTHENTICATION,
    PADDING,
    SHORT,
    SPI_OCTETS,
    UNKNOWN,
    Octets,
    is_long_dynamic,
)

RequestFields = tuple[int, int, int, int, int, int, int]
"""Type, flags, lifetime, home address, Home Agent, care-of address, Identification."""

ReplyFields = tuple[int, int, int, int, int, int]
"""Type, code, lifetime, home address, Home Agent, Identification."""

LOW_32 = 0xFFFFFFFF
"""What of the Identification a reply shares with its request (RFC 5944, 3.7.3.1 and 5.7)."""

# Names of this module: looking a member up in its enumeration costs as much as reading a field.
_REQUEST_SIZE = REQUEST.size
_REPLY_SIZE = REPLY.size
_REQUEST_TYPE = int(MessageType.REGISTRATION_REQUEST)
_REPLY_TYPE = int(MessageType.REGISTRATION_REPLY)
_unpack_request = REQUEST.unpack_from
_unpack_reply = REPLY.unpack_from


def peek_request(data: Octets, start: int, end: int) -> tuple[RequestFields, int, list[int]]:
    """Fixed fields, offset of the NAI extension (0: none), offsets of the authentications."""
    at = start + _REQUEST_SIZE
    if at > end or end > len(data):
        raise Truncated(f"{end - start} octets are no Registration Request")
    fields: RequestFields = _unpack_request(data, start)
    if fields[0] != _REQUEST_TYPE:
        raise NotUnderstood(f"message type {fields[0]} is no Registration Request")
    return fields, *peek_extensions(data, at, end)


def peek_reply(data: Octets, start: int, end: int) -> tuple[ReplyFields, int, list[int]]:
    """Fixed fields, offset of the NAI extension (0: none), offsets of the authentications."""
    at = start + _REPLY_SIZE
    if at > end or end > len(data):
        raise Truncated(f"{end - start} octets are no Registration Reply")
    fields: ReplyFields = _unpack_reply(data, start)
    if fields[0] != _REPLY_TYPE:
        raise NotUnderstood(f"message type {fields[0]} is no Registration Reply")
    return fields, *peek_extensions(data, at, end)


def peek_extensions(data: Octets, at: int, end: int) -> tuple[int, list[int]]:
    """Offset of the (first) NAI extension, 0 without one, and of each authentication extension.

    Offsets are those of the type octet: `data[offset]` says which authentication it is.
    """
    nai = 0
    authentications: list[int] = []
    try:
        while at < end:
            form = FORMS[data[at]]
            if form == AUTHENTICATION:
                authentications.append(at)
                at += 2 + data[at + 1]
            elif form == IDENTIFIER:
                nai = nai or at
                at += 2 + data[at + 1]
            elif form == SHORT:
                at += 2 + data[at + 1]
            elif form == PADDING:
                at += 1
            elif form == UNKNOWN:
                raise NotUnderstood(f"extension {data[at]} at octet {at}: not known, not skippable")
            elif form == DYNAMIC_HOME_AGENT and not is_long_dynamic(data, at, end):
                at += 2 + data[at + 1]
            else:  # LONG, and 139 as in its RFC
                if form == LONG_AUTHENTICATION:
                    authentications.append(at)
                at += 4 + (data[at + 2] << 8 | data[at + 3])
    except IndexError:
        raise Truncated("an extension ends within its header") from None
    if at != end:
        raise Truncated(f"an extension claims {at - end} octets too many")
    return nai, authentications


def peek_nai(data: Octets, at: int) -> bytes:
    """The NAI in the extension at this offset."""
    return bytes(data[at + 2 : at + 2 + data[at + 1]])


def peek_spi(data: Octets, at: int) -> int:
    """The SPI of the authentication extension at this offset, if it has room for one.

    What a message that `parse` refuses has there instead is some number; `verify` says no to it.
    """
    at += 4 if data[at] == ExtensionType.GENERALIZED_AUTHENTICATION else 2
    return int.from_bytes(data[at : at + SPI_OCTETS], "big")
