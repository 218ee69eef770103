"""Many datagrams at once, by the rules of `alone`."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..batch import Batch, Outcome
from ..effects import Effect, Endpoint, Moment
from ..record import RECORD
from .alone import Alone
from .state import State

_NO_RECORDS: Final = np.zeros(0, RECORD)
_NONE: Final = np.zeros(0, np.int64)


class Columns:
    """Decides on batches."""

    def __init__(self, state: State, alone: Alone) -> None:
        self._ledger = state.ledger
        self._alone = alone

    def receive(self, batch: Batch, now: Moment) -> Outcome:
        effects: list[Effect] = []
        for row in range(batch.count):
            source = Endpoint(int(batch.address[row]), int(batch.port[row]), int(batch.link[row]))
            octets = batch.octets[row, : batch.length[row]].tobytes()
            effects += self._alone.receive(octets, source, now)
        return Outcome(_NO_RECORDS, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, tuple(effects))
