"""What a journal tells of a run: where each router is, and what was decided.

These records are written, and synchronised, before what they announce begins. So whoever reads them
after a crash knows of every router that may have been touched, and of every decision that the run
would have carried out; whether it got that far is asked of the router.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from .errors import Exit
from .journal import Entry, Journal


class Mark(enum.StrEnum):
    """A router's records, in the order of a change and of its way back."""

    BEGUN = "begun"  # from here on anything may have been sent
    REFUSED = "refused"  # the router refused, untouched
    APPLIED = "applied"  # in force, not confirmed
    CONFIRMING = "confirming"  # from here on it may be confirmed
    CHANGED = "changed"  # confirmed, saved, and kept by us
    RETURNED = "returned"  # proven to hold what it held before


_BEGINS: Final = "begins"
_PAUSES: Final = "pauses"
_RESUMES: Final = "resumes"
_GIVES_UP: Final = "gives up"
_RETURNS: Final = "returns"
_ENDS: Final = "ends"


def begins(journal: Journal, batch: str) -> None:
    journal.record("", "state", f"{_BEGINS}: {batch}")


def pauses(journal: Journal, why: str) -> None:
    journal.record("", "state", f"{_PAUSES}: {why}")


def resumes(journal: Journal, how: str) -> None:
    journal.record("", "state", f"{_RESUMES}: {how}")


def gives_up(
    journal: Journal,
    exit_: Exit,
    hosts: Iterable[str],
    failed: Iterable[str] = (),
    *,
    last: bool = False,
) -> None:
    """These routers go back, and are not begun again; `last`: and the run ends with that."""
    word = _RETURNS if last else _GIVES_UP
    parts = (str(int(exit_)), ",".join(hosts), ",".join(sorted(failed)))
    journal.record("", "state", f"{word}: {' '.join(part or '-' for part in parts)}")


def ends(journal: Journal, exit_: Exit) -> None:
    journal.record("", "state", f"{_ENDS}: {int(exit_)}")


@dataclass(frozen=True, slots=True)
class Story:
    """A journal, read."""

    marks: dict[str, Mark] = field(default_factory=dict)  # the last of each router
    given_up: frozenset[str] = frozenset()  # routers that go back, or have
    failed: frozenset[str] = frozenset()  # those whose failures count against the limit
    returning: bool = False  # it was on its way back, and not to go on after that
    exit: Exit = Exit.OK  # of the failure that it was going back for
    paused: str = ""  # why, if nothing came after that
    batch: str = ""  # the one under way, or the last

    def at(self, *marks: Mark) -> frozenset[str]:
        return frozenset(host for host, mark in self.marks.items() if mark in marks)

    @property
    def open(self) -> frozenset[str]:
        """Routers that something was begun on, and not finished."""
        return self.at(Mark.BEGUN, Mark.APPLIED, Mark.CONFIRMING)


def read(entries: Iterable[Entry]) -> Story:
    marks: dict[str, Mark] = {}
    given_up: set[str] = set()
    failed: set[str] = set()
    returning, exit_, paused, batch = False, Exit.OK, "", ""
    for entry in entries:
        if entry.kind != "state":
            continue
        if entry.host:
            marks[entry.host] = Mark(entry.text)
            continue
        word, _, text = entry.text.partition(": ")
        paused = text if word == _PAUSES else ""
        if word == _BEGINS:
            batch = text
        elif word in (_GIVES_UP, _RETURNS):
            code, out, culprits = text.split(" ")
            exit_ = Exit(int(code))
            given_up |= _names(out)
            failed |= _names(culprits)
            returning = returning or word == _RETURNS
    return Story(marks, frozenset(given_up), frozenset(failed), returning, exit_, paused, batch)


def _names(text: str) -> set[str]:
    return set() if text == "-" else set(text.split(","))
