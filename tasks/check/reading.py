"""Lists of entries that a person wrote in YAML: every mistake at once, each with its line.

Rules and waivers are such lists. An `Entry` hands out one value at a time, and keeps what is wrong
with it; whoever has read them all knows whether the entry is good.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path

from .. import yamlmarks
from ..errors import Place, Problem
from ..inventory import nearest


class Entry:
    """One entry: a mapping with known keys."""

    def __init__(
        self, data: yamlmarks.Mapping, subject: str, problems: list[Problem], keys: Collection[str]
    ) -> None:
        self.place = data.place
        self._data = data
        self._subject = subject
        self._problems = problems
        for key in data:
            if key not in keys:
                self.wrong(key, "unknown key", hint=nearest(key, keys))

    def wrong(self, key: str, message: str, allowed: str = "", hint: str = "") -> None:
        """Something about a key, where it stands, or where the entry begins if it does not."""
        where = self._data.at(key)
        self._problems.append(Problem(where, f"{self._subject}.{key}", message, allowed, hint))

    def has(self, key: str) -> bool:
        return key in self._data

    def at(self, key: str) -> Place:
        return self._data.at(key)

    def text(self, key: str, *, required: bool = False) -> str:
        """A text, without the space around it; empty when there is none."""
        value = self._data.get(key)
        if value is None or value == "":
            if required or key in self._data:
                self.wrong(key, "missing" if value is None else "is empty")
            return ""
        if not isinstance(value, str):
            written = self._data.written.get(key)
            hint = yamlmarks.explain(written, value) if written else ""
            self.wrong(key, f"found {written or 'no text'}", "a text", hint)
            return ""
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self._data.get(key)
        if not isinstance(value, yamlmarks.Sequence):
            return (text,) if (text := self.text(key)) else ()
        for item in value:
            if not isinstance(item, str):
                self.wrong(key, f"found {item!r} in it", "a text, or a list of texts")
        return tuple(item for item in value if isinstance(item, str))

    def number(self, key: str, default: int) -> int:
        """Not negative."""
        value = self._data.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self.wrong(key, f"found {value!r}", "a number, 0 or more")
        return default

    def word(self, key: str, allowed: Collection[str], default: str) -> str:
        """One of some words; required when there is no default."""
        value = self.text(key, required=not default)
        if value and value not in allowed:
            self.wrong(key, f"found {value!r}", ", ".join(allowed), nearest(value, allowed))
            return default
        return value or default

    def words(self, key: str, allowed: Collection[str]) -> tuple[str, ...]:
        values = self.texts(key)
        for value in values:
            if value not in allowed:
                self.wrong(key, f"found {value!r}", ", ".join(allowed), nearest(value, allowed))
        return values

    def pattern(self, key: str) -> str:
        """A regular expression of Python's."""
        value = self.text(key)
        try:
            re.compile(value)
        except re.error as error:
            self.wrong(key, f"{value!r} is no regular expression: {error}")
            return ""
        return value

    def day(self, key: str) -> date | None:
        value = self.text(key, required=True)
        try:
            return date.fromisoformat(value) if value else None
        except ValueError:
            self.wrong(key, f"{value!r} is no day", "YEAR-MONTH-DAY: 2027-03-31")
            return None


def load(path: Path, problems: list[Problem]) -> yamlmarks.Mapping:
    """What stands in a file; empty, with the reasons in `problems`, when that cannot be read."""
    text = yamlmarks.read(path)
    if isinstance(text, Problem):
        problems.append(text)
        return yamlmarks.Mapping(str(path), 0)
    data, found = yamlmarks.loads(text, str(path))
    problems += found
    return data


def top(data: yamlmarks.Mapping, keys: Collection[str], problems: list[Problem]) -> None:
    """Keys of a file that nobody knows."""
    problems += [
        Problem(data.at(key), key, "unknown key", hint=nearest(key, keys))
        for key in data
        if key not in keys
    ]


def entries(
    data: yamlmarks.Mapping, name: str, keys: Collection[str], problems: list[Problem]
) -> Iterator[Entry]:
    """The entries of the list `name` of a file."""
    items = data.get(name)
    if items is None:
        return
    if not isinstance(items, yamlmarks.Sequence):
        problems.append(Problem(data.at(name), name, "found no list", "a list of `- key: value`"))
        return
    for index, item in enumerate(items):
        if isinstance(item, yamlmarks.Mapping):
            yield Entry(item, f"{name}[{index}]", problems, keys)
        else:
            problems.append(
                Problem(items.at(index), f"{name}[{index}]", f"found {item!r}", "a mapping")
            )
