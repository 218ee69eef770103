"""Parts go to workers, and every part comes back, once: a value, or why there is none."""

from __future__ import annotations

import gc
import os
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from tasks.errors import Exit, HaccError
from tasks.fleet.beyond import LOCAL, Unavailable
from tasks.fleet.choice import ROUTERS_PER_PROCESS, Choice, work_on
from tasks.fleet.parts import cut
from tasks.fleet.work import Outcome, Work
from tasks.hostkeys import HostKeys
from tasks.pipeline import Prepared, prepare
from tests.tasks.fleet.doings import KEYS, dies, dies_once, names, refuses, sampled

# distributed leaves a socket to the garbage collector when a connection ends in the making.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

CLUSTERS = 6
CLUSTER = """\
cluster: c{n}
home_agent: {{address: 10.{n}.3.1, networks: [10.{n}.64.0/18]}}
lans: {{core: {{network: 10.{n}.0.0/24}}}}
controllers:
  members: [c{n}-1, c{n}-2]
  redundancy: {{protocol: vrrp, groups: [{{lan: core, group: 1, address: 10.{n}.0.254}}]}}
home_agents: [c{n}-3]
mobile_nodes:
  - {{realm: "@c{n}.example", pool: 10.{n}.64.0/19, security: {{spi: 0x100, key: "env:MN_KEY"}}}}
snmp: {{version: 2c, community: "env:COMMUNITY"}}
"""


@pytest.fixture(scope="module", autouse=True)
def _secrets() -> Iterator[None]:
    """In the environment, also of workers."""
    with pytest.MonkeyPatch.context() as patch:
        for name, key in KEYS.items():
            patch.setenv(name, key)
        yield


@pytest.fixture
def site(tmp_path: Path) -> Prepared:
    """Six clusters of three routers, which nobody reaches."""
    root = tmp_path / "inventory"
    (root / "clusters").mkdir(parents=True)
    (root / "groups.yaml").write_text("linux: {platform: linux, username: root}\n")
    (root / "defaults.yaml").write_text('data: {password: "env:PASSWORD"}\n')
    hosts = []
    for n in range(CLUSTERS):
        (root / f"clusters/c{n}.yaml").write_text(CLUSTER.format(n=n))
        hosts += [
            f"c{n}-{place}:\n  hostname: 192.0.2.{10 * n + place}\n  groups: [linux]\n"
            f"  data:\n    router_id: 10.{n}.1.{place}\n"
            f"    interfaces: {{lan: {{lan: core, address: 10.{n}.0.{place}/24}}}}\n"
            for place in (1, 2, 3)
        ]
    (root / "hosts.yaml").write_text("".join(hosts))
    return prepare(root)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A dask scheduler with two workers, which have the secrets in their own environment."""
    workers: Any = LocalCluster  # without types
    with workers(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address.replace("tcp://", "dask://")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # here, and not while somebody else's test runs


@pytest.fixture(params=["here", "processes", "dask"])
def choice(request: pytest.FixtureRequest) -> Choice:
    if request.param == "dask":
        return Choice.of(0, None, request.getfixturevalue("scheduler"))
    return Choice(1) if request.param == "here" else Choice(2)


def run(site: Prepared, work: Work[Any], choice: Choice) -> dict[str, Outcome[Any]]:
    """Every part's outcome, by the name of its only cluster."""
    found = [*work_on(site, work, choice, routers=3)]
    assert sorted(outcome.part.number for outcome in found) == [*range(CLUSTERS)], "each once"
    return {outcome.part.name: outcome for outcome in found}


def test_every_part_is_worked_on_with_its_secrets(site: Prepared, choice: Choice) -> None:
    found = run(site, Work(names, repeatable=True), choice)
    for name, outcome in found.items():
        assert outcome.value is not None, outcome.problems
        assert outcome.value[1] == tuple(f"{name}-{place}" for place in (1, 2, 3))
    workers = {outcome.value[0] for outcome in found.values() if outcome.value}
    assert (workers == {os.getpid()}) is (choice == Choice(1))


def test_one_part_that_fails_leaves_the_others_alone(site: Prepared, choice: Choice) -> None:
    found = run(site, Work(refuses, repeatable=True), choice)
    assert found["c2"].exit is Exit.USAGE
    assert [problem.message for problem in found["c2"].problems] == ["does not want to"]
    assert found["c3"].exit is Exit.DEVICE
    assert "internal error: ZeroDivisionError" in found["c3"].problems[0].message
    assert sum(outcome.done for outcome in found.values()) == CLUSTERS - 2


