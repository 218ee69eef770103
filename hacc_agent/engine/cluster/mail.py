"""A batch as its mobile nodes see it: who each datagram is of, and what is known of him already."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...wire import MessageType, WireError
from ..batch import Batch
from ..texts import Texts
from .ledger import Ledger
from .reading import inner_source, read_nai
from .walk import Walk

_HOME: Final = 1  # place of the home address in registrations and revocations, in 32-bit words


class Mail:
    """Columns as long as the batch.

    `ordinary` is a datagram that was read, and whose mobile node has no other one in the batch.
    """

    def __init__(self, batch: Batch, ledger: Ledger) -> None:
        count = batch.count
        self.length = batch.length[:count]
        self.address = batch.address[:count]
        self.port = batch.port[:count]
        self.link = batch.link[:count]
        self.walk = walk = Walk(batch.octets[:count], self.length)
        self.ordinary = walk.ordinary
        self.home = walk.words[:, _HOME].astype(np.uint32)
        self.bound = ledger.table.find_addresses(self.home)
        self.waiting = ledger.pending.find_addresses(self.home)
        self.hashes = np.zeros(count, np.uint64)
        self.waiting_by_name = np.zeros(count, np.uint32)
        self.named = walk.nai > 0
        homes = self.home
        if self.named.any():
            homes = self._find_names(ledger)
        self._part_repeated(homes, ledger)

    def _find_names(self, ledger: Ledger) -> NDArray[Any]:
        """What the NAIs lead to; and home addresses, with those that mobile nodes do not tell."""
        rows = np.flatnonzero(self.named)
        octets = self.walk.octets[rows]
        offset = self.walk.nai[rows] - self.walk.start[rows] + 2
        length = self.walk.nai_length[rows]
        hashes = ledger.table.hash_nais(octets, offset, length)
        self.hashes[rows] = hashes
        self.waiting_by_name[rows] = ledger.pending.find_nais(hashes, octets, offset, length)
        unknown = np.flatnonzero(self.home[rows] == 0)
        if not len(unknown):
            return self.home
        bound = ledger.table.find_nais(
            hashes[unknown], octets[unknown], offset[unknown], length[unknown]
        )
        rows = rows[unknown]
        self.bound[rows] = bound
        homes = self.home.copy()
        homes[rows] = ledger.table.rows["home_address"][bound]
        pending = ledger.pending.rows["home_address"][self.waiting_by_name[rows]]
        homes[rows] = np.where(bound > 0, homes[rows], pending)
        return homes

    def _part_repeated(self, homes: NDArray[Any], ledger: Ledger) -> None:
        """Datagrams of a mobile node that has several in the batch are not ordinary."""
        hashes = self.hashes
        odd = np.flatnonzero(~self.ordinary)
        if len(odd):
            homes, hashes = homes.copy(), hashes.copy()
            for row in odd.tolist():
                homes[row], hashes[row] = self._identity(row, ledger)
        # A hash is 2**32 at least: the two never meet.
        keys = np.sort(np.concatenate((homes[homes > 0].astype(np.uint64), hashes[hashes > 0])))
        again = keys[1:] == keys[:-1]
        if again.any():
            repeated = keys[1:][again]
            self.ordinary &= ~(np.isin(homes, repeated) | np.isin(hashes, repeated))

    def _identity(self, row: int, ledger: Ledger) -> tuple[int, int]:
        """Home address and hash of the NAI of a datagram that the walk has not read."""
        home, data = int(self.walk.words[row, _HOME]), self.octets(row)
        match self.walk.kind[row]:
            case MessageType.TUNNEL_DATA:
                return inner_source(data), 0
            case MessageType.REGISTRATION_REQUEST | MessageType.REGISTRATION_REPLY:
                try:
                    nai = read_nai(data)
                except WireError:
                    return 0, 0
                return home, ledger.table.hash_nai(nai) if nai else 0
        return home, 0

    def names(self, rows: NDArray[Any]) -> Texts:
        """NAIs where they stand."""
        walk = self.walk
        return Texts(walk.flat, walk.nai[rows] + 2, walk.nai_length[rows].astype(np.int64))

    def octets(self, row: int) -> bytes:
        octets: bytes = self.walk.octets[row, : self.length[row]].tobytes()
        return octets
