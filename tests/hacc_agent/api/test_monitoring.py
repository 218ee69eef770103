"""The dashboard and the alerts that come with hacc speak of metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bench.crowd import Crowd, answering
from hacc_agent.api.metrics import COUNTERS, MEMBERS, ROUTER, STATES, TRAFFIC
from tests.hacc_agent.api.served import configured, open_folder, serving

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "templates/monitoring"
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((SHIPPED / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((SHIPPED / "dashboard.json").read_text())
PROMETHEUS_OWN = {"up"}
SEVERITIES = {"critical", "major", "minor"}


def expressions() -> list[tuple[str, str]]:
    found = [(rule["alert"], rule["expr"]) for rule in ALERTS]
    for panel in DASHBOARD["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel["targets"]]
    return found


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """Every name that is really told, and the labels that it has."""
    with (
        open_folder() as folder,
        answering(Crowd(3, lan=True), folder),
        serving(folder / "api", configured(folder / "api", str(folder))) as api,
    ):
        api.call("/v1/status", token="guess")  # so that something was refused
        body = api.call("/metrics").body.decode()
    names: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names


def metrics_of(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of an expression, and the labels that it is chosen by."""
    for name, chosen in re.findall(r"\b(hacc_\w+|up)\b(?:{([^}]*)})?", expression):
        yield name, set(re.findall(r"(\w+)\s*[=!]", chosen)) - {"instance", "job"}


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_an_expression_names_only_metrics_and_labels_that_exist(
    told: dict[str, set[str]], where: str, expression: str
) -> None:
    named = list(metrics_of(expression))
    assert named, where
    for name, labels in named:
        assert name in told or name in PROMETHEUS_OWN, f"{where}: {name}"
        assert labels <= told.get(name, set()), f"{where}: {name}"
    assert expression.count("(") == expression.count(")")


def test_a_label_is_compared_with_values_that_it_can_have() -> None:
    values = {
        "state": set(STATES),
        "kind": {*TRAFFIC},
        "verdict": {"expected", "missing", "stranger", "impostor"},
    }
    for _, label, fields in COUNTERS.values():
        values.setdefault(label, set()).update(fields.values())
    for where, expression in expressions():
        for label, value in re.findall(r"(\w+)[=!]~?\"([^\"$]+)\"", expression):
            if label != "job":
                assert set(value.split("|")) <= values[label], where


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_an_alert_has_a_severity_a_summary_and_a_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"]["summary"]
    file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor == rule["alert"].lower()
    assert f"\n## {rule['alert']}\n" in (ROOT / file).read_text()


def test_a_runbook_belongs_to_an_alert() -> None:
    written = re.findall(r"^## (\w+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert written == [rule["alert"] for rule in ALERTS]


def test_panels_are_apart_and_have_names() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_every_metric_is_told_in_the_guide(told: dict[str, set[str]]) -> None:
    guide = (ROOT / "docs/live-view.md").read_text()
    for name in {*told, *ROUTER, *MEMBERS}:
        assert f"`{name}`" in guide, name
