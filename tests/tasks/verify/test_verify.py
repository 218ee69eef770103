"""When the verdict is given: what may converge is waited for, what cannot is told at once.

Time is a number here: the clock moves when `sleep` is called.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import Place
from tasks.model import ClusterModel
from tasks.rendered import Platform
from tasks.verify import Observation, Result, Status, Verdict, patience_s, verify
from tasks.verify.observation import ArpRules, Unit

Seen = Mapping[str, Observation]


class World:
    """Shows one scene after the other, the last one for good."""

    def __init__(self, *scenes: Seen, takes_s: float = 0.0) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self._scenes = list(scenes)
        self._takes_s = takes_s

    def observe(self, clusters: Sequence[ClusterModel]) -> Seen:
        self.now += self._takes_s
        scene = self._scenes[0]
        if len(self._scenes) > 1:
            del self._scenes[0]
        return {d.host: scene[d.host] for cluster in clusters for d in cluster.devices}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def verify(
        self, cluster: ClusterModel, progress: Callable[[Verdict], None] | None = None
    ) -> Verdict:
        [verdict] = verify(
            [cluster], self.observe, clock=lambda: self.now, sleep=self.sleep, progress=progress
        )
        return verdict


def with_(seen: Seen, host: str, **fields: object) -> Seen:
    return {**seen, host: dataclasses.replace(seen[host], **fields)}  # type: ignore[arg-type]  # fields by name


def test_what_is_right_is_told_after_one_look(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    world = World(healthy, takes_s=0.4)
    verdict = world.verify(cluster)
    assert (verdict.ok, verdict.settled, verdict.rounds, world.slept) == (True, True, 1, [])
    assert round(verdict.seconds, 3) == 0.4


def test_routes_that_come_late_are_waited_for(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    early = with_(healthy, "ha1", ospf_routes=(), forwarding=())
    shown: list[Verdict] = []
    verdict = World(early, early, healthy).verify(cluster, shown.append)
    assert (verdict.settled, verdict.rounds) == (True, 3)
    assert [bool(seen.of(Status.WAITING)) for seen in shown] == [True, True, False]
    assert all(not seen.of(Status.FAILED) for seen in shown)


def test_what_never_converges_fails_at_the_deadline(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    world = World(with_(healthy, "ha1", ospf_routes=()))
    verdict = world.verify(cluster)
    assert {result.check for result in verdict.of(Status.FAILED)} == {"announced"}
    assert verdict.of(Status.WAITING) == ()
    patience = patience_s(cluster)
    assert patience - 1.0 <= sum(world.slept) <= patience


def test_a_daemon_that_was_given_up_is_not_waited_for(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    def with_snmpd(state: str) -> Seen:
        others = tuple(unit for unit in healthy["ha1"].units if unit.name != "snmpd")
        return with_(healthy, "ha1", units=(*others, Unit("snmpd", state, None)))

    world = World(with_snmpd("failed"), healthy)
    verdict = world.verify(cluster)
    assert (verdict.ok, verdict.rounds, world.slept) == (False, 1, [])
    assert [result.check for result in verdict.of(Status.FAILED)] == ["services"]
    for state in ("activating", "inactive"):  # it starts again, or is about to be started
        assert World(with_snmpd(state), healthy).verify(cluster).settled


def test_slow_ospf_timers_are_given_their_time(cluster: ClusterModel) -> None:
    slow = dataclasses.replace(
        cluster,
        devices=tuple(
            dataclasses.replace(
                device, ospf=dataclasses.replace(device.ospf, hello_s=10, dead_s=40)
            )
            for device in cluster.devices
        ),
    )
    assert patience_s(slow) > 51.0 > patience_s(cluster)  # 51 s: measured, with FRR's defaults


def test_what_cannot_converge_ends_the_waiting(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    """Whoever must roll back should not wait for OSPF first; what was hoped for is not blamed."""
    early = with_(healthy, "ha1", ospf_routes=(), arp=(ArpRules("lan", 0, 0),))
    verdict = World(early).verify(cluster)
    assert verdict.rounds == 1
    assert {result.check for result in verdict.of(Status.FAILED)} == {"arp"}
    assert {result.check for result in verdict.of(Status.WAITING)} == {"announced"}


def swapped(healthy: Seen, running_s: int) -> Seen:
    """hacc2 has what hacc1 had; hacc1 came back some seconds ago."""
    first, second = healthy["hacc1"], healthy["hacc2"]
    mine = {held.address for held in first.addresses} - {held.address for held in second.addresses}
    taken = tuple(held for held in first.addresses if str(held.address) in _VIRTUAL)
    assert len(taken) == 2
    assert {held.address for held in taken} <= mine
    units = tuple(
        Unit(unit.name, unit.state, running_s) if unit.name == "keepalived" else unit
        for unit in first.units
    )
    hop = healthy["hacc1"].addresses  # who announces now changes with the owner
    return {
        **healthy,
        "hacc1": dataclasses.replace(
            first, addresses=tuple(held for held in hop if held not in taken), units=units
        ),
        "hacc2": dataclasses.replace(second, addresses=(*second.addresses, *taken)),
    }


_VIRTUAL = {"198.18.1.254", "198.19.0.1"}


def test_a_preempt_delay_that_runs_is_no_failure(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    shown: list[Verdict] = []
    verdict = World(swapped(healthy, 0), swapped(healthy, 1), healthy).verify(cluster, shown.append)
    assert verdict.settled
    told = [result for result in shown[0].of(Status.WAITING) if result.check == "roles"]
    assert told[0].observed == ("hacc2 is active; hacc1 preempts in about 2 s (preempt delay 2 s)")


def test_a_preempt_delay_that_is_over_is_a_failure(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    verdict = World(swapped(healthy, 60)).verify(cluster)
    assert "hacc2 is active" in str(
        next(result for result in verdict.of(Status.FAILED) if result.check == "roles")
    )


def test_a_router_that_gives_nothing_fails_once(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    scene = {**healthy, "ios2": Observation.failed("ios2", Platform.IOS, "wrong password")}
    verdict = World(scene).verify(cluster)
    assert [(result.check, result.host) for result in verdict.of(Status.FAILED)] == [
        ("reachable", "ios2")
    ]
    skipped = [result for result in verdict.of(Status.SKIPPED) if result.host == "ios2"]
    assert skipped
    assert all(result.observed == "wrong password" for result in skipped)


def test_the_simulator_is_never_passed_for_what_it_cannot_do(
    cluster: ClusterModel, healthy: dict[str, Observation]
) -> None:
    scene = {
        host: dataclasses.replace(seen, simulator=seen.platform is Platform.IOS)
        for host, seen in healthy.items()
    }
    verdict = World(scene).verify(cluster)
    assert verdict.ok
    silent = {"198.19.76.0/22", *(f"OSPF to {host} on lan" for host in ("ios1", "ios2"))}
    for result in verdict.results:
        if result.subject in silent:
            assert result.status is Status.SKIPPED
            assert "simulator" in result.observed


RESULTS = st.builds(
    Result,
    st.sampled_from(["roles", "snmp"]),
    st.sampled_from(["hacc1", "ios1"]),
    st.text(),
    st.sampled_from(Status),
    st.text(),
    st.text(),
    st.none() | st.builds(Place, st.just("inventory/clusters/west.yaml"), st.integers(0, 99)),
    st.text(),
)


@given(st.lists(RESULTS), st.integers(1, 9), st.floats(0, 60))
def test_a_verdict_is_json_and_its_sums_agree(
    results: list[Result], rounds: int, seconds: float
) -> None:
    verdict = Verdict("west", tuple(results), rounds, seconds)
    told = json.loads(json.dumps(verdict.to_json()))
    assert sum(told["counts"].values()) == len(told["results"]) == len(results)
    assert told["ok"] is not any(result.status is Status.FAILED for result in results)
    assert told["settled"] <= told["ok"]
    different = {(result.status, result.check, result.told): result.status for result in results}
    assert len(verdict.lines(everything=True)) == 1 + len(different)
    passed = [status for status in different.values() if status is Status.PASSED]
    assert len(verdict.lines()) == 1 + len(different) - len(passed)


def test_lines_for_people_put_what_failed_first() -> None:
    place = Place("inventory/clusters/west.yaml", 18)
    verdict = Verdict(
        "west",
        (
            Result("roles", "hacc1", "west-core", Status.PASSED, "active", "active", place),
            Result("snmp", "ios1", "SNMP", Status.SKIPPED, "answers", "the simulator", place),
            Result("arp", "ha1", "lan", Status.FAILED, "2", "0", place, "set arp_announce"),
            Result("arp", "ha2", "lan", Status.FAILED, "2", "0", place, "set arp_announce"),
        ),
        2,
        1.25,
    )
    assert verdict.lines() == [
        "west: 1 passed, 2 failed, 1 skipped in 1.2 s",
        "failed  arp          ha1, ha2: lan: 0 (expected 2, inventory/clusters/west.yaml:18)"
        " [hint: set arp_announce]",
        "skipped snmp         ios1: SNMP: the simulator"
        " (expected answers, inventory/clusters/west.yaml:18)",
    ]
