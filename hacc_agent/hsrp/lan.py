"""Hellos and gratuitous ARP on an interface: whole frames out, datagrams in.

What an active group says has to leave from its virtual MAC address and from the router's own IP
address, so that switches learn where the virtual router is (RFC 2281, 6.1): frames of our own
making do that without a route, an ARP entry, or the interface that carries the virtual MAC.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from struct import Struct
from typing import Final, NamedTuple

from ..wire import hsrp
from ..wire.advertisement import checksum

_ETHERNET: Final = Struct("!6s6sH")
_IP: Final = Struct("!BBHHHBBHII")
_UDP: Final = Struct("!HHHH")
_ARP: Final = Struct("!HHBBH6s4s6s4s")
_MEMBERSHIP: Final = Struct("=4s4si")  # struct ip_mreqn: group, address, interface

_TYPE_IP: Final = 0x0800
_TYPE_ARP: Final = 0x0806
_UDP_PROTOCOL: Final = 17
_VERSION_AND_WORDS: Final = 0x45
_INTERNETWORK_CONTROL: Final = 0xC0  # precedence 6, as routers send it
_ARP_REPLY: Final = 2
_BROADCAST: Final = b"\xff" * 6
_LARGEST: Final = 1500
_BATCH: Final = 64
"""Datagrams of one socket before the others get their turn."""


class Heard(NamedTuple):
    """A datagram for one of the groups' multicast addresses."""

    payload: bytes
    source: IPv4Address
    interface: str


class Lan:
    """An interface's sockets, for the versions that its groups speak."""

    def __init__(self, interface: str, index: int, versions: Iterable[int]) -> None:
        """Raises OSError: PermissionError without CAP_NET_RAW."""
        self.interface = interface
        self.index = index
        self.versions = set(versions)
        self.unsent = 0  # frames that the kernel refused
        with contextlib.ExitStack() as stack:
            self._out = stack.enter_context(_socket(socket.AF_PACKET, socket.SOCK_RAW))
            self._out.bind((interface, 0))  # protocol 0: it hears nothing
            self._in = [
                stack.enter_context(_listening(interface, index, version))
                for version in sorted(self.versions)
            ]
            self._stack = stack.pop_all()

    def filenos(self) -> list[int]:
        return [one.fileno() for one in self._in]

    def receive(self) -> Iterator[Heard]:
        """What waits."""
        for one in self._in:
            for _ in range(_BATCH):
                try:
                    payload, (address, _) = one.recvfrom(_LARGEST)
                except OSError:  # nothing more, or the interface has gone
                    break
                yield Heard(payload, IPv4Address(address), self.interface)

    def send(self, payload: bytes, version: int, mac: int, source: IPv4Address) -> None:
        """A message of a group, from this MAC and IP address."""
        group = hsrp.GROUPS[version]
        udp = _UDP.pack(hsrp.PORT, hsrp.PORT, _UDP.size + len(payload), 0) + payload
        pseudo = source.packed + group.packed + Struct("!HH").pack(_UDP_PROTOCOL, len(udp))
        sealed = checksum(pseudo + udp) or 0xFFFF
        udp = udp[:6] + sealed.to_bytes(2, "big") + udp[8:]
        header = _IP.pack(
            _VERSION_AND_WORDS, _INTERNETWORK_CONTROL, _IP.size + len(udp), 0, 0, hsrp.TTL,
            _UDP_PROTOCOL, 0, int(source), int(group),
        )  # fmt: skip
        header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
        # RFC 1112, 6.4: the low 23 bits of the group
        multicast = (0x01005E000000 | int(group) & 0x7FFFFF).to_bytes(6, "big")
        self._send(_ETHERNET.pack(multicast, mac.to_bytes(6, "big"), _TYPE_IP) + header + udp)

    def announce(self, addresses: Iterable[IPv4Address], mac: int) -> None:
        """Gratuitous ARP: a reply to everybody that nobody asked for (RFC 2281, 5.6, action I).

        Its target is its sender, hardware address too: Linux takes a reply for gratuitous only
        then (arp_is_garp), and else believes it a second after the last change at the earliest.
        """
        own = mac.to_bytes(6, "big")
        for address in addresses:
            found = _ARP.pack(
                1, _TYPE_IP, 6, 4, _ARP_REPLY, own, address.packed, own, address.packed
            )
            self._send(_ETHERNET.pack(_BROADCAST, own, _TYPE_ARP) + found)

    def close(self) -> None:
        self._stack.close()

    def _send(self, frame: bytes) -> None:
        try:
            self._out.send(frame)
        except OSError:  # it is down, or has no room: the next hello comes
            self.unsent += 1


def _socket(family: int, kind: int) -> socket.socket:
    return socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)


@contextlib.contextmanager
def _listening(interface: str, index: int, version: int) -> Iterator[socket.socket]:
    """Bound to the multicast address: what somebody sends to one of our own is not for us."""
    group = hsrp.GROUPS[version]
    with _socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        one.bind((str(group), hsrp.PORT))
        membership = _MEMBERSHIP.pack(group.packed, bytes(4), index)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        yield one
