"""The unit files of a schedule, and cron's line: texts, made of a value alone.

The service may read what is on the machine and write into the work directory; it can gain no
privilege, see no device, and speaks IP only. systemd.exec(5) describes each line; a user's manager
has no right to most of them, so its unit is the shorter one.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from ..errors import HaccError, Problem
from .calendar import Every

MARK: Final = "# Made by hacc schedule install, which also changes and removes it."
DRIFT_IS_NO_FAILURE: Final = 2  # errors.Exit.CHANGES: the check has done its work

_ANYWHERE: Final = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    # The resolver asks the kernel for its addresses by netlink.
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
)
_OF_THE_SYSTEM: Final = (
    "CapabilityBoundingSet=",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=read-only",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RemoveIPC=yes",
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A check at regular times."""

    name: str  # of its units: hacc-check-west
    program: tuple[str, ...]  # how hacc is started here
    root: Path  # the inventory; absolute, as all paths here
    arguments: tuple[str, ...]  # of the check
    every: Every
    spread: timedelta  # runs begin up to so much later, each machine at its own time
    within: timedelta  # a run that takes longer is ended
    environment: Path  # NAME=value lines, for secrets by env:; need not be there
    writable: tuple[Path, ...]
    run_as: str  # empty: the user whose manager runs it

    @property
    def command(self) -> tuple[str, ...]:
        return (*self.program, "check", "--inventory", str(self.root), *self.arguments)


def files(schedule: Schedule) -> dict[str, str]:
    """The unit files, by name."""
    for text in (*schedule.command, str(schedule.environment), *map(str, schedule.writable)):
        if any(ord(character) < 32 for character in text):
            raise HaccError(
                Problem(None, "schedule", f"{text!r} has control characters, which no unit may")
            )
    return {
        f"{schedule.name}.service": _service(schedule),
        f"{schedule.name}.timer": _timer(schedule),
    }


def _service(schedule: Schedule) -> str:
    site = _plain(schedule.root.parent)
    lines = [
        MARK,
        "[Unit]",
        f"Description=hacc check of {site}",
        "Wants=network-online.target",
        "After=network-online.target time-sync.target",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart={' '.join(map(_quoted, schedule.command))}",
        f"WorkingDirectory={site}",
        f"EnvironmentFile=-{_plain(schedule.environment)}",
        f"SuccessExitStatus={DRIFT_IS_NO_FAILURE}",
        f"TimeoutStartSec={_seconds(schedule.within)}",
        # It has a moment to let go of routers and to record itself; SIGKILL follows.
        "TimeoutStopSec=30",
        "Nice=10",
        *_ANYWHERE,
    ]
    if schedule.run_as:
        lines.insert(lines.index("Type=oneshot") + 1, f"User={schedule.run_as}")
        lines += _OF_THE_SYSTEM
        lines.append(f"ReadWritePaths={' '.join(_quoted(str(p)) for p in schedule.writable)}")
    return "\n".join([*lines, ""])


def _timer(schedule: Schedule) -> str:
    return "\n".join(
        [
            MARK,
            "[Unit]",
            f"Description=hacc check of {_plain(schedule.root.parent)}",
            "",
            "[Timer]",
            f"OnCalendar={schedule.every.calendar}",
            f"RandomizedDelaySec={_seconds(schedule.spread)}",
            # The same delay each time, so that the time between two runs stays the same.
            "FixedRandomDelay=yes",
            # A machine that slept checks when it wakes.
            "Persistent=yes",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def cron_line(schedule: Schedule, seed: str) -> str:
    """A line for a crontab. `seed` names the machine: each has its own minute, always the same."""
    spread = int(schedule.spread.total_seconds() // 60)
    digest = hashlib.sha256(f"{seed}\0{schedule.root}".encode()).digest()
    minutes = int.from_bytes(digest[:8], "big") % (spread + 1)
    when = schedule.every.cron(timedelta(minutes=minutes))
    site, environment = (
        shlex.quote(str(schedule.root.parent)),
        shlex.quote(str(schedule.environment)),
    )
    run = shlex.join(["timeout", "-k", "30", _seconds(schedule.within), *schedule.command])
    line = f"cd {site} && {{ set -a; test ! -r {environment} || . {environment}; set +a; {run}; }}"
    # A `%` ends the command in a crontab (crontab(5)).
    return f"{when} {line}".replace("%", "\\%")


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():.0f}"


def _quoted(word: str) -> str:
    """A word of a command line: systemd.service(5), and systemd.unit(5) for the `%`."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = text and all(c.isalnum() or c in "-_./:=,@+%" for c in text)
    return text if plain else f'"{text}"'


def _plain(path: Path) -> str:
    """A path that is the rest of its line."""
    return str(path).replace("%", "%%")
