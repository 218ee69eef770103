"""The processes of a router, seen from its PID 1.

Everything whose parent dies becomes a child of PID 1, which must reap it; some children PID 1
started itself and waits for. Both meet in one place, so that no exit status is lost: a process is
registered under the same lock under which the reaper decides whose it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO


class Children:
    """Starts processes, reaps all of them, and lets threads wait for those it started."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def spawn(
        self,
        argv: list[str],
        environment: Mapping[str, str],
        output: IO[bytes],
        *,
        cwd: str = "/",
        user: str | None = None,
        group: str | None = None,
        groups: list[str] | None = None,
        umask: int = 0o022,
    ) -> subprocess.Popen[bytes]:
        with self._changed:
            child = subprocess.Popen(
                argv,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                user=user,
                group=group,
                extra_groups=groups,
                umask=umask,
                start_new_session=True,
            )
            self._started[child.pid] = child
            return child

    def reap(self) -> list[tuple[int, int]]:
        """(pid, status) of every process that has ended; a negative status is a signal."""
        ended: list[tuple[int, int]] = []
        while True:
            try:
                peek = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if peek is None:
                break
            with self._changed:
                child = self._started.pop(peek.si_pid, None)
                if child is not None:
                    status = child.poll()
                    ended.append((peek.si_pid, 0 if status is None else status))
                else:
                    try:
                        _, raw = os.waitpid(peek.si_pid, 0)
                    except ChildProcessError:  # a spawn that failed has waited for it already
                        continue
                    ended.append((peek.si_pid, os.waitstatus_to_exitcode(raw)))
                self._changed.notify_all()
        return ended

    def wait(self, child: subprocess.Popen[bytes], seconds: float) -> int | None:
        """The exit status, or None when it still runs after that time."""
        with self._changed:
            self._changed.wait_for(lambda: child.returncode is not None, seconds)
            return child.returncode


def with_environment(entry: str) -> list[int]:
    """PIDs of the processes that inherited this `NAME=value`: the lab's stand-in for a cgroup."""
    wanted, found = entry.encode(), []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit() or directory.name == "1":
            continue
        try:
            if wanted in (directory / "environ").read_bytes().split(b"\0"):
                found.append(int(directory.name))
        except OSError:
            continue  # it ended while we looked
    return found


def kill(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has reaped yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def signal_number(name: str) -> int:
    """`KILL`, `SIGKILL` and `9` are the same signal."""
    if name.isdigit():
        return int(name)
    return int(signal.Signals["SIG" + name.upper().removeprefix("SIG")])
