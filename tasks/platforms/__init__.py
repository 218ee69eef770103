"""What each platform's commands mean: the tables that the diff engine reads.

The engine (`tree`, `edits`, `steps`, `order`, `diff`) knows lines, sections, keys and references.
What is particular stands in the tables of this package, one module per platform, in the
vocabulary of `rules`. Two procedures are the engine's own, in `steps`: how a port that cannot be
removed is put out of use, and how an access list is edited in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..tree import Grammar
from .rules import Context, Impact, Kind, Matched, Rule
from .sealing import Sealer, Shape

__all__ = ["Context", "Impact", "Kind", "Matched", "Rule", "Sealer", "Shape", "Table"]


def _no_port(header: str) -> bool:  # noqa: ARG001 -- most platforms remove whatever they show
    return False


@dataclass(frozen=True, slots=True)
class Table:
    """All that the engine must know of a platform."""

    grammar: Grammar
    contexts: Mapping[str, Context]  # by the `inside` of the section's rule; "" is the top
    sealer: Sealer
    canonical: Callable[[str], str]  # one way to write a line, of the many that mean the same
    settled: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Contents, by `inside`, of a permanent section that nobody has configured."""
    port: Callable[[str], bool] = _no_port
    """Whether a header, in canonical form, is that of a port: no command can remove those."""
    numbered_list: re.Pattern[str] | None = None
    """Flat entries of a list: groups `list` and `entry`; folded into a section by the engine."""
    list_header: Callable[[str], str] = str
    """The header of the section that a flat list stands for."""
    entry_number: re.Pattern[str] | None = None
    """The sequence number that newer releases show before an entry of an ordered list."""
