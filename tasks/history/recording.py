"""From a command to its record: begun before it does its part, written however that ends.

What a database cannot take now waits as a file in `.hacc/history.pending`, and comes in with the
next run. A run that was killed has left its directory in `.hacc/runs`, with its journal; the next
run writes down that it did not end. So nothing that was sent to a router is missing in the end.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hacc_agent import __version__

from .. import durable, locks, runs, who
from ..course import Applied, State
from ..ending import Finished
from ..errors import Exit, HaccError, Problem
from ..findings import Checked
from ..pipeline import Prepared, work_of
from ..settings import Settings, load_settings
from ..verify import Status, Verdict
from .place import Location, locate
from .record import (
    FAILED,
    FOREIGN,
    JUDGED,
    HostOutcome,
    Kind,
    Record,
    RecordError,
    from_json,
    to_json,
)

if TYPE_CHECKING:  # it brings a database's library, which a command may do without until its end
    from .store import History

Say = Callable[[Iterable[Problem]], None]


class Draft:
    """What a command says of its run while it runs."""

    def __init__(self, record: Record, work: Path) -> None:
        self.record = record
        self.seen: Checked | None = None  # what a check found
        self._work = work

    def applied(self, applied: Applied) -> None:
        """Of an apply or a rollback; its name is that of its directory, if it has one."""
        self.record = replace(
            self.record,
            exit=int(applied.exit),
            hosts=tuple(HostOutcome(h.host, str(h.state), h.problems) for h in applied.hosts),
        )
        if applied.run:
            self.took_place_in(runs.Run(self._work / "runs" / applied.run))

    def took_place_in(self, run: runs.Run) -> None:
        """The run's directory: its name, its plan, its journal."""
        self.record = with_directory(self.record, run)

    def verified(self, verdicts: Sequence[Verdict]) -> None:
        failed: dict[str, list[Problem]] = {}
        hosts: dict[str, None] = {}
        for verdict in verdicts:
            for result in verdict.results:
                hosts.setdefault(result.host)
                if result.status is Status.FAILED:
                    problem = Problem(result.place, result.host, f"{result.check}: {result.told}")
                    failed.setdefault(result.host, []).append(problem)
        self.record = replace(
            self.record,
            exit=int(Exit.OK if all(verdict.ok for verdict in verdicts) else Exit.CHANGES),
            hosts=tuple(
                HostOutcome(host, FAILED if host in failed else JUDGED, (*failed.get(host, ()),))
                for host in hosts
            ),
        )

    def checked(self, checked: Checked) -> None:
        self.seen = checked
        self.record = replace(
            self.record,
            started=checked.started,
            seconds=checked.seconds,
            exit=int(checked.exit),
            intent_sha256=checked.intent_sha256,
            clusters=checked.clusters,
            findings=checked.findings,
            hosts=(
                *(HostOutcome(host, JUDGED) for host in checked.hosts),
                *(HostOutcome(one.host, FAILED, one.problems) for one in checked.failed),
                *(HostOutcome(one.host, FOREIGN, one.problems) for one in checked.foreign),
            ),
        )


@dataclass(frozen=True, slots=True)
class Recorder:
    """Where a site's runs are recorded, and who hears what could not be."""

    location: Location
    settings: Settings
    work: Path
    say: Say

    @contextmanager
    def recording(self, kind: Kind, prepared: Prepared) -> Iterator[Draft]:
        """The run of a command. What it raises is recorded, and raised again."""
        now = datetime.now(UTC)
        begun = time.monotonic()
        draft = Draft(
            Record(
                name=f"{now.strftime(runs.NAME_FORMAT)}-{secrets.token_hex(4)}",
                site=self.location.site,
                kind=kind,
                user=who.user(),
                machine=who.machine(),
                command=who.command(),
                version=__version__,
                started=now.isoformat(timespec="seconds"),
                seconds=0.0,
                exit=None,
                intent_sha256=prepared.site.sha256,
                clusters=tuple(cluster.name for cluster in prepared.clusters),
            ),
            self.work,
        )
        before = _journals(self.work)
        try:
            yield draft
        except BaseException as error:
            self._failed(draft, error, before)
            raise
        finally:
            if not draft.record.seconds:
                draft.record = replace(draft.record, seconds=time.monotonic() - begun)
            self.keep(draft.record)

    def _failed(self, draft: Draft, error: BaseException, before: Mapping[str, int]) -> None:
        if draft.record.kind in (Kind.APPLY, Kind.ROLLBACK):
            # The run that was begun, or gone on with: its journal is the one that grew.
            grown = [
                name for name, size in _journals(self.work).items() if size != before.get(name)
            ]
            for name in grown[-1:]:
                draft.took_place_in(runs.Run(self.work / "runs" / name))
        code: int | None = None
        problems: tuple[Problem, ...] = ()
        match error:
            case Finished():
                code = int(error.code)
            case HaccError():
                code, problems = int(error.exit), _problems(error)
            case KeyboardInterrupt():
                code = int(Exit.INTERRUPTED)
            case OSError():
                code, problems = int(Exit.USAGE), _problems(error)
            case _:
                problems = (Problem(None, "hacc", f"{type(error).__name__}: {error}"),)
        draft.record = replace(draft.record, exit=code, problems=problems)

    def keep(self, record: Record) -> None:
        """Into the database with all that waits for it; into a file if that is not to be had."""
        from .store import History

        try:
            with History.open(self.location) as history:
                catch_up(history, self.work, self.say)
                summary = history.add(record, datetime.now(UTC))
                if summary.clock_went_back:
                    self.say([_clock(record)])
                if self.settings.history.keep is not None:
                    history.prune(datetime.now(UTC) - self.settings.history.keep)
        except (HaccError, OSError) as error:
            self.say(_problems(error))
            self._put_aside(record)

    def _put_aside(self, record: Record) -> None:
        path = self.location.pending / f"{record.name}.json"
        try:
            self.location.pending.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.write(path, to_json(record))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self.say(
                [
                    Problem(
                        None, record.name, f"this run was not recorded anywhere: {path}: {reason}"
                    )
                ]
            )
            return
        self.say(
            [
                Problem(
                    None,
                    record.name,
                    f"this run is not in the history yet; its record waits in {path}",
                    hint="the next run brings it in",
                )
            ]
        )


