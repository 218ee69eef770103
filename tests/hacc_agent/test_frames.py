"""The relay on a LAN of namespaces: frames as other machines see them, members as they answer."""

from __future__ import annotations

import dataclasses
import re
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from hacc_agent.control import ask
from hacc_agent.wire import RegistrationReply, RegistrationRequest, parse
from tests.loopback import PATIENCE_S, Agent, MobileNode, opened_config, running
from tests.segment import Namespace, Segment

pytestmark = pytest.mark.lab

VIRTUAL = IPv4Address("198.19.0.1")
CARE_OF = IPv4Address("198.18.9.77")  # of another network, so that nobody answers it directly
PORT = 434
ADDRESSES = {
    "hacc1": "198.18.1.11/24",
    "ha1": "198.18.1.21/24",
    "west-ios": "198.18.1.253/24",
    "fa": f"{CARE_OF}/24",
}


@dataclass(slots=True)
class Site:
    """Routers of a LAN, the daemons in some of them, and a Foreign Agent's host."""

    segment: Segment
    routers: dict[str, Namespace]
    agents: dict[str, Agent]

    def mobile_node(self, name: str = "ann@example.net") -> MobileNode:
        with self.routers["fa"].inside():
            return MobileNode(VIRTUAL, CARE_OF, PORT, name)

    def status(self, host: str) -> dict[str, Any]:
        (told,) = ask(Path(self.agents[host].config.runtime_directory), "status")
        return told

    def listen(self, host: str) -> socket.socket:
        """Every IPv4 frame that reaches a router, as it arrives."""
        with self.routers[host].inside():
            heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            heard.bind(("lan", 0x0800))
        heard.settimeout(PATIENCE_S)
        return heard

    def unreachables(self, host: str) -> int:
        """ICMP "destination unreachable" that a router has sent."""
        snmp = self.routers[host].run("cat", "/proc/thread-self/net/snmp").splitlines()
        names, values = (line.split() for line in snmp if line.startswith("Icmp:"))
        return int(values[names.index("OutDestUnreachs")])


def site_of(folder: Path, member: str, stack: ExitStack, *hosts: str) -> Site:
    """A controller with one member; daemons of Linux routers run."""
    segment = stack.enter_context(closing(Segment()))
    routers = {
        host: segment.router(ADDRESSES[host], "" if host == "fa" else str(VIRTUAL))
        for host in ("hacc1", member, "fa")
    }
    routers["fa"].ip("route", "add", "198.18.1.0/24", "dev", "lan")
    routers["fa"].ip("route", "add", str(VIRTUAL), "via", "198.18.1.11")
    routers["hacc1"].ip("route", "add", "198.18.9.0/24", "dev", "lan")
    routers["hacc1"].setting("net.ipv4.ip_forward", 1)
    agents = {}
    for host in hosts:
        config = opened_config(host, folder / host)
        config = dataclasses.replace(
            config, members=tuple(each for each in config.members if each.name == member)
        )
        agents[host] = Agent(config, folder / host, routers[host].enter_for_good)
    stack.enter_context(running(agents))
    return Site(segment, routers, agents)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield site_of(tmp_path, "ha1", stack, "hacc1", "ha1")


@pytest.fixture
def ios(tmp_path: Path) -> Iterator[Site]:
    """A stock member: a host with the virtual address, whose default route is the controller."""
    with ExitStack() as stack:
        made = site_of(tmp_path, "west-ios", stack, "hacc1")
        made.routers["west-ios"].ip("route", "add", "default", "via", "198.18.1.11")
        yield made


def request_in(frame: bytes) -> RegistrationRequest | None:
    """The request in a frame, if it is one."""
    if frame[23] != socket.IPPROTO_UDP or frame[36:38] != PORT.to_bytes(2, "big"):
        return None
    message = parse(frame[42 : 34 + int.from_bytes(frame[38:40], "big")])
    return message if isinstance(message, RegistrationRequest) else None


