"""What differs between two configuration trees, object by object.

Lines that are written alike in both trees are the same and are never looked at again: that is
most of them, and why the engine is quick. What is left is put under the platform's rules. Two
lines with one key are the same setting: equal by meaning, or one replaces the other. A running
line without a counterpart goes, if it is owned; an intended one without a counterpart comes.

An `Edit` is symmetric. Read backwards it is the edit that undoes it, so that the undo of a change
is made by the engine that made the change, and obeys the same order.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .errors import Exit, HaccError, Place, Problem
from .ownership import Owned
from .platforms import Context, Kind, Rule, Shape, Table
from .platforms.sealing import HIDDEN
from .rendered import Line
from .tree import Node

_UNKNOWN = Rule("{line*}", Kind.LIST)  # a line that no row knows lives beside its siblings
_NOTHING: Context = Context.of(())
# A token holds a space, which would make it two words of a form: not while a line is matched.
_WORD_OF_TOKEN = "<secret\0"
_SAFE_TOKEN = re.compile(r"<secret\0[^<>]+>")


class NotOwned(HaccError):
    """The intent would overwrite a line of the router that no ownership pattern names."""

    exit = Exit.USAGE


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A line under its rule, with what the engine may say about it aloud."""

    node: Node
    parent: Item | None
    text: str  # as it may be shown and sent: secrets as tokens
    line: str  # canonical, with the secrets in it: never shown
    shape: Shape
    rule: Rule
    fields: Mapping[str, str]
    key: str
    negative: bool  # a `no` line
    origin: Line | None  # the rendered line, for an intended one
    reader: Reader  # what reads its contents

    @property
    def lost(self) -> bool:
        """Whether the router hides a secret of the line, so that it cannot be typed again."""
        spans = self.reader.table.sealer.spans(self.node.text)
        return "<secret running:" in self.text and any(
            self.node.text[start:end] == HIDDEN for start, end in spans
        )

    @property
    def path(self) -> tuple[Item, ...]:
        return () if self.parent is None else (*self.parent.path, self.parent)

    @property
    def place(self) -> tuple[str, ...]:
        """The identity of the section that it stands in, however each side writes the header."""
        return tuple(item.key for item in self.path)

    @property
    def group(self) -> str:
        """The group that it goes with, as `no` takes it: `standby 1`."""
        return self.rule.group.format_map(self.fields) if self.rule.group else ""

    @property
    def hidden(self) -> bool:
        """Whether the router does not show this line, since it says what is so anyway."""
        if self.rule.default_on:
            return not self.negative
        if self.negative:
            return self.rule is not _UNKNOWN
        default = self.rule.default
        return bool(default) and self.line == default.format_map(self.fields)


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One difference. `before` alone goes, `after` alone comes, both: one replaces the other."""

    before: Item | None
    after: Item | None
    section: Section  # where it stands
    entries: Entries | None = None  # instead: the entries of an ordered list

    def reversed(self) -> Edit:
        entries = self.entries.reversed() if self.entries else None
        return Edit(self.after, self.before, self.section.reversed(), entries)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Where two ordered lists differ: entries of the one stand in the place of the other's."""

    at: tuple[int, int]  # the places of the first entries, before and after
    before: tuple[Item, ...]
    after: tuple[Item, ...]

    def reversed(self) -> Block:
        return Block((self.at[1], self.at[0]), self.after, self.before)


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """An ordered list, before and after."""

    blocks: tuple[Block, ...]
    lines: tuple[tuple[str, ...], tuple[str, ...]]  # all entries, canonical; never shown
    nodes: tuple[tuple[Node, ...], tuple[Node, ...]]

    def reversed(self) -> Entries:
        return Entries(
            tuple(block.reversed() for block in self.blocks),
            (self.lines[1], self.lines[0]),
            (self.nodes[1], self.nodes[0]),
        )


@dataclass(slots=True, eq=False)
class Section:
    """A section that both trees have; at the top, the sides are None."""

    old: Item | None
    new: Item | None
    running: Item | None  # the side that the router has: `old`, or `new` when read backwards
    place: tuple[str, ...] = ()  # its identity, however each side writes its header
    kept: list[Node] = field(default_factory=list)  # running contents that stay as they are
    untouched: list[Node] = field(default_factory=list)  # of these, with all their contents

    def reversed(self) -> Section:
        return Section(self.new, self.old, self.running, self.place, self.kept, self.untouched)


