"""No ready drill breaks its budget, whatever the chance; `make bench-drills` plays on."""

from __future__ import annotations

import pytest

from lab.simulation.rehearsal import cast, rehearse
from tasks.drills.files import load, names
from tests.lab.simulation.plans import ROOT, west

INVENTORY = ROOT / "inventory"
SEEDS = 25  # of each; a hundred take a minute of processor


@pytest.mark.parametrize("name", names(INVENTORY))
def test_no_run_breaks_its_budget(name: str) -> None:
    runs = [*rehearse(cast(load(INVENTORY, name)), west(), range(1, SEEDS + 1))]
    assert len(runs) == SEEDS
    broken = [run for run in runs if not run.ok]
    assert not broken, [(run.seed, run.broken, run.failed, *run.story) for run in broken[:3]]
