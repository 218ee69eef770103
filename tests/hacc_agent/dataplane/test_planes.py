"""Packets between a correspondent, a cluster and a Foreign Agent, through the kernel."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import numpy as np
import pytest

from hacc_agent.dataplane.assembler import Assembler
from hacc_agent.dataplane.controller import TcxRelay
from hacc_agent.dataplane.kernel import Attach, Program, ProgramKind
from hacc_agent.dataplane.maps import Folder
from hacc_agent.dataplane.member import TcxTunnels
from hacc_agent.dataplane.nft import NftRelay
from hacc_agent.dataplane.plane import Counted, Neighbour, PlaneFailed
from hacc_agent.engine.networks import routed
from hacc_agent.engine.record import RECORD, STRUCT, Kind, Records, Row, Trait
from tests.hacc_agent.dataplane.packets import data, gre, ip, minimal, udp
from tests.segment import Namespace, Segment

pytestmark = pytest.mark.lab

VIRTUAL = IPv4Address("198.19.0.1")
NETWORK = IPv4Network("198.19.64.0/18")
HOME, STRANGER, FOREIGN = "198.19.64.5", "198.19.64.6", "192.0.2.66"
BEHIND, BESIDE = IPv4Network("203.0.113.64/26"), "203.0.113.1"
BOARD = "203.0.113.70"  # a host in the mobile network
CORRESPONDENT, CONTROLLER, MEMBER, AGENT = (f"10.9.0.{n}" for n in (2, 3, 4, 5))
SLOTS = np.zeros(64, np.uint16)
PATIENCE = 5.0  # s until a packet on this machine is taken for lost
CLONE_NEWNS = 0x00020000
NOWHERE = Path("/nonexistent")  # so that nothing outlives a test
QUIET = 0.2  # s in which one that may not come would have come


def number(address: str) -> int:
    return int(IPv4Address(address))


def records(*rows: Row) -> Records:
    return np.frombuffer(b"".join(STRUCT.pack(*row) for row in rows), RECORD)


def binding(home: str = HOME, tunnel: int = 4, **fields: int) -> Row:
    row = Row(Kind.BINDING, home_address=number(home), care_of_address=number(AGENT), tunnel=tunnel)
    return row._replace(**fields)


def in_udp(port: int) -> Row:
    return binding(traits=Trait.UDP_TUNNEL, source_address=number(AGENT), source_port=port)


class Net:
    """All on one LAN; the Foreign Agent reaches the virtual address through the controller."""

    def __init__(self, root: Path) -> None:
        """`root`: where planes are pinned, if a bpffs is there. Raises `PlaneFailed`."""
        self.segment = segment = Segment()
        self.correspondent = segment.router(f"{CORRESPONDENT}/24")
        self.controller = segment.router(f"{CONTROLLER}/24", str(VIRTUAL))
        self.member = segment.router(f"{MEMBER}/24", str(VIRTUAL))
        self.agent = segment.router(f"{AGENT}/24")
        self.correspondent.ip("route", "add", str(NETWORK), "via", MEMBER)
        self.correspondent.ip("route", "add", FOREIGN, "via", MEMBER)
        self.correspondent.ip("route", "add", str(BEHIND), "via", MEMBER)
        self.agent.ip("route", "add", f"{VIRTUAL}/32", "via", CONTROLLER)
        for router in (self.controller, self.member):
            router.setting("net.ipv4.ip_forward", 1)
            for where in ("all", "lan"):
                router.setting(f"net.ipv4.conf.{where}.rp_filter", 0)
        self.bound: dict[int, list[Row]] = {}
        self.filtered: NftRelay | None = None
        self.start(root)
        self.member.ip("route", "add", str(NETWORK), "dev", self.tunnels.device.name)
        self.member.ip("route", "add", FOREIGN, "dev", self.tunnels.device.name)
        self.member.ip("route", "add", str(BEHIND), "dev", self.tunnels.device.name)

    def start(self, root: Path) -> None:
        """Both planes, as two daemons do it."""
        with self.controller.inside():
            self.relay = TcxRelay(
                *(VIRTUAL, (NETWORK,), ("lan",), SLOTS, 1),
                lambda home: 0 if home in self.bound else None,
                mobile_networks=True,
                folder=Folder("relay", "test", root),
            )
        self.relay.reach(0, self.place(self.member))
        with self.member.inside():
            self.tunnels = TcxTunnels(
                *(VIRTUAL, (NETWORK,), ("lan",)),
                lambda home: self.bound.get(home, []),
                mobile_networks=True,
                folder=Folder("member", "test", root),
            )
        held = records(*(row for rows in self.bound.values() for row in rows))
        self.relay.load(held)
        self.tunnels.load(held)

    def place(self, router: Namespace) -> Neighbour:
        """Where the controller finds it."""
        with self.controller.inside():
            return Neighbour(mac(router), mac(self.controller), socket.if_nametoindex("lan"))

    def close(self) -> None:
        self.relay.close()
        self.tunnels.close()
        self.segment.close()

    def bind(self, *rows: Row) -> None:
        self.bound[rows[0].home_address] = list(rows)
        self.follow(records(*rows))

    def unbind(self, home: str) -> None:
        self.bound.pop(number(home), None)
        gone = records(Row(Kind.UNBOUND, home_address=number(home)))
        self.follow(gone)

    def follow(self, decided: Records) -> None:
        for plane in (self.relay, self.tunnels, self.filtered):
            if plane is not None:
                plane.follow(decided)

    def relayed(self, reason: str) -> int:
        return packets(self.relay.counted(), reason)

    def tunnelled(self, reason: str) -> int:
        return packets(self.tunnels.counted(), reason)


def packets(found: tuple[Counted, ...], reason: str) -> int:
    return next(one.packets for one in found if one.reason == reason)


def mac(namespace: Namespace) -> int:
    with namespace.inside():
        text = next(
            word for word in namespace.ip("-o", "link", "show", "lan").split("link/ether ")[1:]
        )
    return int(text.split()[0].replace(":", ""), 16)


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    try:
        made = Net(NOWHERE)
    except PlaneFailed as why:
        pytest.skip(str(why))
    yield made
    made.close()


class Ends:
    """Sockets of the correspondent and of the Foreign Agent, which has the mobile node."""

    def __init__(self, net: Net) -> None:
        with net.correspondent.inside():
            self.plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.plain.bind((CORRESPONDENT, 7000))
        with net.agent.inside():
            self.raw = {
                protocol: socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
                for protocol in (4, 47, 55)
            }
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((AGENT, 0))
        for one in (self.plain, self.udp, *self.raw.values()):
            one.settimeout(PATIENCE)

    def close(self) -> None:
        for one in (self.plain, self.udp, *self.raw.values()):
            one.close()

    @property
    def port(self) -> int:
        return int(self.udp.getsockname()[1])

    def ask(self, home: str = HOME, payload: bytes = b"question") -> None:
        self.plain.sendto(payload, (home, 5000))


@pytest.fixture
def ends(net: Net) -> Iterator[Ends]:
    found = Ends(net)
    yield found
    found.close()
    for home in list(net.bound):
        net.unbind(str(IPv4Address(home)))


def answer(home: str = HOME) -> bytes:
    return ip(home, CORRESPONDENT, 17, udp(5000, 7000, b"answer"))


def is_question(packet: bytes, home: str = HOME) -> bool:
    """A hop older, and otherwise as it was sent."""
    return (
        packet[8] == 63
        and packet[12:16] == IPv4Address(CORRESPONDENT).packed
        and packet[16:20] == IPv4Address(home).packed
        and packet.endswith(b"question")
    )


def test_ip_in_ip_both_ways(net: Net, ends: Ends) -> None:
    net.bind(binding())
    ends.ask()
    packet = ends.raw[4].recv(2000)
    assert packet[12:20] == VIRTUAL.packed + IPv4Address(AGENT).packed
    assert is_question(packet[20:])
    ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
    assert ends.plain.recvfrom(2000) == (b"answer", (HOME, 5000))


def test_gre_both_ways(net: Net, ends: Ends) -> None:
    net.bind(binding(tunnel=47))
    ends.ask()
    packet = ends.raw[47].recv(2000)
    assert packet[20:24] == b"\0\0\x08\0"
    assert is_question(packet[24:])
    ends.raw[47].sendto(gre(answer(), 0x3000, bytes(8)), (str(VIRTUAL), 0))
    assert ends.plain.recv(2000) == b"answer"


def test_minimal_encapsulation_both_ways(net: Net, ends: Ends) -> None:
    net.bind(binding(tunnel=55))
    ends.ask()
    packet = ends.raw[55].recv(2000)
    assert len(packet) == 20 + 12 + 8 + len(b"question")
    assert packet[20:22] == b"\x11\x80"
    assert packet[24:32] == IPv4Address(HOME).packed + IPv4Address(CORRESPONDENT).packed
    ends.raw[55].sendto(minimal(CORRESPONDENT, HOME, answer()[20:]), (str(VIRTUAL), 0))
    assert ends.plain.recvfrom(2000) == (b"answer", (HOME, 5000))


def test_a_fragment_has_no_minimal_encapsulation(net: Net, ends: Ends) -> None:
    net.bind(binding(tunnel=55))
    ends.plain.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: without DF
    ends.ask(payload=bytes(2000))
    for _ in range(2):
        assert ends.raw[4].recv(2000)[9] == 4


def test_udp_both_ways(net: Net, ends: Ends) -> None:
    net.bind(in_udp(ends.port))
    ends.ask()
    packet, source = ends.udp.recvfrom(2000)
    assert source == (str(VIRTUAL), 434)
    assert packet[:4] == b"\x04\x04\0\0"
    assert is_question(packet[4:])
    ends.udp.sendto(data(4, answer()), (str(VIRTUAL), 434))
    assert ends.plain.recv(2000) == b"answer"


def test_an_address_outside_of_the_network(net: Net, ends: Ends) -> None:
    net.bind(binding(FOREIGN))
    ends.ask(FOREIGN)
    assert is_question(ends.raw[4].recv(2000)[20:], FOREIGN)
    ends.raw[4].sendto(answer(FOREIGN), (str(VIRTUAL), 0))
    assert ends.plain.recv(2000) == b"answer"


# ------------------------------------------------------------------ mobile networks


def serves(net: Net, home: str = HOME, *, withdrawn: bool = False) -> None:
    """A mobile router has its network behind it, or not any more."""
    net.follow(np.frombuffer(routed(number(home), [BEHIND], withdrawn=withdrawn), RECORD))


@pytest.mark.parametrize("kind", [4, 47, 55], ids=["ip", "gre", "minimal"])
def test_a_mobile_network_lies_where_its_router_is(net: Net, ends: Ends, kind: int) -> None:
    """RFC 5177: packets for its hosts go through the router's tunnel, theirs come out of it."""
    net.bind(binding(tunnel=kind))
    serves(net)
    try:
        ends.ask(BOARD)
        packet = ends.raw[kind].recv(2000)
        assert packet[16:20] == IPv4Address(AGENT).packed
        inside = {
            4: lambda: (is_question(packet[20:], BOARD), answer(BOARD)),
            47: lambda: (is_question(packet[24:], BOARD), gre(answer(BOARD))),
            55: lambda: (
                packet[24:28] == IPv4Address(BOARD).packed,
                minimal(CORRESPONDENT, BOARD, answer(BOARD)[20:]),
            ),
        }
        is_it, back = inside[kind]()
        assert is_it
        ends.raw[kind].sendto(back, (str(VIRTUAL), 0))
        assert ends.plain.recvfrom(2000) == (b"answer", (BOARD, 5000))
        assert net.tunnels.lead(number(BOARD)) == net.tunnels.lead(number(HOME))
        assert net.relay.lead(number(BOARD)) == net.relay.lead(number(HOME))
    finally:
        serves(net, withdrawn=True)


