"""Compiled code takes over under load, and whatever fails on the way changes nothing."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from hacc_agent import cli
from hacc_agent.engine import replay
from hacc_agent.engine.kernels import replaying
from hacc_agent.logs import Logs
from hacc_agent.quickening import BUSY, STALE_S, Quickening, read_long_logs, tidy

PATIENCE_S = 300  # of a machine that compiles it for the first time, beside other work


class Loaded:
    """A daemon that gets packets, and what it is given to go through them with."""

    def __init__(self, folder: Path, kernels: str = "relaying") -> None:
        self.received = 0
        self.modules: list[ModuleType] = []
        self.log = folder / "log"
        self._descriptor = os.open(self.log, os.O_CREAT | os.O_WRONLY)
        logs = Logs(self._descriptor, lambda: 0.0, people=True)
        self.quickening = Quickening(kernels, self.modules.append, lambda: self.received, logs)

    def second(self, packets: int) -> str:
        self.received += packets
        self.quickening.look()
        return self.quickening.state

    def until_settled(self) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while (state := self.second(0)) in ("compiling", "loading"):
            assert time.monotonic() < deadline
            time.sleep(0.02)  # for another process, and a thread
        return state

    def close(self) -> None:
        self.quickening.close()
        os.close(self._descriptor)


def test_load_brings_compiled_code(tmp_path: Path) -> None:
    daemon = Loaded(tmp_path)
    try:
        assert daemon.second(BUSY) == "reference"
        assert daemon.second(BUSY) == "reference"
        assert daemon.second(BUSY + 1) == "compiling"
        assert daemon.until_settled() == "compiled"
        (module,) = daemon.modules
        assert callable(module.fit)
        assert "compiled code is in use" in daemon.log.read_text()
    finally:
        daemon.close()


def test_code_that_does_not_compile_is_said_once(tmp_path: Path) -> None:
    daemon = Loaded(tmp_path, kernels="nothing")
    try:
        assert daemon.second(BUSY + 1) == "compiling"
        assert daemon.until_settled() == "failed"
        assert daemon.second(BUSY * 3) == "failed"
        assert not daemon.modules
        (line,) = daemon.log.read_text().splitlines()
        assert "the slower path goes on" in line
        assert "ModuleNotFoundError" in line
    finally:
        daemon.close()


def test_stopping_ends_the_compiler(tmp_path: Path) -> None:
    daemon = Loaded(tmp_path)
    daemon.second(BUSY + 1)
    compiler = daemon.quickening._compiler
    daemon.close()
    assert compiler is not None
    assert compiler.poll() is not None


def test_code_of_other_versions_goes_when_nobody_used_it_for_long(tmp_path: Path) -> None:
    now = 1.7e9
    ages = {"ours": 2 * STALE_S, "recent": STALE_S / 2, "old": 2 * STALE_S}
    for name, age in ages.items():
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (now - age, now - age))
    tidy(tmp_path / "ours", now)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "recent"]


def test_all_that_is_compiled_can_be_compiled_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it was: loaded already, so that its folder is not asked."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # and put back when this ends
    assert cli.main(["compile", "--cache", str(tmp_path / "cache")]) == 0
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["relaying", "serving", "replaying"]
    (tmp_path / "file").write_text("")
    assert cli.main(["compile", "--cache", str(tmp_path / "file" / "cache")]) == 1
    assert "not a directory" in capsys.readouterr().err


def test_a_long_log_is_read_by_what_was_compiled_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was not is not compiled while somebody waits for a restart."""
    monkeypatch.setattr(replay, "_compiled", None)
    monkeypatch.setattr(replaying, "is_on_disk", lambda: False)
    read_long_logs().join()
    assert replay.compiled() is None
    monkeypatch.undo()
    monkeypatch.setattr(replay, "_compiled", None)
    replaying.warm()
    monkeypatch.setattr(replay, "_compiled", None)
    read_long_logs().join()
    assert replay.compiled() is not None


def test_a_log_is_read_without_numba_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_compiled", None)
    monkeypatch.setitem(sys.modules, replaying.__name__, None)
    read_long_logs().join()
    assert replay.compiled() is None
