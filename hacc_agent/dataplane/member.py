"""A member's plane in the kernel: into tunnels and out of them (`tunnels`)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..engine.record import Kind, Records, Row, Trait
from .attachment import Attachment
from .device import Device
from .kernel import Attach, KernelRefused, MapKind, Program, ProgramKind
from .listing import listing
from .maps import Folder, HomeMaps, Tunnels, counted, refused, words
from .packet import COUNTER
from .plane import Counted, PlaneFailed, RowsOf
from .tunnels import ONE_OF, OVERHEAD, TUNNEL, Maps, Member, Reason, arriving, departing
from .tunnels import Kind as Tunnel


class TcxTunnels:
    """A member's `plane.Plane`, home address -> care-of address, by eBPF at tcx."""

    kind = "tcx"

    def __init__(
        self,
        home_agent_address: IPv4Address,
        networks: tuple[IPv4Network, ...],
        interfaces: tuple[str, ...],
        rows_of: RowsOf,
        *,
        mtu: int = 1500,
        port: int = 434,
        mobile_networks: bool = False,
        folder: Folder | None = None,
    ) -> None:
        """`mtu`: of the way to care-of addresses. `mobile_networks`: whether there ever are any.

        Raises `PlaneFailed`.
        """
        self._rows_of = rows_of
        shape = (home_agent_address, networks, port, mobile_networks)
        self._folder = folder or Folder("member", shape)
        inside = mtu - max(OVERHEAD.values())
        try:
            self.device: Final = Device(inside)
        except OSError as why:
            raise PlaneFailed(refused("device of tunnels", why)) from None
        made = Member(home_agent_address, port, self.device.interface, inside)
        try:
            self._homes: Final = HomeMaps(
                self._folder, networks, 8, mobile_networks=mobile_networks
            )
            self._reasons: Final = self._folder.map(
                MapKind.PER_CPU_ARRAY, 4, COUNTER.size, len(Reason), "reasons"
            )
            self._several: Final = Tunnels(self._folder, ONE_OF.size)
            maps = Maps(self._homes.homes, self._several.descriptor, self._reasons.descriptor)
            self._code: Final = {
                f"tcx egress of {self.device.name}": departing(made, maps),
                "tcx ingress": arriving(made, maps),
            }
            leaving, coming = self._code.values()
            made_of = ProgramKind.SCHED_CLS
            self._into: Final = Attachment(
                lambda _: Program.load(made_of, Attach.TCX_EGRESS, leaving, "hacc_departing"),
                *(Attach.TCX_EGRESS, self._folder.path),
            )
            self._into.attach((self.device.name,))
            self._out: Final = Attachment(
                lambda _: Program.load(made_of, Attach.TCX_INGRESS, coming, "hacc_arriving"),
                *(Attach.TCX_INGRESS, self._folder.path),
            )
            self.missing = self._out.attach(interfaces)
        except (KernelRefused, OSError) as why:
            self.device.close()
            self._folder.close()
            raise PlaneFailed(refused("tcx", why)) from None
        self._folder.forget_others()

    def attach(self, interfaces: Iterable[str]) -> None:
        try:
            self.missing = self._out.attach(interfaces)
        except OSError as why:
            raise PlaneFailed(refused("tcx", why)) from None

    def load(self, records: Records) -> None:
        bound = records[(records["kind"] == Kind.BINDING) & (records["home_address"] > 0)]
        homes, numbers = bound["home_address"], _tunnels(bound)
        _, which, count = np.unique(homes, return_inverse=True, return_counts=True)
        several = count[which] > 1
        numbers[several] = _several(homes[several])
        self._homes.replace(homes, numbers)
        found = frozenset(homes[several].tolist())
        for home in found | self._several.homes():
            self._several.put(home, _ends(self._rows_of(home) if home in found else []))
        if self._homes.behind is not None:
            self._homes.behind.replace(records)

    def follow(self, records: Records) -> None:
        """A renewal of the same binding, which is what most records are, changes nothing.

        Who had none has just what the record says. That is what a transfer is made of.
        """
        kind, homes = records["kind"], records["home_address"]
        ended = homes[(kind == Kind.UNBOUND) & (homes > 0)]
        places = np.flatnonzero((kind == Kind.BINDING) & (homes > 0))
        bound, tunnels = homes[places], _tunnels(records[places])
        before = self._homes.get_many(bound)
        changed = before != tunnels
        new, at, count = np.unique(
            bound[changed & (before == 0)], return_index=True, return_counts=True
        )
        alone = (count == 1) & ~np.isin(new, ended)
        self._homes.put_many(new[alone], tunnels[changed & (before == 0)][at[alone]])
        others = np.setdiff1d(np.concatenate([bound[changed], ended]), new[alone])
        for home in others.tolist():
            rows = self._rows_of(home)
            self._several.put(home, _ends(rows if len(rows) > 1 else []))
            self._homes.put(home, self._tunnel(home, rows))
        if self._homes.behind is not None:
            self._homes.behind.follow(records)

    def bearer(self, address: int) -> int:
        """The home address whose tunnel a packet to this address goes through."""
        return self._homes.bearer(address)

    @property
    def full(self) -> int:
        return self._homes.full + self._several.full

    def counted(self) -> tuple[Counted, ...]:
        return counted(self._reasons, words(Reason))

    def lead(self, home: int) -> str | None:
        address, port, kind = TUNNEL.unpack(
            self._homes.get(self.bearer(home)).to_bytes(8, "little")
        )
        if not kind:
            return None
        if kind == Tunnel.SEVERAL:
            return "a copy to each of its care-of addresses"
        to = f"{IPv4Address(address)}:{_swapped(port)}" if port else f"{IPv4Address(address)}"
        return f"{Tunnel(kind).name} to {to}"

    def programs(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(listing(code)) for name, code in self._code.items()}

    def close(self) -> None:
        self._into.close()
        self._out.close()
        self.device.close()
        self._folder.close()

    def _tunnel(self, home: int, rows: list[Row]) -> int:
        if not rows:
            return 0
        end = _end(rows[0]) if len(rows) == 1 else (home.to_bytes(4, "big"), 0, Tunnel.SEVERAL)
        return int.from_bytes(TUNNEL.pack(*end), "little")


