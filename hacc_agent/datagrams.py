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
CONTROL_LENGTH: Final = 18  # without the padding


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
        """Memory for this many datagrams. What does not change in it is written once."""
        self._capacity = count
        self._names = np.zeros(count, mmsg.SOCKADDR)
        self._names["family"] = socket.AF_INET
        self._pieces = np.zeros(count, mmsg.PIECE)
        self._controls = np.zeros(count, CONTROL)
        self._controls["length"] = CONTROL_LENGTH
        self._controls["level"] = SOL_UDP
        self._controls["type"] = UDP_SEGMENT
        self._headers = np.zeros(count, mmsg.HEADER)
        self._headers["name"] = mmsg.addresses_of(self._names)
        self._headers["name_length"] = mmsg.SOCKADDR.itemsize
        self._piece_at = mmsg.addresses_of(self._pieces)
        self._control_at = mmsg.addresses_of(self._controls)

    def send(
        self,
        bases: NDArray[Any],
        lengths: NDArray[Any],
        addresses: NDArray[Any],
        ports: NDArray[Any],
    ) -> None:
        """Datagrams as columns: where in memory each begins, its length, its destination."""
        count = len(bases)
        if not count:
            return
        if count > self._capacity:
            self._room(count)
        destination = addresses.astype(np.uint64) << np.uint64(32)
        destination |= ports.astype(np.uint64) << np.uint64(16)
        destination |= lengths.astype(np.uint64)
        order = destination.argsort(kind="stable")
        destination = destination[order]
        pieces = self._pieces
        pieces["base"][:count] = bases[order]
        length = lengths[order]
        pieces["length"][:count] = length
        starts = _groups(destination, length) if self.segments else np.arange(count)
        self._send_groups(starts, np.diff(starts, append=count), destination)

    def _send_groups(
        self, starts: NDArray[Any], counts: NDArray[Any], destination: NDArray[Any]
    ) -> None:
        total = len(starts)
        key = destination[starts]
        self._names["address"][:total] = key >> np.uint64(32)
        self._names["port"][:total] = key >> np.uint64(16) & np.uint64(0xFFFF)
        self._controls["size"][:total] = key & np.uint64(0xFFFF)
        headers = self._headers
        headers["pieces"][:total] = self._piece_at[starts]
        headers["piece_count"][:total] = counts
        several = counts > 1
        headers["control"][:total] = np.where(several, self._control_at[:total], 0)
        headers["control_length"][:total] = np.where(several, CONTROL.itemsize, 0)
        at = 0
        singles: list[int] = []
        while at < total:
            gone, code = mmsg.send(self._socket.fileno(), headers[at:total])
            self.traffic.sent += int(counts[at : at + gone].sum())
            at += gone
            if code:
                # The one that failed is passed over, so that nobody's bad address stops the rest.
                if counts[at] > 1 and code in (errno.EIO, errno.EINVAL):
                    # A path without checksum offload cannot cut (EIO): not worth another try.
                    self.segments = self.segments and code != errno.EIO
                    singles += range(int(starts[at]), int(starts[at] + counts[at]))
                else:
                    self.traffic.unsent += int(counts[at])
                    self.traffic.last_error = code
                at += 1
        if singles:
            rows = np.array(singles)
            self._send_groups(rows, np.ones(len(rows), np.int64), destination)

    def send_all(self, datagrams: list[tuple[bytes, Endpoint]]) -> None:
        """Datagrams of our own making."""
        octets = np.frombuffer(b"".join([payload for payload, _ in datagrams]), np.uint8)
        lengths = np.array([len(payload) for payload, _ in datagrams], np.int64)
        bases = octets.ctypes.data + np.cumsum(lengths) - lengths
        to = np.array([endpoint[:2] for _, endpoint in datagrams], np.int64)
        self.send(bases.astype(np.uint64), lengths, to[:, 0], to[:, 1])


def _segments(descriptor: socket.socket) -> bool:
    """Whether this kernel cuts datagrams (4.18 and later do)."""
    with contextlib.suppress(OSError):
        descriptor.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
        return True
    return False


def _groups(destination: NDArray[Any], length: NDArray[Any]) -> NDArray[Any]:
    """Where each run of datagrams that the kernel can cut from one begins."""
    count = len(destination)
    first = np.empty(count, bool)
    first[0] = True
    np.not_equal(destination[1:], destination[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    most = np.minimum(SEGMENTS, LARGEST // np.maximum(length, 1))
    if np.diff(starts, append=count).max() > most.min():
        place = np.arange(count) - np.repeat(starts, np.diff(starts, append=count))
        starts = np.flatnonzero(place % np.maximum(most, 1) == 0)
    return starts


class Datagrams:
    """A UDP socket that is read into a ring: `batch` holds what the last `receive` brought."""

    def __init__(self, address: int, port: int, ring: int = RING) -> None:
        """Raises OSError when the address is not ours or the port is taken."""
        self.address = address
        self.traffic = Traffic()
        self.socket = open_socket(address, port)
        self.sender = Sender(self.socket, self.traffic)
        self.alone: list[Alone] = []
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
        count = mmsg.receive(self.socket.fileno(), self._headers)
        batch = self.batch
        batch.count = count
        if not count:
            return False
        self.traffic.received += count
        batch.length[:count] = self._headers["length"][:count]
        batch.address[:count] = self._names["address"][:count]
        batch.port[:count] = self._names["port"][:count]
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