@dataclass(frozen=True, slots=True)
class Reader:
    """Puts the lines of one side of a comparison under the platform's rules."""

    table: Table
    opened: Mapping[str, str]
    known: Mapping[int, Line] = field(default_factory=dict)  # rendered lines by their number

    def context(self, rule: Rule | None) -> Context:
        inside = "" if rule is None else rule.inside or "?"
        return self.table.contexts.get(inside, _NOTHING)

    def item(self, node: Node, parent: Item | None) -> Item:
        """The line under its rule, in the section that its parent opens."""
        table, sealer = self.table, self.table.sealer
        origin = self.known.get(node.number)
        written = node.text
        context = self.context(parent.rule if parent else None)
        if context.ordered and table.entry_number:
            written = table.entry_number.sub("", written, count=1)
        line = table.canonical(written)
        safe = line
        if secretive := "<secret " in line or sealer.hint.search(line) is not None:
            safe = line if origin else sealer.seal(line, node.number)
            safe = safe.replace("<secret ", _WORD_OF_TOKEN)
        text = sealer.seal(written, node.number) if secretive and not origin else written
        negative = line.startswith("no ")
        matched = context.match(safe[3:] if negative else safe)
        rule, fields = (matched.rule, dict(matched.fields)) if matched else (_UNKNOWN, {})
        for mention in rule.mentions:
            if found := re.search(mention, safe):
                fields.update({k: v for k, v in found.groupdict().items() if v})
        if parent is not None:
            fields.update({f"_{name}": value for name, value in parent.fields.items()})
        shape = sealer.shape(line, self.opened) if secretive else Shape(line, ())
        sealed, named = safe, fields
        if origin and matched and shape.meanings:
            # A template may hold a secret in clear (a hash): in the key it is what it means.
            sealed = sealer.seal(line, node.number).replace("<secret ", _WORD_OF_TOKEN)
            again = context.match(sealed[3:] if negative else sealed)
            named = {**fields, **again.fields} if again else fields
        key = self._key(rule, named, sealed[3:] if negative else sealed, shape)
        return Item(node, parent, text, line, shape, rule, fields, key, negative, origin, self)

    def _key(self, rule: Rule, fields: Mapping[str, str], line: str, shape: Shape) -> str:
        """What the line sets. A key that holds a secret (a community) holds what it means."""
        key = line
        if rule.key:
            key = rule.key.format_map(fields)
        elif rule.kind in (Kind.LIST, Kind.ORDERED):
            words = shape.words.removeprefix("no ")
            return f"{words}\0{shape.meanings}" if shape.meanings else words
        elif not rule.inside and "{" in rule.form:
            key = rule.form.split("{", 1)[0].rstrip()
        if _WORD_OF_TOKEN in key:
            meanings = iter(shape.meanings)
            key = _SAFE_TOKEN.sub(lambda _: str(next(meanings, "")), key)
        return key


