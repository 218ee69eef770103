"""What an engine wants done. A shell does it, in the order of `hacc_agent/daemon.py`:

    records -> journal and standby -> data plane -> datagrams -> logs

The order is the contract: nobody hears of a binding that a crash could still forget. What the data
plane has to do follows from the records (a BINDING to install, an UNBOUND to remove), so it needs
no effect of its own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from .. import config


class Endpoint(NamedTuple):
    """Where a datagram comes from or goes to."""

    address: int  # IPv4, host order
    port: int
    link: int = 0  # on a LAN: the neighbour's MAC address << 16 | index of the LAN; 0: by routing


class Moment(NamedTuple):
    """Now, by both clocks. Engines never ask."""

    steady: float  # s: Unix time at the daemon's start, monotonic since; deadlines and lifetimes
    wall: float  # s of Unix time: what Identifications are compared with (RFC 5944, 5.7.1)


@dataclass(frozen=True, slots=True)
class Log:
    """Records that have to be kept and replicated before anything after them happens."""

    records: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """A datagram of our own making."""

    payload: bytes
    destination: Endpoint
    source: int  # the address that it has to come from; its port is ours


@dataclass(frozen=True, slots=True)
class Relay:
    """A message passed on to a member, unchanged, as if its sender had sent it there."""

    payload: bytes
    source: Endpoint
    member: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """A member is to have all that the controller knows of these slots: they are its own now.

    `Cluster.bindings_of(slots)` has the records. Its first block belongs to mobile nodes that wait
    for a reply: it goes out before the datagrams that follow this effect.
    """

    member: int
    slots: tuple[int, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class Release:
    """A member that lives gives up what these slots hold: `HomeAgent.give_up` gets the records.

    Comes when the heir has confirmed its transfer.
    """

    member: int
    slots: tuple[int, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class Retract:
    """A member has accepted what it may not have: it gives up these bindings, with their names."""

    member: int
    records: bytes


class Security(enum.Enum):
    """What an operator has to hear of (RFC 5944, 3.8.2.1: a security exception is logged)."""

    NO_ASSOCIATION = "no mobility security association"
    MOBILE_AUTHENTICATOR = "the mobile node's authenticator does not hold"
    FOREIGN_AUTHENTICATOR = "the Foreign Agent's authenticator does not hold"
    AAA_REJECTED = "the AAA server rejects the mobile node"
    REPLAY = "the Identification is stale or was used before"
    UNEXPECTED_REPLY = "a reply that nobody waits for"
    WRONG_MEMBER = "a reply from a member that was not asked"
    NOT_A_PEER = "from an address that is no peer of ours"
    REVOCATION = "a revocation that does not prove who sent it"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One line of the security log, rate-limited by who writes it."""

    reason: Security
    source: Endpoint
    mobile: str  # NAI or home address, as far as it is known
    spi: int = 0


@dataclass(frozen=True, slots=True)
class AskAaa:
    """A mobile node's authenticator that only an AAA server can judge (RFC 4721).

    The answer comes back by `HomeAgent.answered` with the same number.
    """

    number: int
    nai: bytes  # or, of a mobile node without one, its home address in dotted form
    preceding: bytes  # octets that the authenticator covers
    authenticator: bytes
    challenge: bytes
    spi: int


class Verdict(enum.Enum):
    """What became of a question to the AAA server."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"  # no server answered in time, or there are too many questions


@dataclass(frozen=True, slots=True)
class Answer:
    """What the AAA server says of a mobile node."""

    verdict: Verdict
    security: config.Security | None = None  # the association that it hands out, if it does


Effect = Log | Send | Relay | Alarm | AskAaa | Transfer | Release | Retract
