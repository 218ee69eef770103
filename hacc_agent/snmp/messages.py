"""What the daemon and the process that asks members tell one another.

Messages are JSON in a socket of type SOCK_SEQPACKET, so that each arrives whole. Apart from
`asking`, since the daemon has no use for what that needs to ask.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..config import MemberKind
from ..engine.discovery.layer2 import Survey
from ..engine.health import Figures, Source, Trap, TrapKind
from ..engine.snmp.adjacency import Sighting
from .reader import Access

LARGEST = 1 << 20
"""Octets of a message: the list of 5,000 members is a quarter of it."""


@dataclass(frozen=True, slots=True)
class Whom:
    """A member: it is asked at the first of its addresses, and notifies from any.

    The routers of a pair, by name, are asked, notify and have neighbours on their own behalf.
    """

    kind: MemberKind
    addresses: tuple[str, ...]
    routers: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask, how, and how often."""

    access: Access
    port: int
    interval_s: float
    members: tuple[Whom, ...]  # in the configuration's order

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, message: bytes) -> Asked:
        told = json.loads(message)
        members = tuple(
            Whom(
                MemberKind(each["kind"]),
                tuple(each["addresses"]),
                tuple((name, tuple(addresses)) for name, addresses in each["routers"]),
            )
            for each in told["members"]
        )
        return cls(Access(**told["access"]), told["port"], told["interval_s"], members)


# What the process tells. Times are the daemon's to add: its clock is not ours.


@dataclass(frozen=True, slots=True)
class Silent:
    """A member that did not answer."""

    member: int
    reason: str


@dataclass(frozen=True, slots=True)
class Odd:
    """A member that said what nobody can believe; None: a stranger."""

    member: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Walked:
    """Some of the bindings that a member has."""

    member: int
    rows: Sequence[Sequence[int]]  # `Bound`s
    failure: str | None = None  # "": these were the last


Told = Figures | Silent | Odd | Trap | Walked | Survey


def encode(told: Told) -> bytes:
    return json.dumps([type(told).__name__, asdict(told)]).encode()


def decode(message: bytes, at: float) -> Told:
    """`at`: s of the steady clock."""
    kind, fields = json.loads(message)
    match kind:
        case "Figures":
            fields["source"] = Source(fields["source"])
            return Figures(**{**fields, "at": at})
        case "Silent":
            return Silent(**fields)
        case "Walked":
            return Walked(**fields)
        case "Survey":
            fields["seen"] = tuple(Sighting(*each) for each in fields["seen"])
            return Survey(**fields)
        case "Trap":
            fields["kind"] = TrapKind(fields["kind"])
            return Trap(**{**fields, "at": at})
        case _:
            return Odd(**fields)
