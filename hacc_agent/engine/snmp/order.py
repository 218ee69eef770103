"""Bindings in the order of SNMP: by home address, then by care-of address.

GETNEXT asks for the least name above another one, of half a million, four million times in a walk
of the whole table. A sorted copy of all keys answers that at once, but sorting it takes longer than
packets may wait. So the table is looked at in blocks of rows, one at a time, each sorted by itself;
the next name is the least of what each block has, and those that follow it are kept at hand
(`_window`), since who asks for one asks for the next.

What is told is always true: a row is looked at again before it is told of, so a binding that ended
is never seen. One that began is seen when its block has been looked at again, `CYCLE_S` later at
most. Who walks while the table changes sees every binding that was there all the time exactly once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..record import Kind
from ..table import Table

BLOCK: Final = 32_768
"""Rows in one look: 2 ms."""

CYCLE_S: Final = 10.0
"""In which all blocks are looked at."""

WINDOW: Final = 64
"""Keys from each block that are kept at hand. Grows while all of them have ended."""


class Order:
    """Of the bindings in a table. A key is the home address << 32 | care-of address."""

    def __init__(self, table: Table, now: float) -> None:
        """Looks at everything: before there are packets, that is nobody's loss."""
        self.table = table
        blocks = -(-len(table.rows) // BLOCK)
        self._keys: list[NDArray[Any]] = [np.zeros(0, np.uint64)] * blocks
        self._rows: list[NDArray[Any]] = [np.zeros(0, np.uint32)] * blocks
        self._window: tuple[list[int], list[int]] = [], []
        self._low = 0  # the window has all keys from here to its last one
        for block in range(blocks):
            self._look(block)
        self._pause = CYCLE_S / blocks
        self._block = 0
        self.due = now + self._pause
        """s of the steady clock: when `look` has something to do."""

    def look(self, table: Table, now: float) -> None:
        """At one block, whose turn it is. `table` may have been replaced by one as large."""
        self.table = table
        self._look(self._block)
        self._block = (self._block + 1) % len(self._keys)
        self.due = now + self._pause

    def least(self, key: int, *, inclusive: bool) -> tuple[int, int] | None:
        """The least key above another one (or that one), and the row that has it."""
        if not inclusive:
            key += 1
        width = WINDOW
        while key < 1 << 64:
            keys, rows = self._window
            if not keys or not self._low <= key <= keys[-1]:
                self._open_window(key, width)
                keys, rows = self._window
                if not keys:
                    return None
            for at in range(bisect_left(keys, key), len(keys)):
                if self._holds(keys[at], rows[at]):
                    return keys[at], rows[at]
            key = keys[-1] + 1
            width = min(width * 4, BLOCK)
        return None

    def _look(self, block: int) -> None:
        start = block * BLOCK
        rows = self.table.rows[start : start + BLOCK]
        bound = np.flatnonzero(rows["kind"] == Kind.BINDING)
        chosen = rows[bound]
        keys = chosen["home_address"].astype(np.uint64) << np.uint64(32)
        keys |= chosen["care_of_address"]
        order = np.argsort(keys)
        self._keys[block] = keys[order]
        self._rows[block] = (bound[order] + start).astype(np.uint32)
        self._window = [], []

    def _open_window(self, key: int, width: int) -> None:
        """All keys from this one up to the nearest end of what one of the blocks gives."""
        parts, places = [], []
        last = (1 << 64) - 1
        for keys, rows in zip(self._keys, self._rows, strict=True):
            at = int(np.searchsorted(keys, np.uint64(key)))
            part = keys[at : at + width]
            parts.append(part)
            places.append(rows[at : at + width])
            if at + width < len(keys):
                last = min(last, int(part[-1]))
        joined, rows_of = np.concatenate(parts), np.concatenate(places)
        order = np.argsort(joined)
        found = joined[order].tolist()
        count = bisect_right(found, last)
        self._window = found[:count], rows_of[order][:count].tolist()
        self._low = key

    def _holds(self, key: int, row: int) -> bool:
        found = self.table.rows[row]
        return bool(
            found["kind"] == Kind.BINDING
            and int(found["home_address"]) == key >> 32
            and int(found["care_of_address"]) == key & 0xFFFF_FFFF
        )
