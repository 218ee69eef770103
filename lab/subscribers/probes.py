"""Packets between a correspondent and mobile nodes, and what became of each of them.

    correspondent --probe--> member --tunnel--> Foreign Agent --> mobile node
    correspondent <--answer-- member <--tunnel-- controller <--tunnel-- Foreign Agent

A probe is a datagram to the home address, with a number of its own; the mobile node sends it back
as it is (RFC 862), through the reverse tunnel. The ledger is told when one leaves, when it is at
the mobile node, and when it is back: so a loss has a direction, and a node an outage.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final

import numpy as np

from .latencies import Latencies

ECHO: Final = 7
"""The port of mobile nodes that a probe goes to (RFC 862)."""

PROBE: Final = Struct("!4sII")
"""Payload: a mark, the run, the probe's number in it."""

MARK: Final = b"HACC"

_IP: Final = Struct("!BBHHHBBHII")  # RFC 791, without options
_PLAIN: Final = 0x45
_TTL: Final = 64  # RFC 1700
_UDP: Final = 17
_PORTS: Final = Struct("!HH")
_PAYLOAD_AT: Final = 20 + 8  # behind both headers


def probe(run: int, number: int) -> bytes:
    return PROBE.pack(MARK, run, number)


def number_of(payload: bytes, run: int) -> int | None:
    """Of a probe of this run."""
    if len(payload) != PROBE.size:
        return None
    mark, its_run, number = PROBE.unpack(payload)
    return number if (mark, its_run) == (MARK, run) else None


def opened(tunnelled: bytes) -> bytes:
    """The packet in an IP in IP packet (RFC 2003)."""
    return tunnelled[4 * (tunnelled[0] & 15) :] if tunnelled else b""


def destination_of(packet: bytes) -> int:
    """Of a probe in an IPv4 packet without options; 0: it is none."""
    if len(packet) < _PAYLOAD_AT or packet[0] != _PLAIN or packet[9] != _UDP:
        return 0
    return int.from_bytes(packet[16:20], "big") if _PORTS.unpack_from(packet, 20)[1] == ECHO else 0


def payload_of(packet: bytes) -> bytes:
    """Of the datagram in a packet of which `destination_of` knows the destination."""
    return packet[_PAYLOAD_AT:]