def test_nobody_else_speaks_for_a_mobile_network(net: Net, ends: Ends) -> None:
    net.bind(binding(care_of_address=number(CORRESPONDENT)))
    serves(net)
    before = net.tunnelled("spoofed")
    try:
        ends.raw[4].sendto(answer(BOARD), (str(VIRTUAL), 0))
        assert quiet(ends.plain)
        assert net.tunnelled("spoofed") == before + 1
    finally:
        serves(net, withdrawn=True)


def test_a_mobile_network_ends_where_its_prefix_ends_and_with_its_binding(
    net: Net, ends: Ends
) -> None:
    net.bind(binding())
    serves(net)
    before = net.relayed("unknown")
    ends.raw[4].sendto(answer(BESIDE), (str(VIRTUAL), 0))
    net.unbind(HOME)
    ends.raw[4].sendto(answer(BOARD), (str(VIRTUAL), 0))
    net.bind(binding())
    serves(net, withdrawn=True)
    ends.raw[4].sendto(answer(BOARD), (str(VIRTUAL), 0))
    assert quiet(ends.plain)
    assert net.relayed("unknown") == before + 3


def test_a_load_knows_mobile_networks_too(net: Net, ends: Ends) -> None:
    serves(net, STRANGER)
    net.bind(binding())
    kept = np.concatenate(
        [records(binding()), np.frombuffer(routed(number(HOME), [BEHIND]), RECORD)]
    )
    net.relay.load(kept)
    net.tunnels.load(kept)
    ends.ask(BOARD)
    assert is_question(ends.raw[4].recv(2000)[20:], BOARD)
    net.relay.load(records(binding()))
    net.tunnels.load(records(binding()))
    ends.ask(BOARD)
    assert quiet(ends.raw[4])
    assert net.tunnels.lead(number(BOARD)) is None


