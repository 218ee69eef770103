"""Whole Ethernet frames on the LANs: a relay that nobody behind it can see (DESIGN, "frames").

A request leaves with only its MAC addresses changed: its source address and port stay, which the
Foreign Agent's authenticator, the NAT detection of RFC 3519 and the way of the reply depend on. A
member's reply comes to the virtual address from the member's own (requirement P7), or, from a stock
IOS member, through us on its way to the Foreign Agent, from the virtual address (H1); both leave
from the virtual address to who asked. Their checksums are *mended*, not made anew: what was damaged
before us stays damaged, and who gets it will see that.

The kernel gets a copy of each frame too. Guards keep it quiet: sockets on port 434 that drop all,
or it would tell the sender that the port is unreachable. A reply in transit it drops by itself,
since the reply's source is an address of ours. What has to go by routing, since the neighbour that
it came from was forgotten with a restart, leaves through the guards.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from . import bpf
from .config import AgentConfig, LanAddress, Role
from .datagrams import Sender, Traffic, open_socket
from .engine.batch import Replies
from .engine.effects import Endpoint
from .headers import CHECKSUM_TO_BE_MADE, address_sum, fold, mend, mend_udp
from .lan import LanRing, Made
from .logs import address_text
from .neighbours import Neighbours
from .transport import Ring, about, place_of

Columns = NDArray[Any]

LAN: Final = np.uint64(0xFFFF)  # of a link: the index of the LAN; the MAC address stands above
_SIXTEEN: Final = np.uint64(16)
_NO_CHANGE: Final = 4 * 0xFFFF  # of a sum: keeps a difference of addresses positive
ASK_AGAIN_S: Final = 30.0
"""s after which the kernel is made to see whether a neighbour is still where it was: as long as it
trusts an address that it uses itself (base_reachable_time_ms)."""


class Frames:
    """The LANs of a router, and the guards."""

    def __init__(self, config: AgentConfig) -> None:
        """Opens the sockets. Raises OSError: PermissionError without CAP_NET_RAW."""
        self._port = config.port
        self._virtual = int(config.home_agent_address)
        self._gateway: tuple[int, int] | None
        self._virtual_sum = (self._virtual & 0xFFFF) + (self._virtual >> 16)
        controller = config.role is Role.CONTROLLER
        self._interfaces = {lan.name: lan.interface for lan in config.lans}
        own = list(dict.fromkeys([self._virtual, *(int(lan.address.ip) for lan in config.lans)]))
        steps = bpf.messages(config.port, own, self._virtual if controller else None)
        self._place(config)
        self._lans: list[LanRing] = []
        self._guards: dict[int, Sender] = {}
        self._sockets: list[socket.socket] = []
        self.neighbours = Neighbours(frozenset(lan.interface for lan in config.lans))
        try:
            for index, lan in enumerate(config.lans):
                with about(f"interface {lan.interface}"):
                    self._lans.append(LanRing(index, lan.interface, steps))
                    if not self.neighbours.interface(lan.interface).number:
                        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            for address in own:
                with about(f"{address_text(address)}:{config.port} (UDP)"):
                    # The virtual address may come to this router later than we do.
                    guard = open_socket(address, config.port, foreign=address == self._virtual)
                self._sockets.append(guard)
                bpf.attach(guard, bpf.NOTHING)
                self._guards[address] = Sender(guard, Traffic())
            self._look()
        except BaseException:
            self.close()
            raise
        self.rings: tuple[Ring, ...] = tuple(self._lans)
        self._waiting: list[list[Made]] = [[] for _ in self._lans]
        self._rows: dict[LanRing, list[tuple[int, int]]] = {}  # and the members that they go to
        self._routed: dict[int, list[tuple[bytes, Endpoint]]] = {}
        self.unknown = 0  # datagrams for a neighbour whose MAC address nobody knows yet
        self._ask_at = 0.0

    # ------------------------------------------------------------------ who is where

    def _place(self, config: AgentConfig) -> None:
        """Who is sent to without having asked: members, and by a member the controllers' group."""
        names = [lan.name for lan in config.lans]
        if config.role is Role.CONTROLLER:
            self._gateway = None
            self._places = [place_of(member.addresses, names) for member in config.members]
        else:
            self._gateway = place_of(config.gateways, names)
            self._places = [self._gateway]

    def reconfigure(self, config: AgentConfig) -> None:
        self._place(config)
        self._look()
        self._ask_at = 0.0

    def known_as(self, addresses: Sequence[LanAddress]) -> frozenset[int]:
        """Its frames bear the MAC addresses of its interfaces."""
        macs = {
            self.neighbours.mac(self._interfaces[at.lan], int(at.address))
            for at in addresses
            if at.lan in self._interfaces
        }
        return frozenset(macs - {0})

    def watches(self) -> Iterator[tuple[int, Callable[[], None]]]:
        yield self.neighbours.fileno(), self._handle_neighbours

    def _handle_neighbours(self) -> None:
        if self.neighbours.handle():
            self._look()

    def _look(self) -> None:
        """Takes over what the kernel knows now. Raises OSError when an interface has gone."""
        for lan in self._lans:
            lan.attend(*self.neighbours.interface(lan.interface))
        self._lan_of = np.array([lan for lan, _ in self._places], np.uint16)
        self._mac_of = np.array(
            [self.neighbours.mac(self._lans[lan].interface, at) for lan, at in self._places],
            np.uint64,
        )

    def keep_house(self, steady: float) -> None:
        """Asks for neighbours: every second for those that are unknown, now and then for all."""
        everybody = steady >= self._ask_at
        if everybody:
            self._ask_at = steady + ASK_AGAIN_S
        for (_, address), mac in zip(self._places, self._mac_of, strict=True):
            if (everybody or not mac) and address:
                self.neighbours.ask(address)

    # ------------------------------------------------------------------ rows

    def relay_rows(self, ring: Ring, rows: Columns, member: Columns) -> None:
        assert isinstance(ring, LanRing)
        mac = self._mac_of[member]
        if not mac.all():
            known = np.flatnonzero(mac)
            self.unknown += len(rows) - len(known)
            rows, member, mac = rows[known], member[known], mac[known]
        self._send_rows(ring, rows, mac, self._lan_of[member])

    def answer_rows(
        self, ring: Ring, rows: Columns, address: Columns, port: Columns, link: Columns
    ) -> None:
        assert isinstance(ring, LanRing)
        if not link.all():
            routed = np.flatnonzero(link == 0)
            some = rows[routed]
            self._guards[self._virtual].send(
                ring.payload_at[some], ring.batch.length[some], address[routed], port[routed]
            )
            known = np.flatnonzero(link)
            rows, address, port, link = rows[known], address[known], port[known], link[known]
        field = ring.field
        addresses = address_sum(address) + self._virtual_sum
        addresses -= address_sum(ring.batch.address[rows])
        addresses -= address_sum(ring.destination[rows])
        ports = port.astype(np.int64) + self._port - ring.batch.port[rows]
        ports -= field["destination_port"][rows]
        before = field["udp_checksum"][rows]
        after = mend_udp(before, addresses + ports)
        unmade = np.flatnonzero(field["hints"][rows] & CHECKSUM_TO_BE_MADE)
        if len(unmade):
            begun = before[unmade].astype(np.int64) + addresses[unmade] + _NO_CHANGE
            after[unmade] = fold(begun)
        field["udp_checksum"][rows] = after
        field["source"][rows] = self._virtual
        field["destination"][rows] = address
        field["source_port"][rows] = self._port
        field["destination_port"][rows] = port
        field["checksum"][rows] = mend(field["checksum"][rows], addresses)
        self._send_rows(ring, rows, link >> _SIXTEEN, link & LAN)

    def reply_rows(self, ring: Ring, replies: Replies) -> None:
        assert isinstance(ring, LanRing)
        ring.address_rows(replies, self._port)
        link = ring.batch.link[replies.rows]
        self._send_rows(ring, replies.rows, link >> _SIXTEEN, link & LAN)

    def _send_rows(self, ring: LanRing, rows: Columns, mac: Columns, lan: Columns) -> None:
        if len(self._lans) == 1:
            self._lans[0].send_rows(ring, rows, mac)
            return
        for index, through in enumerate(self._lans):
            chosen = np.flatnonzero(lan == index)
            if len(chosen):
                through.send_rows(ring, rows[chosen], mac[chosen])

    # ------------------------------------------------------------------ one by one

    def relay(self, payload: bytes, source: Endpoint, member: int) -> None:
        for ring in self._lans:
            row = ring.row_of(payload, source)
            if row >= 0:  # the very frame leaves, not one that is like it
                self._rows.setdefault(ring, []).append((row, member))
                return
        mac = int(self._mac_of[member])
        if not mac:
            self.unknown += 1
            return
        made = Made(mac, source.address, source.port, self._virtual, self._port, payload)
        self._waiting[int(self._lan_of[member])].append(made)

    def send(self, payload: bytes, destination: Endpoint, source: int) -> None:
        address, port, link = destination
        lan, mac = link & int(LAN), link >> 16
        if not link and address == self._virtual and self._gateway is not None:
            # It is an address of this member too: routing would not get it off the machine.
            lan, mac = self._gateway[0], int(self._mac_of[0])
            if not mac:
                self.unknown += 1
                return
        if mac:
            made = Made(mac, source, self._port, address, port, payload)
            self._waiting[lan].append(made)
        else:
            self._routed.setdefault(source, []).append((payload, destination))

    def flush(self) -> None:
        if self._rows:
            waiting, self._rows = self._rows, {}
            for ring, rows in waiting.items():
                columns = np.array(rows)
                self.relay_rows(ring, columns[:, 0], columns[:, 1])
        for lan, made in zip(self._lans, self._waiting, strict=True):
            if made:
                lan.send_made(made)
                made.clear()
        if self._routed:
            routed, self._routed = self._routed, {}
            for source, datagrams in routed.items():
                self._guards.get(source, self._guards[self._virtual]).send_all(datagrams)

    # ------------------------------------------------------------------ how it goes

    def traffic(self) -> Iterator[tuple[str, Traffic]]:
        for lan in self._lans:
            yield lan.interface, lan.traffic
        for address, guard in self._guards.items():
            yield f"{address_text(address)}:{self._port}", guard.traffic

    def dropped(self) -> int:
        return sum(lan.dropped() for lan in self._lans)

    def close(self) -> None:
        self.neighbours.close()
        for lan in self._lans:
            lan.close()
        for guard in self._sockets:
            guard.close()
