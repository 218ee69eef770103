"""The `hacc` command: finds the orchestrator and the lab, and joins their commands into one.

In a checkout `tasks/` and `lab/` lie beside this package; in a wheel they travel inside it
(pyproject.toml, `[tool.hatch.build.targets.wheel.sources]`). Only this module knows, and it is
the only one in this room that reaches for them: by name, when the command runs, so that the
daemon's machine needs neither of them nor what they depend on.
"""

from __future__ import annotations

import gc
import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

LAB = "lab"  # the room, and the command
ROOMS = ("tasks", LAB)


class NotInstalled(Exception):
    """A library that this half of the program needs is not on this machine."""

    def __init__(self, what: str, library: str, extra: str) -> None:
        super().__init__(f"{what} needs the library {library!r}: pip install 'hacc[{extra}]'")


def home_of(room: str) -> str:
    """The name under which a room can be imported here."""
    inside = f"{__package__}.{room}"
    if find_spec(inside):
        return inside
    beside = Path(__file__).parent.parent / room / "__init__.py"
    spec = find_spec(room)
    # `tasks` is a name that others use too (Invoke's tasks.py): never run somebody else's.
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != beside.resolve():
        found = "nothing" if spec is None else str(spec.origin)
        raise ImportError(f"{room!r} should be {beside}, and is {found}", name=room)
    return room


def load(room: str, module: str, what: str, extra: str) -> ModuleType:
    """Import a module of a room; a missing library is told apart from a broken program."""
    try:
        return importlib.import_module(f"{home_of(room)}.{module}")
    except ModuleNotFoundError as missing:
        library = (missing.name or "").partition(".")[0]
        if library in (*ROOMS, __package__, ""):
            raise
        raise NotInstalled(what, library, extra) from missing


def main() -> int:
    # What is loaded stays: it is searched for garbage neither now nor later.
    gc.disable()
    try:
        run, app = _program("".join(sys.argv[1:2]))
    except NotInstalled as missing:
        print(missing, file=sys.stderr)
        return 1
    finally:
        gc.enable()
    gc.freeze()
    code: int = run(app)
    return code


def _program(word: str) -> tuple[Any, Any]:
    """What runs a program, and the program; `word` is the command."""
    run = load("tasks", "ending", "hacc", "orchestrator").run
    # Either half takes its time to load, so whoever names a command waits for that half alone.
    app = _nothing() if word == LAB else load("tasks", "cli", "hacc", "orchestrator").app
    if word not in _names(app):
        _join_lab(app)
    return run, app


def _nothing() -> Any:
    import typer

    app = typer.Typer(name="hacc", pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    return app


def _names(app: Any) -> set[str]:
    commands = {one.name or one.callback.__name__ for one in app.registered_commands}
    return commands | {group.name for group in app.registered_groups}


def _join_lab(app: Any) -> None:
    try:
        app.add_typer(load("lab", "cli", "hacc lab", "lab").app, name=LAB)
    except NotInstalled as missing:
        # Someone who provisions real routers has no use for virtual ones: only `hacc lab` fails.
        reason = str(missing)

        def lab() -> None:
            print(reason, file=sys.stderr)
            raise SystemExit(1)

        anything = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command(LAB, help=f"Virtual routers. {reason}", context_settings=anything)(lab)


if __name__ == "__main__":
    sys.exit(main())
