"""Agent discovery on a LAN of namespaces: daemons hear one another, strangers and impostors."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from hacc_agent.control import ask
from hacc_agent.wire import (
    AgentAdvertisement,
    AgentFlags,
    AgentLoad,
    AgentRole,
    AgentSolicitation,
    AgentState,
    MobilityAgent,
    RouterAddress,
    parse_discovery,
)
from hacc_agent.wire.advertisement import checksum
from hacc_agent.wire.load import cluster_digest
from tests.hacc_agent.wire import tshark
from tests.loopback import PATIENCE_S, Agent, opened_config, running, told, until
from tests.segment import Namespace, Segment

pytestmark = pytest.mark.lab

ADDRESSES = {
    "hacc1": "198.18.1.11/24",
    "hacc2": "198.18.1.12/24",
    "ha1": "198.18.1.21/24",
    "host": "198.18.1.99/24",
}


@dataclass(slots=True)
class Site:
    """Two routers that run, one that does not, and a host that says what it likes."""

    routers: dict[str, Namespace]
    agents: dict[str, Agent]

    def neighbours(self, host: str) -> list[dict[str, Any]]:
        return list(ask(Path(self.agents[host].config.runtime_directory), "neighbours"))

    def found(self, host: str, verdict: str) -> list[dict[str, Any]]:
        return [each for each in self.neighbours(host) if each.get("verdict") == verdict]

    def said(self, host: str, event: str) -> list[dict[str, Any]]:
        return [line for line in self.agents[host].said if line["event"] == event]

    def mac(self, host: str) -> str:
        (link,) = json.loads(self.routers[host].ip("-j", "link", "show", "dev", "lan"))
        return str(link["address"])

    def hear(self) -> socket.socket:
        """What reaches the host: whole frames."""
        with self.routers["host"].inside():
            heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            heard.bind(("lan", 0x0800))
        heard.settimeout(PATIENCE_S)
        return heard

    def say(
        self,
        message: AgentAdvertisement | AgentSolicitation,
        source: str,
        ttl: int = 1,
        by: str = "host",
    ) -> None:
        """From the MAC address of the host, or another router, and whatever IP address."""
        octets = message.to_bytes()
        header = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 20 + len(octets), 0, 0, ttl, 1, 0,
            IPv4Address(source).packed, IPv4Address("224.0.0.1").packed,
        )  # fmt: skip
        header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
        with (
            self.routers[by].inside(),
            closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as out,
        ):
            out.bind(("lan", 0))
            own: bytes = out.getsockname()[4]
            out.send(bytes.fromhex("01005e000001") + own + b"\x08\x00" + header + octets)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For tests that leave nothing behind. On its host FRR's router discovery runs."""
    with running_site(tmp_path_factory.mktemp("quiet")) as made, frr(made.routers["host"]):
        yield made


IRDP = """\
interface lan
 ip irdp multicast
"""


