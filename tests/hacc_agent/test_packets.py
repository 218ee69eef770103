"""Packets through whole daemons: a controller, a member, a Foreign Agent, a correspondent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.control import ask
from tests.hacc_agent.dataplane.packets import ip, udp
from tests.hacc_agent.test_frames import CARE_OF, VIRTUAL, Site, site_of
from tests.loopback import PATIENCE_S

pytestmark = pytest.mark.lab

CORRESPONDENT = "198.18.1.90"


@dataclass
class Ends:
    """The Foreign Agent's end of tunnels, and a host that knows nothing of them."""

    site: Site
    tunnel: socket.socket
    plain: socket.socket

    def told(self, host: str, **asked: Any) -> list[dict[str, Any]]:
        folder = Path(self.site.agents[host].config.runtime_directory)
        return [dict(line) for line in ask(folder, "dataplane", **asked)]

    def counted(self, host: str, reason: str) -> int:
        return sum(int(line["count"]) for line in self.told(host) if line.get("packets") == reason)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
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
        yield Ends(site, tunnel, plain)


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
