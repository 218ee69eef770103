"""A controller and a member that talk: beats, orders, transfers; delays, cuts and overtaking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.log import FrameKind, Position, decode, encode
from hacc_agent.engine.record import OCTETS, RECORD, Kind
from hacc_agent.memberlink import AHEAD, BLOCK, Duty, Pulse, Vitals, Watch
from hacc_agent.standby import LinkBroken

BEAT = 0.1
PATIENCE = 1.0


def records(count: int, first: int = 1) -> bytes:
    made = np.zeros(count, RECORD)
    made["kind"] = Kind.BINDING
    made["home_address"] = np.arange(first, first + count)
    return made.tobytes()


class Member:
    """What a member remembers, whoever it talks to."""

    def __init__(self) -> None:
        self.epoch = 0
        self.vitals_now = Vitals(7, 12.5, 60.0, 99.0, 2)
        self.serving: frozenset[int] = frozenset()
        self.held: frozenset[int] = frozenset()
        self.lacking: frozenset[int] = frozenset()
        self.taken = self.given = b""
        self.ahead = 99.0
        self.burdens: dict[str, int] = {}

    def vitals(self) -> Vitals:
        return self.vitals_now

    def heard(self, controller: str, burden: int, now: float) -> None:  # noqa: ARG002
        self.burdens[controller] = burden

    def serve(self, controller: str, epoch: int, slots: Mapping[int, int]) -> bool:  # noqa: ARG002
        if epoch < self.epoch:
            return False
        self.epoch, self.serving = epoch, frozenset(slots)
        self.lacking = self.serving - self.held
        return True

    def take_over(self, octets: bytes, ahead: float) -> None:
        self.taken += octets
        self.ahead = ahead

    def give_up(self, octets: bytes) -> None:
        self.given += octets

    def hold(self, slots: frozenset[int], held: bool) -> None:
        self.held = self.held | slots if held else self.held - slots


def duties(*slots: int) -> dict[int, int]:
    """Slots that were there from the beginning."""
    return dict.fromkeys(slots, 0)


class Line:
    """A connection that carries octets one way or the other, or not."""

    def __init__(self, member: Member, blocks: list[bytes] | None = None, at: float = 0.0) -> None:
        self.now = at
        self.member = member
        self.pulses: list[Pulse] = []
        self.kept = 0
        self.asked: list[frozenset[int]] = []
        self.blocks = blocks or []
        self.watch = Watch(
            BEAT,
            PATIENCE,
            lambda pulse, _: self.pulses.append(pulse),
            self._of,
            lambda: 500_000,
            self._kept,
            at,
        )
        self.duty = Duty("hacc1", BEAT, PATIENCE, member, at)
        self.down = self.up = True

    def _kept(self) -> None:
        self.kept += 1

    def _of(self, slots: frozenset[int]) -> Iterator[bytes]:
        self.asked.append(slots)
        return iter(self.blocks)

    def turn(self, seconds: float = BEAT) -> None:
        self.now += seconds
        while True:
            down = self.watch.take(self.now)
            if down and self.down:
                self.duty.receive(down, self.now)
            up = self.duty.take(self.now)
            if up and self.up:
                self.watch.receive(up, self.now)
            if not down and not up:
                return


def test_a_member_tells_its_vitals_in_every_beat() -> None:
    line = Line(Member())
    for _ in range(5):
        line.turn()
    assert [pulse.vitals for pulse in line.pulses] == [line.member.vitals_now] * len(line.pulses)
    assert len(line.pulses) >= 4
    assert line.member.burdens == {"hacc1": 500_000}
    line.watch.serve(5, duties(0))
    line.turn()
    line.turn()
    assert line.pulses[-1].epoch == 5


@pytest.mark.parametrize("cut", ["down", "up"])
def test_a_link_that_has_failed_in_one_direction_carries_no_life(cut: str) -> None:
    line = Line(Member())
    for _ in range(4):
        line.turn()
    setattr(line, cut, False)
    for _ in range(int(PATIENCE / BEAT) + 2):
        line.turn()
    before = len(line.pulses)
    for _ in range(20):
        line.turn()
    assert len(line.pulses) == before
    assert (line.duty if cut == "down" else line.watch).silent(line.now)


def test_slots_are_served_and_what_is_lacking_is_transferred() -> None:
    blocks = [records(10_000), records(5, 20_000)]
    line = Line(Member(), blocks)
    line.member.held = frozenset({1, 2, 3})
    line.turn()
    line.watch.serve(1, duties(1, 2, 9, 64))
    line.turn()
    assert line.member.serving == {1, 2, 9, 64}
    assert line.asked == [frozenset({9, 64}), frozenset({3})]
    assert line.member.taken == line.member.given == b"".join(blocks)
    assert line.member.held == {1, 2, 9, 64}
    assert line.member.ahead == 0
    assert line.watch.obeyed
    assert not line.watch.transferring
    assert line.watch.transferred == 20_010
    line.watch.serve(1, duties(1, 2, 9, 64))
    line.turn()
    assert len(line.asked) == 2


def test_a_slow_member_has_few_blocks_under_way() -> None:
    line = Line(Member(), [records(4096)] * 100)
    line.watch.serve(1, duties(9))
    line.duty.receive(line.watch.take(0.0), 0.0)
    line.watch.receive(line.duty.take(0.0), 0.0)
    octets = 0
    while sent := line.watch.take(0.0):
        octets += len(sent)
    assert BLOCK < octets < (AHEAD + 1) * (BLOCK + 100)
    line.turn()


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.integers(0, 400_000))
def test_a_transfer_that_was_cut_off_is_asked_for_again(sizes: list[int], cut: int) -> None:
    """By the next connection, to whoever leads then: nothing is remembered but what is there."""
    blocks, first = [], 1
    for size in sizes:
        blocks.append(records(size, first))
        first += size
    member = Member()
    line = Line(member, blocks)
    line.watch.serve(1, duties(9))
    line.duty.receive(line.watch.take(0.0), 0.0)
    line.watch.receive(line.duty.take(0.0), 0.0)
    octets = b"".join(iter(lambda: line.watch.take(0.0), b""))
    line.duty.receive(octets[:cut], 0.0)  # and then the controller dies
    member.taken = b""
    whole = 9 in member.held
    again = Line(member, blocks, at=1.0)
    again.watch.serve(2, duties(9))
    again.turn()
    assert again.asked == ([] if whole else [frozenset({9})])
    assert member.taken == (b"" if whole else b"".join(blocks))
    assert member.held == {9}


def test_who_was_overtaken_is_not_obeyed_and_hears_of_it() -> None:
    member = Member()
    member.held = frozenset({3})
    old, new = Line(member, [records(9000)]), Line(member)
    old.watch.serve(1, duties(8))
    old.duty.receive(old.watch.take(0.1), 0.1)
    old.watch.receive(old.duty.take(0.1), 0.1)
    under_way = old.watch.take(0.1)
    new.watch.serve(2, duties(3))
    new.turn()
    old.duty.receive(under_way, 0.1)
    assert member.taken == b""
    assert member.held == {3}
    old.watch.serve(1, duties(5))
    old.turn()
    assert member.serving == {3}
    assert not old.watch.obeyed
    old.turn()
    assert old.pulses[-1].epoch == 2
    assert (old.kept, new.kept) == (1, 1)


def test_another_order_ends_a_transfer() -> None:
    line = Line(Member(), [records(4096)] * 20)
    line.watch.serve(1, duties(9, 10))
    line.duty.receive(line.watch.take(0.0), 0.0)
    line.watch.receive(line.duty.take(0.0), 0.0)
    line.duty.receive(line.watch.take(0.0), 0.0)
    line.watch.serve(1, duties(10))
    line.turn()
    assert line.asked == [frozenset({9, 10}), frozenset({10})]
    assert line.member.held == {10}
    assert not line.watch.transferring


@pytest.mark.parametrize("end", ["watch", "duty"])
@given(octets=st.binary(max_size=300))
def test_what_is_no_frame_ends_the_conversation(end: str, octets: bytes) -> None:
    line = Line(Member())
    try:
        getattr(line, end).receive(octets, 0.0)
    except LinkBroken:
        return
    assert b"HACC".startswith(octets[:4])


@pytest.mark.parametrize(
    ("end", "frame"),
    [
        ("watch", encode(FrameKind.SERVE, Position(1, 1))),
        ("watch", encode(FrameKind.BEAT, Position(1, 1), b"short")),
        ("duty", encode(FrameKind.LACKS, Position(1, 1))),
        ("duty", encode(FrameKind.BEAT, Position(1, 1), b"much longer than it is")),
        ("duty", encode(FrameKind.SERVE, Position(1, 1), b"odd")),
        ("watch", encode(FrameKind.KEEPS, Position(0, 1), b"odd")),
    ],
)
def test_a_frame_that_has_no_place_there_ends_the_conversation(end: str, frame: bytes) -> None:
    line = Line(Member())
    with pytest.raises(LinkBroken):
        getattr(line, end).receive(frame, 0.0)


def test_a_transfer_with_a_hole_is_not_believed() -> None:
    line = Line(Member(), [records(3)])
    line.watch.serve(1, duties(9))
    line.duty.receive(line.watch.take(0.0), 0.0)
    line.watch.receive(line.duty.take(0.0), 0.0)
    octets = b"".join(iter(lambda: line.watch.take(0.0), b""))
    begin = decode(memoryview(octets))
    assert begin is not None
    state = decode(memoryview(octets), begin.octets)
    assert state is not None
    assert len(state.payload) == 3 * OCTETS
    with pytest.raises(LinkBroken, match="missing"):
        line.duty.receive(octets[: begin.octets] + octets[begin.octets + state.octets :], 0.0)
    assert line.member.held == frozenset()
