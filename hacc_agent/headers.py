"""Ethernet, IPv4 and UDP headers as columns, and the arithmetic of their checksums.

RFC 791, 768, 1071 (the sum may be taken in any byte order and any width), 1624 (how a checksum
follows a change).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[Any]

FRONT: Final = np.dtype(  # what stands before the payload, so that the payload is aligned
    [
        ("_pad", "V4"),
        # struct virtio_net_hdr: what the kernel tells of a frame, and is told
        ("hints", "u1"),
        ("segmentation", "u1"),
        ("_header_length", "=u2"),
        ("segment", "=u2"),  # octets of each
        ("checksum_start", "=u2"),
        ("checksum_offset", "=u2"),
        # Ethernet
        ("to_high", ">u4"),
        ("to_low", ">u2"),
        ("from_high", ">u4"),
        ("from_low", ">u2"),
        ("type", ">u2"),
        # IPv4
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
        # UDP
        ("source_port", ">u2"),
        ("destination_port", ">u2"),
        ("udp_length", ">u2"),
        ("udp_checksum", ">u2"),
    ]
)
PAD: Final = 4
VIRTIO: Final = 10
ETHERNET: Final = 14
LAYERS: Final = 28  # octets of the IP and UDP headers
assert FRONT.itemsize == PAD + VIRTIO + ETHERNET + LAYERS
assert FRONT.itemsize % 8 == 0

CHECKSUM_TO_BE_MADE: Final = 1  # VIRTIO_NET_HDR_F_NEEDS_CSUM: its field holds the pseudo header's
CHECKSUM_HELD: Final = 2  # VIRTIO_NET_HDR_F_DATA_VALID
SEGMENTED_UDP: Final = 5  # VIRTIO_NET_HDR_GSO_UDP_L4
CHECKSUM_START: Final = ETHERNET + 20
CHECKSUM_OFFSET: Final = 6

ETHERTYPE_IP: Final = 0x0800
UDP: Final = 17
TIME_TO_LIVE: Final = 64  # the usual one
MAY_NOT_FRAGMENT: Final = 0x4000

_ONES: Final = 0xFFFF
_POSITIVE: Final = 16 * _ONES  # 0 in this arithmetic, and more than any difference that is added


def fold(sums: Columns) -> Columns:
    """Sums of fewer than 65536 words of 16 bits, with the carries added in again."""
    sums = (sums & _ONES) + (sums >> 16)
    return (sums & _ONES) + (sums >> 16)


def address_sum(addresses: Columns) -> Columns:
    """Each address's two words."""
    wide = addresses.astype(np.int64)
    found: Columns = (wide & _ONES) + (wide >> 16)
    return found


def ip_checksum(front: Columns) -> Columns:
    """Of headers without options, whatever their checksum fields hold."""
    at = (PAD + VIRTIO + ETHERNET) // 2
    words = front.view(np.dtype(">u2")).reshape(len(front), FRONT.itemsize // 2)
    sums = words[:, at : at + 10].sum(axis=1, dtype=np.int64) - words[:, at + 5]
    return ~fold(sums) & _ONES


def pseudo_sum(source: Columns, destination: Columns, udp_length: Columns) -> Columns:
    """Folded sum of the pseudo header: what the field holds when the kernel makes the checksum."""
    return fold(address_sum(source) + address_sum(destination) + udp_length + UDP)


def mend(checksum: Columns, change: Columns) -> Columns:
    """The checksum when the sum of the words that it covers has changed by this."""
    return ~fold((checksum.astype(np.int64) ^ _ONES) + change + _POSITIVE) & _ONES


def mend_udp(checksum: Columns, change: Columns) -> Columns:
    """The same where 0 means that there is no checksum."""
    mended = mend(checksum, change)
    mended[mended == 0] = _ONES
    mended[checksum == 0] = 0
    return mended


def holds(front: Columns, octets: Columns, length: Columns) -> Columns:
    """Whether each UDP checksum holds; no checksum holds. `length` is that of the payload."""
    width = int(-(-length.max() // 4)) if len(length) else 0
    words = octets[:, : width * 4].view(np.dtype("<u4"))
    whole, tail = length // 4, length % 4
    # The last word counts as far as the payload goes: its first octets are its low ones.
    mask = np.where(np.arange(width) < whole[:, None], np.uint32(0xFFFF_FFFF), np.uint32(0))
    rows = np.flatnonzero(tail)
    mask[rows, whole[rows]] = (1 << 8 * tail[rows]) - 1
    wide = (words & mask).sum(axis=1, dtype=np.int64)
    sums = fold(fold((wide & 0xFFFF_FFFF) + (wide >> 32)))
    swapped = (sums >> 8 | sums << 8) & _ONES
    udp_length = length + 8
    pseudo = pseudo_sum(front["source"], front["destination"], udp_length)
    ports = front["source_port"].astype(np.int64) + front["destination_port"] + udp_length
    total = fold(swapped + pseudo + ports + front["udp_checksum"])
    result: Columns = (total == _ONES) | (front["udp_checksum"] == 0)
    return result
