"""The rooms keep their doors: who may import whom, who may touch the world; read from the source.

The rules are those of the wheel's geometry (`tasks` and `lab` move under `hacc_agent` there, so an
absolute import of themselves works in a checkout and breaks in a wheel) and of the design: what
decides is pure, what acts is thin.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("hacc_agent", "tasks", "lab", "bench")

# What a room may import absolutely; `tasks` and `lab` import themselves relatively, as they move.
DOORS = {
    "hacc_agent": ("hacc_agent.",),
    "tasks": (
        "hacc_agent.__version__.",
        "hacc_agent.api.config.",
        "hacc_agent.config.",
        "hacc_agent.drills.",
        "hacc_agent.hsrp.config.",
        "hacc_agent.wire.",
    ),
    "lab": ("hacc_agent.",),
    "bench": ("hacc_agent.", "tasks.", "lab.", "bench."),
}

# These know no socket, clock, chance, file or environment: a name is a module or a package.
PURE = (
    "hacc_agent/wire",
    "hacc_agent/engine",
    "hacc_agent/config",
    "hacc_agent/drills",
    "hacc_agent/hsrp/__init__",
    "hacc_agent/hsrp/config",
    "hacc_agent/api/config",
    "hacc_agent/api/documents",
    "hacc_agent/api/schemas",
    "hacc_agent/standby",
    "tasks/errors",
    "tasks/model",
    "tasks/rendered",
    "tasks/running",
    "tasks/compile",
    "tasks/proofs",
    "tasks/tree",
    "tasks/doctor/symptom",
    "tasks/history/chart",
    "tasks/history/news",
    "tasks/schedule/calendar",
    "tasks/spans",
    "tasks/platforms",
    "tasks/diff",
    "tasks/plan",
    "tasks/verify/__init__",
    "tasks/verify/observation",
    "tasks/verify/verdict",
    "tasks/verify/view",
    "tasks/verify/expected",
    "tasks/verify/checks",
    "tasks/verify/ownership",
    "tasks/verify/routing",
    "tasks/verify/service",
    "tasks/verify/linux",
    "lab/ios/forwarding",
    "lab/ios/home_agent",
    "lab/subscribers/association",
    "lab/subscribers/foreign_agent",
    "lab/subscribers/mobile_node",
    "lab/subscribers/report",
    "lab/subscribers/visitors",
    "lab/subscribers/wheel",
)
READS_TEMPLATES = ("tasks/render", "tasks/verify/ios")  # pure but for the files of templates/
READS_SOURCES = ("hacc_agent/engine/kernels/compile",)  # compiled code is kept by what it came from

# fmt: off
IMPURE_MODULES = {
    "asyncio", "fcntl", "getpass", "http", "logging", "multiprocessing", "netmiko", "nornir", "os",
    "paramiko", "pysnmp", "random", "requests", "secrets", "select", "selectors", "shutil",
    "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}
FILE_MODULES = {"glob", "io", "pathlib"}
IMPURE_CALLS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
TALKS_TO_ROUTERS = {
    "push", "verify", "observe", "devices", "runner", "hostkeys", "journal", "runs", "cli",
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Import:
    """`from ..wire import hsrp` is level 2, "wire", "hsrp"; `import a.b` is level 0, "a.b"."""

    line: int
    level: int
    module: str
    name: str

    @property
    def dotted(self) -> str:
        return ".".join(filter(None, (self.module, self.name)))


def imports(source: str) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, 0, alias.name, "")
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(node.lineno, node.level, node.module or "", alias.name)


def trespasses(room: str, source: str) -> list[str]:
    """Imports of other rooms that this room may not have, and of itself in the wrong form."""
    wrong = []
    for item in imports(source):
        if item.level:  # in a wheel the agent could reach the rooms inside it relatively
            welcome = room != "hacc_agent" or not {"tasks", "lab"} & set(item.dotted.split("."))
        else:
            welcome = item.module.partition(".")[0] not in {*ROOMS, "tests"} or any(
                f"{item.dotted}.".startswith(door) for door in DOORS[room]
            )
        if not welcome:
            wrong.append(f"line {item.line}: imports {item.dotted}")
    return wrong


def impurities(source: str, *, files: bool = False) -> list[str]:
    """Everything in a source that reaches outside the process, or reads the clock."""
    banned = IMPURE_MODULES if files else IMPURE_MODULES | FILE_MODULES
    wrong = [
        f"line {item.line}: imports {item.dotted}"
        for item in imports(source)
        if (not item.level and item.module.partition(".")[0] in banned)
        or (item.level and (item.module or item.name).partition(".")[0] in TALKS_TO_ROUTERS)
    ]
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if ".".join(called.split(".")[-2:]) in IMPURE_CALLS or (called == "open" and not files):
            wrong.append(f"line {node.lineno}: calls {called}")
    return wrong


def sources(*rooms: str) -> list[Path]:
    found: list[Path] = []
    for room in rooms:
        module = (ROOT / room).with_suffix(".py")
        found += [module] if module.is_file() else sorted((ROOT / room).rglob("*.py"))
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(*ROOMS), ids=name_of)
def test_a_room_imports_only_through_its_doors(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert trespasses(room, path.read_text()) == []


@pytest.mark.parametrize(
    "path", [path for path in sources(*PURE) if path not in sources(*READS_SOURCES)], ids=name_of
)
def test_what_decides_touches_nothing(path: Path) -> None:
    assert impurities(path.read_text()) == []


@pytest.mark.parametrize("path", sources(*READS_TEMPLATES, *READS_SOURCES), ids=name_of)
def test_what_reads_files_touches_nothing_else(path: Path) -> None:
    assert impurities(path.read_text(), files=True) == []


def import_graph(room: str) -> dict[str, set[str]]:
    """Module -> the modules of the same room that it imports when it is loaded."""
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sources(room)
    }
    graph: dict[str, set[str]] = {}
    for module, path in names.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        loaded = ast.Module(
            [node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.If)], []
        )
        targets = set()
        for item in imports(ast.unparse(loaded)):
            base = item.module
            if item.level:
                up = package.split(".")[: len(package.split(".")) - item.level + 1]
                base = ".".join(filter(None, (*up, item.module)))
            targets |= {name for name in (f"{base}.{item.name}", base) if name in names}
        graph[module] = targets - {module}
    # A package and its own modules: `from .x import` in an __init__ is its public face, no cycle.
    return {
        module: {target for target in targets if not module.startswith(f"{target}.")}
        for module, targets in graph.items()
    }


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    try:
        TopologicalSorter(import_graph(room)).prepare()
    except CycleError as cycle:
        pytest.fail(" -> ".join(cycle.args[1]))


def test_rooms_of_data_hold_no_python() -> None:
    """They are read by path; an `__init__.py` there would make them packages of somebody's name."""
    assert sources("inventory", "templates") == []


