"""Mobile nodes whose bindings nobody can install: they are made to register again.

A stock IOS member takes over nothing. When slots become its own, their mobile nodes are without a
Home Agent until they register the next time, which may be a lifetime away. Where Registration
Revocation was negotiated (RFC 3543, 3.2), their Foreign Agents are told that the bindings are over:
they tell the mobile nodes (4.2.3.1, bit I), which register at once, with the heir. Who agreed on
none waits; who waits can be asked for.

One message each, and not all at once: every one of them makes a registration.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...wire import LOW_32, ExtensionType, RegistrationRevocation, RevocationFlags, authenticate
from ..effects import Effect, Endpoint, Moment, Send
from ..ledger import SLOTS
from ..record import Row, Trait
from .state import FOREVER, State

PER_S: Final = 250
"""Revocations a second. A member that is full, with 500,000 bindings of half an hour, gets 278
renewals a second all the time: what it always bears it bears once more."""

LOOKS: Final = 4096
"""Bindings that are looked at for one call, whether their agents can be told or not."""


class Summons:
    def __init__(self, state: State) -> None:
        self._config = state.config
        self._table = state.ledger.table
        self._associations = state.answers.associations
        self._counters = state.counters
        self._since = np.zeros(SLOTS, np.int64)  # s of the steady clock; 0: not summoned
        self._rows: deque[Iterator[NDArray[Any]]] = deque()
        self._block: deque[int] = deque()
        self._sent_at = 0.0
        self._allowance = 0.0

    def issue(self, slots: Collection[int], now: Moment) -> None:
        """These slots are from now on a member's that has none of their bindings."""
        wanted = np.zeros(SLOTS, np.bool_)
        wanted[list(slots)] = True
        self._since[wanted] = int(now.steady)
        self._rows.append(self._table.bound_in(wanted))

    def withdraw(self, slots: Collection[int]) -> None:
        """They are a member's that takes their bindings over."""
        self._since[list(slots)] = 0

    @property
    def due(self) -> float | None:
        """s of the steady clock: when the next ones may go out."""
        return self._sent_at + 1 / PER_S if self._block or self._rows else None

    def send(self, now: Moment) -> list[Effect]:
        """As many as may go out by now."""
        if not self._block and not self._rows:
            return []
        self._allowance = min(PER_S, self._allowance + (now.steady - self._sent_at) * PER_S)
        self._sent_at = now.steady
        sent: list[Effect] = []
        for _ in range(LOOKS):
            if self._allowance < 1 or not self._next_block():
                break
            values = self._table.get(self._block.popleft())
            revocation = self._revocation(values, now) if self._waits(values) else None
            if revocation is not None:
                self._allowance -= 1
                self._counters.summoned += 1
                sent.append(revocation)
        return sent

    def waiting(self) -> Iterator[bytes]:
        """Records of the bindings whose member does not have them, in blocks."""
        for rows in self._table.bound_in(self._since > 0):
            waits = [row for row in rows.tolist() if self._waits(self._table.get(row))]
            if waits:
                yield self._table.records_of(np.array(waits))

    def _next_block(self) -> bool:
        while not self._block and self._rows:
            rows = next(self._rows[0], None)
            if rows is None:
                self._rows.popleft()
            else:
                self._block.extend(rows.tolist())
        return bool(self._block)

    def _waits(self, values: Row) -> bool:
        """Whether it was granted before its slot changed hands."""
        since = int(self._since[values.slot])
        granted = 0 if values.expires == FOREVER else values.expires - values.lifetime
        return granted < since

    def _revocation(self, values: Row, now: Moment) -> Send | None:
        agent = self._associations.of_foreign(values.source_address)
        if agent is None or not values.traits & Trait.REVOCABLE:
            return None
        flags = RevocationFlags.HOME_AGENT
        if values.traits & Trait.INFORM:
            flags |= RevocationFlags.INFORM
        message = RegistrationRevocation(
            flags,
            IPv4Address(values.home_address),
            IPv4Address(values.home_agent),
            IPv4Address(values.care_of_address),
            int(now.wall) + 1 & LOW_32,  # after any timestamp that its end has seen
        ).to_bytes()
        kind = ExtensionType.FOREIGN_HOME_AUTHENTICATION
        payload = authenticate(message, kind, agent.spi, agent.key)
        to = Endpoint(values.source_address, self._config.port)
        return Send(payload, to, int(self._config.home_agent_address))
