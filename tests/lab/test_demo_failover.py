"""The demo's last step, told by a lab that is a script."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from lab import demo_failover
from lab.demo_failover import NODES, Failed, show

ENVIRONMENT = dict(os.environ)

SCRIPT = """
import json, pathlib, sys
place = pathlib.Path(sys.argv[1])
words = sys.argv[2:]
place.joinpath("said").open("a").write(" ".join(words) + "\\n")
told = json.loads(place.joinpath("told").read_text())
if words[0] == "exec":
    broken = "break" in place.joinpath("said").read_text()
    began = "subscribers" in place.joinpath("said").read_text()
    members = told["after" if broken else "before"]
    print(json.dumps({
        "log": {"leads": words[1] == told["leads"]},
        "members": [
            {"name": name, "bindings": count, "state": "up", "linked": name != "ios"}
            for name, count in members.items()
        ],
        "traffic": {"lan": {"received": told["heard"] if began else 0}},
    }))
elif words[0] == "subscribers":
    while told["flows"] and "break" not in place.joinpath("said").read_text():
        pass  # packets flow
    print(json.dumps(told["report"]))
else:
    print("{}")
"""


def lab(place: Path, **changes: Any) -> Any:
    told = {
        "leads": "hacc2",
        "heard": 2 * NODES,
        "flows": True,
        "before": {"ha1": 40, "ha2": 60, "ios": 100, "ha9": 0},
        "after": {"ha1": 40, "ha2": 0, "ios": 100, "ha9": 60},
        "report": {
            "nodes": NODES,
            "registered": NODES,
            "packets": {
                "sent": 1000,
                "answered": 990,
                "outages": {"nodes": 1, "ms": {"max": 512.3}},
                "silent_nodes": 0,
            },
        },
    }
    place.joinpath("told").write_text(json.dumps(told | changes))
    place.joinpath("said").touch()
    return lambda *words: [sys.executable, "-c", SCRIPT, str(place), *words]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_failover, "BEFORE_S", 0.0)


def test_the_busiest_linux_member_is_switched_off_and_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(lab(tmp_path), ENVIRONMENT) == 0
    said = tmp_path.joinpath("said").read_text()
    assert said.index("subscribers") < said.index("break power ha2") < said.index("mend")
    told = capsys.readouterr().out
    assert f"0 bindings lost; {NODES} of {NODES} are registered" in told
    assert "1 mobile nodes missed some, for so many ms: max 512" in told


@pytest.mark.parametrize(
    "after",
    [
        pytest.param({"ha1": 40, "ha2": 0, "ios": 100, "ha9": 59}, id="lost"),
        pytest.param({"ha1": 40, "ha2": 60, "ios": 100, "ha9": 0}, id="not-moved"),
    ],
)
def test_what_is_lost_is_a_failure(tmp_path: Path, after: dict[str, int]) -> None:
    assert show(lab(tmp_path, after=after), ENVIRONMENT) == 1


@pytest.mark.parametrize("changes", [{"leads": "nobody"}, {"heard": 0, "flows": False}])
def test_what_cannot_be_shown_is_said(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Failed):
        show(lab(tmp_path, **changes), ENVIRONMENT)
