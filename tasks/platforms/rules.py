"""The vocabulary in which a platform's table says what a command is.

A command line is matched by the *form* of a rule: words, of which some are fields.

    word            itself              a|b             one of several words
    {name}          one word            {name*}         the rest of the line, maybe nothing
    {name:REGEX}    a word so shaped    [ ... ]         may be absent

From the fields a rule makes the command's *key*: two lines with one key cannot both be in force,
so the second replaces the first (`Kind.OVERWRITE`) or must wait until the first is gone
(`Kind.RECREATE`). A rule also says what the command *defines*, what it *refers* to and which
addresses it *claims*: from these alone follows the order of commands, make before break.
Templates of names (`"track {number}"`) are filled from the fields; those of the section around are
reached with an underscore (`{_interface}`); a template with an absent field stands for nothing.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


class Impact(enum.IntEnum):
    """What a command interrupts, in order of severity. `str()` is the word of `--allow`."""

    NONE = 0
    REELECTION = 1  # the active router of a pair may change
    BINDING_LOSS = 2  # mobile nodes must register again
    ADJACENCY_RESET = 3  # routes are withdrawn and learnt again
    LOCKOUT = 4  # the session that makes the change may not survive it

    def __str__(self) -> str:
        return _IMPACT_WORDS[self]


_IMPACT_WORDS = ("none", "re-election", "binding-loss", "adjacency-reset", "lock-out")


class Kind(enum.Enum):
    """How a new line meets an old one with the same key."""

    OVERWRITE = "overwrite"  # typing the new line replaces the old one
    RECREATE = "recreate"  # the router refuses or ignores the new line until the old one is gone
    ADDITIVE = "additive"  # options add up: those that go are taken away one by one
    LIST = "list"  # lines live side by side: the whole line is the key
    ORDERED = "ordered"  # entries of a list whose order is its meaning


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a platform's table."""

    form: str
    kind: Kind = Kind.OVERWRITE
    key: str = ""  # default: the words before the first field, or for lists the whole line
    no: str = "no {line}"  # how it is taken away
    rank: int = 50  # where it stands among its siblings when nothing else decides; 0 is first
    inside: str = ""  # the context of its contents, when it is a section
    defines: tuple[str, ...] = ()
    refers: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()  # expressions that find more fields, anywhere in the line
    claims: tuple[str, ...] = ()  # "SPACE LOW HIGH" or "SPACE/ ADDRESS MASK": no two may overlap
    group: str = ""  # lines of one group go together: `no standby 1`
    default: str = ""  # the line that the router does not show, because it is so anyway
    default_on: bool = False  # in force unless its `no` form is shown
    drops: tuple[str, ...] = ()  # siblings, by prefix, that the router deletes when this changes
    pivot: str = ""  # siblings of this prefix are removed before it changes and set after it
    options: str = ""  # ADDITIVE: the field that holds the options
    no_option: str = ""  # ADDITIVE: how one is taken away; default: `no` and the option behind it
    withdraw: bool = False  # RECREATE: who refers to it lets go first, and takes hold again after
    permanent: bool = False  # a section that cannot be removed: it is emptied instead
    complete: bool = False  # a section that is of use only when all its contents stand
    management: bool = False  # how we reach the router: changed last, the new before the old
    impact: Impact = Impact.NONE  # of setting it, or of changing it
    impact_gone: Impact | None = None  # of removing it; default: as `impact`
    impact_new: Impact = Impact.NONE  # of setting it where there was none
    why: str = ""


@dataclass(frozen=True, slots=True)
class Matched:
    """A line under its rule."""

    rule: Rule
    fields: Mapping[str, str]


_FIELD = re.compile(r"\{(?P<name>\w+)(?::(?P<shape>[^}]+))?(?P<rest>\*)?\}")
_PIECE = re.compile(r"(?P<space> ?)(?P<piece>\[|\]|\{[^}]+\}|[^\s\[\]{}]+)")


def compile_form(form: str) -> re.Pattern[str]:
    """The regular expression of a form."""
    out: list[str] = []
    for found in _PIECE.finditer(form):
        space, piece = found["space"], found["piece"]
        if piece == "[":
            out.append(f"(?:{space}")
            continue
        if piece == "]":
            out.append(")?")
            continue
        if slot := _FIELD.fullmatch(piece):
            if slot["rest"]:
                out.append(rf"(?:{space}(?P<{slot['name']}>.*))?")
            else:
                shape = slot["shape"] or r"\S+"
                out.append(f"{space}(?P<{slot['name']}>{shape})")
        else:
            words = "|".join(map(re.escape, piece.split("|")))
            out.append(f"{space}(?:{words})")
    return re.compile("".join(out), re.DOTALL)


_Row = tuple[re.Pattern[str], Rule]


@dataclass(frozen=True, slots=True)
class Context:
    """The rules of one kind of section, found by the first two words of a line."""

    rows: Mapping[str, Mapping[str, tuple[_Row, ...]]]
    """By the first word and the second; "" is any word that no form of the table spells out."""
    ordered: bool  # whether the order of the lines is their meaning

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Context:
        table = [(*_first_words(rule.form), (compile_form(rule.form), rule)) for rule in rules]
        firsts = {word for first, _, _ in table for word in first}
        rows: dict[str, dict[str, tuple[_Row, ...]]] = {}
        for one in firsts | {""}:
            rest = [(second, row) for first, second, row in table if one in first or "" in first]
            seconds = {word for second, _ in rest for word in second}
            rows[one] = {
                two: tuple(row for second, row in rest if two in second or "" in second)
                for two in seconds | {""}
            }
        return cls(rows, any(rule.kind is Kind.ORDERED for _, _, (_, rule) in table))

    def match(self, line: str) -> Matched | None:
        """The line under the first rule whose form it has."""
        words = line.split(" ", 2)
        by_second = self.rows.get(words[0]) or self.rows[""]
        second = words[1] if len(words) > 1 else ""
        for pattern, rule in by_second.get(second) or by_second[""]:
            if found := pattern.fullmatch(line):
                return Matched(rule, {k: v for k, v in found.groupdict().items() if v})
        return None


def _first_words(form: str) -> tuple[list[str], list[str]]:
    """What the first and the second word of a form may be; "" for any."""
    words = [*form.split(" "), "", ""][:2]
    first, second = ([""] if re.search(r"[{[]", word) else word.split("|") for word in words)
    return first, second
