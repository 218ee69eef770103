"""Each check passes for a healthy cluster and fails for its own broken observation, with the
message that tells the router, what was seen and where the intent wants it otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from tasks.model import ClusterModel
from tasks.verify import CHECKS, Observation, Result, Status, View, judge
from tasks.verify.observation import (
    Address,
    AgentStatus,
    ArpRules,
    Binding,
    CdpNeighbour,
    Finding,
    Forwarding,
    HomeAgentGlobals,
    Lans,
    OspfRoute,
    Part,
    Placed,
    SnmpAnswer,
    Unit,
    Unread,
)

Seen = dict[str, Observation]
VHA = IPv4Address("198.19.0.1")
VIRTUAL = IPv4Address("198.18.1.254")
HOME = IPv4Network("198.19.64.0/18")


def results(cluster: ClusterModel, seen: Seen, *statuses: Status) -> list[Result]:
    return [
        result
        for _, result in judge(View(cluster, seen))
        if not statuses or result.status in statuses
    ]


def test_a_healthy_cluster_passes_every_check(cluster: ClusterModel, healthy: Seen) -> None:
    told = results(cluster, healthy)
    assert {result.check for result in told} == {check.id for check in CHECKS}
    assert [
        str(result) for result in told if result.status in (Status.FAILED, Status.WAITING)
    ] == []
    assert not [result for result in told if result.status is Status.SKIPPED]


def test_every_check_says_what_it_asserts_and_why() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.sentence.endswith(".")
        assert check.why.endswith(".")
        assert check.applies


def change(host: str, **fields: object) -> Callable[[Seen], Seen]:
    def apply(seen: Seen) -> Seen:
        return seen | {host: dataclasses.replace(seen[host], **fields)}  # type: ignore[arg-type]  # fields by name

    return apply


def edit(host: str, field: str, mend: Callable[..., object]) -> Callable[[Seen], Seen]:
    """Replace one field by a function of what it was."""

    def apply(seen: Seen) -> Seen:
        now = mend(getattr(seen[host], field))
        return seen | {host: dataclasses.replace(seen[host], **{field: now})}  # type: ignore[arg-type]  # fields by name

    return apply


def hears(*findings: Finding) -> Callable[[AgentStatus], AgentStatus]:
    return lambda told: dataclasses.replace(told, lans=Lans(3, (), findings))


def without(address: IPv4Address) -> Callable[[tuple[Address, ...]], tuple[Address, ...]]:
    return lambda there: tuple(held for held in there if held.address != address)


def plus(thing: object) -> Callable[[tuple[object, ...]], tuple[object, ...]]:
    return lambda there: (*there, thing)


def down(name: str) -> Callable[[tuple[Address, ...]], tuple[Address, ...]]:
    return lambda there: tuple(
        dataclasses.replace(held, up=held.up and held.interface != name) for held in there
    )


def unit(name: str, state: str) -> Callable[[tuple[Unit, ...]], tuple[Unit, ...]]:
    return lambda there: tuple(
        Unit(name, state, None) if one.name == name else one for one in there
    )


def group(**fields: object) -> Callable[..., object]:
    return lambda there: tuple(dataclasses.replace(state, **fields) for state in there)


def neighbour(host_number: int, **fields: object) -> Callable[..., object]:
    def mend(there: tuple[object, ...]) -> object:
        kept = []
        for near in there:
            if str(near.router_id).endswith(f".{host_number}"):  # type: ignore[attr-defined]  # OspfNeighbour
                if fields:
                    kept.append(dataclasses.replace(near, **fields))  # type: ignore[type-var]  # OspfNeighbour
            else:
                kept.append(near)
        return tuple(kept)

    return mend


def route(prefix: str, *gateways: str) -> Callable[..., object]:
    def mend(there: tuple[OspfRoute, ...]) -> object:
        rest = [known for known in there if str(known.prefix) != prefix]
        new = OspfRoute(IPv4Network(prefix), tuple(map(IPv4Address, gateways)))
        return (*rest, new) if gateways else tuple(rest)

    return mend


def way(address: str, gateway: str | None, kind: str = "unicast") -> Callable[..., object]:
    def mend(there: tuple[Forwarding, ...]) -> object:
        rest = [hop for hop in there if str(hop.destination) != address]
        if gateway is None and kind == "unicast":
            return tuple(rest)
        hop = IPv4Address(gateway) if gateway else None
        return (*rest, Forwarding(IPv4Address(address), kind, hop, "lan"))

    return mend


BINDING = Binding(IPv4Address("198.19.72.1"), "", VHA, VHA, 1800, 1700, "T", 0xCE22A5D5F4C99770, ())

# id: (what happens, the check that must fail, the host it names, words of the message)
FAULTS: dict[str, tuple[Callable[[Seen], Seen], str, str, str]] = {
    "router-unreachable": (
        lambda seen: (
            seen | {"ha2": Observation.failed("ha2", seen["ha2"].platform, "connection refused")}
        ),
        "reachable",
        "ha2",
        "connection refused",
    ),
    "virtual-address-owned-twice": (
        edit("hacc2", "addresses", plus(Address("lan", VIRTUAL, 24, True))),
        "one-owner",
        "hacc1, hacc2",
        "owned by hacc1, hacc2",
    ),
    "virtual-address-owned-by-none": (
        edit("hacc1", "addresses", without(VIRTUAL)),
        "one-owner",
        "hacc1, hacc2",
        "owned by no router",
    ),
    "virtual-address-on-an-interface-that-is-down": (
        edit("hacc1", "addresses", down("lan")),
        "one-owner",
        "hacc1, hacc2",
        "owned by no router",
    ),
    "virtual-address-at-a-router-outside-the-group": (
        edit("ha1", "addresses", plus(Address("lan", VIRTUAL, 24, True))),
        "one-owner",
        "hacc1, hacc2",
        "remove 198.18.1.254 from ha1",
    ),
    "home-agent-address-owned-twice": (
        edit("hacc2", "addresses", plus(Address("lo", VHA, 32, True))),
        "one-owner",
        "hacc1, hacc2",
        "198.19.0.1 (west-core): owned by hacc1, hacc2",
    ),
    "hsrp-both-active": (
        edit("ios2", "groups", group(state="Active")),
        "one-owner",
        "ios1, ios2",
        "owned by ios1, ios2",
    ),
    "hsrp-none-active": (
        edit("ios1", "groups", group(state="Init")),
        "one-owner",
        "ios1, ios2",
        "owned by no router",
    ),
    "hsrp-wrong-active": (
        lambda seen: edit("ios1", "groups", group(state="Standby"))(
            edit("ios2", "groups", group(state="Active"))(seen)
        ),
        "roles",
        "ios1",
        "ios2 is active",
    ),
    "hsrp-priority-sunk-by-tracking": (
        lambda seen: edit("ios1", "groups", group(state="Standby", priority=90))(
            edit("ios2", "groups", group(state="Active"))(seen)
        ),
        "roles",
        "ios1",
        "has sunk to 90",
    ),
    "lan-address-absent": (
        edit("ha1", "addresses", without(IPv4Address("198.18.1.21"))),
        "addresses",
        "ha1",
        "absent",
    ),
    "lan-address-wrong-length": (
        lambda seen: edit(
            "ha1", "addresses", plus(Address("lan", IPv4Address("198.18.1.21"), 16, True))
        )(edit("ha1", "addresses", without(IPv4Address("198.18.1.21")))(seen)),
        "addresses",
        "ha1",
        "198.18.1.21/24 on lan",
    ),
    "lan-interface-down": (
        edit("ios1", "addresses", down("GigabitEthernet0/1")),
        "addresses",
        "ios1",
        "the interface is down",
    ),
    "loopback-absent": (edit("ha9", "addresses", without(VHA)), "loopback", "ha9", "absent"),
    "loopback-absent-on-ios": (
        edit("ios2", "addresses", without(VHA)),
        "loopback",
        "ios2",
        "absent",
    ),
    "loopback-address-on-the-lan-too": (
        edit("ha1", "addresses", plus(Address("lan", VHA, 32, True))),
        "loopback",
        "ha1",
        "bypassed",
    ),
    "loopback-address-as-a-subnet": (
        lambda seen: edit("ha1", "addresses", plus(Address("lo", VHA, 24, True)))(
            edit("ha1", "addresses", without(VHA))(seen)
        ),
        "loopback",
        "ha1",
        "a /24",
    ),
    "router-id-absent": (
        edit("hacc1", "addresses", without(IPv4Address("198.19.255.11"))),
        "loopback",
        "hacc1",
        "198.19.255.11/32: absent",
    ),
    "packets-dropped": (
        change("ha1", forwards=False),
        "forwards",
        "ha1",
        "dropped",
    ),
    "arp-answered": (
        change("ha1", arp=(ArpRules("lan", 0, 0),)),
        "arp",
        "ha1",
        "arp_ignore 0, arp_announce 0",
    ),
    "arp-never-answered": (
        change("ha1", arp=(ArpRules("lan", 8, 2),)),
        "arp",
        "ha1",
        "arp_ignore 8",
    ),
    "daemon-dead": (
        edit("hacc2", "units", unit("keepalived", "failed")),
        "services",
        "hacc2",
        "systemctl status keepalived",
    ),
    "adjacency-missing": (
        edit("ha1", "ospf_neighbours", neighbour(22)),
        "adjacencies",
        "ha1",
        "OSPF to ha2 on lan: no such neighbour",
    ),
    "adjacency-stuck": (
        edit("ha1", "ospf_neighbours", neighbour(22, state="ExStart")),
        "adjacencies",
        "ha1",
        "MTU",
    ),
    "adjacency-two-way-without-a-designated-router": (
        edit("ha1", "ospf_neighbours", neighbour(22, state="2-Way")),
        "adjacencies",
        "ha1",
        "2-Way",
    ),
    "home-network-not-announced": (
        edit("ha1", "ospf_routes", route("198.19.64.0/18")),
        "announced",
        "ha1",
        "198.19.64.0/18: not in OSPF's table",
    ),
    "home-network-through-the-standby": (
        edit("ha2", "ospf_routes", route("198.19.64.0/18", "198.18.1.12")),
        "announced",
        "ha2",
        "through 198.18.1.12",
    ),
    "home-agent-address-announced-by-a-member-too": (
        edit("hacc2", "ospf_routes", route("198.19.0.1/32", "198.18.1.11", "198.18.1.21")),
        "announced",
        "hacc2",
        "198.18.1.21",
    ),
    "slice-through-another-member": (
        edit("hacc1", "ospf_routes", route("198.19.68.0/22", "198.18.1.21")),
        "announced",
        "hacc1",
        "expected through ha2",
    ),
    "static-route-wins-over-ospf": (
        edit("ha1", "forwarding", way("198.19.68.0", "198.18.1.12")),
        "forwarding",
        "ha1",
        "198.19.68.0 goes through 198.18.1.12",
    ),
    "no-way-to-a-slice": (
        edit("ha1", "forwarding", way("198.19.68.0", None)),
        "forwarding",
        "ha1",
        "no way to 198.19.68.0",
    ),
    "slice-kept-by-another-router": (
        edit("ha1", "forwarding", way("198.19.68.0", None, "local")),
        "forwarding",
        "ha1",
        "keeps it to itself",
    ),
    "agent-of-another-cluster": (
        edit("ha1", "agent", lambda told: dataclasses.replace(told, cluster="east")),
        "home-agent",
        "ha1",
        "runs as ha1, home-agent of east",
    ),
    "agent-with-a-full-disk": (
        edit("ha9", "agent", lambda told: dataclasses.replace(told, trouble="no space left")),
        "home-agent",
        "ha9",
        "its journal: no space left",
    ),
    "agent-not-running": (
        change("ha2", agent=None, unread=(Unread(Part.HOME_AGENT, "hacc-agent is not running"),)),
        "home-agent",
        "ha2",
        "could not be read: hacc-agent is not running",
    ),
    "more-bindings-than-allowed": (
        edit("ha1", "agent", lambda told: dataclasses.replace(told, bindings=500_001)),
        "bindings",
        "ha1",
        "500001",
    ),
    "table-without-a-member's": (
        edit("hacc1", "agent", lambda told: dataclasses.replace(told, members=())),
        "table",
        "hacc1",
        "0 of ha1, which has 700",
    ),
    "a-member-that-is-down": (
        edit(
            "hacc1",
            "agent",
            lambda told: dataclasses.replace(told, unwell=(("ha1", "down: no heartbeat"),)),
        ),
        "members",
        "hacc1",
        "ha1 is down: no heartbeat",
    ),
    "a-router-that-is-not-heard": (
        edit("hacc1", "agent", hears(Finding("missing", "ha1", "198.18.1.21", "it is not heard"))),
        "neighbours",
        "hacc1",
        "ha1 not heard",
    ),
    "a-stranger": (
        edit("hacc1", "agent", hears(Finding("stranger", "", "198.18.1.99", "an agent"))),
        "strangers",
        "hacc1",
        "stranger 198.18.1.99, an agent",
    ),
    "an-impostor": (
        edit("ha1", "agent", hears(Finding("impostor", "hacc1", "198.18.1.11", "another MAC"))),
        "strangers",
        "ha1",
        "impostor 198.18.1.11, another MAC",
    ),
    "table-of-what-is-gone": (
        edit("ha2", "agent", lambda told: dataclasses.replace(told, bindings=689)),
        "table",
        "hacc1",
        "700 of ha2, which has 689",
    ),
    "home-agent-off": (
        change("ios1", home_agent=HomeAgentGlobals(False, None, None, None, (), ())),
        "home-agent",
        "ios1",
        "not enabled",
    ),
    "home-agent-other-network": (
        change(
            "ios1",
            home_agent=HomeAgentGlobals(
                True, VHA, 1800, 7, (IPv4Network("198.19.128.0/18"),), ("west-ios-core",)
            ),
        ),
        "home-agent",
        "ios1",
        "does not serve 198.19.64.0/18; serves 198.19.128.0/18",
    ),
    "home-agent-other-lifetime": (
        change("ios1", home_agent=HomeAgentGlobals(True, VHA, 36000, 7, (HOME,), ())),
        "home-agent",
        "ios1",
        "grants 36000 s, not 1800 s",
    ),
    "home-agent-other-address": (
        change("ios1", home_agent=HomeAgentGlobals(True, VIRTUAL, 1800, 7, (HOME,), ())),
        "home-agent",
        "ios1",
        "its address is 198.18.1.254",
    ),
    "bindings-unreadable": (
        change("ios1", unread=(Unread(Part.BINDINGS, "State Error raised"),)),
        "bindings",
        "ios1",
        "could not be read: State Error raised",
    ),
    "bindings-too-many": (
        change("ios1", bindings=(BINDING,) * 500001),
        "bindings",
        "ios1",
        "at most 500000",
    ),
    "cdp-neighbour-absent": (change("ios1", neighbours=()), "discovery", "ios1", "not seen"),
    "cdp-neighbour-on-another-port": (
        change(
            "ios1",
            neighbours=(CdpNeighbour("ios2", "GigabitEthernet0/1", "GigabitEthernet0/2", ""),),
        ),
        "discovery",
        "ios1",
        "the cabling differs",
    ),
    "snmp-silent": (
        lambda seen: change("ha2", snmp=None)(
            edit("ha2", "unread", plus(Unread(Part.SNMP, "no answer")))(seen)
        ),
        "snmp",
        "ha2",
        "no answer",
    ),
    "snmp-of-another-router": (
        change("ha2", snmp=SnmpAnswer("ha1", 5.0)),
        "snmp",
        "ha2",
        "answers as 'ha1'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_told(cluster: ClusterModel, healthy: Seen, fault: str) -> None:
    happens, check, host, words = FAULTS[fault]
    failed = results(cluster, happens(healthy), Status.FAILED)
    found = [result for result in failed if result.check == check and words in str(result)]
    assert [result.host for result in found][:1] == [host]
    assert all(result.place and result.place.file.endswith(".yaml") for result in found)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_claim_has_one_name_whatever_its_status(
    cluster: ClusterModel, healthy: Seen, fault: str
) -> None:
    """A run compares before and after by check, host and subject: failing must not rename."""

    def claims(seen: Seen, *statuses: Status) -> list[tuple[str, str, str]]:
        told = results(cluster, seen, *statuses)
        return [(one.check, one.host, one.subject) for one in told]

    broken = FAULTS[fault][0](healthy)
    assert len(claims(broken)) == len(set(claims(broken)))
    assert set(claims(broken, Status.FAILED)) <= set(claims(healthy, Status.PASSED))


def test_every_check_has_a_fault_that_only_it_must_find() -> None:
    assert {check for _, check, _, _ in FAULTS.values()} == {check.id for check in CHECKS}


# ------------------------------------------------------------------ who is heard, and who is not


def told_of(
    cluster: ClusterModel, seen: Seen, check: str, host: str
) -> list[tuple[Status, str, str]]:
    return [
        (result.status, result.subject, result.observed)
        for _, result in judge(View(cluster, seen))
        if (result.check, result.host) == (check, host)
    ]


def test_who_does_not_run_is_not_missed_twice(cluster: ClusterModel, healthy: Seen) -> None:
    """The services say that it does not run; that nobody hears it says nothing of a LAN."""
    missed = edit("hacc1", "agent", hears(Finding("missing", "ha1", "198.18.1.21", "")))
    stopped = edit(
        "ha1",
        "units",
        lambda units: tuple(
            dataclasses.replace(unit, state="inactive") if unit.name == "hacc-agent" else unit
            for unit in units
        ),
    )
    (told, *_) = told_of(cluster, stopped(missed(healthy)), "neighbours", "hacc1")
    assert told == (Status.PASSED, "agents on its LANs", "3 heard")


def test_who_had_no_time_to_be_heard_is_waited_for(cluster: ClusterModel, healthy: Seen) -> None:
    started = edit(
        "ha1", "agent", lambda agent: dataclasses.replace(agent, lans=Lans(3, ("hacc1",), ()))
    )
    (told,) = told_of(cluster, started(healthy), "neighbours", "ha1")
    assert told == (Status.WAITING, "agents on its LANs", "hacc1 not heard yet")


def test_where_cdp_and_lldp_answer_nothing_nothing_is_claimed(
    cluster: ClusterModel, healthy: Seen
) -> None:
    why = "it has no neighbours by CDP or LLDP"
    mute = edit(
        "hacc1",
        "agent",
        lambda agent: dataclasses.replace(agent, stock=(Placed("ios1", "", why),)),
    )
    told = told_of(cluster, mute(healthy), "neighbours", "hacc1")
    assert told[1:] == [(Status.SKIPPED, "ios1", why)]


@pytest.mark.parametrize("lans", ["unread", "older"])
def test_an_agent_that_tells_nothing_of_lans_is_not_judged(
    cluster: ClusterModel, healthy: Seen, lans: str
) -> None:
    mute = (
        change("ha1", agent=None)
        if lans == "unread"
        else edit("ha1", "agent", lambda agent: dataclasses.replace(agent, lans=None))
    )
    for check in ("neighbours", "strangers"):
        ((status, _, _),) = told_of(cluster, mute(healthy), check, "ha1")
        assert status is Status.SKIPPED
