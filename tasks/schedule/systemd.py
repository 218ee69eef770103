"""This machine's systemd: a schedule is installed, shown, removed; what is so already is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .. import durable
from ..errors import Exit, HaccError, Place, Problem
from .units import MARK

SYSTEM: Final = Path("/etc/systemd/system")
ANSWER_S: Final = 60  # systemctl waits for a job at most so long here


class ScheduleError(HaccError):
    """systemd does not take it, or is not there."""

    exit = Exit.USAGE


@dataclass(frozen=True, slots=True)
class Manager:
    """One of systemd's managers: the system's, or the user's own."""

    user: bool

    @property
    def folder(self) -> Path:
        if not self.user:
            return SYSTEM
        home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(home) / "systemd" / "user"

    def install(self, units: Mapping[str, str]) -> bool:
        """Put the units in place and start the timer; False: they are there, and it runs.

        Raises ScheduleError, and nothing has changed then.
        """
        self._need("systemctl")
        before = {name: self._read(name) for name in units}
        timer = next(name for name in units if name.endswith(".timer"))
        if before == units and self._is("enabled", timer) and self._is("active", timer):
            return False
        for name, text in before.items():
            self._refuse_others(name, text)
        self.verify(units)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in units.items():
                durable.write(self.folder / name, text.encode(), mode=0o644)
            self._systemctl("daemon-reload")
            self._systemctl("enable", "--now", timer)
            if before[timer] is not None:
                self._systemctl("restart", timer)  # a running timer keeps its old time otherwise
        except (ScheduleError, OSError):
            self._put_back(before)
            raise
        return True

    def remove(self, names: Sequence[str]) -> bool:
        """Stop the timer and take the units away; False: there were none."""
        there = {name: text for name in names if (text := self._read(name)) is not None}
        if not there:
            return False
        self._need("systemctl")
        for name, text in there.items():
            self._refuse_others(name, text)
        for name in there:
            if name.endswith(".timer"):
                self._systemctl("disable", "--now", name)
        for name in there:
            (self.folder / name).unlink()
        self._systemctl("daemon-reload")
        return True

    def show(self, names: Sequence[str]) -> dict[str, str]:
        """The units that are there, and what systemd says of the timer."""
        found = {name: text for name in names if (text := self._read(name)) is not None}
        timer = next((name for name in found if name.endswith(".timer")), None)
        if timer is None or shutil.which("systemctl") is None:
            return found
        properties = "ActiveState,NextElapseUSecRealtime,LastTriggerUSec,Result"
        done = self._run("systemctl", "show", timer, f"--property={properties}")
        if done.returncode == 0:
            found["state"] = done.stdout.strip()
        return found

    def verify(self, units: Mapping[str, str]) -> None:
        """Ask systemd-analyze, where it is, what it thinks of them. Raises ScheduleError."""
        if shutil.which("systemd-analyze") is None:
            return
        with tempfile.TemporaryDirectory(prefix="hacc-units-") as folder:
            paths = [Path(folder) / name for name in units]
            for path in paths:
                path.write_text(units[path.name])
            done = self._run("systemd-analyze", "verify", "--man=no", *map(str, paths))
        wrong = [line for line in done.stderr.splitlines() if any(name in line for name in units)]
        if done.returncode and wrong:
            raise ScheduleError(Problem(None, "systemd-analyze", line.strip()) for line in wrong)

    def _put_back(self, before: Mapping[str, str | None]) -> None:
        for name, text in before.items():
            path = self.folder / name
            if text is None:
                path.unlink(missing_ok=True)
            else:
                durable.write(path, text.encode(), mode=0o644)
        self._run("systemctl", "daemon-reload")

    def _refuse_others(self, name: str, text: str | None) -> None:
        if text is not None and not text.startswith(MARK):
            raise ScheduleError(
                Problem(
                    Place(str(self.folder / name), 1),
                    name,
                    "somebody else has made it",
                    hint="choose another name: --name, or move it away",
                )
            )

    def _read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text()
        except FileNotFoundError:
            return None

    def _is(self, state: str, unit: str) -> bool:
        return self._run("systemctl", "--quiet", f"is-{state}", unit).returncode == 0

    def _need(self, program: str) -> None:
        if shutil.which(program) is None:
            raise ScheduleError(
                Problem(None, program, "is not on this machine", hint="cron: hacc schedule cron")
            )

    def _systemctl(self, *words: str) -> None:
        done = self._run("systemctl", *words)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ScheduleError(
                Problem(
                    None,
                    f"systemctl {words[0]}",
                    said[-1] if said else f"ended with {done.returncode}",
                    hint="nothing was changed; where systemd does not run: hacc schedule cron",
                )
            )

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        scope = ["--user"] if self.user else []
        try:
            return subprocess.run(
                [program, *scope, *words],
                capture_output=True,
                text=True,
                timeout=ANSWER_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ScheduleError(
                Problem(None, program, f"did not answer within {ANSWER_S} s")
            ) from None
