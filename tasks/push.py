"""Bring a plan to the routers, wave by wave, and bring it back when anything goes wrong.

A run is one unit. Every router is read again before the first line is sent, and the plan is
refused when one has moved. Within a wave every router is *armed*: the change is in force, and the
router goes back by itself unless we confirm. We confirm when the whole wave is in force and
verified. When one router fails, or Ctrl-C is pressed, every router that was touched goes back:
those of this wave from where they are, those of earlier waves from their backup, in reverse order.
That they are back is read from them, not believed.

    precheck -> back up -> [ wave: change -> verify -> confirm ]... -> done
                             any failure -> take back this wave, then the earlier ones
"""

from __future__ import annotations

import enum
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from . import runs
from .devices.errors import DeviceError, Moved, NotReverted, Refused
from .devices.fleet import Failure, Fleet
from .devices.router import Job, Router
from .errors import Exit, HaccError, Place, Problem
from .journal import TIME_FORMAT
from .model import ClusterModel
from .plan import DEAD_MAN_SECONDS, HostPlan, Plan, Wave
from .rendered import Rendered
from .runner import Event, Interrupted, NotBegun, Stage
from .running import Running
from .secrets import redact

# A daemon that was restarted on the way back needs a moment to show its configuration again.
SETTLE_S: Final = 15.0

Verify = Callable[[Wave], Sequence[Problem]]  # problems of the routers of a wave, none when right


class State(enum.StrEnum):
    """Where a router stands at the end of a run."""

    UNCHANGED = "unchanged"  # there was nothing to do
    CHANGED = "changed"  # it holds the new configuration, confirmed and saved
    NOT_BEGUN = "not-begun"  # nothing was sent
    RETURNED = "returned"  # it was touched, and holds again what it held before, proven
    UNKNOWN = "unknown"  # it was touched, and it is not proven that it is back


