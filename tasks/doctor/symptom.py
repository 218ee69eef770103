"""One thing that was looked at: as it should be, or what it costs and how it is mended."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.StrEnum):
    """The words are part of the JSON output."""

    WRONG = "wrong"  # something that this site needs will fail
    ADVICE = "advice"  # something does not work here that this site does not need, or not yet
    UNKNOWN = "unknown"  # it could not be looked at
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Symptom:
    """`what` names it in every run, whatever was found."""

    where: str  # a router, or "this machine"
    what: str
    state: State
    found: str
    remedy: str = ""


def good(where: str, what: str, found: str) -> Symptom:
    return Symptom(where, what, State.GOOD, found)


def wrong(where: str, what: str, found: str, remedy: str) -> Symptom:
    return Symptom(where, what, State.WRONG, found, remedy)


def advice(where: str, what: str, found: str, remedy: str) -> Symptom:
    return Symptom(where, what, State.ADVICE, found, remedy)


def unknown(where: str, what: str, found: str) -> Symptom:
    return Symptom(where, what, State.UNKNOWN, found)
