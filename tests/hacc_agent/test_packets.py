"""Packets through whole daemons: a controller, a member, a Foreign Agent, a correspondent."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hacc_agent.config import AgentConfig
from hacc_agent.control import ask
from hacc_agent.dataplane.maps import Folder
from hacc_agent.dataplane.member import TcxTunnels
from hacc_agent.engine.record import RECORD, STRUCT, Kind, Row
from hacc_agent.routes import PROTOCOL
from hacc_agent.wire import (
    ExtensionType,
    MobileNetworkAcknowledgement,
    MobileNetworkRequest,
    RegistrationRequest,
    RequestFlags,
    authenticate,
)
from tests.hacc_agent.dataplane.packets import ip, udp
from tests.hacc_agent.dataplane.test_planes import passes
from tests.hacc_agent.test_frames import CARE_OF, VIRTUAL, Site, mac, site_of
from tests.lab.labs import until
from tests.loopback import PATIENCE_S, opened_config
from tests.segment import Namespace

pytestmark = pytest.mark.lab

CORRESPONDENT = "198.18.1.90"
BEHIND = IPv4Network("203.0.113.0/24")
LAST = b"the last frame!!"


@dataclass
class Ends:
    """The Foreign Agent's end of tunnels, and a host that knows nothing of them."""

    site: Site
    tunnel: socket.socket
    plain: socket.socket
    host: Namespace  # that one

    def told(self, host: str, **asked: Any) -> list[dict[str, Any]]:
        folder = Path(self.site.agents[host].config.runtime_directory)
        return [dict(line) for line in ask(folder, "dataplane", **asked)]

    def counted(self, host: str, reason: str) -> int:
        return sum(int(line["count"]) for line in self.told(host) if line.get("packets") == reason)


def with_mobile_networks(host: str, folder: Path) -> AgentConfig:
    """A mobile router of the realm may have the network behind it (RFC 5177)."""
    config = opened_config(host, folder)
    realms = [dataclasses.replace(realm, mobile_networks=(BEHIND,)) for realm in config.realms]
    return dataclasses.replace(config, realms=tuple(realms))


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    monkeypatch.setattr("tests.hacc_agent.test_frames.opened_config", with_mobile_networks)
    with ExitStack() as stack:
        site = site_of(tmp_path, "ha1", stack, "hacc1", "ha1")
        host = site.segment.router(f"{CORRESPONDENT}/24")
        host.ip("route", "add", "198.19.64.0/18", "via", "198.18.1.21")
        member = site.routers["ha1"]
        member.setting("net.ipv4.ip_forward", 1)
        member.ip("route", "add", "198.18.9.0/24", "dev", "lan")
        for router in (member, site.routers["hacc1"]):
            for where in ("all", "lan"):
                router.setting(f"net.ipv4.conf.{where}.rp_filter", 0)
        with site.routers["fa"].inside():
            tunnel = stack.enter_context(
                closing(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IPIP))
            )
        with host.inside():
            plain = stack.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
            plain.bind((CORRESPONDENT, 7000))
        for one in (tunnel, plain):
            one.settimeout(PATIENCE_S)
        yield Ends(site, tunnel, plain, host)


def test_who_is_registered_has_a_tunnel_both_ways(ends: Ends) -> None:
    with closing(ends.site.mobile_node()) as node:
        home = str(node.register().home_address)
        ends.plain.sendto(b"question", (home, 5000))
        packet = ends.tunnel.recv(2000)
        assert packet[12:20] == VIRTUAL.packed + CARE_OF.packed
        assert packet[40:].endswith(b"question")
        answer = ip(home, CORRESPONDENT, 17, udp(5000, 7000, b"answer"))
        ends.tunnel.sendto(answer, (str(VIRTUAL), 0))
        assert ends.plain.recvfrom(2000) == (b"answer", (home, 5000))
    assert ends.counted("hacc1", "tunnelled") == 1
    assert ends.counted("ha1", "decapsulated") == 1
    assert ends.counted("ha1", "encapsulated") == 1


# ------------------------------------------------------------------ what the controller touches


@contextmanager
def captured(router: Namespace, file: Path) -> Iterator[list[bytes]]:
    """Every frame of its LAN, in and out, by dumpcap; there when it has ended.

    It writes late, so the last frame is one that is known.
    """
    found: list[bytes] = []
    command = ("dumpcap", "-q", "-B", "64", "-P", "-i", "lan", "-f", "ip", "-w", str(file))
    process = subprocess.Popen(command, preexec_fn=router.enter_for_good, stderr=subprocess.PIPE)
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith(b"File:"))  # it listens from here on
    try:
        yield found
        router.run("ping", "-c", "1", "-p", LAST.hex(), CORRESPONDENT)
        until(lambda: LAST in file.read_bytes())
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
    octets, at = file.read_bytes(), 24
    while not (found and LAST in found[-1]):
        length = int.from_bytes(octets[at + 8 : at + 12], sys.byteorder)
        found.append(octets[at + 16 : at + 16 + length])
        at += 16 + length


