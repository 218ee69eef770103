"""A drill goes to the lab and what was measured comes back, through a lab that is a script."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from hacc_agent.drills.drill import Drill
from hacc_agent.drills.measured import Measured
from tasks.drills import playing
from tasks.ending import Finished
from tasks.errors import Exit
from tests.tasks.drills.rehearsals import DRILL, MEASURED

LAB = """
import json, pathlib, sys
place = pathlib.Path(sys.argv[1])
place.joinpath("asked").write_text(sys.stdin.read())
place.joinpath("words").write_text(json.dumps(sys.argv[2:]))
print(json.dumps({"doing": "subscribers register"}), flush=True)
told = place.joinpath("told")
if told.exists():
    print(told.read_text(), flush=True)
sys.exit(int(place.joinpath("code").read_text()))
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lab.py").write_text(LAB)
    (tmp_path / "code").write_text("0")
    (tmp_path / "told").write_bytes(TypeAdapter(Measured).dump_json(MEASURED))
    monkeypatch.setattr(playing, "_HACC", (sys.executable, str(tmp_path / "lab.py"), str(tmp_path)))
    return tmp_path


def test_both_are_the_very_values(lab: Path) -> None:
    told: list[str] = []
    assert playing.play(Path("inventory"), DRILL, told.append, name="mine", seed=7) == MEASURED
    assert TypeAdapter(Drill).validate_json((lab / "asked").read_bytes()) == DRILL
    assert told == ["subscribers register"]
    words = ["lab", "drill", "--inventory", "inventory", "--seed", "7", "--name", "mine"]
    assert json.loads((lab / "words").read_text()) == words


@pytest.mark.parametrize(
    ("code", "ends"), [(1, Exit.USAGE), (3, Exit.DEVICE), (130, Exit.INTERRUPTED), (99, 3), (0, 3)]
)
def test_without_a_result_it_ends_as_the_lab_did(lab: Path, code: int, ends: int) -> None:
    (lab / "told").unlink()
    (lab / "code").write_text(str(code))
    with pytest.raises(Finished) as caught:
        playing.play(Path("inventory"), DRILL, lambda _: None)
    assert caught.value.code == ends


def test_a_drill_that_was_interrupted_has_a_result_too(lab: Path) -> None:
    (lab / "code").write_text("130")
    assert playing.play(Path("inventory"), DRILL, lambda _: None) == MEASURED
