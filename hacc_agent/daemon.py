"""`hacc-agent run`: performs what the engine decides. One process a role, one loop.

The loop waits for packets, signals, the control socket and deadlines with one epoll, and for
nothing else: what may take long (a standby's acknowledgement, a RADIUS server) is handed over and
comes back as an event. The order in which effects are performed is the contract:

    records -> journal -> standby -> data plane -> members -> datagrams -> logs

Nobody hears of a binding that a crash could still forget. A batch is one group in the journal: its
records are written, and synced where that is asked for, before the first of its datagrams leaves.
"""

from __future__ import annotations

import gc
import math
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

from .engine.batch import Outcome, outcome_of
from .engine.effects import Alarm, AskAaa, Effect, Moment, Relay, Release, Retract, Send, Transfer
from .loop import Loop
from .roles import Engine
from .transport import Ring, Transport

ROUNDS: Final = 4
"""Batches of one ring before the others get their turn."""

TARDY_S: Final = 0.001
"""How late anything but packets may be while they come without a pause: to ask every part when it
is due costs as much as a packet or two."""

HOUSEKEEPING_S: Final = 1.0
"""Watchdog, status line, counts of what the log left out."""


class Clock:
    """Both clocks. The steady one runs on while a machine sleeps: so do lifetimes elsewhere."""

    def __init__(self) -> None:
        self._offset = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def not_before(self, steady: float) -> None:
        """The clock was later when a journal was written: the wall clock has been set back since.

        Lifetimes that the journal holds must not grow by that.
        """
        self._offset += max(0.0, steady - self().steady)

    def __call__(self) -> Moment:
        return Moment(self._offset + time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


class Part(Protocol):
    """Something beside the packets that has a socket and deadlines."""

    def fileno(self) -> int | None: ...

    def handle(self, now: Moment) -> None:
        """When it is readable, and at its deadline."""
        ...

    def next_deadline(self) -> float | None: ...


class Log(Part, Protocol):
    """Where records are kept before anything that follows from them is done (`replica`)."""

    @property
    def leads(self) -> bool:
        """Whether this router decides; one that follows leaves time to who does."""
        ...

    def append(self, records: bytes, now: Moment) -> None:
        """To the journal and to who follows. Makes this router the one that leads."""
        ...


class Daemon(Loop):
    """The loop. Everything that it touches is given to it."""

    def __init__(
        self,
        engine: Engine,
        transport: Transport,
        log: Log,
        clock: Callable[[], Moment],
        *,
        alarm: Callable[[Alarm], None],
        ask_aaa: Callable[[AskAaa], None],
        follow: Callable[[bytes], None] | None,
        tell_member: Callable[[Transfer | Release | Retract], None],
        fault: Callable[[str], None],
    ) -> None:
        """`follow` is the data plane's, if there is one; `fault` is told of mistakes of ours."""
        super().__init__()
        self.engine = engine
        self.transport = transport
        self.log = log
        self._alarm = alarm
        self._ask_aaa = ask_aaa
        self._follow = follow
        self._tell_member = tell_member
        self._fault = fault
        self._clock = clock
        self._stopping = False
        self._parts: list[Part] = []
        self.add(log)
        for descriptor, handle in transport.watches():
            self.watch(descriptor, handle)
        for ring in transport.rings:
            self.watch(ring.fileno(), partial(self._drain, ring))

    # ------------------------------------------------------------------ the loop

    def add(self, part: Part) -> None:
        """From now on it is served too."""
        self._parts.append(part)
        descriptor = part.fileno()
        if descriptor is not None:
            self.watch(descriptor, lambda: part.handle(self._clock()))

    def remove(self, part: Part) -> None:
        self._parts.remove(part)
        descriptor = part.fileno()
        if descriptor is not None:
            self.forget(descriptor)

    def stop(self) -> None:
        """Ends `run` after what is under way."""
        self._stopping = True

    def run(self, housekeeping: Callable[[Moment], None]) -> None:
        """Until `stop`. What was loaded is taken out of the garbage collector's sight first."""
        self.hear_signals()
        gc.freeze()  # with a thousand objects that are garbage: to find them takes 22 ms
        due = looked = 0.0
        while not self._stopping:
            now = self._clock()
            if now.steady >= looked + TARDY_S:
                looked = now.steady
                if now.steady >= due:
                    housekeeping(now)
                    due = now.steady + HOUSEKEEPING_S
                until = min(due, self._keep_time(now))
            else:  # what came may have made something due
                until = looked + TARDY_S
            self.turn(until - now.steady)

    def _keep_time(self, now: Moment) -> float:
        """Does what is due; when the next thing will be, s of the steady clock."""
        for part in self._parts:
            if _due(part.next_deadline(), now):
                part.handle(now)
        if self.log.leads and _due(self.engine.next_deadline(), now):
            self.perform(None, outcome_of(self.engine.handle_timer(now)), now)
        found = [part.next_deadline() for part in self._parts]
        if self.log.leads:
            found.append(self.engine.next_deadline())
        return min((at for at in found if at is not None), default=math.inf)

    def _drain(self, ring: Ring) -> None:
        for _ in range(ROUNDS):
            if not ring.receive():
                return
            now = self._clock()
            try:
                decided = self.engine.receive(ring, now)
            except Exception:
                # One packet that we have no idea of must not end the service of all others, again
                # and again for as long as its sender repeats it.
                self._fault(traceback.format_exc(limit=-3))
                continue
            self.perform(ring, decided, now)
            if not ring.full:  # whatever has come since then wakes the loop again
                return

    # ------------------------------------------------------------------ effects, in their order

    def perform(self, ring: Ring | None, decided: Outcome, now: Moment) -> None:
        """What was decided on a batch (or, without a ring, on anything else)."""
        if decided.records:
            self.log.append(decided.records, now)
            if self._follow is not None:
                self._follow(decided.records)
        if ring is not None:
            if len(decided.to_member):
                self.transport.relay_rows(ring, decided.to_member, decided.member)
            if len(decided.to_agent):
                self.transport.answer_rows(
                    ring, decided.to_agent, decided.address, decided.port, decided.link
                )
            if len(decided.replies.rows):
                self.transport.reply_rows(ring, decided.replies)
        if decided.effects:
            self._perform_each(decided.effects)
        for fault in decided.faults:
            self._fault("".join(traceback.format_exception(fault, limit=-3)))

    def _perform_each(self, effects: Iterable[Effect]) -> None:
        alarms = []
        for effect in effects:
            match effect:
                case Send(payload, destination, source):
                    self.transport.send(payload, destination, source)
                case Relay(payload, origin, member):
                    self.transport.relay(payload, origin, member)
                case AskAaa():
                    self._ask_aaa(effect)
                case Transfer() | Release() | Retract():
                    self._tell_member(effect)
                case Alarm():
                    alarms.append(effect)
        self.transport.flush()
        for found in alarms:
            self._alarm(found)


def _due(deadline: float | None, now: Moment) -> bool:
    return deadline is not None and deadline <= now.steady
