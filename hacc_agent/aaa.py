"""Questions to the AAA server, over UDP and without waiting: answers come back as events."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable

from .config import AgentConfig, Radius
from .engine.aaa import AaaClient
from .engine.effects import Answer, AskAaa, Moment

LARGEST = 4096  # octets of a packet (RFC 2865, 3)


class AaaServer:
    """The one server of the configuration."""

    def __init__(
        self, radius: Radius, config: AgentConfig, answered: Callable[[int, Answer, Moment], None]
    ) -> None:
        """`answered` is told the number of each question, and its answer."""
        self._client = AaaClient(radius, config, os.urandom)
        self._answered = answered
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        # Connected: the kernel takes packets from nobody else.
        self._socket.connect((str(radius.server), radius.port))

    def ask(self, asked: AskAaa, now: Moment) -> None:
        found = self._client.ask(asked, now.steady)
        if isinstance(found, bytes):
            self._send(found)
        else:
            self._answered(asked.number, found, now)

    def fileno(self) -> int:
        return self._socket.fileno()

    def handle(self, now: Moment) -> None:
        """What has come, and what is due."""
        told: Iterable[tuple[int, Answer]] = list(self._received())
        for found in self._client.handle_timer(now.steady):
            if isinstance(found, bytes):
                self._send(found)
            else:
                told = (*told, found)
        for number, answer in told:
            self._answered(number, answer, now)

    def next_deadline(self) -> float | None:
        return self._client.next_deadline()

    def close(self) -> None:
        self._socket.close()

    def _received(self) -> Iterable[tuple[int, Answer]]:
        while True:
            try:
                packet = self._socket.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue  # "port unreachable" for an earlier question: it is asked again
            found = self._client.receive(packet)
            if found is not None:
                yield found

    def _send(self, packet: bytes) -> None:
        with contextlib.suppress(OSError):  # it is asked again, and then said to be unanswered
            self._socket.send(packet)
