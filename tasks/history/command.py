"""`hacc history`: what was done and found, by whom, and what became of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from .. import durable, runs
from ..check.table import STYLES
from ..completing import recorded
from ..errors import Exit, HaccError, Place, Problem
from ..findings import Severity
from ..options import DEFAULT_ROOT, AsJson, HistoryUrl, InventoryRoot, print_json
from ..pipeline import work_of
from ..progress import Progress
from ..report import console, problem_console, show_error
from ..settings import load_settings
from ..spans import span
from .chart import drift_chart
from .record import Kind, Record, Summary
from .recording import Recorder, catch_up, location_of, recorder, waiting

if TYPE_CHECKING:
    from .store import History, Seen

app = typer.Typer(
    invoke_without_command=True,
    help="What was done and found, by whom, and what became of it.",
)

Since = Annotated[
    str,
    typer.Option("--since", help="Only runs that began since: a day (2026-11-01), or 24h, 7d, 2w."),
]


@app.callback()
def history(
    context: typer.Context,
    root: InventoryRoot = DEFAULT_ROOT,
    url: HistoryUrl = "",
    since: Since = "",
    kind: Annotated[
        list[Kind] | None, typer.Option("--kind", "-k", help="Only these commands' runs.")
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the last at the end."""
    if context.invoked_subcommand is not None:
        _refuse_before(context, context.invoked_subcommand)
        return
    began = _moment(since)
    with _opened(root, url) as held:
        found = held.summaries(since=began, kinds=kind or (), last=last)
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        _show_runs(found)


def _refuse_before(context: typer.Context, verb: str) -> None:
    """An option of the list that stands before a verb would be passed over in silence."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is not None and source.name == "COMMANDLINE":
            raise HaccError(
                Problem(None, parameter.opts[0], f"stands before {verb}",
                        hint=f"write it after: hacc history {verb} {parameter.opts[0]} ...")
            )  # fmt: skip


@app.command()
def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            autocompletion=recorded,
            help="A run's name or a part of it; default: the last.",
        ),
    ] = "last",
    root: InventoryRoot = DEFAULT_ROOT,
    url: HistoryUrl = "",
    as_json: AsJson = False,
) -> None:
    """Everything about a run: who, when, each router, every line that was sent, findings."""
    with _opened(root, url) as held:
        record = held.find(run)
    if as_json:
        print_json(_value(record))
    else:
        _show(record)


@app.command()
def drift(
    root: InventoryRoot = DEFAULT_ROOT,
    url: HistoryUrl = "",
    since: Since = "",
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into a file, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Findings over the checks: since when each is there, and which have gone."""
    began = _moment(since)
    with _opened(root, url) as held:
        checks = held.summaries(since=began, kinds=(Kind.CHECK,))
        seen = held.findings_seen(since=began)
    if svg is not None:
        durable.write(svg, drift_chart(checks).encode(), mode=0o644)
    if as_json:
        print_json(
            {
                "checks": [dataclasses.asdict(one) for one in checks],
                "findings": [
                    {**dataclasses.asdict(one), "fingerprint": one.finding.fingerprint}
                    for one in seen
                ],
            }
        )
    else:
        _show_drift(checks, seen)


@app.command()
def prune(
    keep: Annotated[str, typer.Option("--keep", help="Forget what is older: 90d, 52w.")] = "",
    root: InventoryRoot = DEFAULT_ROOT,
    url: HistoryUrl = "",
    as_json: AsJson = False,
) -> None:
    """Forget old runs. The last check stays, and so does everything in .hacc/runs."""
    settings = load_settings(root)
    length = span(keep, "--keep") if keep else settings.history.keep
    if length is None:
        raise HaccError(
            Problem(None, "--keep", "missing", allowed="90d, 52w",
                    hint="or in inventory/defaults.yaml: history: {keep: 400d}")
        )  # fmt: skip
    with _opened(root, url) as held:
        gone = held.prune(datetime.now(UTC) - length)
    if as_json:
        print_json({"forgotten": gone})
    else:
        typer.echo(f"{gone} runs forgotten")


@contextmanager
def _opened(root: Path, url: str) -> Iterator[History]:
    """The history of an inventory, up to date. Raises HaccError when there is none yet."""
    from .faults import HistoryError
    from .store import History

    location = location_of(root, url, load_settings(root))
    work = work_of(root)
    file = location.sqlite
    if file is not None and not (file.exists() or waiting(location) or runs.runs(work)):
        raise HaccError(
            Problem(
                Place(str(location), 0),
                "history",
                "nothing has been recorded yet",
                hint="hacc check, verify, apply and rollback record themselves",
            )
        )
    with History.open(location) as held:
        try:
            catch_up(held, work, lambda problems: show_error(HaccError(problems)))
        except HistoryError as error:  # what is there can be read all the same
            show_error(error)
        yield held