def quiet(one: socket.socket) -> bool:
    one.settimeout(QUIET)
    try:
        one.recv(2000)
    except TimeoutError:
        return True
    return False


def test_a_tunnel_from_another_place_is_not_opened(net: Net, ends: Ends) -> None:
    """Nobody speaks for a mobile node but from its care-of address."""
    net.bind(binding(care_of_address=number(CORRESPONDENT)))
    before = net.tunnelled("spoofed")
    ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
    assert quiet(ends.plain)
    assert net.tunnelled("spoofed") == before + 1


def test_a_tunnel_of_another_kind_is_not_opened(net: Net, ends: Ends) -> None:
    net.bind(binding(tunnel=47))
    before = net.tunnelled("spoofed")
    ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
    assert quiet(ends.plain)
    assert net.tunnelled("spoofed") == before + 1


def test_of_simultaneous_bindings_any_may_send(net: Net, ends: Ends) -> None:
    """From each care-of address, in its own kind of tunnel, and in no other (RFC 5944, 3.8.2)."""
    elsewhere = binding(tunnel=47, care_of_address=number(CORRESPONDENT))
    net.bind(binding(), elsewhere)
    ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
    assert ends.plain.recvfrom(2000) == (b"answer", (HOME, 5000))
    before = net.tunnelled("spoofed")
    ends.raw[47].sendto(gre(answer()), (str(VIRTUAL), 0))
    assert quiet(ends.plain)
    assert net.tunnelled("spoofed") == before + 1
    net.bind(elsewhere)  # the other one has ended
    ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
    assert quiet(ends.plain)


