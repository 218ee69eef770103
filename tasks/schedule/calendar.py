"""When: what people write, as systemd and cron want it.

Both count from the hour and from midnight, so a length of time must divide one of them: a run
"every 25 minutes" would in truth come after 25, 25 and 10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ..errors import HaccError, Problem
from ..spans import span

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_WORDS: Final = {
    "hourly": _HOUR,
    "daily": _DAY,
    "weekly": timedelta(weeks=1),
}
ALLOWED: Final = (
    "minutes that divide the hour (5m, 15m), hours that divide the day (1h, 6h), 1d, 1w, hourly, "
    "daily, weekly, or an OnCalendar expression of systemd"
)
# systemd.time(7) writes with these; anything else is a slip, or an attempt at a second line.
_EXPRESSION: Final = re.compile(r"[A-Za-z0-9*:,./~ +_-]+")

# A fifth of the time between two runs, so that sites do not come all at once, and at most this.
_SPREAD: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Every:
    """A regular time."""

    calendar: str  # OnCalendar=
    length: timedelta | None  # between two runs; None: only systemd knows

    @property
    def spread(self) -> timedelta:
        """By how much runs are spread when nobody says."""
        return _MINUTE if self.length is None else min(self.length / 5, _SPREAD)

    def cron(self, offset: timedelta) -> str:
        """The five fields, `offset` after the full time. Raises HaccError where cron has none."""
        if self.length is None:
            raise HaccError(
                Problem(None, "--every", f"cron cannot say {self.calendar!r}", allowed=ALLOWED)
            )
        minutes = int(offset / _MINUTE)
        if self.length < _HOUR:
            step = self.length // _MINUTE
            return f"{minutes % step}-59/{step} * * * *"
        hour, minute = divmod(minutes, 60)
        if self.length < _DAY:
            step = self.length // _HOUR
            return f"{minute} {hour % step}-23/{step} * * *"
        return f"{minute} {hour} * * {'1' if self.length > _DAY else '*'}"


def every(text: str) -> Every:
    """Raises HaccError: no regular time, or one that neither an hour nor a day is made of."""
    length = _WORDS.get(text)
    if length is None and re.fullmatch(r"\d+[a-z]", text):
        length = span(text, "--every")
    if length is None:
        if not _EXPRESSION.fullmatch(text):
            raise _wrong(text)
        return Every(text, None)
    calendar = _calendar(length)
    if calendar is None:
        raise _wrong(text)
    return Every(calendar, length)


def _calendar(length: timedelta) -> str | None:
    if length == _WORDS["weekly"]:
        return "weekly"
    if length == _DAY:
        return "daily"
    if length == _HOUR:
        return "hourly"
    if _MINUTE <= length < _HOUR and not _HOUR % length and not length % _MINUTE:
        return f"*:0/{length // _MINUTE}"
    if _HOUR < length < _DAY and not _DAY % length and not length % _HOUR:
        return f"0/{length // _HOUR}:00"
    return None


def _wrong(text: str) -> HaccError:
    return HaccError(Problem(None, "--every", f"{text!r} is no regular time", allowed=ALLOWED))
