"""What a speaker wants done, in this order: a shell does it, whole lists at a time.

Taking an address comes before the messages that say so, giving it up before those that let somebody
else have it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from ...wire.hsrp import State


class Place(NamedTuple):
    """Which group of which interface."""

    interface: str
    version: int
    group: int


@dataclass(frozen=True, slots=True)
class Own:
    """Take the virtual MAC and these addresses: the group is active."""

    place: Place
    addresses: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Give them up."""

    place: Place


@dataclass(frozen=True, slots=True)
class Send:
    """A message; from the virtual MAC address if the group is active (RFC 2281, 6.1)."""

    place: Place
    payload: bytes
    virtual: bool


@dataclass(frozen=True, slots=True)
class GratuitousArp:
    """Tell everybody where these addresses are now."""

    place: Place
    addresses: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """Another state, and why: the event's text, or the operator's wish."""

    place: Place
    before: State
    after: State
    why: str


class Suspicion(enum.Enum):
    """What an operator has to hear of. What is marked is not obeyed either."""

    AUTHENTICATION = "a message whose authentication does not hold"  # not obeyed
    NO_SUCH_GROUP = "a message for a group that is not ours"  # not obeyed
    MALFORMED = "octets that are no message"  # not obeyed
    STRANGER = "a message from an address outside the network of the interface"  # not obeyed
    DUPLICATE_ADDRESS = "a message from our own address"  # not obeyed
    DIFFERENT_ADDRESS = "another virtual address for our group"
    DUPLICATE_PRIORITY = "a router of the same priority: the higher address decides"
    COUP_STORM = "coups and contradictions faster than hellos: answered once a hello time"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is not right, told once, and after a while with how often it was seen."""

    reason: Suspicion
    interface: str
    group: int  # -1: none
    source: IPv4Address
    detail: str = ""
    times: int = 1


Effect = Own | Release | Send | GratuitousArp | Changed | Alarm
