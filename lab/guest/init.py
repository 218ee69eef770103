"""PID 1 of a virtual router: reaps, keeps services and timers, answers `systemctl`.

It is not systemd and says so (`systemctl --version`). It does what an orchestrator relies on:
units from their files, enablement by symbolic links, restart policies, sd_notify, transient
timers that outlive the session that armed them. One thread reaps and listens, each request has
its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from . import systemctl
from .children import Children, kill, signal_number
from .service import JobFailed, Service
from .units import WANTS, Unit, UnitError, full_name, load, merge, time_span

CONTROL: Final = "/run/systemd/lab.sock"  # where requests come in
_MAX_REQUEST: Final = 65536  # octets

Reply = dict[str, Any]  # JSON, on the control socket


class Timer(NamedTuple):
    """A transient timer of `systemd-run --on-active`."""

    name: str
    unit: str
    elapses: float  # monotonic seconds
    handle: threading.Timer


class Manager:
    """All services and timers of this router. Methods named as systemctl's verbs are the verbs."""

    def __init__(self) -> None:
        self.children = Children()
        self.services: dict[str, Service] = {}
        self.timers: dict[str, Timer] = {}
        self.plugged = threading.Event()
        self.booted = threading.Event()
        self._lock = threading.Lock()

    # Finding ---------------------------------------------------------------------------------

    def service(self, name: str) -> Service:
        with self._lock:
            name = full_name(name)
            known = self.services.get(name)
            if known is not None and known.unit.path.parent == Path("/run/systemd/transient"):
                return known
            try:
                unit = load(name)
            except UnitError:
                if known is not None and known.active not in ("inactive", "failed"):
                    return known  # what runs can be stopped, whatever became of its file
                raise
            known = self.services.get(unit.name)
            if known is None:
                known = self.services[unit.name] = Service(unit, self.children)
            elif known.active in ("inactive", "failed"):
                known.unit = unit  # not loaded while it does nothing: systemd forgets it as well
            return known

    def enabled(self) -> list[str]:
        """Units that start at boot: the links that `systemctl enable` makes."""
        links = WANTS.glob("multi-user.target.wants/*.service")
        return sorted({p.name for p in links} | {
            p.name for p in WANTS.glob("sysinit.target.wants/*.service")
        })  # fmt: skip

    # Boot --------------------------------------------------------------------------------------

    def boot(self) -> None:
        """When the cables are in: as on a machine, interfaces are there before services are."""
        self.plugged.wait()
        jobs = [threading.Thread(target=self._try_start, args=(name,)) for name in self.enabled()]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        self.booted.set()

    def _try_start(self, name: str) -> None:
        with contextlib.suppress(JobFailed, UnitError):  # its state says so, the others go on
            self.service(name).start()

    # Requests -------------------------------------------------------------------------------------

    def answer(self, request: Reply) -> Reply:
        """One request of the client: {"verb", "units", ...} -> {"code", "out", "err"}."""
        verb = str(request.get("verb", ""))
        units = [str(name) for name in request.get("units", [])]
        try:
            if verb in _JOBS:
                return self._jobs(verb, units)
            handler = getattr(self, "do_" + verb.replace("-", "_"), None)
            if handler is None:
                return reply(1, err=f"Unknown command verb {verb}.")
            answered: Reply = handler(units, request)
            return answered
        except (JobFailed, UnitError) as error:
            return reply(1, err=str(error))

    def _jobs(self, verb: str, units: list[str]) -> Reply:
        errors: list[str] = []
        code = 0
        for name in units:
            try:
                _JOBS[verb](self, name)
            except UnitError as error:
                errors.append(f"Failed to {verb} {name}: {error}")
                code = 5  # EXIT_NOTINSTALLED, what systemctl answers for a unit that is not there
            except JobFailed as error:
                errors.append(str(error))
                code = code or 1
        return reply(code, err="\n".join(errors))

    def start(self, name: str) -> None:
        if name.endswith(".timer"):
            raise UnitError("only transient timers (systemd-run --on-active) exist in the lab")
        self.service(name).start()

    def stop(self, name: str) -> None:
        if name.endswith(".timer"):
            timer = self.timers.pop(full_name(name), None)
            if timer is None:
                raise UnitError(f"Unit {name} not loaded.")
            timer.handle.cancel()
            return
        self.service(name).stop()

    def restart(self, name: str) -> None:
        service = self.service(name)
        with service.lock:
            service.stop()
            self.service(name).start()

    def try_restart(self, name: str) -> None:
        if self.service(name).active == "active":
            self.restart(name)

    def reload(self, name: str) -> None:
        self.service(name).reload()

    def reload_or_restart(self, name: str) -> None:
        service = self.service(name)
        if service.active == "active" and service.unit.all("ExecReload"):
            service.reload()
        else:
            self.restart(name)

    def try_reload_or_restart(self, name: str) -> None:
        if self.service(name).active == "active":
            self.reload_or_restart(name)

    def reset_failed(self, name: str) -> None:
        self.service(name).reset_failed()

    # Other verbs: each answers a request ---------------------------------------------------------

    def do_daemon_reload(self, _units: list[str], _request: Reply) -> Reply:
        with self._lock:
            for service in self.services.values():
                if service.unit.path.parent != Path("/run/systemd/transient"):
                    with contextlib.suppress(UnitError):
                        service.unit = load(service.unit.name)
        return reply(0)

    def do_is_active(self, units: list[str], _request: Reply) -> Reply:
        states = [self._state(name) for name in units]
        return reply(
            0 if any(s in ("active", "reloading") for s in states) else 3, "\n".join(states)
        )

    def do_is_failed(self, units: list[str], _request: Reply) -> Reply:
        states = [self._state(name) for name in units]
        return reply(0 if "failed" in states else 1, "\n".join(states))

    def do_plugged(self, _units: list[str], _request: Reply) -> Reply:
        self.plugged.set()
        return reply(0)

    def do_is_system_running(self, _units: list[str], request: Reply) -> Reply:
        if request.get("wait"):
            self.booted.wait(float(request.get("seconds", 60.0)))
        if not self.booted.is_set():
            return reply(1, "starting")
        failed = sorted(s.unit.name for s in self.services.values() if s.active == "failed")
        return reply(1, "degraded", "\n".join(failed)) if failed else reply(0, "running")

    def do_show(self, units: list[str], _request: Reply) -> Reply:
        blocks = ["\n".join(f"{k}={v}" for k, v in self._properties(n).items()) for n in units]
        return reply(0, "\n\n".join(blocks))

    def do_list_units(self, _units: list[str], _request: Reply) -> Reply:
        rows = [[s.unit.name, s.active, s.sub] for s in self.services.values()]
        now = time.monotonic()
        rows += [[t.name, "active", f"elapses in {t.elapses - now:.1f}s"]
                 for t in self.timers.values()]  # fmt: skip
        return {**reply(0, "\n".join("  ".join(row) for row in sorted(rows))), "units": rows}

    def do_kill(self, units: list[str], request: Reply) -> Reply:
        number = signal_number(str(request.get("signal", "TERM")))
        for name in units:
            service = self.service(name)
            main_only = request.get("whom", "all") == "main"
            kill([service.main_pid] if main_only else service.processes(), number)
        return reply(0)

    def do_unit_of(self, _units: list[str], request: Reply) -> Reply:
        """Which service a process of this router belongs to (the lab's own, for `break kill`)."""
        pid = int(request.get("pid", 0))
        for service in self.services.values():
            if pid in service.processes():
                return reply(0, service.unit.name)
        return reply(1)

    def do_run(self, units: list[str], request: Reply) -> Reply:
        """systemd-run: a transient service, now or when a timer elapses."""
        name = full_name(units[0])
        lines = ["[Service]", *(f"{line}" for line in request.get("properties", []))]
        unit = merge(
            name, [(Path("-"), "\n".join(lines))], Path("/run/systemd/transient") / name, ()
        )
        argv = tuple(str(word).replace("$", "$$") for word in request["argv"])
        quoted = shlex.join(argv)
        unit = Unit(unit.name, unit.path, (), {**unit.options, ("Service", "ExecStart"): (quoted,)})
        timer_name = name.removesuffix(".service") + ".timer"
        with self._lock:
            busy = self.services.get(name)
            if timer_name in self.timers or (busy and busy.active not in ("inactive", "failed")):
                raise JobFailed(f"Failed to start transient unit: Unit {name} already exists.")
            service = self.services[name] = Service(unit, self.children)
            delay = request.get("on_active")
            if delay is not None:
                seconds = time_span(str(delay))
                handle = threading.Timer(seconds, self._elapse, (timer_name, service))
                handle.daemon = True
                self.timers[timer_name] = Timer(
                    timer_name, name, time.monotonic() + seconds, handle
                )
                handle.start()
                return reply(0, err=f"Running timer as unit: {timer_name}\n"
                                    f"Will run service as unit: {name}")  # fmt: skip
        service.start()
        return reply(0, err=f"Running as unit: {name}")

    def _elapse(self, timer_name: str, service: Service) -> None:
        if self.timers.pop(timer_name, None) is not None:
            with contextlib.suppress(JobFailed):  # its state says so
                service.start()

    def _state(self, name: str) -> str:
        if name.endswith(".timer"):
            return "active" if full_name(name) in self.timers else "inactive"
        try:
            return self.service(name).active
        except UnitError:
            return "inactive"

    def _properties(self, name: str) -> dict[str, str]:
        if name.endswith(".timer"):
            state = self._state(name)
            return {"Id": name, "ActiveState": state, "LoadState": "loaded"}
        try:
            service = self.service(name)
        except UnitError as error:
            return {"Id": full_name(name), "LoadState": "not-found", "ActiveState": "inactive",
                    "SubState": "dead", "LoadError": str(error)}  # fmt: skip
        unit = service.unit
        return {
            "Id": unit.name,
            "Description": unit.get("Description", unit.name, "Unit"),
            "LoadState": "loaded",
            "ActiveState": service.active,
            "SubState": service.sub,
            "UnitFileState": systemctl.enabled(unit),
            "Result": service.result,
            "MainPID": str(service.main_pid),
            "NRestarts": str(service.restarts),
            "StatusText": service.status_text,
            "StateChangeTimestamp": time.strftime("%F %T UTC", time.gmtime(service.since)),
            "FragmentPath": str(unit.path),
            "DropInPaths": " ".join(map(str, unit.drop_ins)),
            "IgnoredByTheLab": " ".join(unit.ignored()),
            "Processes": " ".join(map(str, service.processes())),
        }