@contextmanager
def mobile_host(ends: Ends, home: str) -> Iterator[Namespace]:
    """The Foreign Agent's host has the mobile node too, and tunnels as our members do: not every
    kernel has tunnels of its own.
    """
    host = ends.site.routers["fa"]
    host.setting("net.ipv4.ip_forward", 1)
    for where in ("all", "lan"):
        host.setting(f"net.ipv4.conf.{where}.rp_filter", 0)
    correspondent = int(IPv4Address(CORRESPONDENT))
    way = Row(Kind.BINDING, home_address=correspondent, care_of_address=int(VIRTUAL))
    with host.inside():
        plane = TcxTunnels(
            *(CARE_OF, (IPv4Network("198.18.1.0/24"),), ("lan",)),
            lambda asked: [way] if asked == correspondent else [],
            folder=Folder("member", "foreign agent", Path("/nonexistent")),
        )
    plane.load(np.frombuffer(STRUCT.pack(*way), RECORD))
    host.ip("addr", "add", f"{home}/32", "dev", "lo")
    host.ip("route", "add", f"{CORRESPONDENT}/32", "dev", plane.device.name, "src", home)
    yield host
    plane.close()
    host.ip("link", "del", plane.device.name)


def test_the_controller_changes_nothing_but_mac_addresses(ends: Ends, tmp_path: Path) -> None:
    """Pings, UDP and TCP both ways between hosts that know of no tunnel; each packet of the mobile
    node is on the controller's LAN twice, and differs in twelve octets.
    """
    correspondent, controller = ends.host, ends.site.routers["hacc1"]
    with closing(ends.site.mobile_node()) as node:
        home = str(node.register().home_address)
    with ExitStack() as opened:
        host = opened.enter_context(mobile_host(ends, home))
        with host.inside():
            heard = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            heard.bind((home, 5000))
            client = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            client.bind((home, 0))
        with correspondent.inside():
            server = opened.enter_context(socket.create_server((CORRESPONDENT, 7001)))
        for one in (heard, client, server):
            one.settimeout(PATIENCE_S)
        with captured(controller, tmp_path / "pcap") as frames:
            client.connect((CORRESPONDENT, 7001))
            peer = opened.enter_context(closing(server.accept()[0]))
            for sender, receiver in ((client, peer), (peer, client)):
                assert passes(sender, receiver, os.urandom(1 << 18))
            for number in range(100):
                ends.plain.sendto(bytes([number] * 500), (home, 5000))
                heard.sendto(*heard.recvfrom(2000))
                assert ends.plain.recvfrom(2000) == (bytes([number] * 500), (home, 5000))
            # Last, since they take longer than any acknowledgement of TCP's is delayed.
            ping = ("ping", "-c", "3", "-i", "0.2", "-W", str(PATIENCE_S))
            correspondent.run(*ping, home)
            host.run(*ping, "-I", home, CORRESPONDENT)
        counted = ends.counted("hacc1", "tunnelled")
    ours, member, agent = (mac(ends.site.routers[each]) for each in ("hacc1", "ha1", "fa"))
    # A bridge shows everybody what is for whom it does not know yet.
    own = [each for each in frames if ours in (each[:6], each[6:12])]
    tunnelled = [each for each in own if each[23] == socket.IPPROTO_IPIP]
    came = [each for each in tunnelled if each[:12] == ours + agent]
    went = [each for each in tunnelled if each[:12] == member + ours]
    assert len(came) + len(went) == len(tunnelled)
    assert Counter(each[12:] for each in went) == Counter(each[12:] for each in came)
    assert len({each[22] for each in came}) == 1, "all hops are as they were"
    assert len(came) > 3 + 3 + 100
    assert counted == len(came)
    assert ends.counted("hacc1", "by destination") == 0, "the way there is the member's own"


def test_who_is_not_is_told_to_be_out_of_reach(ends: Ends) -> None:
    """By the member whose slice the address is of (RFC 1812, 5.2.7.1)."""
    with closing(ends.site.mobile_node()) as node:
        home = str(node.register().home_address)
        node.register(lifetime=0)
    ends.plain.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    ends.plain.connect((home, 5000))
    ends.plain.send(b"question")
    with pytest.raises(OSError, match="No route to host"):
        ends.plain.recv(2000)
    assert ends.counted("ha1", "unbound") == 1


