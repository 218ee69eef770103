"""Active and standby, joined by octets that come in pieces while the table changes.

Once nothing is under way both have the same rows; what is cut off goes on where it was, or is given
a whole state; nobody makes the active remember more than it retains.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent import standby
from hacc_agent.engine.log import (
    COUNT,
    HEADER,
    START,
    Frame,
    FrameKind,
    Position,
    encode,
)
from hacc_agent.standby import (
    ALIVE,
    SILENCE,
    Claim,
    Feed,
    Follow,
    LinkBroken,
    Recent,
    Want,
)
from tests.hacc_agent.crashing import Rows, after, frame


class Active:
    """A table and the log of its changes."""

    def __init__(self, limit: int = 1 << 20, origin: Position = START, history: int = 7) -> None:
        self.rows = Rows()
        self.log = Recent(origin, history, limit)
        self.history = history

    def change(self, times: int = 1) -> None:
        for _ in range(times):
            octets = frame(self.log.position.sequence + 1, self.history)
            self.rows.apply(octets[HEADER.size :])
            self.log.append(octets)

    def feed(self, now: float = 0.0) -> Feed:
        return Feed("west", lambda: self.log, self.rows.snapshot, lambda _busy: False, now)


class Standby:
    """A copy."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.place = 0  # the group that the last frame stood behind

    def begin(self, found: Frame) -> None:
        self.rows.clear()
        self.place = found.position.sequence

    def take(self, found: Frame) -> None:
        self.place = found.position.sequence
        self.rows.apply(bytes(found.payload))

    def complete(self, _frame: Frame) -> None:
        pass

    def commit(self) -> None:
        pass

    def digest(self) -> int:
        return self.rows.digest()

    def follow(self, position: Position = START, now: float = 0.0) -> Follow:
        return Follow("west", Want.FOLLOW, self, position, now)


def converse(feed: Feed, follow: Follow, now: float = 0.0) -> None:
    """Until neither has anything to say."""
    while True:
        asked, given = follow.take(now), feed.take(now)
        if not asked and not given:
            return
        if asked:
            feed.receive(asked, now)
        if given:
            follow.receive(given, now)


def test_a_standby_gets_the_state_and_then_the_changes() -> None:
    active, copy = Active(limit=1000), Standby()
    active.change(20)
    feed, follow = active.feed(), copy.follow()
    converse(feed, follow)
    assert copy.rows.rows == after(20)
    active.change(2)
    converse(feed, follow)
    assert copy.rows.rows == after(22)
    assert (follow.position, feed.kept, feed.states) == (Position(7, 22), Position(7, 22), 1)


@given(
    st.integers(0, 30),
    st.lists(st.tuples(st.sampled_from("cgfx"), st.integers(1, 700)), max_size=60),
    st.integers(300, 20_000),
)
def test_whatever_is_cut_delayed_or_broken_both_agree_at_last(
    before: int, steps: list[tuple[str, int]], limit: int
) -> None:
    """c: changes; g, f: octets reach the other end, in pieces; x: the connection breaks."""
    active, copy = Active(limit), Standby()
    active.change(before)
    feed, follow = active.feed(), copy.follow()
    to_feed, to_follow = bytearray(), bytearray()
    for step, count in steps:
        match step:
            case "c":
                active.change(count % 5)
            case "g":
                to_feed += follow.take(0.0)
                feed.receive(bytes(to_feed[:count]), 0.0)
                del to_feed[:count]
            case "f":
                to_follow += feed.take(0.0)
                follow.receive(bytes(to_follow[:count]), 0.0)
                del to_follow[:count]
            case "x":
                feed, follow = active.feed(), copy.follow(follow.position)
                to_feed.clear()
                to_follow.clear()
        if follow.position != START:
            assert copy.rows.rows == after(follow.position.sequence)
            assert feed.kept.sequence <= follow.position.sequence
    follow.receive(bytes(to_follow), 0.0)
    if to_feed:
        feed.receive(bytes(to_feed), 0.0)
    converse(feed, follow)
    assert copy.rows.rows == active.rows.rows
    assert feed.kept == follow.position == active.log.position or not active.log.position.sequence


