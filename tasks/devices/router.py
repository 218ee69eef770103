"""One router under change, whatever its platform: what is asked of it, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..journal import Journal
from ..plan import HostPlan
from ..rendered import File
from ..running import Running

# Opens a connection (see `session`) in the place of the one that there was.
# True: the way back, urgent.
Connect = Callable[[bool], Any]


@dataclass(frozen=True, slots=True)
class Job:
    """The change of one router: all that a platform needs to make it and to take it back."""

    run: str  # the run's name: also the name of what is kept on the router
    plan: HostPlan
    before: Running
    intended: tuple[File, ...]  # what `render` made: IOS is held against it after the push
    opened: Mapping[str, str] = field(repr=False)  # secret references to clear values
    confirm_within_s: int  # after this time without a confirmation the router goes back by itself
    journal: Journal
    backup: Path  # the directory of this router's backup in the run


class Router(Protocol):
    """What every platform implements. A method that did not do its part raises DeviceError."""

    def run(self, command: str) -> str:
        """What one command prints: on IOS a line at the exec prompt, on Linux a shell's."""
        ...

    def fetch(self, paths: Sequence[str]) -> Running:
        """What it holds now."""
        ...

    def back_up(self, job: Job) -> None:
        """Keep what it holds on the router too. Refuses when there is no room, or nothing to keep:
        when the router is not what the plan was made from (`Moved`)."""
        ...

    def apply(self, job: Job) -> None:
        """Bring the change into force, unconfirmed. Raises Refused when nothing was touched; when
        it raises anything else, something may have changed."""
        ...

    def armed(self, job: Job) -> bool:
        """Whether this run's change is unconfirmed, and the router will go back by itself. What
        another process began is taken over by asking: it can be confirmed and reverted after."""
        ...

    def confirm(self, job: Job) -> Running:
        """Make the change stay; what the router holds then, of the files of `job.before`."""
        ...

    def revert(self, job: Job) -> None:
        """Take back an unconfirmed change, from whatever point it reached."""
        ...

    def restore(self, job: Job) -> None:
        """Take back a confirmed change."""
        ...

    def close(self) -> None:
        """End the session."""
        ...
