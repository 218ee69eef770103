"""The table against a plain model of it, and the laws that restart and replication stand on.

The model keeps rows in Python lists and knows the rules by their words. A few addresses, names and
care-of addresses, and a hash with two values, bring about every kind of company that rows can have:
two mobile nodes with one address, one NAI with two addresses, an address that comes later, NAIs
that collide. A batch has to do what its records do one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hacc_agent.engine.names import Names
from hacc_agent.engine.record import (
    OCTETS,
    STRUCT,
    Kind,
    Row,
)
from hacc_agent.engine.table import (
    Full,
    Table,
)
from hacc_agent.engine.texts import Texts

SEED = 0x5EED
LONG = b"0234150999999999@nai.epc.mnc015.mcc234.3gppnetwork.org"  # TS 23.003, 19.3.2: two cells
LONGEST = b"x" * 240 + b"@example.net1"
NAIS = (b"", b"a", b"a\0", b"mn1@example.net", LONG, LONG[:-1] + b"x", LONGEST)
PUTS = (Kind.BINDING, Kind.PENDING, Kind.CLOSED)


class Colliding(Names):
    """Every NAI has one of two hashes."""

    def hash_nai(self, nai: bytes) -> int:
        return super().hash_nai(nai) % 2 + (7 << 32)

    def hash_batch(self, texts: Texts) -> NDArray[np.uint64]:
        return super().hash_batch(texts) % np.uint64(2) + np.uint64(7 << 32)


@dataclass(eq=False)
class Entry:
    """A row of the model."""

    values: Row
    nai: bytes | None


@dataclass
class Model:
    """What a table is, in words of one syllable."""

    capacity: int
    by_address: dict[int, list[Entry]] = field(default_factory=dict)
    by_name: dict[bytes, list[Entry]] = field(default_factory=dict)

    def entries(self) -> list[Entry]:
        lists = [*self.by_address.values(), *self.by_name.values()]
        return list({id(entry): entry for each in lists for entry in each}.values())

    def of(self, home: int, nai: bytes | None) -> list[Entry]:
        found = [e for e in self.by_address.get(home, []) if nai is None or e.nai in (None, nai)]
        if nai is not None:
            named = self.by_name.get(nai, [])
            found += [e for e in named if not home or not e.values.home_address]
        return found

    def walk(self, entry: Entry) -> Iterator[Entry]:
        yield entry
        home = entry.values.home_address
        ring = self.by_address[home] if home else self.by_name[entry.nai or b""]
        for after in ring[ring.index(entry) + 1 :]:
            agrees = None in (entry.nai, after.nai) or entry.nai == after.nai
            if after.values.home_address == home and agrees:
                yield from self.walk(after)
                return

    def same(self, home: int, nai: bytes | None, care_of: int) -> Entry | None:
        alike = [e for e in self.of(home, nai) if e.values.care_of_address == care_of]
        exact = [e for e in alike if (e.values.home_address, e.nai) == (home, nai)]
        return next(iter(exact + alike), None)

    def put(self, values: Row, nai: bytes | None) -> bool:
        entry = self.same(values.home_address, nai, values.care_of_address)
        if not entry:
            if len(self.entries()) == self.capacity:
                return False
            entry = Entry(values, nai)
        elif (entry.values.home_address, entry.nai) == (values.home_address, nai):
            entry.values = values
            return True
        else:
            self.remove(entry)
        entry.values, entry.nai = values, nai
        if values.home_address:
            self.by_address.setdefault(values.home_address, []).append(entry)
        if nai is not None:
            named = self.by_name.setdefault(nai, [])
            named.insert(len(named) if values.home_address else 0, entry)
        return True

    def remove(self, entry: Entry) -> None:
        for lists in (self.by_address, self.by_name):
            for each in lists.values():
                if entry in each:
                    each.remove(entry)

    def end(self, values: Row, nai: bytes | None) -> None:
        if values.care_of_address:
            one = self.same(values.home_address, nai, values.care_of_address)
            ended = [one] if one else []
        else:
            ended = self.of(values.home_address, nai)
        for entry in ended:
            self.remove(entry)


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


def table_of(capacity: int, colliding: bool = False) -> Table:
    if colliding:
        return Table(capacity, SEED, Colliding(200, 100, SEED))
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


def expected(model: Model) -> list[tuple[Row, bytes | None]]:
    return sorted(((e.values, e.nai) for e in model.entries()), key=repr)


def walk(table: Table, row: int) -> Iterator[int]:
    while row:
        yield row
        row = table.following(row)


def agree(table: Table, model: Model) -> None:
    """Every question that can be put to a table has the model's answer."""
    assert contents(table) == expected(model)
    entries = model.entries()
    assert len(table) == len(entries)
    assert table.room == model.capacity - len(entries)
    assert table.full == (len(entries) == model.capacity)
    for home in range(4):
        for nai in (None, *NAIS):
            row = table.find(home, nai)
            found = model.of(home, nai)
            assert bool(row) == bool(found)
            if row:
                assert table.get(row)._replace(nai=0) == found[0].values
                walked = [table.get(r)._replace(nai=0) for r in walk(table, row)]
                assert walked == [entry.values for entry in model.walk(found[0])]
    for now in (0, 49, 50, 100, 2**32 - 2):
        due = [table.get(row)._replace(nai=0) for row in table.expired(now).tolist()]
        assert sorted(due) == sorted(e.values for e in entries if e.values.expires <= now)
    counts = table.count_by_slot()
    for slot in range(4):
        bound = [e for e in entries if e.values.slot == slot and e.values.kind != Kind.CLOSED]
        assert counts[slot] == len(bound)
    addresses = np.arange(5, dtype=np.uint32)
    heads = [table.find(home) for home in range(5)]
    assert table.find_addresses(addresses).tolist() == heads
    texts = matrix(NAIS)
    hashes = table.hash_nais(*texts)
    assert hashes.tolist() == [table.hash_nai(nai) for nai in NAIS]
    assert table.find_nais(hashes, *texts).tolist() == [table.find(0, nai) for nai in NAIS]


