"""The process beside the daemon that asks members, and hears what they notify of.

    hacc-agent run  ==[ one message: what to do ]==>  python -m hacc_agent.snmp.asking END [PORT]
                    <==[ figures, silences, traps, oddities: a message each ]==

END is the descriptor of the process's end, PORT that of the socket that notifications arrive at.

The messages are those of `messages`. The process ends when the daemon's end is closed, in whatever
way. It loads what it needs when it needs it: pysnmp at the first notification or table of bindings,
which most members never send, numpy at the second.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from typing import Any

from ..engine.discovery.layer2 import Survey
from ..engine.health import Figures
from ..engine.snmp.adjacency import MOST as MOST_SEEN
from ..engine.snmp.adjacency import TABLES, sightings
from ..engine.snmp.objects import Oid
from ..engine.snmp.polling import Polling
from ..engine.snmp.reading import Reading
from .messages import LARGEST, Asked, Odd, Silent, Told, Walked, encode
from .reader import Access, SnmpReader, Unanswered

ROWS = 8
"""Of a table in one answer: six columns of them fit into 1472 octets nearly always."""


HSRP_ACTIVE = 6
"""cHsrpGrpStandbyState."""

SURVEY_S = (30.0, 60.0, 120.0, 300.0)
"""Between two looks at a member's neighbours, from the first: CDP is said once a minute, cabling
changes seldom, and CDP itself takes three minutes to forget somebody."""


class Sweep:
    """All members, again and again."""

    def __init__(self, asked: Asked, reader: SnmpReader, tell: Any) -> None:
        """`tell` is a coroutine function that takes what was found."""
        self._asked = asked
        self._reader = reader
        self._tell = tell
        self._polling = Polling(
            len(asked.members), asked.interval_s, reader.at_once, time.monotonic()
        )
        self._places = [
            [addresses[0] for _, addresses in each.routers] or [each.addresses[0]]
            for each in asked.members
        ]
        self._active = [0] * len(asked.members)  # of a pair: the router that was so last
        self._readings = [
            [Reading(n, each.kind) for _ in self._places[n]] for n, each in enumerate(asked.members)
        ]
        self._survey_at = [0.0] * len(asked.members)
        self._surveys = [0] * len(asked.members)
        self._wake = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as under_way:
            while True:
                for member in self._polling.due(time.monotonic()):
                    under_way.create_task(self._poll(member))
                due = self._polling.next_deadline()
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    wait = None if due is None else max(0.0, due - time.monotonic())
                    await asyncio.wait_for(self._wake.wait(), wait)

    async def _poll(self, member: int) -> None:
        began = time.monotonic()
        try:
            figures = await self.ask(member)
        except Unanswered as why:
            self._polling.unanswered(member, time.monotonic())
            await self._tell(Silent(member, str(why)))
        else:
            now = time.monotonic()
            self._polling.answered(member, now - began, now)
            await self._tell(figures)
            if now >= self._survey_at[member]:
                pause = SURVEY_S[min(self._surveys[member], len(SURVEY_S) - 1)]
                self._survey_at[member] = now + pause
                self._surveys[member] += 1
                await self._survey(member)
        finally:
            self._wake.set()
        for reading in self._readings[member]:
            for what in reading.oddities:
                await self._tell(Odd(member, what))
            reading.oddities.clear()

    async def _survey(self, member: int) -> None:
        """Its neighbours on layer 2; those of a pair's routers each for itself."""
        whom = self._asked.members[member]
        for router, (address, *_) in whom.routers or (("", whom.addresses),):
            try:
                survey = await self._neighbours(member, router, address)
            except Unanswered as why:
                survey = Survey(member, router, "", failure=str(why))
            await self._tell(survey)

    async def _neighbours(self, member: int, router: str, address: str) -> Survey:
        """Raises `Unanswered`."""
        there = await self._reader.first(address, tuple(table.name for table in TABLES.values()))
        for protocol, table in TABLES.items():
            if table.name in there:
                columns = [await self._reader.walk(address, each, MOST_SEEN) for each in table]
                return Survey(member, router, protocol, sightings(protocol, *columns))
        return Survey(member, router, "")

    def address_of(self, member: int) -> str:
        """Where it is asked; a pair, at the router that was active last."""
        return self._places[member][self._active[member]]

    async def ask(self, member: int) -> Figures:
        """One member, once: of a pair, the router that is active. Raises `Unanswered`.

        A pair's routers are asked at their own addresses. At the standby address whoever is active
        would answer too, but from its own: who asks takes that for somebody else's answer.
        """
        found: Figures | None = None
        silent: Unanswered | None = None
        routers = len(self._places[member])
        first = self._active[member]
        for step in range(routers):
            router = (first + step) % routers
            try:
                figures = await self._ask(member, router)
            except Unanswered as why:
                silent = silent or why
                continue
            if found is None or figures.hsrp_state == HSRP_ACTIVE:
                found, self._active[member] = figures, router
            if figures.hsrp_state == HSRP_ACTIVE:
                break
        if found is None:
            assert silent is not None  # there is at least one router
            raise silent
        return found

    async def _ask(self, member: int, router: int) -> Figures:
        reading, address = self._readings[member][router], self._places[member][router]
        await self._look(reading, address)
        names = reading.names()
        if not names:
            raise Unanswered("it has none of the objects that tell its load")
        values = await self._reader.get(address, names)
        return reading.figures(values, time.monotonic())

    async def _look(self, reading: Reading, address: str) -> None:
        """For what the router has, as far as that is not known."""
        unknown = reading.unknown()
        single = dict.fromkeys(
            column.name
            for _, source in unknown
            for column in source.columns
            if column.instances == 1
        )
        first = await self._reader.first(address, tuple(single)) if single else {}
        for figure, source in unknown:
            if reading.knows(figure):
                continue
            found: list[Sequence[Oid]] = []
            for column in source.columns:
                if column.instances == 1:
                    found.append((first[column.name],) if column.name in first else ())
                else:
                    rows = await self._reader.walk(address, column.name, column.instances)
                    found.append([name for name, _ in rows])
            reading.learned(figure, source, found)


