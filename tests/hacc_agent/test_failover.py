"""What goes wrong with a cluster of daemons on a LAN of namespaces (`site`).

Each fault befalls whoever serves, so that the bindings go to and fro: a case finds the cluster as
the one before has left it, well and with everybody bound.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hacc_agent.control import Refused, ask
from hacc_agent.wire import ReplyCode
from tests.hacc_agent.site import (
    ADDRESSES,
    HALVES,
    MEMBERS,
    NODES,
    SLICE,
    Site,
    cut,
    deaf,
    frozen,
    killed,
    mute,
    parted_from_the_active_controller,
    powered_off,
    without_heartbeats,
)

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        site = Site(tmp_path_factory.mktemp("site"), stack)
        site.until(lambda: set(site.states().values()) <= {"up", "failing"})
        site.register()
        site.register()
        site.until(lambda: site.status(site.standby)["bindings"] == NODES)
        yield site


@pytest.fixture
def site(cluster: Site) -> Iterator[Site]:
    yield cluster
    cluster.well()


@pytest.mark.parametrize(
    "fault",
    [
        *(killed, frozen, powered_off, cut, deaf, mute, parted_from_the_active_controller),
        without_heartbeats,
    ],
)
def test_the_bindings_of_a_member_that_fails_go_to_the_other(
    site: Site, fault: Callable[[Site, str], None]
) -> None:
    failing, heir = site.serving, site.other
    fault(site, failing)
    site.unharmed(heir)
    site.until(lambda: site.announced(heir) == (SLICE if heir == "ha1" else HALVES))


def test_who_is_cut_off_is_told_when_it_is_back(site: Site) -> None:
    """It was alive all the time, and has accepted what it had: now it serves nothing."""
    failing, heir = site.serving, site.other
    cut(site, failing)
    site.unharmed(heir)
    assert site.status(failing)["bindings"] == NODES
    assert site.announced(failing)
    site.segment.mend()
    site.until(lambda: site.status(failing)["bindings"] == 0)
    assert site.announced(failing) == set()


def test_who_gets_back_what_it_never_heard_to_be_lost_forgets_what_it_was(site: Site) -> None:
    """Cut off, it holds all bindings as they were; the heir accepts newer ones, and dies."""
    first, heir = site.serving, site.other
    cut(site, first)
    site.unharmed(heir)
    killed(site, heir)
    site.until(lambda: site.states()[heir] == "down")
    site.segment.mend()
    site.unharmed(first)
    events = list(ask(Path(site.agents[first].config.runtime_directory), "events", limit=500))
    last = [each["event"] for each in events if each["event"].startswith("slots ")][-2:]
    assert last == ["slots given up", "slots taken over"]


@pytest.mark.parametrize("command", ["failover", "drain"])
def test_an_operator_moves_everything_away(site: Site, command: str) -> None:
    leaving, heir = site.serving, site.other
    site.order(command, leaving)
    site.unharmed(heir)
    site.until(lambda: site.status(leaving)["bindings"] == 0)
    site.until(lambda: site.states()[leaving] == "maintenance")
    assert site.announced(leaving) == set()


@pytest.mark.parametrize("dies", ["active", "both"])
def test_a_drain_outlives_the_controller_that_was_told(site: Site, dies: str) -> None:
    """The other one has it by its log; one that is started again, by its journal."""
    leaving, heir = site.serving, site.other
    site.order("drain", leaving)
    site.until(lambda: site.states()[leaving] == "maintenance")
    killed(site, site.active)
    if dies == "both":
        killed(site, site.standby)
        for host in (site.active, site.standby):
            site.agents[host].start()
    else:
        site.take_over(site.standby)
    site.nodes[0].send(site.nodes[0].request())  # it is asked, and so it leads
    site.until(lambda: site.status(site.active)["log"]["leads"])
    site.until(lambda: site.states()[leaving] == "maintenance")
    site.unharmed(heir)
    assert site.states()[leaving] == "maintenance"


def test_an_order_is_given_to_the_controller_that_leads(site: Site) -> None:
    site.until(lambda: site.status(site.standby)["log"]["follows"] == site.active)
    folder = Path(site.agents[site.standby].config.runtime_directory)
    with pytest.raises(Refused, match=f"{site.active} decides"):
        list(ask(folder, "drain", member=site.other))
    assert site.states()[site.other] in ("up", "failing")


def test_a_standby_is_in_step_when_it_has_what_the_active_one_has(site: Site) -> None:
    """The HSRP speaker asks, and preempts nobody before."""

    def in_step(host: str) -> bool:
        folder = Path(site.agents[host].config.runtime_directory)
        (told,) = ask(folder, "in-step")
        return bool(told["in_step"])

    site.until(lambda: in_step(site.standby))
    assert in_step(site.active)
    site.segment.lose(site.routers[site.active], site.routers[site.standby])
    killed(site, site.standby)
    site.agents[site.standby].start()
    site.until(lambda: site.status(site.standby)["bindings"] == NODES)  # from its disk
    assert not in_step(site.standby)
    site.segment.mend()
    site.until(lambda: in_step(site.standby))


def test_a_controller_that_dies_leaves_the_standby_to_decide(site: Site) -> None:
    member = site.serving
    dead = site.active
    killed(site, dead)
    site.take_over(site.standby)
    site.register()
    assert site.serving == member
    site.until(lambda: site.status(member)["serves"]["obeys"] == site.active)


def test_a_controller_that_begins_again_may_not_know_what_was_accepted_meanwhile(
    site: Site,
) -> None:
    """The other one may have led in between, when this member was not to be reached."""
    member, active = site.serving, site.active
    kept = site.nodes[0].request()  # that somebody may have sent by way of the other one
    epoch = site.status(member)["serves"]["epoch"]
    killed(site, active)
    site.agents[active].start()
    site.nodes[1].register()  # it is asked, and so it leads
    site.until(lambda: site.status(member)["serves"]["epoch"] > epoch)
    assert site.status(member)["serves"]["obeys"] == active
    site.nodes[0].send(kept)
    assert site.nodes[0].answer().code == ReplyCode.IDENTIFICATION_MISMATCH
    site.unharmed(member)


def test_a_controller_and_a_member_that_die_at_once(site: Site) -> None:
    failing, heir = site.serving, site.other
    killed(site, failing)
    killed(site, site.active)
    site.take_over(site.standby)
    site.nodes[0].send(site.nodes[0].request())  # it is asked, and so it leads
    site.unharmed(heir)


@pytest.mark.parametrize("dies", ["heir", "controller"])
def test_who_dies_at_the_time_of_a_transfer_is_not_missed(site: Site, dies: str) -> None:
    """Before its first record, between two, or after the last: `test_memberlink` has them all."""
    failing, heir, active = site.serving, site.other, site.active
    killed(site, failing)
    site.until(lambda: site.happened(active, "slots move", heir))
    if dies == "heir":
        killed(site, heir)
        site.agents[heir].start()
    else:
        killed(site, active)
        site.take_over(site.standby)
        site.nodes[0].send(site.nodes[0].request())  # it is asked, and so it leads
    site.unharmed(heir)


def test_a_controller_that_was_overtaken_is_not_obeyed(site: Site) -> None:
    """The controllers do not hear each other, and each thinks itself the active one."""
    first, second = site.active, site.standby
    site.segment.lose(site.routers[first], site.routers[second])
    site.segment.lose(site.routers[second], site.routers[first])
    member = site.serving
    site.take_over(second)
    site.register()
    site.until(lambda: site.status(member)["serves"]["obeys"] == second)
    site.until(lambda: not site.status(first)["log"]["leads"])
    site.segment.mend()
    site.until(lambda: site.status(second)["log"]["followers"])
    site.unharmed(member)


def test_all_controllers_are_lost_and_no_member_is_silenced(site: Site) -> None:
    member = site.serving
    announced = site.announced(member)
    for host in ("hacc1", "hacc2"):
        killed(site, host)
    site.until(lambda: not site.status(member)["serves"]["controllers"])
    assert site.announced(member) == announced
    assert site.status(member)["bindings"] == NODES
    for host in ("hacc1", "hacc2"):
        site.agents[host].start()
    site.unharmed(member)


def test_who_hears_no_controller_and_sees_its_slice_elsewhere_withdraws(site: Site) -> None:
    """The routing daemon is played by `ip route`: OSPF has come through where TLS has not."""
    member = site.serving
    router = site.routers[member]
    for host in ("hacc1", "hacc2"):
        site.segment.lose(site.routers[host], router)
    if member != "ha1":
        killed(site, member)
        site.unharmed(site.other)
        return
    for half in sorted(HALVES):
        router.ip("route", "add", half, "via", ADDRESSES["ha9"], "proto", "ospf")
    site.until(lambda: site.announced(member) == set())
    for half in sorted(HALVES):
        router.ip("route", "del", half, "proto", "ospf")
    site.until(lambda: site.announced(member) == SLICE)


def test_a_member_that_is_slow_loses_nothing(site: Site) -> None:
    """It stands still again and again, and requests come meanwhile."""
    slow = site.serving
    process = site.agents[slow].process
    assert process is not None
    for node in site.nodes:
        frozen(site, slow)
        node.send(node.request())
        time.sleep(0.15)  # half of what makes it down
        process.send_signal(signal.SIGCONT)
    site.register()
    site.unharmed(site.serving)


def test_silence_of_snmp_alone_moves_nothing(site: Site) -> None:
    """Nobody serves it here."""
    said = site.agents[site.active]
    site.until(lambda: any(each["event"] == "no answer to SNMP" for each in said.said))
    assert set(site.states().values()) <= {"up", "failing"}
    site.unharmed(site.serving)


def test_all_members_die_at_once_and_keep_what_they_had(site: Site) -> None:
    """There is no heir; who is back has its journal, or gets what the controller knows."""
    for member in MEMBERS:
        killed(site, member)
    for member in MEMBERS:
        site.agents[member].start()
    site.register()
    # Whoever is well first has everything, if both were found to be down.
    site.until(lambda: set(site.states().values()) <= {"up", "failing"})
    site.unharmed(site.serving)


def test_a_member_that_comes_and_goes_is_held(site: Site) -> None:
    flapping, heir = site.serving, site.other
    while site.states()[flapping] != "held":
        killed(site, flapping)
        site.until(lambda: site.states()[flapping] == "down")
        site.agents[flapping].start()
        site.until(lambda: site.states()[flapping] in ("up", "failing", "held"))
    site.unharmed(heir)


def test_a_reload_of_everything_moves_nothing(site: Site) -> None:
    member = site.serving
    for agent in site.agents.values():
        assert agent.process is not None
        before = len(agent.said)
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_for("reloaded", before)
    site.until(lambda: site.states()[member] in ("up", "failing"))
    site.unharmed(member)


def test_why_says_who_serves_a_mobile_node_and_who_would_get_a_new_one(site: Site) -> None:
    folder = Path(site.agents[site.active].config.runtime_directory)
    known, *candidates = ask(folder, "why", mobile=str(site.nodes[0].address))
    assert known["member"] == site.serving
    assert [each["candidate"] for each in candidates] == list(MEMBERS)
    unknown, *_ = ask(folder, "why", mobile="nobody@example.net")
    assert unknown["member"] is None
    events = list(ask(folder, "events", limit=500))
    assert re.search("member down.*slots move", " ".join(each["event"] for each in events))
