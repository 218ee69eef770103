"""RFC 3024, 3519 and the encapsulations of RFC 5944, 4.1: which tunnel, if any."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from hacc_agent.config import Readings, ReverseTunnels, Transport, Tunnels, UdpTunnelReserved
from hacc_agent.engine.effects import Endpoint
from hacc_agent.engine.record import Kind, Trait
from hacc_agent.wire import (
    Encapsulation,
    RequestFlags,
    TunnelData,
    TunnelReply,
    TunnelReplyFlags,
    TunnelRequestFlags,
    UdpTunnelReply,
    UdpTunnelRequest,
    UnknownExtension,
    parse,
)
from hacc_agent.wire.advertisement import checksum
from tests.hacc_agent.conformance.rows import row
from tests.hacc_agent.conformance.scene import (
    NODE,
    OWN,
    TRUSTED,
    UNTRUSTED,
    VIRTUAL,
    Agent,
    Mobile,
    Outcome,
    Scene,
)

D, T = int(RequestFlags.DECAPSULATION), int(RequestFlags.REVERSE_TUNNEL)
G, M = int(RequestFlags.GRE), int(RequestFlags.MINIMAL)
ALL = Tunnels(gre=True, minimal=True)
CARE_OF = IPv4Address("10.0.0.5")  # private, behind a NAT
NAT = IPv4Address("203.0.113.99")
ASKED = UdpTunnelRequest(Encapsulation.AS_FLAGS)
FORCED = UdpTunnelRequest(Encapsulation.AS_FLAGS, TunnelRequestFlags.FORCE)
THROUGH_AGENT = UdpTunnelRequest(Encapsulation.AS_FLAGS, TunnelRequestFlags.FOREIGN_AGENT)
RESERVED_3 = UnknownExtension(144, bytes.fromhex("000000040001"))


def co_located(
    scene: Scene,
    *extensions: UdpTunnelRequest | UnknownExtension,
    source: IPv4Address = NAT,
    flags: int = D | T,
    lifetime: int = 1000,
) -> Outcome:
    """A mobile node with a care-of address of its own, behind a NAT if nothing else is said."""
    payload = scene.request(NODE, CARE_OF, lifetime, flags, before=extensions)
    return scene.send(payload, source, port=6000)


@row("3024-4.3.1", "reverse-tunnel-granted", "The T bit: the binding knows of the reverse tunnel.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, flags=T).code == 0
    assert scene.bindings()[0].flags & T


@row(
    "3024-4.3.1",
    "reverse-tunnel-refused-137",
    "Who cannot support it sends 137.",
    tunnels=Tunnels(reverse=ReverseTunnels.REFUSED),
)
def _(scene: Scene) -> None:
    assert scene.register(NODE, flags=T).code == 137
    assert scene.register(NODE).code == 0


@row(
    "3024-4.3.1",
    "reverse-tunnel-mandatory-138",
    "Who insists on it MAY send 138.",
    tunnels=Tunnels(reverse=ReverseTunnels.MANDATORY),
)
def _(scene: Scene) -> None:
    assert scene.register(NODE).code == 138
    assert scene.register(NODE, flags=T).code == 0
    assert scene.deregister(NODE).code == 0


@row("3024-4.3.1", "encapsulation-unavailable-139", "GRE or minimal where there is none: MUST 139.")
def _(scene: Scene) -> None:
    for flag in (G, M, G | M):
        assert scene.register(NODE, flags=flag).code == 139
    assert not scene.bindings()


@row(
    "3024-4.3.1",
    "order-139-before-137",
    "Forward tunnel first, the reverse one as last check.",
    tunnels=Tunnels(reverse=ReverseTunnels.REFUSED),
)
def _(scene: Scene) -> None:
    assert scene.register(NODE, flags=T | G).code == 139


@row(
    "5944-4.1",
    "encapsulations-granted",
    "IP in IP, minimal and GRE, as the flags ask.",
    tunnels=ALL,
)
def _(scene: Scene) -> None:
    wanted = ((0, Encapsulation.IP), (M, Encapsulation.MINIMAL), (G, Encapsulation.GRE))
    for flags, encapsulation in wanted:
        assert scene.register(NODE, flags=flags).code == 0
        (binding,) = scene.bindings()
        assert (binding.tunnel, binding.flags) == (encapsulation, flags)


@row("3519-4.6", "nat-found", "Source and care-of address differ: tunnel in UDP, to the source.")
def _(scene: Scene) -> None:
    outcome = co_located(scene, ASKED)
    assert outcome.code == 0
    reply = outcome.extension(UdpTunnelReply)
    assert reply == UdpTunnelReply(TunnelReply.ACCEPTED, 110)
    (binding,) = scene.bindings()
    assert binding.traits & (Trait.NAT | Trait.UDP_TUNNEL) == Trait.NAT | Trait.UDP_TUNNEL
    assert (binding.source_address, binding.source_port) == (int(NAT), 6000)
    assert binding.keepalive == 110


@row("3519-4.6", "no-nat-declined", "They are the same: the tunnel in UDP is declined.")
def _(scene: Scene) -> None:
    outcome = co_located(scene, ASKED, source=CARE_OF)
    assert outcome.code == 0
    assert outcome.extension(UdpTunnelReply).code == TunnelReply.DECLINED
    assert not scene.bindings()[0].traits & Trait.UDP_TUNNEL


@row("3519-3.1.1", "forced", "The F bit asks for it whatever NAT detection finds.")
def _(scene: Scene) -> None:
    outcome = co_located(scene, FORCED, source=CARE_OF)
    reply = outcome.extension(UdpTunnelReply)
    assert (reply.code, reply.flags) == (TunnelReply.ACCEPTED, TunnelReplyFlags.FORCED)
    assert scene.bindings()[0].traits & Trait.UDP_TUNNEL


@row(
    "3519-4.6.1",
    "forced-refused-129",
    "Who does not allow that: 129.",
    tunnels=Tunnels(forced_udp=False),
)
def _(scene: Scene) -> None:
    assert co_located(scene, FORCED, source=CARE_OF).code == 129
    assert co_located(scene, FORCED).code == 0


@row(
    "3519-4.6.1",
    "nat-not-allowed-129",
    "A NAT where traversal is not allowed: 129.",
    tunnels=Tunnels(udp=False),
)
def _(scene: Scene) -> None:
    assert co_located(scene, ASKED).code == 129
    assert co_located(scene, FORCED, source=CARE_OF).code == 129
    assert co_located(scene, ASKED, source=CARE_OF).code == 0


@row("3519-4.6", "no-extension", "Without the extension nothing is tunnelled in UDP.")
def _(scene: Scene) -> None:
    outcome = co_located(scene)
    assert (outcome.code, outcome.extension(UdpTunnelReply)) == (0, None)
    assert scene.bindings()[0].traits & (Trait.NAT | Trait.UDP_TUNNEL) == Trait.NAT


@row("3519-4.6.1", "of-mobile-node-without-d-134", "From the mobile node, without D bit: 134.")
def _(scene: Scene) -> None:
    assert co_located(scene, ASKED, flags=T).code == 134


@row("3519-4.6.1", "of-foreign-agent-with-d-134", "From the Foreign Agent, with D bit: 134.")
def _(scene: Scene) -> None:
    assert scene.register(NODE, TRUSTED, flags=D, after=(ASKED,)).code == 134


@row("3519-4.5", "of-foreign-agent", "A Foreign Agent behind a NAT: told behind the MHAE.")
def _(scene: Scene) -> None:
    behind = Agent(CARE_OF)
    payload = scene.request(NODE, CARE_OF, flags=T) + ASKED.to_bytes()
    outcome = scene.send(payload, NAT, port=7000)
    assert outcome.code == 0
    assert outcome.reply.extensions[-1] == UdpTunnelReply(TunnelReply.ACCEPTED, 110)
    assert scene.bindings()[0].care_of_address == int(behind.address)


@row(
    "3519-4.1",
    "encapsulation-of-the-field",
    "The Encapsulation field counts before the flags.",
    tunnels=ALL,
)
def _(scene: Scene) -> None:
    assert co_located(scene, UdpTunnelRequest(Encapsulation.GRE), flags=D | T | M).code == 0
    assert scene.bindings()[0].tunnel == Encapsulation.GRE


@row("3519-4.1", "encapsulation-of-the-flags", "A field of zero: as the flags say.", tunnels=ALL)
def _(scene: Scene) -> None:
    assert co_located(scene, ASKED, flags=D | T | M).code == 0
    assert scene.bindings()[0].tunnel == Encapsulation.MINIMAL


@row("3519-4.6.1", "encapsulation-unavailable-142", "One that is not there: 142, not 139.")
def _(scene: Scene) -> None:
    assert co_located(scene, UdpTunnelRequest(Encapsulation.GRE)).code == 142
    assert co_located(scene, UdpTunnelRequest(99)).code == 142
    assert co_located(scene, ASKED, flags=D | T | G).code == 142


@row("3519-3.1.3", "reserved-3-skipped", "A Reserved 3 that is not 0: as if it were not there.")
def _(scene: Scene) -> None:
    outcome = co_located(scene, RESERVED_3)
    assert (outcome.code, outcome.extension(UdpTunnelReply)) == (0, None)


@row(
    "3519-4.6.1",
    "reserved-3-134",
    "The same by the other section of the same RFC: 134.",
    readings=Readings(udp_tunnel_reserved=UdpTunnelReserved.DENY),
)
def _(scene: Scene) -> None:
    assert co_located(scene, RESERVED_3).code == 134


@row("3519-4.6", "retransmission", "A retransmission is told the same of its tunnel.")
def _(scene: Scene) -> None:
    payload = scene.request(NODE, CARE_OF, flags=D | T, before=(ASKED,))
    first = scene.send(payload, NAT, port=6000).extension(UdpTunnelReply)
    again = scene.send(payload, NAT, port=6000)
    assert (again.records, again.extension(UdpTunnelReply)) == ([], first)


@row(
    "3519-4.6",
    "no-detection-behind-udp",
    "Behind a controller's UDP socket nothing is detected.",
    transport=Transport.UDP,
)
def _(scene: Scene) -> None:
    outcome = scene.send(scene.request(NODE, CARE_OF, flags=D | T, before=(ASKED,)), OWN)
    assert outcome.extension(UdpTunnelReply).code == TunnelReply.DECLINED


def ping(source: IPv4Address, destination: IPv4Address, data: bytes = b"keepalive") -> bytes:
    echo = struct.pack("!BBHHH", 8, 0, 0, 77, 1) + data
    echo = echo[:2] + checksum(echo).to_bytes(2, "big") + echo[4:]
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45, 0, 20 + len(echo), 3, 0, 64, 1, 0, source.packed, destination.packed,
    )  # fmt: skip
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + echo


def keepalive(
    scene: Scene, source: IPv4Address = NAT, port: int = 6000, mobile: Mobile = NODE
) -> Outcome:
    payload = TunnelData(Encapsulation.IP, ping(mobile.home, VIRTUAL)).to_bytes()
    return scene.send(payload, source, port=port, link=0)


@row("3519-4.9", "keepalive-answered", "An echo request through the tunnel is answered through it.")
def _(scene: Scene) -> None:
    co_located(scene, ASKED)
    (send,) = keepalive(scene).sent
    assert send.destination == Endpoint(int(NAT), 6000, 0)
    assert send.source == int(VIRTUAL)
    message = parse(send.payload)
    assert isinstance(message, TunnelData)
    packet = message.payload
    assert packet[12:20] == VIRTUAL.packed + NODE.home.packed
    assert packet[20] == 0
    assert packet[28:] == b"keepalive"
    assert checksum(packet[:20]) == checksum(packet[20:]) == 0


@row("3519-4.9", "keepalive-of-nobody", "One from elsewhere, or without a tunnel, is not answered.")
def _(scene: Scene) -> None:
    assert keepalive(scene).silent
    co_located(scene, ASKED)
    assert keepalive(scene, source=UNTRUSTED.address).silent
    assert keepalive(scene, port=6001).silent
    assert keepalive(scene, mobile=Mobile(IPv4Address("198.19.96.99"), NODE.security)).silent
    scene.wait(1002)
    assert keepalive(scene).silent


@row("3519-4.8", "keepalive-damaged", "Nor is one that is damaged, a fragment, or something else.")
def _(scene: Scene) -> None:
    co_located(scene, ASKED)
    packet = ping(NODE.home, VIRTUAL)
    spoiled = [
        packet[:-1] + b"?",
        packet[:10] + b"\xff\xff" + packet[12:],
        packet[:20],
        b"",
        b"\x60" + packet[1:],
    ]
    for each in spoiled:
        assert scene.send(TunnelData(4, each).to_bytes(), NAT, port=6000).silent
    assert scene.send(TunnelData(47, packet).to_bytes(), NAT, port=6000).silent


@row(
    "3519-4.6",
    "port-of-the-first-keepalive",
    "With R bit the port of the tunnel is that of the first keepalive, from the same address.",
)
def _(scene: Scene) -> None:
    outcome = co_located(scene, THROUGH_AGENT)
    assert outcome.extension(UdpTunnelReply).code == TunnelReply.ACCEPTED
    assert scene.bindings()[0].source_port == 0
    assert keepalive(scene, source=UNTRUSTED.address, port=9000).silent
    first = keepalive(scene, port=9000)
    assert first.kinds == [Kind.BINDING]
    assert scene.bindings()[0].source_port == 9000
    assert not keepalive(scene, port=9000).records
    assert keepalive(scene, port=9001).silent
