"""What happens to the mobile nodes of a table, with so few values that they meet, for its laws."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from hacc_agent.engine.arrays import IndexArrays, NameArrays, TableArrays
from hacc_agent.engine.names import Names
from hacc_agent.engine.record import STRUCT, Kind, Row
from hacc_agent.engine.table import Table

SEED = 0x5EED
LONG = b"0234150999999999@nai.epc.mnc015.mcc234.3gppnetwork.org"  # TS 23.003, 19.3.2: two cells
LONGEST = b"x" * 240 + b"@example.net1"
NAIS = (b"", b"a", b"a\0", b"mn1@example.net", LONG, LONG[:-1] + b"x", LONGEST, LONGEST[:-1] + b"2")
PUTS = (Kind.BINDING, Kind.PENDING, Kind.CLOSED)


class Colliding(Names):
    """Every NAI has one of two hashes."""

    def hash_nai(self, nai: bytes) -> int:
        return super().hash_nai(nai) % 2 + (7 << 32)


@st.composite
def changes(
    draw: st.DrawFn, kinds: tuple[Kind, ...] = tuple(Kind)[1:6]
) -> tuple[Row, bytes | None]:
    """What happens to a mobile node, with few enough values that they meet."""
    nai = draw(st.none() | st.sampled_from(NAIS))
    home = draw(st.integers(1 if nai is None else 0, 3))
    kind = draw(st.sampled_from(kinds))
    care_of = draw(st.integers(1 if kind in PUTS else 0, 3))
    values = Row(
        int(kind),
        home_address=home,
        care_of_address=care_of,
        slot=draw(st.integers(0, 3)),
        expires=draw(st.sampled_from([0, 50, 100, 2**32 - 1])),
        identification=draw(st.sampled_from([0, 2**63, 2**64 - 1])),
    )
    return values, nai


@st.composite
def plain_changes(draw: st.DrawFn) -> tuple[Row, bytes | None]:
    """What happens to one of many mobile nodes that nobody else is mistaken for."""
    number = draw(st.integers(10, 30))
    values, _ = draw(changes())
    care_of = draw(st.integers(1, 2)) if values.care_of_address else 0
    nai = b"mn%d@example.net" % number if number % 3 else None
    home = number if number % 3 < 2 else 0
    return values._replace(home_address=home, care_of_address=care_of), nai


conversations = st.lists(st.one_of(changes(), plain_changes(), plain_changes()), max_size=80)


def table_of(capacity: int, colliding: bool = False) -> Table:
    if colliding:
        return Table(capacity, SEED, Colliding(2000, 1000, SEED))
    return Table(capacity, SEED)


def as_records(values: Row, nai: bytes | None, names: Names) -> bytes:
    """As an engine would log it."""
    number, told = names.introduce(nai) if nai is not None else (0, b"")
    return told + STRUCT.pack(*values._replace(nai=number))


def contents(table: Table) -> list[tuple[Row, bytes | None]]:
    found = []
    for row in np.flatnonzero(table.rows["kind"]).tolist():
        values = table.get(row)
        found.append((values._replace(nai=0), table.nai(row) if values.nai else None))
    return sorted(found, key=repr)


def assert_same(one: Table, other: Table) -> None:
    """Not only what they hold: their memory, octet by octet."""
    assert one.digest() == other.digest()  # which adds up what the classes have noted
    _same(one.arrays, other.arrays)
    _same(one.names.arrays, other.names.arrays)


def _same(
    one: TableArrays | NameArrays | IndexArrays, other: TableArrays | NameArrays | IndexArrays
) -> None:
    for name in set(one._fields) - {"text"}:  # between two uses it may hold anything
        mine, its = getattr(one, name), getattr(other, name)
        if isinstance(mine, IndexArrays):
            _same(mine, its)
        else:
            assert mine.tobytes() == its.tobytes(), name
