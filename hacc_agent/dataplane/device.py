"""The device that home addresses are routed to: a TAP whose other end is this daemon.

What the kernel sends out there, the program at its egress puts into tunnels. What it leaves alone
(packets to home addresses without a binding, copies for simultaneous bindings) can be read here. It
outlives the daemon, so that packets go on while it starts again.

It has a link layer, though nobody asks for addresses on it: the kernel's `bpf_redirect_neigh` takes
packets with a MAC header alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from pathlib import Path
from struct import Struct
from typing import Final

NAME: Final = "hacc0"

_TUN: Final = "/dev/net/tun"
_REQUEST: Final = Struct("16sH22x")  # struct ifreq: a name and flags
_NUMBER: Final = Struct("16si20x")  # a name and a number
_TUNSETIFF: Final = 0x400454CA  # linux/if_tun.h
_TUNSETPERSIST: Final = 0x400454CB
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000
_SIOCGIFFLAGS: Final = 0x8913  # linux/sockios.h
_SIOCSIFFLAGS: Final = 0x8914
_SIOCSIFMTU: Final = 0x8922
_IFF_UP: Final = 0x1
_IFF_NOARP: Final = 0x80


class Device:
    """Made if it is not there. Raises `OSError`."""

    def __init__(self, mtu: int, name: str = NAME) -> None:
        self.name: Final = name
        self.descriptor: Final = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            wanted = _REQUEST.pack(name.encode(), _IFF_TAP | _IFF_NO_PI)
            fcntl.ioctl(self.descriptor, _TUNSETIFF, wanted)
            fcntl.ioctl(self.descriptor, _TUNSETPERSIST, 1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                self._set(any_socket, mtu)
        except OSError:
            os.close(self.descriptor)
            raise
        self.interface: Final = socket.if_nametoindex(name)
        # A packet that is too long for its tunnel's way comes back in here, from our own address,
        # to be cut. Where these are not ours to set, somebody has.
        for setting, value in (("accept_local", "1"), ("rp_filter", "0"), ("forwarding", "1")):
            with contextlib.suppress(OSError):
                Path(f"/proc/sys/net/ipv4/conf/{name}/{setting}").write_text(value)

    def _set(self, any_socket: socket.socket, mtu: int) -> None:
        name = self.name.encode()
        fcntl.ioctl(any_socket, _SIOCSIFMTU, _NUMBER.pack(name, mtu))
        found = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, _REQUEST.pack(name, 0))
        _, flags = _REQUEST.unpack(found)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _REQUEST.pack(name, flags | _IFF_UP | _IFF_NOARP))

    def fileno(self) -> int:
        return self.descriptor

    def read(self) -> bytes | None:
        """A frame that no program took; None when there is none."""
        try:
            return os.read(self.descriptor, 65_536)
        except BlockingIOError:
            return None

    def close(self) -> None:
        os.close(self.descriptor)
