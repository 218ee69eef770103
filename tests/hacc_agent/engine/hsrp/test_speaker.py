"""What a speaker believes, learns, waits for and says: one conversation each."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.engine.hsrp import Alarm, GratuitousArp, Own, Place, Release, Send, Suspicion
from hacc_agent.engine.hsrp.effects import Effect as Done
from hacc_agent.engine.hsrp.group import HOLD_MS, Port, encode
from hacc_agent.engine.hsrp.speaker import REMIND_S
from hacc_agent.hsrp.config import Effect, Group, Track
from hacc_agent.wire import hsrp
from hacc_agent.wire.hsrp import GroupMessage, Operation, State
from tests.hacc_agent.engine.hsrp.segment import LAN, PLACE, VIRTUAL, Segment, settings

SETTLED = 3.0
KEY = "0b" * 16
OUTSIDER = "192.0.2.99"


def said(
    operation: Operation,
    state: State,
    priority: int = 255,
    source: str = OUTSIDER,
    address: IPv4Address = VIRTUAL,
    like: Group | None = None,
) -> bytes:
    """A message as a router with these settings would send it."""
    found = like or settings()
    message = GroupMessage(operation, state, priority, found.group, 200, 700, address)
    return encode(found, message, Port(IPv4Interface(f"{source}/24"), 1))


def reasons(segment: Segment, number: int = 0) -> list[tuple[Suspicion, int]]:
    return [(alarm.reason, alarm.times) for alarm in segment.routers[number].alarms]


# ------------------------------------------------------------------ never obeyed


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (settings(), settings(text="secret")),
        (settings(text="secret"), settings()),
        (settings(text="secret"), settings(text="secre")),
        (settings(md5=KEY), settings()),
        (settings(md5=KEY), settings(md5="0c" * 16)),
        (settings(md5=KEY), settings(md5=KEY, md5_key_id=1)),
        (settings(), settings(md5=KEY)),
        (settings(version=1, md5=KEY), settings(version=1)),
        (settings(version=1, text="a"), settings(version=1, text="b")),
    ],
    ids=["a-text-for-none", "none-for-a-text", "another-text", "none-for-md5", "another-key",
         "another-key-id", "md5-for-none", "version-1-md5", "version-1-text"],
)  # fmt: skip
def test_wrong_authentication_is_counted_told_once_and_never_obeyed(
    own: Group, theirs: Group
) -> None:
    place = PLACE._replace(version=own.version)
    segment = Segment([own])
    segment.run(SETTLED)
    assert segment.owners(place) == [0]
    for operation in (Operation.COUP, Operation.HELLO, Operation.RESIGN):
        for _ in range(100):
            segment.inject(said(operation, State.ACTIVE, like=theirs), OUTSIDER, 0)
    assert segment.owners(place) == [0]
    assert reasons(segment) == [(Suspicion.AUTHENTICATION, 1)]
    assert segment.routers[0].speaker.counts[Suspicion.AUTHENTICATION] == 300
    segment.run(REMIND_S)
    segment.inject(said(Operation.COUP, State.ACTIVE, like=theirs), OUTSIDER, 0)
    assert reasons(segment)[1:] == [(Suspicion.AUTHENTICATION, 300)]


def test_a_message_that_somebody_sends_again_from_another_address_is_not_believed() -> None:
    """The digest covers the sender's address within the TLV, not the one of the IP header."""
    segment = Segment([settings(md5=KEY)])
    segment.run(SETTLED)
    heard = said(Operation.COUP, State.LISTEN, source="192.0.2.50", like=settings(md5=KEY))
    segment.inject(heard, OUTSIDER, 0)
    assert segment.owners() == [0]
    assert reasons(segment) == [(Suspicion.AUTHENTICATION, 1)]


def test_the_wrong_group_is_told_once_and_never_obeyed() -> None:
    segment = Segment([settings()])
    segment.run(SETTLED)
    for _ in range(50):
        segment.inject(said(Operation.COUP, State.LISTEN, like=settings(group=11)), OUTSIDER, 0)
    segment.inject(said(Operation.COUP, State.LISTEN, like=settings(version=1)), OUTSIDER, 0)
    assert segment.owners() == [0]
    assert reasons(segment) == [(Suspicion.NO_SUCH_GROUP, 1)] * 2