@dataclass(slots=True)
class Comparison:
    """Compares two trees of one platform. `edits` are in the order of the intent, going last."""

    table: Table
    running: Reader
    intended: Reader
    top: Sequence[Node]  # the running tree
    edits: list[Edit] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def compare(self, news: Sequence[Node], owned: Owned) -> list[Edit]:
        self._section(Section(None, None, None), self.top, news, owned)
        if self.problems:
            raise NotOwned(self.problems)
        return self.edits

    def _section(
        self, section: Section, olds: Sequence[Node], news: Sequence[Node], owned: Owned
    ) -> None:
        self.sections.append(section)
        rest_old, rest_new = self._written_alike(section, olds, news, owned)
        if not rest_old and not rest_new:
            return
        old_items = self._worth_reading(section, rest_old, rest_new, owned)
        by_key: dict[str, Item] = {item.key: item for item in old_items}
        matched: set[str] = set()
        for node in rest_new:
            new = self.intended.item(node, section.new)
            old = by_key.get(new.key)
            if new.key in matched:
                continue  # said twice
            matched.add(new.key)
            if old is not None:
                self._pair(section, old, new, owned)
            elif not new.hidden:
                self.edits.append(Edit(None, new, section))
        for old in old_items:
            if by_key[old.key] is not old or old.key not in matched:
                self._gone(section, old, owned)

    def _written_alike(
        self, section: Section, olds: Sequence[Node], news: Sequence[Node], owned: Owned
    ) -> tuple[list[Node], list[Node]]:
        """Sets aside the lines that are written alike; compares the contents of such sections."""
        by_text: dict[str, Node] = {}
        for node in olds:
            by_text.setdefault(node.text, node)
        rest_new: list[Node] = []
        alike: set[int] = set()
        for node in news:
            old = by_text.get(node.text)
            if old is None:
                rest_new.append(node)
                continue
            if old.number in alike:
                continue  # said twice
            alike.add(old.number)
            section.kept.append(old)
            if not (old.children or node.children):
                continue
            if _written_same(old, node):
                section.untouched.append(old)
            else:
                one = self.running.item(old, section.old)
                two = self.intended.item(node, section.new)
                self._contents(one, two, owned)
        return [node for node in olds if node.number not in alike], rest_new

    def _worth_reading(
        self, section: Section, olds: Sequence[Node], news: Sequence[Node], owned: Owned
    ) -> list[Item]:
        """The running lines that may be ours or be overwritten; all others stay unread."""
        words = {_first_word(node.text) for node in news}
        items: list[Item] = []
        for node in olds:
            if owned.may(node.text) or _first_word(node.text) in words:
                items.append(self.running.item(node, section.old))
            else:
                section.kept.append(node)
        return items

    def _contents(self, old: Item, new: Item, owned: Owned) -> None:
        inner = Section(old, new, old, (*old.place, old.key))
        below = owned.below(old.line)
        if self.running.context(new.rule).ordered:
            self._entries(inner, old, new, below)
        else:
            self._section(inner, old.node.children, new.node.children, below)

    def _pair(self, section: Section, old: Item, new: Item, owned: Owned) -> None:
        """Two lines with one key: the same setting."""
        equal = old.negative == new.negative and old.shape.same(new.shape)
        if not equal and not (old.hidden and new.hidden):
            if not old.hidden and not owned.owns(old.line):
                self.problems.append(_foreign(old, new))
                return
            self.edits.append(Edit(_filled(old, new), new, section))
            if new.rule.kind is Kind.RECREATE:
                return  # with all its contents
        else:
            section.kept.append(old.node)
        if old.node.children or new.node.children:
            self._contents(old, new, owned)

    def _gone(self, section: Section, old: Item, owned: Owned) -> None:
        """A running line that the intent does not have."""
        if old.hidden:
            section.kept.append(old.node)
            return
        below = owned.below(old.line)
        if owned.owns(old.line) and self._all_owned(old.node.children, below, old):
            if old.node.children and self._is_settled(old):
                return
            self.edits.append(Edit(old, None, section))
            return
        section.kept.append(old.node)
        if old.node.children and (below.whole or below.patterns):
            self._contents(old, replace(old, node=replace(old.node, children=[])), owned)

    def _all_owned(self, nodes: Iterable[Node], owned: Owned, parent: Item) -> bool:
        if owned.whole:
            return True
        return all(
            owned.owns(item.line) and self._all_owned(node.children, owned.below(item.line), item)
            for node in nodes
            for item in (self.running.item(node, parent),)
        )

    def _is_settled(self, old: Item) -> bool:
        """Whether a section that cannot go is as if nobody had ever touched it."""
        rest = self.table.settled.get(old.rule.inside)
        return (
            rest is not None
            and is_physical(old)
            and all(child.text in rest for child in old.node.children)
            and any(child.text == "shutdown" for child in old.node.children)
        )

    def _entries(self, inner: Section, old: Item, new: Item, owned: Owned) -> None:
        """An ordered list: foreign entries stay behind the entry that they follow today."""
        before = [(self._entry(node), node, self.running) for node in old.node.children]
        target = [(self._entry(node), node, self.intended) for node in new.node.children]
        wanted = {line for line, _, _ in target}
        for index, entry in enumerate(before):
            if entry[0] in wanted or owned.owns(entry[0]):
                continue
            lines = [line for line, _, _ in target]
            previous = before[index - 1][0] if index else ""
            target.insert(lines.index(previous) + 1 if previous in lines else 0, entry)
        lines_before, lines_after = [row[0] for row in before], [row[0] for row in target]
        if lines_before == lines_after:
            return
        alike = _common(lines_before, lines_after)  # most lists differ in one place only
        matcher = difflib.SequenceMatcher(
            None, lines_before[alike:], lines_after[alike:], autojunk=False
        )
        blocks = tuple(
            Block(
                (i1, j1),
                tuple(reader.item(node, old) for _, node, reader in before[i1:i2]),
                tuple(
                    reader.item(node, old if reader is self.running else new)
                    for _, node, reader in target[j1:j2]
                ),
            )
            for tag, *places in matcher.get_opcodes()
            if tag != "equal"
            for i1, i2, j1, j2 in ([alike + place for place in places],)
        )
        entries = Entries(
            blocks,
            (tuple(lines_before), tuple(lines_after)),
            (tuple(row[1] for row in before), tuple(row[1] for row in target)),
        )
        self.edits.append(Edit(None, None, inner, entries))

    def _entry(self, node: Node) -> str:
        """An entry in its canonical form, without the number that newer releases show."""
        text, number = node.text, self.table.entry_number
        if number and text[0].isdigit():
            text = number.sub("", text, count=1)
        return self.table.canonical(text)