def _end(row: Row) -> tuple[bytes, int, int]:
    """Of the binding's tunnel: address, port in network order, kind."""
    if row.traits & Trait.UDP_TUNNEL:
        return row.source_address.to_bytes(4, "big"), _swapped(row.source_port), Tunnel.UDP
    return row.care_of_address.to_bytes(4, "big"), 0, row.tunnel


def _ends(rows: list[Row]) -> frozenset[bytes]:
    """ONE_OF of each way that packets of these bindings come."""
    found = set()
    for row in rows:
        home, (address, port, kind) = row.home_address.to_bytes(4, "big"), _end(row)
        found.add(ONE_OF.pack(home, address, port, kind))
        if kind == Tunnel.MINIMAL:  # what has no place in it (RFC 2004, 2)
            found.add(ONE_OF.pack(home, address, port, Tunnel.IP))
    return frozenset(found)


def _several(homes: NDArray[Any]) -> NDArray[Any]:
    """TUNNEL of who has simultaneous bindings."""
    found: NDArray[Any] = homes.byteswap().astype(np.uint64)
    found |= np.uint64(Tunnel.SEVERAL << 48)
    return found


def _tunnels(records: Records) -> NDArray[Any]:
    """TUNNEL of each BINDING record, as numbers."""
    udp = records["traits"] & np.uint8(Trait.UDP_TUNNEL) > 0
    address = np.where(udp, records["source_address"], records["care_of_address"])
    port = np.where(udp, records["source_port"], 0).astype(np.uint64)
    kind = np.where(udp, np.uint8(Tunnel.UDP), records["tunnel"]).astype(np.uint64)
    found: NDArray[Any] = address.byteswap().astype(np.uint64)
    found |= ((port & 0xFF) << 8 | port >> 8) << np.uint64(32) | kind << np.uint64(48)
    return found


def _swapped(port: int) -> int:
    return int.from_bytes(port.to_bytes(2, "big"), "little")
