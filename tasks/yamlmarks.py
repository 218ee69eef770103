"""YAML that knows where it stands: ordinary dicts and lists, each with the lines of its items.

The parser is libyaml's (PyYAML's C loader), asked only for its node tree. The walk over the tree
is ours, because it must do four things that a stock constructor doesn't: keep the line of every
key, refuse duplicate keys, keep keys as the text that was written (a host may be called `no`),
and remember how a plain scalar was written where YAML 1.1 reads more than a text into it (`no`),
so that an error can explain it. `012` and `1:30` are refused: nobody means octal or base 60.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import yaml

from .errors import Place, Problem

Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
# YAML 1.1 has more words for a truth value than most people know.
_TRUE = {"true", "yes", "on"}
_SURPRISING_INT = re.compile(r"[-+]?(?:0[0-7_]+|0b[01_]+|\d[\d_]*(?::[0-5]?\d)+)")


class Mapping(dict[str, Any]):
    """A dict with the place of itself and of each key."""

    __slots__ = ("file", "line", "lines", "written")

    def __init__(self, file: str, line: int) -> None:
        self.file = file
        self.line = line
        self.lines: dict[str, int] = {}
        self.written: dict[str, str] = {}  # plain scalars that YAML 1.1 reads as something else

    @property
    def place(self) -> Place:
        return Place(self.file, self.line)

    def at(self, key: str) -> Place:
        """Where a key stands; for one that is absent, where the mapping begins."""
        return Place(self.file, self.lines.get(key, self.line))


class Sequence(list[Any]):
    """A list with the place of itself and of each item."""

    __slots__ = ("file", "line", "lines", "written")

    def __init__(self, file: str, line: int) -> None:
        self.file = file
        self.line = line
        self.lines: list[int] = []
        self.written: dict[int, str] = {}

    @property
    def place(self) -> Place:
        return Place(self.file, self.line)

    def at(self, index: int) -> Place:
        return Place(self.file, self.lines[index] if index < len(self.lines) else self.line)


def read(path: FilePath) -> str | Problem:
    """The text of a file, or why there is none. Does not raise for bad input."""
    file = str(path)
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return Problem(Place(file, 0), "file", (error.strerror or str(error)).lower())
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        octet = error.object[error.start]
        message = f"byte 0x{octet:02x} is not UTF-8"
        return Problem(Place(file, line), "YAML", message, hint="save the file as UTF-8")


def loads(text: str, file: str) -> tuple[Mapping, list[Problem]]:
    """The mapping in a text, and what is wrong with its YAML. Does not raise for bad input."""
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        return Mapping(file, 0), [_broken(error, text, file)]
    except yaml.YAMLError as error:  # a reader's: a character that YAML forbids
        message = str(error).splitlines()[0]
        return Mapping(file, 0), [Problem(Place(file, 0), "YAML", message)]
    except RecursionError:
        return Mapping(file, 0), [Problem(Place(file, 0), "YAML", "nested too deeply")]
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}null"):
        return Mapping(file, 1), []
    if not isinstance(node, yaml.MappingNode):
        place = Place(file, node.start_mark.line + 1)
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        return Mapping(file, 1), [
            Problem(place, "file", f"found {kind}", allowed="a mapping: `name: value` lines")
        ]
    walk = _Walk(file)
    data = walk.value(node, ())
    assert isinstance(data, Mapping)
    return data, walk.problems


def unwritten(value: Any, file: str) -> Any:
    """Plain values as if a file had them that has no lines: they come from elsewhere."""
    if isinstance(value, dict):
        mapping = Mapping(file, 0)
        mapping.update((str(key), unwritten(item, file)) for key, item in value.items())
        return mapping
    if isinstance(value, list | tuple):
        sequence = Sequence(file, 0)
        sequence.extend(unwritten(item, file) for item in value)
        return sequence
    return value


def find(data: object, path: Path) -> tuple[Place | None, Path, str | None]:
    """The place of a path, the part of the path that exists, and how a scalar there was written.

    Elements of `path` that the data does not have are skipped: validators put names of union
    branches into theirs. The place of something absent is that of what lacks it.
    """
    place = data.place if isinstance(data, Mapping | Sequence) else None
    real: Path = ()
    written = None
    for step in path:
        match data, step:
            case Mapping(), str() if step in data:
                place, written, data = data.at(step), data.written.get(step), data[step]
            case Sequence(), int() if step < len(data):
                place, written, data = data.at(step), data.written.get(step), data[step]
            case _:
                continue
        real = (*real, step)
    return place, real, written


def words(path: Path) -> str:
    """`("home_agents", 2, "host")` as people write it: `home_agents[2].host`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).removeprefix(".")


