"""The configuration as a tree: sections of lines, each under the key of what it sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING

from .names import KINDS, kind_of, place_of
from .syntax import implied_of, parse_syntax, template_of

if TYPE_CHECKING:
    from .edit import Edit

Hook = Callable[["Edit"], None]


class _Missing(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Row:
    """What a table says of a line, beside its place there."""

    syntax: str  # see grammar.py
    _: KW_ONLY
    key: str = ""  # a template: lines of one key overwrite each other; "": as `syntax` implies
    enters: str = ""  # the mode that it opens
    default: str = ""  # the line that says nothing new, and is not shown
    on: bool = False  # in force unless it is negated: `no cdp run` is what is shown
    both: bool = False  # off by default, and shown in either form: `no ip http server`
    sort: tuple[str, ...] = ()  # values by which lines of this command are ordered
    set: Hook | None = None  # what the line does beyond being remembered
    unset: Hook | None = None  # what its `no` form does beyond forgetting it
    shown: bool = True  # `snmp-server user` and `version` are not part of what is shown
    only_no: bool = False  # exists in its `no` form alone: `no standby 1`
    flat: str = ""  # a section that is printed as lines with this prefix: numbered access lists


@dataclass(frozen=True, slots=True)
class Command(Row):
    """Everything that the engine knows about one line."""

    _: KW_ONLY
    mode: str  # the section in which it stands, a key of modes.MODES
    block: int  # blocks of the running configuration are set apart by `!`
    rank: int  # the place of its lines in their section, before `sort` is looked at
    place: int  # and after
    implied: tuple[tuple[int, str, str], ...]  # see grammar.implied_of

    def key_of(self, args: Mapping[str, str]) -> str:
        key = self.key
        if "{" in key:
            key = key.format_map(_Missing(args))
            if "  " in key:
                key = " ".join(key.split())
        return key


def command(row: Row, *, mode: str, block: int, rank: int, place: int) -> Command:
    """A row in its place."""
    said = {field.name: getattr(row, field.name) for field in fields(Row)}
    if not row.key:
        said["key"] = " ".join(template_of(parse_syntax(row.syntax)[0]).split())
    implied = implied_of(row.syntax)
    return Command(**said, mode=mode, block=block, rank=rank, place=place, implied=implied)


class Line:
    """One line of the configuration, and the section under it if it opens one."""

    __slots__ = ("args", "body", "command", "key", "order", "text")

    def __init__(self, command: Command, key: str, text: str, args: Mapping[str, str]) -> None:
        self.command = command
        self.key = key
        self.text = text
        self.args = args
        self.order: tuple[object, ...] = (
            command.rank,
            _sorted_by(command, args),
            command.place,
            text,
        )
        self.body: Section | None = Section(command.enters, self) if command.enters else None


def _sorted_by(command: Command, args: Mapping[str, str]) -> tuple[tuple[int, ...], ...]:
    """Numbers as numbers, addresses by octet, interfaces as IOS does, names by letter."""
    return tuple(_weight(args.get(name, "")) for name in command.sort)


def _weight(value: str) -> tuple[int, ...]:
    parts = value.split(".")
    if all(part.isascii() and part.isdigit() for part in parts):
        return (0, *map(int, parts))
    if kind_of(value) in KINDS:
        return (0, *place_of(value))
    return (1, *map(ord, value))


class Section:
    """The lines of one mode. They are shown in the order of the tables, however they came."""

    __slots__ = ("lines", "mode", "owner")

    def __init__(self, mode: str, owner: Line | None) -> None:
        self.mode = mode
        self.owner = owner
        self.lines: dict[str, Line] = {}

    def put(self, command: Command, key: str, text: str, args: Mapping[str, str]) -> Line:
        """Remember a line. One that overwrites another keeps its section."""
        old = self.lines.get(key)
        if old is not None and old.text == text:
            return old
        line = Line(command, key, text, args)
        if old is not None and old.body is not None and line.body is not None:
            line.body = old.body
            line.body.owner = line
        self.lines[key] = line
        return line

    def drop(self, key: str) -> Line | None:
        return self.lines.pop(key, None)

    def get(self, key: str) -> Line | None:
        return self.lines.get(key)

    def starting(self, prefix: str) -> list[Line]:
        """The lines whose key is the prefix, or begins with its words."""
        words = prefix + " "
        return [line for key, line in self.lines.items() if key == prefix or key.startswith(words)]

    def ordered(self) -> list[Line]:
        return sorted(self.lines.values(), key=_order)

    def __iter__(self) -> Iterator[Line]:
        return iter(self.ordered())


def _order(line: Line) -> tuple[object, ...]:
    return line.order


CLOSED = {"vrf-af": "exit-address-family"}  # sections that say where they end
NO_ADDRESS = " no ip address"  # IOS prints it for an interface that has none


def print_section(section: Section, depth: int) -> list[str]:
    """The lines of a section as `show running-config` prints them."""
    pad = " " * depth
    printed: list[str] = []
    bare = section.mode == "interface" and not any(
        key.startswith(("ip address", "ip unnumbered")) for key in section.lines
    )
    for line in section.ordered():
        if bare and line.command.block:  # block 0 of an interface is what precedes its address
            printed.append(NO_ADDRESS)
            bare = False
        if line.command.shown:
            if line.body is not None and line.body.mode in CLOSED:
                printed += [f"{pad}!", pad + line.text]
                printed += [*print_section(line.body, depth + 1), pad + CLOSED[line.body.mode]]
                continue
            printed.append(pad + line.text)
            if line.body is not None:
                printed += print_section(line.body, depth + 1)
    if bare:
        printed.append(NO_ADDRESS)
    return printed


def print_configuration(root: Section) -> list[str]:
    """The whole configuration, blocks apart by `!`, without its volatile header and its `end`."""
    printed: list[str] = []
    block = -1
    for line in root.ordered():
        command = line.command
        if not command.shown:
            continue
        body = line.body
        if command.flat:
            prefix = command.flat.format_map(line.args)
            lines = [prefix + inner.text for inner in (body.ordered() if body else ())]
        else:
            lines = [line.text]
            if body is not None:
                lines += print_section(body, 1)
        if not lines:
            continue
        if printed and (command.block != block or (body is not None and not command.flat)):
            printed.append("!")
        printed += lines
        block = command.block
    return printed
