"""Where new mobile nodes go: distributions of uneven fleets against the ideal, and each rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import Member, MemberKind, Selection, Weights
from hacc_agent.engine.cluster import LeastLoaded, Loads
from hacc_agent.engine.cluster.selection import loads_of
from hacc_agent.engine.cluster.weighing import SLOW_START_S, Weighing
from hacc_agent.engine.health import Figures, Source, Standing, State
from hacc_agent.engine.slots import Slots
from tests.hacc_agent.engine.cluster.world import configuration

BINDINGS = Weights(1, 0, 0)
ALL = Weights(2, 1, 1)


class Fleet:
    """Members with loads, and mobile nodes that come one after the other."""

    def __init__(self, *members: dict[str, Any], weights: Weights = ALL) -> None:
        told = tuple(
            replace(Member(f"ha{n}", MemberKind.LINUX, False, 1, 100_000, (), ()), **changes)
            for n, changes in enumerate(members)
        )
        config = configuration(members=told, selection=Selection(0.1, weights))
        self.weighing = Weighing(config)
        self.loads: Loads = loads_of(told, [True] * len(told))
        self.slots = Slots(len(told))
        self.states = [State.UP] * len(told)
        self.figures: list[Figures | None] = [None] * len(told)
        self.seconds = 1000.0
        self.write()

    def load(self, number: int, **figures: float) -> None:
        self.figures[number] = Figures(number, Source.SNMP, self.seconds, **figures)  # type: ignore[arg-type]  # all are numbers

    def standings(self) -> list[Standing]:
        return [
            Standing(state, "so it is", 0.0, figures, None, 0, 0.0)
            for state, figures in zip(self.states, self.figures, strict=True)
        ]

    def write(self) -> None:
        self.weighing.write(self.loads, self.slots, self.standings(), self.seconds)

    def come(self, count: int) -> list[int]:
        """What each member got."""
        before = self.loads.served.copy()
        for mobile in range(count):
            chosen = LeastLoaded().choose(mobile, self.loads)
            assert chosen is not None
            self.loads.served[chosen] += 1
        got: list[int] = (self.loads.served - before).tolist()
        return got

    def closed(self) -> list[str]:
        return [each.closed for each in self.weighing.candidates(self.loads, self.standings())]


weights = st.lists(st.integers(1, 9), min_size=2, max_size=8)


@given(weights, st.integers(1, 2000))
def test_by_bindings_alone_shares_are_those_of_the_weights(weight: list[int], count: int) -> None:
    """Each within one mobile node of the ideal for every weight that it has."""
    fleet = Fleet(*({"weight": each} for each in weight), weights=BINDINGS)
    got = fleet.come(count)
    ideal = [count * each / sum(weight) for each in weight]
    assert sum(got) == count
    for number, share in enumerate(got):
        assert abs(share - ideal[number]) <= max(weight)


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        pytest.param((50.0, 50.0), (5000, 5000), id="equally busy"),
        # 0.5 * served / 100,000 + 0.25 * cpu is the same for both: 20 % are 10,000 mobile nodes.
        pytest.param((50.0, 30.0), (0, 10_000), id="one is busier than all that come"),
        pytest.param((50.0, 42.0), (3000, 7000), id="one is a little busier"),
        pytest.param((None, 40.0), (5000, 5000), id="one does not tell"),
        pytest.param((None, None), (5000, 5000), id="nobody tells"),
    ],
)
def test_processors_count_by_their_weight(
    cpu: tuple[float | None, ...], expected: tuple[int, ...]
) -> None:
    fleet = Fleet({}, {})
    for number, percent in enumerate(cpu):
        if percent is not None:
            fleet.load(number, cpu_percent=percent)
    fleet.write()
    got = fleet.come(10_000)
    assert [round(each, -2) for each in got] == list(expected)


def test_memory_counts_what_is_not_free() -> None:
    fleet = Fleet({}, {})
    fleet.load(0, memory_free_percent=60.0)
    fleet.load(1, memory_free_percent=68.0)
    fleet.write()
    assert [round(each, -2) for each in fleet.come(10_000)] == [3000, 7000]


def test_who_tells_no_processor_load_is_judged_by_its_registrations() -> None:
    fleet = Fleet({}, {})
    fleet.load(0, registrations_per_s=25_000.0)  # half of what admission lets a member have
    fleet.load(1, cpu_percent=50.0)
    fleet.write()
    assert fleet.loads.base[0] == pytest.approx(fleet.loads.base[1])


def test_noise_moves_nobody_and_change_does() -> None:
    fleet = Fleet({}, {})
    for percent, moves in ((50.0, True), (54.0, False), (46.0, False), (56.0, True), (52.0, False)):
        before = fleet.loads.base.copy()
        for number in range(2):
            fleet.load(number, cpu_percent=percent)
        fleet.write()
        assert bool((fleet.loads.base != before).any()) is moves


def test_an_idle_processor_alone_never_takes_a_whole_storm() -> None:
    """Even with no weight on bindings."""
    fleet = Fleet({}, {}, weights=Weights(0, 1, 0))
    fleet.load(0, cpu_percent=10.0)
    fleet.load(1, cpu_percent=10.4)
    fleet.write()
    assert min(fleet.come(50_000)) > 10_000


def test_a_member_that_comes_back_gets_its_share_first_and_more_later() -> None:
    fleet = Fleet({}, {}, {}, weights=BINDINGS)
    fleet.states[2] = State.DOWN
    fleet.write()
    assert fleet.come(60_000) == [30_000, 30_000, 0]
    fleet.states[2] = State.UP
    rates = []
    for _ in range(int(SLOW_START_S)):
        fleet.seconds += 1
        fleet.write()
        rates.append(fleet.come(900)[2])
    assert max(rates) <= 900  # and, as a rule, not everything
    assert rates[0] < 900
    served = fleet.loads.served
    assert served[2] <= served[:2].max()
    assert sum(rates) > 900 * SLOW_START_S / 3  # more than its share: it is emptier than others


@pytest.mark.parametrize("state", [s for s in State if s not in (State.UNKNOWN, State.UP)])
def test_who_is_not_well_gets_nobody(state: State) -> None:
    fleet = Fleet({}, {})
    fleet.states[0] = state
    fleet.write()
    assert fleet.come(100) == [0, 100]
    assert fleet.closed() == [f"{state}: so it is", ""]


def test_unknown_is_not_down() -> None:
    fleet = Fleet({}, {})
    fleet.states[0] = State.UNKNOWN
    fleet.write()
    assert fleet.come(100) == [50, 50]


@pytest.mark.parametrize(
    ("given_away", "why"),
    [(64, "its own slots are with another member"), (3, "its own slots are divided")],
)
def test_who_does_not_have_its_own_slots_gets_nobody(given_away: int, why: str) -> None:
    fleet = Fleet({}, {})
    fleet.slots.rewrite([(slot, 1) for slot in range(given_away)], 1)
    fleet.write()
    assert fleet.come(100) == [0, 100]
    assert fleet.closed() == [why, ""]


def test_when_nobody_is_well_whoever_serves_gets_them() -> None:
    fleet = Fleet({}, {}, {})
    fleet.states = [State.FAILING, State.DRAINING, State.DOWN]
    fleet.write()
    assert fleet.come(100) == [50, 50, 0]


def test_a_backup_gets_them_when_the_others_are_full() -> None:
    fleet = Fleet({"capacity": 10}, {"capacity": 20}, {"backup": True}, weights=BINDINGS)
    assert fleet.come(40) == [10, 20, 10]
    assert fleet.closed() == ["full", "full", ""]


def test_of_equals_the_first() -> None:
    fleet = Fleet({}, {}, {})
    assert [LeastLoaded().choose(mobile, fleet.loads) for mobile in range(3)] == [0, 0, 0]


def test_the_same_figures_give_the_same_columns() -> None:
    fleets = [Fleet({"weight": 2}, {}, {}) for _ in range(2)]
    for fleet in fleets:
        fleet.load(1, cpu_percent=70.0, memory_free_percent=10.0)
        fleet.write()
    one, other = (fleet.loads for fleet in fleets)
    assert np.array_equal(one.base, other.base)
    assert np.array_equal(one.slope, other.slope)
