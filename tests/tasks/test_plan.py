"""A plan is a value, and its waves never change both sides of a standby group at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import applying
from tasks import plan as plans
from tasks.diff import Command, Impact, reveal
from tasks.errors import Exit, HaccError
from tasks.model import ClusterModel
from tasks.plan import FileChange, HostPlan, Plan, from_json, make_plan, plan_host, to_json, waves
from tasks.render import render
from tasks.rendered import Platform
from tasks.running import Running, RunningFile
from tasks.secrets import resolve
from tests.clusters import cases, west

OPENED = {
    "env:HACC_HSRP_KEY": "hsrp-key-of-test",
    "env:HA_PAIR_KEY": "0123456789abcdef",
    "env:MN_EXAMPLE_KEY": "fedcba9876543210",
    "file:keys/mn7": "00112233445566778899aabbccddeeff",
    "env:FA_KEY": "aaaabbbbccccdddd",
    "env:OSPF_KEY": "ospfkey",
    "env:SNMP_AUTH": "authauthauth",
    "env:SNMP_PRIV": "privprivpriv",
}


def changing(host: str, platform: Platform, *, active: tuple[str, ...] = ()) -> HostPlan:
    """A router that has something to do; what it is does not matter to the order."""
    command = Command((), "ip mobile home-agent", Impact.NONE, "", None, ())
    return HostPlan(host, platform, "0", active, (), (command,), (), (), "", Impact.NONE)


def everything(
    cluster: ClusterModel, active: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, HostPlan]:
    return {
        device.host: changing(
            device.host, device.platform, active=(active or {}).get(device.host, ())
        )
        for device in cluster.devices
    }


def held(cluster: ClusterModel, host: str) -> Running:
    """A router that already holds exactly what is rendered."""
    rendered = render(cluster.device(host))
    files = tuple(
        RunningFile(file.path, resolve(file.text, OPENED), file.mode) for file in rendered.present
    )
    return Running(host, rendered.platform, files, (), revert_timer=True)


def nothing(cluster: ClusterModel, host: str) -> Running:
    rendered = render(cluster.device(host))
    files = tuple(RunningFile(file.path, None, 0) for file in rendered.files)
    return Running(host, rendered.platform, files, (), revert_timer=False)


def whole_plan(cluster: ClusterModel) -> Plan:
    return make_plan(
        [cluster],
        {device.host: render(device) for device in cluster.devices},
        {device.host: nothing(cluster, device.host) for device in cluster.devices},
        OPENED,
        made_at="2026-11-23T00:00:00+00:00",
        intent_sha256="i",
        templates_sha256="t",
    )


# Waves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(cases()))
def test_every_changing_router_is_in_exactly_one_wave(name: str) -> None:
    cluster = cases()[name]
    hosts = everything(cluster)
    placed = [host for wave in waves([cluster], hosts) for host in wave.hosts]
    assert sorted(placed) == sorted(hosts)


@given(st.data())
def test_two_routers_of_a_group_are_never_in_one_wave(data: st.DataObject) -> None:
    cluster = cases()[data.draw(st.sampled_from(sorted(cases())))]
    groups = {group.name for device in cluster.devices for group in device.groups}
    # Whoever is active, even on both sides of a split brain.
    active: dict[str, list[str]] = {}
    for name in sorted(groups):
        members = [d.host for d in cluster.devices if any(g.name == name for g in d.groups)]
        for host in data.draw(st.sets(st.sampled_from(members))):
            active.setdefault(host, []).append(name)
    hosts = everything(cluster, {host: tuple(names) for host, names in active.items()})
    for wave in waves([cluster], hosts):
        for name in groups:
            both = [
                host
                for host in wave.hosts
                if any(g.name == name for g in cluster.device(host).groups)
            ]
            assert len(both) <= 1, (wave, name)


def test_whoever_is_active_goes_last() -> None:
    group = west().device("hacc2").groups[0].name
    order = [w.hosts for w in waves([west()], everything(west(), {"hacc2": (group,)}))]
    assert "hacc1" in order[0]
    assert "hacc2" in order[-1]


def test_where_nobody_is_active_the_preferred_one_goes_last() -> None:
    order = [wave.hosts for wave in waves([west()], everything(west()))]
    assert {"hacc2", "ios2"} <= set(order[0])
    assert {"hacc1", "ios1"} <= set(order[-1])


def test_one_home_agent_goes_before_the_others() -> None:
    order = [wave.hosts for wave in waves([west()], everything(west()))]
    assert order[1] == ("ha1",)
    assert order[2] == ("ha2",)


def test_routers_without_changes_are_in_no_wave() -> None:
    hosts = everything(west())
    hosts["ha1"] = dataclasses.replace(hosts["ha1"], commands=())
    assert "ha1" not in [host for wave in waves([west()], hosts) for host in wave.hosts]


# The plan as a value -----------------------------------------------------------------------------


def test_a_router_that_holds_what_is_intended_has_an_empty_plan() -> None:
    for host in ("hacc1", "ha1", "ha9"):
        made = plan_host(render(west().device(host)), held(west(), host), OPENED)
        assert made.empty, [change.path for change in made.files]


def test_json_gives_the_same_plan_back() -> None:
    plan = whole_plan(west())
    assert from_json(to_json(plan), "plan.json") == plan


def test_a_plan_holds_no_clear_secret() -> None:
    text = to_json(whole_plan(west())).decode()
    assert [name for name, clear in OPENED.items() if clear in text] == []


def test_the_digest_follows_the_content() -> None:
    plan = whole_plan(west())
    assert plan.digest == whole_plan(west()).digest
    assert plan.digest != dataclasses.replace(plan, made_at="2027-01-01T00:00:00+00:00").digest


def test_a_drifted_mode_is_a_change() -> None:
    running = held(west(), "ha1")
    files = tuple(dataclasses.replace(file, mode=0o666) for file in running.files)
    made = plan_host(
        render(west().device("ha1")), dataclasses.replace(running, files=files), OPENED
    )
    assert {change.path for change in made.files} == {file.path for file in running.files}


def test_what_the_daemon_runs_counts_not_only_its_file() -> None:
    running = held(west(), "ha1")
    files = tuple(
        dataclasses.replace(file, live="frr defaults traditional\n")
        if file.path.endswith("frr.conf")
        else file
        for file in running.files
    )
    made = plan_host(
        render(west().device("ha1")), dataclasses.replace(running, files=files), OPENED
    )
    assert [change.path for change in made.files] == ["/etc/frr/frr.conf"]


KEEPALIVED = "/etc/keepalived/keepalived.conf"


@pytest.mark.parametrize(
    ("text", "removed"),
    [
        ("# Managed by hacc for cluster west: ...\nvrrp_instance x {\n}\n", True),
        ("vrrp_instance somebody-elses {\n}\n", False),
        (None, False),
    ],
    ids=["ours", "somebody-elses", "none"],
)
def test_a_file_of_ours_that_is_no_longer_wanted_goes(text: str | None, removed: bool) -> None:
    running = held(west(), "ha1")
    files = [file for file in running.files if file.path != KEEPALIVED]
    files.append(RunningFile(KEEPALIVED, text, 0o600))
    running = dataclasses.replace(running, files=tuple(files))
    made = plan_host(render(west().device("ha1")), running, OPENED)
    assert [(change.path, change.after) for change in made.files] == (
        [(KEEPALIVED, None)] if removed else []
    )
    if removed:
        assert [line.sign for line in made.files[0].lines] == ["-", "-", "-"]
        assert made.impact is Impact.REELECTION


FOREIGN = """\
frr version 8.4.4
frr defaults traditional
hostname ha1
router bgp 65000
 neighbor 10.0.0.1 remote-as 65001
 neighbor 10.0.0.1 password somebody-elses
