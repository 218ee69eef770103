"""A member's plane: into tunnels and out of them (`dataplane.tunnels`)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import NamedTuple

from ...engine.record import Kind, Records, Row, Trait
from ...wire import MessageType
from ...wire.advertisement import checksum
from ..packet import (
    ETHERNET,
    GRE,
    HEADER,
    IPIP,
    IPV4,
    LATER,
    MINIMAL,
    MORE,
    ORIGINAL_SOURCE,
    UDP,
)
from ..plane import RowsOf
from ..tunnels import TTL, Reason
from ..tunnels import Kind as Tunnel
from .packets import (
    DONT_FRAGMENT,
    IN_GRE,
    PLAIN,
    UDP_HEADER,
    Fate,
    Ip,
    NotOurs,
    Unreadable,
    UserPlane,
    Verdict,
    for_us,
    header,
    in_gre,
    older,
)


class End(NamedTuple):
    """Of a tunnel."""

    address: int
    port: int
    kind: int

    def opens(self, outer: Ip, port: int) -> bool:
        """Whether a packet in a tunnel that comes from there is its mobile node's."""
        kinds = {Tunnel.MINIMAL: (MINIMAL, IPIP)}.get(Tunnel(self.kind), (self.kind,))
        return outer.protocol in kinds and (self.address, self.port) == (outer.source, port)


Hop = Callable[[int, int], bytes | None]
"""From a destination and a packet's length to both MAC addresses; none: the kernel sees to it."""


