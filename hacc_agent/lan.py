"""One LAN: a packet socket whose frames are the rows of a ring, and leave from rings.

A frame is read as three pieces: its virtio header, which says whether the UDP checksum was already
verified, or not made yet since sender and receiver share a machine; headers and payload up to the
width of a batch's row; and the rest, which only frames that go to the engine alone have.
"""

from __future__ import annotations

import socket
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import bpf, mmsg
from .datagrams import LONGEST, RING, WIDTH, Alone, Traffic, enlarge
from .engine.batch import Batch
from .engine.effects import Endpoint
from .headers import (
    CHECKSUM_HELD,
    CHECKSUM_OFFSET,
    CHECKSUM_START,
    CHECKSUM_TO_BE_MADE,
    ETHERNET,
    ETHERTYPE_IP,
    FRONT,
    LAYERS,
    MAY_NOT_FRAGMENT,
    PAD,
    SEGMENTED_UDP,
    TIME_TO_LIVE,
    UDP,
    VIRTIO,
    holds,
    ip_checksum,
    pseudo_sum,
)

Columns = NDArray[Any]

SOL_PACKET: Final = 263
PACKET_VNET_HDR: Final = 15  # linux/if_packet.h
LARGEST: Final = 66_000  # octets of a frame that the kernel has not cut yet, and more
PACKET_STATISTICS: Final = 6
_STATISTICS: Final = Struct("=II")  # packets, drops: since they were asked for last

_IP: Final = Struct("!BxHxxHxBxxII")  # version, length, fragment, protocol, source, destination
_UDP: Final = Struct("!HHHH")


class Made(NamedTuple):
    """A datagram of our own making, and where on the LAN it goes."""

    mac: int
    source: int
    source_port: int
    destination: int
    destination_port: int
    payload: bytes


