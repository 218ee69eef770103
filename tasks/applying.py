"""`hacc apply`, `rollback` and `runs`: the commands that change routers, and what is left."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from . import pipeline, push, runs
from .batches import Cut, batched, cut_of, share
from .calendars import calendar
from .completing import runs as kept_runs
from .course import Applied, Hold
from .devices.fleet import Fleet
from .ending import Finished
from .errors import Exit, HaccError, Place, Problem
from .guard import Guard
from .history.command import recording_to
from .history.record import Kind
from .options import (
    DEFAULT_ROOT,
    AsJson,
    Clusters,
    HistoryUrl,
    InventoryRoot,
    Strict,
    Yes,
    print_json,
)
from .plan import Batch, Plan, from_json
from .platforms import Impact
from .policy import OnFailure, PauseAfter, Policy
from .progress import Progress
from .push import PlanStale
from .render import templates_sha256
from .report import console, impact_words, show_applied, show_plan, show_runs, show_verdict
from .resume import How, resume, to_resume
from .rollback import rollback as roll_back
from .story import Mark
from .verify import Verdict

Canary = Annotated[
    str,
    typer.Option(
        "--canary",
        metavar="N|N%|NAME,..",
        help="Change so many routers first, or these routers or clusters.",
    ),
]
BatchSize = Annotated[
    str,
    typer.Option(
        "--batch",
        metavar="N|N%",
        help="Then so many at a time. A standby group is never cut, nor a cluster that fits.",
    ),
]


def apply(
    file: Annotated[
        Path | None,
        typer.Argument(help="A plan made by `hacc plan -o`. Without: plan now, and ask."),
    ] = None,
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    allow: Annotated[
        str,
        typer.Option(
            "--allow",
            help=f"Impacts that may happen before the run pauses, by comma: {impact_words()}.",
        ),
    ] = "",
    canary: Canary = "",
    batch: BatchSize = "",
    max_fail: Annotated[
        str,
        typer.Option(
            "--max-fail",
            metavar="N|N%",
            help="So many routers may fail: their clusters go back, the others go on.",
        ),
    ] = "0",
    on_failure: Annotated[
        OnFailure,
        typer.Option("--on-failure", help="With more failures: return all, or this batch alone."),
    ] = OnFailure.RETURN,
    pause_after: Annotated[
        PauseAfter, typer.Option("--pause-after", help="Wait there for `hacc apply --resume`.")
    ] = PauseAfter.NOTHING,
    now: Annotated[
        str,
        typer.Option("--now", metavar="REASON", help="Outside of the maintenance windows too."),
    ] = "",
    resumed: Annotated[
        str,
        typer.Option(
            "--resume",
            metavar="RUN",
            autocompletion=kept_runs,
            help="Go on with one that has not ended: `last`.",
        ),
    ] = "",
    back: Annotated[
        bool, typer.Option("--return", help="With --resume: return all that it has changed.")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="With --resume: end it; what is done stays.")
    ] = False,
    yes: Yes = False,
    history_url: HistoryUrl = "",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Bring the routers to the plan, batch by batch and wave by wave, each verified; on failure,
    return them all."""
    allowed = _impacts(allow)
    desk = _Desk(root, history_url, strict=strict, yes=yes, as_json=as_json, now=now)
    if resumed:
        _refuse_together(
            "--resume",
            {"FILE": file, "--cluster": cluster, "--canary": canary, "--batch": batch},
        )
        _refuse_together("--return", {"--stop": stop if back else None})
        how = How.RETURN if back else How.STOP if stop else How.GO_ON
        desk.resume(resumed, how, allowed)
        return
    _refuse_together(
        "a new run",
        {"--return": back, "--stop": stop},
        "they say what becomes of the run of --resume",
    )
    policy = Policy(
        on_failure=on_failure,
        max_fail=share("--max-fail", max_fail, least=0),
        pause_after=pause_after,
        allowed=tuple(sorted(allowed)),
        why_now=now,
    )
    desk.apply(file, cluster or (), cut_of(canary, batch), policy)


_QUESTIONS: Final = {
    How.GO_ON: "Go on with {run}?",
    How.RETURN: "Return all that {run} has changed?",
    How.STOP: "End {run} as far as it came?",
}