def mac(router: Namespace) -> bytes:
    found = re.search(r"link/ether (\S+)", router.ip("link", "show", "dev", "lan"))
    assert found
    return bytes.fromhex(found[1].replace(":", ""))


def heard_request(heard: socket.socket) -> bytes:
    while True:
        frame = heard.recv(2000)
        if request_in(frame) is not None:
            return frame


# ------------------------------------------------------------------ what others see


def test_a_request_leaves_with_only_its_mac_addresses_changed(site: Site) -> None:
    with (
        closing(site.mobile_node()) as node,
        closing(site.listen("hacc1")) as at_controller,
        closing(site.listen("ha1")) as at_member,
    ):
        reply = node.register()
        assert (reply.code, reply.home_agent) == (0, VIRTUAL)
        before, after = heard_request(at_controller), heard_request(at_member)
        assert after[14:] == before[14:]
        assert before[:12] == mac(site.routers["hacc1"]) + mac(site.routers["fa"])
        assert after[:12] == mac(site.routers["ha1"]) + mac(site.routers["hacc1"])


def test_a_member_answers_to_the_virtual_address_from_its_own(site: Site) -> None:
    """Requirement P7."""
    with closing(site.mobile_node()) as node, closing(site.listen("hacc1")) as heard:
        assert node.register().code == 0
        frames = iter(lambda: heard.recv(2000), b"")
        reply = next(frame for frame in frames if frame[26:30] == IPv4Address("198.18.1.21").packed)
        assert reply[30:34] == VIRTUAL.packed
        assert isinstance(parse(reply[42:]), RegistrationReply)


def test_nobody_hears_that_the_port_is_unreachable(site: Site) -> None:
    """The kernel gets a copy of every frame, and no socket of ours takes it."""
    before = {host: site.unreachables(host) for host in ("hacc1", "ha1")}
    with closing(site.mobile_node()) as node:
        for _ in range(3):
            assert node.register().code == 0
    assert {host: site.unreachables(host) for host in ("hacc1", "ha1")} == before


def test_a_stock_member_answers_through_the_controller(ios: Site) -> None:
    """H1: from the virtual address to the Foreign Agent, by its default route. One reply comes."""
    with ios.routers["west-ios"].inside():
        stock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stock.bind((str(VIRTUAL), PORT))
        stock.settimeout(PATIENCE_S)
    with closing(stock), closing(ios.mobile_node()) as node:
        node.send(node.request())
        octets, source = stock.recvfrom(4096)
        assert source == node.socket.getsockname(), "the Foreign Agent's own address and port"
        request = parse(octets)
        assert isinstance(request, RegistrationRequest)
        home = IPv4Address("198.19.76.9")
        reply = RegistrationReply(0, 300, home, VIRTUAL, request.identification, (node.name,))
        stock.sendto(reply.to_bytes(), source)
        assert node.answer() == reply
        assert ios.status("hacc1")["bindings"] == 1
        node.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            node.socket.recv(4096)


# ------------------------------------------------------------------ odd frames


