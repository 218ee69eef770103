"""Every format tells the same run: held against published schemas, read by a real browser."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.check import AREAS
from tasks.check.baseline import Compared, compare, exit_of
from tasks.check.outputs import FORMATS, Report, Target, targets
from tasks.errors import Exit, HaccError, Place
from tasks.findings import Area, Checked, DeviceLine, Finding, Severity, from_json, worst_first
from tests.tasks.check.conftest import (
    BANNER,
    CLOCK,
    EXPIRED,
    MISSING,
    OWNER,
    SILENT,
    TELNET,
)

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
SARIF = jsonschema.Draft4Validator(json.loads((SCHEMAS / "sarif-2.1.0.json").read_text()))
JUNIT = xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))
SENTENCES = {"config.missing": "A line of ours is not there."}


def told(checked: Checked, form: str, compared: Compared | None = None) -> bytes:
    return FORMATS[form](Report(checked, AREAS, SENTENCES, compared, "<svg></svg>"))


def test_json_comes_back(checked: Checked) -> None:
    assert from_json(told(checked, "json")) == checked


# ------------------------------------------------------------------ SARIF


def results(data: bytes) -> dict[str, dict[str, Any]]:
    log = json.loads(data)
    SARIF.validate(log)
    return {one["partialFingerprints"]["hacc/v1"]: one for one in log["runs"][0]["results"]}


def test_sarif_keeps_to_the_schema_of_oasis(checked: Checked) -> None:
    found = results(told(checked, "sarif"))
    assert set(found) == {one.fingerprint for one in checked.findings}
    missing = found[MISSING.fingerprint]
    assert missing["level"] == "error"
    assert missing["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "inventory/clusters/west.yaml"},
        "region": {"startLine": 27},
    }
    assert missing["suppressions"] == []
    assert missing["properties"]["routerLine"].startswith("running-config: interface")
    [suppression] = found[TELNET.fingerprint]["suppressions"]
    assert "jane, until 2027-03-31" in suppression["justification"]
    uri = found[BANNER.fingerprint]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "file:///srv/a%20b/inventory/hosts.yaml"
    assert {found[one.fingerprint]["level"] for one in (BANNER, EXPIRED)} == {"warning"}
    assert found[CLOCK.fingerprint]["level"] == "note"


def test_sarif_tells_rules_once_and_who_was_not_reached(checked: Checked) -> None:
    [run] = json.loads(told(checked, "sarif"))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "ha9" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_sarif_says_what_is_new_known_and_gone(checked: Checked) -> None:
    gone = Finding("state.snmp", Area.STATE, Severity.MAJOR, "west", "ha1", "SNMP", "silent")
    compared = compare("yesterday", [MISSING, gone], checked, AREAS)
    found = results(told(checked, "sarif", compared))
    assert found[MISSING.fingerprint]["baselineState"] == "unchanged"
    assert found[OWNER.fingerprint]["baselineState"] == "new"
    assert found[gone.fingerprint]["baselineState"] == "absent"


# ------------------------------------------------------------------ JUnit


def suites(data: bytes) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(data)
    JUNIT.validate(root)
    for suite in root:
        for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == len(suite.findall(f"testcase/{kind}"))
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    for name in ("tests", "failures", "errors"):
        assert int(root.attrib[name]) == sum(int(suite.attrib[name]) for suite in root)
    return {suite.attrib["name"]: suite for suite in root}


def test_junit_keeps_to_the_schema_of_jenkins(checked: Checked) -> None:
    found = suites(told(checked, "junit"))
    assert set(found) == {
        *checked.hosts, "hacc1, hacc2", "ha9", "the site",
    }  # fmt: skip
    assert {case.attrib["name"] for case in found["ha1"]} == {"as it should be"}
    assert len(found["ha1"].findall("testcase")) == len(AREAS)
    [failure] = found["ios1"].findall("testcase/failure[@type='major']")
    assert failure.attrib["message"] == MISSING.message
    assert failure.text is not None
    assert str(MISSING.intent) in failure.text
    assert MISSING.remedy in failure.text
    [skipped] = found["ios2"].findall("testcase/skipped")
    assert skipped.attrib["message"] == "waived until 2027-03-31 by jane"
    [error] = found["ha9"].findall("testcase/error")
    assert error.attrib["message"] == SILENT.message


def test_junit_fails_for_what_is_new_alone(checked: Checked) -> None:
    found = suites(told(checked, "junit", compare("monday", [MISSING], checked, AREAS)))
    assert [case.attrib["message"] for case in found["ios1"].findall("testcase/skipped")] == [
        "there since monday"
    ]
    assert len(found["hacc1, hacc2"].findall("testcase/failure")) == 1


words = st.text(max_size=12)
places = st.none() | st.builds(Place, words.filter(bool), st.integers(0, 9999))
anything = st.builds(
    Finding,
    rule=words,
    area=st.sampled_from(Area),
    severity=st.sampled_from(Severity),
    cluster=words,
    host=words,
    subject=words,
    message=words,
    intent=places,
    device=st.none() | st.builds(DeviceLine, words, st.integers(0, 99), words),
    remedy=words,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(anything, max_size=4))
def test_whatever_routers_say_the_formats_stay_formats(
    checked: Checked, findings: list[Finding]
) -> None:
    some = dataclasses.replace(checked, findings=worst_first(findings))
    results(told(some, "sarif"))
    suites(told(some, "junit"))
    text = told(some, "html").decode()
    assert text.count("<script>") == bool(findings)


# ------------------------------------------------------------------ baseline


def test_only_what_is_new_counts_beside_a_baseline(checked: Checked) -> None:
    reached = dataclasses.replace(checked, failed=())
    everything = compare("before", checked.findings, reached, AREAS)
    assert (everything.new, everything.gone) == (frozenset(), ())
    assert exit_of(reached, everything) is Exit.OK
    assert exit_of(reached, None) is Exit.CHANGES
    assert exit_of(checked, everything) is Exit.DEVICE, "who was not reached is never known"
    assert exit_of(reached, compare("before", [MISSING], reached, AREAS)) is Exit.CHANGES


@pytest.mark.parametrize(
    ("finding", "gone"),
    [
        (Finding("state.x", Area.STATE, Severity.MAJOR, "west", "ha1", "s", "m"), True),
        (Finding("state.x", Area.STATE, Severity.MAJOR, "west", "ha9", "s", "m"), False),
        (Finding("state.x", Area.STATE, Severity.MAJOR, "west", "ha1, ha9", "s", "m"), False),
        (Finding("state.x", Area.STATE, Severity.MAJOR, "east", "ha1", "s", "m"), False),
        (Finding("state.x", Area.STATE, Severity.INFO, "west", "ha1", "s", "m"), False),
        (Finding("config.x", Area.CONFIGURATION, Severity.MAJOR, "west", "ha1", "s", "m"), False),
    ],
    ids=["judged", "not-reached", "one-not-reached", "other-cluster", "info", "other-area"],
)
def test_what_was_not_looked_at_is_not_gone(checked: Checked, finding: Finding, gone: bool) -> None:
    assert compare("b", [finding], checked, [Area.STATE]).gone == ((finding,) if gone else ())


# ------------------------------------------------------------------ where to


def test_formats_are_told_by_name_or_by_suffix(tmp_path: Path) -> None:
    found = targets([f"{tmp_path}/a.sarif", f"junit={tmp_path}/b", f"{tmp_path}/c.html", "json=-"])
    assert [target.format for target in found] == ["sarif", "junit", "html", "json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pdf=x"], "--output pdf=x: 'pdf' is no format"),
        (["sarfi=x"], "did you mean sarif?"),
        (["x.doc"], "its format is not told by its name"),
        (["json="], "names no file"),
        (["/no/such/folder/x.json"], "there is no folder /no/such/folder"),
        (["json=-", "sarif=-"], "two go to standard output"),
    ],
    ids=["format", "near", "suffix", "no-file", "no-folder", "twice"],
)
def test_what_cannot_be_written_is_refused_at_once(words: list[str], said: str) -> None:
    with pytest.raises(HaccError) as caught:
        targets(words)
    assert said in str(caught.value)


def test_a_report_is_replaced_as_a_whole(checked: Checked, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    Target("html", str(file)).write(Report(checked, AREAS, SENTENCES))
    assert file.read_bytes().startswith(b"<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


# ------------------------------------------------------------------ the page


def test_the_page_stands_by_itself(checked: Checked) -> None:
    text = told(checked, "html").decode()
    for outside in ("http://", "https://", "<link", "src=", "@import", "url("):
        assert outside not in text
    assert "<script>alert" not in text


def chromium() -> str:
    return shutil.which("chromium") or ""


@pytest.fixture
def browse(tmp_path: Path) -> Any:
    """Opens a page; whatever it complains of fails the test."""
    if not chromium():
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])

        def opened(data: bytes, **how: Any) -> Any:
            file = tmp_path / "report.html"
            file.write_bytes(data)
            page = browser.new_page(**how)
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text))
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(file.as_uri())
            assert complaints == []
            assert asked == [file.as_uri()]
            return page

        yield opened
        browser.close()


def test_a_browser_shows_it_and_filters(checked: Checked, browse: Callable[..., Any]) -> None:
    page = browse(told(checked, "html", compare("monday", [MISSING], checked, AREAS)))
    cards = page.locator("article[data-severity]:visible")
    shown = [one for one in checked.findings if one.waiver is None]
    assert cards.count() == len(shown)
    assert page.locator("output").inner_text() == f"{len(shown)} of {len(shown)}"
    page.select_option("[name=severity]", "critical")
    assert cards.count() == 2
    page.select_option("[name=host]", "hacc2")
    assert cards.count() == 1
    assert "two owners" in cards.inner_text()
    page.select_option("[name=severity]", "")
    page.select_option("[name=host]", "")
    page.fill("[name=words]", "STANDBY 20")
    assert cards.count() == 1
    assert page.locator(".new").count() > 0
    assert page.locator("text=jane").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_a_phone(
    checked: Checked, browse: Callable[..., Any], scheme: str
) -> None:
    page = browse(
        told(checked, "html"), viewport={"width": 360, "height": 640}, color_scheme=scheme
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(255, 255, 255)") == (scheme == "light")
