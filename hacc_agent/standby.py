"""What two routers say to each other about the log: octets in, octets out, no socket and no clock.

    standby                                   active
    HELLO  (history, 41) "follow"  ------->
                                   <-------   WELCOME        both know who the other is from TLS
        it still has 42 and on:    <-------   CHANGES 42, CHANGES 43 ...
        otherwise:                 <-------   BEGIN 57, STATE, CHANGES 58, STATE ... COMPLETE 60
    KEPT 60                        ------->                  and after every turn
                                   <-------   CHANGES 61 ...
                                   <-------   DIGEST 61      of the tables right there
                                   <-------   KEPT 61        every second in which nothing else was

There is one buffer for all who follow, `Recent`: it holds the latest groups up to a number of
octets, and a follower is a place in it. Who falls behind its beginning, be it slow or away, is
given the state anew; so no follower costs memory, and none makes the active wait.

"fetch" instead of "follow" asks for the state once: HELLO, WELCOME, BEGIN ... COMPLETE, the end.
"lead" says that the caller leads, and when it last had something to keep: who also leads and was
busy less recently gives way, so that a pair which was cut in two is one again soon after.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from .engine.log import (
    COUNT,
    START,
    Frame,
    FrameError,
    FrameKind,
    Position,
    count_of,
    decode,
    encode,
    portions,
    stamp_of,
)
from .engine.record import OCTETS

RETAINED: Final = 32 << 20  # octets of the latest groups: 5 s at 100,000 records a second
ALIVE: Final = 1.0  # s without a word, then one is said
SILENCE: Final = 5.0  # s without a word from the other side, then it is taken for gone
CHUNK: Final = 256 << 10  # octets made ready at a time; a block of state may be more


class Want(enum.StrEnum):
    """What a connection is for."""

    FOLLOW = "follow"
    FETCH = "fetch"
    LEAD = "lead"


class LinkBroken(Exception):
    """The other side says what it may not, or refuses. The connection is of no use any more."""


class Recent:
    """The latest groups of a log that this router writes: what a follower may still need."""

    def __init__(self, origin: Position, history: int, limit: int = RETAINED) -> None:
        """`origin` is where this history goes on from: who has exactly that lacks nothing."""
        self._origin, self._limit = origin, limit
        self._frames: deque[bytes] = deque()
        self._octets = 0
        self.position = Position(history, origin.sequence)
        self.steady = 0.0  # s, when the last group was made

    def append(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._octets += len(frame)
        self.position, self.steady = stamp_of(frame)
        while self._octets > self._limit:
            self._octets -= len(self._frames.popleft())

    def has_all_behind(self, position: Position) -> bool:
        """Whether a follower that is there can go on with groups alone."""
        known = position == self._origin or position.history == self.position.history
        return known and self._first <= position.sequence + 1 <= self.position.sequence + 1

    def behind(self, sequence: int) -> Iterator[bytes]:
        """The groups after this one; `has_all_behind` has to hold."""
        for index in range(sequence + 1 - self._first, len(self._frames)):
            yield self._frames[index]  # quick near both ends, and followers are near the end

    @property
    def _first(self) -> int:
        return self.position.sequence + 1 - len(self._frames)


class Inbox:
    """Octets of a connection, cut into frames."""

    def __init__(self) -> None:
        self._octets = b""

    def frames(self, octets: bytes) -> Iterator[Frame]:
        view = memoryview(self._octets + octets if self._octets else octets)
        at = 0
        try:
            while at < len(view) and (frame := decode(view, at)) is not None:
                at += frame.octets
                yield frame
        except FrameError as error:
            raise LinkBroken(f"what it sends is no frame of ours: {error}") from None
        finally:
            self._octets = bytes(view[at:])


class Feed:
    """The active's end of one connection."""

    def __init__(
        self,
        cluster: str,
        recent: Callable[[], Recent | None],
        snapshot: Callable[[], Iterator[bytes]],
        gives_way: Callable[[float], bool],
        now: float,
    ) -> None:
        """`recent` gives the log, or None while this router is not the one that writes it.

        `gives_way` is told that the caller leads, and since when it had nothing new to keep.
        """
        self._cluster, self._recent, self._snapshot = cluster, recent, snapshot
        self._gives_way = gives_way
        self._inbox = Inbox()
        self._want: Want | None = None
        self._log: Recent | None = None
        self._ready: list[bytes] = []
        self._blocks: Iterator[bytes] | None = None
        self._state_records = 0
        self._sent_at = self._heard_at = now
        self._sequence = 0  # of the last group that was handed over
        self.kept = START  # what the follower says that it has
        self.states = 0  # how many times it was given one
        self.closing = False  # nothing more will come: to be closed when everything is sent

    def receive(self, octets: bytes, now: float) -> None:
        """Raises `LinkBroken`."""
        self._heard_at = now
        for frame in self._inbox.frames(octets):
            match frame.kind:
                case FrameKind.HELLO if self._want is None:
                    self._hello(frame)
                case FrameKind.HELLO if self._log is not None:
                    self._begin(self._log)  # its tables are not what they should be
                case FrameKind.KEPT:
                    self.kept = frame.position
                case _:
                    raise LinkBroken(f"it sends a frame of kind {frame.kind}")

    def _hello(self, frame: Frame) -> None:
        try:
            self._want = Want(bytes(frame.payload).decode("ascii", "replace"))
        except ValueError:
            raise LinkBroken("it wants something unknown") from None
        log = self._recent()
        if self._want is Want.LEAD:
            self._end("" if self._gives_way(frame.steady) else "it leads, and was busy later")
            return
        if log is None:
            self._end("it does not lead")
            return
        self._log = log
        self._ready.append(encode(FrameKind.WELCOME, START))
        if self._want is Want.FOLLOW and log.has_all_behind(frame.position):
            self._sequence = frame.sequence
            self.kept = frame.position
        else:
            self._begin(log)

    def _end(self, refusal: str) -> None:
        kind = FrameKind.REFUSED if refusal else FrameKind.WELCOME
        self._ready.append(encode(kind, START, refusal.encode()))
        self.closing = True

    def _begin(self, log: Recent) -> None:
        self._ready.append(
            encode(FrameKind.BEGIN, log.position, self._cluster.encode(), steady=log.steady)
        )
        self._sequence = log.position.sequence
        self._blocks = self._snapshot()
        self._state_records = 0
        self.states += 1

    def take(self, now: float) -> bytes:
        """What is to be sent next; nothing, when all that there is was taken."""
        if self._log is not None and not self.closing:
            self._fill(self._log)
            if not self._ready and now >= self._sent_at + ALIVE:
                self._ready.append(encode(FrameKind.KEPT, self._position(self._log)))
        if not self._ready:
            return b""
        self._sent_at = now
        octets = b"".join(self._ready)
        self._ready.clear()
        return octets

    def _fill(self, log: Recent) -> None:
        """Groups first: a block stands behind every change before the moment of its taking."""
        octets = self._fill_groups(log)
        while self._blocks is not None and octets < CHUNK:
            block = next(self._blocks, None)
            if block is None:
                self._blocks = None
                count = COUNT.pack(self._state_records)
                self._ready.append(encode(FrameKind.COMPLETE, self._position(log), count))
                self.closing = self._want is Want.FETCH
                return
            for part in portions(block):
                self._ready.append(encode(FrameKind.STATE, self._position(log), part))
            self._state_records += len(block) // OCTETS
            octets += len(block)

    def _fill_groups(self, log: Recent) -> int:
        if not log.has_all_behind(self._position(log)):
            self._begin(log)
            return 0
        octets = 0
        for frame in log.behind(self._sequence):
            self._ready.append(frame)
            self._sequence += 1
            octets += len(frame)
            if octets >= CHUNK:
                break
        return octets

    def tell_digest(self, digest: int) -> None:
        """Of the tables as they are now; `caught_up` has to hold, so that it meets its place."""
        assert self._log is not None
        count = COUNT.pack(digest)
        self._ready.append(encode(FrameKind.DIGEST, self._position(self._log), count))

    def _position(self, log: Recent) -> Position:
        return Position(log.position.history, self._sequence)

    @property
    def caught_up(self) -> bool:
        """It follows, has a whole state, and everything there is was handed to the connection."""
        return (
            self.following
            and self._log is not None
            and self._blocks is None
            and self._sequence == self._log.position.sequence
        )

    @property
    def following(self) -> bool:
        return self._want is Want.FOLLOW

    def next_deadline(self) -> float:
        return min(self._sent_at + ALIVE, self._heard_at + SILENCE)

    def silent(self, now: float) -> bool:
        return now >= self._heard_at + SILENCE