@pytest.mark.parametrize(
    ("source", "octets", "reason"),
    [
        ("198.51.100.9", None, Suspicion.STRANGER),
        ("192.0.2.10", None, Suspicion.DUPLICATE_ADDRESS),
        (OUTSIDER, b"\x01\xff", Suspicion.MALFORMED),
        (OUTSIDER, b"", Suspicion.MALFORMED),
    ],
    ids=["outside-the-network", "our-own-address", "cut-off", "empty"],
)
def test_what_cannot_be_is_told_once_and_never_obeyed(
    source: str, octets: bytes | None, reason: Suspicion
) -> None:
    segment = Segment([settings()])
    segment.run(SETTLED)
    for _ in range(20):
        segment.inject(said(Operation.COUP, State.LISTEN) if octets is None else octets, source, 0)
    assert segment.owners() == [0]
    assert reasons(segment) == [(reason, 1)]


def test_ten_thousand_liars_fill_no_memory() -> None:
    segment = Segment([settings()])
    for number in range(10_000):
        source = str(IPv4Address(int(IPv4Address("198.51.0.0")) + number))
        segment.inject(said(Operation.COUP, State.LISTEN), source, 0)
    assert len(segment.routers[0].alarms) <= 257


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Operation)[:3]),
            st.sampled_from(list(State)[1:]),
            st.integers(0, 2**32 - 1),
            st.sampled_from([OUTSIDER, "192.0.2.5", "192.0.2.10"]),
            st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=2),
            st.floats(0, 1),
        ),
        max_size=40,
    )
)
def test_whatever_is_said_is_answered_with_effects_and_the_group_goes_on(
    said_to_it: list[tuple[Operation, State, int, str, list[tuple[int, int]], float]],
) -> None:
    segment = Segment([settings(hello_ms=None, hold_ms=None, address=None, preempt=True)])
    for operation, state, priority, source, damage, seconds in said_to_it:
        octets = bytearray(said(operation, state, priority, source))
        for at, value in damage:
            octets[at % len(octets)] = value
        segment.inject(bytes(octets), source, 0)
        segment.run(seconds)
    router = segment.routers[0]
    assert (PLACE in router.owned) == (router.state is State.ACTIVE)
    segment.perform(router, router.speaker.stop(segment.now))
    assert router.owned == set()


# ------------------------------------------------------------------ obeyed with care


def test_a_duplicate_priority_is_told_and_the_higher_address_decides() -> None:
    segment = Segment([settings(priority=100), settings(priority=100)])
    segment.run(SETTLED)
    assert segment.owners() == [1]
    assert reasons(segment, 0) == [(Suspicion.DUPLICATE_PRIORITY, 1)]


def test_nobody_preempts_for_an_address() -> None:
    segment = Segment([settings(preempt=True), settings(preempt=True)])
    segment.kill(1)
    segment.run(SETTLED)
    segment.start(1)
    segment.run(10 * SETTLED)
    assert segment.owners() == [0]


def test_another_virtual_address_is_told() -> None:
    segment = Segment([settings(), settings(address=IPv4Address("192.0.2.2"))])
    segment.run(SETTLED)
    assert (Suspicion.DIFFERENT_ADDRESS, 1) in reasons(segment, 0)


def test_a_coup_storm_costs_one_change_in_a_hold_time_and_one_answer_in_a_hello_time() -> None:
    segment = Segment([settings()])
    segment.run(SETTLED)
    router = segment.routers[0]
    before, changes = router.sent, len(router.changes)
    storm_s = 7.0
    for _ in range(1000):
        segment.inject(said(Operation.COUP, State.LISTEN), OUTSIDER, 0)
        segment.inject(said(Operation.HELLO, State.ACTIVE, priority=1), "192.0.2.98", 0)
        segment.run(storm_s / 1000)
    hold, hello = 0.7, 0.2
    assert len(router.changes) - changes <= 3 * storm_s / hold
    assert router.sent - before <= 4 * storm_s / hello
    assert reasons(segment).count((Suspicion.COUP_STORM, 1)) <= 2
    assert router.speaker.counts[Suspicion.COUP_STORM] > 100
    segment.run(SETTLED)
    assert segment.owners() == [0]


def test_a_third_router_does_not_take_the_answer_to_a_coup_for_a_vacancy() -> None:
    segment = Segment([settings(priority=110), settings(), settings(priority=120, preempt=True)])
    segment.kill(2)
    segment.run(SETTLED)
    assert segment.owners() == [0]
    assert segment.routers[1].state is State.STANDBY
    segment.start(2)
    segment.run(SETTLED)
    assert segment.owners() == [2]
    assert State.ACTIVE not in [change.after for change in segment.routers[1].changes]


