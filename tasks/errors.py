"""What a refusal looks like: where, what was found, what is allowed, what to do, the exit code."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


class Exit(enum.IntEnum):
    """Exit codes of `hacc`: a contract with scripts, see docs/reference.md."""

    OK = 0
    USAGE = 1  # usage, or input that does not validate
    CHANGES = 2  # changes pending, or drift
    DEVICE = 3  # a router failed
    REVERTED = 4  # verification failed, rolled back
    BROKEN = 5  # the rollback failed
    STALE = 6  # the plan is stale
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file that a person wrote. Lines count from 1; 0 means the file as a whole."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Fields:
    """Where the values of a record stand that have a line of their own, apart from the record's."""

    known: tuple[tuple[str, Place], ...] = ()

    def __or__(self, more: Fields) -> Fields:
        return Fields(self.known + more.known)

    def of(self, name: str) -> Place | None:
        for each, place in self.known:
            if each == name:
                return place
        return None


NO_FIELDS: Final = Fields()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, told so that it can be mended without a second question."""

    place: Place | None
    subject: str  # the path of the thing: "controllers.redundancy.hello_ms", or a host's name
    message: str  # what was found: "'12' is not a standby group of HSRP version 1"
    allowed: str = ""  # what would be right: "0-255"
    hint: str = ""  # what to do: "use version: 2 for groups up to 4095"
    also: tuple[Place, ...] = ()  # the other places that disagree with this one

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        parts = [f"{where}{self.subject}: {self.message}"]
        if self.also:
            parts.append(f"(disagrees with {', '.join(map(str, self.also))})")
        if self.allowed:
            parts.append(f"(allowed: {self.allowed})")
        if self.hint:
            parts.append(f"[hint: {self.hint}]")
        return " ".join(parts)


class HaccError(Exception):
    """Base of every error that a user may see. Carries all its problems and the exit code."""

    exit: Exit = Exit.USAGE

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
