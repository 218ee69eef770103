"""Ethernet, IPv4 and UDP headers as columns, and the arithmetic of their checksums.

RFC 791, 768, 1071 (the sum may be taken in any byte order and any width), 1624 (how a checksum
follows a change, equation 3).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[Any]

FRONT: Final = np.dtype(  # what stands before the payload, so that the payload is aligned
    [
        ("_pad", "V6"),
        ("to_high", ">u4"),
        ("to_low", ">u2"),
        ("from_high", ">u4"),
        ("from_low", ">u2"),
        ("type", ">u2"),
        ("version", "u1"),  # and header length: 0x45 without options
        ("service", "u1"),
        ("length", ">u2"),  # octets from the IP header on
        ("number", ">u2"),
        ("fragment", ">u2"),
        ("time_to_live", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("source", ">u4"),
        ("destination", ">u4"),
        ("source_port", ">u2"),
        ("destination_port", ">u2"),
        ("udp_length", ">u2"),
        ("udp_checksum", ">u2"),
    ]
)
PAD: Final = 6
ETHERNET: Final = 14
LAYERS: Final = 28  # octets of the IP and UDP headers
assert FRONT.itemsize == PAD + ETHERNET + LAYERS
assert FRONT.itemsize % 8 == 0

VIRTIO: Final = np.dtype(  # struct virtio_net_hdr
    [
        ("flags", "u1"),
        ("segmentation", "u1"),
        ("header_length", "=u2"),
        ("segment", "=u2"),  # octets of each
        ("checksum_start", "=u2"),
        ("checksum_offset", "=u2"),
    ]
)
CHECKSUM_TO_BE_MADE: Final = 1  # VIRTIO_NET_HDR_F_NEEDS_CSUM: its field holds the pseudo header's
CHECKSUM_HELD: Final = 2  # VIRTIO_NET_HDR_F_DATA_VALID
SEGMENTED_UDP: Final = 5  # VIRTIO_NET_HDR_GSO_UDP_L4
CHECKSUM_START: Final = ETHERNET + 20
CHECKSUM_OFFSET: Final = 6

ETHERTYPE_IP: Final = 0x0800
UDP: Final = 17
TIME_TO_LIVE: Final = 64  # RFC 1340's advice, still the usual one
MAY_NOT_FRAGMENT: Final = 0x4000


def fold(sums: Columns) -> Columns:
    """Sums of 16-bit words, with the carries added in again."""
    for _ in range(3):
        sums = (sums & 0xFFFF) + (sums >> 16)
    return sums


def ip_checksum(front: Columns) -> Columns:
    """Of headers without options, whatever their checksum fields hold."""
    words = front.view(np.dtype(">u2")).reshape(len(front), FRONT.itemsize // 2)
    sums = words[:, 10:20].sum(axis=1, dtype=np.int64) - words[:, 15]
    return ~fold(sums) & 0xFFFF


def pseudo_sum(source: Columns, destination: Columns, udp_length: Columns) -> Columns:
    """Folded sum of the pseudo header: what the field holds when the kernel makes the checksum."""
    source, destination = source.astype(np.int64), destination.astype(np.int64)
    sums = (source >> 16) + (source & 0xFFFF) + (destination >> 16) + (destination & 0xFFFF)
    return fold(sums + UDP + udp_length)


def mend(checksum: Columns, before: Columns, after: Columns) -> Columns:
    """The UDP checksum when words whose sum was `before` sum up to `after`. 0: it has none."""
    sums = (~checksum.astype(np.int64) & 0xFFFF) + (~fold(before) & 0xFFFF) + fold(after)
    mended = ~fold(sums) & 0xFFFF
    found: Columns = np.where(checksum == 0, 0, np.where(mended == 0, 0xFFFF, mended))
    return found


def changing_sum(front: Columns) -> Columns:
    """Sum of the words that a relay changes: addresses and ports."""
    source, destination = front["source"].astype(np.int64), front["destination"].astype(np.int64)
    found: Columns = (
        (source >> 16)
        + (source & 0xFFFF)
        + (destination >> 16)
        + (destination & 0xFFFF)
        + front["source_port"]
        + front["destination_port"]
    )
    return found


def holds(front: Columns, octets: Columns, length: Columns) -> Columns:
    """Whether each UDP checksum holds; no checksum holds. `length` is that of the payload."""
    width = int(-(-length.max() // 4)) if len(length) else 0
    words = octets[:, : width * 4].view(np.dtype("<u4"))
    whole, tail = length // 4, length % 4
    place = np.arange(width)
    # The last word counts as far as the payload goes: its first octets are its low ones.
    mask = np.where(place < whole[:, None], np.uint32(0xFFFF_FFFF), np.uint32(0))
    rows = np.flatnonzero(tail)
    mask[rows, whole[rows]] = (1 << 8 * tail[rows]) - 1
    sums = fold(fold((words & mask).sum(axis=1, dtype=np.uint64).astype(np.int64)))
    swapped = (sums >> 8 | sums << 8) & 0xFFFF
    udp_length = length + 8
    pseudo = pseudo_sum(front["source"], front["destination"], udp_length)
    ports = front["source_port"].astype(np.int64) + front["destination_port"] + udp_length
    total = fold(swapped + pseudo + ports + front["udp_checksum"])
    result: Columns = (total == 0xFFFF) | (front["udp_checksum"] == 0)
    return result
