"""`hacc-agent hsrp` where no speaker runs, and with files that are not right."""

from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from hacc_agent.cli import main
from hacc_agent.hsrp import guard
from hacc_agent.hsrp.config import Group, HsrpConfig, to_toml


def written(folder: Path, **more: str) -> Path:
    group = Group("g", "lan", 2, 10, IPv4Address("192.0.2.1"), **more)  # type: ignore[arg-type]  # any field
    path = folder / "hsrp.toml"
    path.write_text(to_toml(HsrpConfig("r1", (group,), (), str(folder))))
    return path


def test_a_file_that_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    assert main(["hsrp", "check", "-c", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: r1 has 1 standby groups\n"


@pytest.mark.parametrize("command", ["show", "run", "check", "resign", "withdraw"])
def test_a_file_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = tmp_path / "none.toml"
    assert main(["hsrp", command, "-c", str(path)]) == 1
    assert capsys.readouterr().err == f"{path}: No such file or directory\n"


def test_everything_that_is_wrong_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace("version = 2", "version = 3\nhello_ns = 5"))
    assert main(["hsrp", "check", "-c", str(path)]) == 1
    err = capsys.readouterr().err
    assert f"{path}:7: groups[0].version" in err
    assert f"{path}:8: groups[0].hello_ns" in err


def test_a_secret_that_nobody_has_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, md5="<secret env:HSRP_KEY>")
    assert main(["hsrp", "check", "-c", str(path)]) == 1
    assert "a secret is still sealed" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "resign"])
def test_a_speaker_that_does_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main(["hsrp", command, "-c", str(written(tmp_path))]) == 3
    assert "nobody answers" in capsys.readouterr().err


def test_two_speakers_do_not_share_a_router(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "PATIENCE_S", 0.0)
    path = written(tmp_path)
    first = guard.lock(tmp_path)
    try:
        for command in ("run", "withdraw"):
            assert main(["hsrp", command, "-c", str(path)]) == 1
            assert "a speaker is running [hint: systemctl stop hacc-hsrp]" in capfd.readouterr().err
    finally:
        os.close(first)


def test_a_command_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hsrp", "dance"]) == 1
    assert "dance" in capsys.readouterr().err
