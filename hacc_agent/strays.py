"""Routes beyond the slices: who is bound here and lies in no prefix that this router announces.

A static home address is its mobile node's whichever member serves it, and a mobile network lies
where its router is bound (RFC 5177). Each has a route of its own, as long as the binding is here:
the longer prefix wins over the slice of whoever else announces it. An address that was assigned
comes from a slice: where a failover has scattered a slice, the controllers are its last resort.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
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

_LONGEST: Final = 32


class Strays:
    """A part of the daemon, between who decides on slices and who has the routes."""

    def __init__(self, member: Member, lans: Iterable[IPv4Network], say: Say) -> None:
        """`lans`: whose mobile nodes are found by ARP, and need no route."""
        self._member, self._lans, self._say = member, tuple(lans), say
        self._routes: Announcer | None = None
        self._prefixes: frozenset[IPv4Network] = frozenset()
        self._homes: set[int] = set()
        self._due = False
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
        self._announce()

    def elsewhere(self, prefix: IPv4Network) -> bool:
        assert self._routes is not None
        return self._routes.elsewhere(prefix)

    # ------------------------------------------------------------------ bindings

    def load(self) -> None:
        """All that the table holds."""
        rows = self._member.tables[0].rows
        self._homes = set(self._outside(rows[_static(rows)]["home_address"]).tolist())
        self._due = True

    def follow(self, records: Records) -> None:
        """What has just been decided, and is so."""
        static = _static(records)
        if static.any():
            found = set(self._outside(records["home_address"][static]).tolist())
            self._due |= not found <= self._homes
            self._homes |= found
        if self._homes:
            ended = records["home_address"][records["kind"] == Kind.UNBOUND]
            left = {
                home for home in self._homes.intersection(ended.tolist()) if not self._bound(home)
            }
            self._due |= bool(left)
            self._homes -= left
        self._due |= bool((records["kind"] == Kind.NETWORK).any())

    # ------------------------------------------------------------------ the daemon's part

    def fileno(self) -> None:
        return None

    def next_deadline(self) -> float | None:
        return 0.0 if self._due else None

    def handle(self, now: Moment) -> None:  # noqa: ARG002  what is due is due
        if self._due:
            self._announce()

    # ------------------------------------------------------------------ routes

    def _announce(self) -> None:
        self._due = False
        if self._routes is None:
            return
        beyond = {IPv4Network((home, _LONGEST)) for home in self._homes}
        beyond.update(self._member.home_agent.networks)
        if len(beyond) > MOST:
            beyond = set(sorted(beyond)[:MOST])
            if not self._told:
                self._say("not all home addresses have a route", most=MOST)
            self._told = True
        self._routes.announce(self._prefixes | beyond)

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
