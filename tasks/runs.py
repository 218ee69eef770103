"""Runs: what was done to which routers, kept so that it can be undone and read afterwards.

.hacc/runs/20261123T061129Z-1a2b3c4d/      mode 0700, its files 0600
    plan.json       the plan, secrets as tokens
    run.json        how it may go on, and when it stops (see `policy`)
    journal.jsonl   every line sent, on disk before it was sent (see `journal`)
    log.jsonl       progress, for people and log collectors
    HOST/before.json, HOST/after.json     what it held before and after, as fetched
    HOST/files/...  the same before, as plain files
    result.json     how it ended; a run without one did not end
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from . import durable, locks
from .errors import Exit, HaccError, Place, Problem
from .journal import Entry, Journal, entries
from .plan import Plan, from_json, to_json
from .policy import Policy
from .running import Running
from .story import Story, read

NAME_FORMAT: Final = "%Y%m%dT%H%M%SZ"

_RUNNING: Final = TypeAdapter(Running)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    exit: int  # errors.Exit
    hosts: Mapping[str, str]  # host -> push.State
    undoes: str  # the run that this one rolled back, or nothing


_ENDED: Final = TypeAdapter(Ended)
_POLICY: Final = TypeAdapter(Policy)


class Run:
    """One run's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def plan(self) -> Plan:
        file = self.path / "plan.json"
        return from_json(file.read_bytes(), str(file))

    @property
    def policy(self) -> Policy:
        return _POLICY.validate_json((self.path / "run.json").read_bytes())

    @property
    def begun_at(self) -> datetime:
        return datetime.strptime(self.name.partition("-")[0], NAME_FORMAT).replace(tzinfo=UTC)

    @property
    def ended(self) -> Ended | None:
        try:
            return _ENDED.validate_json((self.path / "result.json").read_bytes())
        except FileNotFoundError:
            return None

    def begun(self) -> frozenset[str]:
        """Hosts to which something was sent."""
        return frozenset(entry.host for entry in self.journal_entries() if entry.kind == "send")

    def journal_entries(self) -> tuple[Entry, ...]:
        try:
            with (self.path / "journal.jsonl").open(encoding="utf-8") as lines:
                return tuple(entries(lines))
        except FileNotFoundError:
            return ()

    def story(self) -> Story:
        """Where its routers are, and what was decided, as far as its journal knows."""
        return read(self.journal_entries())

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        journal = Journal(self.path / "journal.jsonl")
        try:
            yield journal
        finally:
            journal.close()

    def backup(self, host: str) -> Path:
        return self.path / host

    def keep(self, running: Running, moment: str) -> None:
        """Keep what a router held at a moment: `before` or `after`."""
        place = self.backup(running.host)
        place.mkdir(mode=0o700, exist_ok=True)
        durable.write(place / f"{moment}.json", _RUNNING.dump_json(running))
        if moment == "before":
            for file in running.files:
                if file.text is not None:
                    copy = place / "files" / file.path.lstrip("/")
                    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    durable.write(copy, file.text.encode())

    def held(self, host: str, moment: str) -> Running | None:
        try:
            return _RUNNING.validate_json((self.backup(host) / f"{moment}.json").read_bytes())
        except FileNotFoundError:
            return None

    def remember(self, policy: Policy) -> None:
        durable.write(self.path / "run.json", _POLICY.dump_json(policy, indent=1) + b"\n")

    def end(self, ended: Ended) -> None:
        durable.write(self.path / "result.json", _ENDED.dump_json(ended, indent=1) + b"\n")


def create(work: Path, plan: Plan, now: datetime, policy: Policy) -> Run:
    """A new run's directory, with its plan. Its name sorts by time and names the plan."""
    home = work / "runs"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for shift in count():  # a rollback in the second of its run has the same plan
        name = f"{now.astimezone(UTC).strftime(NAME_FORMAT)}-{plan.digest[shift:][:8]}"
        path = home / name
        try:
            path.mkdir(mode=0o700)
            break
        except FileExistsError:
            continue
    run = Run(path)
    run.remember(policy)
    durable.write(path / "plan.json", to_json(plan))  # last: what has a plan is a run
    return run


def runs(work: Path) -> tuple[Run, ...]:
    """All runs, the oldest first."""
    try:
        paths = sorted((work / "runs").iterdir())
    except FileNotFoundError:
        return ()
    return tuple(Run(path) for path in paths if (path / "plan.json").exists())


def find(work: Path, name: str) -> Run:
    """A run by its name, by an unambiguous part of it, or `last`: the last that was no rollback."""
    every = runs(work)
    if name == "last":
        found = tuple(run for run in every if run.ended is None or not run.ended.undoes)[-1:]
    else:
        found = tuple(run for run in every if run.name == name) or tuple(
            run for run in every if name and name in run.name
        )
    if len(found) == 1:
        return found[0]
    if not every:
        message, hint = "there are no runs", "nothing was applied from this directory yet"
    else:
        message = "names no run" if not found else "names several runs"
        hint = f"runs: {', '.join(run.name for run in (found or every)[-5:])}"
    raise HaccError(Problem(Place(str(work / "runs"), 0), name, message, hint=hint))


def unfinished(work: Path) -> Run | None:
    """The run that has touched routers, or is to, and has not ended; by its process or without."""
    for run in reversed(runs(work)):
        if run.ended is None:
            story = run.story()
            if story.marks or story.paused:
                return run
    return None


@dataclass(frozen=True, slots=True)
class Told:
    """A run in a line."""

    name: str
    begun: str  # RFC 3339, UTC
    clusters: tuple[str, ...]
    exit: int | None  # None: it has not ended
    hosts: Mapping[str, str]  # host -> push.State, or, where it has not ended, story.Mark
    undoes: str
    paused: str
    batch: str  # the last that began
    returning: bool  # it was going back when its process died

    @property
    def unfinished(self) -> bool:
        return self.exit is None and bool(self.hosts or self.paused)


def told(run: Run) -> Told:
    ended, story = run.ended, run.story()
    return Told(
        name=run.name,
        begun=run.begun_at.isoformat(),
        clusters=run.plan.clusters,
        exit=ended.exit if ended else None,
        hosts=ended.hosts if ended else {host: str(mark) for host, mark in story.marks.items()},
        undoes=ended.undoes if ended else "",
        paused=story.paused,
        batch=story.batch,
        returning=story.returning and not ended,
    )


class Unfinished(HaccError):
    """An earlier run has not ended; what its routers hold is its business first."""

    exit = Exit.STALE


def refuse_unfinished(work: Path) -> None:
    """Nothing new begins between two halves of a change. Raises Unfinished with the way on."""
    run = unfinished(work)
    if run is None:
        return
    story = run.story()
    raise Unfinished(
        Problem(
            Place(str(run.path), 0),
            run.name,
            f"this run is paused: {story.paused}" if story.paused else "this run did not end",
            hint=f"go on with it: hacc apply --resume {run.name}; or take it back: --return; "
            "or leave it as far as it came: --stop",
        )
    )


def refuse_another(work: Path) -> None:
    """Before routers are asked for what could not be done: a run is under way, or has not ended."""
    locks.refuse_while_held(work / "lock", "another run from this directory")
    refuse_unfinished(work)


def sole(work: Path) -> AbstractContextManager[None]:
    """Only one run at a time from one work directory."""
    return locks.sole(work / "lock", "another run from this directory")
