"""What is known of all rows of a table without looking at them: a digest, and counts by slot.

Each change of a row is noted as the record that went and the record that came. Slots are counted at
once, since selection asks for them before each new mobile node. Notes are added to the digest when
there are some hundreds, or when somebody asks: so a change costs a copy of 64 octets and a question
never a walk over millions of rows.

The digest is a sum of one number for each row, so it does not depend on their order, and two tables
can be compared at any moment of a log.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .memory import key_stream
from .record import OCTETS, RECORD, Kind, Records

SLOTS: Final = 65_536  # a record has 16 bits for its slot
_NOTES: Final = 4096 * OCTETS  # then they are added up: some 100 microseconds of work
KEYS: Final = np.array([key | 1 for key in key_stream(OCTETS, OCTETS // 8)], np.uint64)

_KIND_AT, _SLOT_AT = 0, 2
assert RECORD.fields is not None
assert (RECORD.fields["kind"][1], RECORD.fields["slot"][1]) == (_KIND_AT, _SLOT_AT)


class Ledger:
    __slots__ = ("_came", "_slot_at", "_went", "slots", "total")

    def __init__(self) -> None:
        self._went: Final = bytearray()
        self._came: Final = bytearray()
        self.total: Final = np.zeros(1, np.uint64)
        self.slots: Final = np.zeros(SLOTS, np.int64)
        """Rows of each slot but CLOSED ones, which hold no binding."""
        self._slot_at: Final = self.slots.data  # one is read and written quicker through it

    def note(self, went: bytes | memoryview, came: bytes | memoryview) -> None:
        """Records that rows of the table held before, and those that they hold now."""
        self._went.extend(went)
        self._came.extend(came)
        self._count(went, -1)
        self._count(came, 1)
        if len(self._went) + len(self._came) >= _NOTES:
            self._add_up()

    @property
    def digest(self) -> int:
        """64 bits; 0 of no rows."""
        self._add_up()
        return int(self.total[0])

    def _count(self, notes: bytes | memoryview, sign: int) -> None:
        if len(notes) == OCTETS:
            if notes[_KIND_AT] != Kind.CLOSED:
                slot = notes[_SLOT_AT] | notes[_SLOT_AT + 1] << 8
                self._slot_at[slot] += sign
        elif notes:
            records = np.frombuffer(notes, RECORD)
            bound = records["slot"][records["kind"] != Kind.CLOSED]
            np.add.at(self.slots, bound, sign)

    def _add_up(self) -> None:
        for notes, sign in ((self._came, 1), (self._went, -1)):
            if notes:
                changed = int(mix(np.frombuffer(bytes(notes), RECORD)).sum())
                self.total[0] = (int(self.total[0]) + sign * changed) % 2**64
                notes.clear()


def mix(records: Records) -> NDArray[Any]:
    """A number for each record, in which every bit counts; 0 for a record of zeros. u8."""
    words = records.view(np.uint64).reshape(-1, OCTETS // 8)
    # Folded first: else two differences in the highest bits of two words could cancel out.
    mixed: NDArray[Any] = (words ^ words >> np.uint64(32)) @ KEYS
    mixed ^= mixed >> np.uint64(29)
    mixed *= KEYS[0]
    mixed ^= mixed >> np.uint64(32)
    return mixed
