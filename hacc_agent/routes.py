"""The prefixes that lead to this router, as routes of the kernel that a routing daemon announces.

A route of ours leads to the device of tunnels, where who is bound has one and who is not is told
so; without a data plane it is a blackhole. It bears a protocol number of its own, so that what was
left behind by a daemon which was killed is known for ours; zebra takes it for a kernel route, and
templates/linux/frr.conf.j2 redistributes those within the home networks. rtnetlink(7).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from struct import Struct
from typing import Final

from . import netlink
from .link import Say

PROTOCOL: Final = 178
"""In `ip route show proto 178`: Mobile IP's port modulo 256, and nobody's in linux/rtnetlink.h."""

# linux/rtnetlink.h
_ROUTE: Final = Struct("=BBBBBBBBI")  # family, bits of both, TOS, table, protocol, scope, type, -
_INDEX: Final = Struct("=I")
RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25
RTM_GETROUTE: Final = 26
RT_TABLE_MAIN: Final = 254
RTN_UNICAST: Final = 1
RTN_BLACKHOLE: Final = 6
RT_SCOPE_LINK: Final = 253
RTA_DST: Final = 1
RTA_OIF: Final = 4


class Routes:
    """Those of this router. What the kernel refuses is told, and does not end anything."""

    def __init__(self, say: Say, device: int = 0) -> None:
        """`device`: the index of the interface that has the tunnels; 0: there is none."""
        self._say = say
        self._device = device
        self._kernel = netlink.Requests()
        self._announced = frozenset(self._left_behind())

    def announce(self, prefixes: frozenset[IPv4Network]) -> None:
        """These and no others. New ones first: nobody is without a route in between."""
        for prefix in sorted(prefixes - self._announced):
            self._change(RTM_NEWROUTE, prefix, netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE)
        for prefix in sorted(self._announced - prefixes):
            self._change(RTM_DELROUTE, prefix)
        self._announced = prefixes

    def elsewhere(self, prefix: IPv4Network) -> bool:
        """Whether both its halves lead to other routers. (A single address in it may as well.)"""
        away = {
            found
            for found, protocol, route in self._routes()
            if route == RTN_UNICAST and protocol != PROTOCOL
        }
        return prefix.prefixlen < prefix.max_prefixlen and away.issuperset(prefix.subnets())

    def close(self) -> None:
        """Nothing leads here any more."""
        self.announce(frozenset())
        self._kernel.close()

    # ------------------------------------------------------------------ rtnetlink

    def _change(self, kind: int, prefix: IPv4Network, flags: int = 0) -> None:
        kind_of_route = RTN_UNICAST if self._device else RTN_BLACKHOLE
        scope = RT_SCOPE_LINK if self._device else 0
        route = _ROUTE.pack(
            *(socket.AF_INET, prefix.prefixlen, 0, 0),
            *(RT_TABLE_MAIN, PROTOCOL, scope, kind_of_route, 0),
        )
        body = route + netlink.attribute(RTA_DST, prefix.network_address.packed)
        if self._device:
            body += netlink.attribute(RTA_OIF, _INDEX.pack(self._device))
        try:
            self._kernel.change(kind, body, flags)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            self._say("the kernel refuses a route of ours", prefix=str(prefix), why=why)

    def _routes(self) -> Iterator[tuple[IPv4Network, int, int]]:
        """Prefix, protocol and type of all that stand in the main table."""
        everything = _ROUTE.pack(socket.AF_INET, *(0,) * 8)
        for kind, body in self._kernel.dump(RTM_GETROUTE, everything):
            _, length, _, _, table, protocol, _, route, _ = _ROUTE.unpack_from(body)
            if kind == RTM_NEWROUTE and table == RT_TABLE_MAIN:
                fields = dict(netlink.attributes(body, _ROUTE.size))
                address = IPv4Address(fields.get(RTA_DST, bytes(4)))
                yield IPv4Network((address, length)), protocol, route

    def _left_behind(self) -> Iterator[IPv4Network]:
        """Routes of ours that are there already."""
        for prefix, protocol, route in self._routes():
            if protocol == PROTOCOL and route in (RTN_BLACKHOLE, RTN_UNICAST):
                yield prefix


class NoRoutes:
    """Of a daemon that has no rights beyond sockets: what it announces stays in its status."""

    def announce(self, prefixes: frozenset[IPv4Network]) -> None:
        pass

    def elsewhere(self, prefix: IPv4Network) -> bool:  # noqa: ARG002  nobody can tell
        return False

    def close(self) -> None:
        pass
