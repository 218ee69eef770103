"""A plan is a value: what will be sent to which router, in which order, and how it is undone.

`hacc apply` executes the plan that was reviewed and never computes another one. It refuses a plan
whose routers have moved since: each `HostPlan` names the digest of what the router held, and the
groups in which it was active, when the plan was made.

Order. Routers that share a standby group are never changed in the same wave; the one that is
active goes last (before anything runs: the one that the intent prefers). Of the Home Agents, one
goes first, alone, so that a change that breaks a member breaks one.
"""

from __future__ import annotations

from dataclasses import dataclass

from .diff import Command, DiffLine, Impact
from .rendered import Platform


@dataclass(frozen=True, slots=True)
class FileChange:
    """A Linux file that will be replaced as a whole (what we don't own is already merged in)."""

    path: str
    mode: int
    after: str  # secrets as tokens
    before_sha256: str | None  # of the file's present bytes; None where there is none
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What happens to one router. With neither files nor commands there is nothing to do."""

    host: str
    platform: Platform
    running_sha256: str  # Running.digest at planning time
    active: tuple[str, ...]  # Running.active at planning time
    lines: tuple[DiffLine, ...]  # IOS: the diff to show
    commands: tuple[Command, ...]  # IOS, in order; secrets as tokens
    undo: tuple[Command, ...]  # IOS: the inverse, in order
    files: tuple[FileChange, ...]  # Linux
    undo_method: str  # how it is undone, in words: "revert timer (2 minutes), then ..."
    impact: Impact  # the worst of its commands

    @property
    def empty(self) -> bool:
        return not (self.commands or self.files)


@dataclass(frozen=True, slots=True)
class Wave:
    """Routers that are changed at the same time; the next wave waits for these to be verified."""

    hosts: tuple[str, ...]
    reason: str  # "standby routers and backups"


@dataclass(frozen=True, slots=True)
class Plan:
    """A reviewed change of one or more clusters."""

    made_at: str  # RFC 3339, UTC
    clusters: tuple[str, ...]
    intent_sha256: str
    templates_sha256: str
    hosts: tuple[HostPlan, ...]
    waves: tuple[Wave, ...]

    @property
    def empty(self) -> bool:
        return all(host.empty for host in self.hosts)

    def host(self, name: str) -> HostPlan:
        return next(host for host in self.hosts if host.host == name)