def _moment(text: str) -> datetime | None:
    """The beginning of a time that somebody asks about."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC) - span(text, "--since")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# ------------------------------------------------------------------ for people

_EXITS: Final = {int(code): code.name.lower() for code in Exit}


def _ending(code: int | None) -> Text:
    if code is None:
        return Text("did not end", "bold red")
    word = "ok" if code == 0 else f"{code} {_EXITS.get(code, '')}".rstrip()
    style = {0: "green", int(Exit.CHANGES): "yellow", int(Exit.BROKEN): "bold red"}
    return Text(word, style.get(code, "red"))


def _found(summary: Summary) -> Text:
    said = Text()
    for severity, count in summary.findings.items():
        if count:
            said.append(f"{', ' if said else ''}{count} {severity}", STYLES[severity])
    return said


def _when(started: str) -> str:
    return f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M:%S}"


def _show_runs(found: Sequence[Summary]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in (
        "run",
        "command",
        "began (UTC)",
        "took",
        "by",
        "end",
        "routers",
        "lines",
        "found",
    ):
        table.add_column(
            title, justify="right" if title in ("took", "routers", "lines") else "left"
        )
    for one in found:
        table.add_row(
            one.name,
            str(one.kind),
            Text(_when(one.started) + (" clock went back" if one.clock_went_back else "")),
            f"{one.user}@{one.machine}",
            _ending(one.exit),
            _found(one),
            f"{one.seconds:.1f} s",
            str(one.hosts),
            str(one.lines or ""),
        )
    console().print(table)


def _show(record: Record) -> None:
    out = console()
    summary = record.summary
    out.print(Text(f"{record.name}  {record.kind}", "bold"))
    for name, value in (
        ("command", record.command),
        ("by", f"{record.user} on {record.machine}, hacc {record.version}".removesuffix(", hacc ")),
        ("began", f"{_when(record.started)} UTC, took {record.seconds:.1f} s"),
        ("clusters", ", ".join(record.clusters)),
        ("intent", record.intent_sha256),
        ("plan", record.plan_sha256),
    ):
        if value:
            out.print(Text(f"  {name:<9}{value}"))
    out.print(Text("  end      ").append(_ending(record.exit)))
    for problem in record.problems:
        out.print(Text(f"  {problem}", "red"))
    for host in record.hosts:
        out.print(Text(f"{host.host:<16} {host.state}"))
        for problem in host.problems:
            out.print(Text(f"    {problem}", "red"))
    if record.findings:
        out.print(Text("found: ", "bold").append(_found(summary)))
        for finding in record.findings:
            out.print(
                Text(f"  {finding.severity:<8} ", STYLES[finding.severity]).append(
                    f"{finding.host}: {finding.rule}: {finding.message}"
                )
            )
    sent = [entry for entry in record.entries if entry.kind == "send"]
    if sent:
        out.print(Text(f"sent: {len(sent)} lines", "bold"))
        for host, entries in groupby(sent, key=lambda entry: entry.host):
            out.print(Text(f"  {host}", "cyan"))
            for entry in entries:
                out.print(Text(f"    {entry.at[11:23]}  {entry.text}"))


def _show_drift(checks: Sequence[Summary], seen: Sequence[Seen]) -> None:
    out = console()
    if not checks:
        problem_console().print("no check has been recorded; hacc check")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("check")
    table.add_column("began (UTC)")
    for severity in Severity:
        table.add_column(str(severity), justify="right")
    for one in checks[-20:]:
        table.add_row(
            one.name,
            _when(one.started),
            *(Text(str(count or ""), STYLES[severity]) for severity, count in one.findings.items()),
        )
    out.print(table)
    open_ = [one for one in seen if one.open]
    out.print(Text(f"\nopen: {len(open_)}", "bold"))
    for life in seen:
        finding = life.finding
        style = STYLES[finding.severity] if life.open else "dim"
        until = "" if life.open else f", gone since {_when(life.last)}"
        line = Text(f"  {finding.severity:<8} ", style)
        line.append(
            f"{finding.host}: {finding.rule}: {finding.subject}", "" if life.open else "dim"
        )
        line.append(f"  {_when(life.first)}{until}, in {life.runs} checks", "dim")
        out.print(line)


def _value(record: Record) -> Any:
    """As JSON; each finding with the name by which it is known again."""
    from .record import to_json

    value = json.loads(to_json(record))["record"]
    for held, finding in zip(value["findings"], record.findings, strict=True):
        held["fingerprint"] = finding.fingerprint
    return value


def recording_to(root: Path, url: str, progress: Progress, *, as_json: bool) -> Recorder:
    """Of the site; what it cannot record is said between two lines of progress."""

    def say(problems: Iterable[Problem]) -> None:
        with progress.paused():
            show_error(HaccError(problems), as_json=as_json)

    return recorder(root, url, say)