class _Desk:
    """What the ways of applying share."""

    def __init__(
        self, root: Path, history_url: str, *, strict: bool, yes: bool, as_json: bool, now: str
    ) -> None:
        self._root = root
        self._history_url = history_url
        self._strict = strict
        self._yes = yes
        self._json = as_json
        self._now = now

    def apply(self, file: Path | None, clusters: Collection[str], cut: Cut, policy: Policy) -> None:
        saved = from_json(_read(file), str(file)) if file else None
        prepared = pipeline.prepare(self._root, saved.clusters if saved else clusters)
        if saved:
            _refuse_other_intent(saved, prepared, str(file))
        runs.refuse_another(prepared.work)
        opened = pipeline.open_secrets(prepared)
        with self._routers(prepared, opened) as (routers, progress):
            running = None if saved else pipeline.fetch(prepared, routers)
            made = saved or pipeline.plan(prepared, opened, running or {})
            made = batched(made, prepared.clusters, cut)
            if not made.empty and not self._json and (cut or not saved):
                with progress.paused():
                    show_plan(console(), made, summary=saved is not None)
            self._refuse(prepared, made, policy, made.batches)
            if not made.empty and self._ask(
                progress, f"Change {sum(not host.empty for host in made.hosts)} routers?"
            ):
                running = None  # who knows how long that took
            guard = Guard(prepared, made, opened)

            def go() -> Applied:
                return push.apply(
                    made,
                    routers,
                    prepared.rendered,
                    opened.values,
                    work=prepared.work,
                    read=running,
                    verify=lambda wave: guard.judge(routers, wave),
                    policy=policy,
                    hold=self._hold(prepared, guard, routers, progress, policy),
                )

            applied = self._record(Kind.APPLY, prepared, progress, go)
        report_applied(applied, guard.verdicts, self._json)

    def resume(self, name: str, how: How, allowed: frozenset[Impact]) -> None:
        run = to_resume(pipeline.work_of(self._root), name)
        made, story, policy = run.plan, run.story(), run.policy
        forward = how is How.GO_ON and not story.returning
        prepared = pipeline.prepare(self._root, made.clusters)
        if forward:
            _refuse_intent_of_run(made, prepared, run)
        policy = dataclasses.replace(
            policy, allowed=tuple(sorted({*policy.allowed, *allowed})), why_now=self._now
        )
        if forward:
            done = story.at(Mark.CHANGED) | story.given_up
            left = [batch for batch in made.batches if not done.issuperset(batch.hosts)]
            self._refuse(prepared, made, policy, left)
            run.remember(policy)
        opened = pipeline.open_secrets(prepared)
        with self._routers(prepared, opened) as (routers, progress):
            self._ask(progress, _QUESTIONS[how].format(run=run.name))
            guard = Guard(prepared, made, opened, done=story.at(Mark.CHANGED))

            def go() -> Applied:
                return resume(
                    run,
                    routers,
                    opened.values,
                    work=prepared.work,
                    how=how,
                    rendered=prepared.rendered if forward else {},
                    verify=lambda wave: guard.judge(routers, wave),
                    hold=self._hold(prepared, guard, routers, progress, policy),
                )

            applied = self._record(Kind.APPLY, prepared, progress, go)
        report_applied(applied, guard.verdicts, self._json)

    @contextmanager
    def _routers(
        self, prepared: pipeline.Prepared, opened: pipeline.Opened
    ) -> Iterator[tuple[Fleet, Progress]]:
        with (
            Progress(as_json=self._json) as progress,
            pipeline.fleet(
                prepared, opened, strict=self._strict, listeners=(progress.listen,)
            ) as routers,
        ):
            yield routers, progress

    def _record(
        self,
        kind: Kind,
        prepared: pipeline.Prepared,
        progress: Progress,
        go: Callable[[], Applied],
    ) -> Applied:
        """Do it, and have it written into the history, however it ends."""
        recorder = recording_to(self._root, self._history_url, progress, as_json=self._json)
        with recorder.recording(kind, prepared) as draft:
            applied = go()
            draft.applied(applied)
        return applied

    def _ask(self, progress: Progress, question: str) -> bool:
        """Whether somebody was asked; who says no ends the command."""
        if not self._yes:
            with progress.paused():
                ask(question)
        return not self._yes

    def _refuse(
        self,
        prepared: pipeline.Prepared,
        made: Plan,
        policy: Policy,
        batches: Sequence[Batch],
    ) -> None:
        """Before anything begins: what must not happen before the run pauses, or not now."""
        for batch in batches:
            refuse_impacts(made, batch.hosts, frozenset(policy.allowed))
            if policy.pause_after.after(batch.name):
                break
        if batches and (why := self._too_late(prepared, policy, batches[0])):
            raise OutsideWindow(
                Problem(None, batches[0].name or "hacc apply", why, hint="--now REASON, if it must")
            )

    def _too_late(self, prepared: pipeline.Prepared, policy: Policy, batch: Batch) -> str:
        if policy.why_now:
            return ""
        return calendar(prepared.site, prepared.clusters).refusal(
            batch.hosts, datetime.now(UTC), policy.bound(len(batch.waves))
        )

    def _hold(
        self,
        prepared: pipeline.Prepared,
        guard: Guard,
        routers: Fleet,
        progress: Progress,
        policy: Policy,
    ) -> Hold:
        def hold(batch: Batch) -> str:
            if why := self._too_late(prepared, policy, batch):
                return why
            if wrong := guard.damage(routers):
                return f"what is done is not right any more: {wrong[0]}"
            progress.say(f"looking at what is true before {batch.name}".rstrip())
            guard.look_before(routers, batch)
            return ""

        return hold


