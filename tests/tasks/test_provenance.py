"""Marks and output lines match one to one, and nothing passes that would break the match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from tasks import provenance
from tasks.errors import Place
from tasks.provenance import Output, RenderError, TracingEnvironment, prints, source_rules

Make = Callable[..., Output]
WHOLE = Place("intent.yaml", 1)


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    parts: tuple[Thing, ...]
    place: Place

    @property
    def nothing(self) -> None:
        return None


THING = Thing(
    "all",
    (Thing("one", (), Place("intent.yaml", 11)), Thing("two", (), Place("intent.yaml", 12))),
    Place("intent.yaml", 10),
)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(provenance, "TEMPLATES", tmp_path)

    def output(source: str, **words: object) -> Output:
        (tmp_path / "t.j2").write_text(source)
        environment = TracingEnvironment(frozenset({Thing}), {})
        return environment.output("t.j2", {"thing": THING, **words}, (WHOLE,))

    return output


def test_each_line_knows_its_template_line_and_the_things_read_in_it(make: Make) -> None:
    made = make(
        "{# a comment #}\n"
        "first {{ thing.name }}\n"
        "{% for part in thing.parts %}\n"
        " part {{ part.name }} of {{ thing.name }}\n"
        " the same\n"
        "{% endfor %}\n"
        "last\n"
    )
    assert [
        (line.text, line.template.line, [p.line for p in line.intent]) for line in made.lines
    ] == [
        ("first all", 2, [10]),
        (" part one of all", 4, [10, 11]),
        (" the same", 5, [10, 11]),
        (" part two of all", 4, [10, 12]),
        (" the same", 5, [10, 12]),
        ("last", 7, [10, 12]),
    ]


def test_a_line_before_anything_was_read_is_about_the_whole(make: Make) -> None:
    assert make("nothing read\n").lines[0].intent == (WHOLE,)


def test_owns_lines_are_declared_and_not_output(make: Make) -> None:
    made = make("!owns a {{ thing.name }} **\na\n!owns a {{ thing.name }} **\n!owns b\n")
    assert made.owns == ("a all **", "b")
    assert [line.text for line in made.lines] == ["a"]


@pytest.mark.parametrize("brace", ["x {", "{", "{{ thing.name }} {"])
def test_a_line_may_end_with_a_brace(make: Make, brace: str) -> None:
    assert make(f"{brace}\n}}\n").lines[0].text == brace.replace("{{ thing.name }}", "all")


@pytest.mark.parametrize(
    ("source", "where", "what"),
    [
        ("ok\n{{ thing.nothing }}\n", 2, "the value is None"),
        ("ok\nx {{ '%s' % thing.nothing }}\n", 2, "None stands in the text"),
        ("ok\n\n{{ thing.nmae }}\n", 3, "has no attribute 'nmae'"),
        ("{{ nobody }}\n", 1, "'nobody' is undefined"),
        ("ok\n{{ 1 / 0 }}\n", 2, "division by zero"),
        ("ok\n{% if %}\n", 2, "Expected an expression"),
    ],
    ids=["none", "none-in-text", "no-such-attribute", "undefined", "exception", "syntax"],
)
def test_a_fault_names_the_template_and_the_line(
    make: Make, source: str, where: int, what: str
) -> None:
    with pytest.raises(RenderError) as caught:
        make(source)
    (problem,) = caught.value.problems
    assert problem.place == Place("templates/t.j2", where)
    assert what in problem.message


def test_a_value_with_a_line_break_is_refused_because_marks_no_longer_match(make: Make) -> None:
    with pytest.raises(RenderError, match="2 lines came out of 1 marked"):
        make("{{ text }}\n", text="one\ntwo")


@pytest.mark.parametrize("word", ["Nonesuch", "@none.example", "x-None"])
def test_words_that_only_look_like_none_pass(make: Make, word: str) -> None:
    assert make("{{ text }}\n", text=word).lines[0].text == word


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("{% macro x() %}\n", "macro"),
        ("{% include 'x' %}\n", "include"),
        ("{%- set x = 1 %} text\n", "block tags or text"),
        ("{% if x %}text{% endif %}\n", "block tags or text"),
        ("{{ 'x'\n}}\n", "one line"),
        ("{# a\ncomment #}\n", "one line"),
        ("{% raw %}\n", "raw"),
    ],
)
def test_sources_that_could_not_be_traced_are_refused(source: str, what: str) -> None:
    with pytest.raises(RenderError, match=what):
        source_rules("t.j2", source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("text", True),
        ("{{ value }}", True),
        ("  {% if x %}", False),
        ("{# note #}", False),
        ("{% if x %}{% endif %}", False),
    ],
)
def test_which_lines_print(text: str, expected: bool) -> None:
    assert prints(text) is expected


# A page for people is none of a router's texts: nobody asks where its lines come from.
TEMPLATES = sorted(
    path for path in provenance.TEMPLATES.rglob("*.j2") if path.parent.name != "report"
)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_our_templates_keep_the_rules(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    source_rules(path.name, source)
    assert source.endswith("\n")
    assert "\t" not in source
    assert not [line for line in source.splitlines() if line != line.rstrip()]


ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Pow, nodes.Neg)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_our_templates_do_no_arithmetic(path: Path) -> None:
    tree = Environment().parse(path.read_text(encoding="utf-8"))
    assert not list(tree.find_all(ARITHMETIC))
    for formatting in tree.find_all(nodes.Mod):  # "%d" % value is no arithmetic
        assert isinstance(formatting.left, nodes.Const)
        assert isinstance(formatting.left.value, str)
