"""One LAN: a packet socket whose frames are the rows of a ring, and leave from rings.

A frame is read as two pieces: the virtio header, which says whether the UDP checksum was verified
already, or not made yet since sender and receiver share a machine, with headers and payload up to
the width of a batch's row; and the rest, which only frames that go to the engine alone have.
"""

from __future__ import annotations

import socket
from struct import Struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import bpf, mmsg
from .datagrams import LONGEST, RING, WIDTH, Alone, Traffic, enlarge
from .engine.batch import Batch, Replies
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
PACKET_STATISTICS: Final = 6  # linux/if_packet.h
PACKET_VNET_HDR: Final = 15
LARGEST: Final = 66_000  # octets of a frame that the kernel has not cut yet, and more

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
        self.full = False
        self._places: dict[tuple[bytes, Endpoint], int] | None = {}
        # Protocol 0 hears nothing: the filter stands before the first frame comes.
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self.socket.setblocking(False)
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        bpf.attach(self.socket, steps)
        enlarge(self.socket)
        self._make_ring(RING)
        self._room(RING)

    def _make_ring(self, ring: int) -> None:
        self._rows = np.zeros((ring, FRONT.itemsize + WIDTH), np.uint8)
        self._rest = np.zeros((ring, LARGEST - WIDTH), np.uint8)  # memory that few ever touch
        self.front = self._rows[:, : FRONT.itemsize].view(FRONT)[:, 0]
        # Taking the view of a field costs as much as working on a small batch of it.
        self.field = {name: self.front[name] for name in FRONT.names or ()}
        at = mmsg.addresses_of(self._rows)
        self.frame_at = at + np.uint64(PAD)
        self.payload_at = at + np.uint64(FRONT.itemsize)
        pieces = self._received_pieces = np.zeros((ring, 2), mmsg.PIECE)
        pieces["base"] = np.stack((self.frame_at, mmsg.addresses_of(self._rest)), axis=1)
        pieces["length"] = FRONT.itemsize + WIDTH - PAD, self._rest.shape[1]
        self._headers = np.zeros(ring, mmsg.HEADER)
        self._headers["pieces"] = mmsg.addresses_of(pieces)
        self._headers["piece_count"] = 2
        self._headers_at = mmsg.address_of(self._headers)
        self._received = self._headers["length"]
        self.destination = np.zeros(ring, np.uint32)
        self.batch = Batch(
            octets=self._rows[:, FRONT.itemsize :],
            length=np.zeros(ring, np.int64),
            address=np.zeros(ring, np.uint32),
            port=np.zeros(ring, np.uint16),
            link=np.zeros(ring, np.uint64),
        )

    def _room(self, count: int) -> None:
        """Memory to send this many frames, of two pieces at most."""
        pieces = self._pieces = np.zeros((count, 2), mmsg.PIECE)
        self._base, self._length = pieces["base"], pieces["length"]
        self._sent_headers = np.zeros(count, mmsg.HEADER)
        self._sent_headers["pieces"] = mmsg.addresses_of(pieces)
        self._piece_count = self._sent_headers["piece_count"]
        self._sent_at = mmsg.address_of(self._sent_headers)

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
        self._places = None
        batch = self.batch
        count = mmsg.receive(self.socket.fileno(), self._headers_at, len(self._headers))
        batch.count = count
        self.full = count == len(self._headers)
        if not count:
            return False
        self.traffic.received += count
        field = self.field
        size = self._received[:count].astype(np.int64)
        size -= VIRTIO + ETHERNET
        length = field["length"][:count].astype(np.int64)
        payload = field["udp_length"][:count].astype(np.int64)
        payload -= 8
        ordinary = field["version"][:count] == 0x45
        ordinary &= field["fragment"][:count] & _FRAGMENT == 0
        ordinary &= length == payload + LAYERS
        ordinary &= (payload >= 0) & (payload <= WIDTH) & (size >= length)
        ordinary &= field["segmentation"][:count] == 0
        batch.length[:count] = payload
        batch.address[:count] = field["source"][:count]
        batch.port[:count] = field["source_port"][:count]
        self.destination[:count] = field["destination"][:count]
        link = field["from_high"][:count].astype(np.uint64)
        link <<= _SIXTEEN
        link |= field["from_low"][:count]
        link <<= _SIXTEEN
        link |= np.uint64(self._lan)
        batch.link[:count] = link
        unproven = ordinary & (field["hints"][:count] & _PROVEN == 0)
        unproven &= field["udp_checksum"][:count] != 0
        rows = np.flatnonzero(unproven)
        if len(rows):
            held = holds(self.front[rows], batch.octets[rows], batch.length[rows])
            ordinary[rows] = held
        if not ordinary.all():
            self._set_apart(ordinary, size + ETHERNET)
        return True

    def row_of(self, payload: bytes, source: Endpoint) -> int:
        """The row that holds this datagram now; -1: none does."""
        if self._places is None:
            batch = self.batch
            columns = (batch.length, batch.address, batch.port, batch.link)
            lists = (column[: batch.count].tolist() for column in columns)
            self._places = {
                (batch.octets[row, :length].tobytes(), Endpoint(*source)): row
                for row, (length, *source) in enumerate(zip(*lists, strict=True))
            }
        return self._places.get((payload, source), -1)

    def _set_apart(self, ordinary: Columns, size: Columns) -> None:
        """Takes rows that are out of the ordinary out of the batch; the rest closes up."""
        batch = self.batch
        for row in np.flatnonzero(~ordinary).tolist():
            self.alone += self._parts(row, int(size[row]))
        kept = np.flatnonzero(ordinary)
        batch.count = len(kept)
        for column in (
            self._rows,
            self.destination,
            batch.length,
            batch.address,
            batch.port,
            batch.link,
        ):
            column[: len(kept)] = column[kept]

    def _parts(self, row: int, size: int) -> list[Alone]:
        """The datagrams in a frame with options, a long one, or one that is still to be cut."""
        first = self._rows[row, PAD + VIRTIO :].tobytes()
        frame = (first + self._rest[row, : max(0, size - len(first))].tobytes())[:size]
        front = self.front[row]
        found = _payload(frame, proven=bool(front["hints"] & _PROVEN))
        if found is None:
            self.traffic.odd += 1
            return []
        payload, address, port, destination = found
        cut = front["segmentation"] & 0x7F == SEGMENTED_UDP and front["segment"]
        step = int(front["segment"]) if cut else max(len(payload), 1)
        parts = [payload[at : at + step] for at in range(0, max(len(payload), 1), step)]
        self.traffic.oversized += sum(len(part) > LONGEST for part in parts)
        source = Endpoint(address, port, int.from_bytes(frame[6:12], "big") << 16 | self._lan)
        return [Alone(part, source, destination) for part in parts if len(part) <= LONGEST]

    # ------------------------------------------------------------------ out

    def send_rows(self, ring: LanRing, rows: Columns, mac: Columns) -> None:
        """Rows of a ring, as they stand there, to these neighbours."""
        field = ring.field
        field["to_high"][rows] = mac >> _SIXTEEN
        field["to_low"][rows] = mac & _LOW_16
        field["from_high"][rows] = self.mac >> 16
        field["from_low"][rows] = self.mac & 0xFFFF
        count = len(rows)
        self._base[:count, 0] = ring.frame_at[rows]
        self._length[:count, 0] = ring.batch.length[rows] + (VIRTIO + ETHERNET + LAYERS)
        self._send(count, 1)

    def address_rows(self, replies: Replies, port: int) -> None:
        """Headers for rows over which a reply was written: a new datagram from this port of ours.

        Its checksum is the kernel's to make, or the network card's.
        """
        rows, address, its_port, source = replies
        length = self.batch.length[rows]
        field = self.field
        field["hints"][rows] = CHECKSUM_TO_BE_MADE
        field["checksum_start"][rows] = CHECKSUM_START
        field["checksum_offset"][rows] = CHECKSUM_OFFSET
        field["service"][rows] = field["number"][rows] = 0
        field["length"][rows] = length + LAYERS
        field["fragment"][rows] = MAY_NOT_FRAGMENT
        field["time_to_live"][rows] = TIME_TO_LIVE
        field["source"][rows] = source
        field["destination"][rows] = address
        field["source_port"][rows] = port
        field["destination_port"][rows] = its_port
        field["udp_length"][rows] = length + 8
        field["udp_checksum"][rows] = pseudo_sum(source, address, length + 8)
        field["checksum"][rows] = ip_checksum(self.front[rows])

    def send_made(self, made: list[Made]) -> None:
        """Datagrams of our own: their headers are made as columns, their checksums by the kernel,
        or by the network card.
        """
        count = len(made)
        if count > len(self._pieces):
            self._room(count)
        front = np.zeros(count, FRONT)
        length = np.array([len(each.payload) for each in made], np.int64)
        columns = np.array([each[:5] for each in made], np.int64)
        front["hints"] = CHECKSUM_TO_BE_MADE
        front["checksum_start"] = CHECKSUM_START
        front["checksum_offset"] = CHECKSUM_OFFSET
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
        front["udp_checksum"] = pseudo_sum(columns[:, 1], columns[:, 3], length + 8)
        front["checksum"] = ip_checksum(front)
        payloads = np.frombuffer(b"".join([each.payload for each in made]) or b"\0", np.uint8)
        self._base[:count, 0] = mmsg.addresses_of(front) + np.uint64(PAD)
        self._length[:count, 0] = FRONT.itemsize - PAD
        self._base[:count, 1] = mmsg.address_of(payloads) + np.cumsum(length) - length
        self._length[:count, 1] = length
        self._send(count, 2)

    def _send(self, count: int, pieces: int) -> None:
        self._piece_count[:count] = pieces
        at = 0
        while at < count:
            headers_at = self._sent_at + at * mmsg.HEADER.itemsize
            gone, code = mmsg.send(self.socket.fileno(), headers_at, count - at)
            self.traffic.sent += gone
            at += gone
            if code:
                self.traffic.unsent += 1
                self.traffic.last_error = code
                at += 1

    def dropped(self) -> int:
        """Frames that the kernel dropped since the socket's buffer was full, so far."""
        statistics = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size)
        self._dropped += _STATISTICS.unpack(statistics)[1]
        return self._dropped

    def close(self) -> None:
        self.socket.close()


_SIXTEEN, _LOW_16 = np.uint64(16), np.uint64(0xFFFF)
_FRAGMENT: Final = np.uint16(0xFFFF & ~MAY_NOT_FRAGMENT)
_PROVEN: Final = np.uint8(CHECKSUM_TO_BE_MADE | CHECKSUM_HELD)


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