def rollback(
    run_name: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            autocompletion=kept_runs,
            help="A run's name or a part of it; default: the last.",
        ),
    ] = "last",
    root: InventoryRoot = DEFAULT_ROOT,
    force: Annotated[
        bool, typer.Option("--force", help="Give up what others changed on these routers since.")
    ] = False,
    yes: Yes = False,
    history_url: HistoryUrl = "",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Return the routers of a run to what they held before it, byte for byte, and prove it."""
    prepared = pipeline.prepare(root)
    undone = runs.find(prepared.work, run_name)
    opened = pipeline.open_secrets(prepared)
    if not yes:
        hosts = ", ".join(host.host for host in undone.plan.hosts if not host.empty)
        ask(f"Return {hosts} to what they held before {undone.name}?")
    with (
        Progress(as_json=as_json) as progress,
        recording_to(root, history_url, progress, as_json=as_json).recording(
            Kind.ROLLBACK, prepared
        ) as draft,
        pipeline.fleet(prepared, opened, strict=strict, listeners=(progress.listen,)) as routers,
    ):
        applied = roll_back(
            undone.name, routers, work=prepared.work, opened=opened.values, force=force
        )
        draft.applied(applied)
    report_applied(applied, (), as_json)


def list_runs(
    root: InventoryRoot = DEFAULT_ROOT,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="End with 2 when one has not ended.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs of this directory: when, how each ended, or how to go on with it."""
    told = [runs.told(run) for run in runs.runs(pipeline.work_of(root))]
    if as_json:
        print_json([dataclasses.asdict(one) for one in told])
    else:
        show_runs(console(), told)
    if unfinished and any(one.unfinished for one in told):
        raise Finished(Exit.CHANGES)


class OutsideWindow(HaccError):
    """Not now: it was agreed when these routers may be changed."""


def _refuse_together(what: str, others: Mapping[str, object], hint: str = "") -> None:
    given = [name for name, value in others.items() if value]
    if given:
        raise HaccError(
            Problem(None, name, f"has no meaning with {what}", hint=hint) for name in given
        )


def report_applied(applied: Applied, verdicts: Sequence[Verdict], as_json: bool) -> None:
    """Where each router stands; then the exit code."""
    if as_json:
        print_json(
            {
                **dataclasses.asdict(applied),
                "verdicts": [verdict.to_json() for verdict in verdicts],
            }
        )
    else:
        for verdict in verdicts:
            show_verdict(console(), verdict)
        show_applied(console(), applied)
    if applied.exit is not Exit.OK:
        raise Finished(applied.exit)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise HaccError(
            Problem(
                Place(str(file), 0),
                "plan",
                f"cannot be read: {(error.strerror or str(error)).lower()}",
                hint="make one with: hacc plan -o FILE",
            )
        ) from None


def _impacts(words: str) -> frozenset[Impact]:
    by_name = {str(impact): impact for impact in Impact if impact is not Impact.NONE}
    given = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in given if word not in by_name]
    if unknown:
        raise HaccError(
            Problem(None, "--allow", f"{word!r} is no impact", allowed=impact_words())
            for word in unknown
        )
    return frozenset(by_name[word] for word in given)


def refuse_impacts(made: Plan, hosts: Collection[str], allowed: frozenset[Impact]) -> None:
    """Above `none`, each impact needs a word of permission: the worst does not stand for others."""
    wrong = [
        Problem(
            None,
            host.host,
            f"the plan means {impact}",
            allowed=", ".join(sorted(map(str, allowed))) or "no impact",
            hint=f"look at the plan, then: --allow {impact}",
        )
        for host in made.hosts
        if host.host in hosts
        for impact in sorted(host.impacts - allowed)
    ]
    if wrong:
        raise HaccError(wrong)


def _refuse_other_intent(saved: Plan, prepared: pipeline.Prepared, file: str) -> None:
    made_from = (saved.intent_sha256, saved.templates_sha256)
    if made_from != (prepared.site.sha256, templates_sha256()):
        raise PlanStale(
            Problem(
                Place(file, 0),
                "plan",
                "the intent or the templates have changed since this plan was made",
                hint=f"nothing was touched; make it again: hacc plan -o {file}",
            )
        )


def _refuse_intent_of_run(made: Plan, prepared: pipeline.Prepared, run: runs.Run) -> None:
    try:
        _refuse_other_intent(made, prepared, str(run.path))
    except PlanStale as stale:
        [problem] = stale.problems
        hint = "go back to that intent; or end the run: --return takes it back, --stop leaves it"
        raise PlanStale(dataclasses.replace(problem, hint=hint)) from None


def ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise HaccError(
            Problem(None, "hacc", "this needs a confirmation, and there is no terminal to ask on",
                    hint="--yes when nobody is there to answer")
        )  # fmt: skip
    if not typer.confirm(question, err=True):
        raise Finished(Exit.USAGE)