def open_reader(access: Access, port: int) -> SnmpReader:
    """With gufo-snmp when it is installed: it is many times faster. pysnmp always is."""
    if find_spec("gufo") is not None:
        from .with_gufo import GufoReader

        return GufoReader(access, port)
    from .with_pysnmp import PysnmpReader

    return PysnmpReader(access, port)


async def walk(
    asked: Asked, member: int, address: str, tell: Callable[[Told], Awaitable[None]]
) -> None:
    """A member's table of bindings, row by row: with pysnmp, which can ask for whole rows."""
    from ..engine.snmp.walking import COLUMNS, MOST, rows
    from .with_pysnmp import PysnmpReader

    reader = PysnmpReader(asked.access, asked.port)
    after: Oid = ()
    seen = 0
    try:
        while seen < MOST:
            found, last = rows(await reader.rows(address, COLUMNS, after, ROWS))
            if last <= after:
                break  # past its end, or an agent that walks in circles
            after, seen = last, seen + len(found)
            await tell(Walked(member, found))
    except Unanswered as why:
        await tell(Walked(member, (), str(why)))
    else:
        await tell(Walked(member, (), ""))
    finally:
        reader.close()


async def serve(end: socket.socket, port: socket.socket | None) -> None:
    """Does what the first message says until the daemon is gone."""
    loop = asyncio.get_running_loop()
    asked = Asked.decode(await loop.sock_recv(end, LARGEST))

    async def tell(told: Told) -> None:
        await loop.sock_sendall(end, encode(told))

    def tell_at_once(told: Told) -> None:
        # A notification that the daemon has no room for is lost, as it could be on its way.
        with contextlib.suppress(BlockingIOError):
            end.send(encode(told))

    def receive(port: socket.socket, stack: contextlib.ExitStack) -> None:
        from .receiver import Receiver

        loop.remove_reader(port)
        receiver = Receiver(
            asked.access,
            asked.members,
            port,
            tell_at_once,
            lambda member, what: tell_at_once(Odd(member, what)),
        )
        stack.callback(receiver.close)

    async def obey(sweep: Sweep) -> None:
        """Further messages: the number of a member whose bindings are wanted."""
        while message := await loop.sock_recv(end, LARGEST):
            member = int(message)
            await walk(asked, member, sweep.address_of(member), tell)

    with contextlib.ExitStack() as stack:
        reader = open_reader(asked.access, asked.port)
        stack.callback(reader.close)
        if port is not None:
            loop.add_reader(port, receive, port, stack)  # who has come waits until it is loaded
        sweep = Sweep(asked, reader, tell)
        sweeping = asyncio.create_task(sweep.run())
        gone = asyncio.create_task(obey(sweep))
        await asyncio.wait((sweeping, gone), return_when=asyncio.FIRST_COMPLETED)
        sweeping.cancel()
        gone.cancel()
        await asyncio.gather(sweeping, gone, return_exceptions=True)


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a socket for each member
    end, *port = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    end.setblocking(False)
    asyncio.run(serve(end, port[0] if port else None))


if __name__ == "__main__":
    main()