exit
"""


def frr_plan(text: str | None, live: str | None) -> tuple[HostPlan, RunningFile]:
    """What is planned for ha1 when FRR's file and FRR itself say this, and all else is right."""
    running = held(west(), "ha1")
    frr = RunningFile("/etc/frr/frr.conf", text, 0o640, live)
    files = tuple(frr if file.path == frr.path else file for file in running.files)
    made = plan_host(
        render(west().device("ha1")), dataclasses.replace(running, files=files), OPENED
    )
    return made, frr


def test_others_secrets_in_a_shared_file_stay_sealed_and_are_pushed_as_they_were() -> None:
    made, frr = frr_plan(FOREIGN, FOREIGN)
    [change] = made.files
    assert change.after is not None
    assert "somebody-elses" not in change.after
    pushed = resolve(change.after, {**OPENED, **reveal(frr.in_force, Platform.LINUX)})
    assert pushed.startswith(FOREIGN)


def test_what_others_set_and_never_saved_survives_our_push() -> None:
    saved = FOREIGN.partition("router bgp")[0]
    made, _ = frr_plan(saved, FOREIGN)
    assert "neighbor 10.0.0.1 remote-as 65001" in (made.files[0].after or "")


def test_a_file_in_another_order_than_the_daemon_prints_is_no_change() -> None:
    ours = resolve(render(west().device("ha1")).files[2].text, OPENED)
    made, _ = frr_plan(ours + FOREIGN, FOREIGN + ours)
    assert made.empty


def test_ours_in_the_daemon_but_not_in_the_file_is_a_change() -> None:
    ours = resolve(render(west().device("ha1")).files[2].text, OPENED)
    made, _ = frr_plan(FOREIGN, FOREIGN + ours)
    assert [change.path for change in made.files] == ["/etc/frr/frr.conf"]


