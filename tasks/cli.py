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

from . import certificates, pipeline, push, runs
from .check.command import check
from .course import Applied
from .devices.fleet import Fleet
from .ending import Finished
from .errors import Exit, HaccError, Place, Problem
from .explain import explain as explain_line
from .history import command as history
from .history.record import Kind
from .history.recording import Recorder, recorder
from .intent import json_schema
from .options import (
    DEFAULT_ROOT,
    AsJson,
    Clusters,
    HistoryUrl,
    InventoryRoot,
    Strict,
    Yes,
    print_json,
)
from .plan import Plan, from_json, to_json
from .platforms import Impact
from .progress import Progress
from .proofs import INVARIANTS
from .push import PlanStale
from .radius import entries
from .render import templates_sha256, unverified_places
from .rendered import Rendered
from .report import (
    console,
    impact_words,
    show_applied,
    show_error,
    show_plan,
    show_verdict,
)
from .rollback import rollback as roll_back
from .running import Running
from .secrets import resolve
from .sheet import sheet
from .unverified import unverified
from .verify import Verdict

app = typer.Typer(
    name="hacc",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Provision, prove and verify clusters of Mobile IP Home Agents that answer as one. "
    "After `hacc apply`, `hacc plan` is empty.",
)
app.add_typer(certificates.app, name="pki")
app.add_typer(history.app, name="history")
app.command()(check)


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
    host: Annotated[str | None, typer.Argument(help="Only this router.")] = None,
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
    host: Annotated[str, typer.Argument(help="The router.")],
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
    summary: Annotated[
        bool, typer.Option("--summary", help="One line a router instead of every line.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 2 when something would change.")
    ] = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Show what would change, what it interrupts, in which order, and how it is undone."""
    if out is not None:
        out.parent.resolve(strict=True)  # before routers are asked for what could not be kept
    prepared = pipeline.prepare(root, cluster or ())
    opened = pipeline.open_secrets(prepared)
    with (
        Progress(as_json=as_json) as progress,
        pipeline.fleet(prepared, opened, strict=strict, listeners=(progress.listen,)) as routers,
    ):
        made = pipeline.plan(prepared, opened, pipeline.fetch(prepared, routers))
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
def apply(
    file: Annotated[
        Path | None,
        typer.Argument(help="A plan made by `hacc plan -o`. Without: plan now, and ask."),
    ] = None,
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    allow: Annotated[
        str,
        typer.Option("--allow", help=f"Impacts that may happen, by comma: {impact_words()}."),
    ] = "",
    yes: Yes = False,
    history_url: HistoryUrl = "",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Bring the routers to the plan, wave by wave, each verified; on failure, return them all."""
    allowed = _impacts(allow)
    saved = from_json(_read(file), str(file)) if file else None
    prepared = pipeline.prepare(root, saved.clusters if saved else cluster or ())
    if saved:
        _refuse_other_intent(saved, prepared, str(file))
    opened = pipeline.open_secrets(prepared)
    with (
        Progress(as_json=as_json) as progress,
        pipeline.fleet(prepared, opened, strict=strict, listeners=(progress.listen,)) as routers,
    ):
        running = None if saved else pipeline.fetch(prepared, routers)
        made = saved or pipeline.plan(prepared, opened, running or {})
        if not saved and not as_json:
            with progress.paused():
                show_plan(console(), made)
        _refuse_impacts(made, allowed)
        if not made.empty and not yes:
            with progress.paused():
                _ask(f"Change {sum(not host.empty for host in made.hosts)} routers?")
            running = None  # who knows how long that took
        with _recorder(root, history_url, progress, as_json).recording(
            Kind.APPLY, prepared
        ) as draft:
            applied, verdicts = _apply(prepared, opened, made, routers, progress, running)
            draft.applied(applied)
    _report_applied(applied, verdicts, as_json)


def _apply(
    prepared: pipeline.Prepared,
    opened: pipeline.Opened,
    made: Plan,
    routers: Fleet,
    progress: Progress,
    running: Mapping[str, Running] | None,
) -> tuple[Applied, Sequence[Verdict]]:
    guard = pipeline.WaveGuard(prepared, made, opened)
    if not made.empty:
        progress.say("looking at what is true before")
        guard.look_before(routers)
    applied = push.apply(
        made,
        routers,
        prepared.rendered,
        opened.values,
        work=prepared.work,
        read=running,
        verify=lambda wave: guard.judge(routers, wave),
    )
    return applied, guard.verdicts


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
        _recorder(root, history_url, progress, as_json).recording(Kind.VERIFY, prepared) as draft,
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


