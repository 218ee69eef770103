"""A controller's plane: to a slot's member, unopened (`dataplane.relay`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...engine.record import Records
from ...wire import MessageType
from ..homes import ended, held
from ..packet import ETHERNET, GRE, ICMP, IPIP, LATER, MINIMAL, MORE, ORIGINAL_SOURCE, UDP
from ..plane import Counted, Neighbour, SlotOf
from ..relay import Reason, Unknown
from .packets import (
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

_ICMP_ERRORS: Final = (3, 4, 11, 12)
_INTO: Final = (IPIP, GRE, MINIMAL)  # what may be in UDP tunnel data
_FRAGMENTED: Final = (*_INTO, UDP, ICMP)


class UserRelay(UserPlane):
    """`plane.RelayPlane` without a kernel."""

    def __init__(
        self,
        home_agent_address: IPv4Address,
        slots: NDArray[Any],
        members: int,
        slot_of: SlotOf,
        *,
        port: int = 434,
        unknown: Unknown = Unknown.DROP,
    ) -> None:
        super().__init__(Reason)  # homes: slots
        self._address, self._port, self._unknown = int(home_agent_address), port, unknown
        self._slot_of = slot_of
        self._served = slots.astype(np.int64)
        self._places: list[Neighbour | None] = [None] * members
        self._fragments: dict[tuple[int, int, int, int], int] = {}  # slots
        self._carried: Counter[int] = Counter()
        self._carried_octets: Counter[int] = Counter()

    # ------------------------------------------------------------------ what it is told

    def follow(self, records: Records) -> None:
        for home, number in zip(*(column.tolist() for column in held(records)), strict=True):
            self._homes.numbers[home] = number - 1
        for home in ended(records):
            slot = self._slot_of(home)
            if slot is None:
                self._homes.numbers.pop(home, None)
            else:
                self._homes.numbers[home] = slot
        self._homes.route(records)

    def repoint(self, slots: Iterable[int], member: int) -> None:
        self._served[list(slots)] = member

    def reach(self, member: int, neighbour: Neighbour | None) -> None:
        self._places[member] = neighbour

    def carried(self) -> tuple[Counted, ...]:
        return tuple(
            Counted(str(member), self._carried[member], self._carried_octets[member])
            for member in range(len(self._places))
        )

    def lead(self, home: int) -> str | None:
        slot = self._homes.find(home)
        return None if slot is None else f"slot {slot}"

    # ------------------------------------------------------------------ what it does

    def forward(self, frame: bytes, mac: int) -> Fate:
        """A frame that has arrived where `mac` is ours."""
        try:
            outer = for_us(frame, mac)
            if outer.destination != self._address:
                return self._last_resort(frame, outer)
            if outer.offset & LATER:
                return self._fragment(frame, outer)
            address, reason = self._whose(frame[ETHERNET:], outer)
        except NotOurs:
            return Fate(Verdict.KERNEL, frame)
        except Unreadable:
            self._counting.count(Reason.UNREADABLE, frame)
            return Fate(Verdict.KERNEL, frame)
        slot = self._homes.find(address)
        if slot is None:
            return self._of_nobody(frame, address)
        self._counting.count(reason, frame)
        if outer.offset & MORE:
            self._fragments[_key(outer)] = slot
        return self._to(slot, frame)

    def _whose(self, packet: bytes, outer: Ip) -> tuple[int, Reason]:
        """The address that says it, and the counter."""
        body = packet[outer.octets :]
        if outer.protocol != ICMP:
            return self._inner(outer.protocol, body, outer, answered=False), Reason.TUNNELLED
        if body[:1] == b"" or body[0] not in _ICMP_ERRORS:
            raise NotOurs
        quoted = body[8:]
        sent = header(quoted, NotOurs)
        if sent.source != self._address:
            raise NotOurs
        found = self._inner(sent.protocol, quoted[sent.octets :], outer, answered=True)
        return found, Reason.ICMP_ERROR

    def _inner(self, protocol: int, body: bytes, outer: Ip, *, answered: bool) -> int:
        """Source of what is in a tunnel; of what a member has sent, and is quoted, destination."""
        if protocol == UDP:
            if len(body) < 12:
                raise NotOurs
            source, destination, *_ = UDP_HEADER.unpack_from(body)
            if (source if answered else destination) != self._port:
                raise NotOurs
            if body[8] != MessageType.TUNNEL_DATA:
                raise NotOurs
            protocol, body = body[9], body[12:]
            if protocol not in _INTO:
                raise Unreadable
        if protocol == MINIMAL:
            if len(body) < 8:
                raise Unreadable
            if answered:
                return int.from_bytes(body[4:8], "big")
            if not body[1] & ORIGINAL_SOURCE:
                return outer.source
            if len(body) < 12:
                raise Unreadable
            return int.from_bytes(body[8:12], "big")
        if protocol not in _INTO:
            raise NotOurs
        inner = header(in_gre(body) if protocol == GRE else body, Unreadable)
        return inner.destination if answered else inner.source

    def _fragment(self, frame: bytes, outer: Ip) -> Fate:
        if outer.protocol not in _FRAGMENTED:
            return Fate(Verdict.KERNEL, frame)
        slot = self._fragments.get(_key(outer))
        if slot is not None:
            self._counting.count(Reason.FRAGMENT, frame)
            return self._to(slot, frame)
        if outer.protocol in (UDP, ICMP):
            return Fate(Verdict.KERNEL, frame)
        self._counting.count(Reason.LOST_FRAGMENT, frame)
        return Fate(Verdict.DROP, frame)

    def _last_resort(self, frame: bytes, outer: Ip) -> Fate:
        slot = self._homes.find(outer.destination)
        if slot is None or outer.ttl <= 1:
            return Fate(Verdict.KERNEL, frame)
        self._counting.count(Reason.BY_DESTINATION, frame)
        return self._to(slot, frame[:ETHERNET] + older(frame[ETHERNET:]))

    def _of_nobody(self, frame: bytes, address: int) -> Fate:
        self._counting.count(Reason.UNKNOWN, frame)
        if self._unknown is Unknown.DROP:
            return Fate(Verdict.DROP, frame)
        return self._to((address & 0xFFFF) * len(self._served) >> 16, frame)

    def _to(self, slot: int, frame: bytes) -> Fate:
        member = int(self._served[slot])
        place = self._places[member]
        if place is None:
            self._counting.count(Reason.NO_MEMBER, frame)
            return Fate(Verdict.DROP, frame)
        self._carried[member] += 1
        self._carried_octets[member] += len(frame)
        addresses = place.mac.to_bytes(6, "big") + place.own_mac.to_bytes(6, "big")
        return Fate(Verdict.SEND, addresses + frame[12:])


def _key(outer: Ip) -> tuple[int, int, int, int]:
    return outer.source, outer.destination, outer.number, outer.protocol
