"""What this router decides with: the engine of its role, over tables of the right size.

A controller decides on whole batches. A member has an authenticator to compute for each request,
which no column does for it, so it takes them one by one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from types import ModuleType
from typing import Final, Protocol

from .config import AgentConfig, Role
from .engine.batch import Outcome, outcome_of
from .engine.cluster import Cluster, Fit, LeastLoaded
from .engine.effects import Answer, Effect, Moment
from .engine.holdings import Holdings
from .engine.home_agent import HomeAgent
from .engine.networks import MobileNetworks
from .engine.slots import Slots
from .engine.table import Table
from .transport import Ring

PENDING: Final = 1 << 18
"""Requests that wait for a reply: more than a second of what is admitted by default."""

SPARE: Final = 1.25
"""Rows for a binding that may be held: mobile nodes with several care-of addresses, and on a member
those whose last Identification is remembered."""


class Engine(Protocol):
    """A role, as the daemon drives it."""

    tables: tuple[Table, ...]  # the bindings, then, on a controller, pending requests

    def receive(self, ring: Ring, now: Moment) -> Outcome:
        """Decides on all that a ring holds."""
        ...

    def next_deadline(self) -> float | None: ...

    def handle_timer(self, now: Moment) -> Iterable[Effect]: ...

    def expect(self, rows: int, names: int) -> None:
        """About so many are about to be applied: memory for them is of use."""
        ...

    def apply(self, records: bytes) -> None:
        """What a journal or another router says."""
        ...

    def clear(self) -> None:
        """Empty tables again: another router's state follows."""
        ...

    def digest(self) -> int:
        """The same for the same content, whatever its order."""
        ...

    def snapshot(self) -> Iterator[bytes]:
        """Records that make the same state, in blocks, each as it is when it is taken."""
        ...

    def reconfigure(self, config: AgentConfig, now: Moment) -> None:
        """Goes on with the same bindings under another configuration."""
        ...

    def counted(self) -> dict[str, int]:
        """Counters, by the names that `hacc-agent status` shows."""
        ...

    def serving(self, slot: int) -> int | None:
        """The member that serves a slot; on a member None: all is its own."""
        ...

    kernels: str | None  # the module of `engine.kernels` for this role

    def quicken(self, kernels: ModuleType) -> None:
        """From now on batches go through compiled code."""
        ...


def engine(config: AgentConfig, clock: Callable[[], Moment]) -> Engine:
    """The engine of the configuration's role, with empty tables."""
    return Controller(config, clock) if config.role is Role.CONTROLLER else Member(config)


def seed(config: AgentConfig) -> int:
    """Of the hash of NAIs: the same on all of a cluster's routers, since records carry hashes."""
    named = hashlib.blake2b(config.cluster.encode(), digest_size=8)
    return int.from_bytes(named.digest(), "little")


def rows_for(config: AgentConfig) -> int:
    """Rows of the table of bindings."""
    members = [member.capacity for member in config.members]
    return int(
        SPARE * (sum(members) if config.role is Role.CONTROLLER else config.max_bindings or 0)
    )


class Controller:
    """The cluster's one Home Agent, as mobile nodes see it."""

    kernels: str | None = "relaying"

    def __init__(self, config: AgentConfig, clock: Callable[[], Moment]) -> None:
        self._config = config
        self._clock = clock
        self._fit: Fit | None = None
        self.clear()

    def clear(self) -> None:
        config = self._config
        table = Table(rows_for(config), seed(config))
        pending = table.beside(PENDING)
        self.tables: tuple[Table, ...] = (table, pending)
        self.slots = Slots(len(config.members))
        self.cluster = self._make(config)

    def _make(self, config: AgentConfig, before: Cluster | None = None) -> Cluster:
        table, pending = self.tables
        cluster = Cluster(config, table, pending, self.slots, LeastLoaded(), before)
        if self._fit is not None:
            cluster.quicken(self._fit)
        return cluster

    def quicken(self, kernels: ModuleType) -> None:
        self._fit = kernels.fit
        self.cluster.quicken(kernels.fit)

    def reconfigure(self, config: AgentConfig, now: Moment) -> None:
        self._config = config
        slots = Slots(len(config.members))
        slots.apply(self.slots.snapshot())
        self.slots = slots
        self.cluster = self._make(config, self.cluster)
        self.cluster.apply(b"", now)  # it sees to what is pending already

    def receive(self, ring: Ring, now: Moment) -> Outcome:
        decided = self.cluster.receive_batch(ring.batch, now)
        for payload, source, _ in ring.alone:
            decided = _then(decided, self.cluster.receive(payload, source, now))
        return decided

    def next_deadline(self) -> float | None:
        return self.cluster.next_deadline()

    def handle_timer(self, now: Moment) -> Iterable[Effect]:
        return self.cluster.handle_timer(now)

    def expect(self, rows: int, names: int) -> None:
        self.tables[0].expect(rows, names)

    def apply(self, records: bytes) -> None:
        self.cluster.apply(records, self._clock())

    def digest(self) -> int:
        return self.cluster.digest()

    @property
    def networks(self) -> MobileNetworks:
        """Behind the mobile routers of all members."""
        return self.cluster.networks

    def snapshot(self) -> Iterator[bytes]:
        return self.cluster.snapshot()

    def counted(self) -> dict[str, int]:
        counters = self.cluster.counters
        return {field.name: getattr(counters, field.name) for field in fields(counters)}

    def serving(self, slot: int) -> int | None:
        return int(self.slots.member_of[slot])


