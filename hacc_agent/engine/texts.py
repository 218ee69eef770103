"""Many runs of octets, each with its own length, as columns: NAIs where they stand in datagrams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_WORD: Final = 8  # octets
_LONGEST: Final = 256

# Row k keeps the first k octets of a run and clears the others.
_MASKS: Final = (
    (np.arange(_LONGEST)[None, :] < np.arange(_LONGEST + 1)[:, None]) * np.uint8(255)
).view(np.uint64)


@dataclass(frozen=True, slots=True)
class Texts:
    """`length[n]` octets of `flat` from `at[n]` on, for each n; at most 256."""

    flat: NDArray[Any]  # u1
    at: NDArray[Any]  # i8
    length: NDArray[Any]  # i8

    @classmethod
    def of_rows(cls, octets: NDArray[Any], offset: NDArray[Any], length: NDArray[Any]) -> Texts:
        """One from each row of a matrix of octets, at an offset in the row."""
        at = np.arange(0, len(offset) * octets.shape[1], octets.shape[1])
        at += np.asarray(offset, np.int64)
        return cls(octets.reshape(-1), at, np.asarray(length, np.int64))

    def __len__(self) -> int:
        return len(self.at)

    def take(self, which: NDArray[Any]) -> Texts:
        return Texts(self.flat, self.at.take(which), self.length.take(which))

    def octets(self, number: int) -> bytes:
        at = int(self.at[number])
        return self.flat[at : at + int(self.length[number])].tobytes()

    def words(self, first: int, count: int, limit: int = _LONGEST) -> NDArray[Any]:
        """Octets from `first` on as `count` words of 64 bits; behind the end, and behind `limit`
        octets, zeros. u8[n, count]."""
        width = count * _WORD
        flat, at = self.flat, self.at + first
        if len(flat) < int(at.max(initial=0)) + width:
            # The last text may stand at the very end, and who has nothing from `first` on behind.
            flat = np.concatenate([flat, np.zeros(_LONGEST + width, np.uint8)])
        windows: NDArray[Any] = np.ndarray(
            (len(flat) - width + 1,), f"V{width}", flat.data, strides=(1,)
        )
        words: NDArray[Any] = windows[at].view(np.uint64).reshape(-1, count)
        kept = np.minimum(np.maximum(self.length - first, 0), min(limit, width))
        words &= _MASKS[kept, :count]
        return words
