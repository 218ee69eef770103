"""What a simulated router hears of real neighbours: CDP in the network namespace of its plane.

The routers of this process know one another without a frame (`network`); this is for the others.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from struct import Struct
from typing import Final

from hacc_agent.wire import WireError
from hacc_agent.wire.cdp import GROUP, SNAP, CdpAnnouncement, parse

ETH_P_802_2: Final = 0x0004  # linux/if_ether.h: frames with a length instead of a type
SOL_PACKET: Final = 263
PACKET_ADD_MEMBERSHIP: Final = 1
PACKET_MR_MULTICAST: Final = 0
MOST: Final = 64
"""Neighbours of one router that are remembered."""

_MEMBERSHIP: Final = Struct("=iHH8s")  # struct packet_mreq
_LENGTH: Final = slice(12, 14)
_HEADER: Final = 14

Heard = dict[tuple[str, str], tuple[CdpAnnouncement, float]]
"""By interface and name: what was said, and until when it is to be believed."""


def listen(
    cables: Mapping[str, str],
    heard: Heard,
    worker: ThreadPoolExecutor,
    clock: Callable[[], float],
    stack: ExitStack,
) -> None:
    """On each interface of the namespace, by the router's own name for it. Raises OSError.

    `worker` is a thread within the namespace.
    """
    loop = asyncio.get_running_loop()
    for name, interface in cables.items():
        opened = worker.submit(_open, name).result()
        stack.callback(opened.close)
        loop.add_reader(opened.fileno(), partial(_hear, opened, interface, heard, clock))
        stack.callback(loop.remove_reader, opened.fileno())


def _open(name: str) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    opened = socket.socket(socket.AF_PACKET, kind, 0)
    try:
        opened.bind((name, ETH_P_802_2))
        group = GROUP.to_bytes(6, "big")
        wanted = _MEMBERSHIP.pack(socket.if_nametoindex(name), PACKET_MR_MULTICAST, 6, group)
        opened.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, wanted)
    except OSError:
        opened.close()
        raise
    return opened


def _hear(opened: socket.socket, interface: str, heard: Heard, clock: Callable[[], float]) -> None:
    try:
        frame = opened.recv(2048)
    except OSError:
        return
    packet = frame[_HEADER : _HEADER + int.from_bytes(frame[_LENGTH], "big")]
    if not packet.startswith(SNAP):
        return
    try:
        said = parse(packet[len(SNAP) :])
    except WireError:
        return
    now = clock()
    for key in [key for key, (_, until) in heard.items() if until <= now]:
        del heard[key]
    key = interface, said.device_id
    if key in heard or len(heard) < MOST:
        heard[key] = said, now + said.hold_s
