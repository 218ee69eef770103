"""Return routers to what they held before a run, and read from them that they are there.

The way back of a confirmed change: Linux routers kept what was replaced, IOS routers have a copy in
flash: for `configure replace`, and where that does not work the difference to the backup is
computed from what the router holds now. A rollback is a run of its own, with its own journal.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from . import runs
from .course import Applied, HostResult, State, give_back
from .devices.fleet import Fleet
from .devices.router import Job, Router
from .diff import normalised
from .errors import Exit, HaccError, Problem
from .journal import Journal
from .plan import DEAD_MAN_SECONDS, HostPlan, Wave
from .policy import DEFAULT
from .push import fetch_all, logged
from .runner import Stage
from .running import Running


class WouldLose(HaccError):
    """A rollback would undo what somebody else did since."""

    exit = Exit.STALE


def rollback(
    name: str,
    fleet: Fleet,
    *,
    work: Path,
    opened: Mapping[str, str] | None = None,
    force: bool = False,
) -> Applied:
    """Return the routers of a run to what they held before it, in the reverse order.

    A router that holds that already is left alone: a rollback may be repeated. One that was
    changed by somebody else since is refused (WouldLose), unless `force`: their change is lost,
    because what it held before is brought back as a whole.
    """
    undone = runs.find(work, name)
    plan = undone.plan
    before = {
        host.host: running
        for host in plan.hosts
        if not host.empty and (running := undone.held(host.host, "before")) is not None
    }
    with runs.sole(work), fleet.stop.on_interrupt():
        runs.refuse_unfinished(work)
        now = fetch_all(fleet, {h: [f.path for f in r.files] for h, r in before.items()})
        astray = {host: r for host, r in now.items() if r.digest != before[host].digest}
        if not force and (problems := [*losses(undone, astray, _FORCE)]):
            raise WouldLose(problems)
        if not astray:
            return Applied("", Exit.OK, tuple(HostResult(host, State.UNCHANGED) for host in before))
        run = runs.create(work, plan, datetime.now(UTC), DEFAULT)
        for running in astray.values():
            run.keep(running, "before")
        with ExitStack() as stack:
            journal = stack.enter_context(run.journal())
            stack.enter_context(logged(fleet, run, opened or {}))
            jobs = {
                host: _way_back(undone, plan.host(host), before[host], opened or {}, journal)
                for host in astray
            }
            return _roll_back(plan.waves, jobs, fleet, run, undone)


def _way_back(
    undone: runs.Run, host: HostPlan, before: Running, opened: Mapping[str, str], journal: Journal
) -> Job:
    return Job(
        run=undone.name,
        plan=host,
        before=before,
        intended=(),
        opened=opened,
        confirm_within_s=DEAD_MAN_SECONDS,
        journal=journal,
        backup=undone.backup(host.host),
    )


def _roll_back(
    waves: Sequence[Wave], jobs: Mapping[str, Job], fleet: Fleet, run: runs.Run, undone: runs.Run
) -> Applied:
    def restore(router: Router, host: str) -> Running:
        fleet.events.emit(host, Stage.REVERT)
        give_back(router, jobs[host], confirmed=True)
        fleet.events.emit(host, Stage.DONE)
        return jobs[host].before

    results = []
    exit_ = Exit.OK
    for wave in reversed(waves):
        hosts = [host for host in wave.hosts if host in jobs]
        for host, outcome in fleet.run(restore, hosts, apart=True, halt=True).items():
            if isinstance(outcome, Running):
                run.keep(outcome, "after")
                results.append(HostResult(host, State.RETURNED))
                continue
            begun = outcome.begun
            state = State.UNKNOWN if begun else State.NOT_BEGUN
            results.append(HostResult(host, state, outcome.error.problems))
            exit_ = Exit.BROKEN if begun or exit_ is Exit.BROKEN else Exit.INTERRUPTED
        if exit_ is Exit.BROKEN:
            break
    heard = {result.host for result in results}
    results += [HostResult(host, State.NOT_BEGUN) for host in jobs if host not in heard]
    states = {result.host: str(result.state) for result in results}
    run.end(runs.Ended(int(exit_), states, undoes=undone.name))
    return Applied(run.name, exit_, tuple(results))


_FORCE: Final = "--force gives them up; or plan the way back: change the intent"


def losses(undone: runs.Run, now: Mapping[str, Running], hint: str) -> Iterable[Problem]:
    """What others did since the run, which a rollback would take away."""
    for host, running in now.items():
        after = undone.held(host, "after")
        if after is None or after.digest == running.digest:
            continue  # the run did not end there, or nobody touched it since
        for file in running.files:
            was = after.file(file.path)
            added, removed = _changed(was.text if was else None, file.text, running)
            if added or removed:
                yield Problem(
                    None,
                    host,
                    f"{file.path} was changed since the run: {added} lines added, "
                    f"{removed} removed, which the rollback would lose",
                    hint=hint,
                )


def _changed(was: str | None, now: str | None, running: Running) -> tuple[int, int]:
    old, new = (normalised(text or "", running.platform).splitlines() for text in (was, now))
    lines = [*difflib.unified_diff(old, new, lineterm="", n=0)][2:]
    return sum(line[0] == "+" for line in lines), sum(line[0] == "-" for line in lines)