# ------------------------------------------------------------------ preemption


def returns_after(second: Group) -> float | None:
    """How long after its return a better router is active again; None within a minute: never."""
    segment = Segment([settings(priority=100), second])
    segment.run(SETTLED)
    assert segment.owners() == [1]
    segment.kill(1)
    segment.run(SETTLED)
    segment.start(1)
    begin = segment.now
    while segment.now < begin + 60:
        segment.run(0.05)
        if segment.owners() == [1]:
            return segment.now - begin
    assert segment.owners() == [0]
    return None


@pytest.mark.parametrize(
    ("more", "least"),
    [
        ({"preempt": False}, None),
        ({"preempt": True}, 0.0),
        ({"preempt": True, "preempt_minimum_s": 20}, 20.0),
        ({"preempt": True, "preempt_reload_s": 30}, 30.0),
        ({"preempt": True, "preempt_sync_s": 10}, 10.0),
        ({"preempt": True, "preempt_minimum_s": 5, "preempt_reload_s": 15}, 15.0),
    ],
    ids=["never", "at-once", "minimum", "reload", "sync", "the-longest"],
)
def test_preemption(more: dict[str, int], least: float | None) -> None:
    took = returns_after(settings(priority=200, **more))
    if least is None:
        assert took is None
    else:
        assert took is not None
        assert least <= took <= least + 0.5


def test_sync_ends_as_soon_as_all_is_in_step() -> None:
    better = settings(priority=200, preempt=True, preempt_sync_s=60)
    segment = Segment([settings(), better])
    segment.kill(1)
    segment.run(SETTLED)
    segment.start(1)
    segment.run(5.0)
    assert segment.owners() == [0]
    segment.routers[1].speaker.in_step(yes=True)
    segment.run(0.25)
    assert segment.owners() == [1]


def test_the_reload_delay_is_not_for_an_interface_that_comes_back_later() -> None:
    better = settings(priority=200, preempt=True, preempt_reload_s=30)
    segment = Segment([settings(), better])
    segment.run(60.0)
    router = segment.routers[1]
    segment.perform(router, router.speaker.interface_down(LAN, segment.now))
    segment.run(SETTLED)
    assert segment.owners() == [0]
    address = IPv4Interface(f"{router.address}/24")
    segment.perform(router, router.speaker.interface_up(LAN, address, 1, segment.now))
    segment.run(0.5)
    assert segment.owners() == [1]


# ------------------------------------------------------------------ tracking


def tracked(effect: Effect) -> Segment:
    watch = (Track("up", effect, 60),)
    segment = Segment(
        [settings(priority=150, tracks=watch), settings(priority=100, preempt_minimum_s=0)]
    )
    segment.run(SETTLED)
    assert segment.owners() == [0]
    return segment


def set_object(segment: Segment, *, up: bool) -> None:
    router = segment.routers[0]
    segment.perform(router, router.speaker.object_is("up", up=up, now=segment.now))


def test_a_decrement_alone_moves_nothing_where_nobody_preempts() -> None:
    segment = tracked(Effect.DECREMENT)
    set_object(segment, up=False)
    segment.run(SETTLED)
    assert segment.owners() == [0]
    assert segment.routers[0].speaker.groups[PLACE].priority == 90


def test_a_decrement_with_hand_over_goes_to_who_is_better_now_at_once() -> None:
    segment = tracked(Effect.HAND_OVER)
    set_object(segment, up=False)
    segment.run(0.01)
    assert segment.owners() == [1]
    segment.kill(1)  # worse is better than nobody
    segment.run(2 * 0.7)
    assert segment.owners() == [0]


def test_hand_over_waits_for_somebody_better_and_goes_when_there_is() -> None:
    segment = tracked(Effect.HAND_OVER)
    segment.kill(1)
    segment.run(SETTLED)
    set_object(segment, up=False)
    segment.run(SETTLED)
    assert segment.owners() == [0]
    segment.start(1)
    segment.run(2.0)
    assert segment.owners() == [1]


def test_shutdown_leaves_the_group_and_comes_back() -> None:
    segment = tracked(Effect.SHUTDOWN)
    set_object(segment, up=False)
    segment.run(0.01)
    assert segment.owners() == [1]
    segment.kill(1)
    segment.run(SETTLED)
    assert segment.owners() == []
    set_object(segment, up=True)
    segment.run(SETTLED)
    assert segment.owners() == [0]


