"""The loop between the Foreign Agents' sockets and the population behind them."""

from __future__ import annotations

import select
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final, Protocol

from hacc_agent.daemon import Clock
from hacc_agent.datagrams import Datagrams
from hacc_agent.engine.effects import Endpoint, Moment

from .icmp import report_errors, unreachable
from .population import Datagram, Population

PATIENCE: Final = 35.0
"""Seconds without a single acceptance after which nobody is waited for any more: a node that was
not answered asks again after 1, 2, 4, 8 and 16 s."""

GLANCE: Final = 0.2
"""Seconds between two looks at all nodes, for progress and for the end."""

Progress = Callable[[Population, Moment], None]


class Interrupt:
    """Ctrl-C and SIGTERM as something to look at: no exchange is cut in its middle."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def caught(self) -> Iterator[Interrupt]:
        def note(_number: int, _frame: FrameType | None) -> None:
            self.count += 1

        before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Stream(Protocol):
    """Packets that go beside registrations, through sockets of their own."""

    def filenos(self) -> tuple[int, ...]: ...

    def next_deadline(self) -> float:
        """When `advance` has something to do again, on the steady clock."""

    def advance(self, now: Moment) -> None: ...

    def receive(self, descriptor: int, now: Moment) -> None: ...


class Session:
    """A population on its sockets: one for each Foreign Agent, in their order."""

    def __init__(
        self,
        population: Population,
        sockets: Sequence[Datagrams],
        clock: Clock,
        progress: Progress = lambda *_: None,
        streams: Sequence[Stream] = (),
    ) -> None:
        self._population = population
        self._sockets = sockets
        self._clock = clock
        self._progress = progress
        self._poll = select.poll()
        self._numbers = {one.fileno(): number for number, one in enumerate(sockets)}
        for descriptor, number in self._numbers.items():
            self._poll.register(descriptor, select.POLLIN)
            report_errors(sockets[number].socket)
        self._streams = tuple(streams)
        self._of = {descriptor: each for each in streams for descriptor in each.filenos()}
        for descriptor in self._of:
            self._poll.register(descriptor, select.POLLIN)

    def run(self, duration: float, interrupt: Interrupt, *, until_settled: bool = False) -> None:
        """Until the time is up, or (0) until everybody has an answer; or until interrupted.

        `until_settled`: until one of both.
        """
        before, begin = interrupt.count, self._clock().steady
        glance = begin + GLANCE
        while interrupt.count == before:
            now = self._clock()
            self._send(self._population.advance(now))
            for stream in self._streams:
                stream.advance(now)
            if duration and now.steady - begin >= duration:
                break
            if now.steady >= glance:
                self._progress(self._population, now)
                glance = now.steady + GLANCE
                if (until_settled or not duration) and self._over(now):
                    break
            deadline = min(self._population.next_deadline(), glance)
            deadline = min((deadline, *(each.next_deadline() for each in self._streams)))
            # poll(2) counts milliseconds: it returns a little early rather than late.
            for descriptor, event in self._poll.poll(max(0.0, deadline - now.steady) * 1e3):
                number = self._numbers.get(descriptor)
                if number is None:
                    self._of[descriptor].receive(descriptor, self._clock())
                    continue
                if event & select.POLLERR:
                    self._hear_errors(number)
                if event & select.POLLIN:
                    self._receive(number)
        self._progress(self._population, self._clock())
        tally = self._population.tally
        tally.unsent = sum(one.traffic.unsent for one in self._sockets)
        tally.dropped = sum(one.dropped() for one in self._sockets)

    def _over(self, now: Moment) -> bool:
        population = self._population
        if not population.under_way:
            return True
        silent = now.steady - max(population.last_accepted, population.last_begun)
        return population.all_begun and silent > PATIENCE

    def _receive(self, number: int) -> None:
        """One ring of datagrams; what is left over is there at the next poll."""
        ring = self._sockets[number]
        try:
            if not ring.receive():
                return
        except OSError:  # an ICMP error that came this moment: the next poll has it
            return
        now = self._clock()
        batch, out = ring.batch, []
        lengths = batch.length[: batch.count].tolist()
        addresses = batch.address[: batch.count].tolist()
        ports = batch.port[: batch.count].tolist()
        octets = batch.octets
        for row, (length, address, port) in enumerate(zip(lengths, addresses, ports, strict=True)):
            payload = octets[row, :length].tobytes()
            out += self._population.receive(number, payload, address, port, now)
        for payload, source, _ in ring.alone:
            out += self._population.receive(number, payload, source.address, source.port, now)
        self._send(out)

    def _hear_errors(self, number: int) -> None:
        now = self._clock()
        for quoted, code in unreachable(self._sockets[number].socket):
            self._send(self._population.unreachable(number, quoted, code, now))

    def _send(self, out: list[Datagram]) -> None:
        if not out:
            return
        by_agent: dict[int, list[tuple[bytes, Endpoint]]] = {}
        for agent, payload, address, port in out:
            by_agent.setdefault(agent, []).append((payload, Endpoint(address, port)))
        for agent, datagrams in by_agent.items():
            self._sockets[agent].sender.send_all(datagrams)
