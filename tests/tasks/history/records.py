"""Runs to record, and values to hold them against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st

from tasks.errors import Place, Problem
from tasks.findings import Area, DeviceLine, Finding, Severity, Waiver
from tasks.history.place import Location, locate
from tasks.history.record import HostOutcome, Kind, Record
from tasks.journal import Entry

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def location(folder: Path) -> Location:
    """The file beside an inventory that lies in `folder`."""
    return locate(folder / "inventory", folder / ".hacc", site="west")


def finding(number: int = 1, severity: Severity = Severity.MAJOR, host: str = "ha1") -> Finding:
    return Finding(
        "config.missing",
        Area.CONFIGURATION,
        severity,
        "west",
        host,
        f"ip route {number}",
        f"line {number} is missing",
        Place("inventory/clusters/west.yaml", number),
        DeviceLine("running-config", 0, f"ip route {number}"),
        "hacc apply",
    )


def record(
    number: int = 1,
    kind: Kind = Kind.CHECK,
    findings: Sequence[Finding] = (),
    *,
    at: datetime | None = None,
    site: str = "west",
    machine: str = "noc1",
) -> Record:
    """Run number so-and-so, an hour after the one before it."""
    began = at or NOON + timedelta(hours=number)
    return Record(
        name=f"{began:%Y%m%dT%H%M%SZ}-{number:08x}",
        site=site,
        kind=kind,
        user="alice",
        machine=machine,
        command=f"hacc {kind}",
        version="0.1.0",
        started=began.isoformat(timespec="seconds"),
        seconds=1.5,
        exit=2 if findings else 0,
        intent_sha256="5e" * 32,
        clusters=("west",),
        findings=tuple(findings),
    )


def applied(number: int = 1) -> Record:
    """A change of two routers that failed on the second."""
    return replace(
        record(number, Kind.APPLY),
        exit=3,
        plan_sha256="ab" * 32,
        hosts=(
            HostOutcome("ha1", "returned"),
            HostOutcome("ios1", "unknown", (Problem(None, "ios1", "it does not answer"),)),
        ),
        entries=(
            Entry("2026-11-23T12:00:01.000000Z", "", "step", "wave 1"),
            Entry("2026-11-23T12:00:01.100000Z", "ha1", "send", "hostname ha1"),
            Entry("2026-11-23T12:00:02.000000Z", "ios1", "send", "snmp-server <secret env:SNMP>"),
        ),
        problems=(Problem(Place("plan.json", 3), "west", "stopped", "1", "hint", ()),),
    )


# PostgreSQL's texts hold any character but NUL, and an intent holds none: YAML forbids it.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
places = st.builds(Place, texts, st.integers(0, 9999))
problems = st.builds(Problem, st.none() | places, texts, texts, texts, texts)
findings = st.builds(
    Finding,
    texts,
    st.sampled_from(Area),
    st.sampled_from(Severity),
    texts,
    texts,
    texts,
    texts,
    st.none() | places,
    st.none() | st.builds(DeviceLine, texts, st.integers(0, 9999), texts),
    texts,
    st.none() | st.builds(Waiver, texts, texts, st.dates(), places),
)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001  # UTC next
    lambda moment: moment.replace(tzinfo=UTC).isoformat(timespec="seconds")
)
records = st.builds(
    Record,
    name=texts.filter(bool),
    site=st.just("west"),
    kind=st.sampled_from(Kind),
    user=texts,
    machine=texts,
    command=texts,
    version=texts,
    started=moments,
    seconds=st.floats(0, 1e6),
    exit=st.none() | st.integers(0, 130),
    intent_sha256=texts,
    plan_sha256=texts,
    clusters=st.lists(texts, max_size=2).map(tuple),
    areas=st.lists(st.sampled_from(Area), max_size=4).map(tuple),
    hosts=st.lists(
        st.builds(HostOutcome, texts, texts, st.lists(problems, max_size=2).map(tuple)), max_size=3
    ).map(tuple),
    entries=st.lists(
        st.builds(Entry, texts, texts, st.sampled_from(("step", "send", "state")), texts),
        max_size=3,
    ).map(tuple),
    findings=st.lists(findings, max_size=3).map(tuple),
    problems=st.lists(problems, max_size=2).map(tuple),
)