def test_a_changed_keepalived_file_means_a_re_election_and_a_new_one_nothing() -> None:
    path = "/etc/keepalived/keepalived.conf"
    new = FileChange(path, 0o600, "", None, ())
    assert plans._file_impact(new) is Impact.NONE
    assert plans._file_impact(dataclasses.replace(new, before_sha256="0")) is Impact.REELECTION


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "this is not a plan"),
        (b"{}", "this is not a plan"),
        (b"\xff\xfe", "this is not a plan"),
        (b"[1, 2", "this is not a plan"),
    ],
    ids=["empty", "no-fields", "not-text", "cut-short"],
)
def test_what_is_no_plan_is_refused_with_a_place(text: bytes, says: str) -> None:
    with pytest.raises(HaccError, match=says) as refused:
        from_json(text, "x.json")
    assert refused.value.exit is Exit.USAGE
    assert str(refused.value).startswith("x.json")


def test_a_plan_of_another_format_is_refused() -> None:
    other = to_json(dataclasses.replace(whole_plan(west()), format="hacc-plan/99"))
    with pytest.raises(HaccError, match="written by another version"):
        from_json(other, "x.json")


def test_an_old_virtual_address_goes_from_the_loopback_and_a_foreign_one_stays() -> None:
    """Two owners of an address are what the whole project is about."""
    ours = resolve(render(west().device("ha1")).files[2].text, OPENED)
    old = ours.replace("198.19.0.1/32", "198.19.7.7/32").replace(
        "interface lo\n", "interface lo\n ip address 192.0.2.1/32\n"
    )
    made, _ = frr_plan(old, old)
    [change] = made.files
    assert change.after is not None
    assert "198.19.7.7" not in change.after
    assert " ip address 192.0.2.1/32\n" in change.after


def test_a_lesser_impact_beside_a_worse_one_is_not_hidden_by_it() -> None:
    worse, lesser = (
        Command((), "x", impact, "", None, ())
        for impact in (Impact.ADJACENCY_RESET, Impact.BINDING_LOSS)
    )
    host = dataclasses.replace(
        changing("ios1", Platform.IOS), commands=(worse, lesser), impact=Impact.ADJACENCY_RESET
    )
    plan = dataclasses.replace(whole_plan(west()), hosts=(host,))
    with pytest.raises(HaccError, match="the plan means binding-loss"):
        applying.refuse_impacts(plan, ["ios1"], frozenset({Impact.ADJACENCY_RESET}))
    both = frozenset({Impact.ADJACENCY_RESET, Impact.BINDING_LOSS})
    applying.refuse_impacts(plan, ["ios1"], both)


# Handing a role over -----------------------------------------------------------------------------


def placed(host: str, impact: Impact, *, active: bool = True, text: str = "x") -> HostPlan:
    device = west().device(host)
    groups = tuple(group.name for group in device.groups)
    command = Command((), text, impact, "", None, ())
    made = dataclasses.replace(
        changing(host, device.platform, active=groups if active else ()), commands=(command,)
    )
    return plans._placed(made, device)


@pytest.mark.parametrize("impact", [Impact.REELECTION, Impact.BINDING_LOSS, Impact.ADJACENCY_RESET])
def test_an_active_ios_router_hands_its_group_over_and_takes_it_back(impact: Impact) -> None:
    made = placed("ios1", impact)
    [role] = made.handover
    priority = west().device("ios1").groups[0].priority
    assert (role.group, role.to) == (west().device("ios1").groups[0].name, "ios2")
    assert [command.text for command in role.lower] == ["standby 20 priority 1"]
    assert [command.text for command in role.give_back] == [f"standby 20 priority {priority}"]
    assert from_json(
        to_json(dataclasses.replace(whole_plan(west()), hosts=(made,))), "x"
    ).hosts == (made,)


@pytest.mark.parametrize(
    "made",
    [
        placed("ios1", Impact.NONE),
        placed("ios1", Impact.REELECTION, active=False),
        placed("ios1", Impact.REELECTION, text="no standby 20"),
        placed("ios1", Impact.REELECTION, text="standby 20 ip 198.18.1.253"),
        placed("ha1", Impact.ADJACENCY_RESET),
        placed("hacc1", Impact.REELECTION),
    ],
    ids=["no-impact", "standby", "group-goes", "group-comes", "no-group", "keepalived-reloads"],
)
def test_what_costs_no_role_hands_none_over(made: HostPlan) -> None:
    assert made.handover == ()


def test_an_active_linux_router_hands_over_before_its_routing_restarts() -> None:
    [role] = placed("hacc1", Impact.ADJACENCY_RESET).handover
    assert (role.to, role.unit, role.lower) == ("hacc2", "keepalived", ())
