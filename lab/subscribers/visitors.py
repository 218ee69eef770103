"""The visitor list: what a Foreign Agent knows of the mobile nodes on its link (RFC 5944, 3.7.1).

A visitor that registers again keeps its entry until the Home Agent has said yes to the new request;
that one waits beside it (3.7.2). Replies are found by what they share with their request for
certain, the low half of its Identification, and then told apart by home address and NAI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hacc_agent.wire import LOW_32

from .wheel import TimingWheel

Identity = bytes | int
"""The NAI where there is one, else the home address (RFC 2794, 3)."""

PENDING_S: Final = 7.0
"""Seconds after which a request that nobody answers may be forgotten (3.7.1)."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that was relayed and not answered yet."""

    visitor: int  # who on the link sent it
    nai: bytes
    flags: int  # RequestFlags
    lifetime: int  # s, asked for
    home_address: int
    home_agent: int  # as the request says
    identification: int
    proven: bool  # it went out with a Foreign-Home Authentication Extension
    deadline: float

    @property
    def identity(self) -> Identity:
        return self.nai or self.home_address

    def matches(self, home_address: int, nai: bytes) -> bool:
        """Whether a reply with the same low 32 bits is the answer to this (3.7.3.1)."""
        if nai and self.nai:
            return nai == self.nai
        return self.home_address in (0, home_address)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A mobile node that is registered through this agent: all that a tunnel to it needs."""

    visitor: int
    nai: bytes
    home_address: int
    home_agent: int  # the tunnel's other end
    flags: int  # RequestFlags: encapsulation, reverse tunnel
    identification: int  # of the request that was accepted
    lifetime: int  # s, granted
    expires: float

    @property
    def identity(self) -> Identity:
        return self.nai or self.home_address


class VisitorList:
    """Registered and pending visitors, each found in one step."""

    __slots__ = ("_by_home", "_by_low", "_pending", "_visitors", "_wheel")

    def __init__(self) -> None:
        self._visitors: dict[Identity, Visitor] = {}
        self._pending: dict[Identity, Pending] = {}
        self._by_home: dict[int, Identity] = {}
        self._by_low: dict[int, list[Pending]] = {}
        self._wheel: TimingWheel[Pending | Visitor] = TimingWheel(0.1)

    def __len__(self) -> int:
        return len(self._visitors)

    def __iter__(self) -> Iterator[Visitor]:
        return iter(self._visitors.values())

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def next_deadline(self) -> float | None:
        return self._wheel.next_deadline

    def find(self, home_address: int) -> Visitor | None:
        """The registered visitor with this home address."""
        identity = self._by_home.get(home_address)
        return None if identity is None else self._visitors.get(identity)

    def wait(self, pending: Pending) -> None:
        """Remember a request, in place of an earlier one of the same visitor."""
        identity = pending.identity
        if (earlier := self._pending.get(identity)) is not None:
            self.settle(earlier)
        self._pending[identity] = pending
        self._by_low.setdefault(pending.identification & LOW_32, []).append(pending)
        self._wheel.set(pending.deadline, pending)

    def answered(self, home_address: int, nai: bytes, identification: int) -> Pending | None:
        """The request that a reply belongs to."""
        for pending in self._by_low.get(identification & LOW_32, ()):
            if pending.matches(home_address, nai):
                return pending
        return None

    def settle(self, pending: Pending) -> None:
        """It does not wait any more; the visitor's entry is untouched (3.7.3.2)."""
        del self._pending[pending.identity]
        low = pending.identification & LOW_32
        same = self._by_low[low]
        if len(same) == 1:
            del self._by_low[low]
        else:
            same.remove(pending)

    def admit(self, visitor: Visitor) -> None:
        """It is registered, in place of what it was before."""
        self.dismiss(visitor.identity)
        self._visitors[visitor.identity] = visitor
        self._by_home[visitor.home_address] = visitor.identity
        if visitor.expires != float("inf"):
            self._wheel.set(visitor.expires, visitor)

    def dismiss(self, identity: Identity) -> None:
        """It has left, or its lifetime is over."""
        gone = self._visitors.pop(identity, None)
        if gone is not None and self._by_home.get(gone.home_address) == identity:
            del self._by_home[gone.home_address]

    def due(self, now: float) -> tuple[Pending, ...]:
        """Forget who has expired; the requests that have waited too long are forgotten, too."""
        overdue = []
        for item in self._wheel.due(now):
            if isinstance(item, Pending):
                if self._pending.get(item.identity) is item:
                    self.settle(item)
                    overdue.append(item)
            elif self._visitors.get(item.identity) is item:
                self.dismiss(item.identity)
        return tuple(overdue)
