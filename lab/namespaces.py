"""Namespaces held by processes, found by a mark in their environment.

Nothing of a lab is pinned in the file system: no /run/netns name, no mount in the machine's own
mount namespace. A router *is* the process that is PID 1 of its PID namespace; when it dies, the
kernel takes its daemons, its mounts, its network namespace and its cables. So what exists can
always be found by reading /proc, also after the lab's own process was killed half-way.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import RouterFailed

MARK: Final = "HACC_LAB_MEMBER"
GUEST: Final = "guest/"
"""How the alias of a cable begins that belongs to no router of the inventory's Linux kind: a fabric
leaves it alone, and it goes with the namespace at its other end. No router's name has a slash."""
CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
SANE_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Member:
    """A process that carries a lab's mark."""

    pid: int
    role: str  # "fabric", "simulator", "nursery", "router/NAME"
    is_init: bool  # PID 1 of its own PID namespace: the router itself, not its parent outside


def members(lab: str) -> list[Member]:
    """Every marked process of a lab, from /proc."""
    prefix, found = f"{MARK}={lab}/".encode(), []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes()
            at = environment.find(prefix)
            if at < 0 or (at > 0 and environment[at - 1] != 0):
                continue
            role = environment[at + len(prefix) :].split(b"\0", 1)[0].decode()
            pids = next(
                line.split()[1:]
                for line in Path(f"/proc/{entry}/status").read_text().splitlines()
                if line.startswith("NSpid:")
            )
        except (OSError, StopIteration):
            continue  # it ended while we looked, or is a zombie without memory
        found.append(Member(int(entry), role, len(pids) > 1 and pids[-1] == "1"))
    return found


def kill_all(found: Iterable[Member]) -> None:
    for member in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member.pid, signal.SIGKILL)


def kill_until_gone(lab: str, role: str = "", seconds: float = 15.0) -> None:
    """SIGKILL whoever carries the mark (and the role), until nobody does, and all have ended.

    The mark is gone before its process is: the kernel frees the memory first, and ends whoever
    lives in the namespaces of a PID 1 after that.
    """
    end = time.monotonic() + seconds
    while left := [m for m in members(lab) if role in ("", m.role)]:
        with contextlib.ExitStack() as stack:
            ends = {member: _end_of(member, stack) for member in left}
            kill_all(left)
            for member, ended in ends.items():
                if ended is not None and not _is_readable(ended, end - time.monotonic()):
                    raise RouterFailed(
                        f"still running after SIGKILL: {member.role} (pid {member.pid})"
                    )


def _end_of(member: Member, stack: contextlib.ExitStack) -> int | None:
    """An open file that becomes readable when the process, and all that live in it, have ended."""
    try:
        opened = os.pidfd_open(member.pid)
    except ProcessLookupError:
        return None
    stack.callback(os.close, opened)
    return opened


def _is_readable(opened: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(opened, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def mark(lab: str, role: str) -> str:
    """What a member has in its environment."""
    return f"{MARK}={lab}/{role}"


def environment(lab: str, role: str) -> dict[str, str]:
    """Of a member, when it begins."""
    return {"PATH": SANE_PATH, "LANG": "C.UTF-8", MARK: f"{lab}/{role}"}


def launch(lab: str, role: str, argv: Sequence[str], log: Path) -> None:
    """Start a member of a lab that outlives us, in a session of its own, as nobody's child.

    When this returns the process exists and carries its mark: `setsid --fork` exits only after it
    has forked.
    """
    with log.open("ab") as output:
        subprocess.run(
            ["setsid", "--fork", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(lab, role),
            check=True,
            timeout=30,
        )


def unshare(lab: str, role: str, argv: Sequence[str], log: Path) -> None:
    """Start a program as PID 1 of new namespaces."""
    log.unlink(missing_ok=True)
    namespaces = ("--net", "--mount", "--pid", "--fork", "--uts", "--ipc")
    options = ("--kill-child=SIGKILL", "--mount-proc")
    launch(lab, role, ["unshare", *namespaces, *options, *argv], log)


# A process in the middle of execve(2) shows an empty environment, and so no mark.
_EXEC_S = 0.5


def await_inits(lab: str, logs: Mapping[str, Path], seconds: float = 30.0) -> dict[str, int]:
    """PID 1 of each role, when all have forked. One that is gone has failed: its log says why."""
    end = time.monotonic() + seconds
    gone: dict[str, float] = {}  # when each was missed first
    while True:
        found, now = members(lab), time.monotonic()
        inits = {m.role: m.pid for m in found if m.is_init and m.role in logs}
        missing = set(logs) - set(inits)
        if not missing:
            return inits
        unseen = missing - {m.role for m in found}
        gone = {role: gone.get(role, now) for role in unseen}
        dead = {role for role, since in gone.items() if now - since > _EXEC_S}
        if dead or now > end:
            failed = sorted(dead or missing)
            raise RouterFailed(*(f"{role}: did not start: {tail(logs[role])}" for role in failed))
        time.sleep(0.02)  # to look costs as much, which those who are to come could use


def tail(log: Path, lines: int = 3) -> str:
    """The end of a log, in one line."""
    try:
        text = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "(no log)"
    return "; ".join(text[-lines:]) or "(nothing in its log)"


def inside(pid: int, kinds: str = "nmpui") -> list[str]:
    """The start of a command line that runs the rest inside the namespaces of `pid`."""
    flags = {"n": "--net", "m": "--mount", "p": "--pid", "u": "--uts", "i": "--ipc"}
    return ["nsenter", "-t", str(pid), *(flags[kind] for kind in kinds), "--"]


def batch(pid: int, lines: Sequence[str], *, force: bool = False) -> str:
    """Many ip(8) commands in one process, in the network namespace of `pid`; returns its errors."""
    if not lines:
        return ""
    done = subprocess.run(
        [*inside(pid, "n"), "ip", *(["-force"] if force else []), "-batch", "-"],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    if done.returncode and not force:
        raise RouterFailed(f"ip: {' '.join(done.stderr.split())}")
    return done.stderr


def enter_network(pid: int) -> None:
    """Move this thread into the network namespace of `pid`. Call it before any thread starts."""
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def own_network() -> int:
    """Move this thread into a network namespace of its own; an open file that holds it."""
    libc = ctypes.CDLL(None, use_errno=True)  # os.unshare came with Python 3.12
    if libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def run_in_network(path: str, *command: str, text: str = "") -> str:
    """Run to its end in the network namespace that a path names; what it said when it failed."""
    done = subprocess.run(
        ["nsenter", f"--net={path}", "--", *command],
        input=text,
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )
    return f"{command[0]}: {done.stderr.strip()}" if done.returncode else ""


def run_inside(
    pid: int,
    argv: Sequence[str],
    *,
    kinds: str = "nmpui",
    environment: Mapping[str, str] | None = None,
    text_in: str | None = None,
    seconds: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run to its end, inside; output is captured."""
    return subprocess.run(
        [*inside(pid, kinds), *argv],
        env=dict(environment) if environment is not None else None,
        input=text_in,
        stdin=subprocess.DEVNULL if text_in is None else None,
        text=True,
        capture_output=True,
        timeout=seconds,
        check=False,
    )
