"""What Prometheus reads: by its own parser, and by the rules of its linter."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tasks import metrics
from tasks.errors import HaccError, Place, Problem
from tasks.findings import Area, Checked, Finding, Severity, Skipped, Waiver
from tests.tasks.history.records import finding, findings

CHECKED = Checked(
    started="2026-11-23T12:00:00+00:00",
    seconds=12.25,
    intent_sha256="5e" * 32,
    clusters=("east", "west"),
    hosts=("ha1", "ha2"),
    findings=(
        finding(1, Severity.CRITICAL),
        finding(2),
        finding(3),
        finding(4, Severity.INFO),
        replace(finding(5), waiver=Waiver("bob", "old", date(2027, 1, 1), Place("w.yaml", 1))),
    ),
    failed=(Skipped("ios1", (Problem(None, "ios1", "no answer"),)),),
)


def read(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(name: str, text: str, **labels: str) -> float:
    (found,) = (one.value for one in read(text)[name].samples if one.labels == labels)
    return found


def test_what_a_check_found_is_what_prometheus_reads() -> None:
    text = metrics.exposition(CHECKED)
    found = "hacc_check_findings"
    where = {"cluster": "west", "area": "configuration"}
    assert value(found, text, **where, severity="critical") == 1
    assert value(found, text, **where, severity="major") == 2
    assert value(found, text, **where, severity="minor") == 0
    assert value(found, text, cluster="east", area="state", severity="critical") == 0
    assert value("hacc_check_waived_findings", text, cluster="west") == 1
    assert value("hacc_check_hosts", text, state="judged") == 2
    assert value("hacc_check_hosts", text, state="failed") == 1
    assert value("hacc_check_last_run_timestamp_seconds", text) == 1795435200
    assert value("hacc_check_duration_seconds", text) == 12.25
    assert value("hacc_check_exit_code", text) == 3
    assert value("hacc_check_intent_info", text, sha256="5e" * 32) == 1


@given(st.lists(findings, max_size=5), st.lists(st.text(max_size=10), max_size=3))
def test_any_name_survives_the_parser(found: list[Finding], clusters: list[str]) -> None:
    checked = replace(CHECKED, findings=tuple(found), clusters=tuple(clusters))
    families = read(metrics.exposition(checked))
    samples = families["hacc_check_findings"].samples
    assert sum(one.value for one in samples) == len(checked.counting)
    named = {one.labels["cluster"] for one in samples}
    assert named == {*clusters, *(one.cluster for one in checked.counting)}
    labelled = [tuple(sorted(one.labels.items())) for one in samples]
    assert len(set(labelled)) == len(labelled), "a series is there once"


def test_the_rules_of_promtools_linter() -> None:
    """promtool check metrics: help, type, base units, counters and only they end in _total."""
    text = metrics.exposition(CHECKED)
    assert text.endswith("\n")
    helps = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    types = re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE)
    assert [name for name, _ in helps] == types == [*read(text)]
    for name in types:
        assert re.fullmatch(r"hacc_check_[a-z0-9_]+", name)
        assert not name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert not re.search(r"gauge|milli|minutes|hours|_ms", name)


def test_a_reader_finds_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "hacc.prom"
    umask = os.umask(0o077)
    try:
        metrics.write(path, CHECKED)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644, "node_exporter is another user"
    first = path.stat().st_ino
    metrics.write(path, replace(CHECKED, seconds=1))
    assert path.stat().st_ino != first, "put in place by a rename"
    assert os.listdir(tmp_path) == ["hacc.prom"]


def test_a_file_that_the_collector_would_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HaccError, match=r"a file that ends in \.prom"):
        metrics.check_name(tmp_path / "hacc.txt")


def test_every_area_is_counted() -> None:
    text = metrics.exposition(replace(CHECKED, findings=()))
    seen = {one.labels["area"] for one in read(text)["hacc_check_findings"].samples}
    assert seen == {str(area) for area in Area}
