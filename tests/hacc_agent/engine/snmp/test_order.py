"""Bindings in the order of SNMP, against a sorted list; and the tree that they are part of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hacc_agent.engine.effects import Moment
from hacc_agent.engine.record import Kind as Record
from hacc_agent.engine.record import Row
from hacc_agent.engine.snmp import objects, order
from hacc_agent.engine.snmp.objects import Oid
from hacc_agent.engine.snmp.order import CYCLE_S, Order
from hacc_agent.engine.snmp.view import Bindings, Leaves, View
from hacc_agent.engine.table import Table
from hacc_agent.wire import RequestFlags
from hacc_agent.wire.agentx import Kind

NOW = Moment(1000.0, 1000.0)

ADDRESSES = st.one_of(st.integers(0x0A000000, 0x0A00000F), st.integers(1, 2**32 - 1))
KEYS = st.tuples(ADDRESSES, st.integers(1, 2**32 - 1))


def bound(home: int, care_of: int) -> Row:
    return Row(
        Record.BINDING,
        home_address=home,
        care_of_address=care_of,
        lifetime=600,
        expires=1300,
        flags=RequestFlags.GRE | RequestFlags.SIMULTANEOUS | RequestFlags.REVERSE_TUNNEL,
        identification=0xEEEE_EEEE_0000_0005,
        source_address=0xC0000201,
    )


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that some hundred rows are many blocks, and a window is less than a block."""
    monkeypatch.setattr(order, "BLOCK", 16)
    monkeypatch.setattr(order, "WINDOW", 3)


def walk(found: Order) -> list[int]:
    keys: list[int] = []
    step = found.least(0, inclusive=True)
    while step is not None:
        keys.append(step[0])
        step = found.least(step[0], inclusive=False)
    return keys


@settings(deadline=None)
@given(st.sets(KEYS, max_size=150), st.sets(KEYS, max_size=60), st.data())
def test_a_walk_finds_what_is_there_in_order_and_nothing_that_has_ended(
    first: set[tuple[int, int]], later: set[tuple[int, int]], data: st.DataObject
) -> None:
    table = Table(400, 1)
    rows = {key: table.put(bound(*key), None) for key in sorted(first)}
    found = Order(table, 0.0)
    numbers = {home << 32 | care_of for home, care_of in rows}
    assert walk(found) == sorted(numbers)
    gone = data.draw(st.sets(st.sampled_from(sorted(first)))) if first else set()
    for key in gone:
        table.remove(rows[key])
    for key in sorted(later - first):
        table.put(bound(*key), None)
    stay = {home << 32 | care_of for home, care_of in first - gone}
    new = {home << 32 | care_of for home, care_of in later - first}
    seen = walk(found)
    assert seen == sorted(set(seen))
    assert stay <= set(seen) <= stay | new
    now = 0.0
    while now < CYCLE_S:  # all blocks have had their turn then
        now = found.due
        found.look(table, now)
    assert walk(found) == sorted(stay | new)