def test_from_whom_nobody_knows_nothing_passes(net: Net, ends: Ends) -> None:
    """Not even the controller: there is no open relay."""
    before = net.relayed("unknown")
    ends.raw[4].sendto(answer(STRANGER), (str(VIRTUAL), 0))
    assert quiet(ends.plain)
    assert net.relayed("unknown") == before + 1


def test_when_a_binding_ends_nothing_passes(net: Net, ends: Ends) -> None:
    net.bind(binding())
    net.unbind(HOME)
    before = net.tunnelled("unbound")
    ends.ask()
    assert quiet(ends.raw[4])
    assert net.tunnelled("unbound") == before + 1
    frames = iter(net.tunnels.device.read, None)  # the kernel's own of IPv6 too
    assert any(is_question(frame[14:]) for frame in frames)


def test_who_sends_too_much_at_once_is_told(net: Net, ends: Ends) -> None:
    """The tunnel's MTU is that of the device, and the kernel says so (RFC 1191)."""
    net.bind(binding())
    ends.plain.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    ends.plain.connect((HOME, 5000))
    ends.plain.send(bytes(1472))
    with pytest.raises(OSError, match="Message too long"):
        ends.plain.recv(2000)
    assert ends.plain.getsockopt(socket.IPPROTO_IP, 14) == 1468  # IP_MTU


