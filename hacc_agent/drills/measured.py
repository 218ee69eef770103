"""What a run of a drill found. Times are seconds from the begin of its timeline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .faults import Stage


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the cluster, as the controller that decides sees it."""

    name: str
    routers: tuple[str, ...]  # one; of a pair of IOS routers both
    agent: bool  # whether it runs hacc-agent
    backup: bool
    state: str
    bindings: int
    pending: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The cluster at a moment."""

    controllers: tuple[str, ...]
    leader: str | None  # None: nobody decides
    members: tuple[Member, ...]

    @property
    def bindings(self) -> int:
        return sum(one.bindings for one in self.members)

    def member(self, name: str) -> Member:
        return next(one for one in self.members if one.name == name)


@dataclass(frozen=True, slots=True)
class Struck:
    """A step of the timeline as it was done."""

    step: int  # of the timeline, from 0
    fault: str  # in words
    routers: tuple[str, ...]
    members: tuple[str, ...]  # of these, by their names in the cluster
    begin_s: float
    end_s: float | None = None  # mended
    lasts: bool = True  # else it was over at once, and nothing of it is mended


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a router told of itself."""

    at_s: float
    router: str
    event: str
    details: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outages:
    """How long some of them were out, in ms, of those that lost anything.

    An outage lasts from the last packet that came through before a loss to the first one after it:
    the longest one of each. It is an upper bound, by the time between two packets at most.
    """

    watched: int
    struck: int  # lost something
    silent: int  # never came back, or never were there
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0

    @classmethod
    def of(cls, watched: int, outages_ms: Sequence[float], silent: int = 0) -> Outages:
        """`outages_ms`: one for each that lost something and came back."""
        found = sorted(outages_ms)
        if not found:
            return cls(watched, silent, silent)
        quantiles = (_quantile(found, share) for share in (0.5, 0.95, 0.99, 1.0))
        return cls(watched, len(found) + silent, silent, *quantiles)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed (nearest rank)."""
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)


@dataclass(frozen=True, slots=True)
class Packets:
    """Between a correspondent and subscribers, there and back."""

    sent: int = 0
    answered: int = 0
    lost_there: int = 0  # never at the subscriber
    lost_back: int = 0  # not between it and the correspondent
    doubled: int = 0
    reordered: int = 0  # behind one that left later, of the same subscriber


@dataclass(frozen=True, slots=True)
class Bin:
    """A piece of the traffic's course: packets that left in it."""

    at_s: float
    sent: int
    answered: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A whole run."""

    drill: str
    stage: Stage
    began: float  # Unix time, s
    seconds: float
    before: Standing
    after: Standing
    struck: tuple[Struck, ...]
    events: tuple[Happening, ...]  # by their moments
    subscribers: Outages
    registered: int  # subscribers, at the end
    packets: Packets = Packets()
    course: tuple[Bin, ...] = ()
    addresses: Mapping[str, Outages] = field(default_factory=dict)  # "group 198.18.1.254" -> ...
    bindings_before: int = 0  # that the controllers hold, before the first fault
    bindings_lost: int = 0  # of these, that nobody holds at the end
    bindings_doubled: int = 0  # served by two members at the end
    interrupted: bool = False
    restored: bool = True  # nothing that the drill broke is left
    seed: int = 0

    @property
    def struck_members(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for one in self.struck for name in one.members))
