"""What a shell completes: routers, clusters and runs, from files alone and at once.

A key press may cost half a second, of which Python has most, and no router. So the inventory is not
loaded but skimmed (10,000 routers take seconds to load), and what is wrong completes to nothing.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import typer

_HOST: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9_.-]*):", re.MULTILINE)
_CLUSTER: Final = re.compile(r"^cluster:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_RUNS: Final = 50  # the last ones: who wants an older one knows a part of its name


def hosts(context: typer.Context, incomplete: str) -> list[str]:
    """Names in hosts.yaml."""
    return _matching(_read(_root(context) / "hosts.yaml", _HOST), incomplete)


def clusters(context: typer.Context, incomplete: str) -> list[str]:
    """Names in clusters/*.yaml."""
    files = sorted((_root(context) / "clusters").glob("*.yaml"))
    return _matching((name for file in files for name in _read(file, _CLUSTER)), incomplete)


def drills(context: typer.Context, incomplete: str) -> list[str]:
    """Files of drills/."""
    return _matching((file.stem for file in (_root(context) / "drills").glob("*.yaml")), incomplete)


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Runs that left a directory, the last first: those that a rollback can take back."""
    return _matching(["last", *_directories(context)], incomplete)


def recorded(context: typer.Context, incomplete: str) -> list[str]:
    """Runs in the history beside the inventory, the last first."""
    return _matching(["last", *_in_history(context)], incomplete)


def _root(context: typer.Context) -> Path:
    # What was typed so far is only parsed where it is complete.
    given = context.params.get("root")
    return Path(given or os.environ.get("HACC_INVENTORY") or "inventory")


def _work(context: typer.Context) -> Path:
    return _root(context).resolve().parent / ".hacc"


def _read(file: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        return pattern.findall(file.read_text("utf-8", "replace"))
    except OSError:
        return []


def _directories(context: typer.Context) -> list[str]:
    try:
        return sorted(os.listdir(_work(context) / "runs"), reverse=True)[:_RUNS]
    except OSError:
        return []


def _in_history(context: typer.Context) -> Iterator[str]:
    file = _work(context) / "history.sqlite"
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=0)) as history:
            rows = history.execute("SELECT name FROM hacc_runs ORDER BY id DESC LIMIT ?", (_RUNS,))
            yield from (name for (name,) in rows)
    except sqlite3.Error:
        return


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]
