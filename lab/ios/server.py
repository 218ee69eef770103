"""Many routers in one process: an SSH server for each, on its own address or its own port.

The shell around the pure core: it owns the sockets, the clock and the state directory, and does
nothing else. Each router's saved configuration and flash are written to its own file as soon as
they change, before the client hears of it, so a crash loses no more than a power cut would.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from .device import Device
from .files import StoredFile
from .scp import Sink, Source, parse_command
from .session import Session
from .terminal import Emission, Terminal


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a router listens. Port 0 takes a free one."""

    address: str = "127.0.0.1"
    port: int = 0


@dataclass(slots=True)
class Host:
    """A router and its listener."""

    device: Device
    endpoint: Endpoint
    key_file: Path | None = None  # its private host key; else the state directory keeps one
    key: asyncssh.SSHKey | None = None
    acceptor: asyncssh.SSHAcceptor | None = None
    port: int = 0
    channels: set[_Line] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None
    written: int = -1  # the generation of stored files that the state directory has
    other_key: bool = False


class Server:
    """Runs routers until it is closed.

    async with Server([Host(device, Endpoint())]) as server:
        server.port("r1")
    """

    def __init__(
        self,
        hosts: list[Host],
        *,
        state: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.hosts: dict[str, Host] = {host.device.name: host for host in hosts}
        self.clock = clock
        self._state = state
        self._other: asyncssh.SSHKey | None = None

    def port(self, name: str) -> int:
        """The TCP port of a router."""
        return self.hosts[name].port

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Load what was saved, and listen."""
        for host in self.hosts.values():
            host.key = self._host_key(host)
            self._restore(host)
            await self._listen(host)

    async def _listen(self, host: Host) -> None:
        host.acceptor = await asyncssh.listen(
            host.endpoint.address,
            host.port or host.endpoint.port,
            server_factory=lambda: Login(self, lambda _: host),
            server_host_keys=[self._key_of(host)],
            encoding=None,
            server_version="HACC_IOS_simulator",
            gss_host=None,
            x11_forwarding=False,
            agent_forwarding=False,
            login_timeout=60,
        )
        host.port = host.acceptor.get_port()
        host.other_key = host.device.faults.other_host_key

    def _key_of(self, host: Host) -> asyncssh.SSHKey:
        if host.device.faults.other_host_key:
            if self._other is None:
                self._other = asyncssh.generate_private_key("ssh-ed25519")
            return self._other
        assert host.key is not None
        return host.key

    async def apply_faults(self, name: str) -> None:
        """Bring into force the faults that the listener knows: its key, and whether it is there."""
        host = self.hosts[name]
        wanted = host.device.powered and not host.device.faults.refuse_connection
        if host.acceptor is not None and (
            not wanted or host.other_key != host.device.faults.other_host_key
        ):
            host.acceptor.close()
            await host.acceptor.wait_closed()
            host.acceptor = None
        if wanted and host.acceptor is None:
            await self._listen(host)
        if not host.device.powered:
            for line in list(host.channels):
                line.abort()

    async def close(self) -> None:
        """Stop listening and drop every line."""
        for host in self.hosts.values():
            if host.timer is not None:
                host.timer.cancel()
            for line in list(host.channels):
                line.abort()
            if host.acceptor is not None:
                host.acceptor.close()
                await host.acceptor.wait_closed()
                host.acceptor = None

    # --- after every line ---

    def settle(self, host: Host) -> None:
        """Store what is to survive, and wake up when the router's next timer is due."""
        device = host.device
        if self._state is not None and device.storage != host.written:
            self._store(host)
        deadline = device.next_deadline()
        if host.timer is not None:
            host.timer.cancel()
            host.timer = None
        if deadline is not None:
            loop = asyncio.get_running_loop()
            delay = max(0.0, deadline - self.clock())
            host.timer = loop.call_later(delay, self._wake, host)

    def _wake(self, host: Host) -> None:
        host.timer = None
        host.device.handle_timer(self.clock())
        self.settle(host)

    # --- the state directory ---

    def _host_key(self, host: Host) -> asyncssh.SSHKey:
        """The router's own key: what was kept, or a new one, kept if there is a place for it."""
        path = host.key_file
        if path is None and self._state is not None:
            path = self._state / f"{host.device.name}.key"
        if path is not None and path.exists():
            try:
                return asyncssh.read_private_key(path)
            except asyncssh.KeyImportError as error:
                raise OSError(f"{path}: {error}") from None
        key = asyncssh.generate_private_key("ssh-ed25519")
        if path is not None:
            _replace_file(path, key.export_private_key())
        return key

    def _store(self, host: Host) -> None:
        assert self._state is not None
        device = host.device
        state = {
            "startup": device.startup,
            "private": device.private,
            "flash": {
                name: [base64.b64encode(file.data).decode(), file.written]
                for name, file in device.flash.files.items()
            },
        }
        _replace_file(self._state / f"{device.name}.json", json.dumps(state).encode())
        host.written = device.storage

    def _restore(self, host: Host) -> None:
        device = host.device
        path = self._state / f"{device.name}.json" if self._state is not None else None
        if path is None or not path.exists():
            host.written = device.storage
            return
        state = json.loads(path.read_bytes())
        for name, (data, written) in state["flash"].items():
            device.flash.files[name] = StoredFile(base64.b64decode(data), written)
        device.startup, device.private = state["startup"], state["private"]
        if device.startup is not None:
            device.power_on(self.clock())
        host.written = device.storage


def _replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    fresh.replace(path)


class Login(asyncssh.SSHServer):
    """One connection to one router: who is it, and what does he want."""

    def __init__(
        self, server: Server, called: Callable[[asyncssh.SSHServerConnection], Host]
    ) -> None:
        self._server = server
        self._called = called
        self._user = ""
        self._privilege = 1

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._host = self._called(conn)

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        delay = self._host.device.faults.login_delay
        if delay:
            await asyncio.sleep(delay)
        level = self._host.device.login(username, password)
        if level is not None:
            self._privilege = level
        return level is not None

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        return _Line(self._server, self._host, self._user, self._privilege, self._connection)


class _Line(asyncssh.SSHServerSession[bytes]):
    """One channel: a terminal line, or a file transfer."""

    def __init__(
        self,
        server: Server,
        host: Host,
        user: str,
        privilege: int,
        connection: asyncssh.SSHServerConnection | None,
    ) -> None:
        self._server = server
        self._host = host
        self._user = user
        self._privilege = privilege
        self._connection = connection
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._terminal: Terminal | None = None
        self._transfer: Sink | Source | None = None
        self._command = ""
        self._waiting: asyncio.Task[None] | None = None
        self._queue: list[Emission] = []

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        self._host.channels.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._host.channels.discard(self)
        if self._terminal is not None:
            self._terminal.session.close()
        if self._waiting is not None:
            self._waiting.cancel()

    def abort(self) -> None:
        """Drop the connection as a power cut does."""
        if self._connection is not None:
            self._connection.abort()

    def pty_requested(self, *_: object) -> bool:
        return True

    def shell_requested(self) -> bool:
        return self._host.device.powered

    def exec_requested(self, command: str) -> bool:
        device = self._host.device
        asked = parse_command(command)
        if asked is None:
            self._command = command
            return device.powered
        self._transfer = (Sink if asked.sink else Source)(device, asked.path)
        return True

    def session_started(self) -> None:
        if self._transfer is not None:
            self._write(self._transfer.start())
            return
        session = Session(
            self._host.device,
            user=self._user,
            privilege=self._privilege,
            now=self._server.clock(),
        )
        if self._command:  # `ssh router show version`
            session.length = 0
            self._write(session.feed(self._command, session.opened).text.encode())
            session.close()
            self._server.settle(self._host)
            if self._channel is not None:
                self._channel.exit(0)
            return
        self._terminal = Terminal(session)
        self._emit(self._terminal.start())

    def data_received(self, data: bytes, _datatype: int | None) -> None:
        now = self._server.clock()
        if self._transfer is not None:
            self._write(self._transfer.receive(data, now))
            self._server.settle(self._host)
        elif self._terminal is not None:
            emissions = self._terminal.receive(data, now)
            self._server.settle(self._host)
            self._emit(emissions)

    def eof_received(self) -> bool:
        if self._channel is not None:
            if self._transfer is not None:
                self._channel.exit(0)
            else:
                self._channel.close()
        return False

    def break_received(self, _msec: int) -> bool:
        return True

    def _write(self, data: bytes) -> None:
        if data and self._channel is not None:
            self._channel.write(data)

    def _emit(self, emissions: list[Emission]) -> None:
        """Send at once what has no delay; the rest waits its turn."""
        if self._waiting is None and not any(emission.delay for emission in emissions):
            for emission in emissions:
                self._send(emission)
            return
        self._queue += emissions
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        while self._queue:
            emission = self._queue.pop(0)
            if emission.delay:
                await asyncio.sleep(emission.delay)
            self._send(emission)
        self._waiting = None

    def _send(self, emission: Emission) -> None:
        self._write(emission.data)
        if emission.closed:
            if emission.silent:
                self.abort()
            elif self._channel is not None:
                self._channel.exit(0)
