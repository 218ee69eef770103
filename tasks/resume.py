"""Go on with a run that has not ended: its process was killed, or it was paused.

Where the routers are is asked of them; the journal says only which of them may have been touched,
and what was decided. A router that something was begun on, and not finished, holds the old, the
new, or something in between, and may be about to go back by itself:

    not armed, was being confirmed, holds the new   it is confirmed again, and is changed
    anything else                                   it goes back first, and is read to be back

From there the run goes on as if nothing had been begun on it, or everything goes back.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Final

from . import runs
from .course import Applied, Course, Hold, Verify, nothing_holds
from .devices.fleet import Failure, Fleet
from .devices.router import Job, Router
from .errors import HaccError, Place, Problem
from .plan import Batch, Plan, plan_host
from .push import FleetFailed, PlanStale, fetch, fetch_all, jobs_of, logged, moved, paths_of
from .rendered import Rendered
from .rollback import WouldLose, losses
from .running import Running
from .story import Mark, Story, resumes

_NOTHING: Final[Mapping[str, Rendered]] = MappingProxyType({})


class How(enum.StrEnum):
    """What becomes of a run that has not ended."""

    GO_ON = "go on"
    RETURN = "return"  # everything goes back
    # What is done stays, the batch under way goes back, and the run is over: also where a router
    # does not answer any more.
    STOP = "stop"


class NothingToResume(HaccError):
    """There is no such run, or it has ended."""


def to_resume(work: Path, name: str) -> runs.Run:
    """The run of this name (or a part of it, or `last`), if it has not ended."""
    run = runs.find(work, name)
    if run.ended is not None:
        left = runs.unfinished(work)
        raise NothingToResume(
            Problem(
                Place(str(run.path), 0),
                run.name,
                "this run has ended",
                hint=f"the one that has not is {left.name}" if left else "no run is unfinished",
            )
        )
    return run


def resume(
    run: runs.Run,
    fleet: Fleet,
    opened: Mapping[str, str],
    *,
    work: Path,
    how: How = How.GO_ON,
    rendered: Mapping[str, Rendered] = _NOTHING,
    verify: Verify | None = None,
    hold: Hold = nothing_holds,
) -> Applied:
    """Finish a run, or return it. A run that was on its way back goes back, whatever is asked.

    `rendered` is what the plan was made from; on the way back it is not needed. Raises FleetFailed
    or PlanStale when nothing was done, and the run can be resumed again.
    """
    with runs.sole(work), fleet.stop.on_interrupt():
        story = run.story()
        plan, policy = run.plan, run.policy
        going = _going(plan, story, how)
        forward = how is How.GO_ON and not story.returning
        wanted = [h.host for h in plan.hosts if not h.empty] if forward else sorted(going)
        kept = {host: run.held(host, "before") for host in wanted}
        _refuse_blind(run, kept, story)
        paths = {
            host: [file.path for file in old.files] if old else paths_of(rendered[host])
            for host, old in kept.items()
        }
        # Forward everybody has to answer; on the way back, whoever does comes back.
        held = fetch_all(fleet, paths) if forward else fetch(fleet, paths)
        now = {host: value for host, value in held.items() if isinstance(value, Running)}
        before = {host: kept[host] or running for host, running in now.items()}
        if forward:
            _refuse_moved(plan, story, now)
            for host in [host for host, old in kept.items() if old is None]:
                run.keep(now[host], "before")  # the process died before it had kept them all
        elif how is How.RETURN and not story.returning:
            _refuse_losses(run, story, now, before)
        with ExitStack() as stack:
            journal = stack.enter_context(run.journal())
            stack.enter_context(logged(fleet, run, opened))
            resumes(journal, str(how))
            jobs = jobs_of(run, plan, before, rendered, opened, journal, policy)
            told = _armed(fleet, jobs, story.open & jobs.keys())
            armed = frozenset(host for host, answer in told.items() if answer is True)
            lost = [v for v in (*held.values(), *told.values()) if isinstance(v, Failure)]
            if lost and forward:
                raise FleetFailed(p for failure in lost for p in failure.error.problems)
            course = Course(
                plan,
                jobs,
                fleet,
                run,
                journal,
                policy,
                verify=verify,
                hold=hold,
                story=story,
                armed=armed,
            )
            if not forward:
                course.lose(lost)
                course.take_back(going)
                return course.end(for_good=how is How.STOP)
            finished = [
                host
                for host in sorted(story.at(Mark.CONFIRMING) - armed - story.given_up)
                if plan_host(rendered[host], now[host], opened).empty
            ]
            return course.go() if course.mend(finished) else course.end()


def _going(plan: Plan, story: Story, how: How) -> frozenset[str]:
    """Who has to go back: of those that may have been touched."""
    touched = story.open | story.at(Mark.CHANGED)
    if story.returning:
        return touched & story.given_up
    if how is How.RETURN:
        return touched
    if how is How.STOP:
        return story.open | (touched & (story.given_up | _under_way(plan, story)))
    return story.open | (touched & story.given_up)


def _under_way(plan: Plan, story: Story) -> frozenset[str]:
    """The routers of the batch that had begun and was not done."""
    for batch in plan.batches:
        changed = story.at(Mark.CHANGED) | story.given_up
        if batch.name == story.batch and not changed.issuperset(_changing(plan, batch)):
            return frozenset(batch.hosts)
    return frozenset()


def _changing(plan: Plan, batch: Batch) -> Sequence[str]:
    return [host for host in batch.hosts if not plan.host(host).empty]


def _refuse_blind(run: runs.Run, kept: Mapping[str, Running | None], story: Story) -> None:
    """A router that was touched has a backup: it was kept before anything was sent to anybody."""
    missing = [host for host, old in kept.items() if old is None and host in story.marks]
    if missing:
        raise HaccError(
            Problem(
                Place(str(run.backup(host)), 0), host, "what it held before the run is missing here"
            )
            for host in missing
        )


def _refuse_moved(plan: Plan, story: Story, now: Mapping[str, Running]) -> None:
    """Who has not been touched must be what the plan was made from. Of a batch that was begun the
    roles may be other ones: that is what changing standby groups is about."""
    touched = story.open | story.at(Mark.CHANGED, Mark.RETURNED)
    begun = {h for batch in plan.batches if touched & {*batch.hosts} for h in batch.hosts}
    hint = "nothing was done now; take the run back (--return), or leave it there (--stop)"
    wrong = [
        problem
        for host in plan.hosts
        if host.host in now and host.host not in story.open | story.given_up
        if host.host not in story.at(Mark.CHANGED)
        for problem in moved(host, now[host.host], hint, roles=host.host not in begun)
    ]
    if wrong:
        raise PlanStale(wrong)


def _refuse_losses(
    run: runs.Run, story: Story, now: Mapping[str, Running], before: Mapping[str, Running]
) -> None:
    changed = {
        host: now[host]
        for host in sorted(story.at(Mark.CHANGED) & now.keys())
        if now[host].digest != before[host].digest
    }
    if problems := [*losses(run, changed, "--stop leaves it; then change the intent")]:
        raise WouldLose(problems)


def _armed(
    fleet: Fleet, jobs: Mapping[str, Job], hosts: Collection[str]
) -> Mapping[str, bool | Failure]:
    """Which of them are about to go back by themselves."""

    def ask(router: Router, host: str) -> bool:
        return router.armed(jobs[host])

    return fleet.run(ask, sorted(hosts), urgent=True) if hosts else {}
