"""Maps of one plane: pinned where that is possible, and arrays as memory.

A plane's maps lie in a folder whose name says their shape, so that a daemon with another
configuration never takes a map for what it is not.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import os
import shutil
from collections.abc import Iterable
from ipaddress import IPV4LENGTH, IPv4Network
from pathlib import Path
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..engine.record import Kind, Records
from .homes import Numbers
from .kernel import KernelRefused, Map, MapKind, pin
from .packet import COUNTER, Homes
from .plane import Counted

BPFFS: Final = Path("/sys/fs/bpf")
OTHERS: Final = 1 << 16
"""Home addresses outside of all networks: those of single mobile nodes."""

SEVERAL: Final = 1 << 16
"""Simultaneous bindings: they are rare."""

MOBILE_NETWORKS: Final = 1 << 14
"""As many as mobile routers have behind them, all together."""

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


class OtherHomes:
    """A hash of the kernel: `homes.Others`."""

    def __init__(self, hashed: Map) -> None:
        self._map = hashed
        self._number = Struct("=I" if hashed.value_octets == 4 else "=Q")
        self.full = 0
        """Addresses that found no room."""

    def get(self, home: int) -> int:
        found = self._map.get(home.to_bytes(4, "big"))
        return 0 if found is None else int(self._number.unpack(found)[0])

    def put(self, home: int, number: int) -> None:
        key = home.to_bytes(4, "big")
        if not number:
            self._map.remove(key)
            return
        try:
            self._map.put(key, self._number.pack(number))
        except OSError:
            self.full += 1

    def keep(self, homes: NDArray[Any]) -> None:
        """No others than these."""
        kept = {home.to_bytes(4, "big") for home in homes.tolist()}
        for key in self._map.stored():
            if key not in kept:
                self._map.remove(key)


class Tunnels:
    """Where packets of mobile nodes with simultaneous bindings may come from: a set of keys."""

    def __init__(self, folder: Folder, octets: int) -> None:
        self._map: Final = folder.map(MapKind.HASH, octets, 4, SEVERAL, "several")
        self._held: Final[dict[int, frozenset[bytes]]] = {}
        self.full = 0
        """Those that found no room."""
        for key in self._map.stored():  # they are told anew
            home = int.from_bytes(key[:4], "big")
            self._held[home] = self._held.get(home, frozenset()) | {key}

    @property
    def descriptor(self) -> int:
        return self._map.descriptor

    def homes(self) -> frozenset[int]:
        return frozenset(self._held)

    def put(self, home: int, keys: frozenset[bytes]) -> None:
        """All of a home address; none: it has not several any more."""
        before = self._held.pop(home, frozenset())
        for key in before - keys:
            self._map.remove(key)
        for key in keys - before:
            try:
                self._map.put(key, bytes(4))
            except OSError:
                self.full += 1
        if keys:
            self._held[home] = keys


class Behind:
    """Mobile networks, and the home addresses of the routers that have them behind them."""

    def __init__(self, folder: Folder) -> None:
        self._map: Final = folder.map(MapKind.PREFIXES, 8, 4, MOBILE_NETWORKS, "behind")
        self._held: Final[dict[bytes, int]] = {}
        for key in self._map.stored():
            home = self._map.get(key)
            self._held[key] = int.from_bytes(home or b"", "big")
        self.full = 0
        """Networks that found no room."""

    @property
    def descriptor(self) -> int:
        return self._map.descriptor

    def replace(self, records: Records) -> None:
        """Those that NETWORK records say, and no others."""
        said = _networks(records)
        for gone in self._held.keys() - said.keys():
            self._put(gone, 0)
        self.follow(records)

    def follow(self, records: Records) -> None:
        for key, home in _networks(records).items():
            self._put(key, home)

    def router_of(self, address: int) -> int:
        """The home address of the mobile router that has it behind it; 0: nobody has."""
        for length in range(IPV4LENGTH, 0, -1):
            free = IPV4LENGTH - length
            home = self._held.get(_prefix(length, address >> free << free))
            if home is not None:
                return home
        return 0

    def _put(self, key: bytes, home: int) -> None:
        """0 removes it."""
        if not home:
            self._map.remove(key)
            self._held.pop(key, None)
            return
        try:
            self._map.put(key, home.to_bytes(4, "big"))
        except OSError:
            self.full += 1
        else:
            self._held[key] = home


def _networks(records: Records) -> dict[bytes, int]:
    """By key, of NETWORK records, to whom each leads; 0: to nobody any more."""
    said = records[records["kind"] == Kind.NETWORK]
    columns = (said[name].tolist() for name in ("flags", "slot", "home_address", "care_of_address"))
    return {
        _prefix(length, network): 0 if withdrawn else home
        for withdrawn, length, home, network in zip(*columns, strict=True)  # as `record.Network`
    }


def _prefix(length: int, network: int) -> bytes:
    """struct bpf_lpm_trie_key: the length in this machine's order, the address in the network's."""
    return _WORD.pack(length) + network.to_bytes(4, "big")


class HomeMaps(Numbers):
    """Arrays that are memory of the kernel's, and a hash; mobile networks beside them."""

    def __init__(
        self,
        folder: Folder,
        networks: Iterable[IPv4Network],
        octets: int,
        *,
        mobile_networks: bool = False,
    ) -> None:
        """`octets`: of a number, 4 or 8. `mobile_networks`: whether there ever are any."""
        self._networks: Final = tuple(networks)
        self._pools: Final = [
            folder.map(MapKind.ARRAY, 4, octets, network.num_addresses, f"pool{number}")
            for number, network in enumerate(self._networks)
        ]
        self._hash: Final = folder.map(MapKind.HASH, 4, octets, OTHERS, "others")
        self.others: Final = OtherHomes(self._hash)
        self.behind: Final = Behind(folder) if mobile_networks else None
        kind = np.uint32 if octets == 4 else np.uint64
        values = [pool.view().view(kind)[:, 0] for pool in self._pools]
        super().__init__(self._networks, values, self.others)

    @property
    def homes(self) -> Homes:
        pools = tuple(pool.descriptor for pool in self._pools)
        behind = None if self.behind is None else self.behind.descriptor
        return Homes(self._networks, pools, self._hash.descriptor, behind)

    @property
    def full(self) -> int:
        """Addresses and networks that found no room."""
        return self.others.full + (0 if self.behind is None else self.behind.full)

    def bearer(self, address: int) -> int:
        """The home address that packets of an address go by: its own, or its mobile router's."""
        if self.behind is None or self.get(address):
            return address
        return self.behind.router_of(address) or address

    def replace(self, homes: NDArray[Any], numbers: NDArray[Any]) -> NDArray[Any]:
        """These and no others, outside of the networks too."""
        outside = super().replace(homes, numbers)
        self.others.keep(homes[outside])
        return outside


def words(reasons: Iterable[enum.IntEnum]) -> list[str]:
    """Names of counters, as people read them."""
    return [one.name.lower().replace("_", " ") for one in reasons]


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