class UserTunnels(UserPlane):
    """A member's `plane.Plane` without a kernel."""

    def __init__(
        self,
        home_agent_address: IPv4Address,
        rows_of: RowsOf,
        hop: Hop,
        *,
        mtu: int,
        port: int = 434,
    ) -> None:
        """`mtu`: of the device that home addresses are routed to."""
        super().__init__(Reason)  # homes: ends of tunnels
        self._address, self._port, self._mtu = int(home_agent_address), port, mtu
        self._rows_of, self._hop = rows_of, hop

    # ------------------------------------------------------------------ what it is told

    def follow(self, records: Records) -> None:
        about = (records["kind"] == Kind.BINDING) | (records["kind"] == Kind.UNBOUND)
        for home in set(records["home_address"][about].tolist()) - {0}:
            self._homes.numbers[home] = tuple(_end(row) for row in self._rows_of(home)) or None
        self._homes.route(records)

    def lead(self, home: int) -> str | None:
        ends = self._homes.find(home) or ()
        return ", ".join(f"{Tunnel(e.kind).name} to {IPv4Address(e.address)}" for e in ends) or None

    # ------------------------------------------------------------------ into a tunnel

    def depart(self, frame: bytes, number: int) -> Fate:
        """What the kernel sends out by the device. `number`: the outer packet's Identification."""
        if frame[12:14] != IPV4.to_bytes(2, "big") or len(frame) < ETHERNET + HEADER:
            return Fate(Verdict.KERNEL, frame)
        ends = self._homes.find(int.from_bytes(frame[30:34], "big"))
        if ends is None:
            self._counting.count(Reason.UNBOUND, frame)
        if ends is None or len(ends) > 1:  # of several the device's other end makes the copies
            return Fate(Verdict.KERNEL, frame)
        return self._wrapped(frame, frame[ETHERNET:], ends[0], number)

    def _wrapped(self, frame: bytes, packet: bytes, end: End, number: int) -> Fate:
        inner = Ip.read(packet)
        kind = end.kind
        if kind == Tunnel.MINIMAL and (inner.first != PLAIN or inner.offset & (LATER | MORE)):
            kind = Tunnel.IP  # RFC 2004, 2
        outer = Ip(
            *(PLAIN, inner.service, inner.length, number, inner.offset & DONT_FRAGMENT),
            *(TTL, kind, 0, self._address, end.address),
        )
        between, rest = b"", packet
        if kind == Tunnel.GRE:
            between = IN_GRE.pack(0, IPV4)
        elif kind == Tunnel.UDP:
            length = inner.length + 12 & 0xFFFF
            between = UDP_HEADER.pack(self._port, end.port, length, 0)
            between += bytes((MessageType.TUNNEL_DATA, IPIP, 0, 0))
        elif kind == Tunnel.MINIMAL:
            between = forwarding(inner)
            outer = outer._replace(number=inner.number, ttl=inner.ttl)
            rest = packet[HEADER:]
        longer = len(between) + len(rest) - len(packet) + HEADER
        outer = outer._replace(length=inner.length + longer & 0xFFFF)
        made = frame[:ETHERNET] + outer.packed() + between + rest
        self._counting.count(Reason.ENCAPSULATED, made)
        addresses = self._hop(end.address, outer.length)
        return Fate(Verdict.SEND, made if addresses is None else addresses + made[12:])

    # ------------------------------------------------------------------ where frames arrive

    def arrive(self, frame: bytes, mac: int, number: int) -> Fate:
        """A frame that has arrived where `mac` is ours. `number`: as for `depart`."""
        try:
            outer = for_us(frame, mac)
            if outer.destination != self._address:
                return self._to_others(frame, outer, number)
            if outer.offset & (LATER | MORE):
                raise NotOurs
            source, packet, port = self._opened(frame[ETHERNET:], outer)
        except NotOurs:
            return Fate(Verdict.KERNEL, frame)
        except Unreadable:
            self._counting.count(Reason.UNREADABLE, frame)
            return Fate(Verdict.KERNEL, frame)
        ends = self._homes.find(source)
        if ends is None:
            self._counting.count(Reason.UNKNOWN, frame)
            return Fate(Verdict.DROP, frame)
        if not any(end.opens(outer, port) for end in ends):
            self._counting.count(Reason.SPOOFED, frame)
            return Fate(Verdict.DROP, frame)
        made = frame[:ETHERNET] + packet
        self._counting.count(Reason.DECAPSULATED, made)
        return Fate(Verdict.KERNEL, made)

    def _to_others(self, frame: bytes, outer: Ip, number: int) -> Fate:
        """The short way of ordinary packets to bound mobile nodes."""
        ends = self._homes.find(outer.destination)
        if (
            outer.first != PLAIN
            or len(frame) > ETHERNET + self._mtu
            or outer.ttl <= 1
            or ends is None
            or len(ends) > 1
        ):
            return Fate(Verdict.KERNEL, frame)
        return self._wrapped(frame, older(frame[ETHERNET:]), ends[0], number)

    def _opened(self, packet: bytes, outer: Ip) -> tuple[int, bytes, int]:
        """The packet in a tunnel, its source, and the port that the tunnel comes from, if any."""
        body, port = packet[outer.octets :], 0
        match outer.protocol:
            case protocol if protocol == IPIP:
                pass
            case protocol if protocol == GRE:
                body = in_gre(body)
            case protocol if protocol == MINIMAL:
                return (*self._from_minimal(packet, outer), 0)
            case protocol if protocol == UDP:
                if len(body) < 12:
                    raise NotOurs
                port, destination, *_ = UDP_HEADER.unpack_from(body)
                if destination != self._port or body[8] != MessageType.TUNNEL_DATA:
                    raise NotOurs
                if body[9] != IPIP:
                    raise Unreadable
                body = body[12:]
            case _:
                raise NotOurs
        inner = header(body, Unreadable)
        if outer.protocol == UDP and inner.destination == self._address:
            raise NotOurs  # a keepalive (RFC 3519, 4.9)
        return inner.source, body, port

    @staticmethod
    def _from_minimal(packet: bytes, outer: Ip) -> tuple[int, bytes]:
        body = packet[outer.octets :]
        if outer.octets != HEADER or len(body) < 8:
            raise Unreadable
        size = 12 if body[1] & ORIGINAL_SOURCE else 8
        if len(body) < size or checksum(body[:size]):
            raise Unreadable
        source = int.from_bytes(body[8:12], "big") if size == 12 else outer.source
        inner = outer._replace(
            length=outer.length - size & 0xFFFF,
            protocol=body[0],
            source=source,
            destination=int.from_bytes(body[4:8], "big"),
        )
        return source, inner.packed() + body[size:]


def forwarding(inner: Ip) -> bytes:
    """RFC 2004, 3.1: what the header lacks afterwards."""
    rest = inner.destination.to_bytes(4, "big") + inner.source.to_bytes(4, "big")
    head = bytes((inner.protocol, ORIGINAL_SOURCE))
    return head + checksum(head + bytes(2) + rest).to_bytes(2, "big") + rest


def _end(row: Row) -> End:
    if row.traits & Trait.UDP_TUNNEL:
        return End(row.source_address, row.source_port, Tunnel.UDP)
    return End(row.care_of_address, 0, row.tunnel)
