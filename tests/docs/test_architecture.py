"""What the architecture says of itself is so."""

from __future__ import annotations

from tests.docs.architecture import CONTRACT, PATH, PURE, drawn, imports


def test_its_drawings_are_the_code_s() -> None:
    assert PATH.read_text() == drawn(PATH.read_text()), "python -m tests.docs.architecture"


def test_the_daemon_knows_nothing_of_who_configures_it() -> None:
    known = imports()
    for room, others in known.items():
        if room.startswith("hacc_agent"):
            assert not others & {"tasks", "lab", "bench"}, room
    assert "lab" not in known["tasks"]
    assert "tasks" not in known["lab"]


def test_what_is_pure_stays_among_itself() -> None:
    """And with what a router is told."""
    known = imports()
    for room in PURE:
        assert known[room] <= {*PURE, CONTRACT}, room
