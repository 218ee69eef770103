"""Edits as people read them, and edits applied to a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .changes import DiffLine
from .edits import Edit, Item, is_physical
from .platforms import Kind
from .tree import Node


def shown(edits: Sequence[Edit]) -> Iterator[DiffLine]:
    """The edits under the sections that they stand in, each section once."""
    sections: dict[tuple[str, ...], list[Edit]] = {}
    for edit in edits:
        sections.setdefault(edit.section.place, []).append(edit)
    for members in sections.values():
        section = members[0].section
        header = section.new or section.old
        if header is not None:
            for depth, outer in enumerate((*header.path, header)):
                yield DiffLine(" ", depth, outer.text)
        depth = 0 if header is None else len(header.path) + 1
        for edit in members:
            yield from _edit(edit, depth)


def _edit(edit: Edit, depth: int) -> Iterator[DiffLine]:
    if edit.entries is not None:
        for block in edit.entries.blocks:
            for item in block.before:
                yield _removed(item, depth)
            for item in block.after:
                yield _added(item, depth)
        return
    if edit.before is not None:
        yield _removed(edit.before, depth)
        if edit.after is None:
            yield from _contents(edit.before, "-", depth + 1)
    if edit.after is not None:
        yield _added(edit.after, depth)
        if edit.before is None:
            yield from _contents(edit.after, "+", depth + 1)


def _added(item: Item, depth: int) -> DiffLine:
    origin = item.origin
    if origin is None:
        return DiffLine("+", depth, item.text)
    return DiffLine("+", depth, item.text, origin.template, origin.intent)


def _removed(item: Item, depth: int) -> DiffLine:
    return DiffLine("-", depth, item.text, number=item.node.number)


def _contents(item: Item, sign: str, depth: int) -> Iterator[DiffLine]:
    for node in item.node.children:
        child = item.reader.item(node, item)
        yield _added(child, depth) if sign == "+" else _removed(child, depth)
        yield from _contents(child, sign, depth + 1)


def merged(running: str, edits: Sequence[Edit], top: Sequence[Node]) -> str:
    """The running text with the edits in it; lines that no edit touches stay byte for byte."""
    lines = running.splitlines()
    instead: dict[int, list[str]] = {}  # for a line: what stands in its place
    behind: dict[int, list[str]] = {}  # behind a line: what comes after it
    end = max((node.last for node in top), default=0)
    for edit in edits:
        section = edit.section.old
        if edit.entries is not None and section is not None:
            _entries(edit, instead, behind)
        elif edit.before is not None and edit.after is not None:
            before = edit.before.node
            if edit.after.rule.kind is Kind.RECREATE:
                for number in range(before.number, before.last + 1):
                    instead[number] = []
                instead[before.number] = _rendered(edit.after, before.indent)
                continue
            last = before.number if before.children else before.last
            for number in range(before.number, last + 1):
                instead[number] = []
            if not edit.after.hidden:
                instead[before.number] = _indented(edit.after.text, before.indent)
        elif edit.before is not None:
            for node in edit.before.node.walk():
                for number in range(node.number, node.last + 1):
                    instead[number] = []
            if is_physical(edit.before) and edit.before.rule.inside:
                instead[edit.before.node.number] = [
                    edit.before.text, " no ip address", " shutdown",
                ]  # fmt: skip
        elif edit.after is not None:
            at = end if section is None else _last_content(section.node)
            indent = 0 if section is None else _inner_indent(section.node)
            behind.setdefault(at, []).extend(_rendered(edit.after, indent))
    out: list[str] = list(behind.get(0, ()))
    for number, line in enumerate(lines, 1):
        out.extend(instead.get(number, (line,)))
        out.extend(behind.get(number, ()))
    return "".join(f"{line}\n" for line in out)


def _entries(edit: Edit, instead: dict[int, list[str]], behind: dict[int, list[str]]) -> None:
    """An ordered list is written anew where its first entry stood, or below its header."""
    section, entries = edit.section.old, edit.entries
    assert section is not None
    assert entries is not None
    flat = bool(section.node.children) and section.node.children[0].indent < 0
    number = section.key.split()[-1]
    before, after = entries.nodes
    texts = [f"access-list {number} {node.text}" if flat else f" {node.text}" for node in after]
    for node in before:
        instead[node.number] = []
    if before:
        instead[before[0].number] = texts
    else:
        behind.setdefault(section.node.number, []).extend(texts)


def _last_content(section: Node) -> int:
    return max((child.last for child in section.children), default=section.number)


def _inner_indent(section: Node) -> int:
    return section.children[0].indent if section.children else section.indent + 1


def _indented(text: str, indent: int) -> list[str]:
    first, *rest = text.split("\n")
    return [" " * indent + first, *rest]


def _rendered(item: Item, indent: int) -> list[str]:
    """An added line with its contents, as the platform shows it."""
    if item.node.children and item.node.children[0].indent < 0:  # a numbered list stays flat
        number = item.key.split()[-1]
        return [f"access-list {number} {child.text}" for child in item.node.children]
    lines = _indented(item.text, indent)
    for child in item.node.children:
        lines.extend(_rendered(item.reader.item(child, item), indent + 1))
    closes = item.reader.table.grammar.closes
    if closes and item.rule.inside:
        lines.append(" " * indent + closes)
    return lines
