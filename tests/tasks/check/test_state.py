"""What a cluster does and should not, and what creeps up on one that works."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent import __version__
from tasks.check import House, Told, judge, upkeep
from tasks.check.rules import Limits, Rules
from tasks.check.state import RULES, WEIGHTS
from tasks.check.state import judge as state
from tasks.devices.errors import Unreachable
from tasks.devices.fleet import Failure
from tasks.findings import Area, Finding, Severity
from tasks.intent import load_site
from tasks.model import ClusterModel
from tasks.pipeline import Opened, Prepared
from tasks.pki import AUTHORITY_LIFETIME, create_authority
from tasks.render import render
from tasks.rendered import Platform
from tasks.running import Running, RunningFile
from tasks.verify import CHECKS, Observation
from tasks.verify.observation import AgentStatus, Binding, Figures, Held, Unit
from tests.tasks.check.test_configuration import held, opened_for
from tests.tasks.verify.conftest import Broken

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)


def test_every_check_of_verify_has_a_weight() -> None:
    assert set(WEIGHTS) == {check.id for check in CHECKS} - {"reachable"}
    assert set(RULES) == {f"state.{name}" for name in WEIGHTS}


def test_a_healthy_cluster_has_no_finding(
    cluster: ClusterModel, healthy: Mapping[str, Observation]
) -> None:
    assert list(state(cluster, healthy)) == []


def test_what_verify_fails_is_a_finding_with_its_weight(
    cluster: ClusterModel, broken: Broken
) -> None:
    seen = broken("ha1", forwards=False)
    [finding] = state(cluster, seen)
    assert (finding.rule, finding.severity, finding.host) == (
        "state.forwards",
        Severity.CRITICAL,
        "ha1",
    )
    assert finding.intent == cluster.device("ha1").place
    assert finding.remedy


def test_what_is_on_its_way_is_worth_knowing_and_no_more(
    cluster: ClusterModel, healthy: Mapping[str, Observation]
) -> None:
    """ios1 has just come back, and waits for its preempt delay."""
    one, two = (healthy[host].groups[0] for host in ("ios1", "ios2"))
    seen = dict(healthy)
    for host, group, role in (("ios1", one, "Standby"), ("ios2", two, "Active")):
        now = dataclasses.replace(group, state=role, changed_s=5)
        seen[host] = dataclasses.replace(healthy[host], groups=(now,))
    found = [one for one in state(cluster, seen) if one.rule == "state.roles"]
    assert [(one.severity, one.counts) for one in found] == [(Severity.INFO, False)]


# ------------------------------------------------------------------ all of it


@pytest.fixture
def prepared(site: Path, cluster: ClusterModel) -> Prepared:
    return Prepared(
        load_site(site), (cluster,), {device.host: render(device) for device in cluster.devices}
    )


HOUSE = House(Rules(), ())


def told(prepared: Prepared, healthy: Mapping[str, Observation]) -> dict[str, Told | Failure]:
    """What every router tells that is as it should be; IOS members hold what the table says."""
    seen = dict(healthy)
    agent = healthy["hacc1"].agent
    assert agent is not None
    members = tuple((name, 0 if name == "west-ios" else count) for name, count in agent.members)
    for host in ("hacc1", "hacc2"):
        agent = dataclasses.replace(agent, name=host, members=members, bindings=1400)
        seen[host] = dataclasses.replace(healthy[host], agent=agent)
    return {host: Told(held(rendered), seen[host]) for host, rendered in prepared.rendered.items()}


def secrets(prepared: Prepared) -> Opened:
    values: dict[str, str] = {}
    for rendered in prepared.rendered.values():
        values |= opened_for(rendered)
    return Opened(values)


def test_routers_that_are_as_they_should_be_have_no_finding(
    prepared: Prepared, healthy: Mapping[str, Observation]
) -> None:
    assert judge(prepared, secrets(prepared), told(prepared, healthy), HOUSE, now=NOW) == ()


def test_who_could_not_be_asked_is_one_finding(
    prepared: Prepared, healthy: Mapping[str, Observation]
) -> None:
    answers = told(prepared, healthy)
    answers["ha2"] = Failure("ha2", Unreachable("ha2", "no route to host", "is it on?"))
    found = judge(prepared, secrets(prepared), answers, HOUSE, now=NOW)
    mine = [one for one in found if "ha2" in one.host.split(", ")]
    assert [(one.rule, one.area, one.message) for one in mine] == [
        ("reach.asked", Area.REACH, "no route to host")
    ]


def test_a_part_is_judged_by_itself_and_the_state_of_all_when_all_were_asked(
    prepared: Prepared, healthy: Mapping[str, Observation]
) -> None:
    answers = told(prepared, healthy)
    one = answers["ha1"]
    assert isinstance(one, Told)
    assert one.seen is not None
    answers["ha1"] = Told(one.running, dataclasses.replace(one.seen, forwards=False))
    opened = secrets(prepared)
    alone = judge(prepared, opened, {"ha1": answers["ha1"]}, HOUSE, now=NOW)
    assert alone == ()
    everything = judge(prepared, opened, answers, HOUSE, now=NOW)
    assert [finding.rule for finding in everything] == ["state.forwards"]


# ------------------------------------------------------------------ upkeep


def upkept(
    cluster: ClusterModel, answers: Mapping[str, Told | Failure], limits: Limits, now: datetime
) -> list[Finding]:
    found = {host: one for host, one in answers.items() if isinstance(one, Told)}
    return list(upkeep.judge(cluster, found, limits, now))


def with_seen(
    answers: Mapping[str, Told | Failure], host: str, **fields: object
) -> dict[str, Told | Failure]:
    one = answers[host]
    assert isinstance(one, Told)
    assert one.seen is not None
    seen = dataclasses.replace(one.seen, **fields)  # type: ignore[arg-type]  # fields by name
    return {**answers, host: Told(one.running, seen)}


@pytest.fixture
def answers(prepared: Prepared, healthy: Mapping[str, Observation]) -> dict[str, Told | Failure]:
    return told(prepared, healthy)


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    create_authority(tmp_path / "pki", "west", NOW)
    return (tmp_path / "pki" / "authority.pem").read_text()


ENDS = NOW + AUTHORITY_LIFETIME


@pytest.mark.parametrize(
    ("now", "severity", "said"),
    [
        (NOW, None, ""),
        (ENDS - timedelta(days=31), None, ""),
        (ENDS - timedelta(days=30), None, ""),
        (ENDS - timedelta(days=29, hours=1), Severity.MAJOR, "in 29 d"),
        (ENDS, Severity.CRITICAL, "has ended on"),
        (NOW - timedelta(days=9), Severity.CRITICAL, "a clock is wrong"),
    ],
    ids=["new", "31-days", "30-days", "29-days", "ended", "early"],
)
def test_a_certificate_is_told_before_it_ends(
    cluster: ClusterModel, certificate: str, now: datetime, severity: Severity | None, said: str
) -> None:
    file = RunningFile("/etc/hacc/router.pem", f"# Managed by hacc\n{certificate}", 0o644)
    running = Running("ha1", Platform.LINUX, (file,), (), revert_timer=True)
    found = upkept(cluster, {"ha1": Told(running, None)}, Limits(), now)
    assert [one.severity for one in found] == ([severity] if severity else [])
    for one in found:
        assert said in one.message
        assert str(one.device) == "/etc/hacc/router.pem:2: -----BEGIN CERTIFICATE-----"
        assert "hacc pki renew ha1" in one.remedy


def test_a_broken_certificate_is_told(cluster: ClusterModel) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    running = Running(
        "ha1", Platform.LINUX, (RunningFile("/x.pem", pem, 0o644),), (), revert_timer=True
    )
    [found] = upkept(cluster, {"ha1": Told(running, None)}, Limits(), NOW)
    assert "is no certificate" in found.message


def test_a_pair_has_one_version(cluster: ClusterModel, answers: dict[str, Told | Failure]) -> None:
    answers = with_seen(answers, "ios1", version="15.9(3)M7")
    same = with_seen(answers, "ios2", version="15.9(3)M7")
    apart = with_seen(answers, "ios2", version="15.9(3)M8")
    assert upkept(cluster, same, Limits(), NOW) == []
    assert [(one.host, one.message) for one in upkept(cluster, apart, Limits(), NOW)] == [
        ("ios1", "ios: 15.9(3)M7, and ios2 has 15.9(3)M8"),
        ("ios2", "ios: 15.9(3)M8, and ios1 has 15.9(3)M7"),
    ]
    allowed = Limits(versions=(("ios", r"15\.9\(3\)M[78]"),))
    assert upkept(cluster, apart, allowed, NOW) == []
    [found] = upkept(cluster, apart, Limits(versions=(("ios", r"15\.9\(3\)M7"),)), NOW)
    assert found.host == "ios2"


def test_an_agent_is_of_the_version_that_configures_it(
    cluster: ClusterModel, answers: dict[str, Told | Failure]
) -> None:
    one = answers["ha1"]
    assert isinstance(one, Told)
    assert one.seen is not None
    assert one.seen.agent is not None
    for version, count in ((__version__, 0), ("0.0.1", 1)):
        agent = dataclasses.replace(one.seen.agent, version=version)
        assert len(upkept(cluster, with_seen(answers, "ha1", agent=agent), Limits(), NOW)) == count


def boss(answers: Mapping[str, Told | Failure]) -> AgentStatus:
    one = answers["hacc1"]
    assert isinstance(one, Told)
    assert one.seen is not None
    assert one.seen.agent is not None
    return one.seen.agent


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (Figures("ha1", "SNMP", 2.0, 10.0, 80.0), ""),
        (Figures("ha1", "SNMP", 2.0, None, None), ""),
        (Figures("ha1", "", 0.0, None, None), "ha1: nothing is known of its load"),
        (Figures("ha1", "SNMP", 900.0, 10.0, 80.0), "ha1: last heard of 900 s ago"),
        (Figures("ha1", "member link", 1.0, 99.0, 80.0), "ha1: its processor is 99 % in use"),
        (Figures("ha1", "member link", 1.0, 10.0, 1.0), "ha1: 1 % of its memory is free"),
    ],
    ids=["well", "half", "unknown", "old", "processor", "memory"],
)
def test_the_load_of_each_member_is_known(
    cluster: ClusterModel, answers: dict[str, Told | Failure], figures: Figures, said: str
) -> None:
    agent = dataclasses.replace(boss(answers), figures=(figures,))
    found = upkept(cluster, with_seen(answers, "hacc1", agent=agent), Limits(), NOW)
    assert [one.message for one in found] == ([said] if said else [])
    down = dataclasses.replace(agent, unwell=(("ha1", "down: silent"),))
    assert upkept(cluster, with_seen(answers, "hacc1", agent=down), Limits(), NOW) == []


@pytest.mark.parametrize(("configured_s", "told"), [(3.0, 0), (3600.0, 1)])
def test_who_was_just_configured_knows_no_load_yet(
    cluster: ClusterModel, answers: dict[str, Told | Failure], configured_s: float, told: int
) -> None:
    unknown = (Figures("ha1", "", 0.0, None, None),)
    agent = dataclasses.replace(boss(answers), figures=unknown, configured_s=configured_s)
    assert len(upkept(cluster, with_seen(answers, "hacc1", agent=agent), Limits(), NOW)) == told


def bindings(count: int) -> tuple[Binding, ...]:
    address = IPv4Address("198.18.9.1")
    return tuple(
        Binding(IPv4Address("198.19.64.0") + n, "", address, address, 1800, 900, "", n, ())
        for n in range(count)
    )


# Known to the controller, held by the pair, told; 3 registrations are under way.
COUNTS = ((0, 3, False), (0, 4, True), (700, 704, False), (700, 690, False), (700, 600, True))


@pytest.mark.parametrize(("known", "has", "told_of"), COUNTS)
def test_the_controller_knows_what_an_ios_member_holds(
    cluster: ClusterModel,
    answers: dict[str, Told | Failure],
    known: int,
    has: int,
    told_of: bool,
) -> None:
    agent = boss(answers)
    members = tuple((n, known if n == "west-ios" else c) for n, c in agent.members)
    agent = dataclasses.replace(agent, members=members)
    answers = with_seen(answers, "hacc1", agent=agent)
    answers = with_seen(answers, "ios2", bindings=bindings(has))
    found = upkept(cluster, answers, Limits(), NOW)
    expected = [("state.stock-table", "west-ios")] if told_of else []
    assert [(one.rule, one.subject) for one in found] == expected


def homes(*last: int) -> tuple[IPv4Address, ...]:
    return tuple(IPv4Address("198.19.64.0") + each for each in last)


@pytest.mark.parametrize(
    ("known", "holds", "said"),
    [
        (homes(1, 2, 3), homes(1, 2, 3), ""),
        (homes(1, 2, 3), homes(2, 3, 4), ""),  # 3 registrations are under way
        (homes(1, 2, 3), homes(4, 5, 6),
         "ha1: unknown here 198.19.64.4, 198.19.64.5, 198.19.64.6; "
         "not there 198.19.64.1, 198.19.64.2, 198.19.64.3"),
        (homes(1, 2, 3), None, ""),
        (None, homes(1, 2, 3), ""),
    ],
    ids=["same", "under-way", "others", "too-many-there", "too-many-here"],
)  # fmt: skip
def test_where_bindings_are_few_they_are_compared_one_by_one(
    cluster: ClusterModel,
    answers: dict[str, Told | Failure],
    known: tuple[IPv4Address, ...] | None,
    holds: tuple[IPv4Address, ...] | None,
    said: str,
) -> None:
    agent = boss(answers)
    members = tuple((n, 3 if n == "ha1" else c) for n, c in agent.members)
    mine = None if known is None else tuple(Held(home, "ha1") for home in known)
    answers = with_seen(
        answers, "hacc1", agent=dataclasses.replace(agent, members=members), held=mine
    )
    one = answers["ha1"]
    assert isinstance(one, Told)
    assert one.seen is not None
    assert one.seen.agent is not None
    theirs = None if holds is None else tuple(Held(home, "ha1") for home in holds)
    answers = with_seen(
        answers, "ha1", agent=dataclasses.replace(one.seen.agent, bindings=3), held=theirs
    )
    found = upkept(cluster, answers, Limits(), NOW)
    assert [one.message for one in found] == ([said] if said else [])


def test_an_ios_member_is_compared_one_by_one_too(
    cluster: ClusterModel, answers: dict[str, Told | Failure]
) -> None:
    agent = boss(answers)
    members = tuple((n, 4 if n == "west-ios" else c) for n, c in agent.members)
    agent = dataclasses.replace(agent, members=members, pending=0)
    mine = tuple(Held(home, "west-ios") for home in homes(0, 1, 2, 9))
    answers = with_seen(answers, "hacc1", agent=agent, held=mine)
    answers = with_seen(answers, "ios2", bindings=bindings(4))
    [finding] = upkept(cluster, answers, Limits(), NOW)
    assert finding.message == "west-ios: unknown here 198.19.64.3; not there 198.19.64.9"


def test_nobody_asks_a_standby_controller(
    cluster: ClusterModel, answers: dict[str, Told | Failure]
) -> None:
    agent = dataclasses.replace(
        boss(answers), name="hacc2", figures=(Figures("ha1", "", 0.0, None, None),)
    )
    assert upkept(cluster, with_seen(answers, "hacc2", agent=agent), Limits(), NOW) == []
    units = (Unit("hacc-agent", "active", 1),)
    assert upkept(cluster, with_seen(answers, "ha1", units=units), Limits(), NOW) == []