def catch_up(history: History, work: Path, say: Say) -> None:
    """Bring in what waits, the oldest first, and the runs that died before they could."""
    for path in waiting(history.location):
        try:
            record = from_json(path.read_bytes(), str(path))
        except RecordError as error:
            say(error.problems)
            continue
        history.add(record, datetime.now(UTC))
        path.unlink()
    for record in orphans(work, history):
        history.add(record, datetime.now(UTC))


def recorder(root: Path, url: str, say: Say) -> Recorder:
    """Of an inventory. Raises HaccError when what is written about its history is wrong."""
    settings = load_settings(root)
    return Recorder(location_of(root, url, settings), settings, work_of(root), say)


def location_of(root: Path, url: str, settings: Settings) -> Location:
    """An option or a variable comes before the inventory's own word."""
    words = settings.history
    return locate(
        root,
        work_of(root),
        url or words.url,
        site=words.site,
        password=words.password,
        place=None if url else words.place,
    )


def waiting(location: Location) -> list[Path]:
    """Records that wait for the database, the oldest first; of one second, as they were written."""
    try:
        files = [path for path in location.pending.iterdir() if path.suffix == ".json"]
    except FileNotFoundError:
        return []
    return sorted(files, key=lambda path: (path.name.partition("-")[0], path.stat().st_mtime_ns))


def _journals(work: Path) -> dict[str, int]:
    """How long the journal of each run is, the oldest first."""
    sizes = {}
    for run in runs.runs(work):
        with suppress(OSError):
            sizes[run.name] = (run.path / "journal.jsonl").stat().st_size
    return sizes


def with_directory(record: Record, run: runs.Run) -> Record:
    """A record with what the run's directory knows of it."""
    record = replace(record, name=run.name)
    with suppress(HaccError, OSError, ValueError):  # a plan, a journal that cannot be read
        plan = run.plan
        record = replace(record, plan_sha256=plan.digest, clusters=plan.clusters)
        record = replace(record, entries=run.journal_entries())
    return record


def orphans(work: Path, history: History) -> Iterator[Record]:
    """Runs in `.hacc/runs` that nobody recorded and nobody is at: their process was killed.

    Also those of before there was a history.
    """
    try:
        locks.refuse_while_held(work / "lock", "a run")
    except locks.Held:
        return  # what has not ended may be under way; whoever records next will see
    known = history.names()
    since = history.forgotten
    for run in runs.runs(work):
        if run.name not in known:
            if since is None or run.begun_at >= since:
                yield _orphan(run, history.location.site)
        elif run.ended is None:
            yield from _gone_on(run, history)


def _gone_on(run: runs.Run, history: History) -> Iterator[Record]:
    """A run that was recorded when it paused, went on, and did not live to say so."""
    try:
        held = history.find(run.name)
    except HaccError:  # of two machines: neither is this one's to correct
        return
    now = with_directory(held, run)
    if now.entries != held.entries:
        yield replace(now, exit=None, problems=(_did_not_end(run),))


def _orphan(run: runs.Run, site: str) -> Record:
    started = run.begun_at
    ended = run.ended
    record = with_directory(
        Record(
            name=run.name,
            site=site,
            kind=Kind.ROLLBACK if ended and ended.undoes else Kind.APPLY,
            user=who.name_of(run.path.stat().st_uid),
            machine=who.machine(),
            command="",
            version="",
            started=started.isoformat(timespec="seconds"),
            seconds=0.0,
            exit=None if ended is None else ended.exit,
            intent_sha256="",
        ),
        run,
    )
    last = max((datetime.fromisoformat(entry.at) for entry in record.entries), default=started)
    begun = {entry.host for entry in record.entries if entry.kind == "send"}
    states = ended.hosts if ended else dict.fromkeys(sorted(begun), str(State.UNKNOWN))
    return replace(
        record,
        seconds=max(0.0, (last - started).total_seconds()),
        hosts=tuple(HostOutcome(host, state) for host, state in states.items()),
        problems=() if ended else (_did_not_end(run),),
    )


def _did_not_end(run: runs.Run) -> Problem:
    return Problem(
        None,
        run.name,
        "the run did not end: its process, or its machine, did",
        hint=f"hacc apply --resume {run.name}; with --return to take it back",
    )


def _problems(error: HaccError | OSError) -> tuple[Problem, ...]:
    if isinstance(error, HaccError):
        return error.problems
    return (Problem(None, str(error.filename or "hacc"), (error.strerror or str(error)).lower()),)


def _clock(record: Record) -> Problem:
    return Problem(
        None,
        record.name,
        f"began at {record.started}, before a run that was recorded earlier: this machine's clock "
        "went back",
        hint="the history keeps the order in which runs were recorded; look at the clock: hacc "
        "doctor",
    )
