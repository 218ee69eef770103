"""Maintenance windows: when a router may be changed.

    mon-fri 22:00-04:00 Europe/Vienna     sat,sun 00:00-24:00 UTC     daily 02:00-05:00 Asia/Tokyo

The days are those on which a window begins; one that ends at or before its beginning ends the day
after. Times are of the zone's wall clocks, whatever daylight saving does to them: a time that is
skipped is the moment of the shift, and of a time that comes twice the first one counts. So a window
over the shift is an hour longer or shorter, as it is for those who sleep through it.

A router with several windows may be changed in any of them, one without windows always. Routers
together may be changed when each of them may.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

FORM: Final = "days, from-to, time zone: mon-fri 22:00-04:00 Europe/Vienna"
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WINDOW: Final = re.compile(
    r"(?P<days>[a-z,-]+) +(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d) +(?P<zone>[A-Za-z0-9_+/-]+)"
)
# How far ahead a common moment of several windows is looked for: windows repeat every week, but
# zones shift their clocks twice a year.
HORIZON: Final = timedelta(days=15)
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another, in UTC; the end is outside."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """One line of a `windows:` list."""

    days: frozenset[int]  # 0 is Monday
    begin: time
    minutes: int  # from the beginning to the end, on a wall clock
    zone: str
    text: str

    def __str__(self) -> str:
        return self.text

    def spans(self, since: datetime, until: datetime) -> Iterator[Span]:
        """Those that touch a time, in order."""
        zone = ZoneInfo(self.zone)
        day = (since - 2 * _DAY).astimezone(zone).date()
        while day <= until.astimezone(zone).date():
            if day.weekday() in self.days:
                wall = datetime.combine(day, self.begin)
                found = Span(
                    moment(wall, zone), moment(wall + timedelta(minutes=self.minutes), zone)
                )
                if found.begin < found.end and found.end > since and found.begin < until:
                    yield found
            day += _DAY


def parse(text: str) -> Window:
    """Raises ValueError with what is wrong."""
    found = _WINDOW.fullmatch(text.strip())
    if not found:
        raise ValueError("is no maintenance window")
    begin, end = _minutes(found["begin"]), _minutes(found["end"])
    if begin == 24 * 60:
        raise ValueError("begins at 24:00, which is 00:00 of the day after")
    try:
        ZoneInfo(found["zone"])
    except (KeyError, ValueError, OSError):  # an unknown name; one that is a folder, a path
        raise ValueError(f"{found['zone']!r} is no time zone of this machine") from None
    return Window(
        days=frozenset(_days(found["days"])),
        begin=time(begin // 60, begin % 60),
        minutes=end - begin if end > begin else end - begin + 24 * 60,
        zone=found["zone"],
        text=text.strip(),
    )


def _minutes(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise ValueError(f"{text} is no time of a day")
    return hours * 60 + minutes


def _days(text: str) -> Iterator[int]:
    if text == "daily":
        yield from range(7)
        return
    for part in text.split(","):
        first, dash, last = part.partition("-")
        for name in (first, last) if dash else (first,):
            if name not in DAYS:
                raise ValueError(f"{name!r} is no day: {', '.join(DAYS)}, or daily")
        here, there = DAYS.index(first), DAYS.index(last or first)
        yield here
        while here != there:
            here = (here + 1) % 7
            yield here


def moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which the clocks of a zone first show a time or have passed it."""
    found = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # The time is skipped. Before the shift, and after: what the two offsets make of it.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    old = before.astimezone(zone).utcoffset()
    while found - before > _SECOND:
        middle = before + (found - before) // 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            found = middle
    return found.replace(microsecond=0)


def free(windows: Iterable[Sequence[Window]], now: datetime) -> Iterator[Span]:
    """When routers with these windows may be changed together, from now on: at most HORIZON far."""
    until = now + HORIZON
    common = [Span(now, until)]
    for each in {*map(tuple, windows)}:
        if each:
            own = _merged(span for window in each for span in window.spans(now, until))
            common = [*_common(common, own)]
    yield from common


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: span.begin):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _common(some: Sequence[Span], others: Sequence[Span]) -> Iterator[Span]:
    for one in some:
        for other in others:
            begin, end = max(one.begin, other.begin), min(one.end, other.end)
            if begin < end:
                yield Span(begin, end)


class Calendar:
    """The windows of routers, and what they allow."""

    def __init__(self, windows: Mapping[str, Sequence[Window]]) -> None:
        self._windows = windows

    def refusal(self, hosts: Iterable[str], now: datetime, needed: timedelta) -> str:
        """Why these routers must not be changed for so long from now on; empty if they may."""
        own = {host: tuple(self._windows.get(host, ())) for host in hosts}
        if not any(own.values()):
            return ""
        spans = [*free(own.values(), now)]
        if spans and spans[0].begin == now and spans[0].end - now >= needed:
            return ""
        zone = next(window.zone for windows in own.values() for window in windows)
        fitting = next((s for s in spans if s.begin > now and s.end - s.begin >= needed), None)
        following = (
            f"the next window that is long enough begins {_told(fitting.begin, zone)}"
            if fitting
            else f"none within {HORIZON.days} days is long enough"
        )
        minutes = -(-needed // timedelta(minutes=1))
        if spans and spans[0].begin == now:
            left = (spans[0].end - now) // timedelta(minutes=1)
            return (
                f"{left} minutes are left of the maintenance window, {minutes} needed; {following}"
            )
        return f"outside of the maintenance windows, {minutes} minutes needed; {following}"


def _told(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"
