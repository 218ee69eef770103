"""Who is where on a LAN: the kernel's interfaces and neighbours, and every change of them.

The relay writes MAC addresses into frames itself, but the kernel does the asking (ARP), for both of
us: a datagram to a neighbour makes it ask, a gratuitous ARP after a takeover changes its entry, and
rtnetlink(7) tells us in the same moment.
"""

from __future__ import annotations

import contextlib
import socket
from struct import Struct
from typing import Final, NamedTuple

from .netlink import (
    BUFFER,
    NLM_F_DUMP,
    NLMSG_DONE,
    NLMSG_ERROR,
    attributes,
    message,
    messages,
)

# linux/rtnetlink.h, linux/neighbour.h, linux/if_link.h
_LINK: Final = Struct("=BxHiII")  # family, type, index, flags, change
_NEIGHBOUR: Final = Struct("=BxxxiHBB")  # family, index, state, flags, type

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWNEIGH: Final = 28
RTM_GETNEIGH: Final = 30
RTMGRP_LINK: Final = 0x1
RTMGRP_NEIGH: Final = 0x4
IFLA_ADDRESS: Final = 1
IFLA_IFNAME: Final = 3
NDA_DST: Final = 1
NDA_LLADDR: Final = 2
USABLE: Final = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80
"""NUD_REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT: the address may be sent to."""

DISCARD: Final = 9  # RFC 863


class Interface(NamedTuple):
    number: int  # its index; 0: it is not there
    mac: int


class Neighbours:
    """A mirror of what the kernel knows of some interfaces. Addresses are integers."""

    def __init__(self, interfaces: frozenset[str]) -> None:
        self._wanted = interfaces
        self._interfaces: dict[str, Interface] = {}
        self._names: dict[int, str] = {}
        self._macs: dict[tuple[str, int], int] = {}
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, RTMGRP_LINK | RTMGRP_NEIGH))
        self._asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._asking.setblocking(False)
        self._dump()
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def interface(self, name: str) -> Interface:
        return self._interfaces.get(name, Interface(0, 0))

    def mac(self, interface: str, address: int) -> int:
        """The last MAC address that was known of a neighbour, 0 when none ever was.

        A neighbour that stops answering keeps its entry here: frames to nobody hurt nobody, and
        whether a member lives is not for ARP to say.
        """
        return self._macs.get((interface, address), 0)

    def ask(self, address: int) -> None:
        """Makes the kernel find out, or make sure, where a neighbour is."""
        with contextlib.suppress(OSError):  # no route, no buffer: it is asked again
            self._asking.sendto(b"", (socket.inet_ntoa(address.to_bytes(4, "big")), DISCARD))

    def handle(self) -> bool:
        """Reads what has changed, when `fileno` is readable; whether an answer here did."""
        before = (dict(self._interfaces), dict(self._macs))
        while True:
            try:
                octets = self._socket.recv(BUFFER)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: changes came faster than they were read, some are lost
                self._socket.setblocking(True)
                self._dump()
                self._socket.setblocking(False)
                continue
            for kind, body in messages(octets):
                self._take(kind, body)
        return before != (self._interfaces, self._macs)

    def close(self) -> None:
        self._socket.close()
        self._asking.close()

    def _dump(self) -> None:
        for kind, fixed in (
            (RTM_GETLINK, bytes(_LINK.size)),
            (RTM_GETNEIGH, _NEIGHBOUR.pack(socket.AF_INET, 0, 0, 0, 0)),
        ):
            self._socket.send(message(kind, NLM_F_DUMP, fixed))
            done = False
            while not done:
                for found, body in messages(self._socket.recv(BUFFER)):
                    done |= found in (NLMSG_DONE, NLMSG_ERROR)
                    self._take(found, body)

    def _take(self, kind: int, body: bytes) -> None:
        if kind in (RTM_NEWLINK, RTM_DELLINK):
            family, _, index, _, _ = _LINK.unpack_from(body)
            fields = dict(attributes(body, _LINK.size))
            name = fields.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
            if name not in self._wanted or family != socket.AF_UNSPEC:  # others tell of a bridge
                return
            if kind == RTM_NEWLINK:
                mac = int.from_bytes(fields.get(IFLA_ADDRESS, b""), "big")
                self._interfaces[name] = Interface(index, mac)
                self._names[index] = name
            elif self._interfaces.get(name, Interface(0, 0)).number == index:
                del self._interfaces[name]
                self._names.pop(index, None)
        elif kind == RTM_NEWNEIGH:
            family, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
            fields = dict(attributes(body, _NEIGHBOUR.size))
            mac = int.from_bytes(fields.get(NDA_LLADDR, b""), "big")
            if family == socket.AF_INET and state & USABLE and mac and index in self._names:
                address = int.from_bytes(fields.get(NDA_DST, b""), "big")
                self._macs[self._names[index], address] = mac
