"""The local socket that `hacc-agent status` and its sisters ask: a line of JSON in, lines out.

An answer is made piece by piece, as fast as it is read: the packet loop serves it between batches
and never waits for it, and a table of millions is told in blocks. Who may ask is who may open the
socket: the daemon's user and group.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # who asks needs none
    from .loop import Loop

Answer = Iterator[Mapping[str, Any] | None]
"""Lines, and None where whoever makes them lets others have their turn."""

Command = Callable[[Mapping[str, Any]], Answer]

NAME: Final = "agent.sock"
MODE: Final = 0o660
REQUEST: Final = 4096  # octets; more is no request of ours
PIECE: Final = 1 << 16  # octets that are made before the next ones have to be asked for
CLIENTS: Final = 16
TIMEOUT_S: Final = 10.0  # how long a client waits: a loop that is busy answers within 0.1 s


class Refused(Exception):
    """A request that cannot be done, and why."""


class Unanswered(Exception):
    """The daemon does not answer."""


class _Client:
    """Not a dataclass: who asks loads this module too, and dataclasses cost half of what it takes
    `hacc-agent status` to start."""

    __slots__ = ("answer", "connection", "request", "waiting")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.request = b""
        self.answer: Answer | None = None
        self.waiting = bytearray()


class ControlServer:
    """Answers commands in a loop of somebody else's."""

    def __init__(
        self,
        folder: Path,
        commands: Mapping[str, Command],
        loop: Loop,
        fault: Callable[[str], None],
    ) -> None:
        """`fault` is told of mistakes of ours. Raises OSError; EADDRINUSE when another daemon
        answers there.
        """
        self._commands = commands
        self._fault = fault
        self._loop = loop
        self._clients: dict[int, _Client] = {}
        self._path = folder / NAME
        self._listener = _listen(self._path)
        loop.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        for client in list(self._clients.values()):
            self._hang_up(client)
        self._loop.forget(self._listener.fileno())
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._listener.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it has gone already
        if len(self._clients) >= CLIENTS:
            connection.close()
            return
        connection.setblocking(False)
        client = _Client(connection)
        self._clients[connection.fileno()] = client
        self._loop.watch(connection.fileno(), lambda: self._serve(client))

    def _serve(self, client: _Client) -> None:
        try:
            if client.answer is None:
                self._read(client)
            else:
                self._write(client)
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up(client)

    def _read(self, client: _Client) -> None:
        octets = client.connection.recv(REQUEST)
        client.request += octets
        if client.request.endswith(b"\n"):
            client.answer = self._answer(client.request)
            self._loop.watch(
                client.connection.fileno(), lambda: self._serve(client), select.EPOLLOUT
            )
        elif not octets or len(client.request) > REQUEST:
            self._hang_up(client)

    def _answer(self, request: bytes) -> Answer:
        try:
            asked = json.loads(request)
            command = self._commands[asked["command"]]
        except (ValueError, KeyError, TypeError):
            yield {"error": "this daemon does not know that command"}
            return
        try:
            yield from command(asked)
        except Refused as refused:
            yield {"error": str(refused)}
        except Exception as fault:
            # A fault in an answer must not end the registrations that this loop serves.
            self._fault(f"{asked['command']}: {fault!r}")
            yield {"error": f"a fault in the daemon, which has logged it: {fault!r}"}

    def _write(self, client: _Client) -> None:
        assert client.answer is not None
        ended = True
        for told in client.answer:
            if told is not None:
                client.waiting += json.dumps(told).encode() + b"\n"
            if told is None or len(client.waiting) >= PIECE:
                ended = False
                break
        if client.waiting:
            del client.waiting[: client.connection.send(client.waiting)]
        elif ended:
            self._hang_up(client)

    def _hang_up(self, client: _Client) -> None:
        descriptor = client.connection.fileno()
        del self._clients[descriptor]
        self._loop.forget(descriptor)
        client.connection.close()


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.setblocking(False)
    before = os.umask(0o777 & ~MODE)
    try:
        try:
            listener.bind(str(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or _answers(path):
                raise
            path.unlink()  # left behind by a daemon that was killed
            listener.bind(str(path))
        listener.listen(CLIENTS)
    except OSError as error:
        listener.close()
        error.filename = str(path)
        raise
    finally:
        os.umask(before)
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


# ------------------------------------------------------------------ the asking side


def ask(folder: Path, command: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """The lines of an answer, as they come. Raises `Unanswered` and `Refused`."""
    path = folder / NAME
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    told: dict[str, Any] = json.loads(line)
                    if "error" in told:
                        raise Refused(told["error"])
                    yield told
        except (FileNotFoundError, ConnectionRefusedError):
            raise Unanswered(f"hacc-agent is not running: nobody answers at {path}") from None
        except PermissionError:
            raise Unanswered(f"{path}: permission denied [hint: ask as root]") from None
        except TimeoutError:
            raise Unanswered(
                f"hacc-agent does not answer at {path} within {TIMEOUT_S:.0f} s"
            ) from None
        except OSError as error:
            raise Unanswered(f"{path}: {error.strerror or error}") from None
