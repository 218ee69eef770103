"""What a controller and a member say to each other: octets in, octets out, no socket and no clock.

    controller                                member
    BEAT  (clock, burden)          ------->                   every health.heartbeat_ms
                                   <-------   BEAT            the clock heard last, its figures
    SERVE 1  (epoch) slots         ------->                   whenever they are others; with each
                                                              the epoch in which it came there
                                   <-------   KEPT 1          it answers and announces just those
                                   <-------   LACKS, KEEPS    slots whose bindings it has not got,
                                                              or got before that epoch, and those
                                                              that it should not have
    BEGIN 2, STATE 3 ... COMPLETE  ------->                   bindings, 8 blocks ahead at most
                                   <-------   KEPT n          on its disk until here
    RELEASE n, STATE ... COMPLETE  ------->                   bindings to be given up, likewise

The controller dials: it is the one that wants to know, a refused connection tells it at once that
a daemon is dead whose host lives, and a member needs to know of no health but its own.

Orders are states, not changes: SERVE says all slots, on every new connection too, and the member
says itself what it lacks. So nothing has to be remembered of a transfer that was cut off by the
death of either end: whoever leads then is asked for what is missing.

An epoch says when a controller began to lead: ms of its steady clock, above all that it has heard
of. A member obeys the latest it knows of and tells it in every BEAT, so that a controller that was
overtaken hears of it wherever it still reaches one member.

A BEAT of a controller says how many bindings the most loaded member has: whoever may have to take
them over can get ready for so many.

A BEAT of a member is a sign of life only if it answers a recent one of ours: with a link that has
failed in one direction, one side would go on hearing the other.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple, Protocol

import numpy as np

from .engine.log import COUNT, Frame, FrameKind, Position, count_of, encode
from .engine.record import OCTETS
from .standby import Inbox, LinkBroken

BLOCK: Final = 4096 * OCTETS
"""Octets of a STATE frame: what a member applies and writes between two batches of packets."""

AHEAD: Final = 8
"""Blocks that are under way: 2 MiB, more than a LAN holds while one block is written."""

_VITALS: Final = Struct("<IfffH")
_BURDEN: Final = Struct("<I")
_SLOT: Final = np.dtype("<u2")
_DUTY: Final = np.dtype([("slot", "<u2"), ("since", "<u8")])
_TRANSFER: Final = frozenset(
    {FrameKind.BEGIN, FrameKind.RELEASE, FrameKind.STATE, FrameKind.COMPLETE}
)


class Vitals(NamedTuple):
    """What a member says of itself; NaN: it does not know."""

    bindings: int = 0
    cpu_percent: float = math.nan  # of the router's own share of the machine
    memory_free_percent: float = math.nan
    registrations_per_s: float = math.nan
    announced: int = 0  # prefixes


@dataclass(frozen=True, slots=True)
class Pulse:
    """A BEAT of a member, as its controller sees it."""

    vitals: Vitals
    epoch: int  # the latest that it knows of
    round_trip: float  # s since we said what it answers, its waiting for the next beat included


class _End:
    """What both ends have: frames in, beats and orders out."""

    def __init__(self, interval: float, patience: float, now: float) -> None:
        """s between beats, and s of silence after which the connection is given up."""
        self._interval, self._patience = interval, patience
        self._inbox = Inbox()
        self._ready: list[bytes] = []
        self._beat_at = now
        self._heard_at = now
        self.closing = False

    def receive(self, octets: bytes, now: float) -> None:
        """Raises `LinkBroken`."""
        self._heard_at = now
        for frame in self._inbox.frames(octets):
            self._frame(frame, now)

    def _frame(self, frame: Frame, now: float) -> None:
        raise NotImplementedError

    def _beat(self, now: float) -> bytes:
        raise NotImplementedError

    def take(self, now: float) -> bytes:
        """What is to be sent next; nothing, when all that there is was taken."""
        if now >= self._beat_at:
            # On the same ticks for all connections: one look at all of them serves them all.
            self._beat_at = (now // self._interval + 1) * self._interval
            if self._beat_at - now < self._interval / 2:
                self._beat_at += self._interval
            self._ready.insert(0, self._beat(now))
        octets = b"".join(self._ready)
        self._ready.clear()
        return octets

    def next_deadline(self) -> float:
        return min(self._beat_at, self._heard_at + self._patience)

    def silent(self, now: float) -> bool:
        return now >= self._heard_at + self._patience


class Watch(_End):
    """The controller's end."""

    def __init__(
        self,
        interval: float,
        patience: float,
        heard: Callable[[Pulse, float], None],
        bindings: Callable[[frozenset[int]], Iterator[bytes]],
        burden: Callable[[], int],
        kept: Callable[[], None],
        now: float,
    ) -> None:
        """`heard` is told of each sign of life, `kept` when it has done what it was told to.

        `bindings` are the records of slots, in blocks.
        """
        super().__init__(interval, patience, now)
        self._heard, self._bindings, self._burden = heard, bindings, burden
        self._told_kept = kept
        self._epoch = 0  # 0: this controller does not lead
        self._slots: Mapping[int, int] | None = None
        self._serving = 0  # the number of the last SERVE
        self._number = 0  # of the last order
        self._kept = 0  # orders that the member has done
        self._waiting: deque[tuple[FrameKind, frozenset[int], Iterator[bytes]]] = deque()
        self._blocks: Iterator[bytes] | None = None  # of the transfer under way
        self._records = 0  # of it, so far
        self._gone: deque[tuple[int, int]] = deque()  # COMPLETE of a transfer, and its records
        self.transferred = 0  # records that the member has done as they say, by transfers

    def serve(self, epoch: int, slots: Mapping[int, int]) -> None:
        """What the member serves, said by who leads since `epoch`. Once said it is not repeated.

        `slots`: with the epoch in which each came to it (`Slots.since`).
        """
        if (epoch, slots) != (self._epoch, self._slots):
            self.stand_back()  # the member says anew what it lacks
            self._epoch, self._slots = epoch, slots
            self._ready.append(self._order(FrameKind.SERVE, _duties(slots)))
            self._serving = self._number

    def retract(self, records: bytes) -> None:
        """It gives these bindings up, and no slot with them."""
        if self._slots is not None:
            self._waiting.append((FrameKind.RELEASE, frozenset(), iter((records,))))

    def stand_back(self) -> None:
        """This controller does not lead any more."""
        self._epoch, self._slots, self._blocks = 0, None, None
        self._waiting.clear()

    @property
    def obeyed(self) -> bool:
        """It serves what it was told to."""
        return self._slots is not None and self._kept >= self._serving

    @property
    def transferring(self) -> bool:
        """What it takes over, or gives up, is on its way."""
        return self._blocks is not None or bool(self._waiting or self._gone)

    def _order(self, kind: FrameKind, payload: bytes | memoryview = b"") -> bytes:
        self._number += 1
        return encode(kind, Position(self._epoch, self._number), payload)

    def _frame(self, frame: Frame, now: float) -> None:
        match frame.kind:
            case FrameKind.BEAT if len(frame.payload) == _VITALS.size:
                trip = now - frame.steady
                if trip <= self._patience:
                    told = Vitals._make(_VITALS.unpack(frame.payload))
                    self._heard(Pulse(told, frame.history, trip), now)
            case FrameKind.KEPT:
                self._kept = frame.sequence
                while self._gone and self._gone[0][0] <= self._kept:
                    self.transferred += self._gone.popleft()[1]
                if self.obeyed:
                    self._told_kept()
            case FrameKind.LACKS | FrameKind.KEEPS if len(frame.payload) % _SLOT.itemsize == 0:
                # To an earlier one: the answer to the latest SERVE is still to come.
                if self._slots is not None and frame.position == (self._epoch, self._serving):
                    lacks = frame.kind == FrameKind.LACKS
                    slots = _slots(frame.payload)
                    own = self._slots.keys()
                    slots = slots & own if lacks else slots - own
                    purpose = FrameKind.BEGIN if lacks else FrameKind.RELEASE
                    self._waiting.append((purpose, slots, self._bindings(slots)))
            case FrameKind.REFUSED:
                raise LinkBroken(bytes(frame.payload).decode(errors="replace"))
            case _:
                raise LinkBroken(f"it sends a frame of kind {frame.kind}")

    def take(self, now: float) -> bytes:
        if not self._ready and self._blocks is None and self._waiting:
            purpose, slots, self._blocks = self._waiting.popleft()
            self._ready.append(self._order(purpose, _octets(slots)))
            self._records = 0
        elif not self._ready and self._blocks is not None:
            self._fill(self._blocks)
        return super().take(now)

    def _fill(self, blocks: Iterator[bytes]) -> None:
        """The next block, when the member has done enough of those before."""
        if self._number - self._kept >= AHEAD:
            return
        block = next(blocks, None)
        if block is None:
            self._blocks = None
            count = COUNT.pack(self._records)
            self._ready.append(self._order(FrameKind.COMPLETE, count))
            self._gone.append((self._number, self._records))
            return
        for at in range(0, len(block), BLOCK):
            self._ready.append(self._order(FrameKind.STATE, memoryview(block)[at : at + BLOCK]))
        self._records += len(block) // OCTETS

    def _beat(self, now: float) -> bytes:
        burden = _BURDEN.pack(self._burden())
        return encode(FrameKind.BEAT, Position(self._epoch, 0), burden, steady=now)


