"""The table against a plain model of it, and the laws that restart and replication stand on.

The model keeps rows in Python lists and knows the rules by their words. A few addresses, names and
care-of addresses, and a hash with two values, bring about every kind of company that rows can have:
two mobile nodes with one address, one NAI with two addresses, an address that comes later, NAIs
that collide. A batch has to do what its records do one by one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.ledger import mix
from hacc_agent.engine.names import Names
from hacc_agent.engine.record import (
    OCTETS,
    SLOT,
    STRUCT,
    Kind,
    Row,
    SlotChange,
    name_records,
)
from hacc_agent.engine.table import CROWD, Crowded, Full, NameConflict, Table, UnknownName
from tests.tables import (
    LONG,
    LONGEST,
    NAIS,
    PUTS,
    SEED,
    Colliding,
    as_records,
    assert_same,
    changes,
    contents,
    conversations,
    table_of,
)


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

    def same(self, home: int, nai: bytes | None, care_of: int) -> list[Entry]:
        alike = [e for e in self.of(home, nai) if e.values.care_of_address == care_of]
        exact = [e for e in alike if (e.values.home_address, e.nai) == (home, nai)]
        return exact or alike

    def put(self, values: Row, nai: bytes | None) -> bool:
        same = self.same(values.home_address, nai, values.care_of_address)
        for other in same[1:]:
            self.remove(other)
        entry = same[0] if same else Entry(values, nai)
        if not same:
            if len(self.entries()) == self.capacity:
                return False
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
            ended = self.same(values.home_address, nai, values.care_of_address)[:1]
        else:
            ended = self.of(values.home_address, nai)
        for entry in ended:
            self.remove(entry)


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


@given(conversations, st.booleans())
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
    digest = sum(mix(source.rows).tolist()) % 2**64
    for table in (source, single, whole):
        agree(table, model)
        assert table.digest() == digest


@pytest.mark.parametrize("mobiles", [3, 40, 400], ids=lambda count: f"{count} mobile nodes")
@pytest.mark.parametrize("colliding", [False, True], ids=["", "colliding"])
@pytest.mark.parametrize("seed", range(4))
def test_a_long_log_gives_what_its_records_give_one_by_one(
    seed: int, colliding: bool, mobiles: int
) -> None:
    """Some records of most mobile nodes, many of some: all the ways in which a block comes apart.

    Hypothesis makes short logs, which are mostly one by one.
    """
    chance = random.Random(seed)
    source, whole = table_of(3 * mobiles + 10, colliding), table_of(3 * mobiles + 10, colliding)
    log = []
    for _ in range(1500):
        number = chance.randrange(mobiles)
        home, nai = number + 1, b"%d" % number if number % 3 else None
        if number % 7 == 1 and chance.random() < 0.2:  # without its address, of its neighbour's
            home = chance.choice([0 if nai else number + 3, number + 2])
        elif number % 7 == 2 and chance.random() < 0.2:  # without its NAI, with its neighbour's
            nai = chance.choice([None, b"%d" % (number + 2)])
        kind = chance.choice([*PUTS, Kind.BINDING, Kind.UNBOUND, Kind.SETTLED])
        care_of = chance.choice([1, 1, 1, 2]) if kind in PUTS else chance.choice([0, 1, 1, 2])
        values = Row(
            int(kind), home_address=home, care_of_address=care_of, expires=chance.getrandbits(32)
        )
        log.append(as_records(values, nai, source.names))
        source.apply(log[-1])
    whole.apply(b"".join(log))
    assert contents(whole) == contents(source)
    assert whole.digest() == source.digest() == sum(mix(source.rows).tolist()) % 2**64
    for number in range(mobiles):
        for home in (0, number + 1):
            found, expected = (t.find(home, b"%d" % number) for t in (whole, source))
            assert whole.get(found)._replace(nai=0) == source.get(expected)._replace(nai=0)


def test_a_number_that_changes_hands_within_a_log() -> None:
    """The names of a block are learned first, but not when that would change what it says."""
    table = Table(8, SEED, Colliding(40, 10, SEED))
    number = table.hash_nai(b"mn1")
    row = Row(Kind.BINDING, home_address=1, care_of_address=1, nai=number)
    end = row._replace(kind=Kind.UNBOUND)
    log = (
        name_records(b"mn1", number)
        + STRUCT.pack(*row)
        + STRUCT.pack(*end)
        + name_records(b"mn2", number)
        + STRUCT.pack(*row._replace(home_address=2))
    )
    table.apply(log)
    assert table.nai(table.find(2)) == b"mn2"
    assert not table.find(1)


@given(conversations, st.booleans())
def test_a_log_applied_twice_is_a_log_applied_once(
    sequence: list[tuple[Row, bytes | None]], colliding: bool
) -> None:
    """Each record twice in a row, as a standby may hear it again after it has connected again."""
    once, twice = table_of(200, colliding), table_of(200, colliding)
    for values, nai in sequence:
        records = as_records(values, nai, once.names)
        once.apply(records)
        twice.apply(records + records)
    assert contents(once) == contents(twice)
    assert once.digest() == twice.digest()


@given(conversations, st.integers(0, 400), st.integers(0, 400))
def test_memory_that_was_expected_makes_no_difference(
    sequence: list[tuple[Row, bytes | None]], rows: int, names: int
) -> None:
    """Too little, too much, or when the table is in use already."""
    plain, expected = table_of(200), table_of(200)
    for values, nai in sequence:
        expected.expect(rows, names)
        records = as_records(values, nai, plain.names)
        plain.apply(records)
        expected.apply(records)
    assert_same(plain, expected)


@given(conversations, st.booleans(), st.integers(0, 20))
def test_a_snapshot_is_the_table(
    sequence: list[tuple[Row, bytes | None]], colliding: bool, more: int
) -> None:
    """Also while the table goes on: then what is logged meanwhile completes it."""
    table, copy = table_of(200, colliding), table_of(200, colliding)
    for values, nai in sequence[more:]:
        table.apply(as_records(values, nai, table.names))
    copy.apply(b"".join(table.snapshot()))
    assert contents(copy) == contents(table)
    assert copy.digest() == table.digest()
    for values, nai in sequence[:more]:
        records = as_records(values, nai, table.names)
        table.apply(records)
        copy.apply(records)
    # Who of several was first is not in a snapshot, so ambiguous records may end another one.
    if not any(values.home_address < 10 for values, _ in sequence):
        assert copy.digest() == table.digest()


@given(conversations, st.randoms(use_true_random=False))
def test_a_digest_is_of_the_rows_not_of_their_order(
    sequence: list[tuple[Row, bytes | None]], chance: random.Random
) -> None:
    table, other = table_of(200), table_of(200)
    for values, nai in sequence:
        table.apply(as_records(values, nai, table.names))
    entries = contents(table)
    chance.shuffle(entries)
    for values, nai in entries:
        if other.find(values.home_address, nai):
            return  # a second row of one mobile node: which is found depends on the order
        other.put(values, nai)
    assert other.digest() == table.digest()
    for row in np.flatnonzero(other.rows["kind"]).tolist()[:1]:
        values = other.get(row)
        other.put(values._replace(expires=values.expires ^ 1), other.nai(row) or None)
        assert other.digest() != table.digest()


def test_a_digest_sees_two_highest_bits() -> None:
    """They would cancel out in a sum of products modulo 2**64."""
    table, other = table_of(1), table_of(1)
    row = Row(Kind.BINDING, home_address=1, care_of_address=1)
    table.put(row)
    other.put(row._replace(identification=2**63, revocation=2**31))
    assert table.digest() != other.digest()


# ------------------------------------------------------------------ bounds


def test_who_agrees_with_two_takes_the_place_of_both() -> None:
    """Else a snapshot would not be the table: put in any order, they are one row."""
    table, copy = Table(8, SEED), Table(8, SEED)
    row = Row(Kind.BINDING, home_address=1, care_of_address=1)
    for nai in (b"a", b"b", None):
        table.put(row, nai)
    assert contents(table) == [(row, None)]
    copy.apply(b"".join(table.snapshot()))
    assert contents(copy) == contents(table)
    assert not table.names.find(b"a") or not table.find(0, b"a")


def test_a_full_table_says_so_and_takes_what_it_knows() -> None:
    table = Table(2, SEED)
    for home in (1, 2):
        table.put(Row(Kind.BINDING, home_address=home, care_of_address=1))
    with pytest.raises(Full, match="2 rows"):
        table.put(Row(Kind.BINDING, home_address=3, care_of_address=1))
    table.put(Row(Kind.BINDING, home_address=2, care_of_address=1, expires=7))
    assert table.get(table.find(2)).expires == 7
    assert not table.find(3)
    log = STRUCT.pack(*Row(Kind.BINDING, home_address=3, care_of_address=1))
    with pytest.raises(Full):
        table.apply(log)


@pytest.mark.parametrize("home", [1, 0], ids=["one address", "one NAI"])
def test_a_crowd_is_refused(home: int) -> None:
    """Walks over the rows of a mobile node stay short, whatever anybody sends."""
    table = Table(1000, SEED)
    for care_of in range(1, CROWD + 1):
        table.put(Row(Kind.PENDING, home_address=home, care_of_address=care_of), b"mn@x")
    with pytest.raises(Crowded):
        table.put(Row(Kind.PENDING, home_address=home, care_of_address=CROWD + 1), b"mn@x")
    table.put(Row(Kind.PENDING, home_address=home, care_of_address=CROWD, expires=7), b"mn@x")
    assert len(table) == CROWD


def test_many_addresses_of_one_nai_are_no_crowd() -> None:
    table = Table(1000, SEED)
    for home in range(1, 1000):
        table.put(Row(Kind.BINDING, home_address=home, care_of_address=1), b"@example.net")
    assert table.get(table.find(500, b"@example.net")).home_address == 500


def test_names_go_with_their_last_row_after_a_while() -> None:
    """New subscribers all day do not fill the names up; who is bound keeps his."""
    table = Table(8, SEED, Names(40, 10, SEED))
    kept = table.put(Row(Kind.BINDING, home_address=1, care_of_address=1), LONGEST)
    for number in range(1000):
        row = table.put(Row(Kind.BINDING, home_address=2, care_of_address=1), b"mn%d" % number)
        table.remove(row)
        assert table.names.find(b"mn%d" % number)
        if number >= 10:
            assert not table.names.find(b"mn%d" % (number - 10))
    assert table.nai(kept) == LONGEST


def test_a_table_beside_another_keeps_its_names() -> None:
    table = Table(8, SEED, Names(40, 1, SEED))
    pending = table.beside(4)
    row = pending.put(Row(Kind.PENDING, care_of_address=1), b"mn@x")
    bound = table.put(Row(Kind.BINDING, home_address=1, care_of_address=1), b"mn@x")
    assert table.names.introduce(b"mn@x")[1] == b""
    pending.remove(row)
    assert table.names.introduce(b"mn@x")[1] == b""
    table.remove(bound)
    assert table.names.introduce(b"mn@x")[1] != b""


def test_no_room_for_a_name_is_told() -> None:
    table = Table(8, SEED, Names(2, 3, SEED))
    for home, nai in ((1, b"a"), (2, LONG)):
        table.put(Row(Kind.BINDING, home_address=home, care_of_address=1), nai)
    with pytest.raises(Full, match="name"):
        table.put(Row(Kind.BINDING, home_address=3, care_of_address=1), b"c")
    assert len(table) == 2


# ------------------------------------------------------------------ damaged logs


def test_a_record_of_an_unknown_name_is_refused() -> None:
    log = STRUCT.pack(*Row(Kind.BINDING, home_address=1, care_of_address=1, nai=7 << 32))
    with pytest.raises(UnknownName):
        Table(8, SEED).apply(log)


@pytest.mark.parametrize(
    "log",
    [
        name_records(b"mn@x", Names(8, 1, SEED + 1).hash_nai(b"mn@x")),
        name_records(LONGEST, Names(8, 1, SEED).hash_nai(LONGEST))[OCTETS:],
    ],
    ids=["another seed", "the first part is missing"],
)
def test_a_name_that_cannot_be_is_refused(log: bytes) -> None:
    with pytest.raises(NameConflict):
        Table(8, SEED).apply(log)


def test_a_name_in_use_keeps_its_number() -> None:
    table = Table(8, SEED, Colliding(40, 10, SEED))
    number = table.hash_nai(b"mn1")
    table.put(Row(Kind.BINDING, home_address=1, care_of_address=1), b"mn1")
    with pytest.raises(NameConflict, match="in use"):
        table.apply(name_records(b"mn2", number))


def test_a_long_name_may_come_in_two_pieces_of_the_log() -> None:
    table = Table(8, SEED)
    log = name_records(LONGEST, table.hash_nai(LONGEST))
    table.apply(log[: 3 * OCTETS])
    table.apply(log[3 * OCTETS :])
    assert table.names.find(LONGEST)


def test_other_kinds_are_passed_over() -> None:
    table = Table(8, SEED)
    table.apply(SLOT.pack(*SlotChange(Kind.SLOT, 0, 1, 2)))
    assert len(table) == table.digest() == 0


def test_rows_and_names_that_come_and_go_leave_nothing_behind() -> None:
    """A small table serves any number of mobile nodes one after the other."""
    table = Table(8, SEED, Names(40, 16, SEED))
    for turn in range(500):
        changes = [
            (Row(Kind.PENDING, home_address=8 * turn + n, care_of_address=1), b"%d-%d" % (turn, n))
            for n in range(1, 9)
        ]
        for row in [table.put(values, nai) for values, nai in changes]:
            table.remove(row)
    assert len(table) == table.digest() == 0
    assert not table.rows.view(np.uint8).any()
    assert not table.count_by_slot().any()
    assert b"".join(table.snapshot()) == b""
