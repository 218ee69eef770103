"""A stock Home Agent's table, served by our own view of one and read back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hacc_agent.engine.effects import Moment
from hacc_agent.engine.record import Kind, Row
from hacc_agent.engine.snmp.objects import Oid, Value
from hacc_agent.engine.snmp.order import Order
from hacc_agent.engine.snmp.view import Bindings, View
from hacc_agent.engine.snmp.walking import COLUMNS, records, rows
from hacc_agent.engine.table import Table

NOW = Moment(5000.0, 5000.0)
ADDRESS = st.integers(1, 2**32 - 1)


def bound_row(numbers: tuple[int, int, int, int, int, int]) -> Row:
    home, care_of, source, expires, identification, flags = numbers
    return Row(
        Kind.BINDING,
        flags=flags,
        home_address=home,
        care_of_address=care_of,
        source_address=source,
        source_port=434,
        lifetime=1800,
        expires=expires,
        identification=identification,
        home_agent=99,
    )


ROWS = st.tuples(
    *(ADDRESS, ADDRESS, ADDRESS),
    st.integers(5001, 6800),
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 0x08, 0x20, 0x80, 0xF8]),
).map(bound_row)


def objects_of(table: Table) -> list[tuple[Oid, Value]]:
    view = View((Bindings(Order(table, 0.0)),))
    found: list[tuple[Oid, Value]] = []
    bind = view.next(COLUMNS[0], (), inclusive=False, now=NOW)
    while bind.data is not None:
        found.append((bind.name, bind.data))
        bind = view.next(bind.name, (), inclusive=False, now=NOW)
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(ROWS, max_size=8, unique_by=lambda row: row.home_address))
def test_what_is_served_is_read_back(bound: list[Row]) -> None:
    table, again = Table(50, 1), Table(50, 1)
    for row in bound:
        table.put(row, None)
    found, last = rows(objects_of(table))
    made = records(found, 99, NOW.steady)
    again.apply(made)
    assert len(again) == len(bound)
    assert last == max(
        (
            (*row.home_address.to_bytes(4, "big"), *row.care_of_address.to_bytes(4, "big"))
            for row in bound
        ),
        default=(),
    )
    for row in bound:
        kept = again.get(again.find(row.home_address, None))
        assert kept == row._replace(tunnel=47 if row.flags & 0x08 else 4)


INDEX = (10, 0, 0, 1, 192, 0, 2, 1)
GOOD: dict[int, Value] = {3: bytes(4), 4: b"\0", 5: -1, 6: 7, 7: 600, 8: 300}


def table_of(values: dict[int, Value], index: Oid = INDEX) -> list[tuple[Oid, Value]]:
    entry = COLUMNS[0][:-1]
    return [((*entry, column, *index), value) for column, value in values.items()]


def test_a_whole_row() -> None:
    ((row,), last) = rows(table_of(GOOD))
    assert (row.home_address, row.care_of_address) == (0x0A000001, 0xC0000201)
    assert row.identification == 0x7_FFFF_FFFF
    assert last == INDEX


@pytest.mark.parametrize(
    "wrong",
    [
        {7: 0},
        {7: 70_000},
        {8: 0},
        {8: 601},
        {3: b"1"},
        {3: 5},
        {4: 5},
        {5: b"x"},
        {6: None},
        {8: None},
    ],
    ids=str,
)
def test_a_row_that_makes_no_sense_is_left_out_and_passed(wrong: dict[int, Value]) -> None:
    other = (10, 0, 0, 0, 192, 0, 2, 1)
    found, last = rows(table_of(GOOD | wrong) + table_of(GOOD, other))
    assert [row.home_address for row in found] == [0x0A000000]
    assert last == INDEX


@pytest.mark.parametrize("index", [(), (1, 2, 3), (*INDEX, 1), (999, *INDEX[1:])])
def test_an_index_that_is_none_is_no_row(index: Oid) -> None:
    assert rows(table_of(GOOD, index)) == ([], ())
