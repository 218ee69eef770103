"""What a run is told in: kept, compared, drawn, as a page, as JUnit, on a terminal."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from rich.console import Console

from tasks.drills.junit import junit
from tasks.drills.keeping import KEPT, find, folder_of, keep, kept
from tasks.drills.page import page
from tasks.drills.picture import picture
from tasks.drills.table import show_drill, show_drills, show_run
from tasks.errors import HaccError
from tests.conftest import ROOT
from tests.tasks.drills.rehearsals import BROKEN, DRILL, MEASURED, run

JUNIT = xmlschema.XMLSchema(str(ROOT / "tests" / "schemas" / "junit-10.xsd"))


def test_a_run_that_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    path = keep(tmp_path, run())
    assert [*kept(tmp_path, DRILL.name)] == [run()]
    assert path.name == "20261123T223103Z-live.json"


def test_the_oldest_go_with_their_pages(tmp_path: Path) -> None:
    for number in range(KEPT + 2):
        path = keep(tmp_path, run(began=MEASURED.began + number))
        path.with_suffix(".html").touch()
    left = sorted(folder_of(tmp_path, DRILL.name).iterdir())
    assert len(left) == 2 * KEPT
    assert left[0].name.startswith("20261123T223105Z")


def test_a_run_is_found_by_its_name_with_those_before_it(tmp_path: Path) -> None:
    runs = [run(began=MEASURED.began + number) for number in range(3)]
    for one in runs:
        keep(tmp_path, one)
    assert find(tmp_path, DRILL.name) == (runs[2], runs[:2])
    assert find(tmp_path, DRILL.name, runs[1].name) == (runs[1], runs[:1])
    with pytest.raises(HaccError, match="no run 'other'"):
        find(tmp_path, DRILL.name, "other")
    with pytest.raises(HaccError, match="it has not been run"):
        find(tmp_path, "controller-kill")


def test_what_another_version_kept_is_passed_over(tmp_path: Path) -> None:
    keep(tmp_path, run())
    (folder_of(tmp_path, DRILL.name) / "20200101T000000Z-live.json").write_text('{"drill": 1}')
    assert [*kept(tmp_path, DRILL.name)] == [run()]


class Elements(HTMLParser):
    """What a page asks for from elsewhere, and whether its elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.asked += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "circle", "rect", "line"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("circle", "rect", "line"):
            assert self.open.pop() == tag


def test_a_page_stands_by_itself_and_escapes_what_it_is_told() -> None:
    text = page(run(), [run(began=MEASURED.began - 60)]).decode()
    elements = Elements()
    elements.feed(text)
    assert (elements.open, elements.asked, elements.scripts) == ([], [], 0)
    assert "A &lt;member&gt; dies" in text
    assert "&lt;silence&gt;" in text
    assert "<silence>" not in text


def test_a_page_tells_what_was_measured() -> None:
    text = re.sub(r"<[^>]*>", " ", page(run(), [run(began=MEASURED.began - 60)]).decode())
    words = " ".join(text.split())
    assert "Within its budget." in words
    assert "3200 sent, 3100 of them answered: 90 lost on the way there" in words
    assert "subscribers&#39; outage, 50 % 400 ms 1,000 ms ok" in words
    assert "20261123T223103Z-live (this one) ok 400 ms" in words
    assert "20261123T223003Z-live ok 400 ms" in words
    broken = re.sub(r"<[^>]*>", " ", page(run(**BROKEN)).decode())
    assert "1 of 7 limits broken." in " ".join(broken.split())


def test_a_drawing_has_every_fault_and_every_event() -> None:
    drawing = ElementTree.fromstring(picture(MEASURED))
    space = "{http://www.w3.org/2000/svg}"
    titles = [one.text for one in drawing.iter(f"{space}title")]
    assert "power member: busiest (ha1), 5.00 s to the end" in titles
    assert "5.400 s  member down  member ha1, why <silence>" in titles
    assert "5.0 s: 50 of 200 lost" in titles
    story = drawing.find(f"{space}desc")
    assert story is not None
    assert story.text == (
        "member-kill, 8 s: power member: busiest at 5.0 s; detect took 400 ms; reconverge took "
        "600 ms; 100 of 3200 packets lost."
    )


def test_a_drawing_stays_within_its_frame() -> None:
    wild = dataclasses.replace(
        MEASURED,
        seconds=0.0,
        events=(dataclasses.replace(MEASURED.events[0], at_s=-5.0),),
        struck=(dataclasses.replace(MEASURED.struck[0], begin_s=99.0, end_s=100.0),),
        course=(),
    )
    drawing = ElementTree.fromstring(picture(wild))
    width = float(drawing.attrib["viewBox"].split()[2])
    for one in drawing.iter():
        for name in ("x", "cx", "x1"):
            assert 0 <= float(one.attrib.get(name, 0)) <= width


@pytest.mark.parametrize("changes", [{}, BROKEN], ids=["within", "broken"])
def test_junit_keeps_to_the_schema_of_jenkins(changes: dict[str, object]) -> None:
    done = run(**changes)
    document = junit(done)
    JUNIT.validate(document.decode())
    suites = ElementTree.fromstring(document)
    failed = [case.attrib["name"] for case in suites.iter("testcase") if len(case)]
    assert failed == [check.what for check in done.verdict.broken]
    assert suites.attrib["failures"] == str(len(failed))
    assert suites.attrib["tests"] == str(len(done.verdict.checks))


def test_a_terminal_is_told_the_same() -> None:
    out = Console(file=StringIO(), width=160, highlight=False)
    show_run(out, run(**BROKEN))
    show_drills(out, [(DRILL, None), (DRILL, run())])
    show_drill(out, DRILL)
    assert isinstance(out.file, StringIO)
    text = out.file.getvalue()
    assert "40 of 100 subscribers were out, in ms: 50 % 1400" in text
    assert "member-kill: 1 limits broken" in text
    assert "1,400 ms" in text
    assert "5 s  power member: busiest" in text
