"""The interfaces that groups are on, or watch: whether they work, and with which address."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface
from struct import Struct
from typing import Final, NamedTuple

from .. import netlink

_LINK: Final = Struct("=BxHiII")  # family, type, index, flags, change
_ADDRESS: Final = Struct("=BBBBi")  # family, prefix length, flags, scope, index

_RTM_NEWLINK: Final = 16
_RTM_GETLINK: Final = 18
_RTM_NEWADDR: Final = 20
_RTM_GETADDR: Final = 22
_GROUPS: Final = 0x1 | 0x10  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR
_IFLA_ADDRESS: Final = 1
_IFLA_IFNAME: Final = 3
_IFA_LOCAL: Final = 2
_WORKS: Final = 0x1 | 0x40  # IFF_UP, IFF_RUNNING: there is a carrier too
_SECONDARY: Final = 0x01  # IFA_F_SECONDARY
_HOST: Final = 32


class Link(NamedTuple):
    """An interface of this router."""

    number: int  # its index
    mac: int
    works: bool
    address: IPv4Interface | None  # the first one


class Links:
    """Looked at as a whole whenever the kernel says that something has changed."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.found: dict[str, Link] = {}
        self._asking = netlink.Requests()
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, _GROUPS))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def look(self) -> None:
        """Take over what the kernel knows now."""
        while True:
            try:
                self._socket.recv(netlink.BUFFER)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: some changes are lost, what is now is not
                continue
        addresses: dict[int, IPv4Interface] = {}
        fixed = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
        for kind, body in self._asking.dump(_RTM_GETADDR, fixed):
            _, length, flags, _, index = _ADDRESS.unpack_from(body)
            local = dict(netlink.attributes(body, _ADDRESS.size)).get(_IFA_LOCAL)
            # A virtual address beside the interface's own has no network of its own: /32.
            if kind == _RTM_NEWADDR and local and not flags & _SECONDARY and length < _HOST:
                found = IPv4Interface((IPv4Address(local), length))
                addresses.setdefault(index, found)
        links = {}
        for kind, body in self._asking.dump(_RTM_GETLINK, bytes(_LINK.size)):
            _, _, index, flags, _ = _LINK.unpack_from(body)
            fields = dict(netlink.attributes(body, _LINK.size))
            name = fields.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
            if kind == _RTM_NEWLINK and name in self.names:
                mac = int.from_bytes(fields.get(_IFLA_ADDRESS, b""), "big")
                works = flags & _WORKS == _WORKS
                links[name] = Link(index, mac, works, addresses.get(index))
        self.found = links

    def close(self) -> None:
        self._socket.close()
        self._asking.close()
