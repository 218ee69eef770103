"""Maps of one plane: pinned where that is possible, and arrays as memory.

A plane's maps lie in a folder whose name says their shape, so that a daemon with another
configuration never takes a map for what it is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .kernel import KernelRefused, Map, MapKind, pin
from .packet import COUNTER, Homes
from .plane import Counted

BPFFS: Final = Path("/sys/fs/bpf")
OTHERS: Final = 1 << 16
"""Home addresses outside of all networks: those of single mobile nodes."""

_WORD: Final = Struct("=I")


class Folder:
    """Where a plane's maps and links are pinned; without a bpffs they end with us."""

    def __init__(self, role: str, shape: object, root: Path = BPFFS) -> None:
        digest = hashlib.blake2b(repr(shape).encode(), digest_size=6).hexdigest()
        self._kept: list[Map] = []
        self.path: Path | None = root / f"hacc-{role}-{digest}"
        try:
            if not os.path.ismount(root):
                raise FileNotFoundError(root)
            self.path.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            self.path = None
        self._role, self._root = role, root

    def map(self, kind: MapKind, key: int, value: int, entries: int, name: str) -> Map:
        """The pinned one, or a new one. Raises `KernelRefused`."""
        made = None
        if self.path is not None:
            with contextlib.suppress(OSError):
                made = Map.pinned(self.path / name, kind, key, value, entries)
        if made is None:
            made = Map.create(kind, key, value, entries, name)
            if self.path is not None:
                with contextlib.suppress(OSError):
                    pin(made.descriptor, self.path / name)
        self._kept.append(made)
        return made

    def forget_others(self) -> None:
        """Maps of this role in other shapes, and links with them."""
        if self.path is not None:
            for other in self._root.glob(f"hacc-{self._role}-*"):
                if other != self.path:
                    shutil.rmtree(other, ignore_errors=True)

    def close(self) -> None:
        for one in self._kept:
            one.close()


class HomeMaps:
    """Numbers by home address: an array for each network, a hash for addresses outside of all."""

    def __init__(
        self, folder: Folder, networks: Iterable[IPv4Network], octets: int, entries: int = OTHERS
    ) -> None:
        """`octets`: of a number, 4 or 8."""
        self._networks: Final = tuple(networks)
        self._pools: Final = [
            folder.map(MapKind.ARRAY, 4, octets, network.num_addresses, f"pool{number}")
            for number, network in enumerate(self._networks)
        ]
        self._others: Final = folder.map(MapKind.HASH, 4, octets, entries, "others")
        kind = np.uint32 if octets == 4 else np.uint64
        self._values: Final = [pool.view().view(kind)[:, 0] for pool in self._pools]
        self._firsts: Final = [int(network.network_address) for network in self._networks]
        self._value: Final = Struct("=I" if octets == 4 else "=Q")
        self.full = 0
        """Addresses that found no room among the others."""

    @property
    def homes(self) -> Homes:
        pools = tuple(pool.descriptor for pool in self._pools)
        return Homes(self._networks, pools, self._others.descriptor)

    def get(self, home: int) -> int:
        """0 without one."""
        for first, values in zip(self._firsts, self._values, strict=True):
            if 0 <= home - first < len(values):
                return int(values[home - first])
        found = self._others.get(home.to_bytes(4, "big"))
        return 0 if found is None else int(self._value.unpack(found)[0])

    def put(self, home: int, number: int) -> None:
        """0 removes it. One store: a packet meets the old number or the new one."""
        for first, values in zip(self._firsts, self._values, strict=True):
            if 0 <= home - first < len(values):
                values[home - first] = number
                return
        key = home.to_bytes(4, "big")
        if not number:
            self._others.remove(key)
            return
        try:
            self._others.put(key, self._value.pack(number))
        except OSError:
            self.full += 1

    def put_many(self, homes: NDArray[Any], numbers: NDArray[Any]) -> None:
        """Of one address the last one counts."""
        left = np.ones(len(homes), np.bool_)
        for first, values in zip(self._firsts, self._values, strict=True):
            places = homes - np.uint32(first)  # what is before it is far behind it
            inside = places < len(values)
            values[places[inside]] = numbers[inside]
            left &= ~inside
        if left.any():
            for home, number in zip(homes[left].tolist(), numbers[left].tolist(), strict=True):
                self.put(home, number)

    def get_many(self, homes: NDArray[Any]) -> NDArray[Any]:
        found = np.zeros(len(homes), self._values[0].dtype if self._values else np.uint64)
        left = np.ones(len(homes), np.bool_)
        for first, values in zip(self._firsts, self._values, strict=True):
            places = homes - np.uint32(first)
            inside = places < len(values)
            found[inside] = values[places[inside]]
            left &= ~inside
        for row in np.flatnonzero(left).tolist():
            found[row] = self.get(int(homes[row]))
        return found

    def replace(self, homes: NDArray[Any], numbers: NDArray[Any]) -> None:
        """These and no others; who stays is there all the time."""
        left = np.ones(len(homes), np.bool_)
        for first, values in zip(self._firsts, self._values, strict=True):
            places = homes - np.uint32(first)
            inside = places < len(values)
            new = np.zeros_like(values)
            new[places[inside]] = numbers[inside]
            values[:] = new
            left &= ~inside
        kept = {home.to_bytes(4, "big") for home in homes[left].tolist()}
        for key in self._others.stored():
            if key not in kept:
                self._others.remove(key)
        self.put_many(homes[left], numbers[left])


def counted(counters: Map, names: Iterable[str]) -> tuple[Counted, ...]:
    """A per-CPU array's sums, under the names of its places."""
    found = []
    for place, name in enumerate(names):
        octets = counters.get(_WORD.pack(place)) or b""
        each = list(COUNTER.iter_unpack(octets))
        found.append(Counted(name, sum(one for one, _ in each), sum(size for _, size in each)))
    return tuple(found)


def refused(what: str, why: KernelRefused | OSError) -> str:
    return f"{what}: {why.strerror if isinstance(why, OSError) else why}"
