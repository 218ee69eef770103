"""What is asked for below a login, and who is still reached when he has nothing of it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from tasks.devices.transport import FIRST, transport

LONG_S = 60  # enough for any machine
OLD = ("aes128-ctr", "aes128-cbc", "3des-cbc")


class Anybody(paramiko.ServerInterface):
    def check_auth_none(self, _username: str) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return OPEN_SUCCEEDED


@contextmanager
def joined(ciphers: Sequence[str]) -> Iterator[tuple[paramiko.Transport, paramiko.Transport]]:
    """Ours, logged in to a server that knows these ciphers in this order."""
    near, far = socket.socketpair()
    with closing(paramiko.Transport(far)) as server, closing(transport(near)) as ours:
        server.add_server_key(paramiko.ECDSAKey.generate())
        server.get_security_options().ciphers = tuple(ciphers)
        for one in (server, ours):
            one.banner_timeout = one.auth_timeout = one.handshake_timeout = LONG_S
        server.start_server(event=threading.Event(), server=Anybody())
        ours.start_client(timeout=LONG_S)
        ours.auth_none("anybody")
        yield ours, server


@pytest.mark.parametrize(
    ("theirs", "chosen"),
    [
        ((*OLD, *FIRST), FIRST[0]),
        ((*OLD, FIRST[1]), FIRST[1]),
        (OLD, "aes128-ctr"),
        (("3des-cbc",), "3des-cbc"),
    ],
)
def test_what_costs_least_is_asked_for_first(theirs: tuple[str, ...], chosen: str) -> None:
    with joined(theirs) as (ours, server):
        assert (ours.local_cipher, server.local_cipher) == (chosen, chosen)


def test_a_text_of_many_packets_arrives() -> None:
    text = os.urandom(300_000)
    with joined(FIRST) as (ours, server):
        near = ours.open_session(timeout=LONG_S)
        far = server.accept(LONG_S)
        assert far is not None
        sender = threading.Thread(target=near.sendall, args=(text,))
        sender.start()
        arrived = b""
        far.settimeout(LONG_S)
        while len(arrived) < len(text):
            arrived += far.recv(65536)
        sender.join()
        assert arrived == text


def test_nothing_is_added_and_nothing_is_lost() -> None:
    near, far = socket.socketpair()
    with closing(far), closing(near), closing(paramiko.Transport(far)) as plain:
        ours = transport(near).get_security_options()
        theirs = plain.get_security_options()
        assert sorted(ours.ciphers) == sorted(theirs.ciphers)
        assert (ours.kex, ours.key_types, ours.digests) == (
            theirs.kex,
            theirs.key_types,
            theirs.digests,
        )


def test_who_begins_a_handshake_and_says_no_more_is_left() -> None:
    near, far = socket.socketpair()
    with closing(far), closing(transport(near)) as ours:
        ours.handshake_timeout = 0.05
        far.sendall(b"SSH-2.0-silent\r\n")
        with pytest.raises(EOFError):
            ours.start_client(timeout=LONG_S)


def test_a_session_that_has_begun_outlives_the_time_of_its_handshake() -> None:
    with joined(FIRST) as (ours, _):
        ours.packetizer.start_handshake(0.0)
        assert ours.packetizer.handshake_timed_out()
        ours.packetizer.complete_handshake()
        assert not ours.packetizer.handshake_timed_out()
