"""`hacc lab`: virtual routers from an inventory, on this machine."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from . import router
from .breaking import app as breaking
from .breaking import mend
from .drills.command import drill
from .errors import Exit, LabError
from .lab import Lab
from .namespaces import enter_network
from .options import INVENTORY, AsJson, Inventory, Name, lab_of, told
from .simulation.command import simulate
from .subscribers.command import subscribers
from .topology import Kind, check_name, default_name

app = typer.Typer(
    no_args_is_help=True,
    help="Virtual routers on this machine, from the inventory. Nothing they send can leave it.",
)


def _progress() -> Console:
    return Console(stderr=True, highlight=False)


@app.command()
def up(inventory: Inventory = INVENTORY, name: Name = "", as_json: AsJson = False) -> None:
    """Start the routers of the inventory; run again, it repairs what is missing."""
    with told():
        lab = lab_of(inventory, name)
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
                f"lab {lab.topology.name}: {total} routers, {started} of them started now "
                f"({seconds:.1f} s)"
            )
            for fault in lab.faults():
                typer.echo(f"still broken on purpose, {fault.number}: {fault} (hacc lab mend)")


@app.command()
def down(inventory: Inventory = INVENTORY, name: Name = "", as_json: AsJson = False) -> None:
    """Remove every router, process and file of the lab (host keys are kept for the next `up`)."""
    with told():
        lab = Lab.named(check_name(name or default_name(inventory)))
        there = lab.down()
        if as_json:
            typer.echo(json.dumps({"name": lab.topology.name, "was_up": there}))
        else:
            typer.echo(f"lab {lab.topology.name}: {'removed' if there else 'was not up'}")


@app.command()
def status(inventory: Inventory = INVENTORY, name: Name = "", as_json: AsJson = False) -> None:
    """What runs. Exit code 3 when a router of the inventory does not."""
    with told():
        seen = lab_of(inventory, name).status()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(seen), indent=1))
    else:
        table = Table("router", "kind", "state", "management", "detail", title=f"lab {seen.name}")
        for row in seen.routers:
            table.add_row(row.name, row.kind, row.state, row.management, row.detail)
        Console(highlight=False).print(table)
        for fault in seen.faults:
            typer.echo(f"broken on purpose, {fault.number}: {fault} (hacc lab mend {fault.number})")
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
    inventory: Inventory = INVENTORY,
    name: Name = "",
) -> None:
    """A command inside a router, or a shell in it."""
    with told():
        lab = lab_of(inventory, name)
        one = lab.topology.router(host)
        command = command[1:] if command and command[0] == "--" else command or []
        if one.kind is Kind.IOS:
            _ios_cli(lab, host, command)
        argv, environment = router.shell_command(lab.pid(host), command, os.environ.get("TERM", ""))
    os.execvpe(argv[0], argv, environment)


def _ios_cli(lab: Lab, host: str, command: list[str]) -> NoReturn:
    """Through its own SSH server, with the lab's password: what a person would see."""
    one = lab.topology.router(host)
    askpass = lab.directory / "askpass"
    askpass.touch(mode=0o700)
    askpass.write_text('#!/bin/sh\nprintf "%s\\n" "$HACC_LAB_ANSWER"\n')
    enter_network(lab.fabric())
    environment = os.environ | {
        "SSH_ASKPASS": str(askpass),
        "SSH_ASKPASS_REQUIRE": "force",
        "HACC_LAB_ANSWER": lab.secrets()[one.password],
    }
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    argv = ["ssh", *(word for option in options for word in ("-o", option))]
    argv += [f"{one.username}@{one.management}", *command]
    os.execvpe(argv[0], argv, environment)


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def run(
    command: Annotated[list[str], typer.Argument()],
    inventory: Inventory = INVENTORY,
    name: Name = "",
) -> None:
    """A command of this machine, inside the lab's management network (`hacc lab run hacc plan`)."""
    with told():
        lab = lab_of(inventory, name)
        enter_network(lab.fabric())
        environment = os.environ | lab.environment()
        sys.stdout.flush()
        try:
            os.execvpe(command[0], command, environment)
        except OSError as error:
            raise LabError(f"{command[0]}: {error.strerror}") from error


app.add_typer(breaking, name="break")
app.command()(mend)
app.command()(subscribers)
app.command(hidden=True)(drill)
app.command(hidden=True)(simulate)


if __name__ == "__main__":
    app()
