"""The course of a run: batch by batch, wave by wave, and the way back from any point of it.

Within a wave every router is *armed*: the change is in force, and the router goes back by itself
unless we confirm. We confirm when the whole wave is in force and verified. Before anything begins
that another process would have to know of, should this one die, it stands in the journal (`story`).

    batch: [ wave: change -> verify -> confirm ]... -> pause, or the next batch
             a failure within the limit -> its cluster goes back, and is left out
             any other                  -> all goes back, or this batch alone (`OnFailure`)

Those of the wave under way go back from where they are, the earlier ones from their backup, in
reverse order. That they are back is read from them, not believed.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from . import runs
from .devices.errors import DeviceError, Moved, NotReverted, Refused
from .devices.fleet import Failure, Fleet
from .devices.router import Job, Router
from .errors import Exit, HaccError, Place, Problem
from .journal import Journal
from .plan import Batch, Plan, Wave
from .policy import OnFailure, Policy
from .runner import Interrupted, NotBegun, Stage
from .running import Running
from .story import Mark, Story, begins, ends, gives_up, pauses

# A daemon that was restarted on the way back needs a moment to show its configuration again.
SETTLE_S: Final = 15.0

Verify = Callable[[Wave], Sequence[Problem]]  # problems of the routers of a wave, none when right
Hold = Callable[[Batch], str]  # why a batch must not begin now, or nothing


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
    batch: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run did. `run` is empty when there was nothing to do."""

    run: str
    exit: Exit
    hosts: tuple[HostResult, ...]
    paused: str = ""  # why it has not ended; empty where it has

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for host in self.hosts for problem in host.problems)


def nothing_holds(_batch: Batch) -> str:
    """The `Hold` of a run that may go on whenever it can."""
    return ""


