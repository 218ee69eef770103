"""`docs/architecture.md`, its drawings from the code: python -m tests.docs.architecture

A drawing stands between `<!-- drawn: NAME -->` and `<!-- end -->`; what is around it is written.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from hacc_agent.engine.health import RULES, SERVES, TAKES_NEW, State
from hacc_agent.engine.hsrp.table import TABLE
from hacc_agent.engine.log import FrameKind
from hacc_agent.wire.hsrp import State as Standby
from tests.docs.reference import DOCS

PATH = DOCS / "architecture.md"
ROOT = DOCS.parent
ROOMS = ("tasks", "lab", "bench", "hacc_agent")
PURE = ("hacc_agent.wire", "hacc_agent.engine", "hacc_agent.drills")
CONTRACT = "hacc_agent.config"  # what a router is told, in files
CONTRACTS = (CONTRACT, "hacc_agent.tomldata", "hacc_agent.hsrp.config", "hacc_agent.api.config")
IMPURE = ("hacc_agent.dataplane", "hacc_agent.snmp", "hacc_agent.hsrp", "hacc_agent.api")
OWN_PACKAGES = (*PURE, *IMPURE)


# ---------------------------------------------------------------------- who imports whom


def _room(module: str) -> str | None:
    """Where a module belongs in the drawing; None: it is not ours."""
    if any(module == each or module.startswith(f"{each}.") for each in CONTRACTS):
        return CONTRACT
    for package in OWN_PACKAGES:
        if module == package or module.startswith(f"{package}."):
            return package
    first = module.partition(".")[0]
    return first if first in ROOMS else None


def imports() -> Mapping[str, set[str]]:
    """Room -> rooms that its modules import."""
    found: dict[str, set[str]] = defaultdict(set)
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            package = parts if parts[-1] == "__init__" else parts[:-1]
            own = _room(".".join(parts))
            assert own is not None
            for name in _imported(ast.parse(file.read_text()), package):
                other = _room(name)
                if other is not None and other != own:
                    found[own].add(other)
    return found


def _imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    package = tuple(part for part in package if part != "__init__")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms() -> Iterator[str]:
    yield "```mermaid"
    yield "graph TD"
    for package in PURE:
        yield f"  {package}([{package}])"
    for room, others in sorted(imports().items()):
        if room not in (CONTRACT, "bench"):
            yield from (f"  {room} --> {other}" for other in sorted(others - {CONTRACT}))
    yield "```"


# ---------------------------------------------------------------------- members, and their link


def members() -> Iterator[str]:
    yield "| state | keeps its mobile nodes | gets new ones |"
    yield "|---|---|---|"
    for state in State:
        kept, new = ("yes" if state in each else "" for each in (SERVES, TAKES_NEW))
        yield f"| {state} | {kept} | {new} |"


def down() -> Iterator[str]:
    yield from (f"{number}. {rule.reason}" for number, rule in enumerate(RULES, 1))


def frames() -> Iterator[str]:
    """Comments behind the members of the enumeration are its words."""
    source = (ROOT / "hacc_agent/engine/log.py").read_text()
    said = dict(re.findall(r"^    ([A-Z]+) = \d+  # (.*)$", source, re.MULTILINE))
    yield "| frame | what it carries |"
    yield "|---|---|"
    yield from (f"| {kind.name} | {said[kind.name]} |" for kind in FrameKind)


# ---------------------------------------------------------------------- standby groups


def standby() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    moves: dict[tuple[Standby, Standby], list[str]] = defaultdict(list)
    for (state, event), cell in TABLE.items():
        if cell.state is not None and cell.state is not state:
            moves[state, cell.state].append(event.name.lower())
    for (state, after), events in sorted(moves.items()):
        yield f"  {state.name.title()} --> {after.name.title()}: {', '.join(sorted(events))}"
    yield "```"


DRAWINGS: Mapping[str, Callable[[], Iterator[str]]] = {
    "rooms": rooms,
    "members": members,
    "down": down,
    "frames": frames,
    "standby": standby,
}


def drawn(text: str) -> str:
    """The page with its drawings as the code has them now."""

    def again(found: re.Match[str]) -> str:
        lines = "\n".join(DRAWINGS[found[1]]())
        return f"<!-- drawn: {found[1]} -->\n\n{lines}\n\n<!-- end -->"

    return re.sub(r"<!-- drawn: (\w+) -->.*?<!-- end -->", again, text, flags=re.DOTALL)


if __name__ == "__main__":
    PATH.write_text(drawn(PATH.read_text()))
