"""`hacc`: one verb per stage. A command prepares, does its one thing, reports, ends with a code.

Results go to standard output, progress and problems to standard error, so that a pipe gets what
was asked for and nothing else. With --json both are JSON: one value on standard output, one line
per event on standard error.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from hacc_agent import __version__

from . import applying, certificates, pipeline
from .applying import BatchSize, Canary
from .batches import batched, cut_of
from .brownfield.command import propose_intent
from .check.command import check
from .completing import hosts
from .doctor.command import doctor
from .drills import command as drills
from .ending import Finished
from .errors import Exit, HaccError, Problem
from .explain import explain as explain_line
from .fleet.choice import Choice, ProcessCount, RunnerAddress
from .fleet.looking import plan as plan_parts
from .history import command as history
from .history.command import recording_to
from .history.record import Kind
from .init import init
from .intent import json_schema
from .options import (
    DEFAULT_ROOT,
    AsJson,
    Clusters,
    HistoryUrl,
    InventoryRoot,
    Strict,
    print_json,
)
from .plan import to_json
from .progress import Progress
from .proofs import INVARIANTS
from .radius import entries
from .render import unverified_places
from .rendered import Rendered
from .report import (
    console,
    show_plan,
    show_verdict,
)
from .schedule import command as schedule
from .secrets import resolve
from .sheet import sheet
from .status import status
from .unverified import unverified

app = typer.Typer(
    name="hacc",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Provision, prove and verify clusters of Mobile IP Home Agents that answer as one. "
    "After `hacc apply`, `hacc plan` is empty.",
)
app.add_typer(certificates.app, name="pki")
app.add_typer(drills.app, name="drill")
app.add_typer(history.app, name="history")
app.add_typer(schedule.app, name="schedule")
app.command()(check)
app.command()(doctor)
app.command()(init)
app.command()(status)
app.command("import")(propose_intent)
app.command()(applying.apply)
app.command()(applying.rollback)
app.command("runs")(applying.list_runs)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hacc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def validate(
    root: InventoryRoot = DEFAULT_ROOT,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of an intent file instead.")
    ] = False,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Also open every secret and prove the keys.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load, compile, prove and render everything, offline. Every problem is told at once."""
    if schema:
        typer.echo(json_schema(), nl=False)
        return
    prepared = pipeline.prepare(root)
    if secrets:
        pipeline.open_secrets(prepared)
    lines = {host: sum(len(f.lines) for f in r.files) for host, r in prepared.rendered.items()}
    if as_json:
        print_json(
            {
                "clusters": [c.name for c in prepared.clusters],
                "routers": sorted(prepared.rendered),
                "lines": sum(lines.values()),
                "invariants": len(INVARIANTS),
            }
        )
        return
    for cluster in prepared.clusters:
        hosts = [device.host for device in cluster.devices]
        typer.echo(
            f"{cluster.name}: {len(hosts)} routers, {sum(lines[host] for host in hosts)} lines; "
            f"{len(INVARIANTS)} invariants proven" + (", keys fit" if secrets else "")
        )