class Member:
    """A Home Agent of the cluster, or a backup."""

    kernels: str | None = "serving"

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._kernels: ModuleType | None = None
        self.clear()

    def quicken(self, kernels: ModuleType) -> None:
        self._kernels = kernels
        self.home_agent.quicken(kernels.fit, kernels.digest_key)

    def _make(self, config: AgentConfig) -> HomeAgent:
        home_agent = HomeAgent(config, self.tables[0], os.urandom)
        if self._kernels is not None:
            home_agent.quicken(self._kernels.fit, self._kernels.digest_key)
        return home_agent

    def clear(self) -> None:
        config = self._config
        self.tables: tuple[Table, ...] = (Table(rows_for(config), seed(config)),)
        self.home_agent = self._make(config)
        number = [member.name for member in config.members].index(config.name)
        slots = Slots(len(config.members))
        self.holdings = Holdings(number, slots.home_slots(number))

    def reconfigure(self, config: AgentConfig, now: Moment) -> None:  # noqa: ARG002  time is no matter
        self._config = config
        counters = self.home_agent.counters
        self.home_agent = self._make(config)
        self.home_agent.counters = counters
        if any(realm.assigns for realm in config.realms):
            for block in self.tables[0].snapshot():
                self.home_agent.apply(block)  # tells the pools what is taken

    def receive(self, ring: Ring, now: Moment) -> Outcome:
        decided = self.home_agent.receive_batch(ring.batch, ring.destination, now)
        for payload, source, destination in ring.alone:
            decided = _then(decided, self.home_agent.receive(payload, source, destination, now))
        return decided

    def next_deadline(self) -> float | None:
        return self.home_agent.next_deadline()

    def handle_timer(self, now: Moment) -> Iterable[Effect]:
        return self.home_agent.handle_timer(now)

    def answered(self, number: int, answer: Answer, now: Moment) -> Iterable[Effect]:
        """What the AAA server said to a question."""
        return self.home_agent.answered(number, answer, now)

    def expect(self, rows: int, names: int) -> None:
        self.tables[0].expect(rows, names)

    def apply(self, records: bytes) -> None:
        self.home_agent.apply(records)
        self.holdings.apply(records)

    def digest(self) -> int:
        return self.tables[0].digest()

    def snapshot(self) -> Iterator[bytes]:
        held = self.holdings.snapshot()
        if held:
            yield held
        yield from self.home_agent.snapshot()

    @property
    def bindings(self) -> int:
        return len(self.tables[0])

    @property
    def requests(self) -> int:
        """Registrations and deregistrations that have come so far."""
        return sum(self.home_agent.counters.requests)

    def counted(self) -> dict[str, int]:
        counters = self.home_agent.counters
        return {
            **counters.mib(),
            "retransmissions": counters.retransmissions,
            "revocationsReceived": counters.revocations_received,
            "revocationsAcknowledged": counters.revocations_acknowledged,
            **{f"discarded: {why}": count for why, count in counters.discarded.items()},
        }

    def serving(self, slot: int) -> int | None:  # noqa: ARG002  whatever it is
        return None


def _then(decided: Outcome, effects: Iterable[Effect]) -> Outcome:
    """And of a datagram that no row of the batch holds."""
    longer = outcome_of(effects)
    return replace(
        decided,
        records=decided.records + longer.records,
        effects=decided.effects + longer.effects,
    )
