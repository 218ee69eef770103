"""Compiled code on a table against the table's own rules: the same history, the same memory.

Not only the same answers: every array is the same afterwards, octet by octet, so that whatever the
classes do next to what a kernel left is what they would have done anyway.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.kernels import names as kn
from hacc_agent.engine.kernels import tables as kt
from hacc_agent.engine.kernels.numbers import u8
from hacc_agent.engine.kernels.replaying import replay
from hacc_agent.engine.names import Names
from hacc_agent.engine.record import OCTETS, RECORD, STRUCT, Kind, Row, name_records
from hacc_agent.engine.table import Full, NameConflict, Table, UnknownName
from tests.tables import (
    LONGEST,
    NAIS,
    PUTS,
    SEED,
    as_records,
    assert_same,
    changes,
    conversations,
)

Change = tuple[Row, bytes | None]


def table_of(capacity: int, colliding: bool, names: int = 2000, recent: int = 1000) -> Table:
    return Table(capacity, SEED, Crowding(names, recent, SEED) if colliding else None)


class Crowding(Names):
    """Every NAI has the same hash, since all keys are 0."""

    def __init__(self, capacity: int, recent: int, seed: int) -> None:
        super().__init__(capacity, recent, seed)
        self.arrays.keys[:] = 0

    def hash_nai(self, _nai: bytes) -> int:
        return 1 << 32


# ------------------------------------------------------------------ one mobile node at a time


def quickly(table: Table, values: Row, nai: bytes | None) -> bool:
    """As an engine does it: what is plain through kernels. Whether it was."""
    rows, names = table.arrays, table.names.arrays
    cell = 0
    if nai is not None:
        octets = np.frombuffer(b"??" + nai, np.uint8).copy()
        hashed = kn.hash_nai(names, octets, 2, len(nai))
        assert hashed == table.hash_nai(nai)
        cell = kn.find_name(names, u8(hashed), octets, 2, len(nai))
        assert cell == table.names.find(nai)
        if values.kind in PUTS:
            cell = kn.intern_name(names, u8(hashed), octets, 2, len(nai))
            if cell == kn.NOT_PLAIN:
                return False
        elif not cell:
            return False
        values = values._replace(nai=kn.number_of(names, cell))
    row = kt.look_up(rows, values.home_address, cell)
    if row == kn.NOT_PLAIN:
        return False
    if values.kind in PUTS:
        return kt.put(rows, names, row, cell, np.array([values], RECORD), 0) != kn.NOT_PLAIN
    if row:
        kt.remove(rows, names, row)
    return True


def slowly(table: Table, values: Row, nai: bytes | None) -> None:
    if values.kind not in PUTS:
        if row := table.find(values.home_address, nai):
            table.remove(row)
        return
    with contextlib.suppress(Full):
        table.put(values, nai)


@given(st.lists(changes(), max_size=60) | conversations, st.booleans(), st.integers(4, 12))
def test_what_is_plain_leaves_what_the_table_leaves(
    sequence: list[Change], colliding: bool, capacity: int
) -> None:
    kept, quick = table_of(capacity, colliding), table_of(capacity, colliding)
    for values, nai in sequence:
        if not quickly(quick, values, nai):
            slowly(quick, values, nai)
        slowly(kept, values, nai)
        assert_same(quick, kept)


@pytest.mark.parametrize("recent", [1, 5, 40])
def test_names_come_and_go_in_the_same_places(recent: int) -> None:
    """With a ring that is full all the time, and cells that are used again and again."""
    kept, quick = (Table(8, SEED, Names(48, recent, SEED)) for _ in range(2))
    plain = 0
    for number in range(600):
        nai = b"%d" % number + b"x" * (number * 37 % 200)
        home = number % 5 + 1
        for kind in (Kind.UNBOUND, Kind.BINDING):
            values = Row(kind, home_address=home, care_of_address=1)
            before = kept.nai(kept.find(home)) if kind == Kind.UNBOUND and number >= 5 else nai
            plain += quickly(quick, values, before)
            if kind == Kind.BINDING or number >= 5:
                slowly(kept, values, before)
            assert_same(quick, kept)
    assert plain == 1200 - 5


@given(st.lists(st.binary(max_size=253), max_size=30, unique=True))
def test_a_name_is_told_as_its_records_say_it(nais: list[bytes]) -> None:
    names = Names(60, 60, SEED)
    out = np.zeros(6 * len(nais), RECORD)
    at = 0
    for nai in nais:
        at = kn.write_name_records(names.arrays, names.intern(nai), out, at)
    told = b"".join(name_records(nai, names.hash_nai(nai)) for nai in nais)
    assert out[:at].tobytes() == told


# ------------------------------------------------------------------ logs


def replayed(table: Table, log: bytes) -> int:
    """As `engine.replay`, with a count of what was not plain. Whatever is raised goes through."""
    records = np.frombuffer(log, RECORD).copy()
    at = singly = 0
    while at < len(records):
        at = replay(table.arrays, table.names.arrays, records, at)
        if at < len(records):
            table.apply(records[at : at + 1].tobytes())
            singly += 1
        at += 1
    return singly


def one_by_one(table: Table, log: bytes) -> None:
    for at in range(0, len(log), OCTETS):
        table.apply(log[at : at + OCTETS])


@given(conversations, st.booleans())
def test_a_log_leaves_what_its_records_leave_one_by_one(
    sequence: list[Change], colliding: bool
) -> None:
    source, single, whole = (table_of(200, colliding) for _ in range(3))
    log = b""
    for values, nai in sequence:
        log += as_records(values, nai, source.names)
        source.apply(as_records(values, nai, source.names))
    one_by_one(single, log)
    replayed(whole, log)
    assert_same(whole, single)


def test_the_log_of_plain_mobile_nodes_is_taken_whole() -> None:
    source, whole = table_of(400, False), table_of(400, False)
    log = b""
    for number in range(300):
        nai = (None, b"mn%d@example.net" % number, b"%d" % number + LONGEST[3:])[number % 3]
        home = number + 1 if number % 3 == 0 or number % 2 else 0
        for kind in (Kind.PENDING, Kind.BINDING, Kind.UNBOUND)[: 2 + number % 2]:
            values = Row(kind, home_address=home, care_of_address=1, expires=number)
            log += as_records(values, nai, source.names)
            source.apply(as_records(values, nai, source.names))
    assert replayed(whole, log) == 0
    assert whole.digest() == source.digest() != 0


LONG_NAME = name_records(LONGEST, Names(8, 1, SEED).hash_nai(LONGEST))


@pytest.mark.parametrize(
    ("log", "refused"),
    [
        (STRUCT.pack(*Row(Kind.BINDING, home_address=1, nai=7 << 32)), UnknownName),
        (name_records(b"a", Names(8, 1, SEED + 1).hash_nai(b"a")), NameConflict),
        (LONG_NAME[OCTETS:], NameConflict),
        (LONG_NAME[: 2 * OCTETS] + LONG_NAME[3 * OCTETS :], NameConflict),
        (b"".join(STRUCT.pack(*Row(Kind.BINDING, home_address=n)) for n in range(1, 4)), Full),
        (STRUCT.pack(*Row(Kind.BINDING)), ValueError),
    ],
    ids=["unknown name", "another seed", "no first part", "no middle part", "full", "nobody"],
)
def test_what_a_table_refuses_is_left_to_it(log: bytes, refused: type[Exception]) -> None:
    whole, single = Table(2, SEED), Table(2, SEED)
    with pytest.raises(refused):
        replayed(whole, log)
    with pytest.raises(refused):
        one_by_one(single, log)
    assert_same(whole, single)


@pytest.mark.parametrize("cut", range(1, len(LONG_NAME) // OCTETS))
def test_a_name_that_is_cut_by_the_end_of_a_block_is_learned(cut: int) -> None:
    table = Table(8, SEED)
    replayed(table, LONG_NAME[: cut * OCTETS])
    replayed(table, LONG_NAME[cut * OCTETS :] + name_records(NAIS[1], table.hash_nai(NAIS[1])))
    assert table.names.find(LONGEST)
    assert table.names.find(NAIS[1])