class Charge(Protocol):
    """The member, at its end of each connection: `ward.Ward`."""

    @property
    def epoch(self) -> int:
        """The latest that it was told of."""
        ...

    def vitals(self) -> Vitals: ...

    def heard(self, controller: str, burden: int, now: float) -> None:
        """A controller lives; it may have to give us so many bindings."""

    def serve(self, controller: str, epoch: int, slots: Mapping[int, int]) -> bool:
        """Does so at once. False: it obeys another one by now."""
        ...

    @property
    def lacking(self) -> frozenset[int]:
        """Slots that it serves without their bindings, or with what they were."""
        ...

    @property
    def held(self) -> frozenset[int]:
        """Slots whose bindings it has."""
        ...

    def take_over(self, records: bytes, ahead: float) -> None:
        """Bindings of slots that it lacks: they are on its disk when this returns.

        `ahead`: s that its steady clock is ahead of the controller's, which the records go by.
        """

    def give_up(self, records: bytes) -> None:
        """Bindings that are another member's now."""

    def hold(self, slots: frozenset[int], held: bool) -> None:
        """It has got all bindings of these, or none any more."""


class Duty(_End):
    """The member's end."""

    def __init__(
        self, controller: str, interval: float, patience: float, ward: Charge, now: float
    ) -> None:
        super().__init__(interval, patience, now)
        self._controller, self._ward = controller, ward
        self._clock = -math.inf  # of the controller, as heard last
        self._ahead = 0.0  # s that our clock is ahead of it
        self._kept = 0
        self._obeys = False
        self._transfer: tuple[bool, frozenset[int]] | None = None  # does it take over, and what
        self._records = 0  # of it, so far

    def receive(self, octets: bytes, now: float) -> None:
        before = self._kept
        super().receive(octets, now)
        if self._kept != before:
            self._ready.append(encode(FrameKind.KEPT, Position(self._ward.epoch, self._kept)))

    def _frame(self, frame: Frame, now: float) -> None:
        match frame.kind:
            case FrameKind.BEAT if len(frame.payload) == _BURDEN.size:
                self._clock, self._ahead = frame.steady, now - frame.steady
                (burden,) = _BURDEN.unpack(frame.payload)
                self._ward.heard(self._controller, burden, now)
                return
            case FrameKind.SERVE if len(frame.payload) % _DUTY.itemsize == 0:
                self._serve(frame)
                return
            case _ if frame.kind in _TRANSFER and not self._current(frame):
                pass  # from who was overtaken while it was under way
            case FrameKind.BEGIN | FrameKind.RELEASE if len(frame.payload) % _SLOT.itemsize == 0:
                self._transfer = frame.kind == FrameKind.BEGIN, _slots(frame.payload)
                self._records = 0
            case FrameKind.STATE if self._transfer is not None:
                self._records += len(frame.payload) // OCTETS
                takes_over, _ = self._transfer
                if takes_over:
                    self._ward.take_over(bytes(frame.payload), self._ahead)
                else:
                    self._ward.give_up(bytes(frame.payload))
            case FrameKind.COMPLETE if self._transfer is not None:
                if count_of(frame) != self._records:
                    raise LinkBroken("a part of the bindings is missing")
                takes_over, slots = self._transfer
                self._transfer = None
                if slots:
                    self._ward.hold(slots, takes_over)
            case _:
                raise LinkBroken(f"it sends a frame of kind {frame.kind}")
        self._kept = frame.sequence

    def _current(self, frame: Frame) -> bool:
        return self._obeys and frame.history == self._ward.epoch

    def _serve(self, frame: Frame) -> None:
        slots = dict(np.frombuffer(frame.payload, _DUTY).tolist())
        self._transfer = None
        self._obeys = self._ward.serve(self._controller, frame.history, slots)
        if self._obeys:
            self._kept = frame.sequence
            for kind, differing in (
                (FrameKind.LACKS, self._ward.lacking),
                (FrameKind.KEEPS, self._ward.held - slots.keys()),
            ):
                if differing:
                    self._ready.append(encode(kind, frame.position, _octets(differing)))

    def _beat(self, now: float) -> bytes:  # noqa: ARG002  it answers with the controller's clock
        payload = _VITALS.pack(*self._ward.vitals())
        return encode(FrameKind.BEAT, Position(self._ward.epoch, 0), payload, steady=self._clock)


def _duties(slots: Mapping[int, int]) -> bytes:
    return np.array(sorted(slots.items()), _DUTY).tobytes()


def _octets(slots: frozenset[int]) -> bytes:
    return np.array(sorted(slots), _SLOT).tobytes()


def _slots(payload: memoryview) -> frozenset[int]:
    return frozenset(np.frombuffer(payload, _SLOT).tolist())
