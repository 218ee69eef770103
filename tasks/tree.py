"""A configuration text as a tree of lines, and back.

Router configurations are trees written as indentation: a line that is followed by deeper lines is
a *section*, and those lines are its contents. Nothing else is understood here; what a line means
is the business of `platforms`. Three things make real texts more than indentation:

  * **Furniture.** `!`, `end`, `exit`, `Building configuration...` say nothing about the router. A
    `Grammar` names them. They are no nodes, but they keep their line numbers, so that a text can
    be edited in place with every other byte untouched.
  * **Blocks.** A banner holds free text up to its delimiter, at any indentation. It is one node
    whose text spans lines.
  * **Repetition.** The same line may stand twice (`access-list 168 remark ####`). Order and
    repetition are kept: a tree that is keyed by text cannot read such routers.

Line numbers count from 1; they are how a plan speaks of a running configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Node:
    """One line, with the lines below it. Mutable only while `parse` builds it."""

    text: str  # without indentation and trailing space; a block keeps its line breaks
    number: int  # its line in the text, from 1
    indent: int  # columns
    children: list[Node]
    last: int = 0  # the last line that belongs to it: contents, and the `exit` that closes it

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a platform's text holds besides lines and indentation."""

    furniture: re.Pattern[str]  # whole lines, stripped, that say nothing about the router
    initials: frozenset[str]  # with which furniture and blocks begin: other lines are neither
    volatile: re.Pattern[str]  # whole lines that change without anybody's change
    block: re.Pattern[str] | None = None  # opens a block; group `mark` is what closes it
    closing: re.Pattern[str] | None = None  # furniture that ends the open section
    closes: str = ""  # what is written to end one, if anything is


def parse(lines: Sequence[str], grammar: Grammar) -> list[Node]:
    """The top-level nodes of a text that is given as its lines."""
    root = Node("", 0, -1, [], 0)
    section = root  # the innermost that is open: any line, until the next says otherwise
    above = [root]  # what is open, outermost first
    furniture, block, closing = grammar.furniture.fullmatch, grammar.block, grammar.closing
    initials = grammar.initials
    count, number = len(lines), 0
    while number < count:
        line = lines[number]
        number += 1
        text = line.strip()
        if not text or text[0] == "!":
            continue
        indent = len(line) - len(line.lstrip()) if line[0] in " \t" else 0
        special = text[0] in initials
        if special and furniture(text):
            if closing and closing.fullmatch(text):
                while section.indent >= indent:
                    if section.indent == indent:
                        section.last = number
                    above.pop()
                    above[-1].last = section.last
                    section = above[-1]
            continue
        while section.indent >= indent:
            above.pop()
            above[-1].last = section.last
            section = above[-1]
        node = Node(text, number, indent, [], number)
        if special and block and (found := block.match(text)):
            end = _end_of_block(lines, number, text[found.end() :], found["mark"])
            if end > number:
                node.text = "\n".join([text, *(each.rstrip() for each in lines[number:end])])
                node.last = number = end
        section.children.append(node)
        above.append(node)
        section = node
    while len(above) > 1:
        node = above.pop()
        above[-1].last = max(above[-1].last, node.last)
    return root.children


def _end_of_block(lines: Sequence[str], number: int, rest: str, mark: str) -> int:
    """The number of the line that holds the closing mark; the opening line's own when it does.

    An unclosed block ends where it began: a broken banner must not swallow a router.
    """
    if mark in rest:
        return number
    for index in range(number, len(lines)):
        if mark in lines[index]:
            return index + 1
    return number


def numbered(nodes: Iterable[Node]) -> dict[int, Node]:
    """All nodes of a tree by their line number."""
    return {node.number: node for top in nodes for node in top.walk()}
