"""The NAIs of mobile nodes: octets once, a number of 64 bits everywhere else.

A record has room for a number, not for 253 octets. The number is the hash of the octets, keyed by
the cluster's seed, so that nobody outside can choose NAIs that collide. If two do all the same, the
second one gets the next free number: octets are compared at every search, and who has one number is
one subscriber. Both halves of a controller's pair know the same numbers, as NAME records carry
number and octets before the first record that refers to them.

A name lives while rows refer to it, in whichever table of the log. When the last one goes, it is
kept for a while, for the records under way that still mean it: the oldest such name goes when a
bounded number of them is reached.

The hash is multilinear over words of 32 bits, modulo 2**64, of which the high half counts; two of
them side by side make 64 bits. Two given NAIs collide with a probability of 2**-64 over the seeds
(strongly universal: Lemire and Kaser, "Strongly universal string hashing is fast", 2014).
"""

from __future__ import annotations

from operator import mul
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .arrays import LIVE, MOST, NAME_COUNTERS, OLDEST, RETIRED, TOUCHED, NameArrays
from .cells import TEXT, Cells, Full
from .index import Index
from .memory import key_stream, zeros
from .record import NAME_OCTETS, OCTETS, RECORD, Kind, Records, name_records

CELLS: Final = 2  # for each name, on average: 94 octets

_HALF: Final = 0xFFFFFFFF
_WORDS: Final = tuple(Struct(f"<{count}I") for count in range(65))  # of 32 bits
_RECORD: Final = np.dtype(
    {
        "names": ["kind", "part", "length", "number", "text"],
        "formats": ["u1", "u1", "<u2", "<u8", f"V{NAME_OCTETS}"],
        "offsets": [0, 1, 2, 8, 16],
        "itemsize": OCTETS,
    }
)


class UnknownName(Exception):
    """A record refers to a name that no NAME record has introduced: the log has a hole."""


class NameConflict(Exception):
    """A NAME record gives a number that a name in use has, or that is of another seed."""


