"""A drill, as its file says it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .faults import FAULTS, FaultKind, Role


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a step strikes: a host, or a word of `targets.WORDS` that becomes one when it begins."""

    role: Role
    which: str

    def __str__(self) -> str:
        return f"{self.role}: {self.which}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken, in the words of `faults`."""

    kind: FaultKind
    targets: tuple[Target, ...]
    daemon: str = "hacc-agent"
    direction: str = ""  # in, out: as the router sees it
    others: tuple[Target, ...] = ()  # the other side of a partition
    percent: float = 0.0
    every_s: float = 0.0  # between two flaps, or two routers of an upgrade
    ahead_s: float = 0.0  # of a clock; negative: it is behind

    def __str__(self) -> str:
        return f"{self.kind} {', '.join(map(str, self.targets))}"


@dataclass(frozen=True, slots=True)
class Step:
    """A fault on the timeline. Without an end it is mended when the drill is over."""

    at_s: float
    fault: Fault
    for_s: float | None = None

    @property
    def end_s(self) -> float | None:
        if not FAULTS[self.fault.kind].lasts:
            return self.at_s
        return None if self.for_s is None else self.at_s + self.for_s


@dataclass(frozen=True, slots=True)
class Subscribers:
    """Mobile nodes that register through Foreign Agents and answer packets."""

    number: int
    rate_hz: float  # packets a second to each of them; each is sent back
    registrations: float = 500.0  # new ones a second, until all are there
    renewals: float = 10.0  # a second, of all: a standby controller decides with the first request


class Leader(enum.StrEnum):
    """The controller that decides at the end, beside the one at the begin."""

    SAME = "same"
    OTHER = "other"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Expectation:
    """Who does what at the end, and how soon somebody notices."""

    detected_within_s: float | None = None  # from the first fault to the first event that names it
    leader: Leader = Leader.ANY
    struck: tuple[str, ...] = ()  # states that struck members may be in; none: any
    struck_serve: bool | None = None  # whether they have bindings; None: either


@dataclass(frozen=True, slots=True)
class OutageBudget:
    """At most, in ms. None: whatever it is."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What a drill may cost."""

    outage: OutageBudget = OutageBudget()  # of subscribers that lost a packet
    address_outage: OutageBudget = OutageBudget()  # of addresses that the controllers answer for
    bindings_lost: int = 0
    bindings_doubled: int = 0  # served by two members
    unregistered: int = 0  # subscribers, at the end
    packets_doubled: int | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """Everything that is to be done, and what may come of it."""

    name: str
    title: str
    purpose: str
    subscribers: Subscribers
    timeline: tuple[Step, ...]  # in the order of their moments
    settle_s: float  # after the last fault or mending of the timeline, while packets go on
    cluster: str = ""  # empty: the only one
    expect: Expectation = Expectation()
    budget: Budget = Budget()

    @property
    def seconds(self) -> float:
        """From the begin of the timeline to its end."""
        moments = [step.at_s if step.end_s is None else step.end_s for step in self.timeline]
        return max(moments, default=0.0) + self.settle_s
