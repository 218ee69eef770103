"""What the daemon knows of a data plane, whatever moves the packets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..engine.record import Records, Row


class PlaneFailed(Exception):
    """Packets cannot be moved in this way: says what the kernel refused."""


class Neighbour(NamedTuple):
    """Where frames for a member go."""

    mac: int
    own_mac: int
    interface: int  # its index


@dataclass(frozen=True, slots=True)
class Counted:
    """Packets that the kernel has seen, since the plane was made."""

    reason: str
    packets: int
    octets: int


class Plane(Protocol):
    """Common to both roles."""

    kind: str
    """What moves packets: "tcx", "nftables"."""
    missing: tuple[str, ...]
    """Interfaces that were asked for and are not there."""

    @property
    def full(self) -> int:
        """How often something found no room in the kernel's maps."""
        ...

    def load(self, records: Records) -> None:
        """All that the engine's tables hold; what the plane knew beyond it is forgotten."""
        ...

    def follow(self, records: Records) -> None:
        """What has just been decided, in its order."""
        ...

    def attach(self, interfaces: Iterable[str]) -> None:
        """Packets that arrive there are seen; an interface that came back is seen again.

        Raises `PlaneFailed`.
        """
        ...

    def counted(self) -> tuple[Counted, ...]: ...

    def lead(self, home: int) -> str | None:
        """Where packets of a home address go, in words; None: nowhere."""
        ...

    def programs(self) -> dict[str, tuple[str, ...]]:
        """What sees the packets, line by line, by its name."""
        ...

    def close(self) -> None:
        """Packets go on passing where that is pinned."""
        ...


class RelayPlane(Plane, Protocol):
    """A controller's: home address -> slot -> member."""

    def repoint(self, slots: Iterable[int], member: int) -> None:
        """These slots are served by this member; no packet is lost in between."""
        ...

    def reach(self, member: int, neighbour: Neighbour | None) -> None:
        """Where it is now; None: nowhere."""
        ...

    def carried(self) -> tuple[Counted, ...]:
        """By each member, under its number."""
        ...


SlotOf = Callable[[int], int | None]
"""From a home address to the slot of its binding or pending request, if it has one."""

RowsOf = Callable[[int], list[Row]]
"""From a home address to its bindings, one for each care-of address."""
