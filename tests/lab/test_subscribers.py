"""Populations: many mobile nodes, a few Foreign Agents, a real Home Agent, a clock set by hand."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hacc_agent.config import Replay
from hacc_agent.wire.registry import ACCEPTING
from lab.cli import app
from lab.errors import LabError
from lab.lab import Lab
from lab.subscribers.association import Subscription
from lab.subscribers.contract import Contract, NobodyMayRegister, chosen
from lab.subscribers.latencies import Latencies
from lab.subscribers.mobile_node import Ending
from lab.subscribers.network import stands
from lab.subscribers.population import Schedule
from lab.subscribers.report import NAMED, Tally, Unlike
from lab.subscribers.run import report
from lab.subscribers.wheel import TimingWheel
from tests.hacc_agent.wire.tshark import ICMP, datagram, decode, packet
from tests.lab.labs import topology
from tests.lab.registration import BEGIN, World, at, member

TOLD = member()
CONTRACT = Contract.of(TOLD)


def world(
    count: int = 50,
    *,
    agents: int = 2,
    rate: float = 100,
    move: float = 0,
    lifetime: int = 0,
    renewals: float = 0,
    replay: Replay = Replay.TIMESTAMP,
    **more: object,
) -> World:
    subscriptions = [with_replay(one, replay) for one in CONTRACT.subscriptions(count, lifetime)]
    security = TOLD.realms[0].security
    assert security is not None
    realms = (replace(TOLD.realms[0], security=replace(security, replay=replay)),)
    told = replace(TOLD, realms=realms, nodes=())
    if replay is Replay.TIMESTAMP:
        told = TOLD
    else:
        subscriptions = [one for one in subscriptions if one.nai]
    schedule = Schedule(rate, move, renewals)
    foreign = CONTRACT.foreign_agents(agents)
    return World(subscriptions, foreign, schedule, told=told, **more)  # type: ignore[arg-type]  # a few of its own


def with_replay(subscription: Subscription, replay: Replay) -> Subscription:
    return replace(subscription, association=replace(subscription.association, replay=replay))


def agree(made: World) -> None:
    """Nodes, Foreign Agents and Home Agent say the same of who is where."""
    now, nodes, bindings = made.now.steady, made.population.nodes, made.bindings
    # An agent that was left keeps its entry until the lifetime ends: nobody tells it.
    visitors = {
        (v.home_address, int(a.address)) for a in made.population.agents for v in a.visitors
    }
    for node in nodes:
        if not node.registered(now) or node.waiting or node.last_code not in ACCEPTING:
            continue  # it knows that it does not know
        care_of, expires = bindings[int(node.home_address)]
        assert node.expires is not None
        # To the second, which is what lifetimes and records count in.
        assert node.expires <= expires + 1, f"{node} believes in a binding that is over"
        assert (int(node.home_address), care_of) in visitors


# Laws ------------------------------------------------------------------------------------------


def test_everybody_registers_and_all_ends_agree() -> None:
    made = world(200, agents=3).until(3)
    assert made.population.registered(made.now) == 200
    assert len({node.home_address for node in made.population.nodes}) == 200
    assert not made.population.under_way
    assert made.population.tally.discarded.total() == 0
    agree(made)
    assert len(made.bindings) == 200


def test_the_same_seed_sends_the_same_octets() -> None:
    first, second, other = (world(40, move=7.0, seed=seed).until(30).sent for seed in (11, 11, 12))
    assert first == second
    assert len(first) > 200
    assert first != other


def test_who_moves_has_one_binding_and_it_follows() -> None:
    made = world(60, agents=3, move=5.0).until(40)
    assert made.population.tally.moves >= 60 * 6
    assert made.population.registered(made.now) == 60
    agree(made)
    assert len(made.bindings) == 60
    through = made.population.through(made.now)
    assert (sum(through.values()), len(through)) == (60, 3)


def test_who_renews_before_it_has_to_keeps_its_one_binding() -> None:
    quiet, made = (world(20, renewals=renewals).until(6) for renewals in (0, 10))
    assert quiet.population.tally.renewed == 0
    # 20 come in 0.2 s; from then on one is asked every tenth of a second.
    assert 50 <= made.population.tally.renewed <= 60
    assert made.population.registered(made.now) == 20
    assert len(made.bindings) == 20
    agree(made)


def test_short_lifetimes_are_renewed_in_time() -> None:
    made = world(30, lifetime=30)
    for minute in range(1, 6):
        made.until(60 * minute)
        assert made.population.registered(made.now) == 30
        agree(made)
    assert made.population.tally.renewed == pytest.approx(30 * 15, abs=31)
    assert made.population.tally.retransmissions == 0


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.floats(0, 0.6), st.sampled_from(Replay))
def test_loss_delays_registrations_and_confuses_nobody(
    seed: int, part: float, replay: Replay
) -> None:
    chance = random.Random(seed)
    made = world(20, lifetime=60, move=9.0, replay=replay)
    made._lost = lambda _: made.seconds < 60 and chance.random() < part
    for second in range(10, 130, 10):
        made.until(second)
        agree(made)
    assert made.population.registered(made.now) == len(made.population.nodes)
    assert made.population.tally.discarded[Ending.UNAUTHENTIC] == 0


@pytest.mark.parametrize("ahead", [-86_400.0, -30.0, 30.0, 86_400.0])
def test_5_7_1_a_clock_that_is_wrong_costs_one_denial(ahead: float) -> None:
    made = world(20, ahead=ahead).until(5)
    assert made.population.registered(made.now) == 20
    assert made.population.tally.denials == {133: 20}


def test_5_7_2_nonces_synchronise_themselves() -> None:
    made = world(20, replay=Replay.NONCE, lifetime=30).until(100)
    count = len(made.population.nodes)
    assert made.population.registered(made.now) == count
    assert made.population.tally.denials == {133: count}  # nobody knows the first nonce
    assert made.population.tally.renewed >= 4 * count


def test_who_leaves_leaves_nothing() -> None:
    made = world(40).until(3)
    made.population.leave(made.now)
    made.until(6)
    assert made.population.tally.deregistered == 40
    assert (made.bindings, made.population.registered(made.now)) == ({}, 0)
    assert sum(len(agent.visitors) for agent in made.population.agents) == 0
    assert not made.population.under_way


def test_a_pool_that_is_empty_is_code_130_and_asked_again() -> None:
    (pool,) = TOLD.realms[0].assigns
    few = replace(pool, last=pool.first + 9)
    told = replace(TOLD, realms=(replace(TOLD.realms[0], assigns=(few,)),))
    subscriptions = [one for one in CONTRACT.subscriptions(13) if one.nai]
    made = World(subscriptions, CONTRACT.foreign_agents(), Schedule(100), told=told).until(10)
    assert made.population.registered(made.now) == 10
    left = list(made.population.unlike(made.now))
    assert [one.last_code for one in left] == [130, 130]
    assert str(left[0]).endswith(": code 130, insufficient resources")
    assert made.population.tally.denials[130] == 2 * 4  # at 0, 1, 3 and 7 s
    assert made.population.under_way


def test_nobody_answers_until_somebody_does() -> None:
    made = world(5)
    made._lost = lambda _: made.seconds < 20
    made.until(6)
    assert str(next(made.population.unlike(made.now))).endswith(": no answer")
    made.until(19)
    assert made.population.tally.denials == {78: 5}  # what the Foreign Agent says after 7 s
    assert made.population.tally.requests == 5 * 5  # at 0, 1, 3, 7 and 15 s
    made.until(60)
    assert made.population.registered(made.now) == 5


# What others think of the octets -----------------------------------------------------------------


def test_tshark_finds_nothing_malformed(tmp_path: Path) -> None:
    made = world(12, agents=2, move=4.0, lifetime=30).until(40)
    made.population.leave(made.now)
    made.until(42)
    payloads = list(dict.fromkeys(made.sent))
    packets = [datagram(payload) for payload in payloads]
    packets += [packet(ICMP, agent.advertisement(made.now)) for agent in made.population.agents]
    fields = ("frame.protocols", "_ws.malformed", "mip.type")
    rows = decode(tmp_path, packets, fields)
    assert len(rows) > 200
    for payload, row in zip(payloads, rows, strict=False):
        assert row["mip.type"] == [str(payload[0])]
    assert [row for row in rows if row["_ws.malformed"]] == []
    assert all("icmp" in row["frame.protocols"][0] for row in rows[len(payloads) :])


# Parts -------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 100), max_size=60), st.lists(st.floats(0, 10), max_size=40))
def test_a_deadline_comes_once_never_early_and_at_most_two_ticks_late(
    deadlines: list[float], steps: list[float]
) -> None:
    wheel: TimingWheel[float] = TimingWheel(0.01)
    for deadline in deadlines:
        wheel.set(BEGIN + deadline, deadline)
    now, came = 0.0, []
    for step in [*steps, 200.0]:
        before, now = now, now + step
        for deadline in wheel.due(BEGIN + now):
            assert before - 0.02 <= deadline <= now
            came.append(deadline)
    assert sorted(came) == sorted(deadlines)
    assert wheel.next_deadline is None


@given(
    st.lists(st.floats(1e-5, 100), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.9, 0.99, 1.0]),
)
def test_a_percentile_is_right_to_within_two_hundredths(times: list[float], part: float) -> None:
    latencies = Latencies()
    for seconds in times:
        latencies.add(seconds)
    exact = sorted(times)[-(-int(part * 100) * len(times) // 100) - 1]
    assert latencies.percentile(part) == pytest.approx(exact, rel=0.02)
    assert latencies.percentile(1.0) == latencies.longest == max(times)


def test_no_times_have_no_percentiles() -> None:
    assert Tally().latencies.percentile(0.5) == 0.0


def test_a_node_without_an_answer_is_named() -> None:
    silent = Unlike("mn1@example.net", registered=False, last_code=None)
    assert str(silent) == "not registered: mn1@example.net: no answer"
    staying = Unlike("mn1@example.net", registered=True, last_code=231)
    assert str(staying) == "still registered: mn1@example.net: code 231, which no RFC names"


# Who may register --------------------------------------------------------------------------------


def test_nodes_with_addresses_come_first_then_the_realms() -> None:
    static, first, second = CONTRACT.subscriptions(3)
    assert (static.home_address, static.nai) == (IPv4Address("198.19.96.7"), b"")
    assert (first.nai, second.nai) == (b"mn0000001@example.net", b"mn0000002@example.net")
    assert (static.association.spi, first.association.spi) == (0x101, 0x100)
    assert {one.lifetime for one in CONTRACT.subscriptions(3, 77)} == {77}


def test_agents_that_the_cluster_does_not_know_share_no_key_with_it() -> None:
    known, stranger = CONTRACT.foreign_agents(2)
    assert [str(known.address), str(stranger.address)] == ["198.18.9.1", "198.18.9.2"]
    assert len(CONTRACT.foreign_agents()) == 1
    bare = replace(CONTRACT, agents=())
    assert [str(one.address) for one in bare.foreign_agents()] == ["198.18.9.1"]


def test_who_asks_for_more_than_there_are_is_told() -> None:
    with pytest.raises(NobodyMayRegister, match="1 mobile nodes can register, not 2"):
        replace(CONTRACT, realms=()).subscriptions(2)


@pytest.mark.parametrize(
    ("clusters", "asked", "said"),
    [
        ((), "", r"no router of the lab has an /etc/hacc/agent\.toml"),
        (("west",), "east", "--cluster east: no such cluster"),
        (("west", "east"), "", "more than one cluster is provisioned"),
    ],
)
def test_which_cluster(clusters: tuple[str, ...], asked: str, said: str) -> None:
    contracts = [replace(CONTRACT, cluster=name) for name in clusters]
    with pytest.raises(LabError, match=said):
        chosen(contracts, asked)


def test_the_only_cluster_needs_no_name() -> None:
    assert chosen([CONTRACT, CONTRACT], "") is CONTRACT
    other = replace(CONTRACT, cluster="east")
    assert chosen([CONTRACT, other], "east") is other


def test_agents_stand_on_addresses_that_nobody_has() -> None:
    lab = Lab(topology("stands", 3))
    agents = [IPv4Address("198.18.9.1"), IPv4Address("198.18.9.2")]
    first, second = stands(lab, [TOLD], agents)
    # .254 is the controllers' group, .253 the pair of IOS routers
    assert [str(one.address) for one in (first, second)] == ["198.18.1.252/24", "198.18.1.251/24"]
    assert (first.lan, str(first.gateway)) == ("core", "198.18.1.254")
    assert "route add 198.19.0.1/32 via 198.18.1.254 src 198.18.9.1" in first.lines()


def test_a_lan_without_room_is_told() -> None:
    lan = replace(TOLD.lans[0], address=IPv4Interface("198.18.1.254/31"))
    with pytest.raises(LabError, match="no 1 addresses are free"):
        stands(Lab(topology("full", 0)), [replace(TOLD, lans=(lan,))], [IPv4Address("198.18.9.1")])


def test_a_cluster_whose_group_is_on_another_lan_is_told() -> None:
    with pytest.raises(LabError, match="nobody answers for the virtual Home Agent address"):
        stands(Lab(topology("none", 0)), [replace(TOLD, lans=())], [IPv4Address("198.18.9.1")])


def test_time_stands_still_between_deadlines() -> None:
    made = world(1).until(9)
    assert made.population.advance(at(9)) == []
    assert made.population.next_deadline() > BEGIN + 500


# What is said at the end -------------------------------------------------------------------------


def test_a_report_says_the_same_to_people_and_to_programs() -> None:
    made = world(30, ahead=30.0).until(5)
    made.population.leave(made.now)
    said = report(made.population, at(0), made.now, rate=100.0, interrupted=False)
    text, data = "\n".join(said.lines()), said.as_json()
    assert data == json.loads(json.dumps(data))
    assert "30 of 30 mobile nodes are registered, through 198.18.9.1 (" in text
    assert "denied 30 times: code 133, registration Identification mismatch" in text
    assert (data["registered"], data["denials"]) == (30, {"133": 30})
    assert len(data["unlike"]) == NAMED  # they want to leave, and have not yet
    assert "and 20 more" in text
    assert sum(data["foreign_agents"].values()) == 30
    assert data["latency_ms"]["p50"] <= data["latency_ms"]["max"]


def test_a_lab_that_is_not_up_is_said(root: Path) -> None:
    command = ["subscribers", "-i", str(root / "inventory"), "--name", f"t{os.getpid()}-none"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 3
    assert "not running" in done.output
    assert "hacc lab up" in done.output
