"""Processor and memory of this *router*, which is not always this machine.

    what we run in             processor in use                  memory that is free
    a container with a limit   its cgroup's, of its quota        its limit's (version 2, else 1)
    a PID namespace            of all processes that it shows    the machine's: it is shared
    else: a machine            the machine's                     the machine's

Memory that holds what can be read again, files, counts as free: cgroups(7), proc(5), and the
kernel's Documentation/admin-guide/cgroup-v2.rst. A file that is missing or says something else
makes a figure unknown, never wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar

INITIAL_PIDS: Final = "pid:[4026531836]"
"""The first PID namespace of every machine: PROC_PID_INIT_INO of linux/proc_ns.h."""

TICKS: Final = os.sysconf("SC_CLK_TCK")  # a second, in /proc/*/stat
UNLIMITED: Final = 1 << 60  # octets: cgroup version 1 has no word for it, but a number


class Use(NamedTuple):
    """In per cent of what the router may use. None: unknown."""

    cpu: float | None
    memory_free: float | None
    memory: int | None  # octets that it may use


class _Source(Protocol):
    """One of the rows of the table above."""

    of: str
    cores: float

    def seconds(self) -> float:
        """Of processor time that were used so far."""
        ...

    def memory_free(self) -> float: ...

    def memory(self) -> int: ...


class Resources:
    """Looks when it is asked; processor time is that since the look before."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._source = _source(root)
        self._before: tuple[float, float] | None = None

    @property
    def of(self) -> str:
        """What the figures are of."""
        return self._source.of

    def look(self, now: float) -> Use:
        """At `now`, s of any steady clock."""
        return Use(
            _known(lambda: self._cpu(now)),
            _known(self._source.memory_free),
            _known(self._source.memory) or None,
        )

    def _cpu(self, now: float) -> float | None:
        seconds = self._source.seconds()
        before, self._before = self._before, (now, seconds)
        if before is None or now <= before[0]:
            return None
        # Processes that ended take their time with them.
        used = max(0.0, seconds - before[1])
        return min(100.0, 100 * used / (now - before[0]) / self._source.cores)


T = TypeVar("T")


def _known(figure: Callable[[], T]) -> T | None:
    try:
        return figure()
    except (OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
        return None


def _source(root: Path) -> _Source:
    groups = root / "sys/fs/cgroup"
    if (groups / "memory.max").exists():  # never in the root of all groups
        return _Container(root, groups)
    if int(_text(groups / "memory/memory.limit_in_bytes") or UNLIMITED) < UNLIMITED:
        return _OldContainer(root, groups)
    if _target(root / "proc/self/ns/pid") not in ("", INITIAL_PIDS):
        return _Namespace(root)
    return _Machine(root)


class _Machine:
    of = "the machine"

    def __init__(self, root: Path) -> None:
        self._root = root
        self.cores = float(len(os.sched_getaffinity(0)))

    def seconds(self) -> float:
        # user nice system idle iowait irq softirq steal
        times = [int(word) for word in (self._root / "proc/stat").read_text().split()[1:9]]
        return (sum(times) - times[3] - times[4]) / TICKS

    def memory_free(self) -> float:
        told = _words(self._root / "proc/meminfo")
        return 100 * told["MemAvailable:"] / told["MemTotal:"]

    def memory(self) -> int:
        return 1024 * _words(self._root / "proc/meminfo")["MemTotal:"]


class _Namespace(_Machine):
    of = "the processes of its namespace"

    def seconds(self) -> float:
        ticks = 0
        for folder in (self._root / "proc").iterdir():
            if folder.name.isdigit():
                # Its name stands in parentheses and may hold any character.
                words = _text(folder / "stat").rpartition(")")[2].split()
                if len(words) > 12:
                    ticks += int(words[11]) + int(words[12])
        return ticks / TICKS


class _Container(_Machine):
    of = "its container"

    def __init__(self, root: Path, groups: Path) -> None:
        super().__init__(root)
        self._groups = groups
        quota, _, period = _text(groups / "cpu.max").strip().partition(" ")
        if quota.isdigit() and period.isdigit():
            self.cores = int(quota) / int(period)

    def seconds(self) -> float:
        return _words(self._groups / "cpu.stat")["usage_usec"] / 1_000_000

    def memory_free(self) -> float:
        limit = (self._groups / "memory.max").read_text().strip()
        if limit == "max":
            return super().memory_free()
        used = int((self._groups / "memory.current").read_text())
        files = _words(self._groups / "memory.stat")["inactive_file"]
        return 100 * (int(limit) - used + files) / int(limit)

    def memory(self) -> int:
        limit = (self._groups / "memory.max").read_text().strip()
        return super().memory() if limit == "max" else int(limit)


class _OldContainer(_Machine):
    of = "its container"

    def __init__(self, root: Path, groups: Path) -> None:
        super().__init__(root)
        self._groups = groups
        quota = int(_text(groups / "cpu/cpu.cfs_quota_us") or -1)
        if quota > 0:
            self.cores = quota / int((groups / "cpu/cpu.cfs_period_us").read_text())

    def seconds(self) -> float:
        return int((self._groups / "cpuacct/cpuacct.usage").read_text()) / 1_000_000_000

    def memory_free(self) -> float:
        memory = self._groups / "memory"
        limit = int((memory / "memory.limit_in_bytes").read_text())
        used = int((memory / "memory.usage_in_bytes").read_text())
        files = _words(memory / "memory.stat")["total_inactive_file"]
        return 100 * (limit - used + files) / limit

    def memory(self) -> int:
        return int((self._groups / "memory/memory.limit_in_bytes").read_text())


def _words(path: Path) -> Mapping[str, int]:
    """Lines of a name and a number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}


def _text(path: Path) -> str:
    """Nothing, where there is no such file (any more)."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _target(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