def test_the_tests_are_no_package() -> None:
    """`tests/tasks/__init__.py` would shadow the real `tasks`."""
    assert [name_of(path) for path in (ROOT / "tests").rglob("__init__.py")] == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("hacc_agent", "import tasks.plan"),
        ("hacc_agent", "from lab import fabric"),
        ("hacc_agent", "from .tasks import plan"),
        ("hacc_agent", "def late():\n    from tasks import plan"),
        ("tasks", "from tasks.errors import Exit"),
        ("tasks", "import tasks"),
        ("tasks", "from hacc_agent.engine import cluster"),
        ("tasks", "from hacc_agent import daemon"),
        ("tasks", "from lab.fabric import Lab"),
        ("lab", "from tasks.errors import Exit"),
        ("lab", "from lab.fabric import Lab"),
        ("bench", "from tests.conftest import ROOT"),
    ],
)
def test_the_door_keeper_sees(room: str, source: str) -> None:
    assert trespasses(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("hacc_agent", "from hacc_agent.wire import hsrp"),
        ("tasks", "from .errors import Exit"),
        ("tasks", "from hacc_agent import __version__"),
        ("tasks", "from hacc_agent.config import AgentConfig"),
        ("tasks", "from hacc_agent.wire.hsrp import Hello"),
        ("lab", "from .fabric import Lab"),
        ("lab", "from hacc_agent.wire import hsrp"),
        ("bench", "from tasks.diff import diff"),
    ],
)
def test_the_door_keeper_lets_in(room: str, source: str) -> None:
    assert trespasses(room, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "from time import monotonic",
        "import os",
        "def late():\n    import random",
        "import secrets",
        "from .push import apply",
        "from . import devices",
        "from datetime import datetime\nnow = datetime.now()",
        "import datetime\nnow = datetime.datetime.now(datetime.UTC)",
        "text = open('hosts.yaml').read()",
        "from pathlib import Path",
    ],
)
def test_the_purist_sees(source: str) -> None:
    assert impurities(source)


@pytest.mark.parametrize(
    "source",
    [
        "from .secrets import SecretRef",
        "from .fleet import devices",
        "from datetime import datetime\ndef f(now: datetime): ...",
        "import ipaddress",
    ],
)
def test_the_purist_lets_in(source: str) -> None:
    assert impurities(source) == []
