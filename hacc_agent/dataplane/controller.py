"""A controller's plane in the kernel: the relay's program, and the maps that say who is where.

A member's entry has two places, used in turn: where it is now is written into the other one, and
its slots then lead there, each by one store. So no packet meets half of a MAC address.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..engine.record import Records
from .attachment import Attachment
from .homes import ended, held
from .interfaces import has_driver, mac_of
from .kernel import Attach, KernelRefused, MapKind, Program, ProgramKind
from .listing import listing
from .maps import Folder, HomeMaps, counted, refused, words
from .packet import COUNTER
from .plane import Counted, Neighbour, PlaneFailed, SlotOf
from .relay import ENTRY, FRAGMENT, FRAGMENTED, Maps, Reason, Relay, Unknown, program

_WORD: Final = Struct("=I")


class TcxRelay:
    """`plane.RelayPlane` by eBPF: in the drivers if all of them can, else at tcx."""

    def __init__(
        self,
        home_agent_address: IPv4Address,
        networks: tuple[IPv4Network, ...],
        interfaces: tuple[str, ...],
        slots: NDArray[Any],
        members: int,
        slot_of: SlotOf,
        *,
        port: int = 434,
        unknown: Unknown = Unknown.DROP,
        mobile_networks: bool = False,
        folder: Folder | None = None,
    ) -> None:
        """`slots`: who serves each now. `mobile_networks`: whether there ever are any.

        Raises `PlaneFailed`.
        """
        self._slot_of = slot_of
        kept = (home_agent_address, networks, len(slots), members, port, unknown)
        shape = (*kept, mobile_networks)
        self._folder = folder or Folder("relay", shape)
        self._served: Final = slots.astype(np.int64)
        self._place: Final = [0] * members  # of each member's two entries the one in use
        self._known: Final = [False] * members
        make = self._folder.map
        try:
            self._homes: Final = HomeMaps(
                self._folder, networks, 4, mobile_networks=mobile_networks
            )
            slot_map = make(MapKind.ARRAY, 4, 4, len(slots), "slots")
            self._entries: Final = make(MapKind.ARRAY, 4, ENTRY.size, 2 * members, "entries")
            fragments = make(MapKind.LRU_HASH, FRAGMENT.size, 4, FRAGMENTED, "fragments")
            self._reasons: Final = make(
                MapKind.PER_CPU_ARRAY, 4, COUNTER.size, len(Reason), "reasons"
            )
            self._members: Final = make(MapKind.PER_CPU_ARRAY, 4, COUNTER.size, members, "members")
            self._slots: Final = slot_map.view().view(np.uint32)[:, 0]
            self._relay: Final = Relay(home_agent_address, port, unknown, len(slots))
            self._maps: Final = Maps(
                self._homes.homes,
                *(slot_map.descriptor, self._entries.descriptor, fragments.descriptor),
                *(self._reasons.descriptor, self._members.descriptor),
            )
            self._code: Final = program(self._relay, self._maps)
            self._attachment = Attachment(self._at_tcx, Attach.TCX_INGRESS, self._folder.path)
            self.kind = "tcx"
            self.missing: tuple[str, ...] = ()
            self._attach_first(interfaces)
        except (KernelRefused, OSError) as why:
            self._folder.close()
            raise PlaneFailed(refused("tcx", why)) from None
        self._folder.forget_others()

    def load(self, records: Records) -> None:
        self._homes.replace(*held(records))
        if self._homes.behind is not None:
            self._homes.behind.replace(records)

    def follow(self, records: Records) -> None:
        self._homes.put_many(*held(records))
        for home in ended(records):
            slot = self._slot_of(home)
            self._homes.put(home, 0 if slot is None else slot + 1)
        if self._homes.behind is not None:
            self._homes.behind.follow(records)

    def repoint(self, slots: Iterable[int], member: int) -> None:
        which = np.fromiter(slots, np.int64)
        self._served[which] = member
        self._slots[which] = self._entry(member)

    def reach(self, member: int, neighbour: Neighbour | None) -> None:
        self._known[member] = neighbour is not None
        if neighbour is not None:
            self._place[member] ^= 1
            self._entries.put(
                _WORD.pack(2 * member + self._place[member]),
                ENTRY.pack(
                    neighbour.mac.to_bytes(6, "big"),
                    neighbour.own_mac.to_bytes(6, "big"),
                    neighbour.interface,
                    member + 1,
                ),
            )
        self._slots[self._served == member] = self._entry(member)

    def _attach_first(self, interfaces: tuple[str, ...]) -> None:
        """A driver that sees frames itself can only send them to one that can as well."""
        if interfaces and all(map(has_driver, interfaces)):
            native = Attachment(self._in_driver, Attach.XDP, self._folder.path)
            try:
                self.missing = native.attach(interfaces)
            except (KernelRefused, OSError):
                native.detach()
            else:
                self.kind, self._attachment = "xdp", native
                return
        self.missing = self._attachment.attach(interfaces)

    def attach(self, interfaces: Iterable[str]) -> None:
        try:
            self.missing = self._attachment.attach(interfaces)
        except OSError as why:
            raise PlaneFailed(refused("tcx", why)) from None

    def _at_tcx(self, _interface: str) -> Program:
        return Program.load(ProgramKind.SCHED_CLS, Attach.TCX_INGRESS, self._code, "hacc_relay")

    def _in_driver(self, interface: str) -> Program:
        return self.for_driver(mac_of(interface))

    def for_driver(self, mac: int) -> Program:
        """The same for XDP, on the interface with this MAC address. Raises `KernelRefused`."""
        code = program(self._relay, self._maps, mac)
        return Program.load(ProgramKind.XDP, Attach.XDP, code, "hacc_relay")

    @property
    def full(self) -> int:
        return self._homes.full

    def counted(self) -> tuple[Counted, ...]:
        return counted(self._reasons, words(Reason))

    def carried(self) -> tuple[Counted, ...]:
        """By member, under its number."""
        return counted(self._members, map(str, range(len(self._known))))

    def lead(self, home: int) -> str | None:
        slot = self._homes.get(self._homes.bearer(home)) - 1
        if slot < 0:
            return None
        return f"slot {slot}, " + ("to its member" if self._slots[slot] else "nobody is reached")

    def programs(self) -> dict[str, tuple[str, ...]]:
        return {self.kind: tuple(listing(self._code))}

    def close(self) -> None:
        self._attachment.close()
        self._folder.close()

    def _entry(self, member: int) -> int:
        return 2 * member + self._place[member] + 1 if self._known[member] else 0
