"""Frames: the one form in which changes of the table are written to disk and sent to a standby.

    magic  crc  format  kind  -  length  history  sequence  durable  steady | payload

A group of records that were decided on together is one frame, and a frame is whole or it is not
there: its checksum covers all that stands behind it. Groups are numbered without a gap. Numbers
alone do not tell who is ahead: a router that crashed may give a number again that its standby has
already seen in another group. So each run of the program draws a `history`, and only a pair
(history, sequence) names a group.

A state is BEGIN, then STATE and CHANGES in any mixture, then COMPLETE; CHANGES go on behind it. The
rows of a live table are taken block by block while it changes: what changed before a block was
taken stands before it, what changes later behind it, so applying all of it in order ends at the
same table, and at no moment has more rows than the original had.

Whoever reads has to tell three things apart, since they call for three different acts: octets that
are *missing* (a torn write: what was never acknowledged is dropped), octets that are *wrong* (a
damaged disk: nothing is trusted, resynchronise), and a format that is *newer* (do not touch).
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from .record import OCTETS

MAGIC: Final = b"HACC"
FORMAT: Final = 1
HEADER: Final = Struct("<4sIBBHIQQQd")
CHECKSUM: Final = Struct("<I")
COVERED: Final = Struct("<BBHIQQQd")  # what of the header stands behind the checksum
UNCOVERED: Final = HEADER.size - COVERED.size
COUNT: Final = Struct("<Q")  # payload of COMPLETE: records in STATE frames; of DIGEST

LONGEST: Final = 1 << 20
"""Octets of a payload: 16384 records. What claims more is damage; what has more is divided."""


class FrameKind(enum.IntEnum):
    """What a frame carries. The first five are on disk and on links, the others on links alone.

    The last five are between controllers and members (`memberlink`).
    """

    BEGIN = 1  # a state follows; payload: the cluster's name. Its sequence is the last one before
    STATE = 2  # records of the state
    CHANGES = 3  # a group of records; the only kind that is numbered anew
    COMPLETE = 4  # the state ends: how many records were in it
    KEPT = 5  # everything up to here is on the disk (in a file), or with the standby (on a link)
    HELLO = 6  # what is wanted, and from where on
    WELCOME = 7  # it will be given
    REFUSED = 8  # it will not: why, as text
    DIGEST = 9  # of the table right here
    BEAT = 10  # who sends it lives; a member's with its figures
    SERVE = 11  # the slots that a member serves from now on
    LACKS = 12  # slots that it serves and whose bindings it has not got
    KEEPS = 13  # slots that it does not serve and whose bindings it still has
    RELEASE = 14  # a state follows, like BEGIN, of what it is to give up


OF_RECORDS: Final = frozenset({FrameKind.STATE, FrameKind.CHANGES})
OF_A_NUMBER: Final = frozenset({FrameKind.COMPLETE, FrameKind.DIGEST})


class Position(NamedTuple):
    """A place in the log: behind this group."""

    history: int
    sequence: int


START: Final = Position(0, 0)


class Frame(NamedTuple):
    """A frame that is whole. Views go with their buffer: copy what has to outlive it."""

    kind: int
    history: int
    sequence: int
    durable: int  # all groups up to this one were on the writer's disk when this was written
    steady: float  # s, of the writer's steady clock
    payload: memoryview
    whole: memoryview  # the frame as it was read

    @property
    def octets(self) -> int:
        """Of the whole frame."""
        return len(self.whole)

    @property
    def position(self) -> Position:
        return Position(self.history, self.sequence)


class FrameError(ValueError):
    """What stands there is no frame that can be used."""


class Damaged(FrameError):
    """Octets are wrong."""


class Newer(FrameError):
    """A newer version of the program wrote it."""

    def __init__(self, version: int) -> None:
        super().__init__(f"format {version}, and this program reads up to format {FORMAT}")
        self.version = version


def encode(
    kind: FrameKind,
    position: Position,
    payload: bytes | memoryview = b"",
    *,
    steady: float = 0.0,
    durable: int = 0,
) -> bytes:
    """The octets of a frame."""
    if len(payload) > LONGEST:
        raise ValueError(f"{len(payload)} octets do not fit in a frame")
    covered = COVERED.pack(FORMAT, kind, 0, len(payload), *position, durable, steady)
    checksum = CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(covered)))
    return b"".join((MAGIC, checksum, covered, payload))


def decode(buffer: memoryview, at: int = 0) -> Frame | None:
    """The frame at an octet of a buffer, or None when more octets are needed to tell.

    Raises `Damaged` and `Newer`.
    """
    left = len(buffer) - at
    if left < HEADER.size:
        if bytes(buffer[at : at + 4]) != MAGIC[:left]:
            raise Damaged("no frame begins here")
        return None
    magic, checksum, version, kind, _, length, history, sequence, durable, steady = (
        HEADER.unpack_from(buffer, at)
    )
    if magic != MAGIC:
        raise Damaged("no frame begins here")
    if version > FORMAT:
        raise Newer(version)
    if length > LONGEST:
        raise Damaged(f"a frame of {length} octets, and {LONGEST} is the longest")
    begin = at + HEADER.size
    end = begin + length
    if end > len(buffer):
        return None
    if zlib.crc32(buffer[at + UNCOVERED : end]) != checksum:
        raise Damaged("the checksum does not hold")
    if kind in OF_RECORDS:
        if length % OCTETS:
            raise Damaged(f"{length} octets are no whole number of records")
    elif kind in OF_A_NUMBER and length != COUNT.size:
        raise Damaged(f"{length} octets are no number")
    return Frame(kind, history, sequence, durable, steady, buffer[begin:end], buffer[at:end])


def count_of(frame: Frame) -> int:
    """The number that a COMPLETE or DIGEST frame carries."""
    number: int = COUNT.unpack(frame.payload)[0]
    return number


def stamp_of(frame: bytes) -> tuple[Position, float]:
    """The position that an encoded frame carries, and the steady time when it was made."""
    _, _, _, _, _, _, history, sequence, _, steady = HEADER.unpack_from(frame)
    return Position(history, sequence), steady


def portions(records: bytes | memoryview) -> Iterator[memoryview]:
    """Records in parts that fit in a frame each."""
    view = memoryview(records)
    if len(view) % OCTETS:
        raise ValueError(f"{len(view)} octets are no whole number of records")
    for at in range(0, len(view), LONGEST):
        yield view[at : at + LONGEST]


def frames_behind(buffer: memoryview, at: int) -> Iterator[Frame]:
    """Whatever is whole behind a place where something is not: is it the end, or a hole?"""
    octets = buffer.obj if isinstance(buffer.obj, bytes | bytearray) else bytes(buffer)
    while (at := octets.find(MAGIC, at)) >= 0:
        try:
            frame = decode(buffer, at)
        except FrameError:
            frame = None
        if frame is None:
            at += 1
        else:
            yield frame
            at += frame.octets
