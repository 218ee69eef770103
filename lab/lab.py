"""A lab, up and down: every call looks at what is there and makes it what it should be.

`up` is level-driven. It never remembers how far an earlier run came: it reads /proc and the
fabric, and starts or lays whatever is missing. So it repairs after a crash with the same code that
builds from nothing, and a second `up` has nothing to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from . import disk, fabric, faults, router, simulator
from .errors import LabError, NotRunning, RouterFailed
from .faults import Fault, FaultKind
from .lock import locked
from .namespaces import (
    Member,
    await_inits,
    enter_network,
    kill_all,
    kill_until_gone,
    members,
    run_inside,
    tail,
)
from .requirements import check_kernel, check_machine
from .topology import DEFAULT_PASSWORD, Kind, Router, Topology

STATE: Final = Path("/run/hacc-lab")
BOOT_SECONDS: Final = 60.0  # fifty routers share two cores; one alone needs half a second

T = TypeVar("T")
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


@dataclass(frozen=True, slots=True)
class LabStatus:
    name: str
    up: bool
    routers: tuple[RouterStatus, ...]
    strangers: tuple[str, ...] = ()  # running, and no longer in the inventory
    faults: tuple[Fault, ...] = ()


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
        with self._locked():
            if not self.directory.exists():
                check_kernel()
            self.directory.mkdir(parents=True, exist_ok=True)
            self.directory.chmod(0o700)  # the secrets and logs of the lab's own routers
            disk.make_room(self.directory / "routers", self.topology.name)
            return self._settle(progress)

    def down(self) -> bool:
        """Remove everything, whatever state it is in; whether there was anything."""
        with self._locked(last=True):
            there = self.directory.exists() or bool(self._members())
            kill_until_gone(self.topology.name)
            disk.clear_room(self.directory / "routers")
            shutil.rmtree(self.directory, ignore_errors=True)
            if not self._keep_host_keys:
                shutil.rmtree(disk.KEYS / self.topology.name, ignore_errors=True)
            return there

    def _settle(self, progress: Progress, broken: Sequence[Fault] | None = None) -> int:
        """Compare with what is there, and make up the difference.

        `broken`: what is to be broken on purpose, where it is not what the list says.
        """
        broken = self.faults() if broken is None else broken
        outer = self.fabric_pid()
        if outer is None:
            # Without its fabric a router has no cables, and the simulator no network: begin anew.
            kill_until_gone(self.topology.name)
            outer = fabric.start(self.topology.name, self.directory)
        fabric.lay_segments(outer, self.topology)
        self._remove_strangers()
        secrets = self._keep_secrets()
        started = self._boot(outer, secrets, _off(broken), progress)
        fabric.plug(outer, self.topology, self.routers())
        self._set_kernel(started)
        simulated = simulator.up(self.topology, self.directory, outer, secrets)
        for fault in broken if simulated else ():  # it comes up with everything switched on
            self._simulated_power(fault, on=False)
        self._await(started, broken, progress)
        faults.apply(self.topology, broken, outer, self.routers())
        for fault in broken:
            if fault.kind in faults.LASTING and started.intersection(fault.routers):
                self._act(fault)
        return len(started) + simulated

    def _remove_strangers(self) -> None:
        known = {one.name for one in self.topology.linux}
        kill_all(m for m in self._members() if _name(m) and _name(m) not in known)
        for directory in (self.directory / "routers").iterdir():
            if directory.name not in known:
                shutil.rmtree(directory, ignore_errors=True)

    def _boot(
        self, outer: int, secrets: Mapping[str, str], off: Set[str], progress: Progress
    ) -> set[str]:
        running = self.routers()
        missing = [r for r in self.topology.linux if r.name not in running and r.name not in off]
        if not missing:
            return set()
        progress(f"booting {len(missing)} Linux routers")
        names = {
            one.name for one in missing
        }  # what a crash left: a parent without its child, a cable
        kill_all(m for m in self._members() if _name(m) in names)
        fabric.unplug(outer, [p for r in missing for p in (r.management_port, *r.ports)])
        router.compile_code()
        programs = router.programs()
        hashes = {name: disk.password_hash(secrets[name]) for name in {r.password for r in missing}}
        with router.Nursery(self.topology.name, self.directory / "nursery.log") as nursery:
            for one in missing:
                place = self.disk(one.name)
                key, hashed = self.topology.authorized_key, hashes[one.password]
                disk.make_disk(place, self.topology.name, one, hashed, key, programs)
                nursery.boot(one, place)
        logs = {router.ROLE + one.name: router.boot_log(self.disk(one.name)) for one in missing}
        await_inits(self.topology.name, logs)
        return names

    def _set_kernel(self, started: Set[str]) -> None:
        """What sysctl.d(5) says, where a router has its own: systemd-sysctl at boot, and udev's
        rule when an interface comes."""
        inits = self.routers()
        for name in started:
            if (self.disk(name) / disk.SYSCTL).is_dir():
                run_inside(inits[name], ["/lib/systemd/systemd-sysctl", "--prefix=/net"])

    def _await(self, started: Set[str], broken: Sequence[Fault], progress: Progress) -> None:
        """Until every init has started what is enabled. Older troubles are `status`'s to tell."""
        end, problems = time.monotonic() + BOOT_SECONDS, []
        stopped = {n for f in broken if f.kind is FaultKind.FREEZE for n in f.routers}
        waiting = [r.name for r in self.topology.linux if r.name not in stopped | _off(broken)]
        inits = self.routers()
        lost = set()
        for name in waiting:  # all of them before any is awaited: they boot together
            try:
                self._await_answer(name, inits.get(name), {"verb": "plugged"}, end)
            except RouterFailed as error:
                problems.append(f"{name}: {error}")
                lost.add(name)
        booted = {"verb": "is-system-running", "wait": True, "seconds": BOOT_SECONDS}
        for count, name in enumerate(waiting, 1):
            if name in lost:
                continue
            try:
                answer = self._await_answer(name, inits.get(name), booted, end)
            except RouterFailed as error:
                problems.append(f"{name}: {error}")
            else:
                if answer["code"] != 0 and name in started:
                    failed = answer["err"].replace("\n", ", ")
                    problems.append(f"{name}: {answer['out']}: {failed}")
            progress(f"{count} of {len(waiting)} Linux routers are up")
        if problems:
            raise RouterFailed(*problems, hint="hacc lab exec HOST journalctl -u UNIT")

    def _await_answer(
        self, name: str, pid: int | None, request: dict[str, Any], end: float
    ) -> dict[str, Any]:
        """Of an init that may not listen yet. `pid` is its PID 1, as it was seen a moment ago."""
        while True:
            if pid is None:
                raise RouterFailed(f"died: {tail(router.boot_log(self.disk(name)))}")
            try:
                return router.ask(pid, request, max(1.0, end - time.monotonic()))
            except RouterFailed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
            pid = self.routers().get(name)

    def _keep_secrets(self) -> dict[str, str]:
        """Remember the passwords in use; running routers get one that has changed."""
        path = self.directory / "secrets.json"
        before, now = self._stored_secrets(), self.secrets()
        path.touch(mode=0o600)
        path.write_text(json.dumps(now))
        for one in self.topology.linux:
            if before and before.get(one.password) != now[one.password]:
                hashed = disk.password_hash(now[one.password])
                if (pid := self.routers().get(one.name)) is None:
                    disk.set_password(self.disk(one.name), hashed)
                else:
                    lines = "".join(f"{user}:{hashed}\n" for user in ("root", disk.VTY_USER))
                    run_inside(pid, ["chpasswd", "-e"], text_in=lines)
        return now

    def _stored_secrets(self) -> dict[str, str]:
        try:
            stored: dict[str, str] = json.loads((self.directory / "secrets.json").read_text())
        except (OSError, ValueError):  # not up, or killed while writing it
            return {}
        return stored

    def secrets(self) -> dict[str, str]:
        """Variable -> password: the environment's, else the one in use, else the default."""
        wanted = {name for one in self.topology.routers for name in (one.password, one.enable)}
        stored = self._stored_secrets()
        return {
            name: self.topology.secrets.get(name) or stored.get(name) or DEFAULT_PASSWORD
            for name in sorted(wanted)
        }

    # Faults ----------------------------------------------------------------------------------

    def faults(self) -> tuple[Fault, ...]:
        return faults.load(self.directory / "faults.json")

    def break_(self, fault: Fault) -> Fault:
        """Make it fail; the fault returned has its number.

        It is listed before it is there: whoever is killed meanwhile leaves nothing unlisted.
        """
        faults.check(self.topology, fault)
        with self._locked():
            outer, there = self.fabric(), self.faults()
            if fault.kind is FaultKind.KILL:
                fault = self._unit_of(fault)
            fault = faults.numbered(there, fault)
            faults.save(self.directory / "faults.json", (*there, fault))
            try:
                faults.apply(self.topology, self.faults(), outer, self.routers())
                self._act(fault)
                self._simulated_power(fault, on=False)
            except LabError:
                faults.save(self.directory / "faults.json", there)
                raise
        return fault

    def mend(
        self, numbers: Collection[int] | None = None, *, owner: str | None = None
    ) -> tuple[Fault, ...]:
        """Undo these faults (None: all), or those of an owner; what was mended."""
        with self._locked():
            self.fabric()
            there = self.faults()
            chosen = tuple(
                f
                for f in there
                if (numbers is None or f.number in numbers) and owner in (None, f.owner)
            )
            if unknown := set(numbers or ()) - {f.number for f in there}:
                known = ", ".join(str(f.number) for f in there) or "none"
                raise LabError(f"no fault {min(unknown)}", hint=f"there are: {known}")
            if not chosen:
                return ()
            running = self.routers()
            for fault in chosen:
                for name in fault.routers if fault.kind is FaultKind.FREEZE else ():
                    if name in running:
                        faults.send(running[name], signal.SIGCONT)
                self._simulated_power(fault, on=True)
            self._settle(lambda _: None, tuple(each for each in there if each not in chosen))
            for fault in chosen:
                self._undo(fault)
            # At the end, so that whoever mends after one that was killed does all of it again.
            faults.save(self.directory / "faults.json", [f for f in there if f not in chosen])
        return chosen

    def _unit_of(self, fault: Fault) -> Fault:
        """With the service that a daemon belongs to."""
        init = self.pid(fault.routers[0])
        found = _processes(init, fault.daemon)
        if not found:
            raise NotRunning(f"{fault.routers[0]}: no process or service is called {fault.daemon}")
        unit = router.ask(init, {"verb": "unit-of", "pid": found[0][1]})["out"]
        return replace(fault, unit=unit)

    def _act(self, fault: Fault) -> None:
        """What is done inside a router."""
        for name in fault.routers if fault.kind in (FaultKind.KILL, *faults.LASTING) else ():
            init = self.pid(name)
            if fault.kind is FaultKind.KILL:
                for pid, _ in _processes(init, fault.daemon):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            elif fault.kind is FaultKind.STOP:
                router.ask(init, {"verb": "stop", "units": [fault.unit]})
            else:
                self._inside(init, faults.USED_UP)
        if fault.kind is FaultKind.ORDER:
            self._order(fault, fault.order)

    def _undo(self, fault: Fault) -> None:
        """The same, back; the router runs, unless another fault has switched it off."""
        if fault.kind is FaultKind.ORDER:
            self._order(fault, "undrain")
        running = self.routers()
        for name in fault.routers:
            init = running.get(name)
            if init is None:
                continue
            verbs: tuple[str, ...] = ()
            # Its supervisor may have brought it back: then it serves, and is left alone.
            if fault.kind is FaultKind.KILL and not _processes(init, fault.daemon):
                verbs = ("reset-failed", "restart")
            elif fault.kind is FaultKind.STOP:
                verbs = ("start",)
            for verb in verbs if fault.unit else ():
                router.ask(init, {"verb": verb, "units": [fault.unit]})
            if fault.kind is FaultKind.OVERLOAD:
                self._inside(init, faults.FREE_AGAIN)

    def _order(self, fault: Fault, order: str) -> None:
        """To the controller that decides: the others refuse, and name it."""
        said = []
        for name in fault.routers:
            if name not in self.routers():
                continue
            done = self.run(name, "hacc-agent", order, fault.member, "--json")
            if done.returncode == 0:
                return
            said.append(f"{name}: {' '.join(done.stderr.split())}")
        raise RouterFailed(*said or (f"no controller runs that could {order} {fault.member}",))

    def _inside(self, init: int, script: str) -> None:
        done = run_inside(init, ["sh", "-c", script], kinds="mp")
        if done.returncode:
            raise RouterFailed(f"{' '.join(done.stderr.split())}")

    def running(self, name: str, units: Sequence[str]) -> str:
        """The first of these services that runs on a router."""
        for unit in units:
            if not router.ask(self.pid(name), {"verb": "is-active", "units": [unit]})["code"]:
                return unit
        raise NotRunning(f"{name}: none of {', '.join(units)} runs")

    def restart(self, name: str, unit: str) -> None:
        """A service of a router, in order."""
        answer = router.ask(self.pid(name), {"verb": "restart", "units": [unit]})
        if answer["code"]:
            raise RouterFailed(f"{name}: {unit}: {answer['err']}")

    def _simulated_power(self, fault: Fault, *, on: bool) -> None:
        for name in fault.routers if fault.kind is FaultKind.POWER else ():
            if self.topology.router(name).kind is Kind.IOS:
                simulator.power(self.directory, name, on=on)

    # What is there ---------------------------------------------------------------------------

    def _locked(self, *, last: bool = False) -> contextlib.AbstractContextManager[None]:
        return locked(STATE, self.topology.name, last=last)

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
        inits, simulated = self.routers(), simulator.running(self.topology.name) or 0
        rows = [self._router_status(one, inits, simulated) for one in self.topology.routers]
        strangers = sorted(set(inits) - {one.name for one in self.topology.routers})
        up = self.fabric_pid() is not None
        return LabStatus(self.topology.name, up, tuple(rows), tuple(strangers), self.faults())

    def _router_status(self, one: Router, inits: dict[str, int], simulated: int) -> RouterStatus:
        pid = simulated if one.kind is Kind.IOS else inits.get(one.name, 0)
        state, detail = "absent", ""
        if any(f.kind is FaultKind.POWER and one.name in f.routers for f in self.faults()):
            state = "off"
        elif one.kind is Kind.IOS:
            if pid:
                state = "running"
            elif words := simulator.last_words(self.directory):
                detail = f"the simulator has ended: {words}"
        elif pid:
            try:
                answer = router.ask(pid, {"verb": "is-system-running"}, 2.0)
                state, detail = answer["out"], answer["err"].replace("\n", ", ")
            except RouterFailed:
                state, detail = "frozen", "its init does not answer"
        return RouterStatus(one.name, one.kind.value, state, str(one.management), pid, detail)

    def known_hosts(self) -> str:
        """The public host keys of the routers, in the form of known_hosts."""
        return "".join(
            f"{one.management} {disk.public_key(self.topology.name, one.name)}\n"
            for one in self.topology.routers
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
        return {**self.secrets(), "HACC_LAB": self.topology.name}

    def run(
        self, name: str, *argv: str, text_in: str | None = None, seconds: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside a Linux router, to its end."""
        return run_inside(
            self.pid(name),
            [*router.CONFINED, *argv],
            environment=router.SHELL_ENVIRONMENT,
            text_in=text_in,
            seconds=seconds,
        )

    def popen(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        """Start a command inside a Linux router; it dies with the router."""
        return subprocess.Popen(
            [*router.enter(self.pid(name)), *argv],
            env=router.SHELL_ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

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

    def managed(self, function: Callable[[], T]) -> T:
        """Call it in a thread that is in the management network: sockets that it opens are, too.

        Threads that it starts inherit the namespace (Paramiko's reader), the caller is not moved.
        """
        outer = self.fabric()

        def inside() -> T:
            enter_network(outer)
            return function()

        with ThreadPoolExecutor(1, thread_name_prefix=self.topology.name) as worker:
            return worker.submit(inside).result()


def _processes(init: int, daemon: str) -> list[tuple[int, int]]:
    """(PID here, PID inside) of a daemon: by its name, else the main one of the service of it.

    What is written in Python is called after that in `ps`, and so is much else.
    """
    if found := faults.named(init, daemon):
        return found
    told = router.ask(init, {"verb": "show", "units": [daemon]})["out"]
    main = re.search(r"^MainPID=([1-9]\d*)$", told, re.MULTILINE)
    return faults.numbered_inside(init, int(main[1])) if main else []


def _off(broken: Iterable[Fault]) -> set[str]:
    """Routers without power."""
    return {n for f in broken if f.kind is FaultKind.POWER for n in f.routers}


def _name(member: Member) -> str:
    """The router that a process belongs to, "" for the fabric and the simulator."""
    return member.role.removeprefix(router.ROLE) if member.role.startswith(router.ROLE) else ""
