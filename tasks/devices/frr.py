"""What FRR must be told to run a configuration, when that takes nothing away from what it runs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from ..platforms.frr import TABLE
from ..tree import Node, parse

_Place = tuple[str, ...]  # a line and the headers that it stands under, outermost first


def additions(runs: str, wanted: str) -> str | None:
    """The lines to type, as a text for `vtysh -f`; None when typing alone would not do.

    It does when every line that runs is wanted too. One line may go: `no X`, which goes by typing
    X, as frr-reload.py does it. A line that changes is one that goes, whatever FRR would make of
    the new one: what it overwrites, and what not, only frr-reload.py's diff of before and after
    finds out.
    """
    there = dict.fromkeys(_places(_tree(runs)))  # in the order in which they run
    stay = frozenset(_places(_tree(wanted)))
    undone = []
    for place in there:
        *section, line = place
        if place not in stay:
            if section or not line.startswith("no "):
                return None
            undone.append(line.removeprefix("no "))
    return "".join(f"{line}\n" for line in (*undone, *_typed(_tree(wanted), (), there)))


def _tree(text: str) -> list[Node]:
    return parse(text.splitlines(), TABLE.grammar)


def _places(nodes: Iterable[Node], section: _Place = ()) -> Iterator[_Place]:
    for node in nodes:
        place = (*section, node.text)
        yield place
        yield from _places(node.children, place)


def _typed(nodes: Iterable[Node], section: _Place, there: Container[_Place]) -> Iterator[str]:
    """What is not there yet, below its headers, each section closed."""
    indent = " " * len(section)
    for node in nodes:
        place = (*section, node.text)
        contents = [*_typed(node.children, place, there)]
        if contents or place not in there:
            yield indent + node.text
            yield from contents
            if node.last > node.number:  # it is a section, empty or not
                yield f"{indent}exit"