class Claim:
    """The end of a connection that says who leads. Whether the other agrees, its REFUSED tells."""

    def __init__(self, busy: float, now: float) -> None:
        """`busy`: when this router last had something to keep, s of the steady clock."""
        self._inbox = Inbox()
        self._ready = encode(FrameKind.HELLO, START, Want.LEAD.encode(), steady=busy)
        self._began = now
        self.closing = False

    def receive(self, octets: bytes, now: float) -> None:  # noqa: ARG002  an end has no clock
        """Raises `LinkBroken`."""
        for frame in self._inbox.frames(octets):
            if frame.kind != FrameKind.WELCOME:
                raise LinkBroken(bytes(frame.payload).decode(errors="replace"))
            self.closing = True

    def take(self, now: float) -> bytes:  # noqa: ARG002  said once, at once
        octets, self._ready = self._ready, b""
        return octets

    def next_deadline(self) -> float:
        return self._began + SILENCE

    def silent(self, now: float) -> bool:
        return now >= self._began + SILENCE


class Copy(Protocol):
    """Where a state and what changes in it go to, at the end that asked for them."""

    def begin(self, frame: Frame, /) -> None:
        """A whole state will follow: what there was does not count any more."""

    def take(self, frame: Frame, /) -> None:
        """STATE or CHANGES."""

    def complete(self, frame: Frame, /) -> None: ...

    def commit(self) -> None:
        """All of it until here is kept when this returns: it will be confirmed."""

    def digest(self) -> int:
        """Of what there is now."""
        ...


