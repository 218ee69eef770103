"""The chart says what the runs say: read back from the drawing, as a reader without eyes does."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.findings import Severity
from tasks.history.chart import BARS, drift_chart
from tasks.history.record import Summary
from tests.tasks.history.records import NOON, record

SVG = "{http://www.w3.org/2000/svg}"
SHOWN = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR)


def check(number: int, *counts: int) -> Summary:
    findings = dict(zip(SHOWN, counts or (0, 0, 0), strict=True))
    return replace(record(number).summary, findings={**findings, Severity.INFO: 7})


def drawn(checks: list[Summary]) -> ElementTree.Element:
    return ElementTree.fromstring(drift_chart(checks))


def bars(picture: ElementTree.Element) -> list[ElementTree.Element]:
    return picture.findall(f"{SVG}g")


counts = st.tuples(*[st.integers(0, 10_000)] * 3)


@given(st.lists(counts, min_size=1, max_size=BARS + 20))
def test_each_bar_is_as_high_as_its_findings(runs: list[tuple[int, ...]]) -> None:
    checks = [check(number, *found) for number, found in enumerate(runs)]
    picture = drawn(checks)
    last = checks[-BARS:]
    found = bars(picture)
    assert [bar.findtext(f"{SVG}title", "").split("\n")[0] for bar in found] == [
        one.name for one in last
    ], "all that fit, in their order"
    top = max(int(text.text or 0) for text in picture.findall(f"{SVG}text")
              if text.get("text-anchor") == "end" and (text.text or "").isdigit())  # fmt: skip
    assert top >= max(sum(one.findings[s] for s in SHOWN) for one in last)
    left = -1.0
    for one, bar in zip(last, found, strict=True):
        floor = 160.0
        for rect in bar.findall(f"{SVG}rect"):
            high, y, kind = (
                float(rect.get("height", 0)),
                float(rect.get("y", 0)),
                rect.get("class", ""),
            )
            if kind != "ok":
                assert high == pytest.approx(one.findings[Severity(kind)] / top * 134, abs=0.06)
            assert y + high == pytest.approx(floor, abs=0.11), "stacked, nothing overlaps"
            floor = y
            assert float(rect.get("x", 0)) > left
            assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= 720
        left = float(bar.findall(f"{SVG}rect")[0].get("x", 0))


def test_it_is_told_in_words_too() -> None:
    picture = drawn([check(1, 1, 2, 3), check(2, 0, 1, 0)])
    assert picture.get("role") == "img"
    named = {element.get("id") for element in picture}
    assert set((picture.get("aria-labelledby") or "").split()) <= named
    assert picture.findtext(f"{SVG}desc") == (
        "2 checks from 2026-11-23 13:00 to 2026-11-23 14:00 UTC; findings in the first 6, in the "
        "last 1, at most 6."
    )
    assert "1 critical, 2 major, 3 minor" in (bars(picture)[0].findtext(f"{SVG}title") or "")


def test_a_check_that_found_nothing_is_there() -> None:
    (bar,) = bars(drawn([check(1)]))
    assert [rect.get("class") for rect in bar.findall(f"{SVG}rect")] == ["ok"]


def test_no_checks_yet() -> None:
    assert "no checks yet" in drift_chart([])
    assert bars(drawn([])) == []


def test_a_clock_that_went_back_is_marked_and_moves_no_bar() -> None:
    back = replace(
        check(2, 1, 0, 0),
        started=(NOON - timedelta(days=9)).isoformat(),
        clock_went_back=True,
        exit=None,
    )
    picture = drawn([check(1, 1, 0, 0), back, check(3)])
    names = [bar.findtext(f"{SVG}title", "").split("\n") for bar in bars(picture)]
    assert [name[0][-1] for name in names] == ["1", "2", "3"]
    assert names[1][-2:] == ["did not end", "the clock had gone back before it"]
    assert len(picture.findall(f"{SVG}g/{SVG}line")) == 1


def test_it_stands_alone_in_light_and_dark() -> None:
    """No script, nothing fetched; every colour has its dark twin, and stays in the drawing."""
    text = drift_chart([check(1, 1, 2, 3)])
    assert not re.search(r"<script|href|url\(|@import|http(?!://www\.w3\.org/2000/svg)", text)
    light, dark = text.split("@media(prefers-color-scheme:dark)")
    names = set(re.findall(r"--(\w+):#", light))
    assert (
        names
        == set(re.findall(r"--(\w+):#", dark))
        == {"critical", "major", "minor", "ink", "line"}
    )
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert style is not None
    rules = re.findall(r"([^{}]+)\{", style[1])
    assert all(".drift" in rule or "@media" in rule for rule in rules), "a page keeps its own"


def test_a_name_breaks_out_of_nothing() -> None:
    evil = replace(check(1, 1, 0, 0), name="</title><script>alert(1)</script>&\"'")
    assert "<script" not in drift_chart([evil])
    assert bars(drawn([evil]))[0].findtext(f"{SVG}title", "").startswith("</title><script>")


@pytest.mark.parametrize("many", [1, 2, 3, 5, 7, 8, 20, 90])
def test_the_times_below_the_bars_do_not_run_into_each_other(many: int) -> None:
    picture = drawn([check(number, 1, 0, 0) for number in range(many)])
    texts = [one for one in picture.findall(f"{SVG}text") if one.get("y") == "178"]
    spans = []
    for one in texts:
        x, wide = float(one.get("x", 0)), 7.5 * len(one.text or "")  # at 12 px
        spans.append((x - wide, x) if one.get("text-anchor") == "end" else (x, x + wide))
    assert spans
    assert all(before[1] <= after[0] for before, after in pairwise(sorted(spans)))
    assert "2026-11-23 12:00" in (texts[0].text or "")
