"""What gates a change: who is looked at after which wave, and which claims count."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

from tasks import guard as guards
from tasks.errors import Place
from tasks.guard import Guard
from tasks.model import ClusterModel
from tasks.pipeline import Opened, Prepared
from tasks.plan import Batch, Plan, Wave
from tasks.rendered import Rendered
from tasks.verify import Result, Status, Verdict
from tests.tasks.test_batches import plan_of, site

NOBODY: Any = None  # routers, which are not asked here


def claim(check: str, host: str, status: Status = Status.PASSED) -> Result:
    return Result(check, host, "x", status, "", "it is so", Place("west.yaml", 1))


class Look:
    """`pipeline.verify_clusters`, of clusters in which these claims are what they are."""

    def __init__(self, *claims: Result) -> None:
        self.claims = [*claims]
        self.asked: list[set[str]] = []

    def __call__(
        self,
        prepared: Prepared,
        _routers: object,
        _opened: object,
        *,
        only: Collection[str],
        matters: Callable[[ClusterModel, Result], bool] = lambda _cluster, _result: True,
        **_how: object,
    ) -> tuple[Verdict, ...]:
        self.asked.append({*only})
        return tuple(
            Verdict(cluster.name, tuple(self._of(cluster, matters)), 1, 0.0)
            for cluster in prepared.clusters
            if cluster.name in only
        )

    def _of(
        self, cluster: ClusterModel, matters: Callable[[ClusterModel, Result], bool]
    ) -> Iterable[Result]:
        hosts = [device.host for device in cluster.devices]
        return (one for one in self.claims if one.host in hosts and matters(cluster, one))

    def now(self, check: str, host: str, status: Status) -> None:
        self.claims = [
            dataclasses.replace(one, status=status) if (one.check, one.host) == (check, host)
            else one
            for one in self.claims
        ]  # fmt: skip


@pytest.fixture
def clusters() -> tuple[ClusterModel, ...]:
    return site(2)


@pytest.fixture
def prepared(clusters: tuple[ClusterModel, ...]) -> Prepared:
    nothing = {
        d.host: Rendered(d.host, d.platform, ()) for cluster in clusters for d in cluster.devices
    }
    intent: Any = Path  # no file is read
    return Prepared(intent, clusters, nothing)


def cut(clusters: tuple[ClusterModel, ...], *waves: Wave) -> Plan:
    return dataclasses.replace(plan_of(clusters), waves=waves)


C0 = ("ha9.c0", "ha1.c0", "ha2.c0", "ios2.c0", "hacc2.c0", "ios1.c0", "hacc1.c0")
FIRST, SECOND, LAST = C0[:3], C0[3:5], C0[5:]
C1 = tuple(name.replace("c0", "c1") for name in C0)
WAVES = (
    Wave(FIRST, "a", "batch 1 of 2"),
    Wave(SECOND, "b", "batch 1 of 2"),
    Wave(LAST, "c", "batch 1 of 2"),
    Wave(C1, "d", "batch 2 of 2"),
)


def gate(
    monkeypatch: pytest.MonkeyPatch,
    prepared: Prepared,
    look: Look,
    done: Collection[str] = (),
) -> Guard:
    monkeypatch.setattr(guards, "verify_clusters", look)
    return Guard(prepared, cut(prepared.clusters, *WAVES), Opened({}), done)


def test_what_was_true_must_stay_true_and_at_its_end_all_of_a_cluster(
    monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    look = Look(
        claim("one-owner", "hacc1.c0"),
        claim("bindings", "ha1.c0", Status.FAILED),
        claim("one-owner", "hacc1.c1", Status.FAILED),
    )
    guard = gate(monkeypatch, prepared, look)
    guard.look_before(NOBODY, Batch("batch 1 of 2", WAVES[:3]))
    assert look.asked == [{"c0"}], "others are no business of this batch"

    assert guard.judge(NOBODY, WAVES[0]) == (), "what was wrong before may be wrong still"
    look.now("one-owner", "hacc1.c0", Status.FAILED)
    [problem] = guard.judge(NOBODY, WAVES[1])
    assert (problem.subject, problem.message) == ("hacc1.c0", "one-owner: x: it is so")
    look.now("one-owner", "hacc1.c0", Status.PASSED)
    [problem] = guard.judge(NOBODY, WAVES[2])
    assert problem.subject == "ha1.c0", "its last wave is done: everything has to be true"
    assert look.asked[-1] == {"c0"}


def test_what_is_done_must_still_be_right_before_the_next_batch(
    monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    look = Look(claim("one-owner", "hacc1.c0"), claim("one-owner", "hacc1.c1", Status.FAILED))
    guard = gate(monkeypatch, prepared, look)
    assert guard.damage(NOBODY) == (), "nothing is done yet"
    for wave in WAVES[:3]:
        assert guard.judge(NOBODY, wave) == ()
    assert guard.damage(NOBODY) == ()
    look.now("one-owner", "hacc1.c0", Status.FAILED)
    [problem] = guard.damage(NOBODY)
    assert problem.subject == "hacc1.c0"


def test_another_process_knows_what_was_done_before_it(
    monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    look = Look(claim("one-owner", "hacc1.c0", Status.FAILED))
    assert gate(monkeypatch, prepared, look, done=C0[:-1]).damage(NOBODY) == ()
    [problem] = gate(monkeypatch, prepared, look, done=C0).damage(NOBODY)
    assert problem.subject == "hacc1.c0"


def test_strangers_on_the_lan_are_no_fault_of_a_change(
    monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    look = Look(claim("strangers", "hacc1.c0", Status.FAILED))
    guard = gate(monkeypatch, prepared, look, done=(*FIRST, *SECOND))
    assert guard.judge(NOBODY, WAVES[2]) == ()
    assert guard.damage(NOBODY) == ()