@app.command()
def render(
    host: Annotated[
        str | None, typer.Argument(autocompletion=hosts, help="Only this router.")
    ] = None,
    root: InventoryRoot = DEFAULT_ROOT,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write HOST/FILE below this folder.")
    ] = None,
    sheets: Annotated[
        bool, typer.Option("--sheet", help="What mobile nodes and Foreign Agents need instead.")
    ] = False,
    radius: Annotated[
        bool, typer.Option("--radius", help="What a FreeRADIUS server needs to know instead.")
    ] = False,
    in_clear: Annotated[
        bool,
        typer.Option(
            "--open", help="With --radius -o: secrets in clear, in files for their owner alone."
        ),
    ] = False,
    report_unverified: Annotated[
        bool,
        typer.Option(
            "--report-unverified", help="List the lines whose exact form is not verified instead."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what each router should hold, offline. Secrets stay sealed as <secret REF>."""
    if in_clear and (out is None or not radius):
        raise HaccError([Problem(None, "--open", "stands alone", allowed="--radius --output DIR")])
    prepared = pipeline.prepare(root)
    texts: Sequence[Rendered] = [*prepared.rendered.values()]
    if host is not None:
        texts = [pipeline.host_of(prepared, host)]
    if sheets:
        texts = [sheet(cluster) for cluster in prepared.clusters]
    if radius:
        asking = [c for c in prepared.clusters if any(device.radius for device in c.devices)]
        texts = [entries(cluster) for cluster in asking or prepared.clusters]
    if report_unverified:
        _report_unverified(texts, as_json)
    elif as_json:
        print_json({r.host: {file.path: file.text for file in r.present} for r in texts})
    elif out is not None:
        _write_texts(texts, out, pipeline.open_secrets(prepared).values if in_clear else None)
    else:
        for rendered in texts:
            for file in rendered.present:
                typer.echo(f"! {rendered.host} {file.path}\n{file.text}")


def _report_unverified(texts: Iterable[Rendered], as_json: bool) -> None:
    found = [line for rendered in texts for line in unverified(rendered, unverified_places())]
    if as_json:
        print_json([dataclasses.asdict(line) for line in found])
        return
    for line in found:
        typer.echo(str(line))
    typer.echo(f"{len(found)} lines in forms that nobody here has seen on a router", err=True)


def _write_texts(
    texts: Iterable[Rendered], out: Path, opened: Mapping[str, str] | None = None
) -> None:
    count = 0
    for rendered in texts:
        for file in rendered.present:
            path = out / rendered.host / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Who may not read a secret may not read what was there before it, either.
            mode = 0o666 if opened is None else 0o600
            path.unlink(missing_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as target:
                target.write(file.text if opened is None else resolve(file.text, opened))
            count += 1
    typer.echo(f"{count} files below {out}", err=True)


@app.command()
def explain(
    host: Annotated[str, typer.Argument(autocompletion=hosts, help="The router.")],
    line: Annotated[
        str, typer.Argument(help="A line's number, FILE:NUMBER, or a part of its text.")
    ],
    root: InventoryRoot = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Say why a router has a line: the template's line, and the intent's lines that stand in it."""
    origins = explain_line(pipeline.host_of(pipeline.prepare(root), host), line)
    if as_json:
        print_json([dataclasses.asdict(origin) for origin in origins])
    else:
        typer.echo("\n".join(map(str, origins)))


@app.command()
def plan(
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Save the plan for `hacc apply FILE`.")
    ] = None,
    canary: Canary = "",
    batch: BatchSize = "",
    summary: Annotated[
        bool, typer.Option("--summary", help="One line a router instead of every line.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 2 when something would change.")
    ] = False,
    processes: ProcessCount = None,
    runner: RunnerAddress = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Show what would change, what it interrupts, in which order, and how it is undone."""
    if out is not None:
        out.parent.resolve(strict=True)  # before routers are asked for what could not be kept
    cut = cut_of(canary, batch)
    prepared = pipeline.prepare(root, cluster or ())
    choice = Choice.of(len(prepared.rendered), processes, runner)
    with Progress(as_json=as_json) as progress:
        made = plan_parts(prepared, choice, strict=strict, listeners=(progress.listen,))
    made = batched(made, prepared.clusters, cut)
    if out is not None:
        out.write_bytes(to_json(made))
    if as_json:
        sys.stdout.buffer.write(to_json(made))
    else:
        show_plan(console(), made, summary=summary)
        if out is not None and not made.empty:
            typer.echo(f"Saved. Do it with: hacc apply {out}")
    if exit_code and not made.empty:
        raise Finished(Exit.CHANGES)


@app.command()
def verify(
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Show what passed too.")] = False,
    history_url: HistoryUrl = "",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Ask the routers whether they do what the intent means; wait for what is still converging."""
    prepared = pipeline.prepare(root, cluster or ())
    opened = pipeline.open_secrets(prepared)
    with (
        Progress(as_json=as_json) as progress,
        recording_to(root, history_url, progress, as_json=as_json).recording(
            Kind.VERIFY, prepared
        ) as draft,
        pipeline.fleet(prepared, opened, strict=strict, listeners=(progress.listen,)) as routers,
    ):
        verdicts = pipeline.verify_clusters(prepared, routers, opened)
        draft.verified(verdicts)
    if as_json:
        print_json([verdict.to_json() for verdict in verdicts])
    else:
        for verdict in verdicts:
            show_verdict(console(), verdict, everything=everything)
    if not all(verdict.ok for verdict in verdicts):
        raise Finished(Exit.CHANGES)
