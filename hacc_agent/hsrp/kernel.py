"""What an active group is to the kernel: an interface with the virtual MAC address, and addresses.

The virtual MAC is that of a macvlan on the group's interface, in bridge mode. In private mode the
kernel would take hellos of another router that claims the same MAC for our own, sent back by the
switch, and nobody would ever see two active routers (drivers/net/macvlan.c, macvlan_handle_frame).

A group may do without, with the interface's own MAC address (RFC 2281, 6.1: where it must be): the
addresses are then on that interface, and neighbours learn by gratuitous ARP who has them. So it is
on a controller, whose relay takes frames from the interface itself: those to a macvlan's address
are the macvlan's, and never seen there.

What goes with the group (a virtual Home Agent address on lo, routes to announce) comes after the
addresses, and leaves before them. All of it can be taken away by who knows the file alone: the
guard, and a service manager after all has died.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from struct import Struct
from typing import Final

from .. import netlink
from ..wire.hsrp import virtual_mac
from .config import Group, HsrpConfig

_LINK: Final = Struct("=BxHiII")  # family, type, index, flags, change
_ADDRESS: Final = Struct("=BBBBi")  # family, prefix length, flags, scope, index
_ROUTE: Final = Struct("=BBBBBBBBI")  # family, lengths, service, table, protocol, scope, type

_RTM_NEWLINK: Final = 16
_RTM_DELLINK: Final = 17
_RTM_GETLINK: Final = 18
_RTM_SETLINK: Final = 19
_RTM_NEWADDR: Final = 20
_RTM_DELADDR: Final = 21
_RTM_NEWROUTE: Final = 24
_RTM_DELROUTE: Final = 25
_IFLA_ADDRESS: Final = 1
_IFLA_IFNAME: Final = 3
_IFLA_LINK: Final = 5
_IFLA_LINKINFO: Final = 18
_IFLA_AF_SPEC: Final = 26
_IFLA_INFO_KIND: Final = 1
_IFLA_INFO_DATA: Final = 2
_IFLA_MACVLAN_MODE: Final = 1
_MACVLAN_BRIDGE: Final = 4
_IFLA_INET_CONF: Final = 1
_IFLA_INET6_ADDR_GEN_MODE: Final = 8
_ADDR_GEN_MODE_NONE: Final = 1
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_RTA_DST: Final = 1
_RT_TABLE_MAIN: Final = 254
_RTN_BLACKHOLE: Final = 6
_IFF_UP: Final = 1
_HOST: Final = 32

# linux/ip.h, IPV4_DEVCONF_*: what sysctl calls net.ipv4.conf.NAME.*
_SEND_REDIRECTS: Final = 6
_RP_FILTER: Final = 8
_ARP_ANNOUNCE: Final = 18
_ARP_IGNORE: Final = 19

PROTOCOL: Final = 85
"""Of our routes (rtm_protocol): none of those in /etc/iproute2/rt_protos. FRR: `redistribute
kernel` announces them."""

_OURS: Final = re.compile(r".{1,9}\.h\d{1,4}")
_CISCO: Final = b"\0\0\x0c"  # what virtual MAC addresses of both versions begin with
_GONE: Final = frozenset((errno.ENODEV, errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENXIO))


class Kernel:
    """Makes and takes away what active groups have. Raises OSError when the kernel refuses."""

    def __init__(self) -> None:
        self._requests = netlink.Requests()
        self._lo = socket.if_nametoindex("lo")

    def prepare(self, parent: int) -> None:
        """An interface below groups: in ARP it speaks of its own addresses alone, and sends no
        redirects.

        Else it would tell hosts of the real router behind the virtual one (RFC 2281, 6.3), and
        its ARP requests would take the virtual address along as their sender's.
        """
        self._settings(parent, {_ARP_ANNOUNCE: 2, _ARP_IGNORE: 1, _SEND_REDIRECTS: 0})

    def own(self, group: Group, parent: int, addresses: Iterable[IPv4Address]) -> None:
        """Take the virtual MAC and all that goes with it."""
        if group.own_mac:
            for address in addresses:
                self._add_address(parent, address)
        else:
            self._own_virtual(group, parent, addresses)
        for address in group.follows:
            self._add_address(self._lo, address)
        for network in group.announces:
            body = _route(network)
            self._requests.change(_RTM_NEWROUTE, body, netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE)

    def _own_virtual(self, group: Group, parent: int, addresses: Iterable[IPv4Address]) -> None:
        name = group.virtual_interface
        mac = virtual_mac(group.version, group.group).to_bytes(6, "big")
        mode = netlink.number(_IFLA_MACVLAN_MODE, _MACVLAN_BRIDGE)
        self._delete_link(name)  # of a speaker that was killed, with its guard
        self._requests.change(
            _RTM_NEWLINK,
            _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            + netlink.number(_IFLA_LINK, parent)
            + netlink.attribute(_IFLA_IFNAME, name.encode() + b"\0")
            + netlink.attribute(_IFLA_ADDRESS, mac)
            + netlink.nest(
                _IFLA_LINKINFO,
                netlink.attribute(_IFLA_INFO_KIND, b"macvlan"),
                netlink.nest(_IFLA_INFO_DATA, mode),
            ),
            netlink.NLM_F_CREATE | netlink.NLM_F_EXCL,
        )
        index = socket.if_nametoindex(name)
        # What comes to the virtual MAC came from hosts that are routed to by the interface below.
        values = {_ARP_IGNORE: 1, _SEND_REDIRECTS: 0, _RP_FILTER: 2}
        self._settings(index, values, *_no_link_local())
        for address in addresses:
            self._add_address(index, address)
        self._requests.change(
            _RTM_NEWLINK, _LINK.pack(socket.AF_UNSPEC, 0, index, _IFF_UP, _IFF_UP)
        )

    def release(self, group: Group) -> None:
        """Give all of it up, whatever of it is there."""
        for network in group.announces:
            with _nothing_there():
                self._requests.change(_RTM_DELROUTE, _route(network))
        for address in group.follows:
            with _nothing_there():
                self._requests.change(_RTM_DELADDR, _address(self._lo, address))
        if not group.own_mac:
            self._delete_link(group.virtual_interface)
        elif group.address is not None:
            with _nothing_there():
                parent = socket.if_nametoindex(group.interface)
                for address in (group.address, *group.secondaries):
                    with _nothing_there():
                        self._requests.change(_RTM_DELADDR, _address(parent, address))

    def sweep(self, config: HsrpConfig) -> list[str]:
        """Take away what any speaker has left here, whichever groups it had; what was there."""
        left = [*self._ours()]
        for group in config.groups:
            self.release(group)
        for name in left:
            self._delete_link(name)
        return left

    def close(self) -> None:
        self._requests.close()

    def _ours(self) -> Iterator[str]:
        """Interfaces that are named as ours are, and have the MAC address of a group."""
        for _, body in self._requests.dump(_RTM_GETLINK, bytes(_LINK.size)):
            fields = dict(netlink.attributes(body, _LINK.size))
            name = fields.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
            if _OURS.fullmatch(name) and fields.get(_IFLA_ADDRESS, b"")[:3] == _CISCO:
                yield name

    def _delete_link(self, name: str) -> None:
        with _nothing_there():
            self._requests.change(
                _RTM_DELLINK,
                _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
                + netlink.attribute(_IFLA_IFNAME, name.encode() + b"\0"),
            )

    def _add_address(self, index: int, address: IPv4Address) -> None:
        self._requests.change(
            _RTM_NEWADDR, _address(index, address), netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE
        )

    def _settings(self, index: int, values: dict[int, int], *more: bytes) -> None:
        """By the interface's own door: /proc/sys is read-only for a well-confined service."""
        conf = [netlink.number(kind, value) for kind, value in values.items()]
        inet = netlink.nest(socket.AF_INET, netlink.nest(_IFLA_INET_CONF, *conf))
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)
        self._requests.change(_RTM_SETLINK, body + netlink.nest(_IFLA_AF_SPEC, inet, *more))


def _address(index: int, address: IPv4Address) -> bytes:
    return (
        _ADDRESS.pack(socket.AF_INET, _HOST, 0, 0, index)
        + netlink.attribute(_IFA_LOCAL, address.packed)
        + netlink.attribute(_IFA_ADDRESS, address.packed)
    )


def _route(network: IPv4Network) -> bytes:
    fixed = _ROUTE.pack(
        socket.AF_INET, network.prefixlen, 0, 0, _RT_TABLE_MAIN, PROTOCOL, 0, _RTN_BLACKHOLE, 0
    )
    return fixed + netlink.attribute(_RTA_DST, network.network_address.packed)


@contextlib.contextmanager
def _nothing_there() -> Iterator[None]:
    """What is to be taken away may have gone by itself."""
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise


def _no_link_local() -> Iterator[bytes]:
    """A virtual MAC is no address to speak from by itself, where there is IPv6 at all."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM):
        mode = netlink.attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes((_ADDR_GEN_MODE_NONE,)))
        yield netlink.nest(socket.AF_INET6, mode)