def test_a_member_with_another_card_is_followed(ends: Ends) -> None:
    """It says so by gratuitous ARP, and the controller's frames go to the new address."""
    member = ends.site.routers["ha1"]
    with closing(ends.site.mobile_node()) as node:
        home = str(node.register().home_address)
    answer = ip(home, CORRESPONDENT, 17, udp(5000, 7000, b"answer"))

    def passes() -> bool:
        ends.tunnel.sendto(answer, (str(VIRTUAL), 0))
        ends.plain.settimeout(0.2)
        try:
            return ends.plain.recvfrom(2000) == (b"answer", (home, 5000))
        except TimeoutError:
            return False

    until(passes)
    new = bytes.fromhex("020000c0ffee")
    member.ip("link", "set", "lan", "address", new.hex(":"))
    member.run("arping", "-A", "-c", "1", "-w", "1", "-I", "lan", "198.18.1.21")
    with closing(ends.site.listen("ha1")) as heard:
        until(passes)
        heard.settimeout(PATIENCE_S)
        frames = iter(lambda: heard.recv(2000), b"")
        # Heard behind the program, which has opened the tunnel.
        came = next(each for each in frames if each[26:30] == IPv4Address(home).packed)
    assert came[:12] == new + mac(ends.site.routers["hacc1"])


def test_a_mobile_network_is_reached_while_its_router_is_bound(ends: Ends) -> None:
    """The member routes it, the controller has read in the reply what it granted."""
    ends.host.ip("route", "add", str(BEHIND), "via", "198.18.1.21")
    member, board = ends.site.routers["ha1"], str(BEHIND[9])
    answer = ip(board, CORRESPONDENT, 17, udp(5000, 7000, b"answer"))
    with closing(ends.site.mobile_node()) as node:
        asked = MobileNetworkRequest(BEHIND.network_address, BEHIND.prefixlen)
        plain = RegistrationRequest(
            *(RequestFlags(0), 600, node.address, VIRTUAL, CARE_OF, identification(), (node.name,))
        )
        octets = authenticate(
            dataclasses.replace(plain, extensions=(node.name, asked)).to_bytes(),
            *(ExtensionType.MOBILE_HOME_AUTHENTICATION, node.SPI, node.KEY),
        )
        node.send(octets)
        reply = node.answer()
        granted = [
            each for each in reply.extensions if isinstance(each, MobileNetworkAcknowledgement)
        ]
        assert [(each.code, each.prefix) for each in granted] == [(0, BEHIND.network_address)]
        node.address = reply.home_address
        until(lambda: f"{BEHIND} dev hacc0" in member.ip("route", "show", "proto", str(PROTOCOL)))
        ends.plain.sendto(b"question", (board, 5000))
        packet = ends.tunnel.recv(2000)
        assert packet[36:40] == BEHIND[9].packed
        assert packet.endswith(b"question")
        ends.tunnel.sendto(answer, (str(VIRTUAL), 0))
        assert ends.plain.recvfrom(2000) == (b"answer", (board, 5000))
        node.register(lifetime=0)
    until(lambda: str(BEHIND) not in member.ip("route", "show", "proto", str(PROTOCOL)))
    before = ends.counted("hacc1", "unknown")
    ends.tunnel.sendto(answer, (str(VIRTUAL), 0))
    until(lambda: ends.counted("hacc1", "unknown") == before + 1)


def identification() -> int:
    """The time of day (RFC 5944, 5.7.1)."""
    return time.time_ns() // 1_000_000_000 + 2_208_988_800 << 32


def test_the_daemon_says_where_packets_go(ends: Ends) -> None:
    with closing(ends.site.mobile_node()) as node:
        home = str(node.register().home_address)
    (line,) = (each for each in ends.told("ha1", home=home) if "home" in each)
    assert line == {"home": home, "leads": f"IP to {CARE_OF}"}
    (line,) = (each for each in ends.told("hacc1", home=home) if "home" in each)
    assert line["leads"].endswith("to its member")
    nobody = str(IPv4Address(int(IPv4Address(home)) + 1))
    (line,) = (each for each in ends.told("hacc1", home=nobody) if "home" in each)
    assert line["leads"] is None
    programs = [each for each in ends.told("ha1", programs=True) if "program" in each]
    assert [each["program"] for each in programs] == ["tcx egress of hacc0", "tcx ingress"]
    assert all(any("call redirect" in line for line in each["lines"]) for each in programs)
