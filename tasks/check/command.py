"""`hacc check`: what an engineer runs every day, and a timer every hour."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from .. import pipeline
from ..ending import Finished
from ..errors import Exit, HaccError, Problem
from ..findings import Area, Finding
from ..fleet.choice import Choice, ProcessCount, RunnerAddress
from ..fleet.looking import check as look
from ..history.chart import BARS, drift_chart
from ..history.checking import checking
from ..history.record import Kind
from ..history.recording import location_of
from ..inventory import nearest
from ..options import DEFAULT_ROOT, AsJson, Clusters, HistoryUrl, InventoryRoot, Strict
from ..progress import Progress
from ..report import console, show_error
from ..settings import load_settings
from . import AREAS, load_house, outputs, sentences, table
from .baseline import compare, exit_of, read


def check(
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    only: Annotated[
        str, typer.Option("--only", help=f"Of these areas, by comma: {', '.join(AREAS)}.")
    ] = "",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="[FORMAT=]FILE",
            help=f"Write it as one of {', '.join(outputs.FORMATS)}; may be repeated. FORMAT=-: "
            "on standard output, instead of the table.",
        ),
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="FILE|last",
            help="Say what is new and gone since a run that was kept as JSON, or since the last "
            "one of the history; only what is new ends with a code.",
        ),
    ] = "",
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="A folder of rules instead of the inventory's rules/."),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option(
            "--metrics", metavar="FILE.prom", help="Write it for Prometheus' node_exporter, too."
        ),
    ] = None,
    notify: Annotated[
        bool,
        typer.Option("--notify", help="Tell the inventory's channels what is new, worse or gone."),
    ] = False,
    history_url: HistoryUrl = "",
    processes: ProcessCount = None,
    runner: RunnerAddress = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Say whether what runs is what was meant: configuration, state and standards."""
    areas = _areas(only)
    targets = outputs.targets([*(output or ()), *(("json=-",) if as_json else ())])
    prepared = pipeline.prepare(root, cluster or ())
    house = load_house(prepared.site, rules)
    before = _before(root, history_url, baseline)
    choice = Choice.of(len(prepared.rendered), processes, runner)
    with (
        checking(
            root,
            history_url,
            prepared,
            areas=areas,
            measure=metrics,
            notify=notify,
            say=lambda problems: show_error(HaccError(problems), as_json=as_json),
        ) as draft,
        Progress(as_json=as_json) as progress,
    ):
        checked = look(
            prepared,
            house,
            choice,
            strict=strict,
            now=datetime.now(UTC),
            areas=areas,
            listeners=(progress.listen,),
        )
        draft.checked(checked)
    compared = None if before is None else compare(*before, checked, areas)
    pictured = any(target.format == "html" for target in targets)
    report = outputs.Report(
        checked,
        areas,
        sentences(house.rules),
        compared,
        _chart(root, history_url) if pictured else "",
    )
    for target in targets:
        target.write(report)
    if not any(target.file == outputs.STDOUT for target in targets):
        table.show(console(), checked, compared)
    if (code := exit_of(checked, compared)) is not Exit.OK:
        raise Finished(code)


def _before(root: Path, url: str, name: str) -> tuple[str, tuple[Finding, ...]] | None:
    """The run that this one is held against: its name, and what it found."""
    if not name:
        return None
    if name != "last":
        return name, read(Path(name))
    from ..history.store import History  # SQLAlchemy takes as long to import as all of hacc

    with History.open(location_of(root, url, load_settings(root))) as history:
        last = history.find("last", (Kind.CHECK,))
    return last.name, last.findings


def _chart(root: Path, url: str) -> str:
    """The checks up to this one; nothing where the history is away, which was said before."""
    from ..history.store import History

    try:
        with History.open(location_of(root, url, load_settings(root))) as history:
            return drift_chart(history.summaries(kinds=(Kind.CHECK,), last=BARS))
    except HaccError:
        return ""


def _areas(words: str) -> Collection[Area]:
    given = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in given if word not in AREAS]
    if unknown:
        raise HaccError(
            Problem(None, "--only", f"{word!r} is no area", ", ".join(AREAS), nearest(word, AREAS))
            for word in unknown
        )
    return tuple(Area(word) for word in given) or AREAS
