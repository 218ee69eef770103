"""Results for people: tables and colour on a terminal, plain lines in a pipe.

A report never opens a secret: what it prints are the sealed texts of the plan.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from .course import Applied, State
from .diff import Command, DiffLine, Impact
from .errors import Exit, HaccError, Problem
from .plan import HostPlan, Plan
from .runs import Told
from .verify import Status, Verdict

_SIGN_STYLE = {"+": "green", "-": "red", " ": "dim"}
_IMPACT_STYLE = {
    Impact.NONE: "dim",
    Impact.REELECTION: "yellow",
    Impact.BINDING_LOSS: "red",
    Impact.ADJACENCY_RESET: "red",
    Impact.LOCKOUT: "bold red",
}


# Where there is no terminal, nothing is broken into lines: a table may be as wide as it needs.
_UNLIMITED = 10_000
_RULE_WIDTH = 100


def console() -> Console:
    """For results. In a pipe: no colour, and lines are as long as they are."""
    out = Console(highlight=False, soft_wrap=True)
    if not out.is_terminal:
        out.width = _UNLIMITED
    return out


def problem_console() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def show_error(error: HaccError, *, as_json: bool = False) -> None:
    """Every problem: where, what, what is allowed, what to do. As JSON, each is one line."""
    if as_json:
        for problem in error.problems:
            print(json.dumps(dataclasses.asdict(problem)), file=sys.stderr)
        return
    out = problem_console()
    for problem in error.problems:
        _show_problem(out, problem)
    if len(error.problems) > 1:
        out.print(f"{len(error.problems)} problems", style="bold red")


def _show_problem(out: Console, problem: Problem) -> None:
    line = Text()
    if problem.place:
        line.append(f"{problem.place}: ", "bold")
    line.append(f"{problem.subject}: ", "cyan").append(problem.message, "red")
    out.print(line)
    for name, text in (
        ("disagrees with", ", ".join(map(str, problem.also))),
        ("allowed", problem.allowed),
        ("hint", problem.hint),
    ):
        if text:
            out.print(Text(f"    {name}: {text}", "dim"))


def show_plan(out: Console, plan: Plan, *, summary: bool = False) -> None:
    """Each router's diff, its commands and what they interrupt, the order, and the way back."""
    changing = [host for host in plan.hosts if not host.empty]
    if summary:
        _show_summary(out, changing)
    else:
        for host in changing:
            _show_host(out, host, _wave_of(plan, host.host))
    same = [host.host for host in plan.hosts if host.empty]
    if same and changing:
        out.print(Text(f"as intended: {', '.join(same)}\n", "dim"))
    if not changing:
        out.print(
            f"Nothing to do: {len(plan.hosts)} routers of {_names(plan.clusters)} are as intended."
        )
        return
    numbers = itertools.count(1)
    for batch in plan.batches:
        if batch.name:
            out.print(f"[bold]{batch.name}[/bold]: {len(batch.hosts)} routers")
        for wave in batch.waves:
            reason = f"[dim]({escape(wave.reason)})[/dim]"
            out.print(f"wave {next(numbers)}  {', '.join(wave.hosts)}  {reason}")
    lines = sum(len(host.commands) for host in changing)
    files = sum(len(host.files) for host in changing)
    out.print(
        f"\nPlan: {len(changing)} of {len(plan.hosts)} routers change: "
        f"{lines} commands, {files} files. Impact: {_impact(plan.impact)}."
    )
    if plan.impact is not Impact.NONE:
        needed = sorted({impact for host in changing for impact in host.impacts})
        out.print(f"Applying it needs: --allow {','.join(str(impact) for impact in needed)}")


