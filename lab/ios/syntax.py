"""The language in which a command is written down: keywords, values, choices, and a slash.

See grammar.py for how it is read; the kinds of values are here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .names import full_name

Take = Callable[[Sequence[str], int], "tuple[str, int] | None"]
"""Reads a value at a position: its canonical form and how many words it took, or None."""


def _one(canonical: Callable[[str], str | None]) -> Take:
    def take(words: Sequence[str], at: int) -> tuple[str, int] | None:
        value = canonical(words[at])
        return None if value is None else (value, 1)

    return take


def address(word: str) -> str | None:
    """A dotted IPv4 address without its leading zeros; None for anything else."""
    parts = word.split(".")
    if len(parts) != 4:
        return None
    for part in parts:
        if not (part.isascii() and part.isdigit()) or len(part) > 3 or int(part) > 255:
            return None
    return ".".join(str(int(part)) for part in parts)


def _mask(word: str) -> str | None:
    value = address(word)
    if value is None:
        return None
    bits = 0
    for part in value.split("."):
        bits = bits << 8 | int(part)
    return value if (bits | (bits - 1)) == 0xFFFFFFFF or bits == 0 else None


def _hexadecimal(word: str) -> str | None:
    return word.lower() if re.fullmatch(r"(?:0x)?[0-9A-Fa-f]+", word) else None


def _spi(word: str) -> str | None:
    """An SPI: hexadecimal without 0x on IOS, 100 to FFFFFFFF (0-255 are reserved, RFC 5944 1.6)."""
    if not re.fullmatch(r"[0-9A-Fa-f]{1,8}", word) or int(word, 16) < 0x100:
        return None
    return format(int(word, 16), "X")


def _interface(words: Sequence[str], at: int) -> tuple[str, int] | None:
    name = full_name(words[at])
    if name is not None:
        return name, 1
    if at + 1 < len(words) and words[at].replace("-", "").isalpha():
        name = full_name(f"{words[at]} {words[at + 1]}")
        if name is not None:
            return name, 2
    return None


def _word(word: str) -> str | None:
    return word


def _letters(word: str) -> str | None:
    return word if not word[0].isdigit() else None


KINDS: Mapping[str, tuple[int, Take]] = {
    # kind: (precedence where several fit: the narrow before the wide, how it is read)
    "ip": (1, _one(address)),
    "mask": (1, _one(_mask)),
    "spi": (2, _one(_spi)),
    "hex": (2, _one(_hexadecimal)),
    "if": (3, _interface),
    "name": (4, _one(_letters)),  # a word that no number can be taken for
    "word": (5, _one(_word)),
    "line": (6, _one(_word)),  # the rest of the line as it was typed; read by the automaton
}


@dataclass(frozen=True, slots=True)
class Value:
    """A place for a value in a syntax."""

    name: str
    kind: str

    @property
    def precedence(self) -> int:
        return KINDS[self.kind][0] if self.kind in KINDS else 0


def _take_range(low: int, high: int) -> Take:
    def number(word: str) -> str | None:
        if not (word.isascii() and word.isdigit()) or len(word) > 10:
            return None
        return str(int(word)) if low <= int(word) <= high else None

    return _one(number)


def reader(kind: str) -> Take:
    """The reader of a kind: of KINDS, or a range such as `0-255`."""
    if kind in KINDS:
        return KINDS[kind][1]
    low, _, high = kind.partition("-")
    return _take_range(int(low), int(high))


# --- a syntax as a tree -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Keyword:
    word: str
    capture: str = ""


@dataclass(frozen=True, slots=True)
class Sequence_:
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    parts: tuple[Part, ...]
    optional: bool = False
    repeat: bool = False


Part = Keyword | Value | Sequence_ | Choice
_TOKEN = re.compile(r"\[|\]|\(|\)\*?|<[^>]*>|\||/(?= |$)|[^\s\[\]()|<>]+")


def parse_syntax(syntax: str) -> tuple[Sequence_, Sequence_]:
    """The identity and the value of a syntax: what stands before and after its slash."""
    tokens = _TOKEN.findall(syntax)

    def sequence(stop: str) -> Part:
        choices: list[Part] = []
        parts: list[Part] = []
        while tokens and tokens[0] not in stop.split():
            token = tokens.pop(0)
            if token == "|":
                choices.append(Sequence_(tuple(parts)))
                parts = []
            elif token == "[":
                parts.append(Choice((sequence("]"),), optional=True))
                tokens.pop(0)
            elif token == "(":
                inner = sequence(") )*")
                parts.append(Choice((inner,), repeat=tokens.pop(0) == ")*"))
            elif token.startswith("<"):
                parts.append(_value(token[1:-1]))
            else:
                parts.append(Keyword(token))
        if choices:
            return Choice((*choices, Sequence_(tuple(parts))))
        return Sequence_(tuple(parts))

    identity = sequence("/")
    assert isinstance(identity, Sequence_), syntax
    if not tokens:
        return identity, Sequence_(())
    tokens.pop(0)
    value = sequence("")
    return identity, value if isinstance(value, Sequence_) else Sequence_((value,))


def _value(inside: str) -> Part:
    name, colon, kind = inside.partition(":")
    if "|" in kind or kind.startswith("="):
        return Choice(tuple(Keyword(word, name) for word in kind.lstrip("=").split("|")))
    if "=" in kind:
        return Choice((Value(name, kind.partition("=")[0]),), optional=True)
    value = Value(name, kind if colon else name)
    reader(value.kind)  # a misspelt kind fails here, when the tables are built
    return value


def template_of(part: Part) -> str:
    """The identity as a text with `{name}` for its values: the key of a line, given them."""
    match part:
        case Keyword(word, capture):
            return f"{{{capture}}}" if capture else word
        case Value(name, _):
            return f"{{{name}}}"
        case Sequence_(parts):
            return " ".join(template_of(inner) for inner in parts)
        case Choice(parts):
            captured = {inner.capture for inner in parts if isinstance(inner, Keyword)}
            if len(captured) == 1 and "" not in captured:
                return f"{{{captured.pop()}}}"
            return " ".join(template_of(inner) for inner in parts)


def implied_of(syntax: str) -> tuple[tuple[int, str, str], ...]:
    """(position, name, value) of the values of a syntax that may be left out."""
    found = []
    for position, token in enumerate(_TOKEN.findall(syntax)):
        name, _, kind = token.strip("<>").partition(":")
        _, equals, value = kind.partition("=")
        if token.startswith("<") and equals and not kind.startswith("="):
            found.append((position, name, value))
    return tuple(found)
