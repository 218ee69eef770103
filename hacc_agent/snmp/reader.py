"""One interface to whichever SNMP library there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..engine.snmp.objects import Oid, Value

TIMEOUT_S: Final = 1.0
"""For one try. A router's control processor answers in tens of milliseconds."""

TRIES: Final = 2
"""A lost datagram is no lost poll."""

REPETITIONS: Final = 25
"""Objects in one answer of a walk: below 1472 octets with names of 24 numbers."""

AT_ONCE: Final = 16
"""Names in one request: IOS answers tooBig to what does not fit into a datagram."""


@dataclass(frozen=True, slots=True)
class Access:
    """With which version and keys routers are read."""

    version: int
    community: str = field(default="", repr=False)
    user: str = ""
    auth: str = field(default="", repr=False)  # SHA
    priv: str = field(default="", repr=False)  # AES-128


class Unanswered(Exception):
    """No usable answer, and why. What is certain is that nothing was learned."""


class SnmpReader(Protocol):
    """Of any number of routers, each by its address; one request at a time to each."""

    at_once: int
    """Routers that it may be asked about at the same time."""

    async def get(self, address: str, names: Sequence[Oid]) -> dict[Oid, Value]:
        """Values by name, None for those that the router does not have. Raises `Unanswered`."""
        ...

    async def first(self, address: str, columns: Sequence[Oid]) -> dict[Oid, Oid]:
        """The first object below each name, of those that have one. Raises `Unanswered`."""
        ...

    async def walk(self, address: str, column: Oid, most: int) -> list[tuple[Oid, Value]]:
        """The first `most` objects below a name, in their order. Raises `Unanswered`."""
        ...

    def close(self) -> None: ...
