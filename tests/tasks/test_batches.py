"""A plan in batches: everybody once, no standby group cut, sizes kept where that allows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.batches import CANARY, Cut, Share, batched, cut_of, share
from tasks.errors import HaccError
from tasks.model import ClusterModel
from tasks.plan import FORMAT, HostPlan, Plan, waves
from tests.clusters import cases, west
from tests.tasks.test_plan import everything


def renamed(cluster: ClusterModel, name: str) -> ClusterModel:
    """The same cluster once more: other routers, other standby groups."""
    devices = tuple(
        dataclasses.replace(
            device,
            host=f"{device.host}.{name}",
            cluster=name,
            groups=tuple(
                dataclasses.replace(group, name=f"{group.name}.{name}") for group in device.groups
            ),
        )
        for device in cluster.devices
    )
    return dataclasses.replace(cluster, name=name, devices=devices)


@cache
def site(count: int, case: str = "west") -> tuple[ClusterModel, ...]:
    one = west() if case == "west" else cases()[case]
    return tuple(renamed(one, f"c{number}") for number in range(count))


def plan_of(clusters: Sequence[ClusterModel], idle: frozenset[str] = frozenset()) -> Plan:
    hosts: dict[str, HostPlan] = {}
    for cluster in clusters:
        for host, made in everything(cluster).items():
            commands = () if host in idle else made.commands
            hosts[host] = dataclasses.replace(made, cluster=cluster.name, commands=commands)
    names = tuple(cluster.name for cluster in clusters)
    return Plan(FORMAT, "", names, "", "", tuple(hosts.values()), waves(clusters, hosts))


def groups_of(clusters: Sequence[ClusterModel]) -> dict[str, frozenset[str]]:
    return {
        device.host: frozenset(group.name for group in device.groups)
        for cluster in clusters
        for device in cluster.devices
    }


shares = st.one_of(
    st.builds(Share, st.integers(1, 40)), st.builds(Share, st.integers(1, 100), st.just(True))
)


@given(
    case=st.sampled_from(sorted(cases())),
    count=st.integers(1, 5),
    canary=st.one_of(st.just(()), shares),
    batch=st.one_of(st.none(), shares),
    data=st.data(),
)
def test_everybody_who_changes_is_in_one_batch_and_no_standby_group_in_two(
    case: str, count: int, canary: Share, batch: Share | None, data: st.DataObject
) -> None:
    clusters = site(count, case)
    every = [device.host for cluster in clusters for device in cluster.devices]
    idle = frozenset(data.draw(st.sets(st.sampled_from(every))))
    plan = plan_of(clusters, idle)
    cut = batched(plan, clusters, Cut(canary, batch))

    placed = [host for wave in cut.waves for host in wave.hosts]
    changing = [host for host in every if host not in idle]
    assert sorted(placed) == sorted(changing)
    assert cut.hosts == plan.hosts, "what happens to a router is what was reviewed"

    groups = groups_of(clusters)
    batch_of = {host: number for number, each in enumerate(cut.batches) for host in each.hosts}
    for name in {name for names in groups.values() for name in names}:
        assert len({batch_of[h] for h in changing if name in groups[h]}) <= 1, name
    for wave in cut.waves:
        names = [name for host in wave.hosts for name in groups[host]]
        assert len(names) == len(set(names)), wave

    if batch:
        size = batch.of(len(changing))
        largest = max(
            (sum(bool(groups[o] & groups[h]) for o in changing) for h in changing), default=1
        )
        for each in cut.batches:
            assert len(each.hosts) < size + max(1, largest) or each.name == CANARY


def test_a_cluster_that_fits_is_not_divided() -> None:
    clusters = site(5)  # seven routers each
    cut = batched(plan_of(clusters), clusters, Cut(batch=Share(15)))
    of = [{host.partition(".")[2] for host in batch.hosts} for batch in cut.batches]
    assert of == [{"c0", "c1"}, {"c2", "c3"}, {"c4"}]
    assert [batch.name for batch in cut.batches] == [f"batch {n} of 3" for n in (1, 2, 3)]


def test_one_that_does_not_is_cut_with_its_controllers_last() -> None:
    cut = batched(plan_of([west()]), [west()], Cut(batch=Share(2)))
    assert [set(batch.hosts) for batch in cut.batches] == [
        {"ha9", "ha1"},
        {"ha2"},
        {"ios1", "ios2"},
        {"hacc1", "hacc2"},
    ]
    assert [wave.hosts for wave in cut.batches[3].waves] == [("hacc2",), ("hacc1",)]


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        ("1", {"ha9"}),
        ("4", {"ha9", "ha1", "ha2", "ios1", "ios2"}),
        ("30%", {"ha9", "ha1", "ha2"}),
        ("ha2", {"ha2"}),
        ("ha2, hacc2", {"ha2", "hacc2"}),
        ("west", {d.host for d in west().devices}),
    ],
)
def test_a_canary_is_so_many_or_who_is_named(canary: str, expected: set[str]) -> None:
    cut = batched(plan_of([west()]), [west()], cut_of(canary, ""))
    assert cut.batches[0].name == CANARY
    assert set(cut.batches[0].hosts) == expected
    rest = {host for batch in cut.batches[1:] for host in batch.hosts}
    assert rest == {d.host for d in west().devices} - expected


@pytest.mark.parametrize(
    ("canary", "batch", "says"),
    [
        ("0", "", "'0' is no number of routers"),
        ("101%", "", "'101%' is no number of routers"),
        ("", "0%", "'0%' is no number of routers"),
        ("", "many", "'many' is no number of routers"),
        ("", "-1", "'-1' is no number of routers"),
        ("hacc3", "", "'hacc3' is no router and no cluster of this plan .*did you mean hacc"),
        ("ha1", "", "nothing changes on ha1, so it would prove nothing"),
    ],
)
def test_what_cannot_be_cut_is_refused(canary: str, batch: str, says: str) -> None:
    with pytest.raises(HaccError, match=says):
        batched(plan_of([west()], frozenset({"ha1"})), [west()], cut_of(canary, batch))


def test_a_plan_that_is_not_cut_is_the_same_plan() -> None:
    plan = plan_of([west()])
    assert batched(plan, [west()], cut_of("", "")) is plan
    assert [batch.name for batch in plan.batches] == [""]
    assert share("--max-fail", "0", least=0) == Share(0)
