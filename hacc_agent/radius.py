"""The socket between `engine.aaa` and the RADIUS server, driven by the daemon's loop.

It waits for nothing: `ask` sends, `drain` reads what has come, `handle_timer` asks again. What the
server says is handed on as (number, answer), the way a question that cannot be asked is.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from .config import AgentConfig, Radius
from .engine.aaa import LARGEST, AaaClient, AaaCounters
from .engine.effects import Answer, AskAaa, Moment

ROUND = 64  # packets that are read before other sockets have their turn


class RadiusSocket:
    """One server, one port of ours."""

    def __init__(
        self,
        radius: Radius,
        router: AgentConfig,
        token: Callable[[int], bytes],
        clock: Callable[[], Moment],
        answered: Callable[[int, Answer], None],
    ) -> None:
        """`answered` is called from `ask`, `drain` and `handle_timer`, and may call `ask`."""
        self._client = AaaClient(radius, router, token)
        self._server = (str(radius.server), radius.port)
        self._clock = clock
        self._answered = answered
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    @property
    def counters(self) -> AaaCounters:
        return self._client.counters

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def ask(self, asked: AskAaa) -> None:
        packet = self._client.ask(asked, self._clock().steady)
        if isinstance(packet, Answer):
            self._answered(asked.number, packet)
        else:
            self._send(packet)

    def drain(self) -> None:
        """Reads what has come. An error of the network's is one try that failed."""
        for _ in range(ROUND):
            try:
                packet, source = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue
            if source != self._server:
                self.counters.forged += 1
            elif found := self._client.receive(packet):
                self._answered(*found)

    def handle(self, now: Moment) -> None:  # noqa: ARG002  it has a clock
        """A turn of the daemon's loop: when it is readable, and at its deadline."""
        self.drain()
        self.handle_timer()

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do (s of the steady clock)."""
        return self._client.next_deadline()

    def handle_timer(self) -> None:
        """Asks again, or gives up, what has waited for too long."""
        for due in list(self._client.handle_timer(self._clock().steady)):
            if isinstance(due, bytes):
                self._send(due)
            else:
                self._answered(*due)

    def _send(self, packet: bytes) -> None:
        with contextlib.suppress(OSError):  # no route, a full buffer: it is asked again
            self._socket.sendto(packet, self._server)