class Follow:
    """The end of a connection that asked: a standby's, or that of who fetches."""

    def __init__(
        self, cluster: str, want: Want, copy: Copy, position: Position, now: float
    ) -> None:
        self._cluster, self._want, self._copy = cluster, want, copy
        self._inbox = Inbox()
        self._ready = [encode(FrameKind.HELLO, position, want.encode())]
        self._state_records: int | None = None  # while a state is received
        self.welcome = False  # the other end has agreed
        self._sent_at = self._heard_at = now
        self._behind = True  # something was received and not yet confirmed
        self.position = position  # START while the state is not whole
        self._place = position
        self.closing = False  # it has what it wanted
        self.differed = 0  # digests that were not ours

    def receive(self, octets: bytes, now: float) -> None:
        """Raises `LinkBroken`."""
        self._heard_at = now
        for frame in self._inbox.frames(octets):
            if not self.welcome and frame.kind not in (FrameKind.WELCOME, FrameKind.REFUSED):
                raise LinkBroken(f"its first frame is of kind {frame.kind}")
            self._take(frame)
        self._copy.commit()
        self._behind = True

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case FrameKind.WELCOME:
                self.welcome = True
            case FrameKind.REFUSED:
                raise LinkBroken(bytes(frame.payload).decode(errors="replace"))
            case FrameKind.BEGIN:
                if bytes(frame.payload) != self._cluster.encode():
                    raise LinkBroken("it is of another cluster")
                self._state_records = 0
                self.position = START
                self._place = frame.position
                self._copy.begin(frame)
            case FrameKind.STATE if self._state_records is not None:
                self._state_records += len(frame.payload) // OCTETS
                self._copy.take(frame)
            case FrameKind.CHANGES:
                if frame.sequence != self._place.sequence + 1:
                    raise LinkBroken(f"group {frame.sequence} follows {self._place.sequence}")
                self._place = frame.position
                self._copy.take(frame)
                if self._state_records is None:
                    self.position = frame.position
            case FrameKind.COMPLETE if self._state_records is not None:
                if count_of(frame) != self._state_records:
                    raise LinkBroken("a part of the state is missing")
                self._state_records = None
                self.position = frame.position
                self._copy.complete(frame)
                self.closing = self._want is Want.FETCH
            case FrameKind.DIGEST if self._state_records is None:
                if count_of(frame) != self._copy.digest():
                    self.differed += 1
                    self._ready.append(encode(FrameKind.HELLO, START, self._want.encode()))
            case FrameKind.KEPT:
                pass
            case _:
                raise LinkBroken(f"it sends a frame of kind {frame.kind}")

    def take(self, now: float) -> bytes:
        """What is to be sent."""
        if self.welcome and (self._behind or now >= self._sent_at + ALIVE):
            self._ready.append(encode(FrameKind.KEPT, self.position))
            self._behind = False
        if not self._ready:
            return b""
        self._sent_at = now
        octets = b"".join(self._ready)
        self._ready.clear()
        return octets

    @property
    def whole(self) -> bool:
        """Whether what was received so far is a state."""
        return self.welcome and self._state_records is None

    def next_deadline(self) -> float:
        return min(self._sent_at + ALIVE, self._heard_at + SILENCE)

    def silent(self, now: float) -> bool:
        return now >= self._heard_at + SILENCE
