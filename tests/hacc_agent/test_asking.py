"""`hacc-agent status` and its sisters: where they ask, and what that costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hacc_agent import cli
from hacc_agent.asking import NOT_ANSWERED

ELSEWHERE = 'runtime_directory = "{}"\n'


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        ('name = "ha1"\n' + ELSEWHERE + "[snmp]\n", "{}/agent.sock"),
        (ELSEWHERE + "[snmp\nversion = \n", "{}/agent.sock"),
        ('name = "ha1"\n[other]\n' + ELSEWHERE, "/run/hacc/agent.sock"),
        ("# " + ELSEWHERE, "/run/hacc/agent.sock"),
        ("name =\n" + ELSEWHERE, "/run/hacc/agent.sock"),
        ("", "/run/hacc/agent.sock"),
    ],
    ids=["told", "broken-below", "of-a-table", "in-a-comment", "broken", "not-told"],
)
def test_the_daemon_is_asked_where_its_file_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, asked: str
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(lines.format(tmp_path))
    assert cli.main(["status", "--config", str(file)]) == NOT_ANSWERED
    assert capsys.readouterr().err.endswith(f" nobody answers at {asked.format(tmp_path)}\n")


def test_a_file_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", "--config", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/none: No such file or directory\n"


def test_asking_loads_neither_the_configuration_nor_the_daemon() -> None:
    """Each `hacc verify` asks every router: what it loads there is what that costs."""
    program = (
        "import sys; from hacc_agent.cli import main; main(['status', '--config', '/dev/null']); "
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-E", "-s", "-c", program], capture_output=True, text=True, check=True
    )
    ours = {name for name in done.stdout.split() if name.startswith("hacc_agent.")}
    assert ours == {f"hacc_agent.{name}" for name in ("asking", "cli", "control", "places")}
    assert not {"numpy", "dataclasses", "tomllib"} & {*done.stdout.split()}
