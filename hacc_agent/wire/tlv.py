"""Where one extension ends and the next begins (RFC 5944, 1.9-1.11).

Most extensions are type, length, data. A few that may not be skipped have a 16-bit length behind
one more octet, padding has no length at all, and Dynamic HA (139) has two layouts in the wild:
RFC 4433 gives it a 16-bit length although no skippable extension may have one (RFC 5944, 1.10),
and decoders such as Wireshark read the short layout. The second octet tells them apart: a length
of 5 in the short layout, a sub-type of 1 or 2 in the RFC's, and neither is possible in the other.

The table says for each type where to look; who walks asks it once an octet of type.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .errors import NotUnderstood, Truncated, Unencodable
from .registry import ExtensionType

Octets = bytes | bytearray | memoryview
"""What may be read: nothing here writes to it or keeps it."""

# Forms: how many octets an extension has. In an order in which a walker may compare them.
UNKNOWN = 0  # not known and below 128: nobody can say where it ends
PADDING = 1  # type alone
SHORT = 2  # type, length, data: the default of everything that may be skipped
IDENTIFIER = 3  # SHORT, the NAI: walkers note it
AUTHENTICATION = 4  # SHORT, beginning with an SPI: walkers note it
DYNAMIC_HOME_AGENT = 5  # 139: SHORT, or LONG as in its RFC
LONG = 6  # type, sub-type or reserved, 16-bit length, data
LONG_AUTHENTICATION = 7  # LONG, beginning with an SPI: walkers note it

SPI_OCTETS = 4
FIRST_SKIPPABLE = 128
LONGEST_SHORT = 255  # of data
LONGEST_LONG = 65535


def _form(kind: int) -> int:
    match kind:
        case ExtensionType.PADDING:
            return PADDING
        case (
            ExtensionType.MOBILE_HOME_AUTHENTICATION
            | ExtensionType.MOBILE_FOREIGN_AUTHENTICATION
            | ExtensionType.FOREIGN_HOME_AUTHENTICATION
        ):
            return AUTHENTICATION
        case ExtensionType.GENERALIZED_AUTHENTICATION:
            return LONG_AUTHENTICATION
        case ExtensionType.CRITICAL_VENDOR:
            return LONG
        case ExtensionType.UDP_TUNNEL_REPLY | ExtensionType.FOREIGN_AGENT_ERROR:
            return SHORT
        case ExtensionType.NETWORK_ACCESS_IDENTIFIER:
            return IDENTIFIER
        case ExtensionType.DYNAMIC_HOME_AGENT:
            return DYNAMIC_HOME_AGENT
        case _:
            return SHORT if kind >= FIRST_SKIPPABLE else UNKNOWN


FORMS = bytes(_form(kind) for kind in range(256))
"""Form of every extension type on port 434."""

DYNAMIC_SUBTYPES = (1, 2)
DYNAMIC_LENGTH = 4  # of the RFC's layout: an address


def is_long_dynamic(data: Octets, at: int, end: int) -> bool:
    """Whether the 139 at this offset has the 16-bit length of RFC 4433, as far as it goes.

    One that is cut off within its length is that layout cut off, not the other one complete.
    """
    return (
        at + 2 < end
        and data[at + 1] in DYNAMIC_SUBTYPES
        and data[at + 2] == 0
        and (at + 3 >= end or data[at + 3] == DYNAMIC_LENGTH)
    )


def extensions(
    data: Octets, at: int, end: int, forms: bytes = FORMS
) -> Iterator[tuple[int, int, int, int]]:
    """Type, offset, offset of the data behind type and length, and end of every extension."""
    while at < end:
        kind = data[at]
        form = forms[kind]
        if form < SHORT:
            if form == UNKNOWN:
                raise NotUnderstood(f"extension {kind} at octet {at}: not known, not skippable")
            yield kind, at, at + 1, at + 1
            at += 1
            continue
        long = form >= LONG or (form == DYNAMIC_HOME_AGENT and is_long_dynamic(data, at, end))
        body = at + (4 if long else 2)
        if body > end:
            raise Truncated(f"extension {kind} at octet {at} ends within its header")
        stop = body + ((data[at + 2] << 8 | data[at + 3]) if long else data[at + 1])
        if stop > end:
            raise Truncated(f"extension {kind} at octet {at} claims {stop - end} octets too many")
        yield kind, at, body, stop
        at = stop


def pack(layout: struct.Struct, *values: int | bytes) -> bytes:
    """Fields into octets; what does not fit is an error of this room."""
    try:
        return layout.pack(*values)
    except struct.error as wrong:
        raise Unencodable(f"{', '.join(map(repr, values))}: {wrong}") from None


def short(kind: int, body: bytes) -> bytes:
    """Type, 8-bit length, data."""
    if len(body) > LONGEST_SHORT:
        raise Unencodable(f"extension {kind}: {len(body)} octets of data, at most {LONGEST_SHORT}")
    return bytes((kind, len(body))) + body


def long(kind: int, subtype: int, body: bytes) -> bytes:
    """Type, sub-type (or a reserved octet), 16-bit length, data."""
    if len(body) > LONGEST_LONG:
        raise Unencodable(f"extension {kind}: {len(body)} octets of data, at most {LONGEST_LONG}")
    if not 0 <= subtype <= 255:
        raise Unencodable(f"extension {kind}: sub-type {subtype} is no octet")
    return bytes((kind, subtype)) + len(body).to_bytes(2, "big") + body