def answer(packet: bytes) -> bytes:
    """The same datagram from its receiver to its sender: its checksum is the same sum."""
    fields = _IP.unpack_from(packet)
    source, destination = fields[8:]
    header = (*fields[:5], _TTL, _UDP, 0, destination, source)
    total = sum(Struct("!10H").unpack(_IP.pack(*header)))
    total = (total & 0xFFFF) + (total >> 16)
    header = (*header[:7], ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF, *header[8:])
    from_port, to_port = _PORTS.unpack_from(packet, 20)
    return _IP.pack(*header) + _PORTS.pack(to_port, from_port) + packet[24:]


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the probes of a run. Times are in seconds."""

    sent: int
    back: int
    lost_there: int  # never at the mobile node
    lost_back: int  # not between it and the correspondent
    doubled: int  # anywhere on the way
    reordered: int  # back behind one that left later for the same node
    dead: tuple[int, ...]  # nodes that never answered
    gone: tuple[int, ...]  # nodes that did, and not any more: neither of their last two probes
    round_trips: Latencies
    outages: Latencies  # of each node that missed any but answered others: its longest one
    missed: tuple[tuple[int, float], ...]  # these nodes and their outages, the worst first

    @property
    def silent(self) -> int:
        """Nodes that never answered."""
        return len(self.dead)

    @property
    def longest(self) -> tuple[tuple[int, float], ...]:
        """The worst."""
        return self.missed[:WORST]

    def as_json(self, names: Callable[[int], str]) -> dict[str, Any]:
        return {
            "sent": self.sent,
            "answered": self.back,
            "lost": {"to_node": self.lost_there, "from_node": self.lost_back},
            "doubled": self.doubled,
            "reordered": self.reordered,
            "silent_nodes": self.silent,
            "round_trip_ms": self.round_trips.as_json(),
            "outages": {
                "nodes": self.outages.count,
                "ms": self.outages.as_json(),
                "longest": {names(node): round(1e3 * for_s, 1) for node, for_s in self.longest},
            },
        }

    def lines(self, names: Callable[[int], str]) -> list[str]:
        """For a person."""
        found = [
            f"{self.sent} packets to mobile nodes, {self.back} of them answered: "
            f"{self.lost_there} were lost on the way there, {self.lost_back} on the way back, "
            f"{self.doubled} came twice, {self.reordered} in another order",
        ]
        if self.round_trips.count:
            found.append(f"round trip in ms: {self.round_trips}")
        if self.outages.count:
            found.append(f"{self.outages.count} nodes had an outage, in ms: {self.outages}")
            worst = ", ".join(f"{names(node)} {1e3 * for_s:.0f}" for node, for_s in self.longest)
            found.append(f"the longest, in ms: {worst}")
        if self.silent:
            found.append(f"{self.silent} nodes never answered")
        return found


WORST: Final = 5
"""Nodes that are named."""


@dataclass(slots=True)
class Ledger:
    """Every probe of a run: 14 octets each."""

    run: int  # of 32 bits: what is left of another run is not ours
    _node: array[int] = field(default_factory=lambda: array("L"))
    _sent: array[float] = field(default_factory=lambda: array("d"))
    _there: bytearray = field(default_factory=bytearray)  # how often it was at the node
    _back: bytearray = field(default_factory=bytearray)
    _round_trips: Latencies = field(default_factory=Latencies)
    _latest: dict[int, int] = field(default_factory=dict)  # node -> its last probe that is back
    _reordered: int = 0

    @classmethod
    def known(cls, node: Any, sent: Any, there: Any, back: Any) -> Ledger:
        """Of probes whose ends are known already: arrays of one length, in the order of `sent`.

        `there`, `back`: how often each was at the node, and back.
        """
        came, went = (bytearray(each.astype(np.uint8).tobytes()) for each in (there, back))
        return cls(0, array("L", node.tolist()), array("d", sent.tolist()), came, went)

    def leaves(self, node: int, at: float) -> bytes:
        """The payload of the next probe."""
        self._node.append(node)
        self._sent.append(at)
        self._there.append(0)
        self._back.append(0)
        return probe(self.run, len(self._node) - 1)

    def is_there(self, payload: bytes) -> None:
        number = number_of(payload, self.run)
        if number is not None and number < len(self._there):
            self._there[number] = min(self._there[number] + 1, 255)

    def is_back(self, payload: bytes, at: float) -> None:
        number = number_of(payload, self.run)
        if number is None or number >= len(self._back):
            return
        if not self._back[number]:
            self._round_trips.add(at - self._sent[number])
            node = self._node[number]
            latest = self._latest.get(node, -1)
            self._reordered += number < latest
            self._latest[node] = max(number, latest)
        self._back[number] = min(self._back[number] + 1, 255)

    def answered_of_last(self, count: int) -> int:
        """How many of the probes that left last are back."""
        return len(self._back[-count:]) - self._back[-count:].count(0)

    def course(self, width: float) -> Iterator[tuple[float, int, int]]:
        """Of each piece of that many seconds: its begin, probes that left in it, those back."""
        sent = np.array(self._sent, np.float64)
        if not len(sent):
            return
        back = np.frombuffer(bytes(self._back), np.uint8) > 0
        pieces = ((sent - sent[0]) / width).astype(np.int64)
        left, came = np.bincount(pieces), np.bincount(pieces, weights=back)
        for number, (one, other) in enumerate(zip(left.tolist(), came.tolist(), strict=True)):
            yield float(sent[0]) + number * width, one, int(other)

    def found(self) -> Found:
        """When nothing is under way any more."""
        there, back = (np.frombuffer(bytes(each), np.uint8) for each in (self._there, self._back))
        node, sent = np.array(self._node, np.int64), np.array(self._sent, np.float64)
        outages = Latencies()
        missed, dead, gone = [], [], []
        order = np.argsort(node, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(node[order])) + 1) if len(node) else ():
            good = back[rows] > 0
            if not good.any():
                dead.append(int(node[rows[0]]))
            elif not good.all():
                missed.append((int(node[rows[0]]), _outage(sent[rows], good)))
                outages.add(missed[-1][1])
                if not good[-2:].any():
                    gone.append(missed[-1][0])
        missed.sort(key=lambda each: -each[1])
        return Found(
            sent=len(node),
            back=int(np.count_nonzero(back)),
            lost_there=int(np.count_nonzero((there == 0) & (back == 0))),
            lost_back=int(np.count_nonzero((there > 0) & (back == 0))),
            doubled=int(np.count_nonzero((there > 1) | (back > 1))),
            reordered=self._reordered,
            dead=tuple(dead),
            gone=tuple(gone),
            round_trips=self._round_trips,
            outages=outages,
            missed=tuple(missed),
        )


def _outage(sent: Any, good: Any) -> float:
    """The longest time without a packet that passes, at most: from one that did to the next.

    At the begin and at the end from, or to, one that did not.
    """
    longest = 0.0
    last = sent[0]
    missed = False
    for at, passed in zip(sent.tolist(), good.tolist(), strict=True):
        if passed:
            if missed:
                longest = max(longest, at - last)
            last, missed = at, False
        else:
            missed = True
    return max(longest, sent[-1] - last) if missed else longest
