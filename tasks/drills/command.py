"""`hacc drill`: rehearse the failure, measure the outage, hold it against a budget."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from hacc_agent.drills.rehearsed import Rehearsed

from .. import durable
from ..completing import drills as drill_names
from ..ending import Finished
from ..errors import Exit, HaccError, Problem
from ..intent import load_site
from ..options import DEFAULT_ROOT, AsJson, InventoryRoot, print_json
from ..pipeline import prepare, work_of
from ..report import console
from .files import json_schema, load, names
from .junit import junit
from .keeping import LAST, Run, as_json, find, keep, kept
from .page import page
from .playing import play, simulate
from .table import show_drill, show_drills, show_many, show_run

app = typer.Typer(
    no_args_is_help=True,
    help="Rehearse a failure on the virtual routers of this inventory, or in simulation, and "
    "measure the outage.",
)

DrillName = Annotated[
    str, typer.Argument(autocompletion=drill_names, help="A file of drills/, without .yaml.")
]
Outputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--output", "-o", help="Write a report too: .html, .json or .xml (JUnit); may be repeated."
    ),
]
_FORMATS: Final = (".html", ".json", ".xml")


@app.command("list")
def list_drills(root: InventoryRoot = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """The drills of this inventory, and how the last run of each went."""
    site = load_site(root)
    work = work_of(root)
    found = [(load(root, name, site), [*kept(work, name)][-1:]) for name in names(root)]
    if as_json:
        print_json(
            [
                {"name": one.name, "title": one.title, "last": _told(runs[0]) if runs else None}
                for one, runs in found
            ]
        )
        return
    show_drills(console(), ((one, runs[0] if runs else None) for one, runs in found))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(autocompletion=drill_names, help="A file of drills/, without .yaml.")
    ] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a drill's file instead.")
    ] = False,
    root: InventoryRoot = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Say what a drill does. Reads and checks its file, and touches nothing."""
    if schema:
        typer.echo(json_schema(), nl=False)
        return
    if not name:
        raise HaccError(Problem(None, "NAME", "missing", hint="hacc drill list"))
    drill = load(root, name, load_site(root))
    if as_json:
        print_json(dataclasses.asdict(drill))
    else:
        show_drill(console(), drill)


@app.command()
def run(
    name: DrillName,
    root: InventoryRoot = DEFAULT_ROOT,
    lab: Annotated[
        str, typer.Option("--name", help="Name of the lab. Default: the inventory's own.")
    ] = "",
    sim: Annotated[
        bool, typer.Option("--sim", help="In simulation: no routers, no root, no time.")
    ] = False,
    times: Annotated[
        int, typer.Option(min=1, help="With --sim: so many runs, each with other chance.")
    ] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed: the same subscribers, the same simulation.")
    ] = 1,
    outputs: Outputs = None,
    as_json: AsJson = False,
) -> None:
    """Play a drill on the running lab (`hacc lab up`), as root. Whatever it breaks, it mends.

    With --sim it is played by the cluster's engines under a virtual clock. Of many runs the report
    is that of the first one that broke a limit, or else of the median one.

    Exit code 4 when a limit was broken, 5 when something could not be mended, 130 when interrupted
    (and all is mended).
    """
    wanted = _suffixes(outputs)
    if times > 1 and not sim:
        raise HaccError(Problem(None, "--times", "only simulations are repeated", hint="--sim"))
    prepared = prepare(root) if sim else None
    drill = load(root, name, load_site(root) if prepared is None else prepared.site)
    work = work_of(root)
    out = Console(stderr=True, highlight=False)
    with out.status(drill.title) as line:

        def tell(what: str) -> None:
            if out.is_terminal:
                line.update(what)

        if prepared is None:
            done = Run(drill, play(root, drill, tell, name=lab, seed=seed))
            many = None
        else:
            many = simulate(drill, prepared.rendered.values(), tell, times=times, seed=seed)
            if not as_json and (times > 1 or many.shown is None):
                show_many(console(), many)
            if many.shown is None:
                raise Finished(Exit.REVERTED)
            done = Run(many.drill, many.shown)
    before = [*kept(work, name)]
    path = keep(work, done).with_suffix(".html")
    durable.write(path, page(done, before), 0o644)
    _write(wanted, done, before)
    _end(done, path, as_json=as_json, many=many)


@app.command()
def report(
    name: DrillName,
    which: Annotated[str, typer.Argument(metavar="[RUN]", help="As `run` named it.")] = LAST,
    root: InventoryRoot = DEFAULT_ROOT,
    outputs: Outputs = None,
    as_json: AsJson = False,
) -> None:
    """Tell a run again, the last one or another: same words, same exit code, reports to files."""
    wanted = _suffixes(outputs)
    done, before = find(work_of(root), name, which)
    _write(wanted, done, before)
    _end(done, None, as_json=as_json)


def _end(done: Run, path: Path | None, *, as_json: bool, many: Rehearsed | None = None) -> None:
    if as_json:
        print_json(_told(done) | ({} if many is None else {"simulated": _simulated(many)}))
    else:
        show_run(console(), done)
        if path is not None:
            typer.echo(f"report: {path}")
    found = done.measured
    if not found.restored:
        raise Finished(Exit.BROKEN)
    if found.interrupted:
        raise Finished(Exit.INTERRUPTED)
    if not done.verdict.ok or (many is not None and many.broken):
        raise Finished(Exit.REVERTED)


def _told(run: Run) -> dict[str, Any]:
    found = run.measured
    return {
        "run": run.name,
        "drill": run.drill.name,
        "ok": run.verdict.ok,
        "broken": [check.what for check in run.verdict.broken],
        "subscribers": dataclasses.asdict(found.subscribers),
        "addresses": {name: dataclasses.asdict(one) for name, one in found.addresses.items()},
        "packets": dataclasses.asdict(found.packets),
        "registered": found.registered,
        "bindings": {
            "before": found.bindings_before,
            "lost": found.bindings_lost,
            "doubled": found.bindings_doubled,
        },
        "interrupted": found.interrupted,
        "restored": found.restored,
    }


def _simulated(many: Rehearsed) -> dict[str, Any]:
    return {
        "runs": len(many.runs),
        "medians": dataclasses.asdict(many.medians),
        "worst": dataclasses.asdict(many.worst),
        "broken": [dataclasses.asdict(run) for run in many.broken],
    }


def _suffixes(outputs: list[Path] | None) -> list[Path]:
    """Before anything is broken: could they be written?"""
    wanted = outputs or []
    for path in wanted:
        if path.suffix not in _FORMATS:
            allowed = ", ".join(_FORMATS)
            raise HaccError(Problem(None, "--output", f"found {str(path)!r}", allowed=allowed))
        path.parent.resolve(strict=True)
    return wanted


def _write(wanted: list[Path], done: Run, before: list[Run]) -> None:
    for path in wanted:
        match path.suffix:
            case ".html":
                data = page(done, before)
            case ".json":
                data = as_json(done)
            case _:
                data = junit(done)
        path.write_bytes(data)
