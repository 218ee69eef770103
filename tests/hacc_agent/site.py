"""A cluster of daemons on a LAN of namespaces, its mobile nodes, and what befalls its routers.

Two controllers, a Home Agent and its backup; five mobile nodes register through a Foreign Agent's
host that sends to whichever controller is active. What must hold after each fault stands in
`Site.unharmed`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from hacc_agent.config import Link
from hacc_agent.control import Refused, ask
from hacc_agent.routes import PROTOCOL
from hacc_agent.wire import RegistrationReply, parse
from tests.hacc_agent.pair import certificates
from tests.loopback import PATIENCE_S, Agent, MobileNode, opened_config, running
from tests.segment import Namespace, Segment

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

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        environment: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        """`environment`: what a router's daemon gets beside what the test has."""
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
            self.agents[host] = Agent(
                config, folder / host, router.enter_for_good, environment(host)
            )
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
                node.follow(reply)
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
