"""Requests that wait for the AAA server (RFC 4721): each is asked about once, and not for ever."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..effects import AskAaa, Endpoint
from .case import Case

MOST: Final = 10_000
"""That may wait; a request more is dropped, its mobile node asks again."""

PATIENCE_S: Final = 60.0
"""After which a question counts as unanswered, whatever became of who had to ask it."""


class Question(NamedTuple):
    """A request as it came."""

    payload: bytes
    source: Endpoint
    destination: int
    name: bytes  # of the mobile node, as the AAA server knows it
    until: float  # s, steady


class Questions:
    __slots__ = ("_asked", "_last", "_open")

    def __init__(self) -> None:
        self._open: dict[int, Question] = {}  # in the order of their ends
        self._asked: set[bytes] = set()
        self._last = 0

    def ask(self, case: Case) -> AskAaa | str:
        """The question about a request, or why it is not asked."""
        if case.payload in self._asked:
            return "aaa-asked-already"
        if len(self._open) >= MOST:
            return "aaa-busy"
        self._last += 1
        until = case.now.steady + PATIENCE_S
        self._open[self._last] = Question(
            case.payload, case.source, case.destination, case.name, until
        )
        self._asked.add(case.payload)
        covered, authenticator, spi = case.for_aaa
        challenge = case.challenge.challenge if case.challenge is not None else b""
        return AskAaa(self._last, case.name, covered, authenticator, challenge, spi)

    def close(self, number: int) -> Question | None:
        """Answered, or given up."""
        question = self._open.pop(number, None)
        if question is not None:
            self._asked.discard(question.payload)
        return question

    def next_end(self) -> float | None:
        return next(iter(self._open.values())).until if self._open else None

    def late(self, now: float) -> list[int]:
        return [number for number, each in self._open.items() if each.until <= now]