_JOBS: Final = {
    "start": Manager.start,
    "stop": Manager.stop,
    "restart": Manager.restart,
    "try-restart": Manager.try_restart,
    "reload": Manager.reload,
    "reload-or-restart": Manager.reload_or_restart,
    "try-reload-or-restart": Manager.try_reload_or_restart,
    "reset-failed": Manager.reset_failed,
}


def reply(code: int, out: str = "", err: str = "") -> Reply:
    return {"code": code, "out": out, "err": err}


def serve(manager: Manager, connection: socket.socket) -> None:
    """One request, one answer: a JSON line each way, or the words of `client.pl`."""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(5.0)
        request = _received(connection)
        connection.settimeout(None)
        for_people = not request.startswith(b"{")
        try:
            if len(request) > _MAX_REQUEST:
                raise ValueError(f"more than {_MAX_REQUEST} octets")
            if for_people:
                program, *words = os.fsdecode(request).split("\0")
                done = systemctl.run(program, words, manager.answer)
                answer = reply(done.code, done.out, done.err)
            else:
                answer = manager.answer(json.loads(request))
        except Exception as error:  # PID 1 outlives a bad request; the one who asked is told
            answer = reply(1, err=f"lab init: {type(error).__name__}: {error}")
        connection.sendall(_words(answer) if for_people else json.dumps(answer).encode() + b"\n")