@given(st.sets(KEYS, max_size=80), st.lists(KEYS, max_size=20))
def test_the_least_key_above_any_key(
    keys: set[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    table = Table(200, 1)
    for key in keys:
        table.put(bound(*key), None)
    found = Order(table, 0.0)
    numbers = sorted(home << 32 | care_of for home, care_of in keys)
    for home, care_of in [*asked, *keys, (0, 0), (2**32 - 1, 2**32 - 1)]:
        number = home << 32 | care_of
        for inclusive in (True, False):
            step = found.least(number, inclusive=inclusive)
            above = [key for key in numbers if key > number or (inclusive and key == number)]
            assert (step[0] if step else None) == (above[0] if above else None)


# ---------------------------------------------------------------------- the tree


def tree(keys: set[tuple[int, int]]) -> View:
    table = Table(200, 1)
    for key in keys:
        table.put(bound(*key), None)
    leaves: dict[Oid, tuple[Kind, int]] = {
        (*objects.MIP_ENABLE, 0): (Kind.INTEGER, 1),
        (*objects.HA_REGISTRATION, 3, 0): (Kind.COUNTER32, 7),  # right behind the table
        (*objects.CMI_HA_MAXIMUM_BINDINGS, 0): (Kind.GAUGE32, 9),
    }
    absent = (*objects.CMI_HA_MAXIMUM_BINDINGS, 1)
    return View((Leaves([*leaves, absent], lambda _: leaves), Bindings(Order(table, 0.0))))


def names(view: View, start: Oid = (), end: Oid = ()) -> list[Oid]:
    found = []
    bind = view.next(start, end, inclusive=True, now=NOW)
    while bind.kind is not Kind.END_OF_MIB_VIEW:
        found.append(bind.name)
        bind = view.next(bind.name, end, inclusive=False, now=NOW)
    return found


@settings(deadline=None)
@given(
    st.sets(KEYS, max_size=10),
    st.lists(
        st.lists(st.integers(0, 300), max_size=11).map(tuple)
        | KEYS.map(lambda key: (1, *key[0].to_bytes(4, "big"), *key[1].to_bytes(4, "big"))),
        max_size=10,
    ),
)
def test_any_name_has_the_one_above_it(keys: set[tuple[int, int]], indexes: list[Oid]) -> None:
    """Names of any length, with numbers that no address has: RFC 3416, 4.2.2 is plain order."""
    view = tree(keys)
    everything = names(view)
    assert everything == sorted(everything)
    assert len(everything) == 8 * len(keys) + 3
    for index in indexes:
        name = (*objects.HA_MOBILITY_BINDING_ENTRY, *index)
        for inclusive in (True, False):
            above = [one for one in everything if one > name or (inclusive and one == name)]
            bind = view.next(name, (), inclusive=inclusive, now=NOW)
            assert bind.name == (above[0] if above else name)
            assert (bind.kind is Kind.END_OF_MIB_VIEW) == (not above)
        assert names(view, name, everything[-1]) == [
            one for one in everything if name <= one < everything[-1]
        ]


def test_the_columns_of_a_binding() -> None:
    view = tree({(0x0A000001, 0xC0000202)})
    index = (10, 0, 0, 1, 192, 0, 2, 2)
    found = [
        view.get((*objects.HA_MOBILITY_BINDING_ENTRY, column, *index), NOW)
        for column in range(1, 9)
    ]
    assert [(bind.kind, bind.data) for bind in found] == [
        (Kind.IP_ADDRESS, b"\x0a\0\0\x01"),
        (Kind.IP_ADDRESS, b"\xc0\0\x02\x02"),
        (Kind.IP_ADDRESS, b"\xc0\0\x02\x01"),
        (Kind.OCTET_STRING, b"\x44"),  # gre(1), simultaneousBindings(5): T has no bit in this MIB
        (Kind.INTEGER, 5),
        (Kind.INTEGER, 0xEEEE_EEEE - 2**32),  # Integer32
        (Kind.INTEGER, 600),
        (Kind.GAUGE32, 300),
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ((*objects.MIP_ENABLE, 0), Kind.INTEGER),
        ((*objects.MIP_ENABLE,), Kind.NO_SUCH_OBJECT),
        ((*objects.CMI_HA_MAXIMUM_BINDINGS, 1), Kind.NO_SUCH_INSTANCE),
        ((*objects.HA_MOBILITY_BINDING_ENTRY, 1, 10, 0, 0, 1, 1, 1, 1, 1), Kind.NO_SUCH_INSTANCE),
        ((*objects.HA_MOBILITY_BINDING_ENTRY, 1, 10), Kind.NO_SUCH_INSTANCE),
        ((*objects.HA_MOBILITY_BINDING_ENTRY, 9, 10, 0, 0, 1, 1, 1, 1, 1), Kind.NO_SUCH_OBJECT),
        ((1, 3), Kind.NO_SUCH_OBJECT),
    ],
)
def test_get(name: Oid, kind: Kind) -> None:
    bind = tree({(0x0A000001, 0xC0000202)}).get(name, NOW)
    assert (bind.name, bind.kind) == (name, kind)


def test_numbers_are_those_of_the_mib_modules(reference: Path) -> None:
    """Each name in `objects` whose descriptor net-snmp's translation of the modules has."""
    text = (reference / "snmp/oids-verified.txt").read_text()
    published = {
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", line.split("::")[1].split()[0]).upper(): line
        for line in text.splitlines()
        if "::" in line
    }
    checked = 0
    for name, value in vars(objects).items():
        plain = name.replace("_ENTRY", "_TABLE")
        line = published.get(plain) or published.get(name)
        if line is None or not isinstance(value, tuple):
            continue
        number = objects.oid(line.split()[1].lstrip("."))
        if name.endswith("_ENTRY"):
            number += (1,)
        if name == "SNMP_TRAP_OID":
            number += (0,)
        assert value == number, name
        checked += 1
    assert checked >= 30
    for name, number_of in objects.HA_REGISTRATION_SCALARS.items():
        (line,) = [line for line in text.splitlines() if line.split()[0].endswith(f"::{name}")]
        assert objects.oid(line.split()[1].lstrip(".")) == (*objects.HA_REGISTRATION, number_of)
