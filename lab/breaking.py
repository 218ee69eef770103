"""`hacc lab break ...` and `hacc lab mend`: faults on purpose, listed until they are mended."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .errors import LabError
from .faults import Fault, FaultKind
from .options import INVENTORY, AsJson, Inventory, Name, lab_of, told

app = typer.Typer(no_args_is_help=True, help="Break something on purpose; `mend` undoes it.")

Where = Annotated[str, typer.Argument(metavar="HOST[:INTERFACE]")]


class Direction(StrEnum):
    """As the router sees it."""

    IN = "in"
    OUT = "out"


def _break(fault: Fault, inventory: Path, name: str, as_json: bool) -> None:
    with told():
        done = lab_of(inventory, name).break_(fault)
        if as_json:
            typer.echo(json.dumps({"number": done.number, "fault": str(done)}))
        else:
            typer.echo(f"broken, {done.number}: {done} (hacc lab mend {done.number})")


def _place(where: str) -> tuple[tuple[str], str]:
    host, _, interface = where.partition(":")
    return (host,), interface


@app.command()
def link(
    where: Where, inventory: Inventory = INVENTORY, name: Name = "", as_json: AsJson = False
) -> None:
    """Pull the cable: carrier is lost at both ends. Without INTERFACE: all but the management."""
    routers, interface = _place(where)
    _break(Fault(FaultKind.LINK, routers, interface=interface), inventory, name, as_json)


@app.command()
def oneway(
    where: Where,
    direction: Annotated[Direction, typer.Option(help="What the router loses.")],
    inventory: Inventory = INVENTORY,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Drop all frames into, or out of, a router; nobody loses carrier."""
    routers, interface = _place(where)
    fault = Fault(FaultKind.ONEWAY, routers, interface=interface, direction=direction.value)
    _break(fault, inventory, name, as_json)


@app.command()
def partition(
    one: Annotated[str, typer.Argument(metavar="HOST,HOST...")],
    other: Annotated[str, typer.Argument(metavar="HOST,HOST...")],
    inventory: Inventory = INVENTORY,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Two sets of routers no longer hear each other on any segment."""
    fault = Fault(FaultKind.PARTITION, tuple(one.split(",")), others=tuple(other.split(",")))
    _break(fault, inventory, name, as_json)


@app.command()
def loss(
    where: Where,
    share: Annotated[str, typer.Argument(metavar="PERCENT", help="10% or 0.5%")],
    inventory: Inventory = INVENTORY,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Lose a share of the frames, in each direction on its own."""
    with told():
        try:
            permille = round(float(share.removesuffix("%")) * 10)
        except ValueError:
            raise LabError(f"{share!r} is not a percentage", hint="10% or 0.5%") from None
    routers, interface = _place(where)
    fault = Fault(FaultKind.LOSS, routers, interface=interface, permille=permille)
    _break(fault, inventory, name, as_json)


@app.command()
def kill(
    host: str,
    daemon: Annotated[str, typer.Argument(help="As `ps -o comm` shows it: ospfd, keepalived")],
    inventory: Inventory = INVENTORY,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """SIGKILL to a daemon. A supervisor may bring it back, as on a real router."""
    _break(Fault(FaultKind.KILL, (host,), daemon=daemon), inventory, name, as_json)


@app.command()
def power(
    host: str, inventory: Inventory = INVENTORY, name: Name = "", as_json: AsJson = False
) -> None:
    """Pull the mains: carrier is gone and every process dead, at once."""
    _break(Fault(FaultKind.POWER, (host,)), inventory, name, as_json)


@app.command()
def freeze(
    host: str, inventory: Inventory = INVENTORY, name: Name = "", as_json: AsJson = False
) -> None:
    """Stop every process of a router; its kernel goes on answering ARP and ping."""
    _break(Fault(FaultKind.FREEZE, (host,)), inventory, name, as_json)


@app.command()
def stop(
    host: str,
    unit: Annotated[str, typer.Argument(help="As systemctl names it: snmpd, keepalived")],
    inventory: Inventory = INVENTORY,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Stop a service in order, as `systemctl stop` does; `mend` starts it again."""
    _break(Fault(FaultKind.STOP, (host,), unit=unit), inventory, name, as_json)


@app.command()
def overload(
    host: str, inventory: Inventory = INVENTORY, name: Name = "", as_json: AsJson = False
) -> None:
    """Let a router tell that its memory is used up: by SNMP, and to its controllers."""
    _break(Fault(FaultKind.OVERLOAD, (host,)), inventory, name, as_json)


def mend(
    number: Annotated[str, typer.Argument(metavar="[NUMBER|all]")] = "all",
    inventory: Inventory = INVENTORY,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Undo a fault, by the number that `status` shows, or all of them."""
    with told():
        if number != "all" and not number.isdigit():
            raise LabError(f"{number!r} is not the number of a fault", hint="hacc lab status")
        chosen = None if number == "all" else [int(number)]
        mended = lab_of(inventory, name).mend(chosen)
        if as_json:
            typer.echo(json.dumps([fault.number for fault in mended]))
        elif not mended:
            typer.echo("nothing is broken on purpose")
        for fault in mended if not as_json else ():
            typer.echo(f"mended, {fault.number}: {fault}")
