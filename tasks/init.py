"""`hacc init`: a repository to begin with, whose example works."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from . import durable
from .certificates import issue_all
from .drills import files as drills
from .errors import HaccError, Place, Problem
from .intent import json_schema, load_site
from .intent import secrets as references
from .options import AsJson, print_json

SKELETON: Final = Path(__file__).parent / "skeleton"
SCHEMAS: Final[Mapping[str, Callable[[], str]]] = {
    "inventory/intent.schema.json": json_schema,
    "inventory/drill.schema.json": drills.json_schema,
}
ENVIRONMENT: Final = ".hacc/environment"
_DOT: Final = "dot-"  # how a hidden file of the skeleton is called, so that it hides nothing here


def init(
    folder: Annotated[
        Path, typer.Argument(help="A new folder, or an empty one, or a clone without files.")
    ],
    as_json: AsJson = False,
) -> None:
    """Begin a repository: a working example of an intent, CI, a hook, and secrets of its own."""
    made = begin(folder)
    if as_json:
        print_json({"files": [str(path) for path in made]})
        return
    for path in made:
        typer.echo(str(path))
    typer.echo(f"Next: cd {folder}; hacc validate; and README.md", err=True)


def begin(folder: Path) -> list[Path]:
    """Write the files. Raises HaccError when there are others: nothing is ever overwritten."""
    if folder.exists() and (not folder.is_dir() or {p.name for p in folder.iterdir()} - {".git"}):
        raise HaccError(
            Problem(Place(str(folder), 0), "init", "is not empty", hint="name a new folder")
        )
    made = []
    for name, data in _files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        made.append(path)
    work = folder / ".hacc"
    work.mkdir(mode=0o700)
    durable.write(folder / ENVIRONMENT, _invented(folder).encode())
    return [*made, *issue_all(folder / "inventory"), folder / ENVIRONMENT]


def _files() -> Iterator[tuple[Path, bytes]]:
    for path in sorted(SKELETON.rglob("*")):
        if path.is_file():
            parts = [
                f".{part.removeprefix(_DOT)}" if part.startswith(_DOT) else part
                for part in path.relative_to(SKELETON).parts
            ]
            yield Path(*parts), path.read_bytes()
    for name, text in SCHEMAS.items():
        yield Path(name), text().encode()


def _invented(folder: Path) -> str:
    """A random value for each env: reference: 16 letters and digits are right for all of them.

    A mobility key has 16 octets, OSPF takes no more characters, SNMP no less than eight.
    """
    site = load_site(folder / "inventory")
    names = sorted(
        ref.ref.removeprefix("env:")
        for ref in references(site.clusters, site.inventory.hosts.values())
        if ref.ref.startswith("env:")
    )
    lines = [f"{name}={_random()}" for name in names]
    return "\n".join(["# Read by a shell and by systemd: NAME=value. Never commit it.", *lines, ""])


def _random() -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(16))
