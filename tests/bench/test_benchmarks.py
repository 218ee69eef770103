"""What a person can ask to be measured can be measured."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from bench.__main__ import ALONE, BENCHMARKS

MAKEFILE = Path(__file__).parents[2] / "Makefile"
ASKED_FOR = sorted(
    {
        name
        for names in re.findall(r"-m bench( [\w ]+)", MAKEFILE.read_text())
        for name in names.split()
    }
)


def test_the_makefile_asks_for_some() -> None:
    assert "relay" in ASKED_FOR


@pytest.mark.parametrize("name", ASKED_FOR)
def test_what_make_measures_is_known(name: str) -> None:
    assert name in (*BENCHMARKS, *ALONE)


@pytest.mark.parametrize("name", [*BENCHMARKS, *ALONE])
def test_each_benchmark_can_be_started(name: str) -> None:
    assert callable(importlib.import_module(f"bench.{name}").main)
