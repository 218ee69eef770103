"""YAML with marks: the same data as PyYAML's own loader gives, and the right line for each item."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks import yamlmarks

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12),
)
KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True).filter(
    lambda word: isinstance(yaml.safe_load(word), str)
)
DATA = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


@given(DATA, st.booleans())
def test_the_data_is_what_pyyaml_loads(data: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True)
    found, problems = yamlmarks.loads(text, "x.yaml")
    assert problems == []
    assert found == yaml.load(text, yaml.CSafeLoader) == data


@given(DATA)
def test_every_key_has_its_line(data: dict[str, Any]) -> None:
    text = yaml.safe_dump(data, default_flow_style=False, allow_unicode=True, width=10_000)
    found, _ = yamlmarks.loads(text, "x.yaml")
    lines = text.splitlines()

    def check(item: object, path: yamlmarks.Path) -> None:
        if isinstance(item, dict):
            for key, value in item.items():
                place, real, _ = yamlmarks.find(found, (*path, key))
                assert place is not None
                assert real == (*path, key)
                assert f"{key}:" in lines[place.line - 1]
                check(value, (*path, key))
        elif isinstance(item, list):
            for index, value in enumerate(item):
                place, _, _ = yamlmarks.find(found, (*path, index))
                assert place is not None
                before, _, _ = yamlmarks.find(found, (*path, index - 1)) if index else (None, 0, 0)
                assert before is None or before.line < place.line
                check(value, (*path, index))

    check(data, ())


@pytest.mark.parametrize(
    "text",
    ["yes", "No", "ON", "true", "FALSE", "null", "~", "", "0x1F", "-0x1f", "1_000", "+5", "0",
     "1.5", ".5", "-.inf", ".NaN", "1e3", "1.5e+3", "6.02E-3", "1_0.5", "y", "2026-11-23", "=",
     "'012'", '"no"', "!!str 5", "0b", "018", "1:75"],
)  # fmt: skip
def test_scalars_are_read_as_yaml_1_1_has_them(text: str) -> None:
    found, problems = yamlmarks.loads(f"key: {text}", "x.yaml")
    assert problems == []
    peer = yaml.safe_load(f"key: {text}")["key"] if text not in ("2026-11-23", "=") else text
    assert repr(found["key"]) == repr(peer)  # NaN is not equal to itself


@pytest.mark.parametrize(
    ("text", "value"), [("012", 10), ("0b11", 3), ("1:30", 90), ("-0_17", -15), ("1:00:00", 3600)]
)
def test_numbers_that_nobody_means_are_told(text: str, value: int) -> None:
    found, (problem,) = yamlmarks.loads(f"a:\n  key: {text}", "x.yaml")
    assert found["a"]["key"] == value == yaml.safe_load(text)
    assert str(problem.place) == "x.yaml:2"
    assert f"{text} as " in problem.message
    assert problem.message.endswith(f"which is {value}")


def test_keys_stay_the_text_that_was_written() -> None:
    found, problems = yamlmarks.loads("no: 1\n012: 2\n1.50: 3\n~: 4\n", "x.yaml")
    assert problems == []
    assert found == {"no": 1, "012": 2, "1.50": 3, "~": 4}


def test_anchors_and_merges() -> None:
    text = (
        "base: &base {hello: 1, hold: 3}\n"
        "more: &more {hello: 9, track: 5}\n"
        "one:\n  <<: *base\n  hold: 4\n"
        "two:\n  <<: [*base, *more]\n"
        "again: *base\n"
    )
    found, problems = yamlmarks.loads(text, "x.yaml")
    assert problems == []
    assert found == yaml.safe_load(text)
    assert found["one"].at("hello").line == 1
    assert found["one"].at("hold").line == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [*x]", "an alias that contains itself"),
        ("a: {<<: 5}", "`<<` merges something that is not a mapping"),
        ("a: !!binary aGFjYw==", "the tag tag:yaml.org,2002:binary has no meaning here"),
        ("a: !vault x", "the tag !vault has no meaning here"),
        ("a: !!int x", "'x' is not a number"),
        ("? {b: c}\n: d", "a key that is a list or a mapping"),
        ("just words", "found a single value"),
        ("a: " + "[" * 5000, "broken"),
        ("a: \u2028\ufffe", "unacceptable character"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_problem(text: str, said: str) -> None:
    _, problems = yamlmarks.loads(text, "x.yaml")
    assert any(said in str(problem) for problem in problems), problems


def test_ten_thousand_laughs_are_one() -> None:
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for above, name in zip("abcdefghi", "bcdefghij", strict=True):
        text += f"{name}: &{name} [{', '.join([f'*{above}'] * 10)}]\n"
    found, problems = yamlmarks.loads(text, "x.yaml")
    assert problems == []
    assert found["j"][0] is found["j"][9] is found["i"], "an alias costs nothing"


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~"])
def test_nothing_is_an_empty_mapping(text: str) -> None:
    assert yamlmarks.loads(text, "x.yaml") == ({}, [])


@given(st.text())
def test_no_text_is_an_accident(text: str) -> None:
    found, problems = yamlmarks.loads(text, "x.yaml")
    assert found or problems or yaml.safe_load(text) in ({}, None)
