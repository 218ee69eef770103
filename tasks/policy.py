"""How a run goes on, and when it stops: what `hacc apply` was asked for, kept with the run."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from .batches import CANARY, Share
from .plan import DEAD_MAN_SECONDS
from .platforms import Impact

_NONE: Final = Share(0)


class OnFailure(enum.StrEnum):
    """What becomes of the batches that are done when a later one fails."""

    RETURN = "return"  # everything goes back
    STOP = "stop"  # the batch that failed goes back; what was done before stays


class PauseAfter(enum.StrEnum):
    NOTHING = "nothing"
    CANARY = "canary"
    BATCH = "batch"  # every one, the canary too

    def after(self, batch: str) -> str:
        """Why a run pauses when this batch is done, or nothing."""
        wanted = self is PauseAfter.BATCH or (self is PauseAfter.CANARY and batch == CANARY)
        return f"{batch} is done, and was to be followed by a pause" if wanted else ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that a run was allowed and told at its beginning."""

    on_failure: OnFailure = OnFailure.RETURN
    max_fail: Share = _NONE  # routers that may fail; their clusters go back, the others go on
    pause_after: PauseAfter = PauseAfter.NOTHING
    allowed: tuple[Impact, ...] = ()
    why_now: str = ""  # the reason to work outside of a maintenance window, where there was one
    # A router that hears no confirmation for so long goes back by itself: it must cover the slowest
    # router of a wave and its verification.
    confirm_within_s: int = DEAD_MAN_SECONDS

    def bound(self, waves: int) -> timedelta:
        """How long so many waves take at most, and as long again for their way back: a router that
        is not confirmed in its time is on its way back."""
        return timedelta(seconds=2 * waves * self.confirm_within_s)

    def fail_limit(self, routers: int) -> int:
        """How many routers may fail of so many. Rounded down: 1% of 50 tolerates none."""
        share = self.max_fail
        return routers * share.number // 100 if share.percent else share.number


DEFAULT: Final = Policy()