@pytest.fixture(params=["processes", "dask"])
def apart(request: pytest.FixtureRequest) -> Choice:
    if request.param == "dask":
        return Choice.of(0, None, request.getfixturevalue("scheduler"))
    return Choice(2)


def test_a_lost_workers_reading_is_done_by_another(site: Prepared, apart: Choice) -> None:
    found = run(site, Work(dies_once, repeatable=True), apart)
    assert {name: outcome.value for name, outcome in found.items()} == {n: n for n in found}


def test_a_lost_workers_change_is_nobodys(site: Prepared, apart: Choice) -> None:
    """It would have been done well the second time; but nobody knows that.

    A worker of dask's keeps what it has done until it is asked for, and takes that with it.
    """
    found = run(site, Work(dies_once, repeatable=False), apart)
    lost = [name for name, outcome in found.items() if not outcome.done]
    assert lost == ["c1"] if apart == Choice(2) else "c1" in lost
    for name in lost:
        assert found[name].exit is Exit.DEVICE
        assert f"{name}-1, {name}-2, {name}-3" in found[name].problems[0].message


def test_dask_does_not_sample_a_worker_while_threads_begin(site: Prepared, scheduler: str) -> None:
    """Python before 3.11.9 may hang for ever there (python/cpython issue 106883)."""
    found = run(site, Work(sampled, repeatable=True), Choice.of(0, None, scheduler))
    assert {outcome.value for outcome in found.values()} == {False}


def test_what_kills_every_worker_is_given_up(site: Prepared) -> None:
    found = run(site, Work(dies, repeatable=True), Choice(2))
    assert [name for name, outcome in found.items() if not outcome.done] == ["c1"]
    assert "SIGKILL" in found["c1"].problems[0].message


def test_a_part_is_whole_clusters_in_their_order(site: Prepared, tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "known_hosts")
    for routers, sizes in ((1, [3] * 6), (6, [6] * 3), (7, [6] * 3), (9, [9] * 2), (99, [18])):
        parts = cut(site, keys, routers)
        assert [len(part.hosts) for part in parts] == sizes
        assert [name for part in parts for name in (c.name for c in part.clusters)] == [
            cluster.name for cluster in site.clusters
        ]
        for part in parts:
            assert set(part.site.inventory.hosts) == set(part.hosts)


def test_no_secret_is_in_a_part(site: Prepared, tmp_path: Path) -> None:
    keys = HostKeys(tmp_path / "known_hosts")
    sent = b"".join(pickle.dumps(part) for part in cut(site, keys))
    for name, key in KEYS.items():
        assert name.encode() in sent
        assert key.encode() not in sent


@pytest.mark.parametrize(
    ("routers", "processes", "runner", "chosen"),
    [
        (ROUTERS_PER_PROCESS - 1, None, None, Choice(1)),
        (10_000, None, None, Choice(len(os.sched_getaffinity(0)))),
        (1, 7, None, Choice(7)),
        (1, None, "dask://scheduler:8786", Choice(scheduler="tcp://scheduler:8786")),
        (1, None, "dask+tls://10.0.0.1:8786", Choice(scheduler="tls://10.0.0.1:8786")),
        (1, 3, "dask://local", Choice(3, LOCAL)),
    ],
)
def test_the_way_is_chosen(
    routers: int, processes: int | None, runner: str | None, chosen: Choice
) -> None:
    assert Choice.of(routers, processes, runner) == chosen


@pytest.mark.parametrize(
    ("processes", "runner"),
    [(None, "ray://h:1"), (None, "dask://h"), (None, "dask+tls://local"), (2, "dask://h:1")],
)
def test_what_names_no_runner_is_refused(processes: int | None, runner: str) -> None:
    with pytest.raises(HaccError) as refused:
        Choice.of(1, processes, runner)
    assert refused.value.exit is Exit.USAGE


def test_a_scheduler_that_is_not_there_is_told(
    site: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.fleet.beyond.CONNECT_S", 0.2)
    with pytest.raises(Unavailable, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:1:"):
        run(site, Work(names, repeatable=True), Choice.of(0, None, "dask://127.0.0.1:1"))
