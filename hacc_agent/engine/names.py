"""The NAIs of mobile nodes: octets once, a number of 64 bits everywhere else.

A record has room for a number, not for 253 octets. The number is the hash of the octets, keyed by
the cluster's seed, so that nobody outside can choose NAIs that collide. If two do all the same, the
second one gets the next free number: octets are compared at every search, and who has one number is
one subscriber. Both halves of a controller's pair know the same numbers, as NAME records carry
number and octets before the first record that refers to them.

A name lives while rows refer to it, in whichever table of the log. When the last one goes, it is
kept for a while, for the records under way that still mean it: the oldest such name goes when a
bounded number of them is reached.

Octets lie in cells of 31, and the name's length in the last octet of a cell: what is compared first
is one run of 32 octets, which holds most names. A longer name is a chain of cells.

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

from .index import Index
from .memory import key_stream, zeros
from .record import NAME_OCTETS, OCTETS, name_records

LONGEST: Final = 253  # octets: what an extension holds (RFC 2794, 2: Length is one octet)

_TEXT: Final = 31  # octets of a name in a cell
_WORDS: Final = Struct("<64I")  # of 32 bits in the longest name, padded with zeros
_HEAD: Final = Struct("<32s")
CELL: Final = np.dtype(
    [
        ("text", f"V{_TEXT}"),
        ("length", "u1"),  # octets of the whole name
        ("number", "<u8"),  # of the first cell
        ("next", "<u4"),
        ("state", "<i4"),  # rows that refer to it; below zero: its place among the recent, minus 1
    ]
)
assert CELL.itemsize == 48


class Refused(Exception):
    """The table has no room for a row, and says so."""


class Full(Refused):
    """As many rows, or as many octets of names, as there is room for."""


class UnknownName(Exception):
    """A record refers to a name that no NAME record has introduced: the log has a hole."""


class NameConflict(Exception):
    """A NAME record gives a number that a name in use has, or that is of another seed."""


class Names:
    """At most `cells` cells; of names that nobody refers to, the last `recent` ones stay."""

    def __init__(self, cells: int, recent: int, seed: int) -> None:
        keys = key_stream(seed, 2 * 65)
        self._keys: Final = tuple(a | b << 128 for a, b in zip(keys[:65], keys[65:], strict=True))
        pairs = np.array(keys, np.uint64).reshape(2, 65)
        self._low: Final = np.ascontiguousarray(pairs[:, 0:64:2].T)
        self._high: Final = np.ascontiguousarray(pairs[:, 1:64:2].T)
        self._by_length: Final = pairs[:, 64]
        masks = np.arange(256)[:, None] > np.arange(256)[None, :]
        self._masks: Final = (masks * np.uint8(255)).view(np.uint64)
        self.capacity: Final = cells
        self._cells: Final = zeros(cells + 1, CELL)  # cell 0 is none
        self._octets: Final = self._cells.view(np.uint8).data
        self._heads: Final = self._cells.view(np.uint64).reshape(-1, 6)
        self.numbers: Final = self._cells["number"]
        self._next: Final = self._cells["next"]
        self._state: Final = self._cells["state"]
        self._index: Final = Index(cells)
        self._free: Final = zeros(cells, "<u4")
        self._freed = 0  # cells on the stack of free ones
        self._touched = 0  # cells that were ever used
        self._recent: Final = zeros(recent, "<u4")  # a ring of what went out of use
        self._retired = 0  # names that ever did
        self._oldest = 0  # the first of them that may be in the ring still
        self._begun: tuple[int, bytes] = (0, b"")  # a name of several records, so far

    @property
    def allocated(self) -> int:
        arrays = (self._cells, self._free, self._recent)
        return sum(int(array.nbytes) for array in arrays) + self._index.allocated

    # ------------------------------------------------------------------ one name

    def hash_nai(self, nai: bytes) -> int:
        """The keyed hash: never 0, nor is its high half."""
        words = _WORDS.unpack(nai.ljust(256, b"\0"))
        both: int = sum(
            map(mul, words[: (len(nai) + 3) // 4], self._keys), self._keys[64] * len(nai)
        )
        high = both >> 32 & 0xFFFFFFFF
        return (high or 1) << 32 | both >> 160 & 0xFFFFFFFF

    def find(self, nai: bytes) -> int:
        """Its cell, 0 without one."""
        return self._find(nai, self.hash_nai(nai))

    def _find(self, nai: bytes, hashed: int) -> int:
        tag = hashed >> 32
        for cell in self._index.candidates(tag, tag):
            if self.octets(cell) == nai:
                return cell
        return 0

    def numbered(self, number: int) -> int:
        """The cell of the name with this number, 0 without one."""
        tag = number >> 32
        for cell in self._index.candidates(tag, tag):
            if self.numbers[cell] == number:
                return cell
        return 0

    def octets(self, cell: int) -> bytes:
        at = cell * CELL.itemsize
        length = self._octets[at + _TEXT]
        if length <= _TEXT:
            return bytes(self._octets[at : at + length])
        parts = []
        while cell:
            at = cell * CELL.itemsize
            parts.append(self._octets[at : at + _TEXT])
            cell = int(self._next[cell])
        return b"".join(parts)[:length]

    def intern(self, nai: bytes) -> int:
        """Its cell, a new one if need be. Who puts a row with it holds it."""
        hashed = self.hash_nai(nai)
        return self._find(nai, hashed) or self._add(nai, self._unused(hashed))

    def introduce(self, nai: bytes) -> tuple[int, bytes]:
        """The number that stands for an NAI in records, and the NAME records to be logged first.

        There are none if a row refers to the name already: then the log has them.
        """
        cell = self.intern(nai)
        number = int(self.numbers[cell])
        return number, b"" if self._state[cell] > 0 else name_records(nai, number)

    def learn(self, records: bytes) -> None:
        """NAME records, of whole names or of parts that come one after the other."""
        for at in range(0, len(records), OCTETS):
            part = records[at + 1]
            length = int.from_bytes(records[at + 2 : at + 4], "little")
            number = int.from_bytes(records[at + 8 : at + 16], "little")
            text = records[at + 16 : at + 16 + NAME_OCTETS]
            begun, before = self._begun
            if part:
                if begun != number or len(before) != part * NAME_OCTETS:
                    raise NameConflict(f"part {part} of name {number:#x} follows nothing")
                text = before + text
            if len(text) < length:
                self._begun = (number, text)
            else:
                self._begun = (0, b"")
                self._learn(number, text[:length])

    def _learn(self, number: int, nai: bytes) -> None:
        hashed = self.hash_nai(nai)
        if number >> 32 != hashed >> 32:
            raise NameConflict(f"name {number:#x} was numbered with another seed")
        same, other = self._find(nai, hashed), self.numbered(number)
        if same and same == other:
            return
        for cell in {same, other} - {0}:
            # It went long ago where the record comes from; here it was among the recent ones.
            if self._state[cell] > 0:
                raise NameConflict(f"name {number:#x} is in use for other octets")
            self._remove(cell)
        self._add(nai, number)

    def hold(self, cell: int) -> None:
        """One row more refers to it."""
        self._state[cell] = max(int(self._state[cell]), 0) + 1

    def release(self, cell: int) -> None:
        """One row less."""
        self._state[cell] -= 1
        if not self._state[cell]:
            self._retire(cell)

    # ------------------------------------------------------------------ many names

    def hash_nais(
        self, octets: NDArray[Any], offset: NDArray[Any], length: NDArray[Any]
    ) -> NDArray[Any]:
        """`hash_nai` of the octets at an offset in each row of a matrix."""
        return self._hash(self._gather(octets, offset, length), length)

    def find_batch(
        self,
        hashes: NDArray[Any],
        octets: NDArray[Any],
        offset: NDArray[Any],
        length: NDArray[Any],
    ) -> NDArray[Any]:
        """The cell of each, 0 where there is none."""
        rows = [
            octets[n, o : o + k].tobytes()
            for n, (o, k) in enumerate(zip(offset, length, strict=True))
        ]
        return np.array(
            [self._find(nai, int(hashed)) for nai, hashed in zip(rows, hashes, strict=True)],
            np.uint32,
        )

    # ------------------------------------------------------------------ cells

    def _unused(self, hashed: int) -> int:
        number = hashed
        while self.numbered(number):
            number = hashed >> 32 << 32 | (number + 1) & 0xFFFFFFFF
        return number

    def _add(self, nai: bytes, number: int) -> int:
        parts = [nai[at : at + _TEXT] for at in range(0, max(len(nai), 1), _TEXT)]
        cells = self._take(len(parts))
        for cell, following, part in zip(cells, [*cells[1:], 0], parts, strict=True):
            at = cell * CELL.itemsize
            _HEAD.pack_into(self._octets, at, part.ljust(_TEXT, b"\0") + bytes([len(nai)]))
            self.numbers[cell] = number
            self._next[cell] = following
        self._index.add(number >> 32, number >> 32, cells[0])
        self._retire(cells[0])
        return cells[0]

    def _take(self, count: int) -> list[int]:
        while self._freed + self.capacity - self._touched < count:
            if not self._drop_oldest():
                raise Full(f"no room for another name: {self.capacity} cells are in use")
        cells = []
        for _ in range(count):
            if self._freed:
                self._freed -= 1
                cells.append(int(self._free[self._freed]))
            else:
                self._touched += 1
                cells.append(self._touched)
        return cells

    def _retire(self, cell: int) -> None:
        """Nobody refers to it: it stays until as many other names as the ring has places follow."""
        if self._retired - self._oldest == len(self._recent):
            self._drop_oldest_place()
        place = self._retired % len(self._recent)
        self._recent[place] = cell
        self._state[cell] = -1 - place
        self._retired += 1

    def _drop_oldest(self) -> bool:
        while self._oldest < self._retired:
            if self._drop_oldest_place():
                return True
        return False

    def _drop_oldest_place(self) -> bool:
        place = self._oldest % len(self._recent)
        self._oldest += 1
        cell = int(self._recent[place])
        idle = bool(self._state[cell] == -1 - place)  # it may be in use again
        if idle:
            self._remove(cell)
        return idle

    def _remove(self, cell: int) -> None:
        number = int(self.numbers[cell])
        self._index.remove(number >> 32, number >> 32, cell)
        while cell:
            following = int(self._next[cell])
            self._cells[cell] = 0
            self._free[self._freed] = cell
            self._freed += 1
            cell = following

    def _gather(
        self, octets: NDArray[Any], offset: NDArray[Any], length: NDArray[Any]
    ) -> NDArray[Any]:
        """The octets of each as words of 64 bits, padded with zeros to the longest."""
        width = max(-(-int(length.max(initial=0)) // 8) * 8, 32)
        flat = octets.reshape(-1)
        at = np.arange(len(offset)) * octets.shape[1] + offset
        if len(flat) < int(at.max(initial=0)) + width:
            flat = np.concatenate([flat, np.zeros(width, np.uint8)])
        windows = np.ndarray((len(flat) - width + 1,), f"V{width}", flat, strides=(1,))
        words: NDArray[Any] = windows.take(at).view(np.uint64).reshape(-1, width // 8)
        words &= self._masks[:, : width // 8].take(length, axis=0)
        return words

    def _hash(self, words: NDArray[Any], length: NDArray[Any]) -> NDArray[Any]:
        count = words.shape[1]
        pairs = (words & np.uint64(0xFFFFFFFF)) @ self._low[:count]
        pairs += (words >> np.uint64(32)) @ self._high[:count]
        pairs += length.astype(np.uint64)[:, None] * self._by_length
        high = pairs[:, 0] >> np.uint64(32)
        np.maximum(high, np.uint64(1), out=high)
        return (high << np.uint64(32)) | (pairs[:, 1] >> np.uint64(32))
