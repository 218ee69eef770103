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
from .memory import populate, zeros

TEXT: Final = 47  # octets of a name in a cell
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

    def populate(self, count: int) -> None:
        """The first so many, while none is in use."""
        populate(self._cells, count + 1)

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
