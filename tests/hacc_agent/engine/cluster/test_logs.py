"""A log that comes at once makes what it makes record by record, whatever it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.effects import Moment
from hacc_agent.engine.record import OCTETS, STRUCT, Kind, Row
from tests.hacc_agent.engine.cluster.world import CARE_OF, HOME, World, contents

NOW = Moment(1000.0, 1.7e9)
NAMES = [None, b"mn1@example.net", b"mn2@example.net"]

rows = st.builds(
    lambda kind, home, name, care_of, number: (
        Row(
            kind,
            home_address=int(HOME) + home if home or name is None else 0,
            care_of_address=int(CARE_OF) + care_of,
            lifetime=1800,
            expires=2000,
            identification=number,
            nonce=number,
        ),
        NAMES[name or 0],
    ),
    st.sampled_from([Kind.BINDING, Kind.UNBOUND, Kind.PENDING, Kind.SETTLED]),
    st.integers(1, 12),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.integers(0, 1),
    st.integers(1, 4),
)
runs = st.lists(st.tuples(rows, st.integers(1, 12)), max_size=12)


@given(runs)
def test_a_log_at_once_is_the_log_record_by_record(
    said: list[tuple[tuple[Row, bytes | None], int]],
) -> None:
    """Each element is a run: the same of so many mobile nodes, with addresses in a row."""
    world = World()
    table, pending, _, together = world.controller()
    other_table, other_pending, _, alone = world.controller()
    log = b""
    for (values, nai), length in said:
        number, names = table.names.introduce(nai) if nai else (0, b"")
        other_table.names.introduce(nai) if nai else None
        log += names
        for n in range(length):
            log += STRUCT.pack(
                *values._replace(home_address=values.home_address + n, nai=number if n == 0 else 0)
            )
    together.apply(log, NOW)
    for at in range(0, len(log), OCTETS):
        alone.apply(log[at : at + OCTETS], NOW)
    assert contents(table) == contents(other_table)
    assert contents(pending) == contents(other_pending)
    assert together.digest() == alone.digest()
    assert together.waiting == alone.waiting