def _received(connection: socket.socket) -> bytes:
    """A JSON line, or all that is sent."""
    request = b""
    while len(request) <= _MAX_REQUEST and (part := connection.recv(_MAX_REQUEST)):
        request += part
        if request.startswith(b"{") and request.endswith(b"\n"):
            break
    return request


def _words(answer: Reply) -> bytes:
    """An answer in the form that `client.pl` reads."""
    out, err = (
        os.fsencode(f"{text}\n") if text else b"" for text in (answer["out"], answer["err"])
    )
    return b"%d %d\n%b%b" % (answer["code"], len(out), out, err)


def main() -> None:
    """Run as PID 1, for ever."""
    manager = Manager()
    # keepalived says READY=1 only to a PID 1 of this name; sd_booted(3) looks for the folder.
    Path("/proc/self/comm").write_text("systemd")
    Path("/run/systemd/system").mkdir(parents=True, exist_ok=True)
    control = Path(CONTROL)
    control.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(CONTROL)
    control.chmod(0o600)
    listener.listen(64)
    wake_read, wake_write = socket.socketpair()
    wake_read.setblocking(False)
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    # Handlers that do nothing, never SIG_IGN: services would inherit it, and not hear SIGTERM.
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    threading.Thread(target=manager.boot, daemon=True).start()
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            selector.select(1.0)
            for service in list(manager.services.values()):
                service.watchdog()
            with contextlib.suppress(BlockingIOError):
                wake_read.recv(4096)
            for pid, status in manager.children.reap():
                for service in list(manager.services.values()):
                    if service.main_pid == pid:
                        threading.Thread(
                            target=service.exited, args=(pid, status), daemon=True
                        ).start()
            with contextlib.suppress(BlockingIOError):
                connection, _ = listener.accept()
                connection.setblocking(True)
                threading.Thread(target=serve, args=(manager, connection), daemon=True).start()


if __name__ == "__main__":
    assert os.getpid() == 1, "this program is the init of a virtual router"
    main()