def test_what_is_too_long_for_its_way_is_cut(net: Net, ends: Ends) -> None:
    """Without DF: the kernel makes fragments of the tunnel's packet."""
    net.bind(binding())
    net.member.ip("route", "add", f"{AGENT}/32", "dev", "lan", "mtu", "1300")
    ends.plain.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT
    try:
        ends.ask(payload=bytes(1400) + b"question")
        packet = ends.raw[4].recv(2000)  # put together again
        assert is_question(packet[20:])
        assert len(packet) == 20 + 20 + 8 + 1400 + len(b"question")
    finally:
        net.member.ip("route", "del", f"{AGENT}/32", "dev", "lan", "mtu", "1300")


@pytest.mark.parametrize("kind", [4, 47, 55], ids=["ip", "gre", "minimal"])
def test_a_long_flow_of_tcp(net: Net, ends: Ends, kind: int) -> None:
    """The mobile node sits behind a Foreign Agent that tunnels as our members do. The kernel hands
    on packets of 64 KiB that it has not cut yet, and all octets arrive.
    """
    del ends  # which ends the binding
    net.bind(binding(tunnel=kind))
    correspondent, here = number(CORRESPONDENT), net.agent
    back = Row(Kind.BINDING, home_address=correspondent, care_of_address=int(VIRTUAL), tunnel=kind)
    with here.inside():
        foreign = TcxTunnels(
            *(IPv4Address(AGENT), (IPv4Network("10.9.0.0/24"),), ("lan",)),
            lambda home: [back] if home == correspondent else [],
            folder=Folder("member", "agent", NOWHERE),
        )
        foreign.load(records(back))
    here.setting("net.ipv4.ip_forward", 1)
    for where in ("all", "lan"):
        here.setting(f"net.ipv4.conf.{where}.rp_filter", 0)
    here.ip("addr", "add", f"{HOME}/32", "dev", "lo")
    device = foreign.device.name
    here.ip("route", "add", f"{CORRESPONDENT}/32", "dev", device, "src", HOME)
    try:
        with net.correspondent.inside():
            server = socket.create_server((CORRESPONDENT, 7001))
        with here.inside():
            client = socket.create_connection((CORRESPONDENT, 7001), PATIENCE, (HOME, 0))
        peer, _ = server.accept()
        for sender, receiver in ((client, peer), (peer, client)):
            assert passes(sender, receiver, os.urandom(4 << 20))
        for one in (client, peer, server):
            one.close()
    finally:
        foreign.close()
        here.ip("addr", "del", f"{HOME}/32", "dev", "lo")
        here.ip("link", "del", device)


def passes(sender: socket.socket, receiver: socket.socket, octets: bytes) -> bool:
    sender.settimeout(PATIENCE)
    receiver.settimeout(PATIENCE)
    thread = threading.Thread(target=sender.sendall, args=(octets,))
    thread.start()
    got = bytearray()
    while len(got) < len(octets):
        got += receiver.recv(1 << 20)
    thread.join()
    return bytes(got) == octets