class _Walk:
    """From nodes to marked data, once for each node however many aliases name it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.seen: dict[int, Mapping | Sequence | None] = {}

    def value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        key = id(node)
        if key in self.seen:
            known = self.seen[key]
            if known is None:
                self.wrong(node, path, "an alias that contains itself")
            return known
        self.seen[key] = None
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            data: Mapping | Sequence = self.mapping(node, path, Mapping(self.file, line))
        else:
            data = self.sequence(node, path, Sequence(self.file, line))
        self.seen[key] = data
        return data

    def mapping(self, node: yaml.MappingNode, path: Path, data: Mapping) -> Mapping:
        merged: list[Mapping] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.wrong(key_node, path, "a key that is a list or a mapping", "a text")
                continue
            key = str(key_node.value)
            if key_node.tag == f"{_TAG}merge":
                merged += self.merges(value_node, path)
                continue
            if key in data.lines:
                self.problems.append(
                    Problem(
                        Place(self.file, line),
                        words((*path, key)),
                        "duplicate key: YAML would keep the last and drop the first silently",
                        hint="keep one of them",
                        also=(Place(self.file, data.lines[key]),),
                    )
                )
                continue
            data.lines[key] = line
            data[key] = self.value(value_node, (*path, key))
            if written := _surprise(value_node):
                data.written[key] = written
        for source in merged:  # an explicit key wins over a merged one, an earlier over a later
            for key in source.keys() - data.keys():
                data[key] = source[key]
                data.lines[key] = source.lines[key]
        return data

    def merges(self, node: yaml.Node, path: Path) -> Iterator[Mapping]:
        value = self.value(node, path)
        for source in value if isinstance(value, Sequence) else [value]:
            if isinstance(source, Mapping):
                yield source
            else:
                self.wrong(node, path, "`<<` merges something that is not a mapping")

    def sequence(self, node: yaml.Node, path: Path, data: Sequence) -> Sequence:
        for index, item in enumerate(node.value):
            data.lines.append(item.start_mark.line + 1)
            data.append(self.value(item, (*path, index)))
            if written := _surprise(item):
                data.written[index] = written
        return data

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text, tag = str(node.value), str(node.tag).removeprefix(_TAG)
        try:
            if tag == "int":
                return self.integer(node, path, text)
            if tag == "bool":
                return text.lower() in _TRUE
            if tag == "float":
                return _real(text)
        except ValueError:
            self.wrong(node, path, f"{text!r} is not a number")
            return text
        if tag == "null":
            return None
        if tag not in ("str", "timestamp", "value"):
            self.wrong(node, path, f"the tag {node.tag} has no meaning here", "plain YAML")
        return text

    def integer(self, node: yaml.ScalarNode, path: Path, text: str) -> int:
        value = _integer(text)
        if _SURPRISING_INT.fullmatch(text):
            base = "base 60" if ":" in text else "binary" if "b" in text else "octal"
            self.wrong(
                node,
                path,
                f"YAML reads {text} as {base}, which is {value}",
                hint=f'write {value} for the number, "{text}" for the text',
            )
        return value

    def wrong(
        self, node: yaml.Node, path: Path, message: str, allowed: str = "", hint: str = ""
    ) -> None:
        place = Place(self.file, node.start_mark.line + 1)
        self.problems.append(Problem(place, words(path) or "file", message, allowed, hint))


def _surprise(node: yaml.Node) -> str | None:
    """How a plain scalar was written, where YAML 1.1 makes something else of it than a text."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == f"{_TAG}str":
        return None
    return str(node.value)


def explain(written: str, value: object) -> str:
    """Why a plain scalar is not the text that was written, or nothing where it is."""
    if isinstance(value, bool) or (value is None and written):
        meaning = "nothing" if value is None else str(value).lower()
        return f"YAML reads {written} as {meaning}: quote it to mean the text"
    return ""


def _integer(text: str) -> int:
    """YAML 1.1 integers: decimal, 0x, 0b, octal with a leading 0, and base 60 with colons."""
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if ":" in digits:
        total = 0
        for part in digits.split(":"):
            total = total * 60 + int(part)
        return sign * total
    if digits.startswith(("0x", "0b")):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if len(digits) > 1 and digits.startswith("0") else 10)


def _real(text: str) -> float:
    digits = text.replace("_", "").lower()
    if digits.lstrip("+-") in (".inf", ".nan"):
        return float(digits.replace(".", ""))
    if ":" in digits:
        whole, last = digits.rsplit(":", 1)
        return _integer(whole) * 60 + float(last)
    return float(digits)


# What libyaml says, and what the writer most probably did. The character is the one at the mark.
_HINTS = {
    "@": 'quote a value that begins with @: realm: "@example.net"',
    "`": "quote a value that begins with a backquote",
    "%": "quote a value that begins with %",
    "\t": "indent with spaces: YAML forbids tabs",
    "*": "quote a value that begins with *: it would be an alias",
}


def _broken(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    lines = text.splitlines()
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    at = shown[mark.column : mark.column + 1] if mark else ""
    if "expected a single document" in f"{error.context} {error.problem}":
        hint = "one file holds one document: remove the second `---`"
    elif at in _HINTS and "cannot start any token" in str(error.problem):
        hint = _HINTS[at]
    elif "\t" in shown[: len(shown) - len(shown.lstrip())]:
        hint = _HINTS["\t"]
    elif "mapping values are not allowed" in str(error.problem):
        hint = "is a value with a colon unquoted, or the line above not closed?"
    elif "expected ',' or" in str(error.problem):
        opened = error.context_mark.line + 1 if error.context_mark else line
        hint = f"the bracket opened in line {opened} is not closed, or a comma is missing"
    elif "block end" in str(error.problem):
        hint = "is it indented like its neighbours?"
    else:
        hint = ""
    said = [str(part) for part in (error.problem, error.context) if part]
    if said[0].startswith("but "):  # the context is the first half of the sentence
        said.reverse()
    message = f"broken: {', '.join(said)}"
    return Problem(Place(file, line), "YAML", message, hint=hint)
