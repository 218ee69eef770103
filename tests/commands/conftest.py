"""Desks for tests: one for each that stays offline, one with running routers for all others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.fleet import LabDesk
from tests.commands.program import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="session")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabDesk]:
    """Five routers of a lab that `hacc apply` brought from nothing to the intent."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    desk = LabDesk(tmp_path_factory.mktemp("desk"), f"t{os.getpid()}-commands")
    with desk.provisioned():
        yield desk


@pytest.fixture
def fleet(provisioned: LabDesk) -> Iterator[LabDesk]:
    """The same. At the end of each test every router holds what it held, and a plan says so."""
    before = provisioned.states()
    intent = provisioned.intent.read_text()
    yield provisioned
    provisioned.intent.write_text(intent)
    provisioned.heal()
    assert provisioned.states() == before
    again = provisioned.hacc("plan", "--exit-code").ends(0)
    assert again.out == "Nothing to do: 5 routers of west are as intended.\n"