@contextmanager
def frr(router: Namespace) -> Iterator[None]:
    with TemporaryDirectory(prefix="hacc-irdp-") as folder:
        file = Path(folder) / "zebra.conf"
        file.write_text(IRDP)
        shutil.chown(folder, "frr", "frr")
        zebra = subprocess.Popen(
            [
                *("/usr/lib/frr/zebra", "-M", "irdp", "-P", "0", "-f", str(file)),
                *("-i", f"{folder}/pid", "-z", f"{folder}/zserv", "--vty_socket", folder),
            ],
            preexec_fn=router.enter_for_good,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            zebra.kill()
            zebra.wait()


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        segment = stack.enter_context(closing(Segment()))
        routers = {host: segment.router(address) for host, address in ADDRESSES.items()}
        agents = {}
        for host in ("hacc1", "ha1"):
            config = opened_config(host, folder / host)
            config = dataclasses.replace(
                config, members=tuple(each for each in config.members if each.name == "ha1")
            )
            agents[host] = Agent(config, folder / host, routers[host].enter_for_good)
        stack.enter_context(running(agents))
        yield Site(routers, agents)


def advertisement(
    address: str, *extensions: Any, lifetime: int = 1800, sequence: int = 0
) -> AgentAdvertisement:
    agent = MobilityAgent(sequence, 1800, AgentFlags.HOME_AGENT)
    router = RouterAddress(IPv4Address(address))
    return AgentAdvertisement((router,), lifetime, (agent, *extensions))


def load(router: str, role: AgentRole = AgentRole.HOME_AGENT) -> AgentLoad:
    return AgentLoad(cluster_digest("west"), router, role, AgentState.ACTIVE, 7)


def test_routers_of_a_cluster_hear_one_another(quiet: Site) -> None:
    until(lambda: bool(quiet.found("hacc1", "expected") and quiet.found("ha1", "expected")))
    (member,), (controller,) = quiet.found("hacc1", "expected"), quiet.found("ha1", "expected")
    assert (member["router"], member["address"]) == ("ha1", "198.18.1.21")
    assert (controller["router"], controller["says"]["role"]) == ("hacc1", "controller")
    assert member["says"]["bindings"] == 0
    assert 0 < member["says"]["memory_free_percent"] <= 100
    assert quiet.found("hacc1", "impostor") == []
    code, text = told(quiet.agents["hacc1"], "neighbours")
    assert code == 0
    found, placed = text.split("\n\n")
    assert [line.split()[:3] for line in found.splitlines()[1:]] == [["ha1", "core", "198.18.1.21"]]
    assert placed.splitlines()[1].split() == ["ha1", "advertisement", "-"]
    _, text = told(quiet.agents["hacc1"], "status")
    assert "LAN       1 heard, 1 awaited" in text  # hacc2, which is not there


def test_who_stops_says_so_and_is_missed(site: Site) -> None:
    until(lambda: bool(site.found("hacc1", "expected")))
    assert site.agents["ha1"].stop() == 0
    until(lambda: not site.found("hacc1", "expected"))


def test_a_stranger_is_told_of_once_and_is_given_nothing(site: Site) -> None:
    for sequence in range(3):
        site.say(advertisement("198.18.1.99", sequence=sequence), "198.18.1.99")
    until(lambda: [each["heard"] for each in site.found("hacc1", "stranger")] == [3])
    (stranger,) = site.found("hacc1", "stranger")
    assert stranger["why"] == "an agent that the intent does not know"
    assert stranger["router"] is None
    assert len(site.said("hacc1", "a stranger on the LAN")) == 1
    assert "1 strangers" in told(site.agents["hacc1"], "status")[1]


IMPOSTORS = {
    "another-mac": (
        advertisement("198.18.1.21", load("ha1").extension()),
        "198.18.1.21",
        1,
        "another MAC address than",
    ),
    "our-address": (
        advertisement("198.18.1.11", load("hacc1", AgentRole.CONTROLLER).extension()),
        "198.18.1.11",
        1,
        "it has an address of this router",
    ),
    "from-afar": (
        advertisement("198.18.1.12", load("hacc2", AgentRole.CONTROLLER).extension()),
        "198.18.1.12",
        64,
        "its TTL is 64: it may come from beyond this LAN",
    ),
    "wrong-role": (
        advertisement("198.18.1.12", load("hacc2").extension()),
        "198.18.1.12",
        1,
        "it says that it is a home agent, not a controller",
    ),
    "says-nothing": (
        advertisement("198.18.1.12"),
        "198.18.1.12",
        1,
        "it does not say what our agents say",
    ),
}


def test_impostors_are_told_of_and_change_nothing(site: Site) -> None:
    until(lambda: bool(site.found("hacc1", "expected")))
    before = site.found("hacc1", "expected")
    for message, source, ttl, _ in IMPOSTORS.values():
        site.say(message, source, ttl)

    def whys() -> list[str]:
        return [each["why"] for each in site.found("hacc1", "impostor")]

    until(lambda: len(whys()) == 3)  # an address and a MAC address are one impostor
    for case in ("another-mac", "our-address", "says-nothing"):
        assert any(why.startswith(IMPOSTORS[case][3]) for why in whys()), case
    assert len(site.said("hacc1", "an impostor on the LAN")) == 3
    (after,) = site.found("hacc1", "expected")
    assert (after["mac"], after["says"]) == (before[0]["mac"], before[0]["says"])


def test_an_impostor_of_a_router_that_is_away(site: Site) -> None:
    """One, whatever it says in turn: it is told of once, and shown with its last lie."""

    def shown(why: str) -> bool:
        return [each["why"] for each in site.found("hacc1", "impostor")] == [why]

    for case in ("from-afar", "wrong-role"):
        message, source, ttl, why = IMPOSTORS[case]
        site.say(message, source, ttl)
        until(partial(shown, why))
    assert len(site.said("hacc1", "an impostor on the LAN")) == 1


def test_a_solicitation_is_answered_and_a_storm_of_them_is_not(site: Site) -> None:
    with closing(site.hear()) as heard:
        until(lambda: bool(site.found("ha1", "expected")))  # both have advertised already
        for _ in range(200):
            site.say(AgentSolicitation(), "198.18.1.99")
        answers: list[tuple[bytes, bytes]] = []
        while len(answers) < 2:
            frame = heard.recv(2000)
            if frame[23] == socket.IPPROTO_ICMP and frame[34] == 9:
                answers.append((frame[26:30], frame))
        numbers: dict[bytes, list[int]] = {}
        for source, frame in answers:
            message = parse_discovery(frame[34:])
            assert isinstance(message, AgentAdvertisement)
            assert message.agent is not None
            numbers.setdefault(source, []).append(message.agent.sequence)
        assert all(found == sorted(set(found)) for found in numbers.values())
        for host in ("hacc1", "ha1"):
            (told_of,) = ask(Path(site.agents[host].config.runtime_directory), "status")
            assert told_of["neighbours"]["sent"] <= 3


def test_garbage_is_counted_and_nothing_else(quiet: Site) -> None:
    with (
        quiet.routers["host"].inside(),
        closing(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as out,
    ):
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("198.18.1.99"))
        for garbage in (b"\x09\x10", b"\x09\x10" + bytes(60), b"\x09" + b"\xff" * 400):
            out.sendto(garbage, ("224.0.0.1", 0))

    def odd() -> int:
        (found,) = ask(Path(quiet.agents["hacc1"].config.runtime_directory), "status")
        number: int = found["neighbours"]["odd"]
        return number

    until(lambda: odd() == 3)


def test_tshark_reads_what_is_sent(quiet: Site, tmp_path: Path) -> None:
    with closing(quiet.hear()) as heard:
        quiet.say(AgentSolicitation(), "198.18.1.99")
        while True:
            frame = heard.recv(2000)
            if frame[23] == socket.IPPROTO_ICMP and frame[34] == 9:
                break
    assert frame[:6].hex() == "01005e000001"
    packet = frame[14 : 14 + int.from_bytes(frame[16:18], "big")]
    (row,) = tshark.decode(
        tmp_path,
        [packet],
        (
            *("ip.ttl", "ip.dst", "icmp.type", "icmp.code", "icmp.checksum.status"),
            *("icmp.mip.type", "icmp.mip.h", "icmp.mip.f", "icmp.mip.r", "_ws.expert.message"),
        ),
    )
    assert row["ip.ttl"] == ["1"]
    assert row["ip.dst"] == ["224.0.0.1"]
    assert row["icmp.type"] == ["9"]
    assert row["icmp.code"] == ["16"]
    assert row["icmp.checksum.status"] == ["1"]  # good
    assert row["icmp.mip.type"] == ["16", "134"]
    assert [row[f"icmp.mip.{flag}"] for flag in "hfr"] == [["1"], ["0"], ["0"]]
    assert row["_ws.expert.message"] == []


def test_a_router_that_is_no_agent_is_a_stranger_too(quiet: Site) -> None:
    """FRR's, which advertises first within the 16 s of RFC 1256."""
    until(lambda: bool(quiet.found("hacc1", "stranger")))
    (stranger,) = quiet.found("hacc1", "stranger")
    # FRR 8.4 writes the source of its datagrams in the machine's own order of octets.
    assert stranger["address"] in ("198.18.1.99", "99.1.18.198")
    assert stranger["mac"] == quiet.mac("host")
    assert stranger["why"] == "a router that the intent does not know"
    assert stranger["says"] is None