@dataclass(frozen=True, slots=True)
class HostResult:
    """One router's part in a run."""

    host: str
    state: State
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run did. `run` is empty when there was nothing to do."""

    run: str
    exit: Exit
    hosts: tuple[HostResult, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for host in self.hosts for problem in host.problems)


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


def apply(
    plan: Plan,
    fleet: Fleet,
    rendered: Mapping[str, Rendered],
    opened: Mapping[str, str],
    *,
    work: Path,
    read: Mapping[str, Running] | None = None,
    verify: Verify | None = None,
    confirm_within_s: int = DEAD_MAN_SECONDS,
) -> Applied:
    """Execute a plan. Raises PlanStale or FleetFailed when nothing was touched at all.

    `rendered` is what the plan was made from (the IOS routers are held against it after the
    push), `opened` maps secret references to clear values, `verify` judges a wave before it is
    confirmed. `read` is what the routers held when the plan was made, if that was just now: then
    they are not all read again, and each still refuses if it has moved when its turn comes. A
    router that hears no confirmation within `confirm_within_s` goes back by itself: it must cover
    the slowest router of a wave and its verification.
    """
    if plan.empty:
        return Applied(
            "", Exit.OK, tuple(HostResult(host.host, State.UNCHANGED) for host in plan.hosts)
        )
    with runs.sole(work), fleet.stop.on_interrupt():
        before = _precheck(plan, fleet, rendered) if read is None else read
        run = runs.create(work, plan, datetime.now(UTC))
        for running in before.values():
            run.keep(running, "before")
        with ExitStack() as stack:
            journal = stack.enter_context(run.journal())
            stack.enter_context(logged(fleet, run, opened))
            jobs = {
                host.host: Job(
                    run=run.name,
                    plan=host,
                    before=before[host.host],
                    intended=rendered[host.host].files,
                    opened=opened,
                    confirm_within_s=confirm_within_s,
                    journal=journal,
                    backup=run.backup(host.host),
                )
                for host in plan.hosts
                if not host.empty
            }
            return _Push(plan.waves, jobs, fleet, run, verify).go(plan.hosts)


def _precheck(plan: Plan, fleet: Fleet, rendered: Mapping[str, Rendered]) -> Mapping[str, Running]:
    """Read every router again; the plan holds only for what it was made from."""
    held = fetch(fleet, {host.host: paths_of(rendered[host.host]) for host in plan.hosts})
    failed = [value for value in held.values() if isinstance(value, Failure)]
    if failed:
        error = FleetFailed(problem for failure in failed for problem in failure.error.problems)
        if fleet.stop:
            error.exit = Exit.INTERRUPTED
        raise error
    before = {host: value for host, value in held.items() if isinstance(value, Running)}
    moved = [problem for host in plan.hosts for problem in _moved(host, before[host.host])]
    if moved:
        raise PlanStale(moved)
    return before


def _moved(plan: HostPlan, running: Running) -> list[Problem]:
    hint = "nothing was touched; make a new plan: hacc plan"
    problems = []
    if running.digest != plan.running_sha256:
        problems.append(
            Problem(
                None, plan.host, "its configuration has changed since the plan was made", hint=hint
            )
        )
    if running.active != plan.active:
        problems.append(
            Problem(
                None,
                plan.host,
                f"it was active in {_names(plan.active)} when the plan was made, and is now "
                f"active in {_names(running.active)}",
                hint=hint,
            )
        )
    return problems


def _names(groups: Iterable[str]) -> str:
    return ", ".join(groups) or "no group"


class _Push:
    """One run: who was touched, who was confirmed, and the way back."""

    def __init__(
        self,
        waves: Sequence[Wave],
        jobs: Mapping[str, Job],
        fleet: Fleet,
        run: runs.Run,
        verify: Verify | None,
    ) -> None:
        self._waves = [wave for wave in waves if any(host in jobs for host in wave.hosts)]
        self._jobs = jobs
        self._fleet = fleet
        self._run = run
        self._verify = verify
        self._touched: set[str] = set()
        self._confirmed: set[str] = set()
        self._states: dict[str, State] = {}
        self._problems: dict[str, list[Problem]] = {}
        self._exit = Exit.OK

    def go(self, hosts: Sequence[HostPlan]) -> Applied:
        for wave in self._waves:
            if not self._wave(wave):
                self._take_back()
                break
        results = []
        for host in hosts:
            default = State.UNCHANGED if host.empty else State.NOT_BEGUN
            state = self._states.get(host.host, default)
            results.append(HostResult(host.host, state, tuple(self._problems.get(host.host, ()))))
        states = {result.host: str(result.state) for result in results}
        try:
            self._run.end(runs.Ended(int(self._exit), states, undoes=""))
        except OSError as error:  # the routers are where the result says; only its record is lost
            self._fleet.events.emit("", Stage.FAILED, f"{self._run.path}: {error.strerror}")
        return Applied(self._run.name, self._exit, tuple(results))

    def _cannot_keep(self, host: str, error: OSError) -> None:
        """Without what the router holds now a later rollback would be blind: the run goes back."""
        self._note(
            host,
            [
                Problem(
                    Place(str(self._run.path), 0),
                    host,
                    f"what it holds now cannot be kept: {(error.strerror or str(error)).lower()}",
                    hint="make room on this machine, then plan again",
                )
            ],
        )
        self._exit = Exit.DEVICE

    def _wave(self, wave: Wave) -> bool:
        """Change, verify and confirm the routers of one wave. False: the run must be taken back."""
        if self._fleet.stop:
            self._exit = Exit.INTERRUPTED
            return False
        self._fleet.events.emit("", Stage.WAVE, f"{wave.reason}: {', '.join(wave.hosts)}")
        hosts = [host for host in wave.hosts if host in self._jobs]
        changed = self._fleet.run(self._change, hosts, apart=True, halt=True)
        if not self._good(changed, Exit.DEVICE):
            return False
        if self._fleet.stop:
            self._exit = Exit.INTERRUPTED
            return False
        if self._verify is not None and not self._verified(wave, self._verify):
            return False
        confirmed = self._fleet.run(self._confirm, hosts, urgent=True)
        if not self._good(confirmed, Exit.DEVICE):
            return False
        for host, after in confirmed.items():
            if isinstance(after, Running):
                try:
                    self._run.keep(after, "after")
                except OSError as error:
                    self._cannot_keep(host, error)
                    return False
                self._states[host] = State.CHANGED
                self._fleet.events.emit(host, Stage.DONE)
        return True

    def _verified(self, wave: Wave, verify: Verify) -> bool:
        for host in wave.hosts:
            self._fleet.events.emit(host, Stage.VERIFY)
        problems = verify(wave)
        for problem in problems:
            host = problem.subject if problem.subject in self._jobs else wave.hosts[0]
            self._note(host, (problem,))
        if problems:
            self._exit = Exit.REVERTED
        return not problems

    def _change(self, router: Router, host: str) -> None:
        job = self._jobs[host]
        events = self._fleet.events
        events.emit(host, Stage.BACK_UP)
        router.back_up(job)
        events.emit(host, Stage.PUSH)
        self._touched.add(host)
        try:
            router.apply(job)
        except Refused:
            self._touched.discard(host)
            raise
        events.emit(host, Stage.APPLIED)

    def _confirm(self, router: Router, host: str) -> Running:
        job = self._jobs[host]
        self._fleet.events.emit(host, Stage.CONFIRM)
        self._confirmed.add(host)
        return router.confirm(job)

    def _take_back(self) -> None:
        """Every router that was touched, the last wave first; and read that it is back."""
        for job in self._jobs.values():
            job.journal.forgive()
        for wave in reversed(self._waves):
            touched = [host for host in wave.hosts if host in self._touched]
            if not touched:
                continue
            back = self._fleet.run(self._return, touched, apart=True, urgent=True)
            for host, outcome in back.items():
                self._states[host] = State.RETURNED
                if isinstance(outcome, Failure):
                    self._states[host] = State.UNKNOWN
                    self._note(host, outcome.error.problems)
                    self._exit = Exit.BROKEN

    def _return(self, router: Router, host: str) -> None:
        self._fleet.events.emit(host, Stage.REVERT)
        give_back(router, self._jobs[host], confirmed=host in self._confirmed)

    def _good(self, results: Mapping[str, object], exit_: Exit) -> bool:
        """Note the failures of a step; False if there were any."""
        failures = [value for value in results.values() if isinstance(value, Failure)]
        for failure in failures:
            self._note(failure.host, failure.error.problems)
            if not isinstance(failure.error, NotBegun | Interrupted):
                self._fleet.events.emit(failure.host, Stage.FAILED, str(failure.error))
                exit_ = Exit.STALE if isinstance(failure.error, Moved) else exit_
        if failures:
            self._exit = Exit.INTERRUPTED if self._fleet.stop else exit_
        return not failures

    def _note(self, host: str, problems: Sequence[Problem]) -> None:
        self._problems.setdefault(host, []).extend(problems)


def give_back(router: Router, job: Job, *, confirmed: bool) -> None:
    """Bring one router back to what it held, and read that it is there.

    Raises NotReverted, with whatever else went wrong, when it is not.
    """
    failed: HaccError | None = None
    try:
        if confirmed:
            router.restore(job)
        else:
            router.revert(job)
    except HaccError as error:
        failed = error
    until = time.monotonic() + (0 if failed else SETTLE_S)
    while True:
        try:
            now = router.fetch([file.path for file in job.before.files])
        except DeviceError as error:
            failed = failed or error
        else:
            if now.digest == job.before.digest:
                return
        if time.monotonic() >= until:
            break
        time.sleep(0.5)
    if isinstance(failed, NotReverted):
        raise failed
    reason = failed.problems[0].message if failed else "it does not hold what it held before"
    raise NotReverted(
        job.plan.host,
        f"it could not be brought back: {reason}",
        f"what it held is in {job.backup}",
    ) from failed


@contextmanager
def logged(fleet: Fleet, run: runs.Run, opened: Mapping[str, str]) -> Iterator[None]:
    """Write progress to the run's log, as JSON lines, without any secret that slipped in."""
    file = os.fdopen(
        os.open(run.path / "log.jsonl", os.O_WRONLY | os.O_CREAT, 0o600), "w", buffering=1
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
