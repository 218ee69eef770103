"""Logins without a terminal: who gets the password, and what is said when nobody may have it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from tasks.devices.errors import LoginRefused, Unreachable
from tasks.devices.fleet import Failure, Fleet
from tasks.devices.session import Target
from tasks.errors import HaccError
from tasks.hostkeys import HostKeyRefused, HostKeys
from tasks.rendered import Platform
from tasks.runner import Event, Stage

PASSWORD = "correct-horse"


class Server(paramiko.ServerInterface):
    """An SSH server on the loopback that remembers who came, and what it was told."""

    def __init__(self) -> None:
        self.key: paramiko.PKey = paramiko.RSAKey.generate(2048)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.connections = 0
        self.passwords: list[str] = []
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return  # closed
            self.connections += 1
            transport = paramiko.Transport(stream)
            transport.add_server_key(self.key)
            transport.start_server(event=threading.Event(), server=self)
            self._transports.append(transport)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for transport in self._transports:
            transport.close()

    def get_allowed_auths(self, _username: str) -> str:
        return "password"

    def check_auth_password(self, _username: str, password: str) -> int:
        self.passwords.append(password)
        return AUTH_SUCCESSFUL if password == PASSWORD else AUTH_FAILED

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        def answer() -> None:
            channel.sendall(b"told: " + command[:16])
            channel.send_exit_status(0)
            channel.close()

        threading.Timer(0.01, answer).start()  # after the reply that this method gives
        return True


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server()) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / ".hacc" / "known_hosts"


def visit(
    server: Server, store: Path, *, password: str = PASSWORD, strict: bool = False
) -> tuple[str | HaccError, list[Event]]:
    """Log in and run two commands: what the last printed, or why not; and what was said."""
    events: list[Event] = []
    target = Target("r1", Platform.LINUX, "127.0.0.1", "root", password, port=server.port)
    with Fleet([target], HostKeys(store, strict=strict), listeners=[events.append]) as fleet:

        def step(router: object, _host: str) -> str:
            router.run("first")  # type: ignore[attr-defined]  # the fleet's Router
            text: str = router.run("uptime")  # type: ignore[attr-defined]
            return text

        outcome = fleet.run(step, ["r1"])["r1"]
    return (outcome.error if isinstance(outcome, Failure) else outcome), events


def test_a_first_contact_is_one_connection_and_keeps_the_key(server: Server, store: Path) -> None:
    told, events = visit(server, store)
    assert told == "told: exec /bin/sh -c "[: len("told: ") + 16]
    assert server.connections == 1
    [trust] = [event.text for event in events if event.stage is Stage.TRUST]
    assert server.key.fingerprint in trust
    assert server.key.get_base64() in store.read_text()
    _, events = visit(server, store)
    assert Stage.TRUST not in {event.stage for event in events}
    assert (server.connections, server.passwords) == (2, [PASSWORD, PASSWORD])


def test_a_stranger_gets_no_password_when_keys_must_be_known(server: Server, store: Path) -> None:
    told, _ = visit(server, store, strict=True)
    assert isinstance(told, HostKeyRefused)
    assert f"no host key is known for [127.0.0.1]:{server.port}" in str(told)
    assert server.passwords == []
    assert not store.exists()


@pytest.mark.parametrize("kind", ["same", "other"])
def test_who_shows_another_key_gets_no_password(server: Server, store: Path, kind: str) -> None:
    visit(server, store)
    before = store.read_text()
    if kind == "same":
        server.key = paramiko.RSAKey.generate(2048)
    else:
        server.key = paramiko.ECDSAKey.generate()
    server.passwords.clear()
    told, _ = visit(server, store)
    assert isinstance(told, HostKeyRefused)
    assert "the host key of" in str(told)
    assert "has changed" in str(told)
    assert server.passwords == []
    assert store.read_text() == before


def test_a_revoked_key_gets_no_password(server: Server, store: Path) -> None:
    store.parent.mkdir()
    store.write_text(f"@revoked * {server.key.get_name()} {server.key.get_base64()}\n")
    told, _ = visit(server, store)
    assert isinstance(told, HostKeyRefused)
    assert "revoked" in str(told)
    assert server.passwords == []


def test_a_wrong_password_is_tried_once(server: Server, store: Path) -> None:
    told, _ = visit(server, store, password="wrong")
    assert isinstance(told, LoginRefused)
    assert f"127.0.0.1:{server.port} refused the password of 'root'" in str(told)
    assert server.passwords == ["wrong"]


def test_a_server_that_is_down_is_unreachable(
    server: Server, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.devices.session.RETRY_AFTER_S", ())
    with socket.create_server(("127.0.0.1", 0)) as gone:
        server.port = gone.getsockname()[1]
    told, _ = visit(server, store)
    assert isinstance(told, Unreachable)
    assert "r1: cannot open an SSH session" in str(told)
    assert "Connection refused" in str(told)