@app.command()
def rollback(
    run_name: Annotated[
        str,
        typer.Argument(metavar="[RUN]", help="A run's name or a part of it; default: the last."),
    ] = "last",
    root: InventoryRoot = DEFAULT_ROOT,
    force: Annotated[
        bool, typer.Option("--force", help="Give up what others changed on these routers since.")
    ] = False,
    yes: Yes = False,
    history_url: HistoryUrl = "",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Return the routers of a run to what they held before it, byte for byte, and prove it."""
    prepared = pipeline.prepare(root)
    undone = runs.find(prepared.work, run_name)
    opened = pipeline.open_secrets(prepared)
    if not yes:
        hosts = ", ".join(host.host for host in undone.plan.hosts if not host.empty)
        _ask(f"Return {hosts} to what they held before {undone.name}?")
    with (
        Progress(as_json=as_json) as progress,
        _recorder(root, history_url, progress, as_json).recording(Kind.ROLLBACK, prepared) as draft,
        pipeline.fleet(prepared, opened, strict=strict, listeners=(progress.listen,)) as routers,
    ):
        applied = roll_back(
            undone.name, routers, work=prepared.work, opened=opened.values, force=force
        )
        draft.applied(applied)
    _report_applied(applied, (), as_json)


def _recorder(root: Path, url: str, progress: Progress, as_json: bool) -> Recorder:
    """Of the site; what it cannot record is said between two lines of progress."""

    def say(problems: Iterable[Problem]) -> None:
        with progress.paused():
            show_error(HaccError(problems), as_json=as_json)

    return recorder(root, url, say)


def _report_applied(applied: Applied, verdicts: Sequence[Verdict], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                **dataclasses.asdict(applied),
                "verdicts": [verdict.to_json() for verdict in verdicts],
            }
        )
    else:
        for verdict in verdicts:
            show_verdict(console(), verdict)
        show_applied(console(), applied)
    if applied.exit is not Exit.OK:
        raise Finished(applied.exit)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise HaccError(
            Problem(
                Place(str(file), 0),
                "plan",
                f"cannot be read: {(error.strerror or str(error)).lower()}",
                hint="make one with: hacc plan -o FILE",
            )
        ) from None


def _impacts(words: str) -> frozenset[Impact]:
    by_name = {str(impact): impact for impact in Impact if impact is not Impact.NONE}
    given = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in given if word not in by_name]
    if unknown:
        raise HaccError(
            Problem(None, "--allow", f"{word!r} is no impact", allowed=impact_words())
            for word in unknown
        )
    return frozenset(by_name[word] for word in given)


def _refuse_impacts(made: Plan, allowed: frozenset[Impact]) -> None:
    """Above `none`, each impact needs a word of permission: the worst does not stand for others."""
    wrong = [
        Problem(
            None,
            host.host,
            f"the plan means {impact}",
            allowed=", ".join(sorted(map(str, allowed))) or "no impact",
            hint=f"look at the plan, then: --allow {impact}",
        )
        for host in made.hosts
        for impact in sorted(host.impacts - allowed)
    ]
    if wrong:
        raise HaccError(wrong)


def _refuse_other_intent(saved: Plan, prepared: pipeline.Prepared, file: str) -> None:
    made_from = (saved.intent_sha256, saved.templates_sha256)
    if made_from != (prepared.site.sha256, templates_sha256()):
        raise PlanStale(
            Problem(
                Place(file, 0),
                "plan",
                "the intent or the templates have changed since this plan was made",
                hint=f"nothing was touched; make it again: hacc plan -o {file}",
            )
        )


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise HaccError(
            Problem(None, "hacc", "this needs a confirmation, and there is no terminal to ask on",
                    hint="--yes when nobody is there to answer")
        )  # fmt: skip
    if not typer.confirm(question, err=True):
        raise Finished(Exit.USAGE)
