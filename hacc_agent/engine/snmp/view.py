"""Objects in their order: a handful of leaves and a table of half a million bindings, as one tree.

Leaves are told as they were within the last second, all at the same moment; bindings as they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from ...wire.agentx import Data, Kind, Name, VarBind
from ..effects import Moment
from ..record import Row
from . import objects
from .order import Order
from .walking import FLAG_BITS

FRESH_S: Final = 1.0
"""How old scalars may be when they are told."""


Value = tuple[Kind, Data]


class Part(Protocol):
    """Some of the objects."""

    def least(self, name: Name, *, inclusive: bool, now: Moment) -> VarBind | None:
        """The first one above a name (or of that name)."""
        ...

    def declares(self, name: Name) -> bool:
        """Whether there is such an object, with an instance or without."""
        ...


class View:
    """All parts, as one."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def get(self, name: Name, now: Moment) -> VarBind:
        """One object; NO_SUCH_OBJECT, NO_SUCH_INSTANCE as RFC 3416, 4.2.1 has them."""
        for part in self._parts:
            if part.declares(name):
                found = part.least(name, inclusive=True, now=now)
                if found is not None and found.name == name:
                    return found
                return VarBind(name, Kind.NO_SUCH_INSTANCE)
        return VarBind(name, Kind.NO_SUCH_OBJECT)

    def next(self, name: Name, end: Name, *, inclusive: bool, now: Moment) -> VarBind:
        """The first one above a name and below `end`, if there is one; END_OF_MIB_VIEW."""
        found = [part.least(name, inclusive=inclusive, now=now) for part in self._parts]
        best = min((bind for bind in found if bind), key=lambda bind: bind.name, default=None)
        if best is None or (end and best.name >= end):
            return VarBind(name, Kind.END_OF_MIB_VIEW)
        return best


class Leaves:
    """Objects whose names do not change: scalars, and tables of one row."""

    def __init__(
        self, names: Iterable[Name], read: Callable[[Moment], Mapping[Name, Value]]
    ) -> None:
        """`read` gives those of `names` that are known, each with its instance."""
        self._names = sorted(names)
        self._read = read
        self._values: Mapping[Name, Value] = {}
        self._read_at = float("-inf")

    def declares(self, name: Name) -> bool:
        at = bisect_left(self._names, name)
        return at < len(self._names) and self._names[at] == name

    def least(self, name: Name, *, inclusive: bool, now: Moment) -> VarBind | None:
        if now.steady - self._read_at >= FRESH_S:
            self._values, self._read_at = self._read(now), now.steady
        at = (bisect_left if inclusive else bisect_right)(self._names, name)
        for found in self._names[at:]:
            if found in self._values:
                return VarBind(found, *self._values[found])
        return None


# ---------------------------------------------------------------------- the table of bindings


_ENTRY: Final = objects.HA_MOBILITY_BINDING_ENTRY


def _address(number: int) -> Value:
    return Kind.IP_ADDRESS, number.to_bytes(4, "big")


def _signed(number: int) -> Value:
    """Integer32 for what has 32 bits: Identifications above 2**31 are negative in this MIB."""
    return Kind.INTEGER, (number & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000


def _flags(row: Row) -> Value:
    octet = sum(0x80 >> bit for bit, flag in FLAG_BITS.items() if row.flags & flag)
    return Kind.OCTET_STRING, bytes([octet])


_COLUMNS: Final[Mapping[int, Callable[[Row, Moment], Value]]] = {
    1: lambda row, _: _address(row.home_address),
    2: lambda row, _: _address(row.care_of_address),
    3: lambda row, _: _address(row.source_address),
    4: lambda row, _: _flags(row),
    5: lambda row, _: _signed(row.identification),
    6: lambda row, _: _signed(row.identification >> 32),
    7: lambda row, _: (Kind.INTEGER, row.lifetime),
    8: lambda row, now: (Kind.GAUGE32, max(0, min(row.lifetime, int(row.expires - now.steady)))),
}
"""haMobilityBindingEntry (RFC 2006): by the number of the column."""

FOREVER: Final = 0xFFFF
"""A lifetime that does not end: it always remains whole."""


class Bindings:
    """haMobilityBindingTable."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def declares(self, name: Name) -> bool:
        behind = objects.below(name, _ENTRY)
        return behind is not None and bool(behind) and behind[0] in _COLUMNS

    def least(self, name: Name, *, inclusive: bool, now: Moment) -> VarBind | None:
        behind = objects.below(name, _ENTRY)
        if behind is None and name > _ENTRY:
            return None
        if not behind:
            behind = (1,)
        column, index = behind[0], behind[1:]
        key, inclusive = _key(index, inclusive)
        while column <= max(_COLUMNS):
            found = self._order.least(key, inclusive=inclusive) if column else None
            if found is not None:
                return self._bind(column, *found, now)
            column, key, inclusive = column + 1, 0, True
        return None

    def _bind(self, column: int, key: int, number: int, now: Moment) -> VarBind:
        row = self._order.table.get(number)
        name = (*_ENTRY, column, *key.to_bytes(8, "big"))
        if column == 8 and row.lifetime == FOREVER:
            return VarBind(name, Kind.GAUGE32, FOREVER)
        return VarBind(name, *_COLUMNS[column](row, now))


def _key(index: Name, inclusive: bool) -> tuple[int, bool]:
    """Where to look from an index that may have any length and any numbers."""
    octets: list[int] = []
    for number in index[:8]:
        if number > 255:  # above all that begin as it does
            return int.from_bytes(bytes([*octets, *[255] * (8 - len(octets))]), "big"), False
        octets.append(number)
    key = int.from_bytes(bytes([*octets, *[0] * (8 - len(octets))]), "big")
    if len(index) < 8:
        return key, True
    return key, inclusive and len(index) == 8
