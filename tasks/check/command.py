"""`hacc check`: what an engineer runs every day, and a timer every hour."""

from __future__ import annotations

import sys
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from .. import pipeline
from ..ending import Finished
from ..errors import Exit, HaccError, Problem
from ..findings import Area, to_json
from ..history.checking import checking
from ..inventory import nearest
from ..options import DEFAULT_ROOT, AsJson, Clusters, HistoryUrl, InventoryRoot, Strict
from ..progress import Progress
from ..report import console, show_error
from . import AREAS, load_house, table
from . import check as look


def check(
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    only: Annotated[
        str, typer.Option("--only", help=f"Of these areas, by comma: {', '.join(AREAS)}.")
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
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Say whether what runs is what was meant: configuration, state and standards."""
    areas = _areas(only)
    prepared = pipeline.prepare(root, cluster or ())
    house = load_house(prepared.site, rules)
    opened = pipeline.open_secrets(prepared)
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
        pipeline.fleet(prepared, opened, strict=strict, listeners=(progress.listen,)) as routers,
    ):
        checked = look(prepared, opened, routers, house, now=datetime.now(UTC), areas=areas)
        draft.checked(checked)
    if as_json:
        sys.stdout.buffer.write(to_json(checked))
    else:
        table.show(console(), checked)
    if checked.exit is not Exit.OK:
        raise Finished(checked.exit)


def _areas(words: str) -> Collection[Area]:
    given = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in given if word not in AREAS]
    if unknown:
        raise HaccError(
            Problem(None, "--only", f"{word!r} is no area", ", ".join(AREAS), nearest(word, AREAS))
            for word in unknown
        )
    return tuple(Area(word) for word in given) or AREAS
