"""The command line's own words; its commands are tested as they are typed, in tests/commands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tasks.cli import app
from tasks.ending import run
from tasks.errors import Exit

SITE = str(Path(__file__).resolve().parents[1] / "golden/site")


@pytest.mark.parametrize(
    ("words", "hinted"),
    [
        (["validate", SITE], True),
        (["plan", SITE, "--exit-code"], True),
        (["validate", "--inventory", SITE, "extra"], False),
        (["validate", "nowhere"], False),
    ],
    ids=["bare", "with-an-option", "by-its-option", "no-inventory"],
)
def test_a_bare_inventory_folder_is_told_its_option(
    words: list[str],
    hinted: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["hacc", *words])
    assert run(app) == Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert (f"hint: --inventory {SITE}" in said.err) is hinted