def matrix(
    nais: tuple[bytes, ...],
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """NAIs as they stand in datagrams: at different offsets, among other octets."""
    octets = np.full((len(nais), 272), 0xEE, np.uint8)
    offset = np.array([5 + n * 2 for n in range(len(nais))])
    for n, nai in enumerate(nais):
        octets[n, offset[n] : offset[n] + len(nai)] = np.frombuffer(nai, np.uint8)
    return octets, offset, np.array([len(nai) for nai in nais])


# ------------------------------------------------------------------ the model


@given(st.lists(changes(), max_size=60), st.booleans(), st.integers(4, 12))
def test_any_sequence_of_puts_and_removes_gives_what_the_model_gives(
    sequence: list[tuple[Row, bytes | None]], colliding: bool, capacity: int
) -> None:
    table, model = table_of(capacity, colliding), Model(capacity)
    for values, nai in sequence:
        if values.kind in PUTS:
            try:
                row = table.put(values, nai)
            except Full:
                assert not model.put(values, nai)
            else:
                assert model.put(values, nai)
                assert table.get(row)._replace(nai=0) == values
                assert table.nai(row) == (nai or b"")
        else:
            row, first = table.find(values.home_address, nai), model.of(values.home_address, nai)
            if row:
                table.remove(row)
                model.remove(first[0])
    agree(table, model)


@given(st.lists(changes(), max_size=60), st.booleans())
def test_a_log_gives_what_its_records_give_one_by_one(
    sequence: list[tuple[Row, bytes | None]], colliding: bool
) -> None:
    source, single, whole = (table_of(200, colliding) for _ in range(3))
    model = Model(200)
    log = b""
    for values, nai in sequence:
        records = as_records(values, nai, source.names)
        log += records
        source.apply(records)
        if values.kind in PUTS:
            model.put(values, nai)
        else:
            model.end(values, nai)
    for at in range(0, len(log), OCTETS):
        single.apply(log[at : at + OCTETS])
    whole.apply(log)
    for table in (source, single, whole):
        agree(table, model)
        assert table.digest() == source.digest()
