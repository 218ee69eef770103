"""A cluster of daemons on a LAN of namespaces, and what goes wrong with it.

Two controllers, a Home Agent and its backup; five mobile nodes register through a Foreign Agent's
host that sends to whichever controller is active. Each fault befalls whoever serves, so that the
bindings go to and fro: a case finds the cluster as the one before has left it, well and with
everybody bound. What must hold after each of them stands in `unharmed`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.config import Link
from hacc_agent.control import Refused, ask
from hacc_agent.routes import PROTOCOL
from hacc_agent.wire import RegistrationReply, parse
from tests.hacc_agent.pair import certificates
from tests.loopback import PATIENCE_S, Agent, MobileNode, opened_config, running
from tests.segment import Namespace, Segment

pytestmark = pytest.mark.lab

VIRTUAL = IPv4Address("198.19.0.1")
CARE_OF = IPv4Address("198.18.9.77")
ADDRESSES = {
    "hacc1": "198.18.1.11",
    "hacc2": "198.18.1.12",
    "ha1": "198.18.1.21",
    "ha9": "198.18.1.29",
    "fa": str(CARE_OF),
}
MEMBERS = ("ha1", "ha9")
NODES = 5
HALVES = {"198.19.64.0/23", "198.19.66.0/23"}
SLICE = {"198.19.64.0/22"}


class Site:
    """Routers, their daemons, and mobile nodes."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        keys = certificates(folder / "pki", "west", *ADDRESSES)
        self.segment = stack.enter_context(closing(Segment()))
        self.routers: dict[str, Namespace] = {}
        self.agents: dict[str, Agent] = {}
        for host, address in ADDRESSES.items():
            virtual = "" if host == "fa" else str(VIRTUAL)
            router = self.segment.router(f"{address}/24", virtual)
            self.routers[host] = router
            if host == "fa":
                router.ip("route", "add", "198.18.1.0/24", "dev", "lan")
                continue
            router.ip("route", "add", "198.18.9.0/24", "dev", "lan")
            router.setting("net.ipv4.ip_forward", 1)
            config = opened_config(host, folder / host)
            files = (keys / name for name in ("authority.pem", f"{host}.pem", f"{host}.key"))
            config = dataclasses.replace(
                config,
                members=tuple(each for each in config.members if each.name in MEMBERS),
                link=Link(43434, *map(str, files)),
            )
            self.agents[host] = Agent(config, folder / host, router.enter_for_good)
        stack.enter_context(running(self.agents))
        self.active = ""
        self.take_over("hacc1")
        with self.routers["fa"].inside():
            self.nodes = [
                MobileNode(VIRTUAL, CARE_OF, 434, f"node{number}@example.net")
                for number in range(NODES)
            ]
        for node in self.nodes:
            stack.callback(node.close)
        self.sent: list[bytes] = []

    # ------------------------------------------------------------------ who does what

    def take_over(self, controller: str) -> None:
        """What VRRP or HSRP do: the Foreign Agents' and the members' way to the active one."""
        self.active = controller
        self.routers["fa"].ip("route", "replace", str(VIRTUAL), "via", ADDRESSES[controller])

    def status(self, host: str) -> dict[str, Any]:
        return next(ask(Path(self.agents[host].config.runtime_directory), "status"))

    def order(self, command: str, member: str) -> list[dict[str, Any]]:
        """Given to the controller that leads; one that follows it says so, and who that is."""
        for host in (self.active, self.standby):
            folder = Path(self.agents[host].config.runtime_directory)
            with contextlib.suppress(Refused):
                return list(ask(folder, command, member=member))
        raise AssertionError(self.told())

    def until(self, what: Callable[[], Any]) -> None:
        """Something is so, soon."""
        end = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < end, self.told()
            time.sleep(0.02)

    def told(self) -> dict[str, Any]:
        return {host: agent.said for host, agent in self.agents.items()}

    def happened(self, controller: str, event: str, member: str) -> bool:
        """It stands among the latest events, after the last failure of a member."""
        folder = Path(self.agents[controller].config.runtime_directory)
        events = list(ask(folder, "events", limit=100))
        downs = [n for n, each in enumerate(events) if each["event"] == "member down"]
        return any(
            (each["event"], each.get("member")) == (event, member)
            for each in events[downs[-1] if downs else len(events) :]
        )

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.status(self.active)["members"]}

    @property
    def serving(self) -> str:
        """The member that has the bindings."""
        members = self.status(self.active)["members"]
        (found,) = (each["name"] for each in members if each["bindings"])
        return str(found)

    @property
    def other(self) -> str:
        (found,) = set(MEMBERS) - {self.serving}
        return found

    @property
    def standby(self) -> str:
        return "hacc2" if self.active == "hacc1" else "hacc1"

    def holds(self, member: str) -> bool:
        """It has everybody's binding, in the cluster's eyes and in its own."""
        status = self.status(self.active)
        bindings = {each["name"]: each["bindings"] for each in status["members"]}
        under_way = any(each["transferring"] for each in status["members"])
        return (
            bindings[member] == NODES and not under_way and self.status(member)["bindings"] == NODES
        )

    def announced(self, host: str) -> set[str]:
        shown = self.routers[host].ip("route", "show", "proto", str(PROTOCOL))
        return set(re.findall(r"[\d.]+/\d+", shown))

    # ------------------------------------------------------------------ what mobile nodes see

    def register(self) -> None:
        """Everybody once; a mobile node asks again until it is answered."""
        for node in self.nodes:
            request = node.request()
            node.socket.settimeout(1)
            deadline = time.monotonic() + PATIENCE_S
            while True:
                node.send(request)
                try:
                    reply = node.answer()
                    while (reply.identification ^ node.last) & 0xFFFF_FFFF:
                        reply = node.answer()  # that one was to an earlier request
                except TimeoutError:
                    assert time.monotonic() < deadline, self.told()
                    request = node.request()
                    continue
                if reply.code == 0:
                    break
                assert reply.code == 133, reply
                request = node.request()
            assert node.address in (IPv4Address(0), reply.home_address)
            node.address = reply.home_address
            self.sent.append(request)

    def replayed(self) -> list[int]:
        """The answers to requests of before, sent once more by somebody."""
        codes = []
        with self.routers["fa"].inside(), closing(socket.socket(type=socket.SOCK_DGRAM)) as other:
            other.bind((str(CARE_OF), 0))
            other.settimeout(0.3)
            for request in self.sent[-2 * NODES : -NODES]:
                other.sendto(request, (str(VIRTUAL), 434))
                try:
                    reply = parse(other.recv(4096))
                except TimeoutError:
                    continue
                assert isinstance(reply, RegistrationReply)
                codes.append(int(reply.code))
        return codes

    def unharmed(self, heir: str) -> None:
        """Zero accepted bindings lost, zero replays accepted, one owner; service goes on."""
        self.until(lambda: self.holds(heir))
        replayed = self.replayed()
        assert set(replayed) <= {133}, (replayed, self.told())
        self.register()
        assert self.holds(heir)

    def well(self) -> None:
        """Whatever was broken is whole again: who was declared dead has given up everything."""
        self.segment.mend()
        for member in MEMBERS:
            with self.routers[member].inside():
                subprocess.run(["nft", "flush", "ruleset"], check=True)
        for agent in self.agents.values():
            assert agent.process is not None
            agent.process.send_signal(signal.SIGCONT)
            if agent.process.poll() is not None:
                agent.start()
        for member in MEMBERS:
            self.order("undrain", member)  # and no penalty for having failed so often
        self.until(lambda: set(self.states().values()) <= {"up", "failing"})
        serving = self.serving
        for member in MEMBERS:
            bindings = NODES if member == serving else 0
            self.until(lambda: self.status(member)["bindings"] == bindings)  # noqa: B023  at once
        expected = SLICE if serving == "ha1" else HALVES
        self.until(lambda: self.announced(serving) == expected)
        assert self.announced(self.other) == set()
        self.until(lambda: self.status(self.active)["log"]["followers"])
        assert self.status(self.standby)["bindings"] == NODES


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


