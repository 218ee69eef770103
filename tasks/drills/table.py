"""A run on a terminal; the drills that there are."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from hacc_agent.drills.drill import Drill
from hacc_agent.drills.phases import phases
from hacc_agent.drills.rehearsed import Rehearsed

from .keeping import Run


def show_run(out: Console, run: Run) -> None:
    verdict, found = run.verdict, run.measured
    table = Table(
        "what",
        "found",
        "limit",
        "",
        title=run.drill.title,
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for check in verdict.checks:
        table.add_row(check.what, check.found, check.limit, "ok" if check.ok else "BROKEN")
    out.print(table)
    subscribers, packets = found.subscribers, found.packets
    out.print(
        f"{subscribers.struck} of {subscribers.watched} subscribers were out, in ms: "
        f"50 % {subscribers.p50_ms:.0f}, 95 % {subscribers.p95_ms:.0f}, "
        f"99 % {subscribers.p99_ms:.0f}, longest {subscribers.max_ms:.0f}"
    )
    out.print(
        f"{packets.sent} packets, {packets.sent - packets.answered} lost, "
        f"{packets.doubled} doubled, {packets.reordered} reordered; "
        f"{found.bindings_lost} of {found.bindings_before} bindings lost"
    )
    if told := ", ".join(f"{one.name} {one.ms:.0f}" for one in phases(found)):
        out.print(f"of it, in ms: {told}")
    words = "within its budget" if verdict.ok else f"{len(verdict.broken)} limits broken"
    out.print(f"{run.drill.name}: {words}")


TOLD = 3
"""Broken runs whose end is told; any other is told by its seed."""


def show_many(out: Console, many: Rehearsed) -> None:
    """All runs of a simulation."""
    table = Table(
        "outage, in ms",
        "50 %",
        "95 %",
        "99 %",
        "longest",
        title=many.drill.title,
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for what, found in (
        ("median subscriber of a run", many.medians),
        ("worst subscriber of a run", many.worst),
    ):
        values = (found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms)
        table.add_row(what, *(f"{value:.0f}" for value in values))
    out.print(table)
    for run in many.broken[:TOLD]:
        out.print(f"seed {run.seed}: {run.failed or '; '.join(run.broken)}", *run.story, sep="\n  ")
    if many.broken:
        seeds = ", ".join(str(run.seed) for run in many.broken[:100])
        out.print(f"{len(many.broken)} of {len(many.runs)} runs broke a limit, --seed: {seeds}")
    else:
        out.print(f"{len(many.runs)} runs, none of them beyond its budget")


def show_drills(out: Console, drills: Iterable[tuple[Drill, Run | None]]) -> None:
    table = Table(
        "drill",
        "what fails",
        "last run",
        "verdict",
        "outage 50 %",
        "longest",
        box=None,
        pad_edge=False,
    )
    for drill, run in drills:
        told = ("", "", "", "")
        if run is not None:
            found = run.measured.subscribers
            verdict = "ok" if run.verdict.ok else "BROKEN"
            told = (run.name, verdict, f"{found.p50_ms:.0f} ms", f"{found.max_ms:.0f} ms")
        table.add_row(drill.name, drill.title, *told)
    out.print(table)


def show_drill(out: Console, drill: Drill) -> None:
    out.print(f"{drill.name}: {drill.title}\n{drill.purpose}")
    people = drill.subscribers
    out.print(
        f"{people.number} subscribers, {people.rate_hz:g} packets a second to each, "
        f"{drill.seconds:g} s"
    )
    table = Table("at", "what", "mended", box=None, pad_edge=False)
    for step in drill.timeline:
        end = "at the end" if step.end_s is None else f"{step.end_s:g} s"
        table.add_row(f"{step.at_s:g} s", str(step.fault), end if step.end_s != step.at_s else "-")
    out.print(table)