def test_an_operator_hands_over_once() -> None:
    segment = Segment([settings(priority=150), settings()])
    segment.run(SETTLED)
    first = segment.routers[0]
    segment.perform(first, first.speaker.hand_over(None, segment.now))
    segment.run(0.01)
    assert segment.owners() == [1]


def test_nobody_hands_over_to_nobody() -> None:
    segment = Segment([settings(priority=150)])
    segment.run(SETTLED)
    first = segment.routers[0]
    assert first.speaker.hand_over(None, segment.now) == []


# ------------------------------------------------------------------ learning, times, words


def test_timers_and_address_are_learned_from_the_active_router() -> None:
    learner = settings(hello_ms=None, hold_ms=None, address=None, priority=50)
    segment = Segment([settings(), learner])
    group = segment.routers[1].speaker.groups[PLACE]
    assert (group.hello_ms, group.hold_ms) == (3000, HOLD_MS)
    segment.run(SETTLED)
    assert (group.hello_ms, group.hold_ms, group.address) == (200, 700, VIRTUAL)
    segment.kill(0)
    segment.run(2 * 0.7 + 0.1)
    assert segment.owners() == [1]


def test_an_active_router_learns_nothing() -> None:
    own = settings(hello_ms=None, hold_ms=None, priority=250)
    segment = Segment([own])
    segment.run(30.0)
    segment.inject(said(Operation.HELLO, State.ACTIVE, priority=1), OUTSIDER, 0)
    group = segment.routers[0].speaker.groups[PLACE]
    assert (group.hello_ms, group.hold_ms) == (3000, 10_000)


def test_version_1_keeps_its_own_hold_time_where_it_cannot_say_it() -> None:
    segment = Segment([settings(version=1, priority=200), settings(version=1)])
    segment.run(SETTLED)
    segment.kill(0)
    segment.run(0.7)
    assert segment.owners(PLACE._replace(version=1)) == [1]


def test_hellos_are_early_by_up_to_a_tenth_and_never_late() -> None:
    segment = Segment([settings()])
    segment.run(SETTLED)
    router = segment.routers[0]
    before = router.sent
    segment.run(100.0)
    assert 100 / 0.2 <= router.sent - before <= 100 / 0.18


def test_becoming_active_is_address_then_hello_then_arp_and_leaving_is_the_reverse() -> None:
    segment = Segment([settings(priority=90), settings(priority=200, preempt=True)])
    segment.kill(1)
    router = segment.routers[0]
    taken: list[Done] = []
    while not any(isinstance(effect, Own) for effect in taken):
        deadline = router.speaker.next_deadline()
        assert deadline is not None
        segment.now = deadline
        taken = router.speaker.handle_timer(deadline)
    kinds = [type(effect) for effect in taken]
    assert kinds.index(Own) < kinds.index(Send, kinds.index(Own)) < kinds.index(GratuitousArp)
    left = router.speaker.stop(segment.now)
    assert [type(effect) for effect in left] == [Release, type(left[1]), Send]
    assert isinstance(left[2], Send)
    (resign,) = hsrp.parse(left[2].payload).messages
    assert (resign.operation, left[2].virtual) == (Operation.RESIGN, False)


def test_gratuitous_arp_is_repeated_twice() -> None:
    segment = Segment([settings()])
    router = segment.routers[0]
    found = 0
    for _ in range(100):
        deadline = router.speaker.next_deadline()
        assert deadline is not None
        effects = router.speaker.handle_timer(deadline)
        found += sum(isinstance(effect, GratuitousArp) for effect in effects)
    assert found == 3


# ------------------------------------------------------------------ other settings


def test_a_priority_changes_in_place_and_an_address_leaves_the_group_first() -> None:
    segment = Segment([settings(priority=150)])
    segment.run(SETTLED)
    router = segment.routers[0]
    assert router.speaker.configure([settings(priority=120)], segment.now) == []
    assert segment.owners() == [0]
    moved = router.speaker.configure([settings(address=IPv4Address("192.0.2.3"))], segment.now)
    assert [type(effect) for effect in moved][:1] == [Release]
    assert router.state is State.LISTEN
    gone = router.speaker.configure([], segment.now)
    assert router.speaker.groups == {}
    assert not [effect for effect in gone if isinstance(effect, (Own, Alarm))]


def test_a_group_that_is_taken_away_releases_its_address() -> None:
    segment = Segment([settings()])
    segment.run(SETTLED)
    effects = segment.routers[0].speaker.configure([], segment.now)
    assert Release(Place(LAN, 2, 10)) in effects
