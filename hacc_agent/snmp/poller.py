"""The daemon's end of the process that asks members by SNMP: starts it, hears it, replaces it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from ..config import AgentConfig, LanAddress
from ..engine.discovery.layer2 import Survey
from ..engine.effects import Moment
from ..engine.health import Figures, Trap
from .messages import LARGEST, Asked, Odd, Silent, Told, Walked, Whom, decode
from .reader import Access

ROUND: Final = 64
"""Messages that are read before packets have their turn: below 2 ms."""

AGAIN_S: Final = (1.0, 2.0, 5.0, 30.0)
"""Before a process that ended is replaced, the first, second ... time in a row."""

LOOK_S: Final = 1.0
"""Between two looks at whether the process lives."""

LASTED_S: Final = 60.0
"""A process that ran for so long did not fail at its start."""


Take = Callable[[Sequence[Sequence[int]]], None]
"""Is given rows of a member's table, as numbers (`engine.snmp.walking.Bound`)."""


def what_to_ask(config: AgentConfig) -> Asked:
    """Of a controller: all members."""
    snmp = config.snmp
    assert snmp is not None  # `config.parse` refuses a controller without
    access = Access(
        snmp.version, snmp.community or "", snmp.user or "", snmp.auth or "", snmp.priv or ""
    )
    members = tuple(
        Whom(
            member.kind,
            _texts(member.addresses),
            tuple((each.name, _texts(each.addresses)) for each in member.routers),
        )
        for member in config.members
    )
    return Asked(access, snmp.port, float(config.health.snmp_interval_s), members)


def _texts(addresses: Sequence[LanAddress]) -> tuple[str, ...]:
    return tuple(str(where.address) for where in addresses)


def bind_notifications(config: AgentConfig) -> socket.socket:
    """Where members notify this controller. Raises OSError; before rights are given up."""
    assert config.snmp is not None
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        port.bind(("", config.snmp.notification_port))
    except OSError:
        port.close()
        raise
    return port


class Poller:
    """A part of the daemon (`daemon.Part`)."""

    def __init__(
        self,
        asked: Asked,
        port: socket.socket | None,
        reported: Callable[[Figures, Moment], None],
        silent: Callable[[Silent, Moment], None],
        trapped: Callable[[Trap, Moment], None],
        odd: Callable[[Odd, Moment], None],
        surveyed: Callable[[Survey], None],
        log: Callable[..., None],
        now: Moment,
    ) -> None:
        """Each of the callables is called from `handle`. `log` takes a line and its fields.

        `port` is bound to where notifications arrive; it is closed with the rest.
        """
        self._asked, self._port = asked, port
        self._reported, self._silent, self._trapped = reported, silent, trapped
        self._odd, self._surveyed, self._log = odd, surveyed, log
        self._failures = 0
        self._walks: dict[int, tuple[Take, Callable[[str], None]]] = {}
        # Both ends stay ours: the loop knows one descriptor, whatever becomes of the process.
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._ours, self._theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
        self._ours.setblocking(False)
        self._process: subprocess.Popen[bytes] | None = None
        self._look = now.steady + LOOK_S
        self._start(now)

    def fileno(self) -> int:
        return self._ours.fileno()

    def next_deadline(self) -> float | None:
        return self._look

    def handle(self, now: Moment) -> None:
        """A turn of the loop: when there are messages, and to look after the process."""
        for _ in range(ROUND):
            try:
                message = self._ours.recv(LARGEST)
            except BlockingIOError:
                break
            self._take(decode(message, now.steady), now)
        if now.steady >= self._look:
            self._look_after(now)

    def walk(self, member: int, take: Take, done: Callable[[str], None]) -> None:
        """The bindings that a stock Home Agent has; `done` is told why not, or ""."""
        if member in self._walks or self._process is None:
            done("it is being asked already" if member in self._walks else "nobody can ask it now")
            return
        self._walks[member] = take, done
        self._ours.send(str(member).encode())

    def close(self) -> None:
        """Ends the process, and waits for that."""
        if self._process is not None:  # SIGKILL: it has nothing to finish
            self._process.kill()
            self._process.wait()
        self._ours.close()
        self._theirs.close()
        if self._port is not None:
            self._port.close()

    def _take(self, told: Told, now: Moment) -> None:
        match told:
            case Figures():
                self._reported(told, now)
            case Silent():
                self._silent(told, now)
            case Trap():
                self._trapped(told, now)
            case Odd():
                self._odd(told, now)
            case Survey():
                self._surveyed(told)
            case Walked():
                self._walked(told)

    def _walked(self, told: Walked) -> None:
        walk = self._walks.get(told.member)
        if walk is None:
            return  # of a process that has ended
        take, done = walk
        if told.rows:
            take(told.rows)
        if told.failure is not None:
            del self._walks[told.member]
            done(told.failure)

    def _start(self, now: Moment) -> None:
        self._began = now.steady
        passed = [self._theirs.fileno()]
        if self._port is not None:
            passed.append(self._port.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.asking", *map(str, passed)],
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
        )
        self._ours.send(self._asked.encode())

    def _look_after(self, now: Moment) -> None:
        self._look = now.steady + LOOK_S
        if self._process is None:
            self._start(now)
        elif (status := self._process.poll()) is not None:
            self._process = None
            if now.steady - self._began >= LASTED_S:
                self._failures = 0
            pause = AGAIN_S[min(self._failures, len(AGAIN_S) - 1)]
            self._failures += 1
            self._look = now.steady + pause
            self._log("the process that asks by SNMP ended", status=status, again_s=pause)
            self._forget_unread()
            walks, self._walks = self._walks, {}
            for _, done in walks.values():
                done("the process that asked it ended")

    def _forget_unread(self) -> None:
        """What the process that ended was told and had not read: its successor is told anew."""
        with contextlib.suppress(BlockingIOError):
            while self._theirs.recv(LARGEST, socket.MSG_DONTWAIT):
                pass
