"""HSRP on the wire, versions 1 and 2: octets to frozen values and back, byte-exact.

Version 1 is RFC 2281, 5.1: a fixed form of 20 octets, times in seconds, to 224.0.0.2. Version 2 has
no RFC; its form is a list of TLVs, times in milliseconds, to 224.0.0.102, as routers send it and
Wireshark's packet-hsrp.c reads it. One `GroupMessage` says what both of them say. The MD5 TLV is
the same in both, behind the fixed form in version 1. IOS tells its neighbours also on how many
groups it is active (operation 3 of version 1, TLV 2 of version 2): that has no part in elections.

The digest is the keyed MD5 of RFC 1828: over the key, filled up as MD5 fills up, the UDP payload
with a digest of zero, and the key again. There is no protection against replay in it.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar, Final

from .errors import NotUnderstood, PoorlyFormed, Truncated, Unencodable
from .tlv import Octets, pack

PORT: Final = 1985
GROUPS: Final = {1: IPv4Address("224.0.0.2"), 2: IPv4Address("224.0.0.102")}
"""Where each version is sent to, with TTL 1."""

TTL: Final = 1
DEFAULT_TEXT: Final = b"cisco\0\0\0"
TEXT_OCTETS: Final = 8
DIGEST_OCTETS: Final = 16
LAST_GROUP: Final = {1: 255, 2: 4095}

_VIRTUAL_MAC: Final = {1: 0x00000C07AC00, 2: 0x00000C9FF000}
_FIXED: Final = struct.Struct("!BBBBBBBB8sI")
_ADVERTISEMENT: Final = struct.Struct("!BBHHBBHHI")
_GROUP_STATE: Final = struct.Struct("!BBBBHHIIII16s")
_INTERFACE_STATE: Final = struct.Struct("!HH")
_MD5: Final = struct.Struct("!BBHII16s")
_TLV_HEADER: Final = 2
_SECOND_MS: Final = 1000
_MD5_BLOCK: Final = 64  # octets that MD5 takes at a time (RFC 1321, 3.1)
_MD5_LENGTH: Final = 8  # octets at the end of its filling


class Operation(enum.IntEnum):
    """What a message is (RFC 2281, 5.1; the last one is IOS's own)."""

    HELLO = 0
    COUP = 1
    RESIGN = 2
    ADVERTISE = 3


class State(enum.IntEnum):
    """What its sender is in the group (RFC 2281, 5.3), with the numbers of that section."""

    DISABLED = 0  # version 2 only
    INITIAL = 1
    LEARN = 2
    LISTEN = 3
    SPEAK = 4
    STANDBY = 5
    ACTIVE = 6


_CODES: Final = {
    1: {0: State.INITIAL, 1: State.LEARN, 2: State.LISTEN, 4: State.SPEAK, 8: State.STANDBY,
        16: State.ACTIVE},
    2: {state.value: state for state in State},
}  # fmt: skip
_CODE_OF: Final = {
    version: {state: code for code, state in codes.items()} for version, codes in _CODES.items()
}


class TlvType(enum.IntEnum):
    """Of version 2; version 1 has the last one alone."""

    GROUP_STATE = 1
    INTERFACE_STATE = 2
    TEXT = 3
    MD5 = 4


def virtual_mac(version: int, group: int) -> int:
    """The MAC address of a group, in host order (RFC 2281, 6.1; of version 2: 0000.0c9f.fXXX)."""
    return _VIRTUAL_MAC[version] + group


@dataclass(frozen=True, slots=True)
class GroupMessage:
    """A hello, coup or resign."""

    operation: Operation
    state: State
    priority: int
    group: int
    hello_ms: int
    hold_ms: int
    address: IPv4Address  # virtual; 0.0.0.0: the sender doesn't know it


@dataclass(frozen=True, slots=True)
class Md5:
    """The MD5 authentication TLV. `flags` and `padding` are zero wherever they were seen."""

    source: IPv4Address  # of the sender: the digest doesn't cover the IP header
    key_id: int
    digest: bytes = bytes(DIGEST_OCTETS)
    algorithm: int = 1
    padding: int = 0
    flags: int = 0
    kind: ClassVar = TlvType.MD5

    def body(self) -> bytes:
        if len(self.digest) != DIGEST_OCTETS:
            raise Unencodable(f"a digest of {len(self.digest)} octets")
        fields = self.algorithm, self.padding, self.flags, int(self.source), self.key_id
        return pack(_MD5, *fields, self.digest)

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> Md5:
        _exactly(_MD5.size, at, body, end)
        algorithm, padding, flags, source, key_id, digest = _MD5.unpack_from(data, body)
        return cls(IPv4Address(source), key_id, digest, algorithm, padding, flags)


@dataclass(frozen=True, slots=True)
class Text:
    """The text authentication TLV of version 2."""

    text: bytes
    kind: ClassVar = TlvType.TEXT

    def body(self) -> bytes:
        return _text(self.text)

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> Text:
        _exactly(TEXT_OCTETS, at, body, end)
        return cls(bytes(data[body:end]))


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """On how many groups of the interface the sender is active, and takes part otherwise."""

    active: int
    passive: int
    kind: ClassVar = TlvType.INTERFACE_STATE

    def body(self) -> bytes:
        return pack(_INTERFACE_STATE, self.active, self.passive)

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> InterfaceState:
        _exactly(_INTERFACE_STATE.size, at, body, end)
        return cls(*_INTERFACE_STATE.unpack_from(data, body))


@dataclass(frozen=True, slots=True)
class GroupState:
    """The group state TLV of version 2."""

    message: GroupMessage
    identifier: int  # a MAC address of the sender's own
    kind: ClassVar = TlvType.GROUP_STATE

    def body(self) -> bytes:
        found = self.message
        return pack(
            _GROUP_STATE, 2, found.operation, _CODE_OF[2][found.state], 4, found.group,
            self.identifier >> 32, self.identifier & 0xFFFF_FFFF, found.priority, found.hello_ms,
            found.hold_ms, found.address.packed + bytes(12),
        )  # fmt: skip

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> GroupState | Unknown:
        _exactly(_GROUP_STATE.size, at, body, end)
        version, operation, state, family, group, high, low, priority, hello, hold, address = (
            _GROUP_STATE.unpack_from(data, body)
        )
        if version != 2:
            raise NotUnderstood(f"version {version} in the group state TLV at octet {at}")
        if family != 4:  # a group of IPv6, or of something yet to come: none of ours
            return Unknown(int(cls.kind), bytes(data[body:end]))
        if any(address[4:]):
            raise PoorlyFormed(f"octet {at + _TLV_HEADER + 28}: more than an IPv4 address")
        message = GroupMessage(
            _operation(operation, at + 3), _state(2, state, at + 4), priority, group, hello, hold,
            IPv4Address(address[:4]),
        )  # fmt: skip
        return cls(message, high << 32 | low)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A TLV that nobody here knows: skipped, and kept as it was."""

    kind: int
    octets: bytes

    def body(self) -> bytes:
        return self.octets


Tlv = GroupState | InterfaceState | Text | Md5 | Unknown


@dataclass(frozen=True, slots=True)
class Version1:
    """A message of version 1 with what comes behind it."""

    message: GroupMessage
    text: bytes = DEFAULT_TEXT
    reserved: int = 0
    more: tuple[Tlv, ...] = ()
    version: ClassVar = 1

    @property
    def messages(self) -> tuple[GroupMessage, ...]:
        return (self.message,)

    @property
    def md5(self) -> Md5 | None:
        return _md5_of(self.more)

    def to_bytes(self) -> bytes:
        found = self.message
        fixed = pack(
            _FIXED, 0, found.operation, _code_1(found.state), _seconds(found.hello_ms),
            _seconds(found.hold_ms), found.priority, found.group, self.reserved,
            _text(self.text), int(found.address),
        )  # fmt: skip
        return fixed + _tlvs(self.more)


@dataclass(frozen=True, slots=True)
class Advertisement:
    """Operation 3 of version 1: `InterfaceState` before there were TLVs."""

    state: int  # 1 active, 2 passive, in what IOS sends
    active: int
    passive: int
    kind: int = 1
    length: int = 14  # of what follows it, as IOS counts
    reserved: tuple[int, int] = (0, 0)
    messages: ClassVar[tuple[GroupMessage, ...]] = ()
    version: ClassVar = 1

    def to_bytes(self) -> bytes:
        return pack(
            _ADVERTISEMENT, 0, Operation.ADVERTISE, self.kind, self.length, self.state,
            self.reserved[0], self.active, self.passive, self.reserved[1],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Version2:
    """A packet of version 2: TLVs in their order."""

    tlvs: tuple[Tlv, ...]
    version: ClassVar = 2

    @property
    def messages(self) -> tuple[GroupMessage, ...]:
        return tuple(tlv.message for tlv in self.tlvs if isinstance(tlv, GroupState))

    @property
    def text(self) -> bytes:
        """Who sends no text means the usual one."""
        return next((tlv.text for tlv in self.tlvs if isinstance(tlv, Text)), DEFAULT_TEXT)

    @property
    def md5(self) -> Md5 | None:
        return _md5_of(self.tlvs)

    def to_bytes(self) -> bytes:
        return _tlvs(self.tlvs)


Packet = Version1 | Version2 | Advertisement


def parse(data: Octets) -> Packet:
    """What one UDP payload says, or a `WireError`: silently discard, count."""
    if not len(data):
        raise Truncated("no octets at all")
    if data[0] == TlvType.GROUP_STATE or data[0] == TlvType.INTERFACE_STATE:
        return Version2(_read_tlvs(data, 0))
    if data[0] != 0:
        raise NotUnderstood(f"octet 0: neither version 0 nor a TLV to begin with: {data[0]}")
    if len(data) >= _TLV_HEADER and data[1] == Operation.ADVERTISE:
        return _advertisement(data)
    if len(data) < _FIXED.size:
        raise Truncated(f"{len(data)} octets, a message of version 1 has {_FIXED.size}")
    _, operation, state, hello, hold, priority, group, reserved, text, address = _FIXED.unpack_from(
        data
    )
    message = GroupMessage(
        _operation(operation, 1), _state(1, state, 2), priority, group, hello * _SECOND_MS,
        hold * _SECOND_MS, IPv4Address(address),
    )  # fmt: skip
    return Version1(message, text, reserved, _read_tlvs(data, _FIXED.size))


def sign(packet: Version1 | Version2, key: bytes) -> bytes:
    """The octets of a packet that has an MD5 TLV, with the digest that this key makes of them."""
    octets = packet.to_bytes()
    at = _digest_at(octets, packet.version)
    if at is None:
        raise Unencodable("no MD5 TLV to sign in")
    return octets[:at] + _digest(octets, at, key) + octets[at + DIGEST_OCTETS :]


def verify(data: Octets, key: bytes) -> bool:
    """Whether octets that were parsed hold a digest that this key makes of them."""
    octets = bytes(data)
    at = _digest_at(octets, 1 if octets[0] == 0 else 2)
    if at is None:
        return False
    return hmac.compare_digest(octets[at : at + DIGEST_OCTETS], _digest(octets, at, key))


def _digest(octets: bytes, at: int, key: bytes) -> bytes:
    zeroed = octets[:at] + bytes(DIGEST_OCTETS) + octets[at + DIGEST_OCTETS :]
    filled = key + b"\x80" + bytes(-(len(key) + 1 + _MD5_LENGTH) % _MD5_BLOCK)
    filled += (len(key) * 8).to_bytes(_MD5_LENGTH, "little")
    return hashlib.md5(filled + zeroed + key, usedforsecurity=False).digest()


def _digest_at(octets: bytes, version: int) -> int | None:
    for kind, _, _, end in _walk(octets, _FIXED.size if version == 1 else 0):
        if kind == TlvType.MD5:
            return end - DIGEST_OCTETS
    return None


# ------------------------------------------------------------------ fields


def _walk(data: Octets, at: int) -> list[tuple[int, int, int, int]]:
    """Type, offset, offset of the body and end of every TLV."""
    found = []
    while at < len(data):
        body = at + _TLV_HEADER
        if body > len(data):
            raise Truncated(f"the TLV at octet {at} ends within its header")
        end = body + data[at + 1]
        if end > len(data):
            raise Truncated(f"TLV {data[at]} at octet {at} claims {end - len(data)} octets more")
        found.append((data[at], at, body, end))
        at = end
    return found


_DECODERS: Final = {
    TlvType.GROUP_STATE: GroupState.decode,
    TlvType.INTERFACE_STATE: InterfaceState.decode,
    TlvType.TEXT: Text.decode,
    TlvType.MD5: Md5.decode,
}
_AFTER_VERSION_1: Final = {int(TlvType.MD5)}


def _read_tlvs(data: Octets, at: int) -> tuple[Tlv, ...]:
    known = set(map(int, TlvType)) if at == 0 else _AFTER_VERSION_1
    found: list[Tlv] = []
    for kind, start, body, end in _walk(data, at):
        if kind in known:
            found.append(_DECODERS[TlvType(kind)](data, start, body, end))
        else:
            found.append(Unknown(kind, bytes(data[body:end])))
    return tuple(found)


def _tlvs(tlvs: tuple[Tlv, ...]) -> bytes:
    return b"".join(bytes((int(tlv.kind), len(body := tlv.body()))) + body for tlv in tlvs)


def _advertisement(data: Octets) -> Advertisement:
    if len(data) != _ADVERTISEMENT.size:
        raise Truncated(f"{len(data)} octets, an advertisement has {_ADVERTISEMENT.size}")
    _, _, kind, length, state, first, active, passive, second = _ADVERTISEMENT.unpack_from(data)
    return Advertisement(state, active, passive, kind, length, (first, second))


def _md5_of(tlvs: tuple[Tlv, ...]) -> Md5 | None:
    return next((tlv for tlv in tlvs if isinstance(tlv, Md5)), None)


def _exactly(size: int, at: int, body: int, end: int) -> None:
    if end - body != size:
        raise PoorlyFormed(f"the TLV at octet {at} has {end - body} octets instead of {size}")


def _operation(code: int, at: int) -> Operation:
    if code > Operation.RESIGN:
        raise NotUnderstood(f"octet {at}: operation {code}")
    return Operation(code)


def _state(version: int, code: int, at: int) -> State:
    try:
        return _CODES[version][code]
    except KeyError:
        raise PoorlyFormed(f"octet {at}: state {code}") from None


def _code_1(state: State) -> int:
    if state not in _CODE_OF[1]:
        raise Unencodable(f"version 1 knows no state {state.name}")
    return _CODE_OF[1][state]


def _seconds(milliseconds: int) -> int:
    """Version 1 has whole seconds. A shorter time is sent as the next longer one, as IOS does."""
    return -(-milliseconds // _SECOND_MS)


def _text(text: bytes) -> bytes:
    if len(text) > TEXT_OCTETS:
        raise Unencodable(f"a text of {len(text)} octets, at most {TEXT_OCTETS}")
    return text.ljust(TEXT_OCTETS, b"\0")
