"""Maintenance windows: what a wall clock shows, whatever daylight saving does to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.windows import DAYS, HORIZON, Calendar, free, moment, parse

# Clocks go forward on 2026-03-29 at 02:00, and back on 2026-10-25 at 03:00.
VIENNA = ZoneInfo("Europe/Vienna")
A_YEAR = st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-01-01"))
# Days on which the clocks of a zone shift; Lord Howe's do so by half an hour.
SHIFTS = {
    "Europe/Vienna": ("2026-03-29", "2026-10-25"),
    "America/St_Johns": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
}


def at(text: str, zone: str = "Europe/Vienna") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def spans(text: str, since: str, until: str) -> list[tuple[str, str]]:
    """The windows in a time, as clocks in Vienna and in Greenwich show them."""
    found = parse(text).spans(at(since), at(until))
    return [(f"{s.begin.astimezone(VIENNA):%a %H:%M}", f"{s.end:%H:%M}Z") for s in found]


@pytest.mark.parametrize(
    ("window", "day", "expected"),
    [
        ("mon 22:00-23:30 Europe/Vienna", "2026-11-23", [("Mon 22:00", "22:30Z")]),
        ("mon 22:00-04:00 Europe/Vienna", "2026-11-23", [("Mon 22:00", "03:00Z")]),
        ("mon 00:00-24:00 Europe/Vienna", "2026-11-23", [("Mon 00:00", "23:00Z")]),
        ("mon 00:00-00:00 Europe/Vienna", "2026-11-23", [("Mon 00:00", "23:00Z")]),
        ("sat-mon 02:00-03:00 UTC", "2026-11-23", [("Mon 03:00", "03:00Z")]),
        # The hour from 02:00 to 03:00 is skipped.
        ("sun 00:00-04:00 Europe/Vienna", "2026-03-29", [("Sun 00:00", "02:00Z")]),
        ("sun 02:30-05:00 Europe/Vienna", "2026-03-29", [("Sun 03:00", "03:00Z")]),
        ("sun 01:00-02:30 Europe/Vienna", "2026-03-29", [("Sun 01:00", "01:00Z")]),
        ("sun 02:10-02:50 Europe/Vienna", "2026-03-29", []),
        # The hour from 02:00 to 03:00 comes twice: the first one counts.
        ("sun 00:00-04:00 Europe/Vienna", "2026-10-25", [("Sun 00:00", "03:00Z")]),
        ("sun 02:15-02:45 Europe/Vienna", "2026-10-25", [("Sun 02:15", "00:45Z")]),
        ("sun 02:30-03:30 Europe/Vienna", "2026-10-25", [("Sun 02:30", "02:30Z")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_window_is_what_the_clocks_of_its_zone_show(
    window: str, day: str, expected: list[tuple[str, str]]
) -> None:
    assert spans(window, f"{day}T00:00", f"{day}T23:59") == expected


@pytest.mark.parametrize("zone", SHIFTS)
@given(data=st.data())
def test_a_skipped_time_is_the_moment_of_the_shift_and_no_clock_showed_it_before(
    zone: str, data: st.DataObject
) -> None:
    day = datetime.fromisoformat(data.draw(st.sampled_from(SHIFTS[zone])))
    wall = day + timedelta(minutes=data.draw(st.integers(-60, 240)))
    found = moment(wall, ZoneInfo(zone))

    def shown(when: datetime) -> datetime:
        return when.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    assert shown(found) >= wall
    assert shown(found - timedelta(seconds=1)) < wall


@given(
    days=st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    begin=st.integers(0, 1439),
    end=st.integers(0, 1440),
    zone=st.sampled_from(["UTC", "Europe/Vienna", "America/New_York", "Asia/Kathmandu"]),
    now=A_YEAR,
)
def test_a_router_may_be_changed_when_its_clock_says_so(
    days: list[str], begin: int, end: int, zone: str, now: datetime
) -> None:
    """Against the plainest reading, which holds on any day without a shift of the clocks."""
    text = f"{','.join(days)} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02} {zone}"
    here = now.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    days_near = [here + timedelta(days=shift) for shift in (-1, 0, 1)]
    if len({day.utcoffset() for day in days_near}) > 1:
        return
    minute, length = here.hour * 60 + here.minute, (end - begin) % 1440 or 1440
    told = any(
        DAYS[(here + timedelta(days=shift)).weekday()] in days
        and 0 <= minute - shift * 1440 - begin < length
        for shift in (-1, 0)
    )
    spans = [*free([[parse(text)]], here.astimezone(UTC))]
    assert bool(spans and spans[0].begin == here) is told


def test_routers_together_wait_for_a_time_that_suits_all() -> None:
    calendar = Calendar(
        {
            "ha1": [parse("daily 22:00-04:00 Europe/Vienna")],
            "ha2": [parse("tue,thu 01:00-06:00 UTC"), parse("sun 00:00-12:00 UTC")],
        }
    )
    monday = at("2026-11-23T23:00")
    hour = timedelta(hours=1)
    assert calendar.refusal(["ha1"], monday, hour) == ""
    assert calendar.refusal(["ha9", "ha1"], monday, hour) == ""  # ha9 may always
    assert calendar.refusal(["ha1", "ha2"], monday, hour) == (
        "outside of the maintenance windows, 60 minutes needed; the next window that is long "
        "enough begins Tue 2026-11-24 02:00 Europe/Vienna"
    )
    assert calendar.refusal(["ha1", "ha2"], at("2026-11-24T02:30"), hour) == ""
    assert calendar.refusal(["ha1", "ha2"], at("2026-11-24T03:30"), hour) == (
        "30 minutes are left of the maintenance window, 60 needed; the next window that is long "
        "enough begins Thu 2026-11-26 02:00 Europe/Vienna"
    )
    assert calendar.refusal(["ha1"], monday, timedelta(hours=7)).endswith(
        f"none within {HORIZON.days} days is long enough"
    )


def test_windows_that_touch_are_one() -> None:
    calendar = Calendar({"ha1": [parse("mon 20:00-24:00 UTC"), parse("tue 00:00-04:00 UTC")]})
    assert calendar.refusal(["ha1"], at("2026-11-23T23:00", "UTC"), timedelta(hours=5)) == ""
    assert "left" in calendar.refusal(["ha1"], at("2026-11-23T23:01", "UTC"), timedelta(hours=5))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no maintenance window"),
        ("22:00-04:00", "is no maintenance window"),
        ("mon 22-04 UTC", "is no maintenance window"),
        ("moon 22:00-04:00 UTC", "'moon' is no day"),
        ("mon- 22:00-04:00 UTC", "'' is no day"),
        ("mon 25:00-04:00 UTC", "25:00 is no time of a day"),
        ("mon 22:60-04:00 UTC", "22:60 is no time of a day"),
        ("mon 24:00-04:00 UTC", "begins at 24:00"),
        ("mon 22:00-04:00 Europe/Wien", "'Europe/Wien' is no time zone"),
        ("mon 22:00-04:00 Europe", "'Europe' is no time zone"),
        ("mon 22:00-04:00 ../../etc/passwd", "is no maintenance window"),
        ("mon 22:00-04:00 /etc/passwd", "'/etc/passwd' is no time zone"),
    ],
)
def test_what_is_no_window_is_told_why(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(text)
