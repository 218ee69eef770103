"""A lock that says who holds it, and ends with its holder whatever happens to that."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks import locks, who
from tests.commands.program import ROOT

HOLDER = """
import sys, time
from pathlib import Path
from tasks import locks
with locks.sole(Path(sys.argv[1]), "a check"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_who_is_refused_is_told_by_whom_and_since_when(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(locks.Held) as refused, locks.sole(path, "a check"):
                pytest.fail("two hold it")
            with pytest.raises(locks.Held) as looked:
                locks.refuse_while_held(path, "a check")
            (problem,) = refused.value.problems
            assert looked.value.problems == refused.value.problems
            assert problem.message.startswith("a check is under way: hacc ")
            assert f"by {who.user()} on {who.machine()}, process {holder.pid}, since 2" in (
                problem.message
            )
        finally:
            holder.send_signal(signal.SIGKILL)
    with locks.sole(path, "a check"):  # it went with its holder, and so did what was said of it
        assert f"process {os.getpid()}, " in path.read_text()
    assert path.read_text() == ""
    locks.refuse_while_held(path, "a check")
    locks.refuse_while_held(tmp_path / "never", "a check")


def test_a_lock_is_free_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locks.sole(tmp_path / "lock", "a run"):
        raise KeyboardInterrupt
    with locks.sole(tmp_path / "lock", "a run"):
        pass


def test_a_disk_without_room_for_the_label_is_locked_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with locks.sole(path, "a run"), pytest.raises(locks.Held), locks.sole(path, "a run"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("uid", "sudo", "said"),
    [
        (0, "", "root"),
        (0, "alice", "alice as root"),
        (0, "root", "root"),
        (65534, "alice", "nobody"),
        (4_000_000, "", "4000000"),
    ],
)
def test_a_user_is_who_the_kernel_says(
    uid: int, sudo: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setenv("SUDO_USER", sudo)
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert who.user() == said