def test_the_last_resort_is_a_controller_that_knows_the_member(net: Net, ends: Ends) -> None:
    net.bind(binding())
    net.correspondent.ip("route", "replace", f"{HOME}/32", "via", CONTROLLER)
    try:
        ends.ask()
        packet = ends.raw[4].recv(2000)
        assert packet[28] == 62  # a hop at the controller, one at the member
    finally:
        net.correspondent.ip("route", "del", f"{HOME}/32")


def test_a_load_leaves_nobody_else(net: Net, ends: Ends) -> None:
    net.bind(binding(STRANGER))
    net.bind(binding())
    kept = records(binding())
    net.relay.load(kept)
    net.tunnels.load(kept)
    ends.ask()
    assert is_question(ends.raw[4].recv(2000)[20:])
    ends.ask(STRANGER)
    assert quiet(ends.raw[4])


def test_what_a_transfer_brings_is_what_a_load_would_bring(
    net: Net, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has had none has what the record says, and nobody looks for other bindings of his."""
    del ends  # which ends the bindings
    homes = [str(IPv4Address("198.19.65.0") + n) for n in range(50)]
    known, several, gone, moved = homes[:4]
    for home in (known, moved):
        net.bind(binding(home))
    told = [binding(home) for home in homes if home != moved]
    told += [binding(each, care_of_address=number(MEMBER)) for each in (several, moved)]
    for row in told:
        net.bound.setdefault(row.home_address, []).append(row)
    net.bound[number(known)] = [binding(known)]
    net.bound[number(moved)] = told[-1:]
    del net.bound[number(gone)]
    asked: list[str] = []

    def looked_up(home: int) -> list[Row]:
        asked.append(str(IPv4Address(home)))
        return net.bound.get(home, [])

    monkeypatch.setattr(net.tunnels, "_rows_of", looked_up)
    net.tunnels.follow(records(*told, Row(Kind.UNBOUND, home_address=number(gone))))
    followed = {home: net.tunnels.lead(number(home)) for home in homes}
    assert set(asked) == {several, gone, moved}
    net.tunnels.load(records(*(row for rows in net.bound.values() for row in rows)))
    assert followed == {home: net.tunnels.lead(number(home)) for home in homes}
    assert [home for home in homes if followed[home] is None] == [gone]
    assert followed[moved] != followed[known]
    for home in homes:
        net.unbind(home)


def test_a_member_that_moves_is_followed(net: Net, ends: Ends) -> None:
    """Its frames go to another MAC address: that of nobody, and back."""
    net.bind(binding())
    net.relay.reach(0, net.place(net.member)._replace(mac=0x02_DE_AD_00_00_01))
    ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
    assert quiet(ends.plain)
    net.relay.reach(0, net.place(net.member))
    ends.plain.settimeout(PATIENCE)
    ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
    assert ends.plain.recv(2000) == b"answer"


def test_a_member_that_is_nowhere_gets_nothing(net: Net, ends: Ends) -> None:
    net.bind(binding())
    net.relay.reach(0, None)
    before = net.relayed("no member")
    try:
        ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
        assert quiet(ends.plain)
        assert net.relayed("no member") == before + 1
    finally:
        net.relay.reach(0, net.place(net.member))


def test_an_interface_that_is_missing_is_named_and_taken_when_it_comes(net: Net) -> None:
    slots = np.zeros(64, np.uint16)
    with net.controller.inside():
        relay = TcxRelay(
            *(VIRTUAL, (NETWORK,), ("later",), slots, 1),
            lambda _: None,
            folder=Folder("relay", "later", NOWHERE),
        )
        assert list(relay.missing) == ["later"]
        net.controller.ip("link", "add", "later", "type", "veth", "peer", "name", "later-peer")
        relay.attach(("later",))
        assert not relay.missing
        net.controller.ip("link", "del", "later")
        relay.attach(("later",))
        assert list(relay.missing) == ["later"]
        relay.close()


def test_without_the_right_to_it_there_is_a_word_and_no_plane() -> None:
    """In a child that gives its capabilities up."""
    code = (
        "import numpy as np\n"
        "from ipaddress import IPv4Address, IPv4Network\n"
        "from hacc_agent import privileges\n"
        "from hacc_agent.dataplane.controller import TcxRelay\n"
        "from hacc_agent.dataplane.plane import PlaneFailed\n"
        "privileges.drop((), None)\n"
        "try:\n"
        "    TcxRelay(IPv4Address('198.19.0.1'), (IPv4Network('198.19.64.0/18'),), ('lo',),\n"
        "             np.zeros(64, np.uint16), 1, lambda home: None)\n"
        "except PlaneFailed as why:\n"
        "    print(why)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=os.getcwd()
    )
    assert done.stderr == ""
    assert done.stdout == "tcx: map pool0 of 16,384 entries: Operation not permitted\n"


# ------------------------------------------------------------------ what outlives the daemon


def with_own_mounts(body: Callable[[], None]) -> None:
    """In a thread whose mounts nobody else has: pins go when it does, also when we are killed."""
    raised: list[BaseException] = []

    def inside() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(CLONE_NEWNS) < 0:
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            body()
        except BaseException as one:  # told by who waits for us
            raised.append(one)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def test_packets_pass_while_the_daemon_starts_again(tmp_path: Path) -> None:
    root = tmp_path

    def body() -> None:
        subprocess.run(["mount", "-t", "bpf", "bpf", str(root)], check=True)
        net = Net(root)
        ends = Ends(net)
        net.bind(binding())
        for _ in range(2):
            net.relay.close()
            net.tunnels.close()
            ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
            assert ends.plain.recv(2000) == b"answer"
            ends.ask()
            assert is_question(ends.raw[4].recv(2000)[20:])
            net.start(root)
            assert net.tunnelled("decapsulated") > 0
            ends.ask()
            assert is_question(ends.raw[4].recv(2000)[20:])
        ends.close()
        net.close()

    with_own_mounts(body)


def test_maps_of_another_shape_are_not_taken_for_ours(tmp_path: Path) -> None:
    def body() -> None:
        subprocess.run(["mount", "-t", "bpf", "bpf", str(tmp_path)], check=True)
        for networks in ((NETWORK,), (IPv4Network("198.19.64.0/24"),)):
            slots = np.zeros(64, np.uint16)
            TcxRelay(
                *(VIRTUAL, networks, ("lo",), slots, 1),
                lambda _: None,
                folder=Folder("relay", networks, tmp_path),
            ).close()
            (kept,) = tmp_path.glob("hacc-*")
            assert {one.name for one in kept.iterdir()} >= {"pool0", "slots", "link-tcx_ingress-lo"}

    with_own_mounts(body)


# ------------------------------------------------------------------ in drivers


def test_cards_whose_drivers_can_see_frames_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cables of namespaces can too, as long as somebody listens at their other end."""
    monkeypatch.setattr("hacc_agent.dataplane.controller.has_driver", lambda _: True)
    net = Net(NOWHERE)
    try:
        assert net.relay.kind == "xdp"
        listening = passing(net)
        ends = Ends(net)
        net.bind(binding())
        ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
        assert ends.plain.recvfrom(2000) == (b"answer", (HOME, 5000))
        assert net.relayed("tunnelled") == 1
        ends.close()
        for link in listening:
            os.close(link)
    finally:
        net.close()


def passing(net: Net) -> list[int]:
    """A program that lets everything pass, at the bridge's end of each cable."""
    asm = Assembler()
    asm.leave(2)  # XDP_PASS
    program = Program.load(ProgramKind.XDP, Attach.XDP, asm.assemble(), "pass")
    with net.segment.fabric.inside():
        ports = [number for number, name in socket.if_nameindex() if name.startswith("p")]
        links = [program.attach(number, Attach.XDP) for number in ports]
    program.close()
    return links


def test_an_interface_whose_driver_cannot_is_seen_at_tcx(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hacc_agent.dataplane.controller.has_driver", lambda _: True)
    slots = np.zeros(64, np.uint16)
    with net.controller.inside():
        net.controller.ip("link", "add", "br9", "type", "bridge")
        relay = TcxRelay(
            *(VIRTUAL, (NETWORK,), ("br9",), slots, 1),
            lambda _: None,
            folder=Folder("relay", "bridge", NOWHERE),
        )
        assert (relay.kind, list(relay.missing)) == ("tcx", [])
        relay.close()
        net.controller.ip("link", "del", "br9")


# ------------------------------------------------------------------ nftables


class Filtered:
    """A second controller, by nftables, which the Foreign Agent goes through instead."""

    def __init__(self, net: Net) -> None:
        self.router = net.segment.router("10.9.0.6/24", str(VIRTUAL))
        self.router.setting("net.ipv4.ip_forward", 1)
        with self.router.inside():
            self.relay = NftRelay(
                *(VIRTUAL, (NETWORK,), ("lan", "not-there"), SLOTS, 1),
                lambda home: 0 if home in net.bound else None,
            )
            place = Neighbour(mac(net.member), mac(self.router), socket.if_nametoindex("lan"))
        self.relay.reach(0, place)

    def count(self, reason: str) -> int:
        with self.router.inside():
            return packets(self.relay.counted(), reason)


@pytest.fixture
def filtered(net: Net) -> Iterator[Filtered]:
    made = Filtered(net)
    net.agent.ip("route", "replace", f"{VIRTUAL}/32", "via", "10.9.0.6")
    net.filtered = made.relay
    yield made
    net.filtered = None
    net.agent.ip("route", "replace", f"{VIRTUAL}/32", "via", CONTROLLER)
    made.relay.close()
    made.router.ip("link", "del", "lan")


IN_TUNNELS = {
    "ip": (4, 4, answer()),
    "gre": (47, 47, gre(answer())),
    "gre with a key": (47, 47, gre(answer(), 0x2000, bytes(4))),
    "minimal": (55, 55, minimal(CORRESPONDENT, HOME, answer()[20:])),
}


@pytest.mark.parametrize("case", IN_TUNNELS)
def test_nftables_relay_too(net: Net, ends: Ends, filtered: Filtered, case: str) -> None:
    kind, protocol, packet = IN_TUNNELS[case]
    net.bind(binding(tunnel=kind))
    ends.raw[protocol].sendto(packet, (str(VIRTUAL), 0))
    assert ends.plain.recvfrom(2000) == (b"answer", (HOME, 5000))
    assert filtered.count("tunnelled") == 1


def test_nftables_relay_udp(net: Net, ends: Ends, filtered: Filtered) -> None:
    net.bind(in_udp(ends.port))
    ends.udp.sendto(data(4, answer()), (str(VIRTUAL), 434))
    assert ends.plain.recv(2000) == b"answer"
    assert filtered.count("tunnelled") == 1


def test_nftables_drop_whom_nobody_knows(net: Net, ends: Ends, filtered: Filtered) -> None:
    net.bind(binding())
    net.unbind(HOME)
    for home in (HOME, STRANGER, FOREIGN):
        ends.raw[4].sendto(answer(home), (str(VIRTUAL), 0))
    assert quiet(ends.plain)
    assert filtered.count("unknown") == 3


def test_nftables_follow_a_load_and_a_member(net: Net, ends: Ends, filtered: Filtered) -> None:
    net.bind(binding(STRANGER))
    net.bind(binding(FOREIGN))
    net.bind(binding())
    filtered.relay.load(records(binding()))
    ends.raw[4].sendto(answer(STRANGER), (str(VIRTUAL), 0))
    ends.raw[4].sendto(answer(FOREIGN), (str(VIRTUAL), 0))
    filtered.relay.reach(0, None)
    ends.raw[4].sendto(answer(), (str(VIRTUAL), 0))
    assert quiet(ends.plain)
    assert filtered.count("no member") == 1
    assert filtered.relay.missing == ("not-there",)


def test_nftables_without_nft_say_which_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(PlaneFailed, match="in the package nftables"):
        NftRelay(VIRTUAL, (NETWORK,), (), SLOTS, 1, lambda _: None)