def _show_summary(out: Console, hosts: Sequence[HostPlan]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("router", "lines +", "lines -", "impact", "way back"):
        table.add_column(column, justify="right" if column.startswith("lines") else "left")
    for host in hosts:
        lines = [*host.lines, *(line for file in host.files for line in file.lines)]
        added, removed = (sum(line.sign == sign for line in lines) for sign in "+-")
        table.add_row(host.host, str(added), str(removed), _impact(host.impact), host.undo_method)
    out.print(table)
    out.print()


def _show_host(out: Console, host: HostPlan, wave: int) -> None:
    heading = f"[bold]{host.host}[/bold]  wave {wave}  impact {_impact(host.impact)}"
    out.print(Rule(heading, align="left"), width=min(out.width, _RULE_WIDTH))
    show_diff(out, host.lines)
    for file in host.files:
        state = "new file" if file.before_sha256 is None else "changed"
        if file.after is None:
            state = "removed"
        out.print(Text(f"{file.path}  {file.mode:04o}  {state}", "bold"))
        show_diff(out, file.lines)
    for role in host.handover:
        out.print(Text(f"before: {role.group} goes to {role.to}, and back as it preempts", "bold"))
        _show_commands(out, role.lower)
    if host.commands:
        out.print(Text("commands, in order:", "bold"))
        _show_commands(out, host.commands)
    for role in host.handover:
        _show_commands(out, role.give_back)
    out.print(Text(f"way back: {host.undo_method}\n", "dim"))


def show_diff(out: Console, lines: Iterable[DiffLine]) -> None:
    _print_lines(
        out,
        (
            Text(f"{line.sign} {' ' * line.depth}{line.text}", _SIGN_STYLE[line.sign])
            for line in lines
        ),
    )


def _print_lines(out: Console, lines: Iterable[Text]) -> None:
    """In one go: line by line rich takes three times as long."""
    text = Text("\n").join(lines)
    if text:
        out.print(text)


def _show_commands(out: Console, commands: Sequence[Command]) -> None:
    context: tuple[str, ...] = ()
    for command in commands:
        if command.context != context:
            context = command.context
            for depth, section in enumerate(context):
                out.print(Text(f"    {' ' * depth}{section}", "dim"))
        text = Text(f"    {' ' * len(context)}{command.text}")
        if command.impact is not Impact.NONE:
            text.append(f"   ! {command.impact}: {command.why}", _IMPACT_STYLE[command.impact])
        out.print(text)


def _impact(impact: Impact) -> str:
    return f"[{_IMPACT_STYLE[impact]}]{impact}[/]"


def _wave_of(plan: Plan, host: str) -> int:
    return next(number for number, wave in enumerate(plan.waves, 1) if host in wave.hosts)


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def impact_words() -> str:
    """The impacts that `--allow` takes."""
    return ", ".join(str(impact) for impact in Impact if impact is not Impact.NONE)


_STATE_STYLE = {
    State.UNCHANGED: "dim",
    State.CHANGED: "green",
    State.RETURNED: "yellow",
    State.NOT_BEGUN: "dim",
    State.UNKNOWN: "bold red",
}


def show_applied(out: Console, applied: Applied) -> None:
    """Where each router stands, and what went wrong."""
    table = Table(box=None, pad_edge=False)
    table.add_column("router")
    table.add_column("state")
    for host in applied.hosts:
        table.add_row(host.host, Text(str(host.state), _STATE_STYLE[host.state]))
    out.print(table)
    for problem in applied.problems:
        _show_problem(problem_console(), problem)
    if applied.paused:
        out.print(
            Text(f"run {applied.run} is paused: {applied.paused}", "bold yellow"),
            f"go on with it: hacc apply --resume {applied.run}   (--return: take it back, "
            "--stop: leave it there)",
            sep="\n",
        )
    elif applied.exit is Exit.BROKEN:
        out.print(Text(f"run {applied.run} has not ended: not everything is back", "bold red"))
        out.print(f"when the routers can be reached: hacc apply --resume {applied.run}")
        out.print(f"if one never will be: hacc apply --resume {applied.run} --stop")
    elif applied.run:
        ended = "done" if applied.exit is Exit.OK else f"ended with {applied.exit.name.lower()}"
        out.print(f"run {applied.run} {ended}; undo it with: hacc rollback {applied.run}")


def show_runs(out: Console, told: Sequence[Told]) -> None:
    """A line for each run, the oldest first; those that have not ended say how to go on."""
    table = Table(box=None, pad_edge=False)
    for column in ("run", "begun", "clusters", "ended", "routers"):
        table.add_column(column)
    for run in told:
        if run.exit is None:
            ended = Text("paused" if run.paused else "NOT ENDED" if run.hosts else "nothing begun")
            ended.stylize("bold yellow" if run.unfinished else "dim")
        else:
            ended = Text(f"{Exit(run.exit).name.lower()}{' (a rollback)' if run.undoes else ''}")
        counts = Counter(run.hosts.values())
        routers = ", ".join(f"{count} {state}" for state, count in counts.items())
        table.add_row(run.name, run.begun[:19], _names(run.clusters), ended, routers)
    out.print(table)
    for run in told:
        if run.unfinished:
            why = run.paused or ("on its way back" if run.returning else "its process has died")
            out.print(Text(f"\n{run.name}: {why}", "bold yellow"))
            out.print(f"    hacc apply --resume {run.name}   (--return, --stop)")


_STATUS_STYLE = {
    Status.PASSED: "green",
    Status.FAILED: "bold red",
    Status.WAITING: "yellow",
    Status.SKIPPED: "dim",
}


def show_verdict(out: Console, verdict: Verdict, *, everything: bool = False) -> None:
    """Every check with its counts; then each result that did not pass, with what was expected."""
    table = Table(
        title=f"{verdict.cluster}: verified", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("check")
    for status in Status:
        table.add_column(str(status), justify="right")
    for name in dict.fromkeys(result.check for result in verdict.results):
        results = [result for result in verdict.results if result.check == name]
        counts = [sum(result.status is status for result in results) for status in Status]
        table.add_row(
            name,
            *(
                Text(str(count) if count else "", _STATUS_STYLE[status])
                for status, count in zip(Status, counts, strict=True)
            ),
        )
    out.print(table)
    shown = [*verdict.of(Status.FAILED), *verdict.of(Status.WAITING)]
    if everything:
        shown += [*verdict.of(Status.SKIPPED), *verdict.of(Status.PASSED)]
    for result in shown:
        out.print(Text(str(result), _STATUS_STYLE[result.status]))
    if not everything:
        _show_skipped(out, verdict)
    out.print(Text(verdict.lines()[0], "bold"))


def _show_skipped(out: Console, verdict: Verdict) -> None:
    """Many checks are skipped for one reason: each reason once, with how often."""
    reasons = Counter((result.check, result.observed) for result in verdict.of(Status.SKIPPED))
    for (check, reason), count in reasons.items():
        times = f" (x {count})" if count > 1 else ""
        out.print(Text(f"skipped {check:<18} {reason}{times}", _STATUS_STYLE[Status.SKIPPED]))
