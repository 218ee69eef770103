"""Routes beyond the slices: who is bound here and lies in no prefix that this router announces.

A static home address is its mobile node's whichever member serves it, and a mobile network lies
where its router is bound (RFC 5177). Each has a route of its own, as long as the binding is here:
the longer prefix wins over the slice of whoever else announces it. An address that was assigned
comes from a slice: where a failover has scattered a slice, the controllers are its last resort.

A few get their routes at once. Many at a time are a transfer, whose slice is announced when it is
complete, and most of them lie in that: so they wait until no more come, and then some at a time get
theirs. Half a million, each on its own, would keep this router from its heartbeats.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .engine.effects import Moment
from .engine.record import Kind, Records, Trait
from .link import Say
from .roles import Member
from .ward import Announcer

MOST: Final = 10_000
"""Routes of this kind. What a link-state protocol carries without pain is less than what a Home
Agent may hold; of the others the controllers are the last resort."""

KEPT: Final = 2 * MOST
"""Addresses that are remembered; when one that has a route leaves, there are others."""

FEW: Final = 64  # in one batch of records, that are no transfer
QUIET_S: Final = 1.0  # s without many new ones: the transfer is over
LATEST_S: Final = 10.0  # s that they wait at most
AT_ONCE: Final = 256  # routes that one turn changes: a few milliseconds

_LONGEST: Final = 32


class Strays:
    """A part of the daemon, between who decides on slices and who has the routes."""

    def __init__(self, member: Member, lans: Iterable[IPv4Network], say: Say) -> None:
        """`lans`: whose mobile nodes are found by ARP, and need no route."""
        self._member, self._lans, self._say = member, tuple(lans), say
        self._routes: Announcer | None = None
        self._prefixes: frozenset[IPv4Network] = frozenset()
        self._routed: set[IPv4Network] = set()
        self._wanted: set[IPv4Network] | None = None  # None: to be found out
        self._homes: set[int] = set()
        self._more = False  # there are others that are not remembered
        self._due = False
        self._many = False  # have come since the last turn
        self._waits: float | None = None  # s of the steady clock: since when many wait
        self._quiet = 0.0  # s of the steady clock: when that is over
        self._told = False

    def through(self, routes: Announcer) -> Strays:
        """From now on these are its routes."""
        self._routes = routes
        return self

    # ------------------------------------------------------------------ slices

    def announce(self, prefixes: frozenset[IPv4Network]) -> None:
        """These and no others, and who is outside of them."""
        self._prefixes = prefixes
        self.load()
        if self._many:
            self._tell()
        else:
            self._change()

    def elsewhere(self, prefix: IPv4Network) -> bool:
        assert self._routes is not None
        return self._routes.elsewhere(prefix)

    # ------------------------------------------------------------------ bindings

    def load(self) -> None:
        """All that the table holds."""
        rows = self._member.tables[0].rows
        homes = self._outside(rows["home_address"][_static(rows)])
        self._more = len(homes) > KEPT
        before, self._homes = self._homes, set(homes[:KEPT].tolist())
        self._many |= len(self._homes - before) > FEW
        self._is_due()

    def follow(self, records: Records) -> None:
        """What has just been decided, and is so."""
        static = _static(records)
        if static.any():
            new = set(self._outside(records["home_address"][static]).tolist()) - self._homes
            if new:
                self._many |= len(new) > FEW
                self._more |= len(self._homes) + len(new) > KEPT
                self._homes.update(islice(new, max(0, KEPT - len(self._homes))))
                self._is_due()
        if self._homes:
            ended = records["home_address"][records["kind"] == Kind.UNBOUND]
            left = {
                home for home in self._homes.intersection(ended.tolist()) if not self._bound(home)
            }
            self._homes -= left
            if left and self._more and len(self._homes) < MOST:
                self.load()
            elif left:
                self._is_due()
        if (records["kind"] == Kind.NETWORK).any():
            self._is_due()

    def _is_due(self) -> None:
        self._due, self._wanted = True, None

    # ------------------------------------------------------------------ the daemon's part

    def fileno(self) -> None:
        return None

    def next_deadline(self) -> float | None:
        if not self._due:
            return None
        return 0.0 if self._many else self._quiet

    def handle(self, now: Moment) -> None:
        if self._many:
            self._many = False
            self._waits = now.steady if self._waits is None else self._waits
            self._quiet = min(now.steady + QUIET_S, self._waits + LATEST_S)
        if self._due and now.steady >= self._quiet:
            self._waits = None
            self._change()

    # ------------------------------------------------------------------ routes

    def _change(self) -> None:
        """Some of what is to be changed."""
        if self._wanted is None:
            self._wanted = self._beyond()
        new, old = self._wanted - self._routed, self._routed - self._wanted
        self._routed.update(islice(new, AT_ONCE))
        self._routed.difference_update(islice(old, max(0, AT_ONCE - len(new))))
        self._due = len(new) + len(old) > AT_ONCE
        self._tell()

    def _tell(self) -> None:
        if self._routes is not None:
            self._routes.announce(self._prefixes | self._routed)

    def _beyond(self) -> set[IPv4Network]:
        """What lies outside of our prefixes, as much as there may be."""
        beyond = set(self._member.home_agent.networks)
        room = max(0, MOST - len(beyond))
        if len(self._homes) > room or self._more:
            if not self._told:
                self._say("not all home addresses have a route", most=MOST)
            self._told = True
        beyond.update(IPv4Network((home, _LONGEST)) for home in sorted(self._homes)[:room])
        return set(sorted(beyond)[:MOST]) if len(beyond) > MOST else beyond

    def _outside(self, homes: NDArray[Any]) -> NDArray[Any]:
        """Of these those that lie in none of our prefixes, nor on a LAN."""
        outside = homes > 0
        for one in (*self._prefixes, *self._lans):
            first = np.uint32(int(one.network_address))
            outside &= homes - first >= one.num_addresses
        found: NDArray[Any] = homes[outside]
        return found

    def _bound(self, home: int) -> bool:
        table = self._member.tables[0]
        return any(table.get(row).kind == Kind.BINDING for row in table.rows_of(home))


def _static(records: Records) -> NDArray[Any]:
    """Bindings of mobile nodes with an address of their own."""
    found: NDArray[Any] = records["kind"] == Kind.BINDING
    found &= records["traits"] & np.uint8(Trait.DYNAMIC) == 0
    return found
