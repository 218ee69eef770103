"""Two configurations as texts: what differs, and the commands that lead from one to the other.

This is what `show archive config differences` shows and what `configure replace` does. It knows
lines and indentation and nothing else, as the feature on IOS does: a line that is gone is negated,
then a line that is new is added. Only access lists are compared as a whole, since their order means
something.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ACL = re.compile(r"access-list \d+")
_VOLATILE = re.compile(
    r"!|exit-address-family$|Building configuration|Current configuration|version |end$|\s*$"
)


@dataclass(slots=True)
class Block:
    """A line and the lines indented under it, by their text."""

    line: str
    under: dict[str, Block] = field(default_factory=dict)


def blocks_of(text: str) -> dict[str, Block]:
    """A configuration as a tree by indentation, comments and volatile lines left out."""
    root = Block("")
    path: list[tuple[int, Block]] = [(-1, root)]
    banner: list[str] | None = None
    for line in text.splitlines():
        if banner is not None:
            banner.append(line)
            if line.rstrip().endswith("^C"):
                whole = "\n".join(banner)
                root.under[whole] = Block(whole)
                banner = None
            continue
        if line.startswith("banner ") and line.count("^C") == 1:
            banner = [line]
            continue
        if _VOLATILE.match(line.strip() if line.startswith(" ") else line):
            continue
        depth = len(line) - len(line.lstrip())
        bare = line.strip()
        while path[-1][0] >= depth:
            path.pop()
        parent = path[-1][1]
        block = Block(bare)
        name = bare
        while name in parent.under and bare.startswith(("remark ", "access-list")):
            name += "\0"  # access lists may say the same thing twice, remarks above all
        block = parent.under.setdefault(name, block)
        path.append((depth, block))
    return root.under


def _lists(blocks: dict[str, Block]) -> dict[str, list[str]]:
    """The numbered access lists of a configuration, each with its lines in order."""
    found: dict[str, list[str]] = {}
    for block in blocks.values():
        match = _ACL.match(block.line)
        if match is not None:
            found.setdefault(match[0], []).append(block.line)
    return found


def negated(line: str) -> str:
    """`no X` for `X`, and the other way about."""
    if line.startswith("banner "):
        return "no " + " ".join(line.split()[:2])
    return line[3:] if line.startswith("no ") else f"no {line}"


def commands(old: dict[str, Block], new: dict[str, Block], depth: int = 0) -> list[str]:
    """The lines that lead from one configuration to the other: first `no`, then what is new."""
    pad = " " * depth
    gone: list[str] = []
    come: list[str] = []
    before, after = (_lists(old), _lists(new)) if depth == 0 else ({}, {})
    gone += [f"no {name}" for name, lines in before.items() if lines != after.get(name)]
    for key, block in old.items():
        if _ACL.match(block.line) and depth == 0:
            continue
        if key not in new and block.line != "no ip address":
            gone.append(pad + negated(block.line))
    gone.reverse()
    for key, block in new.items():
        match = _ACL.match(block.line) if depth == 0 else None
        known = old.get(key)
        if match is not None:
            if before.get(match[0]) != after[match[0]]:
                come.append(block.line)
        elif block.line.startswith("ip access-list ") and known is not None:
            if list(known.under) != list(block.under):
                gone.insert(0, f"no {block.line}")
                come += _whole(block, pad)
        elif known is None:
            come += _whole(block, pad)
        elif inner := commands(known.under, block.under, depth + 1):
            come += [pad + block.line, *inner]
    return gone + come


def _whole(block: Block, pad: str) -> list[str]:
    lines = [pad + block.line]
    for inner in block.under.values():
        lines += _whole(inner, pad + " ")
    return lines


def contextual(old: dict[str, Block], new: dict[str, Block], pad: str = "") -> list[str]:
    """`show archive config differences OLD NEW`: `+` is in the new one alone, `-` in the old."""
    shown: list[str] = []
    for key, block in new.items():
        known = old.get(key)
        if known is None:
            shown += [f"{pad}+{line}" for line in _whole(block, "")]
        elif inner := contextual(known.under, block.under, pad + " "):
            shown += [pad + block.line, *inner]
    for key, block in old.items():
        if key not in new:
            shown += [f"{pad}-{line}" for line in _whole(block, "")]
    return shown


def additions(old: dict[str, Block], new: dict[str, Block], pad: str = "") -> list[str]:
    """`show archive config incremental-diffs NEW`: what a merge would add."""
    shown: list[str] = []
    for key, block in new.items():
        known = old.get(key)
        if known is None:
            shown += _whole(block, pad)
        elif inner := additions(known.under, block.under, pad + " "):
            shown += [pad + block.line, *inner]
    return shown
