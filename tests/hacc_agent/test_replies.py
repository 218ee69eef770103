"""A reply that is written over its request leaves as one that was made as octets does."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hacc_agent.engine.batch import Replies
from hacc_agent.engine.effects import Endpoint
from hacc_agent.frames import Frames
from hacc_agent.transport import PlainUdp, Ring, Transport
from tests.loopback import PATIENCE_S, agent_config, opened_config
from tests.segment import Namespace, Segment

REQUESTS = [b"a request", b"another one, which is longer than that", b"x" * 101]
MEMBER, VIRTUAL = "198.18.1.21", "198.19.0.1"
ETHERNET, ADDRESSES = 14, 12  # octets of a header, and of the MAC addresses in it


def answer(request: bytes) -> bytes:
    return b"re: " + request[2:]


def received(transport: Transport, count: int) -> Ring:
    """The ring, when so many datagrams are in it. They are there already."""
    ring = transport.rings[0]
    assert ring.receive()
    assert ring.batch.count == count
    return ring


def reply(transport: Transport, ring: Ring, to: Endpoint, source: int) -> None:
    """By rows, over what stands there."""
    batch = ring.batch
    for row in range(batch.count):
        said = answer(batch.octets[row, : batch.length[row]].tobytes())
        batch.octets[row, : len(said)] = np.frombuffer(said, np.uint8)
        batch.length[row] = len(said)
    rows = np.arange(batch.count)
    columns = (np.full(len(rows), each) for each in (to.address, to.port, source))
    transport.reply_rows(ring, Replies(rows, *columns))


def test_over_plain_udp(tmp_path: Path) -> None:
    config = agent_config("ha1", tmp_path, "127.44.7")
    with closing(PlainUdp(config)) as transport, socket.socket(type=socket.SOCK_DGRAM) as peer:
        own = int(config.lans[0].address.ip)
        peer.bind(("127.44.7.200", 0))
        peer.settimeout(PATIENCE_S)
        peer.connect((str(config.lans[0].address.ip), config.port))
        for request in REQUESTS:
            peer.send(request)
        ring = received(transport, len(REQUESTS))
        to = Endpoint(int(ring.batch.address[0]), peer.getsockname()[1])
        reply(transport, ring, to, own)
        assert [peer.recv(200) for _ in REQUESTS] == [answer(each) for each in REQUESTS]


@pytest.fixture
def lan() -> Iterator[tuple[Namespace, Namespace]]:
    """A member, and a controller that passes on to it what is for the virtual address."""
    with closing(Segment()) as segment:
        member = segment.router(f"{MEMBER}/24", VIRTUAL)
        controller = segment.router("198.18.1.11/24")
        controller.ip("route", "add", VIRTUAL, "via", MEMBER)
        controller.ip("addr", "add", "198.18.1.77/32", "dev", "lo")
        yield member, controller


@pytest.mark.lab
def test_as_frames(lan: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    """The peer's kernel takes them, and they are octet by octet the frames that `send` makes."""
    member, controller = lan
    config = opened_config("ha1", tmp_path)
    with controller.inside():
        peer = socket.socket(type=socket.SOCK_DGRAM)
        heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        heard.bind(("lan", 0x0800))
    with member.inside():
        transport = Frames(config)
    with closing(transport), closing(peer), closing(heard):
        for each in (peer, heard):
            each.settimeout(PATIENCE_S)
        peer.bind(("198.18.1.11", config.port))
        own = int(config.lans[0].address.ip)

        def exchange(answered: Callable[[Ring, Endpoint], None]) -> tuple[list[bytes], list[bytes]]:
            for request in REQUESTS:
                peer.sendto(request, (VIRTUAL, config.port))
            ring = received(transport, len(REQUESTS))
            answered(ring, Endpoint(*(int(c[0]) for c in (ring.batch.address, ring.batch.port))))
            return [peer.recv(200) for _ in REQUESTS], [heard.recv(400) for _ in REQUESTS]

        def by_rows(ring: Ring, to: Endpoint) -> None:
            reply(transport, ring, to, own)

        def one_by_one(ring: Ring, to: Endpoint) -> None:
            to = to._replace(link=int(ring.batch.link[0]))
            for request in REQUESTS:
                transport.send(answer(request), to, own)
            transport.flush()

        said, frames = exchange(by_rows)
        assert said == [answer(each) for each in REQUESTS]
        assert (said, frames) == exchange(one_by_one)
        assert all(frame[ETHERNET:][ADDRESSES:16] == bytes((198, 18, 1, 21)) for frame in frames)
