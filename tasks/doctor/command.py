"""`hacc doctor`: what is missing here and on the routers, each with its remedy."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from .. import pipeline
from ..completing import hosts
from ..ending import Finished
from ..errors import Exit, HaccError, Problem
from ..inventory import nearest
from ..options import DEFAULT_ROOT, AsJson, InventoryRoot, Strict, print_json
from ..progress import Progress
from ..report import console
from ..settings import load_settings
from .machine import HERE, machine, of_site
from .routers import ask_all, judge
from .symptom import State, Symptom, wrong

_STYLES = {
    State.WRONG: "bold red",
    State.ADVICE: "yellow",
    State.UNKNOWN: "dim",
    State.GOOD: "green",
}


def doctor(
    host: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ROUTER]...", autocompletion=hosts, help="Only these routers."),
    ] = None,
    root: InventoryRoot = DEFAULT_ROOT,
    offline: Annotated[bool, typer.Option("--offline", help="This machine alone.")] = False,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Show what is good too.")] = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Say what is missing on this machine and on the routers, and what to do about it."""
    found = [*machine(pipeline.work_of(root))]
    if root.is_dir():
        found += _site(root, host or (), offline=offline, strict=strict, as_json=as_json)
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        _show(found, everything=everything)
    if any(one.state is State.WRONG for one in found):
        raise Finished(Exit.CHANGES)


def _site(
    root: Path, only: Collection[str], *, offline: bool, strict: bool, as_json: bool
) -> Iterator[Symptom]:
    """What the inventory needs here, and its routers."""
    try:
        prepared = pipeline.prepare(root)
        settings = load_settings(root)
    except HaccError as error:
        yield from _told("inventory", error)
        return
    unknown = [name for name in only if name not in prepared.rendered]
    if unknown:
        known = prepared.rendered
        raise HaccError(
            Problem(None, name, "no such router in any cluster", hint=nearest(name, known))
            for name in unknown
        )
    yield from of_site(root, prepared.work, prepared.site, settings)
    if offline:
        return
    try:
        opened = pipeline.open_secrets(prepared)
    except HaccError:
        yield wrong(HERE, "routers", "were not asked: their secrets do not open", "see secrets")
        return
    platforms = {
        name: rendered.platform
        for name, rendered in prepared.rendered.items()
        if not only or name in only
    }
    with (
        Progress(as_json=as_json) as progress,
        pipeline.fleet(prepared, opened, strict=strict, listeners=(progress.listen,)) as routers,
    ):
        answers = ask_all(routers, platforms)
    for name in platforms:
        yield from judge(name, answers[name])


def _told(what: str, error: HaccError) -> Iterator[Symptom]:
    for problem in error.problems:
        place = f"{problem.place}: " if problem.place else ""
        yield wrong(HERE, what, f"{place}{problem.subject}: {problem.message}", problem.hint)


def _show(found: Sequence[Symptom], *, everything: bool) -> None:
    out = console()
    table = Table(box=None, pad_edge=False)
    for title in ("where", "what", "state", "found", "remedy"):
        table.add_column(title)
    for one in found:
        if everything or one.state is not State.GOOD:
            table.add_row(
                one.where,
                one.what,
                Text(str(one.state), _STYLES[one.state]),
                Text(one.found),
                Text(one.remedy),
            )
    if table.rows:
        out.print(table)
    counts = {state: sum(one.state is state for one in found) for state in State}
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    out.print(Text(said, "bold"))
