"""Which lines of a router are ours: the patterns that templates declare (`rendered.File.owns`)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


class Ownership:
    """Which running lines are ours: the patterns of `rendered.File.owns`.

    A last level `**` owns the contents at any depth. Without patterns everything is ours.
    """

    def __init__(self, patterns: Iterable[str] | None) -> None:
        self._whole = patterns is None
        self._top = tuple(
            tuple(_level(level) for level in pattern.split(" / ")) for pattern in patterns or ()
        )

    @property
    def top(self) -> Owned:
        return Owned(self._whole, _by_word(self._top))


# Its first word ("" for any), what matches a line, whether it is `**` alone.
_Level = tuple[str, Callable[[str], object], bool]
_Patterns = Sequence[tuple[_Level, ...]]


@functools.lru_cache(maxsize=1024)  # most patterns are those of every router
def _level(level: str) -> _Level:
    words = level.split()
    rest = words[-1] == "**"
    stem = words[:-1] if rest else words
    first = "" if "*" in words[0] else words[0]
    text = " ".join(stem)
    if stem and "*" not in text:
        # A router's own address stands in such a one: to compile an expression for each router
        # takes longer than to compare its whole configuration.
        return first, functools.partial(_begins, text) if rest else text.__eq__, False
    regex = " ".join(map(_word, stem))
    if rest:
        regex += r"(?: .*)?" if stem else ".*"
    return first, re.compile(regex, re.DOTALL).fullmatch, level == "**"


def _begins(words: str, line: str) -> bool:
    return line.startswith(words) and line[len(words) : len(words) + 1] in ("", " ")


def _word(word: str) -> str:
    """A word, of which `*` is all, or any part."""
    return r"\S+" if word == "*" else r"\S*".join(map(re.escape, word.split("*")))


def _by_word(patterns: _Patterns) -> dict[str, list[tuple[_Level, ...]]]:
    buckets: dict[str, list[tuple[_Level, ...]]] = {}
    for levels in patterns:
        buckets.setdefault(levels[0][0], []).append(levels)
    return buckets


@dataclass(frozen=True, slots=True)
class Owned:
    """The patterns that can still match below one section."""

    whole: bool
    patterns: Mapping[str, list[tuple[_Level, ...]]]

    def _candidates(self, line: str) -> Iterator[tuple[_Level, ...]]:
        word = line.split(" ", 1)[0]
        yield from self.patterns.get(word, ())
        yield from self.patterns.get("", ())

    def may(self, line: str) -> bool:
        """Whether the line, or something below it, might be ours: cheap, and never wrongly no."""
        word = line.split(" ", 1)[0]
        return self.whole or word in self.patterns or "" in self.patterns

    def owns(self, line: str) -> bool:
        return self.whole or any(
            len(levels) == 1 and levels[0][1](line) for levels in self._candidates(line)
        )

    def below(self, line: str) -> Owned:
        if self.whole:
            return self
        left: list[tuple[_Level, ...]] = []
        for levels in self._candidates(line):
            if len(levels) == 1:
                if levels[0][2]:
                    left.append(levels)
            elif levels[0][1](line):
                left.append(levels[1:])
        return Owned(False, _by_word(left))
