"""Probes at a steady pace, through real sockets: the correspondent's, and the Foreign Agents'.

A Foreign Agent takes packets out of tunnels for its visitors, and sends what they say back through
the reverse tunnel (RFC 3024). The kernel has the outer headers: these are raw sockets.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence, Set
from ipaddress import IPv4Address
from typing import Final

from hacc_agent.engine.effects import Moment

from .population import Population
from .probes import ECHO, Ledger, answer, destination_of, opened, payload_of

LONGEST: Final = 2048  # octets of a packet that is of ours
BACKLOG_S: Final = 0.05
"""Of probes that leave at once when we come late to it; what is older is not sent any more."""

UNDER_WAY_S: Final = 1.0
"""After the last probe, for those that are still on their way."""


class Traffic:
    """A correspondent that asks registered mobile nodes, one after the other."""

    def __init__(
        self,
        population: Population,
        tunnels: Sequence[socket.socket],
        correspondent: socket.socket,
        rate: float,
        ledger: Ledger,
        without: Set[IPv4Address] = frozenset(),
    ) -> None:
        """`tunnels`: of the Foreign Agents, in their order. `rate`: packets a second, of all.

        `without`: home addresses that get none.
        """
        self._population, self._tunnels = population, tuple(tunnels)
        self._correspondent, self._rate, self._without = correspondent, rate, without
        self.ledger = ledger
        self._agents: Mapping[int, int] = {one.fileno(): n for n, one in enumerate(tunnels)}
        self._next = 0  # of the nodes
        self._due: float | None = None  # when the next probe leaves; None: not begun
        self._ended = False

    def filenos(self) -> tuple[int, ...]:
        return (*self._agents, self._correspondent.fileno())

    def end(self) -> None:
        """No probe leaves any more."""
        self._ended = True

    def next_deadline(self) -> float:
        return float("inf") if self._ended or self._due is None else self._due

    def advance(self, now: Moment) -> None:
        """Sends what is due."""
        if self._ended:
            return
        due = now.steady if self._due is None else max(self._due, now.steady - BACKLOG_S)
        while due <= now.steady:
            self._ask(now)
            due += 1 / self._rate
        self._due = due

    def receive(self, descriptor: int, now: Moment) -> None:
        """What waits there."""
        agent = self._agents.get(descriptor)
        with contextlib.suppress(BlockingIOError):
            while True:
                if agent is None:
                    self.ledger.is_back(self._correspondent.recv(LONGEST), now.steady)
                else:
                    self._tunnelled(agent, self._tunnels[agent].recv(LONGEST))

    def _ask(self, now: Moment) -> None:
        nodes = self._population.nodes
        for _ in nodes:
            number = self._next
            self._next = (number + 1) % len(nodes)
            node = nodes[number]
            if node.registered(now.steady) and node.home_address not in self._without:
                payload = self.ledger.leaves(number, now.steady)
                # No route, or a full buffer: one that never comes back.
                with contextlib.suppress(OSError):
                    self._correspondent.sendto(payload, (str(node.home_address), ECHO))
                return

    def _tunnelled(self, agent: int, octets: bytes) -> None:
        packet = opened(octets)
        visitor = self._population.visitor(agent, destination_of(packet))
        if visitor is None:
            return
        self.ledger.is_there(payload_of(packet))
        home_agent = socket.inet_ntoa(visitor.home_agent.to_bytes(4, "big"))
        with contextlib.suppress(OSError):
            self._tunnels[agent].sendto(answer(packet), (home_agent, 0))
