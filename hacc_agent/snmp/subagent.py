"""The socket between `engine.snmp.subagent` and the router's snmpd, and what is served through it.

snmpd may start later, be restarted by a push, or not be there at all: we look for it again, and
nothing else of the daemon depends on it. What is written waits here while snmpd reads nothing, and
meanwhile nothing more is read from it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Final

from .. import __version__
from ..config import AgentConfig
from ..engine.effects import Alarm, Moment
from ..engine.snmp import member, objects
from ..engine.snmp.member import Minute, Notices, Served
from ..engine.snmp.order import Order
from ..engine.snmp.subagent import Ended, State, Subagent
from ..engine.snmp.view import Bindings, View
from ..loop import Loop
from ..resources import Resources
from ..roles import Member
from ..wire import ReplyCode

AGAIN_S: Final = 5.0
"""Between two tries to reach snmpd."""

LOOK_S: Final = 5.0
"""Between two looks at the router's load, as in cpmCPUTotal5secRev."""

FIRST_LOOK_S: Final = 0.5
"""Between the first two: a load is that of a time."""

READ: Final = 65_536

IP_IN_IP, GRE, MINIMAL, OTHER = 0x80, 0x40, 0x20, 0x10  # BITS of mipEncapsulationSupported


class SubagentSocket:
    """A part of the daemon (`daemon.Part`) on a Home Agent."""

    def __init__(
        self,
        config: AgentConfig,
        engine: Member,
        loop: Loop,
        clock: Callable[[], Moment],
        log: Callable[..., None],
    ) -> None:
        """`log` takes a line and its fields."""
        now = clock()
        self.config = config
        self._engine, self._loop, self._clock, self._log = engine, loop, clock, log
        self._resources = Resources()
        self._use = self._resources.look(now.steady)
        self._look_at = now.steady + FIRST_LOOK_S
        self._order = Order(engine.tables[0], now.steady)
        self._minute = Minute()
        self._leaves = member.leaves(self._served, self._minute)
        self._subagent = Subagent(
            View((self._leaves, Bindings(self._order))),
            member.ROOTS,
            objects.MIP_MIB,
            f"hacc-agent {__version__}",
        )
        self._notices = Notices()
        self._socket: socket.socket | None = None
        self._output = b""
        self._connect_at = now.steady
        self._told = ""  # the last reason for which there is no session: told once

    def fileno(self) -> None:
        """Its socket comes and goes: it tells the loop itself."""
        return

    def close(self) -> None:
        if self._socket is not None:
            self._output += self._subagent.bye()
            self._write()
        self._disconnect()

    # ------------------------------------------------------------------ time

    def next_deadline(self) -> float | None:
        due = [self._order.due, self._look_at]
        waits = self._connect_at if self._socket is None else self._subagent.next_deadline()
        if waits is not None and not self._output:
            due.append(waits)
        return min(due)

    def handle(self, now: Moment) -> None:
        """At its deadline."""
        if now.steady >= self._order.due:
            self._order.look(self._engine.tables[0], now.steady)
        if now.steady >= self._look_at:
            self._look_at = now.steady + LOOK_S
            self._use = self._resources.look(now.steady)
            counters = self._engine.home_agent.counters
            self._minute.note(sum(counters.requests), now.steady)
            capacity = self.config.max_bindings or 0
            varbinds = self._notices.bindings(self._bindings(), capacity)
            if varbinds:
                self._say(self._subagent.notify(varbinds))
        if self._socket is None:
            if now.steady >= self._connect_at:
                self._connect(now)
        elif not self._output:
            self._go_on(lambda: self._subagent.handle_timer(now), now)

    def alarm(self, found: Alarm) -> None:
        """Tells the managers of a violation."""
        varbinds = self._notices.violation(found, self._clock())
        if varbinds:
            self._say(self._subagent.notify(varbinds))

    # ------------------------------------------------------------------ the socket

    def _connect(self, now: Moment) -> None:
        self._connect_at = now.steady + AGAIN_S
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            opened.connect(self.config.agentx)
        except OSError as error:
            opened.close()
            self._say_once(f"{self.config.agentx}: {(error.strerror or str(error)).lower()}")
            return
        self._socket = opened
        self._loop.watch(opened.fileno(), self._ready)
        self._say(self._subagent.connected(now))

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
        self._socket, self._output = None, b""

    def _ready(self) -> None:
        """There is something to read, or room to write."""
        assert self._socket is not None
        if self._output:
            self._write()
            return
        now = self._clock()
        try:
            octets = self._socket.recv(READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(f"{(error.strerror or str(error)).lower()}", now)
            return
        if not octets:
            self._lose("snmpd closed the connection", now)
            return
        self._go_on(lambda: self._subagent.received(octets, now), now)

    def _go_on(self, step: Callable[[], bytes], now: Moment) -> None:
        before = self._subagent.state
        try:
            self._say(step())
        except Ended as why:
            self._lose(str(why), now)
            return
        if self._subagent.state is State.OPEN and before is not State.OPEN:
            self._told = ""
            self._log("serving SNMP", through=self.config.agentx)
            for name, error in self._subagent.refused:
                self._log("not serving a part of it", tree=objects.dotted(name), error=error)

    def _say(self, octets: bytes) -> None:
        if octets and self._socket is not None:
            self._output += octets
            self._write()

    def _write(self) -> None:
        assert self._socket is not None
        try:
            sent = self._socket.send(self._output, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._output = b""  # the next read tells why
            return
        self._output = self._output[sent:]
        events = select.EPOLLOUT if self._output else select.EPOLLIN
        self._loop.watch(self._socket.fileno(), self._ready, events)

    def _lose(self, why: str, now: Moment) -> None:
        self._disconnect()
        self._connect_at = now.steady + AGAIN_S
        self._say_once(why)

    def _say_once(self, why: str) -> None:
        if why != self._told:
            self._told = why
            self._log("not serving SNMP", why=why, again_s=AGAIN_S)

    # ------------------------------------------------------------------ what is served

    def _bindings(self) -> int:
        return int(self._engine.tables[0].count_by_slot().sum())

    def _served(self) -> Served:
        counters, tunnels = self._engine.home_agent.counters, self.config.tunnels
        encapsulations = IP_IN_IP
        for has, bit in ((tunnels.gre, GRE), (tunnels.minimal, MINIMAL), (tunnels.udp, OTHER)):
            encapsulations |= bit if has else 0
        return Served(
            bindings=self._bindings(),
            capacity=self.config.max_bindings or 0,
            counters=counters.mib(),
            denied=sum(counters.codes[2:]),  # 0 and 1 accept
            discarded=sum(counters.discarded.values()),
            aaa_failures=counters.codes[ReplyCode.AAA_AUTHENTICATION],
            cpu_percent=self._use.cpu,
            memory_free_percent=self._use.memory_free,
            memory_octets=self._use.memory,
            encapsulations=encapsulations,
            version=__version__,
        )
