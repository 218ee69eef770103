"""Lines that a person might type, made from the tables themselves: every row is reached."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from lab.ios.grammar import Choice, Keyword, Part, Sequence_, Value, parse_syntax
from lab.ios.tables import COMMANDS
from lab.ios.tree import Command

HARDWARE = [f"GigabitEthernet0/{number}" for number in range(4)]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line, and whether it is a keyword, which may be shortened."""

    text: str
    keyword: bool = False


_ADDRESS = st.builds(
    "{}.{}.{}.{}".format,
    st.sampled_from([10, 172, 198]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 250),
)
_NAME = st.text("abcdefghXYZ-_123", min_size=1, max_size=8).map("W{}".format)
_KINDS = {
    "ip": _ADDRESS,
    "mask": st.sampled_from(["255.255.255.0", "255.255.0.0", "255.255.255.255"]),
    "spi": st.integers(0x100, 0xFFFFFFFF).map("{:x}".format),
    "hex": st.binary(min_size=1, max_size=16).map(bytes.hex),
    "if": st.sampled_from(
        ["gi0/1", "GigabitEthernet 0/2", "Gi0/3.100", "lo7", "Tunnel3", "Loopback0"]
    ),
    "name": _NAME,
    "word": _NAME,
    "line": st.lists(_NAME, min_size=1, max_size=4).map(" ".join),
}


@st.composite
def words(draw: st.DrawFn, part: Part) -> list[Word]:
    """A way through a syntax."""
    match part:
        case Keyword(word, _):
            return [Word(word, True)]
        case Value(_, kind):
            if kind in _KINDS:
                return [Word(draw(_KINDS[kind]))]
            low, _, high = kind.partition("-")
            return [Word(str(draw(st.integers(int(low), min(int(high), int(low) + 300)))))]
        case Sequence_(parts):
            return [word for inner in parts for word in draw(words(inner))]
        case Choice(parts, optional, repeat):
            if (optional or repeat) and draw(st.booleans()):
                return []
            return draw(words(draw(st.sampled_from(parts))))


@st.composite
def line_of(draw: st.DrawFn, command: Command) -> list[Word]:
    """A line for a row of the tables."""
    identity, value = parse_syntax(command.syntax)
    return draw(words(identity)) + draw(words(value))


def joined(line: list[Word]) -> str:
    return " ".join(word.text for word in line)


ROWS = [row for row in COMMANDS if not row.only_no]
OPENERS: dict[str, Command] = {}
for _row in ROWS:
    if _row.enters:
        OPENERS.setdefault(_row.enters, _row)


@st.composite
def row_lines(draw: st.DrawFn, command: Command) -> list[str]:
    """A row's line, after the lines that open the mode it stands in."""
    lines = [joined(draw(line_of(command)))]
    mode = command.mode
    while mode != "config":
        opener = OPENERS[mode]
        lines.insert(0, joined(draw(line_of(opener))))
        mode = opener.mode
    return lines


@st.composite
def configurations(draw: st.DrawFn, size: int = 12) -> list[str]:
    """Lines of a configuration: some are refused, all are understood."""
    prelude = ["router mobile"] if draw(st.booleans()) else []
    rows = draw(st.lists(st.sampled_from(ROWS), max_size=size))
    return prelude + [line for row in rows for line in draw(row_lines(row))]
