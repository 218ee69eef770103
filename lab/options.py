"""What every command of `hacc lab` takes, and how each of them refuses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from .errors import LabError
from .lab import Lab
from .topology import load_topology

Inventory = Annotated[
    Path,
    typer.Option(
        "--inventory",
        "-i",
        envvar="HACC_INVENTORY",
        help="Folder with hosts.yaml, groups.yaml, defaults.yaml.",
    ),
]
Name = Annotated[
    str, typer.Option("--name", help="Name of the lab. Default: derived from the inventory's path.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
INVENTORY = Path("inventory")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """A user sees problems, a hint and an exit code; never a traceback."""
    try:
        yield
    except LabError as error:
        for problem in error.problems:
            typer.echo(f"hacc lab: {problem}", err=True)
        if error.hint:
            typer.echo(f"  hint: {error.hint}", err=True)
        raise typer.Exit(int(error.exit)) from None


def lab_of(inventory: Path, name: str) -> Lab:
    return Lab(load_topology(inventory, name))
