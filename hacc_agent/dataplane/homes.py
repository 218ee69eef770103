"""Numbers by home address, whatever the kernel keeps them in."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..engine.record import Kind, Records


class Others(Protocol):
    """Of addresses outside of all networks."""

    def get(self, home: int) -> int:
        """0 without one."""
        ...

    def put(self, home: int, number: int) -> None:
        """0 removes it."""
        ...


class Numbers:
    """An array for each network, by an address's place in it, and others beside them."""

    def __init__(
        self, networks: Sequence[IPv4Network], values: Sequence[NDArray[Any]], others: Others
    ) -> None:
        """`values` are of one type."""
        self._firsts: Final = [int(network.network_address) for network in networks]
        self._values: Final = list(values)
        self._others: Final = others

    def get(self, home: int) -> int:
        """0 without one."""
        for first, values in zip(self._firsts, self._values, strict=True):
            if 0 <= home - first < len(values):
                return int(values[home - first])
        return self._others.get(home)

    def put(self, home: int, number: int) -> None:
        """0 removes it. One store: a packet meets the old number or the new one."""
        for first, values in zip(self._firsts, self._values, strict=True):
            if 0 <= home - first < len(values):
                values[home - first] = number
                return
        self._others.put(home, number)

    def put_many(self, homes: NDArray[Any], numbers: NDArray[Any]) -> None:
        """Of one address the last one counts."""
        left = np.ones(len(homes), np.bool_)
        for first, values in zip(self._firsts, self._values, strict=True):
            places = homes - np.uint32(first)  # what is before it is far behind it
            inside = places < len(values)
            values[places[inside]] = numbers[inside]
            left &= ~inside
        self._put_others(homes[left], numbers[left])

    def get_many(self, homes: NDArray[Any]) -> NDArray[Any]:
        found = np.zeros(len(homes), self._values[0].dtype if self._values else np.uint64)
        left = np.ones(len(homes), np.bool_)
        for first, values in zip(self._firsts, self._values, strict=True):
            places = homes - np.uint32(first)
            inside = places < len(values)
            found[inside] = values[places[inside]]
            left &= ~inside
        for row in np.flatnonzero(left).tolist():
            found[row] = self._others.get(int(homes[row]))
        return found

    def replace(self, homes: NDArray[Any], numbers: NDArray[Any]) -> NDArray[Any]:
        """In the networks these and no others; who stays is there all the time.

        Those that are outside of them, which are put too: their truths.
        """
        left = np.ones(len(homes), np.bool_)
        for first, values in zip(self._firsts, self._values, strict=True):
            places = homes - np.uint32(first)
            inside = places < len(values)
            new = np.zeros_like(values)
            new[places[inside]] = numbers[inside]
            values[:] = new
            left &= ~inside
        self._put_others(homes[left], numbers[left])
        return left

    def inside(self) -> NDArray[Any]:
        """Addresses of the networks that have a number."""
        found = [
            np.flatnonzero(values).astype(np.uint32) + np.uint32(first)
            for first, values in zip(self._firsts, self._values, strict=True)
        ]
        return np.concatenate([np.zeros(0, np.uint32), *found])

    def _put_others(self, homes: NDArray[Any], numbers: NDArray[Any]) -> None:
        for home, number in zip(homes.tolist(), numbers.tolist(), strict=True):
            self._others.put(home, number)


def held(records: Records) -> tuple[NDArray[Any], NDArray[Any]]:
    """Home addresses that are bound, or wait for it, and slot + 1 of each."""
    kind, homes = records["kind"], records["home_address"]
    which = ((kind == Kind.BINDING) | (kind == Kind.PENDING)) & (homes > 0)
    return homes[which], records["slot"][which].astype(np.uint32) + np.uint32(1)


def ended(records: Records) -> list[int]:
    """Home addresses that may have neither any more, each once."""
    kind, homes = records["kind"], records["home_address"]
    which = ((kind == Kind.UNBOUND) | (kind == Kind.SETTLED)) & (homes > 0)
    return np.unique(homes[which]).tolist() if which.any() else []