class Course:
    """One run on its way: who was touched, who was confirmed, who is out, and the way back.

    `story` is what the journal says of the part that another process has done, and `armed` which of
    the routers that it left half done will go back by themselves.
    """

    def __init__(
        self,
        plan: Plan,
        jobs: Mapping[str, Job],
        fleet: Fleet,
        run: runs.Run,
        journal: Journal,
        policy: Policy,
        *,
        verify: Verify | None = None,
        hold: Hold = nothing_holds,
        story: Story | None = None,
        armed: Collection[str] = (),
    ) -> None:
        self._plan = plan
        self._jobs = jobs
        self._fleet = fleet
        self._run = run
        self._journal = journal
        self._policy = policy
        self._verify = verify
        self._hold = hold
        story = story or Story()
        self._cluster = {host.host: host.cluster for host in plan.hosts}
        self._limit = policy.fail_limit(sum(not host.empty for host in plan.hosts))
        self._touched = {*story.open, *story.at(Mark.CHANGED)}
        self._confirmed = {*story.at(Mark.CONFIRMING, Mark.CHANGED)} - {*armed}
        self._out: set[str] = {*story.given_up}  # routers that this run does not touch any more
        self._failed: set[str] = {*story.failed}
        self._states = {
            **dict.fromkeys(story.at(Mark.CHANGED), State.CHANGED),
            **dict.fromkeys(story.at(Mark.RETURNED), State.RETURNED),
        }
        self._problems: dict[str, list[Problem]] = {}
        self._exit = story.exit
        self._batch: Batch | None = None

    # --- forward ---------------------------------------------------------------------------------

    def go(self) -> Applied:
        """Do what is left of the plan."""
        left = [batch for batch in self._plan.batches if any(map(self._to_do, batch.hosts))]
        for number, batch in enumerate(left, 1):
            if self._fleet.stop and not self._touched:
                self._exit = Exit.INTERRUPTED
                break
            if why := self._stopped() or self._hold(batch):
                return self._pause(batch, why)
            self._batch = batch
            if batch.name:
                begins(self._journal, batch.name)
                self._fleet.events.emit(
                    "", Stage.BATCH, f"{batch.name}: {len(batch.hosts)} routers"
                )
            if not all(map(self._wave, batch.waves)):
                break
            following = left[number:]
            if following and (why := self._policy.pause_after.after(batch.name)):
                return self._pause(following[0], why)
        return self.end()

    def mend(self, finished: Sequence[str]) -> bool:
        """What another process has left half done: these are in force, and confirmed once more;
        all others go back. False: the run stops here."""
        kept = True
        again = self._fleet.run(self._confirm, finished, urgent=True) if finished else {}
        for host, after in again.items():
            if isinstance(after, Running) and kept:
                kept = self._keep(host, after)
        half = [
            host
            for host in self._touched
            if host in self._out or self._states.get(host) is not State.CHANGED
        ]
        return kept and (self._take_back(half) or self._stop(Exit.DEVICE))

    def end(self, *, for_good: bool = False) -> Applied:
        """The one place where a run ends, and its result is written.

        While a router is not proven to be back it has not ended, unless it is given up `for_good`.
        """
        results = self._results()
        if State.UNKNOWN in self._states.values():
            self._exit = Exit.BROKEN
            if not for_good:
                return Applied(self._run.name, self._exit, results)
        states = {result.host: str(result.state) for result in results}
        ends(self._journal, self._exit)
        try:
            self._run.end(runs.Ended(int(self._exit), states, undoes=""))
        except OSError as error:  # the routers are where the result says; only its record is lost
            self._fleet.events.emit("", Stage.FAILED, f"{self._run.path}: {error.strerror}")
        return Applied(self._run.name, self._exit, results)

    def _pause(self, following: Batch, why: str) -> Applied:
        text = f"{why}; {following.name or 'the rest'} has not begun"
        pauses(self._journal, text)
        self._fleet.events.emit("", Stage.PAUSED, text)
        exit_ = Exit.CHANGES if self._exit is Exit.OK else self._exit
        return Applied(self._run.name, exit_, self._results(), paused=text)

    def _stopped(self) -> str:
        return "interrupted between two batches" if self._fleet.stop else ""

    def _to_do(self, host: str) -> bool:
        return (
            host in self._jobs
            and host not in self._out
            and self._states.get(host) is not State.CHANGED
        )

    def _results(self) -> tuple[HostResult, ...]:
        batch_of = {host: batch.name for batch in self._plan.batches for host in batch.hosts}
        return tuple(
            HostResult(
                host.host,
                self._states.get(host.host, State.UNCHANGED if host.empty else State.NOT_BEGUN),
                tuple(self._problems.get(host.host, ())),
                batch_of.get(host.host, ""),
            )
            for host in self._plan.hosts
        )

    def _wave(self, wave: Wave) -> bool:
        """Change, verify and confirm the routers of one wave. False: the run stops here."""
        hosts = [host for host in wave.hosts if self._to_do(host)]
        if not hosts:
            return True
        if self._fleet.stop:
            return self._fail(hosts, Exit.INTERRUPTED)
        self._fleet.events.emit("", Stage.WAVE, f"{wave.reason}: {', '.join(hosts)}")
        changed = self._fleet.run(self._change, hosts, apart=True, halt=not self._limit)
        if not self._good(changed, Exit.DEVICE):
            return False
        if self._fleet.stop:
            return self._fail(hosts, Exit.INTERRUPTED)
        if not self._verified(wave, [host for host in hosts if self._to_do(host)]):
            return False
        hosts = [host for host in hosts if self._to_do(host)]
        confirmed = self._fleet.run(self._confirm, hosts, urgent=True)
        if not self._good(confirmed, Exit.DEVICE):
            return False
        kept = [
            self._keep(host, after)
            for host, after in confirmed.items()
            if isinstance(after, Running) and self._to_do(host)
        ]
        return all(kept)

    def _change(self, router: Router, host: str) -> None:
        job = self._jobs[host]
        events = self._fleet.events
        events.emit(host, Stage.BACK_UP)
        router.back_up(job)
        events.emit(host, Stage.PUSH)
        self._journal.record(host, "state", Mark.BEGUN)
        self._touched.add(host)
        try:
            router.apply(job)
        except Refused:
            self._touched.discard(host)
            self._journal.record(host, "state", Mark.REFUSED)
            raise
        self._journal.record(host, "state", Mark.APPLIED)
        events.emit(host, Stage.APPLIED)

    def _verified(self, wave: Wave, hosts: Sequence[str]) -> bool:
        if self._verify is None or not hosts:
            return True
        for host in hosts:
            self._fleet.events.emit(host, Stage.VERIFY)
        blamed: set[str] = set()
        for problem in self._verify(replace(wave, hosts=tuple(hosts))):
            culprit = self._whose(problem, hosts)
            blamed.add(culprit)
            self._note(problem.subject if problem.subject in self._jobs else culprit, [problem])
        return not blamed or self._fail(blamed, Exit.REVERTED)

    def _whose(self, problem: Problem, hosts: Sequence[str]) -> str:
        """The router that a problem is counted for: one of this wave, of the same cluster."""
        named = [name for name in problem.subject.split(", ") if name in self._cluster]
        clusters = {self._cluster[name] for name in named}
        near = [host for host in hosts if self._cluster[host] in clusters]
        return next((name for name in named if name in hosts), (near or [*hosts])[0])

    def _confirm(self, router: Router, host: str) -> Running:
        self._fleet.events.emit(host, Stage.CONFIRM)
        self._journal.record(host, "state", Mark.CONFIRMING)
        self._confirmed.add(host)
        return router.confirm(self._jobs[host])

    def _keep(self, host: str, after: Running) -> bool:
        """Without what the router holds now a later rollback would be blind: else it goes back."""
        try:
            self._run.keep(after, "after")
            self._journal.record(host, "state", Mark.CHANGED)
        except OSError as error:
            self._note(
                host,
                [
                    Problem(
                        Place(str(self._run.path), 0),
                        host,
                        f"what it holds now cannot be kept: {error.strerror or error}".lower(),
                        hint="make room on this machine, then plan again",
                    )
                ],
            )
            return self._stop(Exit.DEVICE)
        self._states[host] = State.CHANGED
        self._fleet.events.emit(host, Stage.DONE)
        return True

    # --- failures ---------------------------------------------------------------------------------

    def _good(self, results: Mapping[str, object], exit_: Exit) -> bool:
        """Note the failures of a step; False if the run stops for them."""
        failures = [value for value in results.values() if isinstance(value, Failure)]
        own: list[str] = []
        for failure in failures:
            self._note(failure.host, failure.error.problems)
            if not isinstance(failure.error, NotBegun | Interrupted):
                self._fleet.events.emit(failure.host, Stage.FAILED, str(failure.error))
                exit_ = Exit.STALE if isinstance(failure.error, Moved) else exit_
                own.append(failure.host)
        if not failures:
            return True
        return self._fail(own, Exit.INTERRUPTED if self._fleet.stop else exit_)

    def _fail(self, hosts: Iterable[str], exit_: Exit) -> bool:
        """Routers have failed. True: within the limit, and their clusters are out of the run."""
        failed = {*hosts}
        self._failed |= failed
        if exit_ is Exit.INTERRUPTED or len(self._failed) > self._limit:
            return self._stop(exit_)
        self._exit = exit_
        clusters = {self._cluster[host] for host in failed}
        out = [
            host for host in self._jobs if self._cluster[host] in clusters and not self._stays(host)
        ]
        self._out |= {*out}
        gives_up(self._journal, exit_, out, failed)
        return self._take_back(out) or self._stop(exit_)

    def _stop(self, exit_: Exit) -> bool:
        """No further batch: what is not to stay goes back. Always False, for who called."""
        self._exit = exit_
        return self.take_back([host for host in self._jobs if not self._stays(host)])

    def _stays(self, host: str) -> bool:
        """Whether what was done to it before this batch is there to stay."""
        before = self._states.get(host) is State.CHANGED and (
            self._batch is None or host not in self._batch.hosts
        )
        return before and self._policy.on_failure is OnFailure.STOP

    def take_back(self, hosts: Collection[str]) -> bool:
        """Give up these routers for good, and bring back those that were touched. Always False."""
        self._out |= {*hosts}
        for job in self._jobs.values():
            job.journal.forgive()
        gives_up(self._journal, self._exit, hosts, last=True)
        self._take_back(hosts)
        return False

    def lose(self, failures: Iterable[Failure]) -> None:
        """These routers cannot be asked where they are."""
        for failure in failures:
            self._states[failure.host] = State.UNKNOWN
            self._note(failure.host, failure.error.problems)

    def _take_back(self, hosts: Collection[str]) -> bool:
        """Every one of them that was touched, the last wave first; and read that it is back."""
        good = True
        hosts = {*hosts} & self._jobs.keys()
        for wave in reversed(self._plan.waves):
            touched = [host for host in wave.hosts if host in self._touched and host in hosts]
            if not touched:
                continue
            back = self._fleet.run(self._return, touched, apart=True, urgent=True)
            for host, outcome in back.items():
                self._states[host] = State.RETURNED
                if isinstance(outcome, Failure):
                    self._states[host] = State.UNKNOWN
                    self._note(host, outcome.error.problems)
                    good = False
                else:
                    self._touched.discard(host)
        return good

    def _return(self, router: Router, host: str) -> None:
        self._fleet.events.emit(host, Stage.REVERT)
        give_back(router, self._jobs[host], confirmed=host in self._confirmed)
        self._journal.record(host, "state", Mark.RETURNED)

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
