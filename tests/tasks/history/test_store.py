"""A history keeps what it was given, in both databases, and says what it cannot do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from tasks.errors import HaccError
from tasks.findings import Area, Severity
from tasks.history import tables
from tasks.history.place import Location
from tasks.history.record import HostOutcome, Kind, Record, from_json, to_json
from tasks.history.store import History
from tests.tasks.history import records
from tests.tasks.history.conftest import Server
from tests.tasks.history.records import NOON, applied, finding, record

Anywhere = Callable[[], Location]

_names = count(1)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records.records)
def test_what_was_kept_comes_back(anywhere: Anywhere, held: Record) -> None:
    held = replace(held, name=f"{next(_names)}-{held.name}")
    with History.open(anywhere()) as history:
        history.add(held, NOON)
        assert history.find(held.name) == held
        assert history.summaries(last=1) == (held.summary,)


@given(records.records)
def test_a_record_is_the_same_after_its_file(held: Record) -> None:
    assert from_json(to_json(held), "a file") == held


def test_a_run_that_went_on_is_one_run(anywhere: Anywhere) -> None:
    with History.open(anywhere()) as history:
        history.add(replace(applied(), exit=None, entries=applied().entries[:1]), NOON)
        history.add(record(2), NOON)
        history.add(applied(), NOON)
        assert [one.name for one in history.summaries()] == [record(2).name, applied().name]
        assert history.find(applied().name) == applied()


def test_two_machines_and_two_sites_keep_apart(anywhere: Anywhere) -> None:
    with History.open(anywhere()) as history:
        history.add(record(), NOON)
        history.add(record(machine="noc2"), NOON)
        assert [one.machine for one in history.summaries()] == ["noc1", "noc2"]
        assert history.names() == {record().name}
        with pytest.raises(HaccError, match="names several runs"):
            history.find(record().name)
    with History.open(replace(anywhere(), site="east")) as other:
        assert other.summaries() == ()
        with pytest.raises(HaccError, match="nothing has been recorded yet"):
            other.find("last")


def test_runs_are_found_by_name_by_part_and_as_the_last(anywhere: Anywhere) -> None:
    with History.open(anywhere()) as history:
        for number in (1, 2, 3):
            history.add(record(number), NOON)
        assert history.find(record(2).name) == record(2)
        assert history.find("00000002") == record(2)
        assert history.find("last") == record(3)
        with pytest.raises(HaccError, match="names no run") as raised:
            history.find("%")  # no pattern, however a database may read it
        assert raised.value.problems[0].hint.endswith(record(3).name)
        with pytest.raises(HaccError, match="names several runs"):
            history.find("2026")


def test_runs_are_chosen_by_time_kind_and_number(anywhere: Anywhere) -> None:
    with History.open(anywhere()) as history:
        for number in range(1, 6):
            kind = Kind.VERIFY if number == 4 else Kind.CHECK
            history.add(record(number, kind), NOON)
        since = NOON + timedelta(hours=3)
        assert [one.name[-1] for one in history.summaries(since=since)] == ["3", "4", "5"]
        assert [one.name[-1] for one in history.summaries(kinds=(Kind.VERIFY,))] == ["4"]
        assert [one.name[-1] for one in history.summaries(last=2)] == ["4", "5"]


def test_a_summary_counts_what_counts(anywhere: Anywhere) -> None:
    found = (
        finding(1, Severity.CRITICAL),
        finding(2),
        finding(3),
        finding(4, Severity.INFO),
        replace(finding(5), waiver=None),
    )
    with History.open(anywhere()) as history:
        history.add(record(1, findings=found), NOON)
        history.add(applied(2), NOON)
        checked, changed = history.summaries()
    assert checked.findings == {
        Severity.CRITICAL: 1, Severity.MAJOR: 3, Severity.MINOR: 0, Severity.INFO: 0
    }  # fmt: skip
    assert (changed.hosts, changed.lines, changed.exit) == (2, 2, 3)


def test_a_finding_has_a_life(anywhere: Anywhere) -> None:
    gone, stays, came = finding(1), finding(2), finding(3, Severity.CRITICAL)
    with History.open(anywhere()) as history:
        history.add(record(1, findings=(gone, stays)), NOON)
        history.add(record(2, findings=(stays,)), NOON)
        history.add(record(3, Kind.VERIFY), NOON)  # says nothing about findings
        history.add(record(4, findings=(replace(stays, message="again"), came)), NOON)
        seen = history.findings_seen()
        lately = history.findings_seen(since=NOON + timedelta(hours=2))
    assert [(s.finding.subject, s.first[11:13], s.last[11:13], s.runs, s.open) for s in seen] == [
        ("ip route 3", "16", "16", 1, True),
        ("ip route 2", "13", "16", 3, True),
        ("ip route 1", "13", "13", 1, False),
    ]
    assert seen[1].finding.message == "again"
    assert [s.finding.subject for s in lately] == ["ip route 3", "ip route 2"]


def test_what_is_old_is_forgotten_but_the_last_check(anywhere: Anywhere) -> None:
    with History.open(anywhere()) as history:
        for number in (1, 2):
            history.add(record(number, findings=(finding(number),)), NOON)
        history.add(applied(3), NOON)
        assert history.forgotten is None
        assert history.prune(NOON + timedelta(hours=9)) == 2
        assert [one.name for one in history.summaries()] == [record(2).name]
        assert [s.finding for s in history.findings_seen()] == [finding(2)]
        assert history.forgotten == NOON + timedelta(hours=9)
        assert history.prune(NOON) == 0
        assert history.forgotten == NOON + timedelta(hours=9), "what is forgotten stays so"


def test_a_clock_that_went_back_is_seen_and_changes_no_order(anywhere: Anywhere) -> None:
    with History.open(anywhere()) as history:
        now = NOON + timedelta(days=1)
        assert not history.add(record(1), now).clock_went_back
        # Two machines that share a history need not agree to the second.
        assert not history.add(record(2), now - timedelta(seconds=59)).clock_went_back
        assert not history.add(record(3, machine="noc2"), now - timedelta(hours=1)).clock_went_back
        back = record(4, at=NOON - timedelta(days=300))
        assert history.add(back, now - timedelta(days=300)).clock_went_back
        assert [one.clock_went_back for one in history.summaries()] == [False, False, False, True]
        assert history.summaries()[-1].name == back.name
        assert history.find("last") == back


def test_a_database_without_an_encoding(server: Server, postgresql: Location) -> None:
    """What PostgreSQL makes where no locale is set: it gives back octets unless it is asked."""
    server.sql("postgres", "CREATE DATABASE ascii ENCODING SQL_ASCII TEMPLATE template0")
    held = replace(applied(), user="Zoë")
    with History.open(replace(postgresql, url=server.url("ascii"))) as history:
        history.add(held, NOON)
        assert history.find("last") == held


@pytest.mark.parametrize(
    ("later", "open_"),
    [
        ({}, False),
        ({"clusters": ("east",)}, True),
        ({"areas": (Area.STATE,)}, True),
        ({"areas": (Area.CONFIGURATION,)}, False),
        ({"hosts": (HostOutcome("ha1", "failed"),)}, True),
        ({"hosts": (HostOutcome("ha2", "failed"),)}, False),
    ],
    ids=["whole", "another-cluster", "another-area", "its-area", "not-reached", "another-router"],
)
def test_what_a_later_check_did_not_look_at_stays_open(
    anywhere: Anywhere, later: dict[str, Any], open_: bool
) -> None:
    with History.open(anywhere()) as history:
        history.add(record(1, findings=(finding(),)), NOON)
        history.add(replace(record(2), **later), NOON)
        (seen,) = history.findings_seen()
    assert seen.open is open_


def test_tables_of_an_older_version_are_brought_up(anywhere: Anywhere) -> None:
    place = anywhere()
    with History.open(place) as history:
        history.add(record(1, findings=(finding(),)), NOON)
        with history.writing() as connection:
            connection.execute(sa.text("ALTER TABLE hacc_runs DROP COLUMN areas"))
            connection.execute(sa.text("UPDATE hacc_schema SET version = 1"))
    with History.open(place) as history:
        assert history.find("last") == record(1, findings=(finding(),))
        held = replace(record(2), areas=(Area.STATE,))
        history.add(held, NOON)
        assert history.find("last") == held
    with History.open(place) as history, history.reading() as connection:
        assert connection.scalar(sa.text("SELECT version FROM hacc_schema")) == tables.VERSION
