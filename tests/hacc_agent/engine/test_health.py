"""Who is well, from what is heard: one conversation for each rule, and laws for all of them."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import AgentConfig, Member, MemberKind, Replay, Role, Selection, Weights
from hacc_agent.config import Health as Limits
from hacc_agent.engine.effects import Moment
from hacc_agent.engine.health import (
    FAILING_S,
    FEW,
    HALF_LIFE_S,
    ISOLATED_S,
    LOST,
    MANY,
    POLLS,
    RECOVERED_S,
    RETURN_S,
    REUSE,
    SERVES,
    SUPPRESS,
    TAKES_NEW,
    UNANSWERED_S,
    Change,
    Figures,
    Health,
    Order,
    Source,
    State,
    Trap,
    TrapKind,
)

IOS = 2
"""The place of the stock member; the others are ours."""


def configuration(members: int = 3) -> AgentConfig:
    kinds = [MemberKind.IOS if n == IOS else MemberKind.LINUX for n in range(members)]
    return AgentConfig(
        "west", "hacc1", Role.CONTROLLER, IPv4Address("198.19.0.1"), (), 1800,
        Replay.TIMESTAMP, 7, 15, None, (), (), (),
        tuple(Member(f"ha{n}", kind, False, 1, 1000, (), ()) for n, kind in enumerate(kinds)),
        Selection(0.1, Weights(1, 1, 1)), Limits(100, 3, 5, 95, 3), None, (), (), (),
    )  # fmt: skip


class Watch:
    """A health that is looked at when it wants to be; members beat unless a test silences them."""

    def __init__(self, members: int = 3) -> None:
        self.seconds, self.members = 1000.0, members
        self.health = Health(configuration(members), self.now)
        self.beating = {member for member in range(members) if member != IOS}
        self.changes: list[Change] = []
        self.figures: dict[int, Figures] = {}

    @property
    def now(self) -> Moment:
        return Moment(self.seconds, 1.7e9 + self.seconds)

    def wait(self, seconds: float) -> list[State]:
        """Heartbeats come every 100 ms; the states that member 0 came into."""
        end, told = self.seconds + seconds, len(self.changes)
        while self.seconds < end - 1e-9:
            self.seconds = min(end, self.seconds + 0.1)
            for member in self.beating:
                self.health.heard(member, self.figures.get(member), self.now)
            self.changes += self.health.handle_timer(self.now)
        return [change.after for change in self.changes[told:] if change.member == 0]

    def load(self, **figures: Any) -> None:
        self.figures[0] = Figures(0, Source.LINK, self.seconds, **figures)

    def states(self) -> list[State]:
        return [self.health.state(member) for member in range(self.members)]


def test_nobody_is_down_because_nothing_is_known() -> None:
    watch = Watch()
    watch.beating.clear()
    watch.wait(60)
    assert watch.states() == [State.UNKNOWN] * 3
    assert watch.changes == []


def test_a_heartbeat_says_that_a_member_is_up() -> None:
    watch = Watch()
    assert watch.wait(0.2) == [State.UP]


def test_a_member_without_power_is_down_after_the_misses_of_the_configuration() -> None:
    watch = Watch()
    watch.wait(5)
    watch.beating.discard(0)
    assert watch.wait(0.2) == []
    assert watch.wait(0.2) == [State.DOWN]
    assert watch.changes[-1].reason == "no heartbeat, and no answer to requests"
    assert watch.states()[1] is State.UP


def test_a_process_that_died_is_down_one_heartbeat_after_its_link() -> None:
    watch = Watch()
    watch.wait(5)
    watch.beating.discard(0)
    watch.health.lost(0, watch.now)
    assert watch.wait(0.1) == [State.DOWN]
    assert watch.changes[-1].reason == "it closed the member link"


def test_a_link_that_is_made_again_at_once_is_no_death() -> None:
    watch = Watch()
    watch.wait(5)
    watch.health.lost(0, watch.now)
    assert watch.wait(5) == []


def test_who_answers_requests_lives_without_heartbeats() -> None:
    watch = Watch()
    watch.wait(5)
    watch.beating.discard(0)
    for _ in range(50):
        watch.health.answered(0, watch.now)
        assert watch.wait(0.1) == []
    assert watch.wait(0.4) == [State.DOWN]


def test_silence_of_snmp_alone_is_nothing() -> None:
    watch = Watch()
    watch.wait(5)
    for _ in range(20):
        watch.health.unreported(0, watch.now)
        watch.health.unreported(IOS, watch.now)
        assert watch.wait(5) == []
    assert watch.states() == [State.UP, State.UP, State.UNKNOWN]


def test_answers_to_snmp_do_not_keep_a_dead_agent_up() -> None:
    watch = Watch()
    watch.wait(5)
    watch.beating.discard(0)
    for _ in range(4):
        watch.health.reported(0, Figures(0, Source.SNMP, watch.seconds), watch.now)
        watch.wait(0.1)
    assert watch.states()[0] is State.DOWN


def test_who_is_heard_but_answers_no_request_is_down() -> None:
    """Its heartbeats come another way than requests: a LAN that is cut in one direction."""
    watch = Watch()
    watch.wait(5)
    watch.health.unanswered(0, MANY - 1, watch.now)
    assert watch.wait(1) == []
    watch.health.unanswered(0, 1, watch.now)
    assert watch.wait(0.1) == [State.DOWN]


@pytest.mark.parametrize("what", ["answer", "time"])
def test_unanswered_requests_count_together_only(what: str) -> None:
    watch = Watch()
    watch.wait(5)
    for _ in range(5):
        watch.health.unanswered(0, MANY - 1, watch.now)
        if what == "answer":
            watch.health.answered(0, watch.now)
            watch.wait(1)
        else:
            watch.wait(UNANSWERED_S + 1)
    assert watch.states()[0] is State.UP


def test_a_stock_member_is_down_by_two_witnesses() -> None:
    watch = Watch()
    watch.health.reported(IOS, Figures(IOS, Source.SNMP, watch.seconds), watch.now)
    watch.wait(5)
    for _ in range(POLLS):
        watch.health.unreported(IOS, watch.now)
    watch.wait(1)
    assert watch.states()[IOS] is State.UP
    watch.health.unanswered(IOS, FEW, watch.now)
    watch.wait(0.1)
    assert watch.states()[IOS] is State.DOWN
    assert watch.changes[-1].reason == "no answer to SNMP, nor to authentic requests"
    watch.wait(1)
    watch.health.reported(IOS, Figures(IOS, Source.SNMP, watch.seconds), watch.now)
    watch.wait(UNANSWERED_S + 1)
    assert watch.states()[IOS] is State.UP


@pytest.mark.parametrize("other", ["unanswered", "snmp", "none"])
def test_a_trap_is_one_witness(other: str) -> None:
    watch = Watch()
    watch.health.reported(IOS, Figures(IOS, Source.SNMP, watch.seconds), watch.now)
    watch.health.trapped(Trap(IOS, TrapKind.LINK_DOWN, "Gi0/1", watch.seconds), watch.now)
    watch.wait(1)
    if other == "unanswered":
        watch.health.unanswered(IOS, FEW, watch.now)
    for _ in range(POLLS if other == "snmp" else 0):
        watch.health.unreported(IOS, watch.now)
    watch.wait(1)
    assert watch.states()[IOS] is (State.UP if other == "none" else State.DOWN)


@pytest.mark.parametrize("member", [0, IOS])
def test_a_stock_member_that_restarted_has_lost_its_bindings(member: int) -> None:
    watch = Watch()
    watch.health.reported(IOS, Figures(IOS, Source.SNMP, watch.seconds), watch.now)
    watch.wait(5)
    watch.health.trapped(Trap(member, TrapKind.COLD_START, "", watch.seconds), watch.now)
    watch.wait(0.1)
    assert watch.states()[member] is (State.DOWN if member == IOS else State.UP)


def test_a_router_of_a_pair_that_restarts_takes_no_bindings_with_it() -> None:
    watch = Watch()
    watch.health.reported(IOS, Figures(IOS, Source.SNMP, watch.seconds), watch.now)
    watch.wait(5)
    watch.health.trapped(Trap(IOS, TrapKind.COLD_START, "", watch.seconds, "ios1"), watch.now)
    watch.wait(0.1)
    assert watch.states()[IOS] is State.UP


def test_who_hears_nobody_blames_himself_first() -> None:
    watch = Watch(members=5)
    watch.wait(5)
    watch.beating.clear()
    watch.wait(ISOLATED_S - 0.2)
    assert [change for change in watch.changes if change.after is State.DOWN] == []
    watch.beating = {0, 1, 3}
    watch.wait(0.5)
    down = {change.member for change in watch.changes if change.after is State.DOWN}
    assert down == {4}


def test_the_silence_of_all_counts_in_the_end() -> None:
    watch = Watch()
    watch.wait(5)
    watch.beating.clear()
    watch.wait(ISOLATED_S + 1)
    assert watch.states()[:2] == [State.DOWN] * 2


def test_a_controller_that_slept_looks_first_and_judges_then() -> None:
    watch = Watch()
    watch.wait(5)
    watch.seconds += 30
    assert watch.health.handle_timer(watch.now) == []
    assert watch.wait(5) == []
    watch.seconds += 30
    watch.beating.discard(0)
    assert watch.wait(0.6) == [State.DOWN]


@pytest.mark.parametrize(
    ("figures", "failing"),
    [
        pytest.param({"cpu_percent": 96.0}, True, id="processor"),
        pytest.param({"cpu_percent": 94.0}, False, id="processor, not quite"),
        pytest.param({"memory_free_percent": 2.0}, True, id="memory"),
        pytest.param({"memory_free_percent": 4.0}, False, id="memory, not quite"),
        pytest.param({}, False, id="unknown"),
    ],
)
def test_a_member_fails_by_what_it_tells(figures: dict[str, float], failing: bool) -> None:
    watch = Watch()
    watch.wait(5)
    watch.load(**figures)
    assert watch.wait(FAILING_S - 1) == []
    assert watch.wait(2) == ([State.FAILING] if failing else [])


@pytest.mark.parametrize(
    ("rate", "lost", "failing"),
    [
        pytest.param(10.0, 1, True, id="one in ten"),
        pytest.param(1000.0, 10, False, id="one in a hundred"),
        pytest.param(None, 1, True, id="of nobody knows how many"),
    ],
)
def test_a_member_fails_that_answers_some_requests_and_not_others(
    rate: float | None, lost: int, failing: bool
) -> None:
    """Each answer says that it lives, so it is never down."""
    watch = Watch()
    watch.wait(5)
    watch.load(registrations_per_s=rate)

    def lose(seconds: int) -> list[State]:
        told = []
        for _ in range(seconds):
            for _ in range(lost):
                watch.health.unanswered(0, 1, watch.now)
                watch.health.answered(0, watch.now)
            told += watch.wait(1)
        return told

    assert lose(int(FAILING_S)) == []
    assert lose(int(FAILING_S) + 2) == ([State.FAILING] if failing else [])
    assert lose(60) == []
    assert watch.wait(FAILING_S + RECOVERED_S + 2) == ([State.UP] if failing else [])


def test_an_accident_is_no_failure() -> None:
    watch = Watch()
    watch.wait(5)
    for _ in range(20):
        watch.health.unanswered(0, LOST - 2, watch.now)
        watch.health.answered(0, watch.now)
        assert watch.wait(FAILING_S + 1) == []


def test_a_peak_is_no_failure_and_a_pause_no_recovery() -> None:
    watch = Watch()
    watch.wait(5)
    for _ in range(5):
        watch.load(cpu_percent=99.0)
        watch.wait(FAILING_S / 2)
        watch.load(cpu_percent=50.0)
        assert watch.wait(1) == []
    watch.load(cpu_percent=99.0)
    assert watch.wait(FAILING_S + 1) == [State.FAILING]
    for cpu in (90.0, 50.0, 90.0):  # 90 is below the threshold, but not well below it
        watch.load(cpu_percent=cpu)
        assert watch.wait(RECOVERED_S - 1) == []
    watch.load(cpu_percent=80.0)
    assert watch.wait(RECOVERED_S + 1) == [State.UP]


def test_a_member_is_back_when_it_was_heard_for_a_while() -> None:
    watch = Watch()
    watch.wait(5)
    watch.beating.discard(0)
    watch.wait(1)
    for _ in range(10):  # it dies at each start
        watch.beating.add(0)
        assert watch.wait(RETURN_S - 0.5) == []
        watch.beating.discard(0)
        assert watch.wait(1) == []
    watch.beating.add(0)
    assert watch.wait(RETURN_S + 0.3) == [State.UP]


@pytest.mark.parametrize("snmp", [True, False])
def test_a_member_without_a_link_is_back_by_what_else_there_is(snmp: bool) -> None:
    """The cluster has no member links; without SNMP it is tried again after a while."""
    watch = Watch()
    watch.beating.clear()
    if snmp:
        watch.health.reported(0, Figures(0, Source.SNMP, watch.seconds), watch.now)
    watch.wait(1)
    watch.health.unanswered(0, MANY, watch.now)
    assert watch.wait(1)[-1] is State.DOWN
    if snmp:
        assert watch.wait(2 * UNANSWERED_S) == []
        watch.health.reported(0, Figures(0, Source.SNMP, watch.seconds), watch.now)
    assert watch.wait(2 * UNANSWERED_S)[-1] in TAKES_NEW


def flap(watch: Watch) -> None:
    watch.beating.discard(0)
    watch.wait(1)
    watch.beating.add(0)
    watch.wait(RETURN_S + 1)


def test_who_comes_and_goes_is_held() -> None:
    watch = Watch()
    watch.wait(5)
    while watch.states()[0] is State.UP:
        flap(watch)
    assert watch.states()[0] is State.HELD
    assert [change.after for change in watch.changes].count(State.DOWN) == 3
    assert SUPPRESS < watch.health.standing(0, watch.now).penalty < 3000
    assert watch.wait(HALF_LIFE_S / 2) == []
    assert watch.wait(1.6 * HALF_LIFE_S) == [State.UP]
    assert watch.health.standing(0, watch.now).penalty < REUSE


def test_who_comes_and_goes_is_better_than_nobody() -> None:
    """All members have gone; of those that come back the first one is let in, tired or not."""
    watch = Watch(2)
    watch.wait(5)
    while watch.states()[0] is not State.HELD:
        flap(watch)
    watch.beating.clear()
    watch.wait(10)
    assert set(watch.states()) == {State.DOWN}
    watch.beating.add(0)
    watch.wait(RETURN_S + 1)
    assert watch.states()[0] is State.UP


def test_an_operator_lets_it_in_at_once() -> None:
    watch = Watch()
    watch.wait(5)
    while watch.states()[0] is not State.HELD:
        flap(watch)
    watch.health.order(0, Order.UNDRAIN, watch.now)
    assert watch.wait(0.1) == [State.UP]


def test_draining_ends_in_maintenance_and_by_order() -> None:
    watch = Watch()
    watch.wait(5)
    watch.health.order(0, Order.DRAIN, watch.now)
    assert watch.wait(1) == [State.DRAINING]
    watch.health.emptied(0, watch.now)
    assert watch.wait(1) == [State.MAINTENANCE]
    watch.beating.discard(0)
    assert watch.wait(1) == [State.DOWN]
    watch.beating.add(0)
    assert watch.wait(RETURN_S + 1) == [State.MAINTENANCE]
    watch.health.order(0, Order.UNDRAIN, watch.now)
    assert watch.wait(0.1) == [State.UP]


def test_emptiness_means_nothing_without_an_order() -> None:
    watch = Watch()
    watch.wait(5)
    watch.health.emptied(0, watch.now)
    assert watch.wait(1) == []


def test_figures_of_both_sources_are_one_picture() -> None:
    watch = Watch()
    report = Figures(0, Source.SNMP, watch.seconds, bindings=7, cpu_percent=10.0)
    watch.health.reported(0, report, watch.now)
    beat = Figures(0, Source.LINK, watch.seconds + 1, cpu_percent=20.0, registrations_per_s=3.0)
    watch.health.heard(0, beat, watch.now)
    figures = watch.health.standing(0, watch.now).figures
    assert figures is not None
    assert (figures.bindings, figures.cpu_percent, figures.registrations_per_s) == (7, 20.0, 3.0)


events = st.one_of(
    st.tuples(st.just("silent"), st.integers(0, 1)),
    st.tuples(st.just("beats"), st.integers(0, 1)),
    st.tuples(st.just("lost"), st.integers(0, 1)),
    st.tuples(st.just("snmp"), st.integers(0, 2)),
    st.tuples(st.just("no snmp"), st.integers(0, 2)),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)


@given(st.lists(events, max_size=30))
def test_who_beats_and_leaves_nothing_unanswered_is_never_down(
    told: list[tuple[str, int]],
) -> None:
    """Member 1 beats always. And changes tell of every state that anybody comes into."""
    watch = Watch()
    for what, number in told:
        match what:
            case "silent" | "lost" if number == 0:
                watch.beating.discard(0)
                if what == "lost":
                    watch.health.lost(0, watch.now)
            case "beats":
                watch.beating.add(number)
            case "snmp":
                figures = Figures(number, Source.SNMP, watch.seconds)
                watch.health.reported(number, figures, watch.now)
            case "no snmp":
                watch.health.unreported(number, watch.now)
            case "wait":
                watch.wait(number / 10)
    watch.wait(1)
    assert watch.states()[1] is State.UP
    assert watch.states()[IOS] in SERVES
    last = [State.UNKNOWN] * 3
    for change in watch.changes:
        assert change.before is last[change.member]
        assert change.before is not change.after
        last[change.member] = change.after
    assert last == watch.states()