def ones_sum(octets: bytes) -> int:
    """RFC 1071."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    return total % 0xFFFF or 0xFFFF


def frame_of(
    site: Site, node: MobileNode, *, options: bytes = b"", damage: bool = False, whole: bool = True
) -> bytes:
    """A request as a router would send it that leaves no checksum to its network card."""
    payload = node.request()
    source, port = CARE_OF.packed, node.socket.getsockname()[1]
    length = 8 + len(payload)
    pseudo = source + VIRTUAL.packed + struct.pack("!HH", socket.IPPROTO_UDP, length)
    udp = struct.pack("!HHHH", port, PORT, length, 0)
    checksum = ~ones_sum(pseudo + udp + payload) & 0xFFFF
    udp = struct.pack("!HHHH", port, PORT, length, checksum or 0xFFFF)
    if damage:
        payload = payload[:4] + bytes([payload[4] ^ 1]) + payload[5:]
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45 + len(options) // 4,
        0,
        20 + len(options) + length,
        7,
        0 if whole else 0x2000,
        64,
        socket.IPPROTO_UDP,
        0,
        source,
        VIRTUAL.packed,
    )
    total = ~ones_sum(header + options) & 0xFFFF
    header = header[:10] + total.to_bytes(2, "big") + header[12:] + options
    return mac(site.routers["hacc1"]) + mac(site.routers["fa"]) + b"\x08\0" + header + udp + payload


def put(site: Site, frame: bytes) -> None:
    with site.routers["fa"].inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind(("lan", 0))
        wire.send(frame)


@pytest.mark.parametrize(
    "options", [b"", b"\x94\x04\0\0", b"\x01" * 40], ids=["none", "alert", "40"]
)
def test_a_frame_with_all_checksums_and_options_is_served(site: Site, options: bytes) -> None:
    with closing(site.mobile_node()) as node:
        put(site, frame_of(site, node, options=options))
        assert node.answer().code == 0


@pytest.mark.parametrize(
    ("damage", "whole"), [(True, True), (False, False)], ids=["damaged", "fragment"]
)
def test_what_cannot_be_trusted_or_read_is_counted(site: Site, damage: bool, whole: bool) -> None:
    with closing(site.mobile_node()) as node:
        put(site, frame_of(site, node, damage=damage, whole=whole))
        assert node.register().code == 0, "and the next one is served"
        assert site.status("hacc1")["traffic"]["lan"]["odd"] == 1
        assert site.status("hacc1")["counters"]["accepted"] == 1


def test_requests_that_were_never_cut_are_served_each(site: Site) -> None:
    """A sender on the same machine lets the kernel cut its datagrams, and nobody does."""
    with closing(site.mobile_node()) as node:
        first, second = node.request(), node.request()
        node.address = IPv4Address("198.19.64.200")
        node.socket.setsockopt(socket.SOL_UDP, 103, len(first))
        node.socket.sendto(first + second, (str(VIRTUAL), PORT))
        codes = {node.answer().code, node.answer().code}
        assert 0 in codes


# ------------------------------------------------------------------ neighbours


def test_a_member_that_moved_to_another_network_card_is_found(site: Site) -> None:
    member = site.routers["ha1"]
    with closing(site.mobile_node()) as node:
        assert node.register().code == 0
        member.ip("link", "set", "dev", "lan", "address", "02:00:00:00:77:01")
        member.run("ping", "-c1", "-W5", "198.18.1.11")
        assert node.register().code == 0
        assert mac(member).hex() == "020000007701"


def test_a_member_that_comes_later_is_asked_for(tmp_path: Path) -> None:
    with ExitStack() as stack:
        site = site_of(tmp_path, "ha1", stack, "hacc1")
        with closing(site.mobile_node()) as node:
            late = site.routers["ha1"]
            config = opened_config("ha1", tmp_path / "ha1")
            config = dataclasses.replace(config, members=config.members[:1])
            agent = Agent(config, tmp_path / "ha1", late.enter_for_good)
            node.send(node.request())  # nobody serves it yet
            stack.enter_context(running({"ha1": agent}))
            assert node.register().code == 0


def test_an_interface_that_comes_back_is_listened_to_again(site: Site) -> None:
    with closing(site.mobile_node()) as node:
        assert node.register().code == 0
        for host in ("hacc1", "ha1"):
            router = site.routers[host]
            router.ip("link", "set", "lan", "down")
            router.ip("link", "set", "lan", "up")
        assert node.register().code == 0


def test_a_reload_goes_on_with_the_same_sockets(site: Site) -> None:
    with closing(site.mobile_node()) as node:
        assert node.register().code == 0
        for agent in site.agents.values():
            assert agent.process is not None
            agent.process.send_signal(signal.SIGHUP)
            agent.wait_for("reloaded")
        assert node.register().code == 0
        assert site.status("hacc1")["bindings"] == 1