class LanRing:
    """A socket for the frames of one LAN, read into a ring and sent from rings."""

    def __init__(self, lan: int, interface: str, steps: list[bpf.Step]) -> None:
        """Raises PermissionError without CAP_NET_RAW."""
        self._lan = lan
        self.interface = interface
        self.mac = 0
        self._number = 0  # of the interface; 0: it is not there
        self.traffic = Traffic()
        self._dropped = 0
        self.alone: list[Alone] = []
        # Protocol 0 hears nothing: the filter stands before the first frame comes.
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self.socket.setblocking(False)
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        bpf.attach(self.socket, steps)
        enlarge(self.socket)
        self._make_ring(RING)
        self._room(RING)

    def _make_ring(self, ring: int) -> None:
        rows = np.zeros((ring, FRONT.itemsize + WIDTH), np.uint8)
        self._rest = np.zeros((ring, LARGEST - WIDTH), np.uint8)  # memory that is touched by few
        self.front = rows[:, : FRONT.itemsize].view(FRONT)[:, 0]
        self.virtio = np.zeros(ring, VIRTIO)
        self.frame_at = mmsg.addresses_of(rows) + np.uint64(PAD)
        self.payload_at = mmsg.addresses_of(rows) + np.uint64(FRONT.itemsize)
        self.virtio_at = mmsg.addresses_of(self.virtio)
        pieces = self._received_pieces = np.zeros((ring, 3), mmsg.PIECE)
        pieces["base"] = np.stack(
            (self.virtio_at, self.frame_at, mmsg.addresses_of(self._rest)), axis=1
        )
        pieces["length"] = VIRTIO.itemsize, FRONT.itemsize + WIDTH - PAD, self._rest.shape[1]
        self._headers = np.zeros(ring, mmsg.HEADER)
        self._headers["pieces"] = mmsg.addresses_of(pieces)
        self._headers["piece_count"] = 3
        self.destination = np.zeros(ring, np.uint32)
        self._rows = rows
        self.batch = Batch(
            octets=rows[:, FRONT.itemsize :],
            length=np.zeros(ring, np.int64),
            address=np.zeros(ring, np.uint32),
            port=np.zeros(ring, np.uint16),
            link=np.zeros(ring, np.uint64),
        )

    def _room(self, count: int) -> None:
        """Memory to send this many frames."""
        self._pieces = np.zeros((count, 3), mmsg.PIECE)
        self._sent_headers = np.zeros(count, mmsg.HEADER)
        self._sent_headers["pieces"] = mmsg.addresses_of(self._pieces)

    def fileno(self) -> int:
        return self.socket.fileno()

    def attend(self, number: int, mac: int) -> None:
        """The interface is this one now. Raises OSError."""
        self.mac = mac
        if number != self._number:
            self._number = number
            if number:
                self.socket.bind((self.interface, ETHERTYPE_IP))

    # ------------------------------------------------------------------ in

    def receive(self) -> bool:
        """Reads what waits, a ring of it at most; whether anything came."""
        self.alone = []
        batch = self.batch
        batch.count = count = mmsg.receive(self.socket.fileno(), self._headers)
        if not count:
            return False
        self.traffic.received += count
        front, virtio = self.front[:count], self.virtio[:count]
        size = self._headers["length"][:count].astype(np.int64) - VIRTIO.itemsize
        payload = front["udp_length"].astype(np.int64) - 8
        ordinary = front["version"] == 0x45
        ordinary &= front["fragment"] & ~np.uint16(MAY_NOT_FRAGMENT) == 0
        ordinary &= front["length"] == payload + LAYERS
        ordinary &= (payload >= 0) & (payload <= WIDTH) & (size >= payload + LAYERS + ETHERNET)
        ordinary &= virtio["segmentation"] == 0
        batch.length[:count] = payload
        batch.address[:count] = front["source"]
        batch.port[:count] = front["source_port"]
        self.destination[:count] = front["destination"]
        link = front["from_high"].astype(np.uint64) << np.uint64(32)
        link |= front["from_low"].astype(np.uint64) << np.uint64(16)
        batch.link[:count] = link | np.uint64(self._lan)
        unproven = ordinary & (virtio["flags"] & (CHECKSUM_TO_BE_MADE | CHECKSUM_HELD) == 0)
        if unproven.any():
            rows = np.flatnonzero(unproven)
            held = holds(self.front[rows], batch.octets[rows], batch.length[rows])
            ordinary[rows] = held
        if not ordinary.all():
            self._set_apart(ordinary, size)
        return True

    def _set_apart(self, ordinary: Columns, size: Columns) -> None:
        """Takes rows that are out of the ordinary out of the batch; the rest closes up."""
        batch = self.batch
        for row in np.flatnonzero(~ordinary).tolist():
            self.alone += self._parts(row, int(size[row]))
        kept = np.flatnonzero(ordinary)
        batch.count = len(kept)
        for column in (
            self._rows,
            self.virtio,
            self.destination,
            batch.length,
            batch.address,
            batch.port,
            batch.link,
        ):
            column[: len(kept)] = column[kept]

    def _parts(self, row: int, size: int) -> list[Alone]:
        """The datagrams in a frame with options, a long one, or one that is still to be cut."""
        first = self._rows[row, PAD:].tobytes()
        frame = (first + self._rest[row, : max(0, size - len(first))].tobytes())[:size]
        flags, segmentation, _, segment, _, _ = self.virtio[row].item()
        found = _payload(frame, proven=bool(flags & (CHECKSUM_TO_BE_MADE | CHECKSUM_HELD)))
        if found is None:
            self.traffic.odd += 1
            return []
        payload, address, port, destination = found
        step = segment if segmentation & 0x7F == SEGMENTED_UDP and segment else len(payload) or 1
        parts = [payload[at : at + step] for at in range(0, max(len(payload), 1), step)]
        self.traffic.oversized += sum(len(part) > LONGEST for part in parts)
        source = Endpoint(address, port, int.from_bytes(frame[6:12], "big") << 16 | self._lan)
        return [Alone(part, source, destination) for part in parts if len(part) <= LONGEST]

    # ------------------------------------------------------------------ out

    def send_frames(
        self,
        virtio_at: Columns,
        frame_at: Columns,
        frame_length: Columns,
        payload_at: Columns | None = None,
        payload_length: Columns | None = None,
    ) -> None:
        """Frames as columns: where each one's virtio header and octets are, in one piece or two."""
        count = len(frame_at)
        if count > len(self._pieces):
            self._room(count)
        pieces = self._pieces[:count]
        pieces["base"][:, 0] = virtio_at
        pieces["length"][:, 0] = VIRTIO.itemsize
        pieces["base"][:, 1] = frame_at
        pieces["length"][:, 1] = frame_length
        if payload_at is not None:
            pieces["base"][:, 2] = payload_at
            pieces["length"][:, 2] = payload_length
        headers = self._sent_headers[:count]
        headers["piece_count"] = 2 if payload_at is None else 3
        at = 0
        while at < count:
            gone, code = mmsg.send(self.socket.fileno(), headers[at:])
            self.traffic.sent += gone
            at += gone
            if code:
                self.traffic.unsent += 1
                self.traffic.last_error = code
                at += 1

    def send_rows(self, ring: LanRing, rows: Columns, front: Columns) -> None:
        """Rows of a ring, with these headers in place of theirs."""
        front["from_high"] = self.mac >> 16
        front["from_low"] = self.mac & 0xFFFF
        ring.front[rows] = front
        length = front["length"].astype(np.uint64) + np.uint64(ETHERNET)
        self.send_frames(ring.virtio_at[rows], ring.frame_at[rows], length)

    def send_made(self, made: list[Made]) -> None:
        """Datagrams of our own: their headers are made as columns, their checksums by the kernel,
        or by the network card.
        """
        count = len(made)
        front = np.zeros(count, FRONT)
        length = np.array([len(each.payload) for each in made], np.int64)
        columns = np.array([each[:5] for each in made], np.int64)
        front["to_high"] = columns[:, 0] >> 16
        front["to_low"] = columns[:, 0] & 0xFFFF
        front["from_high"] = self.mac >> 16
        front["from_low"] = self.mac & 0xFFFF
        front["type"] = ETHERTYPE_IP
        front["version"] = 0x45
        front["length"] = length + LAYERS
        front["fragment"] = MAY_NOT_FRAGMENT
        front["time_to_live"] = TIME_TO_LIVE
        front["protocol"] = UDP
        front["source"] = columns[:, 1]
        front["destination"] = columns[:, 3]
        front["source_port"] = columns[:, 2]
        front["destination_port"] = columns[:, 4]
        front["udp_length"] = length + 8
        front["udp_checksum"] = pseudo_sum(front["source"], front["destination"], length + 8)
        front["checksum"] = ip_checksum(front)
        virtio = np.zeros(count, VIRTIO)
        virtio["flags"] = CHECKSUM_TO_BE_MADE
        virtio["checksum_start"] = CHECKSUM_START
        virtio["checksum_offset"] = CHECKSUM_OFFSET
        payloads = np.frombuffer(b"".join([each.payload for each in made]), np.uint8)
        payload_at = payloads.ctypes.data + np.cumsum(length) - length
        self.send_frames(
            mmsg.addresses_of(virtio),
            mmsg.addresses_of(front) + np.uint64(PAD),
            np.full(count, FRONT.itemsize - PAD),
            payload_at.astype(np.uint64),
            length,
        )

    def dropped(self) -> int:
        """Frames that the kernel dropped since the socket's buffer was full, so far."""
        statistics = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size)
        self._dropped += _STATISTICS.unpack(statistics)[1]
        return self._dropped

    def close(self) -> None:
        self.socket.close()


def _payload(frame: bytes, proven: bool) -> tuple[bytes, int, int, int] | None:
    """Payload, source address, source port, destination of a frame with any headers.

    None: a fragment, whose other part is somewhere else, or a frame that is damaged.
    """
    if len(frame) < ETHERNET + LAYERS:
        return None
    version, length, fragment, protocol, source, destination = _IP.unpack_from(frame, ETHERNET)
    at = ETHERNET + (version & 0xF) * 4
    end = ETHERNET + length
    if version >> 4 != 4 or protocol != UDP or fragment & ~MAY_NOT_FRAGMENT or at + 8 > end:
        return None
    source_port, _, udp_length, checksum = _UDP.unpack_from(frame, at)
    if end > len(frame) or at + udp_length > end or udp_length < 8:
        return None
    datagram = frame[at : at + udp_length]
    if checksum and not proven:
        sums = sum(Struct(f"!{(udp_length + 1) // 2}H").unpack(datagram + b"\0" * (udp_length % 2)))
        pseudo = (source >> 16) + (source & 0xFFFF) + (destination >> 16) + (destination & 0xFFFF)
        if (sums + pseudo + UDP + udp_length) % 0xFFFF:
            return None
    return datagram[8:], source, source_port, destination
