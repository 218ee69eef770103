"""Bring a plan to the routers, and bring it back when anything goes wrong.

A run is one unit. Every router is read again before the first line is sent, and the plan is
refused when one has moved. From there on it is the course's (`course`), whose steps stand in the
run's journal, so that another process can go on where this one was killed (`resume`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from . import runs
from .course import Applied, Course, Hold, HostResult, State, Verify, nothing_holds
from .devices.fleet import Failure, Fleet
from .devices.router import Job, Router
from .errors import Exit, HaccError, Problem
from .journal import TIME_FORMAT, Journal
from .model import ClusterModel
from .plan import HostPlan, Plan
from .policy import DEFAULT, Policy
from .rendered import Rendered
from .runner import Event, Stage
from .running import Running
from .secrets import redact


class PlanStale(HaccError):
    """A router is not what it was when the plan was made. Nothing was touched."""

    exit = Exit.STALE


class FleetFailed(HaccError):
    """Routers could not be read. Nothing was touched."""

    exit = Exit.DEVICE


def standby_groups(clusters: Iterable[ClusterModel]) -> Mapping[str, frozenset[str]]:
    """The standby groups of each router, for `Fleet`."""
    return {
        device.host: frozenset(group.name for group in device.groups)
        for cluster in clusters
        for device in cluster.devices
    }


def paths_of(rendered: Rendered) -> tuple[str, ...]:
    """The files that a router is fetched by: those that are rendered for it."""
    return tuple(file.path for file in rendered.files)


def fetch(fleet: Fleet, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, Running | Failure]:
    """What each router holds now, of these files."""

    def read(router: Router, host: str) -> Running:
        fleet.events.emit(host, Stage.FETCH)
        return router.fetch(wanted[host])

    with fleet.stop.on_interrupt():
        return fleet.run(read, wanted)


def fetch_all(fleet: Fleet, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, Running]:
    """The same of every one of them. Raises FleetFailed with those that could not be read."""
    held = fetch(fleet, wanted)
    failed = [value for value in held.values() if isinstance(value, Failure)]
    if failed:
        error = FleetFailed(problem for failure in failed for problem in failure.error.problems)
        if fleet.stop:
            error.exit = Exit.INTERRUPTED
        raise error
    return {host: value for host, value in held.items() if isinstance(value, Running)}


def apply(
    plan: Plan,
    fleet: Fleet,
    rendered: Mapping[str, Rendered],
    opened: Mapping[str, str],
    *,
    work: Path,
    read: Mapping[str, Running] | None = None,
    verify: Verify | None = None,
    policy: Policy = DEFAULT,
    hold: Hold = nothing_holds,
) -> Applied:
    """Execute a plan. Raises PlanStale or FleetFailed when nothing was touched at all, and
    Unfinished where an earlier run is not over.

    `rendered` is what the plan was made from (the IOS routers are held against it after the
    push), `opened` maps secret references to clear values, `verify` judges a wave before it is
    confirmed, `hold` says before each batch why it must not begin now. `read` is what the routers
    held when the plan was made, if that was just now: then they are not all read again, and each
    still refuses if it has moved when its turn comes.
    """
    if plan.empty:
        return Applied(
            "", Exit.OK, tuple(HostResult(host.host, State.UNCHANGED) for host in plan.hosts)
        )
    with runs.sole(work), fleet.stop.on_interrupt():
        runs.refuse_unfinished(work)
        before = _precheck(plan, fleet, rendered) if read is None else read
        run = runs.create(work, plan, datetime.now(UTC), policy)
        for running in before.values():
            run.keep(running, "before")
        with ExitStack() as stack:
            journal = stack.enter_context(run.journal())
            stack.enter_context(logged(fleet, run, opened))
            jobs = jobs_of(run, plan, before, rendered, opened, journal, policy)
            course = Course(plan, jobs, fleet, run, journal, policy, verify=verify, hold=hold)
            return course.go()


def jobs_of(
    run: runs.Run,
    plan: Plan,
    before: Mapping[str, Running],
    rendered: Mapping[str, Rendered],
    opened: Mapping[str, str],
    journal: Journal,
    policy: Policy,
) -> Mapping[str, Job]:
    """The change of each router that has one. On the way back alone nothing is rendered."""
    return {
        host.host: Job(
            run=run.name,
            plan=host,
            before=before[host.host],
            intended=rendered[host.host].files if host.host in rendered else (),
            opened=opened,
            confirm_within_s=policy.confirm_within_s,
            journal=journal,
            backup=run.backup(host.host),
        )
        for host in plan.hosts
        if not host.empty and host.host in before
    }


def _precheck(plan: Plan, fleet: Fleet, rendered: Mapping[str, Rendered]) -> Mapping[str, Running]:
    """Read every router again; the plan holds only for what it was made from."""
    before = fetch_all(fleet, {host.host: paths_of(rendered[host.host]) for host in plan.hosts})
    hint = "nothing was touched; make a new plan: hacc plan"
    wrong = [problem for host in plan.hosts for problem in moved(host, before[host.host], hint)]
    if wrong:
        raise PlanStale(wrong)
    return before


def moved(plan: HostPlan, running: Running, hint: str, *, roles: bool = True) -> Iterator[Problem]:
    """What is otherwise on a router than when the plan was made."""
    if running.digest != plan.running_sha256:
        yield Problem(
            None, plan.host, "its configuration has changed since the plan was made", hint=hint
        )
    if roles and running.active != plan.active:
        yield Problem(
            None,
            plan.host,
            f"it was active in {_names(plan.active)} when the plan was made, and is now "
            f"active in {_names(running.active)}",
            hint=hint,
        )


def _names(groups: Iterable[str]) -> str:
    return ", ".join(groups) or "no group"


@contextmanager
def logged(fleet: Fleet, run: runs.Run, opened: Mapping[str, str]) -> Iterator[None]:
    """Write progress to the run's log, as JSON lines, without any secret that slipped in."""
    file = os.fdopen(
        os.open(run.path / "log.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        "a",
        buffering=1,
    )

    def listen(event: Event) -> None:
        told = {
            "at": event.at.strftime(TIME_FORMAT),
            "host": event.host,
            "event": str(event.stage),
            "text": redact(event.text, opened),
        }
        file.write(json.dumps(told) + "\n")

    with file, fleet.events.heard_by(listen):
        yield