def _common(one: Sequence[str], two: Sequence[str]) -> int:
    """How many lines both begin with."""
    for place, (first, second) in enumerate(zip(one, two, strict=False)):
        if first != second:
            return place
    return min(len(one), len(two))


def _filled(old: Item, new: Item) -> Item:
    """The old line with the new one's secrets where the router hides its own."""
    if not old.lost:
        return old
    sealer = old.reader.table.sealer
    secrets = [new.text[start:end] for start, end in sealer.spans(new.text)]
    text, at = "", 0
    for (start, end), secret in zip(sealer.spans(old.node.text), secrets, strict=False):
        text += old.node.text[at:start] + secret
        at = end
    return replace(old, text=text + old.node.text[at:])


def _written_same(old: Node, new: Node) -> bool:
    """Whether two sections are written alike, line by line."""
    return len(old.children) == len(new.children) and all(
        one.text == two.text and (one.children == two.children == [] or _written_same(one, two))
        for one, two in zip(old.children, new.children, strict=True)
    )


def _first_word(text: str) -> str:
    words = text.split(" ", 2)
    return words[1] if words[0] == "no" and len(words) > 1 else words[0]


def is_physical(item: Item) -> bool:
    """Whether the section is a port of the router, which no command can remove."""
    return item.reader.table.port(item.line)


def _foreign(old: Item, new: Item) -> Problem:
    return Problem(
        new.origin.template if new.origin else None,
        "owns",
        f"{new.text!r} would overwrite line {old.node.number} of the running configuration,"
        f" {old.text!r}, which no ownership pattern of the template names",
        hint="add a pattern for it, or take the line out of the template",
        also=(Place("running-config", old.node.number),),
    )


def fold(nodes: Sequence[Node], table: Table) -> list[Node]:
    """Flat entries of numbered lists (`access-list 10 permit ...`) under the header they stand for.

    The header has the number of the first entry's line; its text says what the router would take.
    """
    pattern = table.numbered_list
    if pattern is None or not any(node.text.startswith("access-list ") for node in nodes):
        return list(nodes)
    folded: list[Node] = []
    headers: dict[str, Node] = {}
    for node in nodes:
        found = pattern.fullmatch(node.text)
        if not found:
            folded.append(node)
            continue
        header = headers.get(found["list"])
        if header is None:
            header = Node(table.list_header(found["list"]), node.number, 0, [], node.last)
            headers[found["list"]] = header
            folded.append(header)
        header.children.append(Node(found["entry"], node.number, -1, [], node.last))
    return folded
