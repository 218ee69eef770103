"""Desks for tests: one for each that stays offline, one with running routers for all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.program import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