class Names:
    """At most `capacity` names; of those that nobody refers to, about the last `recent` ones stay.

    A cell's state is the number of rows that refer to its name; or, when there are none, its place
    in the ring of recent ones, as -1 - place.
    """

    def __init__(self, capacity: int, recent: int, seed: int) -> None:
        keys = key_stream(seed, 2 * 65)
        self._keys: Final = tuple(a | b << 128 for a, b in zip(keys[:65], keys[65:], strict=True))
        pairs = np.array(keys, np.uint64).reshape(2, 65)
        self.capacity: Final = capacity
        counters = zeros(NAME_COUNTERS, "<i8")
        self._counters: Final = counters.data
        self._counters[MOST] = capacity
        self._cells: Final = Cells(CELLS * capacity, counters)
        self._index: Final = Index(capacity)
        self._recent: Final = zeros(recent, "<u4")  # a ring of what went out of use
        self.arrays: Final = NameArrays(
            self._cells.words,
            self._cells.words.view(np.int32),
            self._cells.unused,
            self._index.arrays,
            self._recent,
            counters,
            pairs,
            np.zeros(6 * NAME_OCTETS, np.uint8),
        )
        self._begun: tuple[int, bytes] = (0, b"")  # a name of several records, so far

    @property
    def cells(self) -> int:
        """The highest number that a name's first cell can have."""
        return self._cells.capacity

    @property
    def allocated(self) -> int:
        return self._cells.allocated + self._index.allocated + int(self._recent.nbytes)

    def expect(self, count: int) -> None:
        """About so many will be learned: their memory is taken, if there are none yet."""
        if count and not self._counters[TOUCHED]:
            self._cells.populate(count)
            self._index.populate()

    @property
    def awaits_more(self) -> bool:
        """A name of several records is not whole yet."""
        return bool(self._begun[0])

    # ------------------------------------------------------------------ one name

    def hash_nai(self, nai: bytes) -> int:
        """The keyed hash: never 0, nor is its high half."""
        form = _WORDS[(len(nai) + 3) // 4]
        words = form.unpack(nai.ljust(form.size, b"\0"))
        both: int = sum(map(mul, words, self._keys), self._keys[64] * len(nai))
        return (both >> 32 & _HALF or 1) << 32 | both >> 160 & _HALF

    def find(self, nai: bytes) -> int:
        """Its cell, 0 without one."""
        return self._find(nai, self.hash_nai(nai))

    def numbered(self, number: int) -> int:
        """The cell of the name with this number, 0 without one."""
        tag = number >> 32
        for cell in self._index.candidates(tag, tag):
            if self._cells.number[cell] == number:
                return cell
        return 0

    def number(self, cell: int) -> int:
        return int(self._cells.number[cell])

    def octets(self, cell: int) -> bytes:
        return self._cells.octets(cell)

    def intern(self, nai: bytes) -> int:
        """Its cell, a new one if need be. Who puts a row with it holds it."""
        hashed = self.hash_nai(nai)
        return self._find(nai, hashed) or self._add(nai, self._unused(hashed))

    def introduce(self, nai: bytes) -> tuple[int, bytes]:
        """The number that stands for an NAI in records, and the NAME records to be logged first.

        There are none if a row refers to the name already: then the log has them.
        """
        cell = self.intern(nai)
        number = self.number(cell)
        return number, b"" if self._cells.state[cell] > 0 else name_records(nai, number)

    def hold(self, cell: int) -> None:
        """One row more refers to it."""
        self._cells.state[cell] = max(int(self._cells.state[cell]), 0) + 1

    def release(self, cell: int) -> None:
        """One row less."""
        self._cells.state[cell] -= 1
        if not self._cells.state[cell]:
            self._retire_one(cell)

    def learn(self, record: bytes) -> None:
        """A NAME record; the parts of a long name come one after the other."""
        part = record[1]
        length = int.from_bytes(record[2:4], "little")
        number = int.from_bytes(record[8:16], "little")
        text = record[16:]
        if part:
            begun, before = self._begun
            if begun != number or len(before) != part * NAME_OCTETS:
                raise NameConflict(f"part {part} of name {number:#x} follows nothing")
            text = before + text
        if len(text) < length:
            self._begun = (number, text)
        else:
            self._begun = (0, b"")
            self._learn(number, text[:length])

    def _find(self, nai: bytes, hashed: int) -> int:
        tag = hashed >> 32
        for cell in self._index.candidates(tag, tag):
            if self.octets(cell) == nai:
                return cell
        return 0

    def _learn(self, number: int, nai: bytes) -> None:
        hashed = self.hash_nai(nai)
        if number >> 32 != hashed >> 32:
            raise NameConflict(f"name {number:#x} was numbered with another seed")
        same, other = self._find(nai, hashed), self.numbered(number)
        if same and same == other:
            return
        for cell in {same, other} - {0}:
            # Where the record comes from it is gone; here it is still among the recent ones.
            if self._cells.state[cell] > 0:
                raise NameConflict(f"name {number:#x} is in use for other octets")
            self._remove(cell)
        self._add(nai, number)

    def _unused(self, hashed: int) -> int:
        number = hashed
        while self.numbered(number):
            number = hashed >> 32 << 32 | (number + 1) & _HALF
        return number

    def _add(self, nai: bytes, number: int) -> int:
        self._make_room(1, -(-len(nai) // TEXT) or 1)
        self._counters[LIVE] += 1
        cell = self._cells.store(nai, number)
        self._index.add(number >> 32, number >> 32, cell)
        self._retire_one(cell)
        return cell

    # ------------------------------------------------------------------ many names

    def numbered_batch(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """The cell of each number, 0 where there is none; u4."""

        def equal(which: NDArray[Any], cells: NDArray[Any]) -> NDArray[Any]:
            same: NDArray[Any] = self._cells.number[cells] == numbers.take(which)
            return same

        tags = _tags(numbers)
        return self._index.find_batch(tags, tags, equal)

    def records(self, cells: NDArray[Any]) -> Records:
        """The NAME records of names."""
        lengths = self._cells.lengths(cells)
        counts = np.maximum(-(-lengths // NAME_OCTETS), 1)
        blocks = [np.zeros(0, RECORD)]
        for count in np.unique(counts).tolist():
            some = cells[counts == count]
            parts = -(-count * NAME_OCTETS // TEXT)
            block = np.zeros((len(some), count), _RECORD)
            block["kind"] = Kind.NAME
            block["part"] = np.arange(count)
            block["length"] = lengths[counts == count, None]
            block["number"] = self._cells.number[some][:, None]
            text = self._cells.texts(some, parts, count * NAME_OCTETS)
            block["text"] = np.ascontiguousarray(text).view(f"V{NAME_OCTETS}")
            blocks.append(block.reshape(-1).view(RECORD))
        return np.concatenate(blocks)

    # ------------------------------------------------------------------ the end of names

    def _make_room(self, names: int, cells: int) -> None:
        while self._counters[LIVE] + names > self.capacity or self._cells.room < cells:
            if self._counters[OLDEST] == self._counters[RETIRED]:
                raise Full(f"no room for another name: {self._counters[LIVE]} are in use")
            self._drop_oldest()

    def _retire_one(self, cell: int) -> None:
        """Nobody refers to it: it stays until about as many follow as the ring has places."""
        if self._counters[RETIRED] - self._counters[OLDEST] == len(self._recent):
            self._drop_oldest()
        place = self._counters[RETIRED] % len(self._recent)
        self._recent[place] = cell
        self._cells.state[cell] = -1 - place
        self._counters[RETIRED] += 1

    def _drop_oldest(self) -> None:
        """The name in the oldest place of the ring goes, unless it is in use again."""
        place = self._counters[OLDEST] % len(self._recent)
        self._counters[OLDEST] += 1
        cell = int(self._recent[place])
        if self._cells.state[cell] == -1 - place:
            self._remove(cell)

    def _remove(self, cell: int) -> None:
        tag = self.number(cell) >> 32
        self._index.remove(tag, tag, cell)
        self._cells.free(cell)
        self._counters[LIVE] -= 1


def _tags(numbers: NDArray[Any]) -> NDArray[Any]:
    """The high half: a bucket and a tag, the same for all numbers that one hash can become."""
    return (numbers >> np.uint64(32)).astype(np.uint32)
