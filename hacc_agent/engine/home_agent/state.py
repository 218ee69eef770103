"""What a Home Agent remembers: rows, addresses that are taken, routes to mobile networks.

All three are what records made them. A few records at a time, as in service, are told one by one;
many, as at a start or a takeover, as columns. Both ways end in the same state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ..networks import MobileNetworks
from ..pools import Pool
from ..record import NETWORK, OCTETS, RECORD, Kind, Network, Row, Trait
from ..table import Table

FEW: Final = 16
"""Records up to which one at a time is quicker than all as columns."""

_BINDING, _CLOSED, _UNBOUND = int(Kind.BINDING), int(Kind.CLOSED), int(Kind.UNBOUND)
_NETWORK = int(Kind.NETWORK)
_DYNAMIC = int(Trait.DYNAMIC)
_HOME_AT, _TRAITS_AT = 4, 49  # offsets within a record
assert RECORD.fields is not None
assert RECORD.fields["home_address"][1] == _HOME_AT
assert RECORD.fields["traits"][1] == _TRAITS_AT


class State:
    """Changed by `apply` and by nothing else."""

    __slots__ = ("_networks", "_pools", "_table")

    def __init__(self, table: Table, pools: list[Pool], networks: MobileNetworks) -> None:
        self._table = table
        self._pools = pools
        self._networks = networks

    def apply(self, records: bytes) -> None:
        self._table.apply(records)
        if len(records) > FEW * OCTETS:
            self._apply_columns(records)
            return
        for at in range(0, len(records), OCTETS):
            if records[at] == _NETWORK:
                self._route(records, at)
            elif self._pools:
                self._tell_pools(records, at)

    def snapshot(self) -> Iterator[bytes]:
        """All that there is, as records, in blocks."""
        yield from self._table.snapshot()
        yield from self._networks.snapshot()

    def rows(self, home_address: int) -> Iterator[tuple[int, Row]]:
        """Those of a home address, with their places."""
        table = self._table
        at = table.find(home_address)
        while at:
            yield at, table.get(at)
            at = table.following(at)

    def bound_elsewhere(self, row: Row, now: float) -> bool:
        """Whether the mobile node of a binding has another one, with time left."""
        return any(
            other.kind == _BINDING
            and other.care_of_address != row.care_of_address
            and other.expires > now
            for _, other in self.rows(row.home_address)
        )

    @property
    def assigned(self) -> int:
        """Addresses of our pools that are somebody's."""
        return sum(pool.taken for pool in self._pools)

    def _route(self, records: bytes, at: int) -> None:
        self._networks.apply(Network._make(NETWORK.unpack_from(records, at)))

    def _tell_pools(self, records: bytes, at: int) -> None:
        kind = records[at]
        home_address = int.from_bytes(records[at + _HOME_AT : at + _HOME_AT + 4], "little")
        if kind in (_BINDING, _CLOSED):
            if records[at + _TRAITS_AT] & _DYNAMIC:
                for pool in self._pools:
                    if pool.take(home_address):
                        break
        elif kind == _UNBOUND and home_address and not self._table.find(home_address):
            for pool in self._pools:
                if pool.free(home_address):
                    break

    def _apply_columns(self, records: bytes) -> None:
        rows = np.frombuffer(records, RECORD)
        kinds = rows["kind"]
        for at in np.flatnonzero(kinds == _NETWORK).tolist():
            self._route(records, at * OCTETS)
        if not self._pools:
            return
        held = (kinds == _BINDING) | (kinds == _CLOSED)
        addresses = rows["home_address"][held & (rows["traits"] & _DYNAMIC != 0)]
        ended = rows["home_address"][kinds == _UNBOUND]
        free = ended[self._table.find_addresses(ended) == 0]
        for pool in self._pools:
            pool.mark(addresses, taken=True)
            pool.mark(free, taken=False)
