"""Frozen dataclasses as TOML and back, with every error at once and the line of each.

The standard library reads TOML and cannot write it, and what it reads has no lines. Both gaps are
small for data of our shape: tables, arrays of tables, and values that fit on a line.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import functools
import json
import re
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Path = tuple[str | int, ...]

ADDRESSES = {
    IPv4Address: "an IPv4 address: 198.18.1.254",
    IPv4Interface: "an IPv4 address with its prefix length: 198.18.1.11/24",
    IPv4Network: "an IPv4 prefix without host bits: 198.18.1.0/24",
}


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, both included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Matches:
    """The form of a text, and how to tell a person."""

    form: re.Pattern[str]
    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong in a file. Line 0 is the file as a whole."""

    file: str
    line: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        subject = f"{self.path}: " if self.path else ""
        return f"{where}: {subject}{self.message}" + (f" [hint: {self.hint}]" if self.hint else "")


class ConfigError(Exception):
    """A file that cannot be loaded, with all that is wrong in it."""

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


# ------------------------------------------------------------------ writing


def encode(value: object) -> str:
    """TOML of a dataclass: its own values first, then its tables. Defaults are left out."""
    return "\n".join(_table(value, ())) + "\n"


def _table(value: object, path: tuple[str, ...]) -> Iterator[str]:
    assert dataclasses.is_dataclass(value)
    tables: list[tuple[str, Any]] = []
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if item is None or item == () or item == field.default:
            continue
        if dataclasses.is_dataclass(item):
            tables.append((field.name, item))
        elif isinstance(item, tuple) and dataclasses.is_dataclass(item[0]):
            tables.extend((field.name, (entry,)) for entry in item)
        else:
            yield f"{field.name} = {_scalar(item)}"
    for name, item in tables:
        below = (*path, name)
        yield ""
        if isinstance(item, tuple):
            yield f"[[{'.'.join(below)}]]"
            yield from _table(item[0], below)
        else:
            yield f"[{'.'.join(below)}]"
            yield from _table(item, below)


def _scalar(item: object) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int | float):
        return repr(item)
    if isinstance(item, tuple):
        return f"[{', '.join(map(_scalar, item))}]"
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped and JSON leaves.
    return json.dumps(str(item), ensure_ascii=False).replace("\x7f", "\\u007f")


# ------------------------------------------------------------------ lines

_HEADER = re.compile(r"\s*\[(?P<array>\[)?\s*(?P<path>[^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*(?P<key>[A-Za-z0-9_-]+|"[^"]*"|'[^']*')\s*=""")


def _lines(text: str) -> dict[Path, int]:
    """The line of every table and key. What stands inside a value counts as its key's line."""
    found: dict[Path, int] = {}
    arrays: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = ()
            words = [word.strip().strip("\"'") for word in header["path"].split(".")]
            for depth, word in enumerate(words, 1):
                table = (*table, word)
                if depth == len(words) and header["array"]:
                    arrays[table] = arrays.get(table, -1) + 1
                    found.setdefault(table, number)
                if table in arrays:
                    table = (*table, arrays[table])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key["key"].strip("\"'")), number)
    return found


@dataclass(frozen=True, slots=True)
class Tables:
    """Where things stand in a file."""

    file: str
    lines: Mapping[Path, int]

    def problem(self, path: Path, message: str, hint: str = "") -> ConfigProblem:
        """A problem at a path; what is missing is told at the table that lacks it."""
        line = next(
            (self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 0
        )
        return ConfigProblem(self.file, line, words(path), message, hint)


def words(path: Path) -> str:
    """`("members", 2, "spi")` as people write it: `members[2].spi`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).removeprefix(".")


# ------------------------------------------------------------------ reading


def decode(kind: type[T], text: str, file: str) -> tuple[T, Tables]:
    """The dataclass that a text holds. Raises `ConfigError` with all that is wrong in it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(at[1]) if at else len(text.splitlines())
        message = re.sub(r" \(at .*\)$", "", str(error))
        hint = "hacc writes this file: render it again instead of mending it by hand"
        raise ConfigError([ConfigProblem(file, line, "", f"not TOML: {message}", hint)]) from None
    reader = _Reader(Tables(file, _lines(text)))
    value = reader.dataclass(kind, data, ())
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda problem: problem.line))
    return cast(T, value), reader.tables


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


class _Reader:
    """Collects problems instead of stopping at one; what is wrong becomes `None` meanwhile."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.problems: list[ConfigProblem] = []

    def wrong(self, path: Path, message: str, hint: str = "") -> object:
        """Notes a problem; what is returned stands in for the value."""
        self.problems.append(self.tables.problem(path, message, hint))
        return None

    def dataclass(self, kind: type, data: object, path: Path) -> object:
        if not isinstance(data, dict):
            return self.wrong(path, f"found {data!r}", "a table belongs here")
        hints = _hints(kind)
        for key in data.keys() - hints.keys():
            near = difflib.get_close_matches(key, hints, 1)
            self.wrong(
                (*path, key),
                "unknown key",
                f"did you mean {near[0]}?" if near else f"known keys: {', '.join(sorted(hints))}",
            )
        values: dict[str, object] = {}
        for field in dataclasses.fields(kind):
            hint = hints[field.name]
            if field.name in data:
                values[field.name] = self.value(hint, data[field.name], (*path, field.name))
            elif field.default is not dataclasses.MISSING:
                values[field.name] = field.default
            elif _tuple(hint):
                values[field.name] = ()
            elif _optional(hint):
                values[field.name] = None
            else:
                self.wrong((*path, field.name), "missing")
        return None if self.problems else kind(**values)

    def value(self, hint: Any, data: object, path: Path) -> object:
        if get_origin(hint) in (Union, types.UnionType):
            hint = next(part for part in get_args(hint) if part is not type(None))
        rule: object = None
        if get_origin(hint) is Annotated:
            hint, rule = get_args(hint)
        if _tuple(hint):
            if not isinstance(data, list):
                return self.wrong(path, f"found {data!r}", "a list belongs here")
            item = get_args(hint)[0]
            return tuple(self.value(item, entry, (*path, n)) for n, entry in enumerate(data))
        if dataclasses.is_dataclass(hint):
            return self.dataclass(cast(type, hint), data, path)
        return self.leaf(hint, data, path, rule)

    def leaf(self, kind: Any, data: object, path: Path, rule: object) -> object:
        if kind in ADDRESSES:
            try:
                return kind(data if isinstance(data, str) else "")
            except ValueError:
                return self.wrong(path, f"found {data!r}", ADDRESSES[kind])
        if issubclass(kind, enum.Enum):
            allowed = [member.value for member in kind]
            if data in allowed:
                return kind(data)
            return self.wrong(path, f"found {data!r}", f"one of: {', '.join(map(str, allowed))}")
        if kind is float and type(data) is int:
            data = float(data)
        if type(data) is not kind:  # bool is an int to isinstance
            return self.wrong(path, f"found {data!r}", f"{_WORDS[kind]} belongs here")
        if isinstance(rule, Range) and not rule.low <= cast(float, data) <= rule.high:
            return self.wrong(path, f"found {data!r}", f"allowed: {rule}")
        if isinstance(rule, Matches) and not rule.form.fullmatch(cast(str, data)):
            # A key may stand here, so the text is not repeated.
            return self.wrong(path, "not of the allowed form", f"allowed: {rule}")
        return data


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _tuple(hint: Any) -> bool:
    return get_origin(hint) is tuple


def _optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)
