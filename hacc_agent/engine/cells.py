"""Octets of names in cells of one cache line: 47 of them, and a chain of cells for a longer name.

All cells are of one size, so that whatever names come and go, what is free can be used. The
48th octet is the name's length: 48 octets that are equal are a name that is equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .arrays import FREED, TOUCHED
from .memory import zeros
from .texts import Texts

TEXT: Final = 47  # octets of a name in a cell
_COMPARED: Final = 6  # words of 64 bits: the text and the length
CELL: Final = np.dtype(
    [
        ("text", f"V{TEXT}"),
        ("length", "u1"),  # octets of the whole name
        ("number", "<u8"),  # in the first cell
        ("next", "<u4"),
        ("state", "<i4"),  # in the first cell; what it means is told in `names.py`
    ]
)
_OCTETS: Final = CELL.itemsize
assert _OCTETS == 64
_NOTHING: Final = bytes(_OCTETS)


class Refused(Exception):
    """There is no room; what was to be added is not, and nothing is changed."""


class Full(Refused):
    """As many rows, or as many octets of names, as there is room for."""


class Cells:
    """Cells 1 to `capacity`; a name is known by its first cell, 0 is none."""

    def __init__(self, capacity: int, counters: NDArray[Any]) -> None:
        self.capacity: Final = capacity
        self._cells: Final = zeros(capacity + 1, CELL)
        self._octets: Final = self._cells.view(np.uint8).data
        self.words: Final = self._cells.view(np.uint64).reshape(-1, _OCTETS // 8)
        self._next: Final = self._cells["next"]
        self._length: Final = self._cells["length"]
        self.number: Final = self._cells["number"]
        self.state: Final = self._cells["state"]
        self.unused: Final = zeros(capacity, "<u4")
        self._counters: Final = counters.data

    @property
    def allocated(self) -> int:
        return int(self._cells.nbytes + self.unused.nbytes)

    @property
    def room(self) -> int:
        """Cells that nobody uses."""
        return self.capacity - self._counters[TOUCHED] + self._counters[FREED]

    # ------------------------------------------------------------------ one name

    def octets(self, cell: int) -> bytes:
        at = cell * _OCTETS
        length = self._octets[at + TEXT]
        if length <= TEXT:
            return bytes(self._octets[at : at + length])
        return b"".join(self._parts(cell))[:length]

    def store(self, nai: bytes, number: int) -> int:
        """Its first cell; there has to be room for all."""
        first = cell = self._take_one()
        for at in range(0, max(len(nai), 1), TEXT):
            if at:
                following = self._take_one()
                self._next[cell] = following
                cell = following
            part = nai[at : at + TEXT].ljust(TEXT, b"\0")
            self._octets[cell * _OCTETS : cell * _OCTETS + TEXT] = part
            self._length[cell] = len(nai)
        self.number[first] = number
        return first

    def free(self, cell: int) -> None:
        """All cells of a name, given by its first one."""
        while cell:
            following = int(self._next[cell])
            self._octets[cell * _OCTETS : (cell + 1) * _OCTETS] = _NOTHING
            self.unused[self._counters[FREED]] = cell
            self._counters[FREED] += 1
            cell = following

    def _parts(self, cell: int) -> Iterator[memoryview]:
        while cell:
            yield self._octets[cell * _OCTETS : cell * _OCTETS + TEXT]
            cell = int(self._next[cell])

    def _take_one(self) -> int:
        if self._counters[FREED]:
            self._counters[FREED] -= 1
            return int(self.unused[self._counters[FREED]])
        self._counters[TOUCHED] += 1
        return self._counters[TOUCHED]

    # ------------------------------------------------------------------ many names

    def store_batch(self, texts: Texts, numbers: NDArray[Any]) -> NDArray[Any]:
        """The first cell of each; there has to be room for all."""
        firsts = self._take(len(texts))
        self._write(firsts, texts, 0)
        self.number[firsts] = numbers
        which, cells, at = np.arange(len(texts)), firsts, TEXT
        while len(longer := np.flatnonzero(texts.length.take(which) > at)):
            which, before = which[longer], cells[longer]
            cells = self._take(len(which))
            self._write(cells, texts.take(which), at)
            self._next[before] = cells
            at += TEXT
        return firsts

    def equal(self, cells: NDArray[Any], texts: Texts) -> NDArray[Any]:
        """Whether the name in each cell is the text beside it."""
        same = self._equal_part(cells, texts, 0)
        at = TEXT
        which = np.flatnonzero(same & (texts.length > at))
        while len(which):
            cells = self._next[cells[which] if at == TEXT else cells]
            alike = self._equal_part(cells, texts.take(which), at)
            same[which[~alike]] = False
            at += TEXT
            further = alike & (texts.length.take(which) > at)
            which, cells = which[further], cells[further]
        return same

    def texts(self, cells: NDArray[Any], parts: int, width: int) -> NDArray[Any]:
        """Octets of names, padded with zeros: `parts` cells of each, as rows of `width` octets."""
        rows = np.zeros((len(cells), max(width, parts * TEXT)), np.uint8)
        for part in range(parts):
            octets = self.words.take(cells, axis=0).view(np.uint8)[:, :TEXT]
            rows[:, part * TEXT : (part + 1) * TEXT] = octets
            cells = self._next[cells]
        return rows[:, :width]

    def lengths(self, cells: NDArray[Any]) -> NDArray[Any]:
        length: NDArray[Any] = self._length[cells].astype(np.int64)
        return length

    def _take(self, count: int) -> NDArray[Any]:
        again = min(count, self._counters[FREED])
        self._counters[FREED] -= again
        fresh = np.arange(
            self._counters[TOUCHED] + 1,
            self._counters[TOUCHED] + 1 + count - again,
            dtype=np.uint32,
        )
        self._counters[TOUCHED] += count - again
        return np.concatenate(
            [self.unused[self._counters[FREED] : self._counters[FREED] + again], fresh]
        )

    def _write(self, cells: NDArray[Any], texts: Texts, first: int) -> None:
        self.words[cells, :_COMPARED] = self._compared(texts, first)

    def _equal_part(self, cells: NDArray[Any], texts: Texts, first: int) -> NDArray[Any]:
        differ = self.words.take(cells, axis=0)[:, :_COMPARED] ^ self._compared(texts, first)
        # Column by column: a reduction over rows of 6 takes longer.
        either = differ[:, 0]
        for column in range(1, _COMPARED):
            either = either | differ[:, column]
        equal: NDArray[Any] = either == 0
        return equal

    def _compared(self, texts: Texts, first: int) -> NDArray[Any]:
        words = texts.words(first, _COMPARED, TEXT)
        words[:, -1] |= texts.length.astype(np.uint64) << np.uint64(56)
        return words
