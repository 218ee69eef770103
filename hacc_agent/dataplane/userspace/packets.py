"""What both planes share: headers, checksums, homes, counters; what became of a frame."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from struct import Struct
from typing import Any, Final, NamedTuple

from ...engine.record import Kind, Records
from ...wire.advertisement import checksum
from ..maps import words
from ..packet import ETHERNET, GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE, GRE_UNREAD, HEADER, IPV4
from ..plane import Counted

PLAIN: Final = 0x45  # version 4, no options
DONT_FRAGMENT: Final = 0x4000
UDP_HEADER: Final = Struct("!HHHH")
IN_GRE: Final = Struct("!HH")
_IP: Final = Struct("!BBHHHBBHII")


class Verdict(enum.Enum):
    KERNEL = "kernel"  # or whatever other program
    DROP = "drop"
    SEND = "send"  # the frame as it is now


class Fate(NamedTuple):
    """What became of a frame."""

    verdict: Verdict
    frame: bytes


class Unreadable(Exception):
    """A tunnel for us that nobody can open: counted, and left to the kernel."""


class NotOurs(Exception):
    """The kernel's."""


class Ip(NamedTuple):
    """The header of an IPv4 packet."""

    first: int
    service: int
    length: int
    number: int
    offset: int
    ttl: int
    protocol: int
    checksum: int
    source: int
    destination: int

    @classmethod
    def read(cls, packet: bytes) -> Ip:
        return cls._make(_IP.unpack_from(packet))

    @property
    def octets(self) -> int:
        return 4 * (self.first & 15)

    def as_it_is(self) -> bytes:
        return _IP.pack(*self)

    def packed(self) -> bytes:
        """With the checksum that it has to have."""
        right = checksum(self._replace(checksum=0).as_it_is())
        return self._replace(checksum=right).as_it_is()


def header(packet: bytes, otherwise: type[Exception]) -> Ip:
    """Raises `otherwise` for what is none."""
    if len(packet) < HEADER:
        raise otherwise
    found = Ip.read(packet)
    if found.first >> 4 != 4 or found.octets < HEADER:
        raise otherwise
    return found


def older(packet: bytes) -> bytes:
    """A hop. The checksum gains what the header loses, right or wrong as it was (RFC 1624)."""
    found = Ip.read(packet)
    total = found.checksum + 0x0100
    total = (total & 0xFFFF) + (total >> 16)
    if total == 0xFFFF:
        total = 0
    return found._replace(ttl=found.ttl - 1, checksum=total).as_it_is() + packet[HEADER:]


def in_gre(body: bytes) -> bytes:
    """What GRE carries, which has to be IPv4 (RFC 2784, 2890)."""
    if len(body) < IN_GRE.size:
        raise Unreadable
    flags, protocol = IN_GRE.unpack_from(body)
    if protocol != IPV4 or flags & GRE_UNREAD:
        raise Unreadable
    present = sum(bool(flags & bit) for bit in (GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE))
    return body[IN_GRE.size + 4 * present :]


def for_us(frame: bytes, mac: int) -> Ip:
    """The header of an IPv4 packet in a frame for this MAC address."""
    if frame[:6] != mac.to_bytes(6, "big") or frame[12:14] != IPV4.to_bytes(2, "big"):
        raise NotOurs
    return header(frame[ETHERNET:], NotOurs)


class Homes:
    """Numbers by home address, and mobile networks."""

    def __init__(self) -> None:
        self.numbers: dict[int, Any] = {}
        self._behind: dict[IPv4Network, int] = {}

    def find(self, address: int) -> Any:
        """Its own, or that of the mobile router which has it behind it."""
        own = self.numbers.get(address)
        if own is not None:
            return own
        within = [one for one in self._behind if IPv4Address(address) in one]
        longest = max(within, key=lambda one: one.prefixlen, default=None)
        return None if longest is None else self.numbers.get(self._behind[longest])

    def clear(self) -> None:
        self.numbers.clear()
        self._behind.clear()

    def route(self, records: Records) -> None:
        said = records[records["kind"] == Kind.NETWORK]
        for record in said.tolist():
            _, withdrawn, length, home, network, *_ = record
            prefix = IPv4Network((network, length))
            if withdrawn:
                self._behind.pop(prefix, None)
            else:
                self._behind[prefix] = home


class Counting:
    """Frames and octets, by reason."""

    def __init__(self, reasons: type[enum.IntEnum]) -> None:
        self._reasons = reasons
        self.frames: Counter[int] = Counter()
        self.octets: Counter[int] = Counter()

    def count(self, reason: int, frame: bytes) -> None:
        self.frames[reason] += 1
        self.octets[reason] += len(frame)

    def counted(self) -> tuple[Counted, ...]:
        names = zip(self._reasons, words(self._reasons), strict=True)
        return tuple(Counted(name, self.frames[one], self.octets[one]) for one, name in names)


class UserPlane:
    """What both planes say of themselves; each knows how to `follow`."""

    kind = "user space"
    full = 0
    missing: tuple[str, ...] = ()

    def __init__(self, reasons: type[enum.IntEnum]) -> None:
        self._homes = Homes()
        self._counting = Counting(reasons)

    def load(self, records: Records) -> None:
        self._homes.clear()
        self.follow(records)

    def follow(self, records: Records) -> None:
        raise NotImplementedError

    def attach(self, interfaces: Iterable[str]) -> None:
        """Frames are handed in."""

    def counted(self) -> tuple[Counted, ...]:
        return self._counting.counted()

    def programs(self) -> dict[str, tuple[str, ...]]:
        return {}

    def close(self) -> None:
        """Nothing outlives it."""
