"""What the commands of `hacc` share: options of one meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from .completing import clusters

InventoryRoot = Annotated[
    Path,
    typer.Option(
        "--inventory",
        "-i",
        envvar="HACC_INVENTORY",
        help="Folder with hosts.yaml, groups.yaml, defaults.yaml and clusters/.",
    ),
]
Clusters = Annotated[
    list[str] | None,
    typer.Option(
        "--cluster", "-c", autocompletion=clusters, help="Only this cluster; may be repeated."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on standard output.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse routers whose host key is not known yet.")
]
HistoryUrl = Annotated[
    str,
    typer.Option(
        "--history",
        envvar="HACC_HISTORY",
        metavar="URL",
        help="Where runs are recorded: sqlite:FILE or postgresql://..., or a reference to that.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DEFAULT_ROOT: Final = Path("inventory")


def print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=1, default=str))
