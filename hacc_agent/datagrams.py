"""UDP in batches: a socket's receiving ring, and a sender that lets the kernel cut datagrams.

UDP_SEGMENT is the one lever that lowers the kernel's part of a registration (11 us to 5): datagrams
of the same length for the same destination travel down the stack as one, and are cut at its end.
So what is to be sent is sorted by destination and length first. Receivers notice nothing.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import mmsg
from .engine.batch import Batch
from .engine.effects import Endpoint

RING: Final = 256  # datagrams of a batch: past 256 the gain is below 3 %, and latency grows
WIDTH: Final = 512  # octets of a row: a request with NAI and five authenticators has about 250
LONGEST: Final = 4096  # octets of a message that is still understood; beyond it is counted, dropped
BUFFER: Final = 8 << 20  # octets of a socket's buffer: 20 ms of 200,000 datagrams a second

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103  # linux/udp.h
SEGMENTS: Final = 64  # UDP_MAX_SEGMENTS of kernels before 6.9
LARGEST: Final = 65_000  # octets of all segments together, below what an IP packet can hold
IP_FREEBIND: Final = 15  # linux/in.h
SO_SNDBUFFORCE: Final = 32  # asm-generic/socket.h
SO_RCVBUFFORCE: Final = 33
SO_MEMINFO: Final = 55
SK_MEMINFO_DROPS: Final = 8

CONTROL: Final = np.dtype(  # struct cmsghdr with its one number, aligned
    [("length", "=u8"), ("level", "=i4"), ("type", "=i4"), ("size", "=u2"), ("_pad", "V6")]
)
assert CONTROL.itemsize == 24
CONTROL_USED: Final = 18  # octets, without the padding

FEW: Final = 12
"""Datagrams that leave sooner one by one: sorting costs 25 us, the kernel 2 us for each more."""

_SIXTEEN, _THIRTY_TWO, _LOW_16 = np.uint64(16), np.uint64(32), np.uint64(0xFFFF)


class Alone(NamedTuple):
    """A datagram that no row of a batch holds."""

    payload: bytes
    source: Endpoint
    destination: int  # the address that it was sent to


@dataclass(slots=True)
class Traffic:
    """What went through a socket. Datagrams."""

    received: int = 0
    sent: int = 0
    unsent: int = 0  # the kernel did not take them: no route, a full buffer, a filter
    oversized: int = 0  # longer than any message that is understood
    odd: int = 0  # not a datagram that the socket is for
    last_error: int = 0  # errno of the last one that was not sent


class Sender:
    """Sends columns of datagrams through a socket, those that are alike as one."""

    def __init__(self, descriptor: socket.socket, traffic: Traffic) -> None:
        self._socket = descriptor
        self.traffic = traffic
        self.segments = _segments(descriptor)
        self._room(RING)

    def _room(self, count: int) -> None:
        """Memory for this many datagrams. What does not change in it is written once.

        Views of single fields are kept, since taking one costs as much as writing a small batch.
        """
        self._capacity = count
        names = np.zeros(count, mmsg.SOCKADDR)
        names["family"] = socket.AF_INET
        self._address, self._port = names["address"], names["port"]
        pieces = np.zeros(count, mmsg.PIECE)
        self._base, self._length = pieces["base"], pieces["length"]
        self._piece_at = mmsg.addresses_of(pieces)
        controls = np.zeros(count, CONTROL)
        controls["length"], controls["level"], controls["type"] = CONTROL_USED, SOL_UDP, UDP_SEGMENT
        self._size = controls["size"]
        self._control_at = mmsg.addresses_of(controls)
        self._first = np.ones(count, bool)

        def headers() -> NDArray[Any]:
            made = np.zeros(count, mmsg.HEADER)
            made["name"] = mmsg.addresses_of(names)
            made["name_length"] = mmsg.SOCKADDR.itemsize
            made["pieces"] = self._piece_at
            made["piece_count"] = 1
            return made

        singles = headers()
        self._singles_at = mmsg.address_of(singles)
        groups = headers()
        self._groups_at = mmsg.address_of(groups)
        self._group_pieces, self._group_count = groups["pieces"], groups["piece_count"]
        self._group_control = groups["control"]
        self._group_control_length = groups["control_length"]
        self._kept = (names, pieces, controls, singles, groups)  # the kernel has their addresses

    def send(
        self,
        bases: NDArray[Any],
        lengths: NDArray[Any],
        addresses: NDArray[Any],
        ports: NDArray[Any],
    ) -> None:
        """Datagrams as columns: where in memory each begins, its length, its destination."""
        count = len(bases)
        if count > self._capacity:
            self._room(count)
        if count < FEW or not self.segments:
            self._send_singly(bases, lengths, addresses, ports)
            return
        alike = addresses.astype(np.uint64)
        alike <<= _SIXTEEN
        alike |= ports.astype(np.uint64)
        alike <<= _SIXTEEN
        alike |= lengths.astype(np.uint64)
        order = alike.argsort(kind="stable")
        alike = alike[order]
        self._base[:count] = bases[order]
        self._length[:count] = length = alike & _LOW_16
        first = self._first[:count]
        np.not_equal(alike[1:], alike[:-1], out=first[1:])
        starts = np.flatnonzero(first)
        counts = _distances(starts, count)
        if counts.max() > SEGMENTS or length.max() > LARGEST // SEGMENTS:
            starts, counts = _cut(starts, counts, length)
        self._send_groups(starts, counts, alike[starts])

    def _send_singly(
        self,
        bases: NDArray[Any],
        lengths: NDArray[Any],
        addresses: NDArray[Any],
        ports: NDArray[Any],
    ) -> None:
        count = len(bases)
        self._base[:count] = bases
        self._length[:count] = lengths
        self._address[:count] = addresses
        self._port[:count] = ports
        at = 0
        while at < count:
            gone, code = self._go(self._singles_at, at, count)
            self.traffic.sent += gone
            at += gone
            if code:
                # The one that failed is passed over, so that no bad address stops the rest.
                self.traffic.unsent += 1
                self.traffic.last_error = code
                at += 1

    def _send_groups(self, starts: NDArray[Any], counts: NDArray[Any], alike: NDArray[Any]) -> None:
        total = len(starts)
        self._address[:total] = alike >> _THIRTY_TWO
        self._port[:total] = alike >> _SIXTEEN & _LOW_16
        self._size[:total] = alike & _LOW_16
        self._group_pieces[:total] = self._piece_at[starts]
        self._group_count[:total] = counts
        several = counts > 1
        self._group_control[:total] = self._control_at[:total] * several
        self._group_control_length[:total] = several * CONTROL.itemsize
        at = 0
        failed: list[int] = []
        while at < total:
            gone, code = self._go(self._groups_at, at, total)
            self.traffic.sent += int(counts[at : at + gone].sum())
            at += gone
            if code:
                failed.append(at)
                # A path without checksum offload cannot cut: not worth another try.
                self.segments = self.segments and code != errno.EIO
                at += 1
        for group in failed:
            rows = slice(int(starts[group]), int(starts[group] + counts[group]))
            count = int(counts[group])
            self._send_singly(
                self._base[rows].copy(),
                self._length[rows].copy(),
                np.repeat(alike[group] >> _THIRTY_TWO, count),
                np.repeat(alike[group] >> _SIXTEEN & _LOW_16, count),
            )

    def _go(self, headers_at: int, at: int, total: int) -> tuple[int, int]:
        return mmsg.send(self._socket.fileno(), headers_at + at * mmsg.HEADER.itemsize, total - at)

    def send_all(self, datagrams: list[tuple[bytes, Endpoint]]) -> None:
        """Datagrams of our own making."""
        octets = b"".join([payload for payload, _ in datagrams])
        lengths = np.array([len(payload) for payload, _ in datagrams], np.int64)
        ends = lengths.cumsum()
        bases = ends - lengths + np.frombuffer(octets or b"\0", np.uint8).ctypes.data
        to = np.array([endpoint[:2] for _, endpoint in datagrams], np.int64)
        self.send(bases, lengths, to[:, 0], to[:, 1])


def _segments(descriptor: socket.socket) -> bool:
    """Whether this kernel cuts datagrams (4.18 and later do)."""
    with contextlib.suppress(OSError):
        descriptor.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
        return True
    return False


def _distances(starts: NDArray[Any], end: int) -> NDArray[Any]:
    """How far from each start to the next, and from the last one to the end."""
    found = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=found[:-1])
    found[-1] = end - starts[-1]
    return found


def _cut(
    starts: NDArray[Any], counts: NDArray[Any], length: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Groups that the kernel can cut: neither too many datagrams in one, nor too many octets."""
    most = np.minimum(SEGMENTS, LARGEST // np.maximum(length, 1).astype(np.int64))
    place = np.arange(len(length)) - np.repeat(starts, counts)
    starts = np.flatnonzero(place % np.maximum(most, 1) == 0)
    return starts, _distances(starts, len(length))


class Datagrams:
    """A UDP socket that is read into a ring: `batch` holds what the last `receive` brought."""

    def __init__(self, address: int, port: int, ring: int = RING) -> None:
        """Raises OSError when the address is not ours or the port is taken."""
        self.address = address
        self.traffic = Traffic()
        self.socket = open_socket(address, port)
        self.sender = Sender(self.socket, self.traffic)
        self.alone: list[Alone] = []
        self.full = False
        self.destination = np.full(ring, address, np.uint32)
        # A message that is longer than its row runs on into the row's part of `rest`.
        octets = np.zeros((ring, WIDTH), np.uint8)
        self._rest = np.zeros((ring, LONGEST - WIDTH), np.uint8)
        self._names = np.zeros(ring, mmsg.SOCKADDR)
        self._pieces = np.zeros((ring, 2), mmsg.PIECE)
        self._pieces["base"][:, 0] = self.bases = mmsg.addresses_of(octets)
        self._pieces["base"][:, 1] = mmsg.addresses_of(self._rest)
        self._pieces["length"] = WIDTH, LONGEST - WIDTH
        self._headers = np.zeros(ring, mmsg.HEADER)
        self._headers["name"] = mmsg.addresses_of(self._names)
        self._headers["name_length"] = mmsg.SOCKADDR.itemsize
        self._headers["pieces"] = mmsg.addresses_of(self._pieces)
        self._headers["piece_count"] = 2
        self._headers_at = mmsg.address_of(self._headers)
        self._received = self._headers["length"]
        self._senders = self._names["address"], self._names["port"]
        self.batch = Batch(
            octets=octets,
            length=np.zeros(ring, np.int64),
            address=np.zeros(ring, np.uint32),
            port=np.zeros(ring, np.uint16),
            link=np.zeros(ring, np.uint64),
        )

    def fileno(self) -> int:
        return self.socket.fileno()

    def receive(self) -> bool:
        """Reads what waits, a ring of it at most; whether anything came."""
        self.alone = []
        batch = self.batch
        count = mmsg.receive(self.socket.fileno(), self._headers_at, len(self._headers))
        batch.count = count
        self.full = count == len(self._headers)
        if not count:
            return False
        self.traffic.received += count
        batch.length[:count] = self._received[:count]
        batch.address[:count] = self._senders[0][:count]
        batch.port[:count] = self._senders[1][:count]
        if batch.length[:count].max() > WIDTH:
            self._set_apart(count)
        return True

    def _set_apart(self, count: int) -> None:
        batch = self.batch
        for row in np.flatnonzero(batch.length[:count] > WIDTH).tolist():
            if self._headers["flags"][row] & socket.MSG_TRUNC:
                self.traffic.oversized += 1
                continue
            rest = self._rest[row, : batch.length[row] - WIDTH]
            payload = batch.octets[row].tobytes() + rest.tobytes()
            source = Endpoint(int(batch.address[row]), int(batch.port[row]))
            self.alone.append(Alone(payload, source, self.address))
        fits = np.flatnonzero(batch.length[:count] <= WIDTH)
        batch.count = len(fits)
        for column in (batch.octets, batch.length, batch.address, batch.port):
            column[: len(fits)] = column[fits]

    def dropped(self) -> int:
        """Datagrams that the kernel dropped since the socket's buffer was full."""
        memory = self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 64)
        return int(np.frombuffer(memory, np.uint32)[SK_MEMINFO_DROPS])

    def close(self) -> None:
        self.socket.close()


_ADDRESS: Final = Struct("!I")


def open_socket(address: int, port: int, foreign: bool = False) -> socket.socket:
    """A UDP socket of this address and port, with room for a burst.

    `foreign` allows an address that this router does not have, or not yet.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        opened.setblocking(False)
        enlarge(opened)
        if foreign:
            opened.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        opened.bind((socket.inet_ntoa(_ADDRESS.pack(address)), port))
    except BaseException:
        opened.close()
        raise
    return opened


def enlarge(opened: socket.socket) -> None:
    """Room for a burst. Without CAP_NET_ADMIN net.core.rmem_max and wmem_max are the limits."""
    for forced, usual in (
        (SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            opened.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
        except PermissionError:
            opened.setsockopt(socket.SOL_SOCKET, usual, BUFFER)
