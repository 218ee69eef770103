"""AgentX, version 1 (RFC 2741): between a router's SNMP agent and those who know a part of its MIB.

    h.version h.type h.flags reserved    sessionID transactionID packetID    payload length
    1         1      1       1           4         4             4           4 octets

We write network byte order and read both (section 6.1). What a subagent needs is here, in both
directions where a test of ours plays the master. What cannot be read raises `AgentXError`: the
stream has lost its place then, and there is nothing to do but to connect again.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct, calcsize, error, pack, unpack_from
from typing import Final

from .errors import WireError

__all__ = [
    "HEADER_OCTETS",
    "NULL_NAME",
    "AgentXError",
    "Data",
    "Failure",
    "Flag",
    "Header",
    "Kind",
    "Name",
    "Range",
    "Request",
    "Response",
    "Type",
    "VarBind",
    "encode_close",
    "encode_name",
    "encode_notify",
    "encode_open",
    "encode_ping",
    "encode_register",
    "encode_request",
    "encode_response",
    "parse_header",
    "parse_request",
    "parse_response",
    "parse_varbinds",
]

Name = tuple[int, ...]
"""An object identifier."""

NULL_NAME: Final[Name] = ()
"""Two zeros on the wire (section 5.1): the end of a range that has none."""

HEADER_OCTETS: Final = 20
LARGEST: Final = 1 << 20
"""Octets of a payload. A GETBULK of thousands of names is far below; more is a lost place."""

_INTERNET: Final = (1, 3, 6, 1)  # a name that begins so and goes on with 1 to 255 is written short
_NETWORK: Final = Struct(">BBBxIIII")
_HOST: Final = Struct("<BBBxIIII")


class AgentXError(WireError):
    """Octets that are no AgentX, or none that a subagent can go on after."""


class Type(enum.IntEnum):
    """Of a PDU (section 6.1)."""

    OPEN = 1
    CLOSE = 2
    REGISTER = 3
    UNREGISTER = 4
    GET = 5
    GET_NEXT = 6
    GET_BULK = 7
    TEST_SET = 8
    COMMIT_SET = 9
    UNDO_SET = 10
    CLEANUP_SET = 11
    NOTIFY = 12
    PING = 13
    RESPONSE = 18


class Flag(enum.IntFlag, boundary=enum.KEEP):
    INSTANCE_REGISTRATION = 0x01
    NON_DEFAULT_CONTEXT = 0x08
    NETWORK_BYTE_ORDER = 0x10


class Kind(enum.IntEnum):
    """Of a value (section 5.4)."""

    INTEGER = 2
    OCTET_STRING = 4
    NULL = 5
    OBJECT_IDENTIFIER = 6
    IP_ADDRESS = 64
    COUNTER32 = 65
    GAUGE32 = 66
    TIME_TICKS = 67
    OPAQUE = 68
    COUNTER64 = 70
    NO_SUCH_OBJECT = 128
    NO_SUCH_INSTANCE = 129
    END_OF_MIB_VIEW = 130


class Failure(enum.IntEnum):
    """res.error: of SNMPv2 (RFC 3416, below 256) and of AgentX (section 6.2.16)."""

    NONE = 0
    GENERAL = 5
    NOT_WRITABLE = 17
    OPEN_FAILED = 256
    NOT_OPEN = 257
    DUPLICATE_REGISTRATION = 263
    PARSE = 266
    REQUEST_DENIED = 267


Data = int | bytes | Name | None
"""A number; octets, of an IP_ADDRESS four; a name; None for what has none."""

_OCTETS: Final = frozenset({Kind.OCTET_STRING, Kind.IP_ADDRESS, Kind.OPAQUE})
_EMPTY: Final = frozenset(
    {Kind.NULL, Kind.NO_SUCH_OBJECT, Kind.NO_SUCH_INSTANCE, Kind.END_OF_MIB_VIEW}
)


@dataclass(frozen=True, slots=True)
class Header:
    type: int
    flags: Flag
    session: int
    transaction: int
    packet: int
    length: int  # octets of the payload

    @property
    def order(self) -> str:
        """For `struct`."""
        return ">" if self.flags & Flag.NETWORK_BYTE_ORDER else "<"


@dataclass(frozen=True, slots=True)
class VarBind:
    name: Name
    kind: Kind
    data: Data = None


@dataclass(frozen=True, slots=True)
class Range:
    """Where to look (section 5.2): from `start`, up to but without `end`."""

    start: Name
    include: bool  # `start` itself counts
    end: Name


@dataclass(frozen=True, slots=True)
class Request:
    """A Get, GetNext or GetBulk."""

    ranges: tuple[Range, ...]
    non_repeaters: int = 0
    max_repetitions: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    error: int
    index: int
    varbinds: tuple[VarBind, ...]


# ---------------------------------------------------------------------- reading


def parse_header(octets: bytes) -> Header:
    """Of the first `HEADER_OCTETS`."""
    if len(octets) < HEADER_OCTETS:
        raise AgentXError("a header is cut short")
    layout = _NETWORK if octets[2] & Flag.NETWORK_BYTE_ORDER else _HOST
    version, kind, flags, session, transaction, packet, length = layout.unpack_from(octets)
    if version != 1:
        raise AgentXError(f"version {version}")
    if length % 4 or length > LARGEST:
        raise AgentXError(f"a payload of {length} octets")
    return Header(kind, Flag(flags), session, transaction, packet, length)


class _Reader:
    """Goes through a payload. Every step checks that it is there."""

    def __init__(self, payload: bytes, order: str) -> None:
        self._payload, self._order, self.at = payload, order, 0

    @property
    def more(self) -> bool:
        return self.at < len(self._payload)

    def fields(self, layout: str) -> tuple[int, ...]:
        layout = self._order + layout
        try:
            found = unpack_from(layout, self._payload, self.at)
        except error as cut:
            raise AgentXError("a payload is cut short") from cut
        self.at += calcsize(layout)
        return found

    def name(self) -> tuple[Name, bool]:
        """And whether its include octet is set."""
        count, prefix, include, _ = self.fields("4B")
        short = (*_INTERNET, prefix) if prefix else NULL_NAME
        return short + self.fields(f"{count}I"), include != 0

    def octets(self) -> bytes:
        (length,) = self.fields("I")
        found = self._payload[self.at : self.at + length]
        self.at += length + -length % 4
        if len(found) < length or self.at > len(self._payload):
            raise AgentXError("octets are cut short")
        return found

    def varbind(self) -> VarBind:
        number, _ = self.fields("HH")
        try:
            kind = Kind(number)
        except ValueError:
            raise AgentXError(f"a value of type {number}") from None
        name, _ = self.name()
        return VarBind(name, kind, self._data(kind))

    def _data(self, kind: Kind) -> Data:
        if kind in _EMPTY:
            return None
        if kind in _OCTETS:
            return self.octets()
        if kind is Kind.OBJECT_IDENTIFIER:
            return self.name()[0]
        layout = "Q" if kind is Kind.COUNTER64 else "i" if kind is Kind.INTEGER else "I"
        return self.fields(layout)[0]


def _reader(header: Header, payload: bytes) -> _Reader:
    reader = _Reader(payload, header.order)
    if header.flags & Flag.NON_DEFAULT_CONTEXT:
        reader.octets()  # we register in the default one, so none but that is asked of us
    return reader


def parse_request(header: Header, payload: bytes) -> Request:
    """Of a Get, GetNext or GetBulk (sections 6.2.5 to 6.2.7)."""
    reader = _reader(header, payload)
    non_repeaters, repetitions = reader.fields("HH") if header.type == Type.GET_BULK else (0, 0)
    ranges = []
    while reader.more:
        start, include = reader.name()
        end, _ = reader.name()
        ranges.append(Range(start, include, end))
    return Request(tuple(ranges), non_repeaters, repetitions)


def parse_response(header: Header, payload: bytes) -> Response:
    """Section 6.2.16."""
    reader = _Reader(payload, header.order)
    _, failure, index = reader.fields("IHH")
    varbinds = []
    while reader.more:
        varbinds.append(reader.varbind())
    return Response(failure, index, tuple(varbinds))


def parse_varbinds(header: Header, payload: bytes) -> tuple[VarBind, ...]:
    """Of a Notify or a TestSet."""
    reader = _reader(header, payload)
    varbinds = []
    while reader.more:
        varbinds.append(reader.varbind())
    return tuple(varbinds)


# ---------------------------------------------------------------------- writing


def _pdu(kind: Type, session: int, transaction: int, packet: int, payload: bytes) -> bytes:
    header = (1, kind, Flag.NETWORK_BYTE_ORDER, session, transaction, packet, len(payload))
    return _NETWORK.pack(*header) + payload


def encode_name(name: Name, *, include: bool = False) -> bytes:
    """Section 5.1."""
    if name[:4] == _INTERNET and len(name) > 4 and 0 < name[4] < 256:
        rest = name[5:]
        return pack(f">4B{len(rest)}I", len(rest), name[4], include, 0, *rest)
    return pack(f">4B{len(name)}I", len(name), 0, include, 0, *name)


def _encode_octets(octets: bytes) -> bytes:
    return pack(">I", len(octets)) + octets + bytes(-len(octets) % 4)


def _encode_varbind(bind: VarBind) -> bytes:
    kind, data = bind.kind, bind.data
    octets = pack(">HH", kind, 0) + encode_name(bind.name)
    if isinstance(data, bytes):
        return octets + _encode_octets(data)
    if isinstance(data, tuple):
        return octets + encode_name(data)
    if data is None:
        return octets
    if kind is Kind.COUNTER64:
        return octets + pack(">Q", data)
    return octets + pack(">i" if kind is Kind.INTEGER else ">I", data)


def encode_open(name: Name, description: str, timeout_s: int, packet: int) -> bytes:
    """Section 6.2.1. `name` says what the subagent is."""
    payload = pack(">B3x", timeout_s) + encode_name(name) + _encode_octets(description.encode())
    return _pdu(Type.OPEN, 0, 0, packet, payload)


def encode_close(session: int, packet: int) -> bytes:
    """Section 6.2.2, reason shutdown."""
    return _pdu(Type.CLOSE, session, 0, packet, pack(">B3x", 5))


def encode_register(session: int, subtree: Name, packet: int) -> bytes:
    """Section 6.2.3, with the usual priority and the session's time-out."""
    return _pdu(Type.REGISTER, session, 0, packet, pack(">4B", 0, 127, 0, 0) + encode_name(subtree))


def encode_ping(session: int, packet: int) -> bytes:
    return _pdu(Type.PING, session, 0, packet, b"")


def encode_notify(session: int, varbinds: Iterable[VarBind], packet: int) -> bytes:
    """Section 6.2.10: the first varbind is snmpTrapOID.0, or sysUpTime.0 and then that."""
    return _pdu(Type.NOTIFY, session, 0, packet, b"".join(map(_encode_varbind, varbinds)))


def encode_response(
    header: Header,
    varbinds: Sequence[VarBind] = (),
    failure: Failure = Failure.NONE,
    index: int = 0,
) -> bytes:
    """The answer to a PDU of the master's."""
    payload = pack(">IHH", 0, failure, index) + b"".join(map(_encode_varbind, varbinds))
    return _pdu(Type.RESPONSE, header.session, header.transaction, header.packet, payload)


def encode_request(kind: Type, session: int, packet: int, request: Request) -> bytes:
    """A master's Get, GetNext or GetBulk."""
    payload = b""
    if kind is Type.GET_BULK:
        payload = pack(">HH", request.non_repeaters, request.max_repetitions)
    for one in request.ranges:
        payload += encode_name(one.start, include=one.include) + encode_name(one.end)
    return _pdu(kind, session, packet, packet, payload)
