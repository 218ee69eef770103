"""A controller's log in compiled code against the ledger's own rules: the same memory."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine import replay as shell
from hacc_agent.engine.cluster.ledger import Ledger
from hacc_agent.engine.cluster.standing import StandingOrders
from hacc_agent.engine.health import Order
from hacc_agent.engine.kernels.replaying import follow, replay
from hacc_agent.engine.networks import routed
from hacc_agent.engine.record import OCTETS, Kind, Row
from hacc_agent.engine.replay import Compiled
from hacc_agent.engine.slots import Slots
from hacc_agent.engine.table import Full, Table
from tests.tables import SEED, as_records, assert_same, changes, plain_changes

Change = tuple[Row, bytes | None]
KINDS = (Kind.PENDING, Kind.PENDING, Kind.BINDING, Kind.UNBOUND, Kind.SETTLED, Kind.CLOSED)


@st.composite
def requests(draw: st.DrawFn) -> Change:
    """What a controller logs of mobile nodes that send several requests, answered in any order."""
    values, nai = draw(st.one_of(changes(KINDS), plain_changes(), plain_changes()))
    kind = values.kind if values.care_of_address else int(Kind.UNBOUND)
    return values._replace(
        kind=kind,
        identification=draw(st.integers(1, 3)),
        nonce=draw(st.sampled_from([0, 1, 2, 77, 2**31, 2**32 - 1])),
    ), nai


def ledger_of(capacity: int = 40) -> Ledger:
    table = Table(200, SEED)
    return Ledger(table, table.beside(capacity), Slots(3))


def one_by_one(ledger: Ledger, log: bytes) -> None:
    for at in range(0, len(log), OCTETS):
        ledger.apply(log[at : at + OCTETS])


def assert_alike(one: Ledger, other: Ledger) -> None:
    assert_same(one.table, other.table)
    assert_same(one.pending, other.pending)
    for name, mine, its in zip(one.arrays._fields, one.arrays, other.arrays, strict=True):
        assert mine.tobytes() == its.tobytes(), name
    assert one.earlier == other.earlier
    assert one.digest() == other.digest()


@pytest.fixture(autouse=True, scope="module")
def compiled() -> Iterator[None]:
    """From here on, and in this module alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell, "_compiled", Compiled(replay, follow))
        yield


@given(st.lists(requests(), max_size=60), st.integers(0, 60))
def test_a_controllers_log_leaves_what_its_records_leave_one_by_one(
    sequence: list[Change], cut: int
) -> None:
    """In one piece and in two, as frames divide it."""
    source, single, whole, parts = (ledger_of() for _ in range(4))
    log = b""
    for values, nai in sequence:
        records = as_records(values, nai, source.table.names)
        log += records
        source.apply(records)
    one_by_one(single, log)
    whole.apply(log)
    parts.apply(log[: cut * OCTETS])
    parts.apply(log[cut * OCTETS :])
    for ledger in (whole, parts):
        assert_alike(ledger, single)


def test_a_table_takes_a_log_through_compiled_code() -> None:
    source, whole = Table(3000, SEED), Table(3000, SEED)
    log = b""
    for number in range(2500):
        nai = b"mn%d@example.net" % number
        values = Row(Kind.BINDING, home_address=number + 1, care_of_address=1, expires=number)
        log += as_records(values, nai, source.names)
        source.apply(log[-OCTETS:])
    whole.apply(log)
    assert_same(whole, source)


def test_decisions_of_a_log_are_taken() -> None:
    ledger, mover, orders = ledger_of(), Slots(3), StandingOrders()
    log = mover.rewrite([(3, 2), (70, 0), (4, 1)], 1)
    for member, order in ((2, Order.DRAIN), (0, Order.FAIL_OVER), (2, Order.UNDRAIN)):
        log += orders.given(member, order)
        orders.apply(log[-OCTETS:])
    ledger.apply(log)
    assert ledger.slots.snapshot() == mover.snapshot() != b""
    assert ledger.orders.snapshot() == orders.snapshot() != b""


def test_mobile_networks_of_a_log_are_taken() -> None:
    ledger, network = ledger_of(), IPv4Network("203.0.113.0/24")
    log = b"".join(
        as_records(Row(Kind.BINDING, home_address=n, care_of_address=1), None, ledger.table.names)
        + routed(n, [network])
        + routed(n, [network], withdrawn=n < 3)
        for n in range(1, 4)
    )
    ledger.apply(log)
    assert dict(ledger.networks.items()) == {network: 3}
    assert len(ledger.table) == 3


def test_more_requests_than_there_is_room_for() -> None:
    ledger = ledger_of(capacity=4)
    log = b"".join(
        as_records(Row(Kind.PENDING, home_address=n, care_of_address=1), None, ledger.table.names)
        for n in range(1, 6)
    )
    with pytest.raises(Full):
        ledger.apply(log)
    assert len(ledger.pending) == 4
