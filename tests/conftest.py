"""What every room's tests share: where things are, and how long Hypothesis may think."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import settings

from lab.lab import STATE, Lab

ROOT = Path(__file__).resolve().parent.parent

# No deadline: the two cores of a continuous-integration machine are shared, and a law is not
# broken because the machine was busy. The suite thinks of the same examples each time, so that a
# change is judged by what it changed; `make laws` searches with new ones, and what it finds becomes
# an @example of its law.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HACC_HYPOTHESIS", "suite"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def reference() -> Path:
    """Captures and outputs that this project did not write; kept beside the checkout, if at all."""
    for parent in ROOT.parents:
        folder = parent / "shared" / "reference"
        if folder.is_dir():
            return folder
    pytest.skip("no folder shared/reference beside the checkout")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("lab"):
                item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


def pytest_sessionstart() -> None:
    """A run that is ended takes its labs down; one that was killed left them to the next run."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    if os.geteuid() == 0:
        _take_down_orphans()


def _take_down_orphans() -> None:
    """Test labs are named after the process that made them: tPID-..."""
    for folder in STATE.glob("t*-*"):
        made_by = re.match(r"t(\d+)-", folder.name)
        if folder.is_dir() and made_by and not Path(f"/proc/{made_by[1]}").exists():
            Lab.named(folder.name).down()