@given(st.integers(0, 40), st.lists(st.integers(0, 3), max_size=40))
def test_a_state_that_changes_while_it_is_given_is_never_too_long(
    before: int, changes: list[int]
) -> None:
    """The copy has no row that the original did not have there: a full table has room for it."""
    active, copy = Active(), Standby()
    active.change(before)
    active.log = Recent(active.log.position, 7)
    feed, follow = active.feed(), copy.follow()
    feed.receive(follow.take(0.0), 0.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(standby, "CHUNK", 1)  # a block at a time
        for count in changes:
            follow.receive(feed.take(0.0), 0.0)
            assert copy.rows.rows.keys() <= after(copy.place).keys()
            active.change(count)
    converse(feed, follow)
    assert copy.rows.rows == active.rows.rows


def test_who_was_cut_off_goes_on_where_it_was() -> None:
    active, copy = Active(), Standby()
    active.change(5)
    follow = copy.follow()
    converse(active.feed(), follow)
    active.change(5)
    feed = active.feed()
    converse(feed, copy.follow(follow.position))
    assert (copy.rows.rows, feed.states) == (after(10), 0)


def test_who_was_away_for_too_long_gets_a_state() -> None:
    active, copy = Active(limit=1000), Standby()
    active.change(1)
    follow = copy.follow()
    converse(active.feed(), follow)
    active.change(50)
    feed = active.feed()
    converse(feed, copy.follow(follow.position))
    assert (copy.rows.rows, feed.states) == (after(51), 1)


def test_a_slow_one_gets_a_state_too_and_costs_no_memory() -> None:
    active, copy = Active(limit=1000), Standby()
    feed, follow = active.feed(), copy.follow()
    converse(feed, follow)
    active.change(500)
    assert sum(len(octets) for octets in active.log.behind(496)) <= 1000
    assert not active.log.has_all_behind(Position(7, 495))
    converse(feed, follow)
    assert (copy.rows.rows, feed.states) == (after(500), 1)


def test_the_same_number_of_another_history_is_not_the_same_group() -> None:
    """The active crashed and gave numbers again that the standby has seen in other groups."""
    active, copy = Active(origin=Position(3, 9), history=4), Standby()
    copy.rows.rows |= {1: 1}
    feed = active.feed()
    converse(feed, copy.follow(Position(3, 10)))
    assert (feed.states, copy.rows.rows) == (1, active.rows.rows)
    feed = active.feed()
    converse(feed, copy.follow(Position(3, 9)))
    assert feed.states == 0, "exactly where this history began: nothing is missing"


def test_a_copy_that_differs_is_found_and_made_good() -> None:
    active, copy = Active(), Standby()
    active.change(9)
    feed, follow = active.feed(), copy.follow()
    converse(feed, follow)
    feed.tell_digest(active.rows.digest())
    converse(feed, follow)
    assert (follow.differed, feed.states) == (0, 0)
    copy.rows.rows[1] = 12345
    feed.tell_digest(active.rows.digest())
    converse(feed, follow)
    assert (follow.differed, feed.states) == (1, 1)
    assert copy.rows.rows == after(9)


def test_who_fetches_gets_the_state_and_no_more() -> None:
    active, copy = Active(), Standby()
    active.change(9)
    feed, fetch = active.feed(), Follow("west", Want.FETCH, copy, START, 0.0)
    converse(feed, fetch)
    assert copy.rows.rows == after(9)
    assert feed.closing
    assert fetch.closing


def test_who_does_not_lead_says_so() -> None:
    feed = Feed("west", lambda: None, Rows().snapshot, lambda _busy: True, 0.0)
    follow = Standby().follow()
    with pytest.raises(LinkBroken, match="it does not lead"):
        converse(feed, follow)
    assert feed.closing


@pytest.mark.parametrize("mine", [10.0, 30.0])
def test_of_two_that_lead_the_busier_one_goes_on(mine: float) -> None:
    told: list[float] = []

    def gives_way(busy: float) -> bool:
        told.append(busy)
        return busy > mine

    feed = Feed("west", lambda: Recent(START, 7), Rows().snapshot, gives_way, 0.0)
    claim = Claim(20.0, 0.0)
    feed.receive(claim.take(0.0), 0.0)
    if mine == 10.0:
        claim.receive(feed.take(0.0), 0.0)
        assert claim.closing
    else:
        with pytest.raises(LinkBroken, match="busy later"):
            claim.receive(feed.take(0.0), 0.0)
    assert told == [20.0]


def test_both_ends_notice_silence() -> None:
    active, copy = Active(), Standby()
    feed, follow = active.feed(), copy.follow()
    converse(feed, follow)
    assert feed.next_deadline() == follow.next_deadline() == ALIVE
    converse(feed, follow, ALIVE)
    assert not feed.silent(ALIVE + SILENCE - 0.01)
    assert not follow.silent(ALIVE + SILENCE - 0.01)
    assert feed.silent(ALIVE + SILENCE)
    assert follow.silent(ALIVE + SILENCE)


WELCOME = encode(FrameKind.WELCOME, START)
BEGIN = encode(FrameKind.BEGIN, Position(7, 3), b"west")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n" + bytes(64), "no frame"),
        (BEGIN, "its first frame"),
        (WELCOME + encode(FrameKind.BEGIN, START, b"east"), "another cluster"),
        (WELCOME + BEGIN + frame(5), "group 5 follows 3"),
        (WELCOME + frame(2), "group 2 follows 0"),
        (WELCOME + BEGIN + encode(FrameKind.COMPLETE, START, COUNT.pack(1)), "is missing"),
        (WELCOME + encode(FrameKind.STATE, START), "kind 2"),
        (WELCOME + encode(FrameKind.HELLO, START), "kind 6"),
        (WELCOME + BEGIN + encode(FrameKind.DIGEST, START, COUNT.pack(1)), "kind 9"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_follower_believes_no_nonsense(said: bytes, why: str) -> None:
    with pytest.raises(LinkBroken, match=why):
        Standby().follow().receive(said, 0.0)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (bytes(64), "no frame"),
        (encode(FrameKind.HELLO, START, b"everything"), "unknown"),
        (frame(1), "kind 3"),
        (encode(FrameKind.HELLO, START, b"fetch")[:-1] + b"x", "checksum"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_active_believes_no_nonsense(said: bytes, why: str) -> None:
    with pytest.raises(LinkBroken, match=why):
        Active().feed().receive(said, 0.0)


@pytest.mark.parametrize("kind", [FrameKind.COMPLETE, FrameKind.DIGEST])
def test_a_count_of_another_length_is_nonsense_too(kind: FrameKind) -> None:
    begin = BEGIN if kind is FrameKind.COMPLETE else b""
    with pytest.raises(LinkBroken):
        Standby().follow().receive(WELCOME + begin + encode(kind, START, b"12345"), 0.0)
