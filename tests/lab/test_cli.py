"""`hacc lab` as a user meets it: one clear message and the right exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lab.lab
import lab.requirements
from lab.cli import app
from lab.errors import Exit
from lab.lab import Lab

HOSTS = """\
r1:
  hostname: 198.18.0.1
  platform: linux
  data: {interfaces: {lan: {lan: core, address: 198.18.1.1/24}}}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> list[str]:
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    return ["--inventory", str(tmp_path), "--name", f"t{os.getpid()}-cli"]


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("exec", "r9", "true"), "r9: no such router"),
        (("exec", "r1", "true"), "r1: not running"),
        (("run", "true"), "is not up"),
        (("break", "link", "r1"), "is not up"),
        (("break", "loss", "r1", "lots"), "'lots' is not a percentage"),
        (("mend", "x"), "'x' is not the number of a fault"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_refusals(inventory: list[str], words: tuple[str, ...], message: str) -> None:
    at = 1 if words[0] != "break" else 2
    code, output = invoke(*words[:at], *inventory, *words[at:])
    assert code in (Exit.USAGE, Exit.DEVICE)
    assert message in output


def test_no_inventory(tmp_path: Path) -> None:
    code, output = invoke("up", "--inventory", str(tmp_path / "none"))
    assert code == Exit.USAGE
    assert "hosts.yaml: no such file" in output
    assert "--inventory" in output


def test_what_is_missing_is_told_with_the_line_that_installs_it(
    inventory: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        lab.requirements, "PROGRAMS", {"/no/zebra": "frr", "/no/sshd": "openssh-server"}
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, output = invoke("up", *inventory)
    assert code == Exit.USAGE
    assert "not installed: frr, openssh-server" in output
    assert "apt-get install --no-install-recommends frr openssh-server" in output
    assert "need root" in output


def test_ctrl_c_says_what_is_left(inventory: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Lab, "up", interrupted)
    code, output = invoke("up", *inventory)
    assert code == Exit.INTERRUPTED
    assert "0 of 1 Linux routers run" in output
    assert "hacc lab down" in output


@pytest.mark.lab
def test_up_status_break_mend_down(inventory: list[str]) -> None:
    try:
        code, output = invoke("up", *inventory, "--json")
        assert (code, json.loads(output)["started"]) == (0, 1)
        code, output = invoke("status", *inventory, "--json")
        assert (code, json.loads(output)["routers"][0]["state"]) == (0, "running")
        code, output = invoke("break", "power", *inventory, "r1")
        assert "broken, 1: power r1 (hacc lab mend 1)" in output
        code, output = invoke("status", *inventory)
        assert code == Exit.DEVICE
        assert "broken on purpose, 1: power r1" in output
        code, output = invoke("mend", *inventory)
        assert (code, output) == (0, "mended, 1: power r1\n")
        assert invoke("status", *inventory)[0] == 0
    finally:
        code, output = invoke("down", *inventory)
        Lab(Lab.named(f"t{os.getpid()}-cli").topology, keep_host_keys=False).down()
    assert "removed" in output
    assert "was not up" in invoke("down", *inventory)[1]