def killed(site: Site, host: str) -> None:
    assert site.agents[host].stop(signal.SIGKILL) == -signal.SIGKILL


def frozen(site: Site, host: str) -> None:
    process = site.agents[host].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)


def powered_off(site: Site, host: str) -> None:
    """No carrier, and no daemon: nobody says that a connection has ended."""
    site.segment.pull(site.routers[host])
    killed(site, host)


def cut(site: Site, host: str) -> None:
    site.segment.pull(site.routers[host])


def deaf(site: Site, host: str) -> None:
    site.segment.lose(None, site.routers[host])


def mute(site: Site, host: str) -> None:
    site.segment.lose(site.routers[host], None)


def parted_from_the_active_controller(site: Site, host: str) -> None:
    """The other one goes on hearing it, and does not decide."""
    active = site.routers[site.active]
    site.segment.lose(active, site.routers[host])
    site.segment.lose(site.routers[host], active)


def without_heartbeats(site: Site, host: str) -> None:
    """The member link alone is lost: it hears requests and answers them, and SNMP would."""
    with site.routers[host].inside():
        subprocess.run(["nft", "-f", "-"], input=NO_LINK, text=True, check=True)


NO_LINK = """
table inet no_link {
    chain arriving {
        type filter hook input priority 0
        tcp dport 43434 drop
    }
}
"""


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
