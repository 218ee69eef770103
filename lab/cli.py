"""`hacc lab`: virtual routers from an inventory, on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from . import router
from .errors import Exit, LabError
from .lab import Lab
from .namespaces import enter_network
from .topology import Kind, check_name, default_name, load_topology

app = typer.Typer(
    no_args_is_help=True,
    help="Virtual routers on this machine, from the inventory. Nothing they send can leave it.",
)

Inventory = Annotated[
    Path, typer.Option("--inventory", help="Folder with hosts.yaml, groups.yaml, defaults.yaml.")
]
Name = Annotated[
    str, typer.Option("--name", help="Name of the lab. Default: derived from the inventory's path.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
_INVENTORY = Path("inventory")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A user sees problems, a hint and an exit code; never a traceback."""
    try:
        yield
    except LabError as error:
        for problem in error.problems:
            typer.echo(f"hacc lab: {problem}", err=True)
        if error.hint:
            typer.echo(f"  hint: {error.hint}", err=True)
        raise typer.Exit(int(error.exit)) from None


def _lab(inventory: Path, name: str) -> Lab:
    return Lab(load_topology(inventory, name))


def _progress() -> Console:
    return Console(stderr=True, highlight=False)


@app.command()
def up(inventory: Inventory = _INVENTORY, name: Name = "", as_json: AsJson = False) -> None:
    """Start the routers of the inventory; run again, it repairs what is missing."""
    with _told():
        lab = _lab(inventory, name)
        begin = time.monotonic()
        console = _progress()
        try:
            if console.is_terminal:
                with console.status("looking at what is there") as line:
                    started = lab.up(line.update)
            else:
                started = lab.up()
        except KeyboardInterrupt:
            running = len(lab.routers())
            typer.echo(
                f"hacc lab: interrupted; {running} of {len(lab.topology.linux)} Linux routers run. "
                "`hacc lab up` finishes it, `hacc lab down` removes it.",
                err=True,
            )
            raise typer.Exit(Exit.INTERRUPTED) from None
        seconds = time.monotonic() - begin
        total = len(lab.topology.routers)
        if as_json:
            typer.echo(
                json.dumps(
                    {"name": lab.topology.name, "routers": total, "started": started,
                     "seconds": round(seconds, 2)}
                )
            )  # fmt: skip
        else:
            typer.echo(
                f"lab {lab.topology.name}: {total} routers up, {started} of them started now "
                f"({seconds:.1f} s)"
            )


@app.command()
def down(inventory: Inventory = _INVENTORY, name: Name = "", as_json: AsJson = False) -> None:
    """Remove every router, process and file of the lab (host keys are kept for the next `up`)."""
    with _told():
        lab = Lab.named(check_name(name or default_name(inventory)))
        there = lab.down()
        if as_json:
            typer.echo(json.dumps({"name": lab.topology.name, "was_up": there}))
        else:
            typer.echo(f"lab {lab.topology.name}: {'removed' if there else 'was not up'}")


@app.command()
def status(inventory: Inventory = _INVENTORY, name: Name = "", as_json: AsJson = False) -> None:
    """What runs. Exit code 3 when a router of the inventory does not."""
    with _told():
        seen = _lab(inventory, name).status()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(seen), indent=1))
    else:
        table = Table("router", "kind", "state", "management", "detail", title=f"lab {seen.name}")
        for row in seen.routers:
            detail = "; ".join(filter(None, (row.detail, *row.faults)))
            table.add_row(row.name, row.kind, row.state, row.management, detail)
        Console(highlight=False).print(table)
        for stranger in seen.strangers:
            typer.echo(f"{stranger} runs and is not in the inventory; `hacc lab up` removes it")
    if any(row.state != "running" for row in seen.routers):
        raise typer.Exit(Exit.DEVICE)


@app.command(
    name="exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def exec_(
    host: str,
    command: Annotated[list[str] | None, typer.Argument()] = None,
    inventory: Inventory = _INVENTORY,
    name: Name = "",
) -> None:
    """A command inside a router, or a shell in it."""
    with _told():
        lab = _lab(inventory, name)
        one = lab.topology.router(host)
        command = command[1:] if command and command[0] == "--" else command or []
        if one.kind is Kind.IOS:
            _ios_cli(lab, host, command)
        argv, environment = router.shell_command(lab.pid(host), command, os.environ.get("TERM", ""))
    os.execvpe(argv[0], argv, environment)


def _ios_cli(lab: Lab, host: str, command: list[str]) -> NoReturn:
    one = lab.topology.router(host)
    enter_network(lab.fabric())
    argv = ["ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", f"{one.username}@{one.management}", *command]  # fmt: skip
    os.execvp(argv[0], argv)


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def run(
    command: Annotated[list[str], typer.Argument()],
    inventory: Inventory = _INVENTORY,
    name: Name = "",
) -> None:
    """A command of this machine, inside the lab's management network (`hacc lab run hacc plan`)."""
    with _told():
        lab = _lab(inventory, name)
        enter_network(lab.fabric())
        environment = os.environ | lab.environment()
        sys.stdout.flush()
        try:
            os.execvpe(command[0], command, environment)
        except OSError as error:
            raise LabError(f"{command[0]}: {error.strerror}") from error


if __name__ == "__main__":
    app()
