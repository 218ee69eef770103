"""A lab, up and down: every call looks at what is there and makes it what it should be.

`up` is level-driven. It never remembers how far an earlier run came: it reads /proc and the
fabric, and starts or lays whatever is missing. So it repairs after a crash with the same code that
builds from nothing, and a second `up` has nothing to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from . import disk, fabric, router, simulator
from .errors import NotRunning, RouterFailed
from .namespaces import (
    Member,
    child_of,
    kill_all,
    kill_until_gone,
    members,
    popen_inside,
    run_inside,
)
from .requirements import check_kernel, check_machine
from .topology import PASSWORD_VARIABLE, Kind, Router, Topology

STATE: Final = Path("/run/hacc-lab")
BOOT_SECONDS: Final = 60.0  # fifty routers share two cores; one alone needs half a second
_ROUTER: Final = "router/"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """What one router is doing. `detail` says why, where the state alone does not."""

    name: str
    kind: str
    state: str  # running, degraded, starting, off, absent
    management: str
    pid: int
    detail: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabStatus:
    name: str
    up: bool
    routers: tuple[RouterStatus, ...]
    strangers: tuple[str, ...] = ()  # running, and no longer in the inventory


class Lab:
    """The virtual routers of one topology. As a context manager: up on entry, down on exit."""

    def __init__(self, topology: Topology, *, keep_host_keys: bool = True) -> None:
        self.topology = topology
        self.directory = STATE / topology.name
        self._keep_host_keys = keep_host_keys

    @classmethod
    def named(cls, name: str) -> Self:
        """A lab known by its name alone: enough for `down`, whatever the inventory says now."""
        return cls(Topology(name, ()))

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.down()

    # Up and down -----------------------------------------------------------------------------

    def up(self, progress: Progress = lambda _: None) -> int:
        """Make it run; returns how many routers had to be started."""
        check_machine()
        with _locked(self.topology.name):
            fresh = not self.directory.exists()
            if fresh:
                check_kernel()
            (self.directory / "routers").mkdir(parents=True, exist_ok=True, mode=0o700)
            self.directory.chmod(0o700)  # hashes and logs of the lab's own routers
            fabric_pid = self._fabric_up()
            fabric.lay_segments(fabric_pid, self.topology)
            self._remove_strangers()
            started = self._boot(fabric_pid, progress)
            fabric.plug(fabric_pid, self.topology, self.routers())
            started += self._simulator_up(fabric_pid, progress)
            self._await(progress)
            return started

    def down(self) -> bool:
        """Remove everything, whatever state it is in; whether there was anything."""
        with _locked(self.topology.name, last=True):
            there = self.directory.exists() or bool(members(self.topology.name))
            kill_until_gone(self.topology.name)
            shutil.rmtree(self.directory, ignore_errors=True)
            if not self._keep_host_keys:
                shutil.rmtree(disk.KEYS / self.topology.name, ignore_errors=True)
            return there

    def _fabric_up(self) -> int:
        if (pid := self.fabric_pid()) is not None:
            return pid
        # Without its fabric a router has no cables, and its simulator no network: begin anew.
        kill_until_gone(self.topology.name)
        process = fabric.start(self.topology.name, self.directory)
        return child_of(process, self.directory / "fabric.log")

    def _remove_strangers(self) -> None:
        known = {r.name for r in self.topology.linux}
        gone = [m for m in self._members() if _name(m) and _name(m) not in known]
        kill_all(gone)
        for directory in (self.directory / "routers").iterdir():
            if directory.name not in known:
                shutil.rmtree(directory, ignore_errors=True)

    def _boot(self, fabric_pid: int, progress: Progress) -> int:
        running = self.routers()
        missing = [r for r in self.topology.linux if r.name not in running]
        if not missing:
            return 0
        progress(f"booting {len(missing)} Linux routers")
        hashed = disk.password_hash(self.topology.password)
        client = router.client_script()
        for one in missing:  # what a crash left of them: a parent without its child, a cable
            kill_all([m for m in self._members() if _name(m) == one.name])
        fabric.unplug(fabric_pid, [p for r in missing for p in (r.management_port, *r.ports)])
        parents: list[tuple[Router, subprocess.Popen[bytes]]] = []
        for one in missing:
            place = self.disk(one.name)
            place.mkdir(exist_ok=True)
            disk.make_disk(
                place, self.topology.name, one, hashed, self.topology.authorized_key, client
            )
            parents.append((one, router.boot(self.topology.name, one, place)))
        for one, parent in parents:
            child_of(parent, self.disk(one.name) / "boot.log")
        return len(missing)

    def _await(self, progress: Progress) -> None:
        """Until every init has started what is enabled."""
        end = time.monotonic() + BOOT_SECONDS
        waiting = [one.name for one in self.topology.linux]
        problems: list[str] = []
        for count, name in enumerate(waiting, 1):
            while True:
                pid = self.routers().get(name)
                log = self.disk(name) / "boot.log"
                if pid is None:
                    problems.append(f"{name}: died while booting: {_tail(log)}")
                    break
                try:
                    left = max(1.0, end - time.monotonic())
                    answer = router.ask(
                        pid, {"verb": "is-system-running", "wait": True, "seconds": left}, left + 5
                    )
                except RouterFailed as error:
                    if time.monotonic() < end:
                        time.sleep(0.02)
                        continue
                    problems.append(f"{name}: {error}; {_tail(log)}")
                    break
                if answer["code"] != 0:
                    failed = answer["err"].replace("\n", ", ")
                    problems.append(f"{name}: {answer['out']}: {failed}")
                break
            progress(f"{count} of {len(waiting)} Linux routers are up")
        if problems:
            raise RouterFailed(*problems, hint="hacc lab exec HOST journalctl -u UNIT")

    def _simulator_up(self, fabric_pid: int, progress: Progress) -> int:
        if not self.topology.ios:
            kill_until_gone(self.topology.name, simulator.ROLE)
            return 0
        if any(m.role == simulator.ROLE for m in self._members()):
            return 0
        progress(f"starting {len(self.topology.ios)} simulated IOS routers")
        process = simulator.start(self.topology, self.directory, fabric_pid)
        simulator.wait_until_up(process, self.directory)
        return len(self.topology.ios)

    # What is there ---------------------------------------------------------------------------

    def _members(self) -> list[Member]:
        return members(self.topology.name)

    def fabric_pid(self) -> int | None:
        return next((m.pid for m in self._members() if m.role == fabric.ROLE and m.is_init), None)

    def routers(self) -> dict[str, int]:
        """Running Linux routers: name -> its PID 1, as this machine numbers it."""
        return {_name(m): m.pid for m in self._members() if m.is_init and _name(m)}

    def disk(self, name: str) -> Path:
        return self.directory / "routers" / name

    def status(self) -> LabStatus:
        found = self._members()
        inits = {_name(m): m.pid for m in found if m.is_init and _name(m)}
        simulated = next((m.pid for m in found if m.role == simulator.ROLE), 0)
        rows = [self._router_status(one, inits, simulated) for one in self.topology.routers]
        known = {one.name for one in self.topology.routers}
        up = any(m.role == fabric.ROLE and m.is_init for m in found)
        return LabStatus(self.topology.name, up, tuple(rows), tuple(sorted(set(inits) - known)))

    def _router_status(self, one: Router, inits: dict[str, int], simulated: int) -> RouterStatus:
        if one.kind is Kind.IOS:
            state, pid, detail = ("running" if simulated else "absent"), simulated, ""
        else:
            pid, detail = inits.get(one.name, 0), ""
            state = "absent"
            if pid:
                try:
                    answer = router.ask(pid, {"verb": "is-system-running"}, 2.0)
                    state, detail = answer["out"], answer["err"].replace("\n", ", ")
                except RouterFailed:
                    state, detail = "frozen", "its init does not answer"
        return RouterStatus(one.name, one.kind.value, state, str(one.management), pid, detail)

    def known_hosts(self) -> str:
        """The public host keys of the Linux routers, in the form of known_hosts."""
        return "".join(
            f"{one.management} {disk.public_key(self.topology.name, one.name)}\n"
            for one in self.topology.linux
        )

    # Inside ----------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """PID 1 of a Linux router."""
        self.topology.router(name)
        found = self.routers().get(name)
        if found is None:
            raise NotRunning(f"{name}: not running", hint="hacc lab up")
        return found

    def fabric(self) -> int:
        """The process whose network namespace is the lab's management network."""
        found = self.fabric_pid()
        if found is None:
            raise NotRunning(f"lab {self.topology.name} is not up", hint="hacc lab up")
        return found

    def environment(self) -> dict[str, str]:
        """What a command in the management network is told, besides what it had."""
        return {"HACC_LAB": self.topology.name, PASSWORD_VARIABLE: self.topology.password}

    def run(
        self, name: str, *argv: str, text_in: str | None = None, seconds: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside a Linux router, to its end."""
        return run_inside(
            self.pid(name),
            argv,
            environment=router.SHELL_ENVIRONMENT,
            text_in=text_in,
            seconds=seconds,
        )

    def popen(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        """Start a command inside a Linux router; it dies with the router."""
        return popen_inside(self.pid(name), argv, environment=router.SHELL_ENVIRONMENT)

    def run_managed(
        self, argv: Sequence[str], seconds: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the management network, as `hacc lab run` does."""
        return run_inside(
            self.fabric(),
            argv,
            kinds="n",
            environment=os.environ | self.environment(),
            seconds=seconds,
        )


def _name(member: Member) -> str:
    return member.role[len(_ROUTER) :] if member.role.startswith(_ROUTER) else ""


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        return "; ".join(lines[-3:]) if lines else "(nothing in its boot log)"
    return "(no boot log)"


@contextlib.contextmanager
def _locked(name: str, *, last: bool = False, seconds: float = 120.0) -> Iterator[None]:
    """One `up` or `down` of a lab at a time. `last` takes the lock file away afterwards.

    A process that is killed between fork and exec of a router still holds the lock, so `down`
    cannot look for the router before its mark can be seen.
    """
    STATE.mkdir(exist_ok=True, mode=0o755)
    path, end = STATE / f"{name}.lock", time.monotonic() + seconds
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                break  # else the one who held it has taken the file away: ours is nobody's lock
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(descriptor)
                raise RouterFailed(
                    f"lab {name}: another `up` or `down` has been at work for {seconds:g} s"
                ) from None
        os.close(descriptor)
        time.sleep(0.05)
    try:
        yield
    finally:
        if last:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                STATE.rmdir()
        os.close(descriptor)
