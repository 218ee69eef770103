"""What the kernel says of interfaces: netdevice(7)."""

from __future__ import annotations

import fcntl
import os
import socket
from struct import Struct
from typing import Final

_REQUEST: Final = Struct("16sH6s16x")  # struct ifreq with a sockaddr: its family is a hardware type
_NUMBER: Final = Struct("16si20x")
_SIOCGIFHWADDR: Final = 0x8927  # linux/sockios.h
_SIOCGIFMTU: Final = 0x8921
_ETHERNET: Final = 1  # ARPHRD_ETHER
_USUAL: Final = 1500  # octets


def ethernets(without: str) -> list[str]:
    """Interfaces that packets may come by, but for one."""
    found = []
    for _, name in socket.if_nameindex():
        try:
            kind, _ = _hardware(name)
        except OSError:
            continue  # it has just gone
        if name != without and kind == _ETHERNET:
            found.append(name)
    return found


def mac_of(interface: str) -> int:
    """Raises `OSError`."""
    return int.from_bytes(_hardware(interface)[1], "big")


def mtu_of(interface: str) -> int:
    """Octets; the usual ones of an interface that is not there."""
    try:
        return int(_NUMBER.unpack(_asked(_SIOCGIFMTU, _NUMBER.pack(interface.encode(), 0)))[1])
    except OSError:
        return _USUAL


def has_driver(interface: str) -> bool:
    """Whether it is a network card, and not something that the kernel makes up."""
    return os.path.exists(f"/sys/class/net/{interface}/device")


def _hardware(interface: str) -> tuple[int, bytes]:
    answer = _asked(_SIOCGIFHWADDR, _REQUEST.pack(interface.encode(), 0, b""))
    _, kind, address = _REQUEST.unpack(answer)
    return kind, address


def _asked(what: int, request: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, what, request)
