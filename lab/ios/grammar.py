"""How a line that a person types becomes a command: one small language, one automaton per mode.

A command's *syntax* is written as the command references write it:

    standby <group:0-4095> timers / [msec] <hello:1-60000> [msec] <hold:1-60000>

    word                a keyword; any unique prefix of it is enough
    <name:kind>         a value; KINDS lists the kinds, `1-255` is a range, `in|out` a choice of
                        keywords, `=msec` one keyword that is to be remembered
    <name:kind=value>   the same, but it may be left out, and then it is this value
    [ ... ]             optional             ( a | b )   one of          ( a | b )*   any number
    /                   what stands before it says *which* setting this is, what follows its value

The slash is the heart of it. Two lines with the same words before the slash overwrite each other
(`standby 1 priority 110`, then `120`); a command without a slash is its own identity, so it lives
beside others of its kind (`ip route ...`). `no` needs only the words before the slash.

All commands of a mode form one non-deterministic automaton; its deterministic twin is built
lazily, state by state, so parsing a word is one dictionary look-up and parsing a line that was
seen before is one more. Where a keyword and a value both fit, the keyword wins, as on IOS, and
the beginning of two keywords is ambiguous even where a value would do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from .syntax import Choice, Keyword, Part, Sequence_, Take, Value, parse_syntax, reader


class HasSyntax(Protocol):
    @property
    def syntax(self) -> str: ...

    @property
    def implied(self) -> tuple[tuple[int, str, str], ...]: ...


C = TypeVar("C", bound=HasSyntax)


@dataclass(frozen=True, slots=True)
class Parsed(Generic[C]):
    """A line that is understood. Shared between sessions: never changed."""

    command: C
    text: str  # canonical: every keyword in full, every value in its one form
    args: Mapping[str, str]
    exact: bool  # every keyword is written out


@dataclass(frozen=True, slots=True)
class Unknown:
    """A line that is not: what is wrong, and the column, from 0, of the word that is."""

    column: int
    kind: str  # invalid, incomplete, ambiguous


@dataclass(slots=True)
class _State(Generic[C]):
    """A state of the deterministic automaton."""

    keywords: dict[str, tuple[frozenset[int], tuple[str, ...]]]
    values: list[tuple[Value, Take, frozenset[int]]]
    accepts: C | None
    found: dict[str, tuple[str, tuple[str, ...], frozenset[int]] | str] = field(
        default_factory=dict
    )


_WORD = re.compile(r"\S+")
_CACHE_LIMIT = 50_000  # lines: about 20 MB; the same lines come again and again, from every device


class Grammar(Generic[C]):
    """All commands that one mode understands. `negative` makes the grammar of their `no` forms."""

    def __init__(self, commands: Iterable[C], *, negative: bool = False) -> None:
        self._epsilon: list[list[int]] = [[]]
        self._edges: list[list[tuple[Keyword | Value, int]]] = [[]]
        self._accepting: dict[int, tuple[int, C]] = {}
        self._states: dict[frozenset[int], _State[C]] = {}
        self._cache: dict[str, Parsed[C] | Unknown] = {}
        for rank, command in enumerate(commands):
            identity, value = parse_syntax(command.syntax)
            middle = self._lay(identity, 0)
            if negative and value.parts:
                value = Sequence_((Choice((value,), optional=True),))
            self._accepting[self._lay(value, middle)] = (rank, command)
        self._start = self._close({0})

    def _new(self) -> int:
        self._epsilon.append([])
        self._edges.append([])
        return len(self._edges) - 1

    def _lay(self, part: Part, start: int) -> int:
        """Add a part to the automaton after a state; answers the state in which it is done."""
        match part:
            case Sequence_(parts):
                at = start
                for inner in parts:
                    at = self._lay(inner, at)
                return at
            case Choice(parts, optional, repeat):
                begin, done = self._new(), self._new()
                self._epsilon[start].append(begin)
                for inner in parts:
                    self._epsilon[self._lay(inner, begin)].append(done)
                if repeat:
                    self._epsilon[done].append(begin)
                if optional or repeat:
                    self._epsilon[begin].append(done)
                return done
            case _:
                done = self._new()
                self._edges[start].append((part, done))
                return done

    def _close(self, states: Iterable[int]) -> frozenset[int]:
        seen: set[int] = set()
        left = list(states)
        while left:
            state = left.pop()
            if state not in seen:
                seen.add(state)
                left.extend(self._epsilon[state])
        return frozenset(seen)

    def _state(self, states: frozenset[int]) -> _State[C]:
        known = self._states.get(states)
        if known is not None:
            return known
        keywords: dict[str, tuple[set[int], set[str]]] = {}
        values: dict[Value, set[int]] = {}
        for state in sorted(states):
            for edge, target in self._edges[state]:
                if isinstance(edge, Keyword):
                    targets, captures = keywords.setdefault(edge.word, (set(), set()))
                    targets.add(target)
                    if edge.capture:
                        captures.add(edge.capture)
                else:
                    values.setdefault(edge, set()).add(target)
        accepted = sorted(
            (self._accepting[state] for state in states if state in self._accepting),
            key=lambda pair: pair[0],
        )
        built: _State[C] = _State(
            keywords={
                word: (self._close(targets), tuple(sorted(captures)))
                for word, (targets, captures) in keywords.items()
            },
            values=[
                (value, reader(value.kind), self._close(targets))
                for value, targets in sorted(values.items(), key=lambda pair: pair[0].precedence)
            ],
            accepts=accepted[0][1] if accepted else None,
        )
        self._states[states] = built
        return built

    @staticmethod
    def _keyword(state: _State[C], word: str) -> tuple[str, tuple[str, ...], frozenset[int]] | str:
        """The keyword that a word means here, or `""` for none and `"ambiguous"` for several."""
        found = state.found.get(word)
        if found is None:
            low = word.lower()
            if low in state.keywords:
                targets, captures = state.keywords[low]
                found = (low, captures, targets)
            else:
                fits = [known for known in state.keywords if known.startswith(low)]
                if len(fits) == 1:
                    targets, captures = state.keywords[fits[0]]
                    found = (fits[0], captures, targets)
                else:
                    found = "ambiguous" if fits else ""
            if len(state.found) < 1000:
                state.found[word] = found
        return found

    def parse(self, line: str) -> Parsed[C] | Unknown:
        known = self._cache.get(line)
        if known is None:
            known = self._parse(line)
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            self._cache[line] = known
        return known

    def _parse(self, line: str) -> Parsed[C] | Unknown:
        matches = list(_WORD.finditer(line))
        words = [match[0] for match in matches]
        text: list[str] = []
        args: dict[str, str] = {}
        states = self._start
        exact = True
        at = 0
        while at < len(words):
            state = self._state(states)
            found = self._keyword(state, words[at])
            if isinstance(found, tuple):
                word, captures, states = found
                exact = exact and word == words[at].lower()
                text.append(word)
                for capture in captures:
                    args[capture] = word
                at += 1
                continue
            for value, take, targets in state.values if not found else ():
                if value.kind == "line":
                    taken: tuple[str, int] | None = (
                        line[matches[at].start() :].rstrip(),
                        len(words) - at,
                    )
                else:
                    taken = take(words, at)
                if taken is not None:
                    text.append(taken[0])
                    args[value.name] = taken[0]
                    at += taken[1]
                    states = targets
                    break
            else:
                return Unknown(matches[at].start(), found or "invalid")
        accepts = self._state(states).accepts
        if accepts is None:
            return Unknown(len(line), "incomplete")
        for position, name, implied in accepts.implied:
            if name not in args:
                args[name] = implied
                text.insert(position, implied)
        return Parsed(accepts, " ".join(text), args, exact)

    def expects(self, line: str) -> list[str]:
        """What may follow a beginning of a line: the answer to `?`."""
        states = self._start
        words = line.split()
        at = 0
        while at < len(words):
            state = self._state(states)
            found = self._keyword(state, words[at])
            if isinstance(found, tuple):
                states = found[2]
                at += 1
                continue
            for value, take, targets in state.values:
                taken = (words[at], len(words) - at) if value.kind == "line" else take(words, at)
                if taken is not None:
                    states, at = targets, at + taken[1]
                    break
            else:
                return []
        state = self._state(states)
        shown = sorted(state.keywords)
        shown += [
            f"<{value.kind}>" if value.kind[0].isdigit() else value.kind.upper()
            for value, _, _ in state.values
        ]
        return shown + (["<cr>"] if state.accepts is not None else [])
