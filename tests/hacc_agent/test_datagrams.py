"""UDP in batches, on loopback with real sockets: what goes in at one end comes out at the other."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hacc_agent.datagrams import LONGEST, RING, SEGMENTS, WIDTH, Alone, Datagrams
from hacc_agent.engine.effects import Endpoint

HERE = 0x7F00_0001


@pytest.fixture
def ring() -> Iterator[Datagrams]:
    opened = Datagrams(HERE, 0)
    yield opened
    opened.close()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(5)
        yield opened


def port_of(opened: socket.socket | Datagrams) -> int:
    found = opened.socket if isinstance(opened, Datagrams) else opened
    port: int = found.getsockname()[1]
    return port


def rows(ring: Datagrams) -> list[tuple[bytes, int, int]]:
    batch = ring.batch
    return [
        (batch.octets[row, : batch.length[row]].tobytes(), batch.address[row], batch.port[row])
        for row in range(batch.count)
    ]


def test_a_row_holds_the_payload_and_who_sent_it(ring: Datagrams, peer: socket.socket) -> None:
    assert not ring.receive()
    sent = [b"", b"x", b"y" * WIDTH]
    for payload in sent:
        peer.sendto(payload, ("127.0.0.1", port_of(ring)))
    assert ring.receive()
    assert rows(ring) == [(payload, HERE, port_of(peer)) for payload in sent]
    assert set(ring.batch.link[:3]) == {0}
    assert set(ring.destination[:3]) == {HERE}


def test_rows_are_aligned_for_columns_of_numbers(ring: Datagrams) -> None:
    octets = ring.batch.octets
    assert octets.strides[0] % 8 == 0
    assert octets.ctypes.data % 8 == 0


def test_what_does_not_fit_in_a_row_is_given_alone(ring: Datagrams, peer: socket.socket) -> None:
    """And what no message is as long as is counted, not cut: a cut message proves nothing."""
    sent = [b"a", b"b" * (WIDTH + 1), b"c", b"d" * LONGEST, b"e" * (LONGEST + 1), b"f"]
    for payload in sent:
        peer.sendto(payload, ("127.0.0.1", port_of(ring)))
    assert ring.receive()
    assert [payload for payload, *_ in rows(ring)] == [b"a", b"c", b"f"]
    origin = Endpoint(HERE, port_of(peer))
    assert ring.alone == [Alone(sent[1], origin, HERE), Alone(sent[3], origin, HERE)]
    assert (ring.traffic.received, ring.traffic.oversized) == (6, 1)
    peer.sendto(b"g", ("127.0.0.1", port_of(ring)))
    assert ring.receive()
    assert ring.alone == []


def test_a_ring_takes_no_more_than_it_has_rows_for(ring: Datagrams, peer: socket.socket) -> None:
    for number in range(RING + 3):
        peer.sendto(number.to_bytes(2, "big"), ("127.0.0.1", port_of(ring)))
    counts = []
    while ring.receive():
        counts.append(ring.batch.count)
    assert counts == [RING, 3]
    assert ring.dropped() == 0


def received(peer: socket.socket, count: int) -> list[bytes]:
    return [peer.recvfrom(1 << 16)[0] for _ in range(count)]


@pytest.mark.parametrize("segments", [True, False], ids=["cut-by-the-kernel", "one-by-one"])
@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([1, 40, 41, 500, 1400, 3000])),
        min_size=1,
        max_size=150,
    )
)
def test_every_datagram_arrives_whole_and_in_the_order_of_its_length(
    segments: bool, wanted: list[tuple[int, int]]
) -> None:
    """Sorting for the kernel's sake loses none, joins none, and keeps the order of equal ones."""
    sender = Datagrams(HERE, 0)
    peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    try:
        sender.sender.segments &= segments
        for peer in peers:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
        datagrams = [
            (number.to_bytes(2, "big").rjust(length, b"\0")[-length:], peer)
            for number, (peer, length) in enumerate(wanted)
        ]
        sender.sender.send_all(
            [(payload, Endpoint(HERE, port_of(peers[peer]))) for payload, peer in datagrams]
        )
        for number, peer in enumerate(peers):
            expected = [payload for payload, to in datagrams if to == number]
            got = received(peer, len(expected))
            assert Counter(got) == Counter(expected)
            for length in {len(payload) for payload in expected}:
                assert [p for p in got if len(p) == length] == [
                    p for p in expected if len(p) == length
                ]
        assert sender.traffic.sent == len(wanted)
        assert sender.traffic.unsent == 0
    finally:
        sender.close()
        for peer in peers:
            peer.close()


def test_a_row_goes_on_from_where_it_was_received(ring: Datagrams, peer: socket.socket) -> None:
    for number in range(SEGMENTS + 2):
        peer.sendto(bytes([number]) * 60, ("127.0.0.1", port_of(ring)))
    assert ring.receive()
    chosen = np.arange(1, SEGMENTS + 2)
    ring.sender.send(
        ring.bases[chosen],
        ring.batch.length[chosen],
        np.full(len(chosen), HERE),
        np.full(len(chosen), port_of(peer)),
    )
    assert received(peer, len(chosen)) == [bytes([row]) * 60 for row in chosen.tolist()]


def test_a_destination_that_cannot_be_stops_no_other(ring: Datagrams, peer: socket.socket) -> None:
    """Port 0 comes from whoever spoofs it, several times so that they would be cut from one."""
    good = Endpoint(HERE, port_of(peer))
    bad = Endpoint(HERE, 0)
    ring.sender.send_all([(b"1", bad), (b"2", good), (b"3", bad), (b"4", good)])
    assert received(peer, 2) == [b"2", b"4"]
    traffic = ring.traffic
    assert (traffic.sent, traffic.unsent, traffic.last_error) == (2, 2, errno.EINVAL)
    assert ring.sender.segments, "the kernel can still cut for everybody else"


def test_nobody_listening_there_does_not_disturb_who_is_heard_here(
    ring: Datagrams, peer: socket.socket
) -> None:
    """The kernel reports the "port unreachable" of an earlier datagram with a later call."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = port_of(gone)
    ring.sender.send_all([(b"anybody?", Endpoint(HERE, port))])
    peer.sendto(b"here", ("127.0.0.1", port_of(ring)))
    assert ring.receive()
    assert [payload for payload, *_ in rows(ring)] == [b"here"]


def test_a_port_that_is_taken_is_refused(ring: Datagrams) -> None:
    with pytest.raises(OSError, match="in use") as refused:
        Datagrams(HERE, port_of(ring))
    assert refused.value.errno == errno.EADDRINUSE
