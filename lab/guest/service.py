"""One service of a virtual router: started, watched, restarted and stopped as its unit file says.

The states and results have systemd's names (`systemctl show -p SubState`, `-p Result`), for that
is what an operator and the orchestrator compare with. A job runs in the thread that asked for it,
under the lock of its service: two jobs on one service come one after the other, as in systemd.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from .children import Children, alive, kill, signal_number, with_environment
from .units import Command, Unit, expand, parse_environment, time_span

BASE_ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
START_TIMEOUT: Final = 90.0  # DefaultTimeoutStartSec= of systemd, seconds
START_LIMIT: Final = (5, 10.0)  # DefaultStartLimitBurst= starts in DefaultStartLimitIntervalSec=
CLEAN_SIGNALS: Final = {-signal.SIGHUP, -signal.SIGINT, -signal.SIGTERM, -signal.SIGPIPE}
NOTIFY: Final = Path("/run/systemd/notify")
_DIRECTORIES: Final = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
    "ConfigurationDirectory": "/etc",
}


class JobFailed(Exception):
    """A job that did not do what was asked; the text is what systemctl prints."""


class Service:
    """The life of one unit. Only `Manager` makes these."""

    def __init__(self, unit: Unit, children: Children) -> None:
        self.unit = unit
        self.active, self.sub, self.result = "inactive", "dead", "success"
        self.main_pid = 0
        self.status_text = ""
        self.since = time.time()
        self.restarts = 0
        self.lock = threading.RLock()
        self._children = children
        self._invocation = ""
        self._ready = threading.Condition()
        self._is_ready = False
        self._starts: list[float] = []
        self._pet = 0.0
        self._notify_socket: socket.socket | None = None

    # What others may ask ----------------------------------------------------------------

    def processes(self) -> list[int]:
        """Every process of this run of the service."""
        return with_environment(f"INVOCATION_ID={self._invocation}") if self._invocation else []

    @property
    def log(self) -> Path:
        return Path("/var/log/units") / f"{self.unit.name}.log"

    # Jobs -------------------------------------------------------------------------------

    def start(self, *, again: bool = False) -> None:
        """`again`: restarted by Restart=, which NRestarts counts since somebody started it."""
        with self.lock:
            if not again:
                self.restarts = 0
            if self.active in ("active", "reloading"):
                return
            if (why := unmet_condition(self.unit)) is not None:
                self._set("inactive", "dead")
                self.status_text = f"Condition check resulted in it being skipped: {why}"
                return
            now = time.monotonic()
            burst, interval = self._start_limit()
            self._starts = [t for t in self._starts if now - t < interval] + [now]
            if len(self._starts) > burst:
                self._fail("start-limit-hit")
            self._invocation = os.urandom(16).hex()  # sd-id128(3)
            self._is_ready, self.status_text, self.main_pid = False, "", 0
            self._set("activating", "start")
            try:
                self._prepare()
                self._run_all("ExecStartPre", "start-pre")
                self._start_main()
                self._run_all("ExecStartPost", "start-post")
            except JobFailed:
                self._sweep(signal.SIGKILL)
                raise
            except OSError as error:
                self._sweep(signal.SIGKILL)
                self._log(f"Failed to start: {error}")
                self._fail("resources")

    def stop(self) -> None:
        with self.lock:
            if self.active == "inactive":
                return
            if self.active == "failed" or self.sub == "auto-restart":
                self._set("inactive", "dead")
                return
            self._set("deactivating", "stop")
            for command in self.unit.commands("ExecStop"):
                self._run(command, self._timeout_stop())
            self._end_processes()
            self._after_stop()
            self._set("inactive", "dead")

    def reload(self) -> None:
        with self.lock:
            commands = self.unit.commands("ExecReload")
            if self.active != "active":
                raise JobFailed(f"{self.unit.name} is not active, cannot reload.")
            if not commands:
                raise JobFailed(
                    f"Failed to reload {self.unit.name}: Job type reload is not applicable "
                    f"for unit {self.unit.name}."
                )
            self._set("reloading", "reload")
            try:
                for command in commands:
                    status = self._run(command, self._timeout_start())
                    if status != 0 and not command.may_fail:
                        raise JobFailed(
                            f"Job for {self.unit.name} failed.\n"
                            f'See "journalctl -u {self.unit.name}" for details.'
                        )
            finally:
                self._set("active", "running")
                self._follow_pid_file()

    def restart(self) -> None:
        with self.lock:
            self.stop()
            self.start()

    def reset_failed(self) -> None:
        with self.lock:
            self._starts = []
            if self.active == "failed":
                self._set("inactive", "dead")

    # What happens to it -----------------------------------------------------------------

    def exited(self, pid: int, status: int) -> None:
        """A process of the router ended: if it was the main one, decide what follows."""
        if pid != self.main_pid:
            return
        with self._ready:
            self._ready.notify_all()
        with self.lock:
            if pid != self.main_pid or self.active not in ("active", "reloading"):
                return
            self._main_gone(status)

    def notified(self, message: str) -> None:
        """A datagram of sd_notify(3)."""
        fields = dict(line.split("=", 1) for line in message.splitlines() if "=" in line)
        with self._ready:
            if "MAINPID" in fields and fields["MAINPID"].isdigit():
                self.main_pid = int(fields["MAINPID"])
            self.status_text = fields.get("STATUS", self.status_text)
            self._pet = time.monotonic()
            if fields.get("READY") == "1":
                self._is_ready = True
            self._ready.notify_all()

    def watchdog(self) -> None:
        """Called about once a second: a service that has not said WATCHDOG=1 in time is killed."""
        limit = self.unit.seconds("WatchdogSec", 0.0)
        if not limit or self.unit.type != "notify" or self.sub != "running" or not self.main_pid:
            return
        if time.monotonic() - self._pet > limit:
            self._log(f"Watchdog timeout (limit {limit:g}s)!")
            self.result = "watchdog"
            kill([self.main_pid], signal.SIGABRT)

    # How it is done ---------------------------------------------------------------------

    def _start_main(self) -> None:
        unit, commands = self.unit, self.unit.commands("ExecStart")
        if unit.type == "oneshot":
            for command in commands:
                if self._run(command, self._timeout_start()) != 0 and not command.may_fail:
                    self._fail("exit-code")
            if unit.flag("RemainAfterExit"):
                self._set("active", "exited")
            else:
                self._after_stop()
                self._set("inactive", "dead")
            return
        if not commands:
            raise JobFailed(f"{unit.name} has no ExecStart= setting. Refusing.")
        self._pet = time.monotonic()
        child = self._spawn(commands[0])
        deadline = self._timeout_start()
        if unit.type == "forking":
            status = self._children.wait(child, deadline)
            if status != 0:
                self._fail("timeout" if status is None else "exit-code")
            self._follow_pid_file()
        else:
            self.main_pid = child.pid
            if unit.type in ("notify", "notify-reload"):
                self._wait_until_ready(child, deadline)
        self._set("active", "running")
        if self.main_pid == child.pid and child.returncode is not None:
            self._main_gone(child.returncode)

    def _wait_until_ready(self, child: subprocess.Popen[bytes], seconds: float) -> None:
        with self._ready:
            self._ready.wait_for(lambda: self._is_ready or child.returncode is not None, seconds)
        if self._is_ready:
            return
        status = child.returncode
        if status is None:
            self._log("Start operation timed out. Terminating.")
            self._fail("timeout")
        self._log(f"Main process exited before it said READY=1, status={status}")
        self._fail("protocol" if status == 0 else "exit-code")

    def _main_gone(self, status: int) -> None:
        clean = status == 0 or status in CLEAN_SIGNALS
        if not clean and self.result != "watchdog":
            self.result = "exit-code" if status > 0 else "signal"
        self._log(f"Main process exited, {_describe(status)}")
        self._end_processes()
        self._after_stop()
        if self._wants_restart(status, clean):
            self._set("activating", "auto-restart", keep_result=True)
            self.restarts += 1
            delay = self.unit.seconds("RestartSec", 0.1)
            timer = threading.Timer(delay, self._restart_if_waiting)
            timer.daemon = True
            timer.start()
        else:
            self._set("inactive" if clean else "failed", "dead" if clean else "failed",
                      keep_result=True)  # fmt: skip

    def _wants_restart(self, status: int, clean: bool) -> bool:
        if str(status) in self.unit.words("RestartPreventExitStatus"):
            return False
        policy = self.unit.get("Restart", "no")
        abnormal = (status < 0 and not clean) or self.result == "watchdog"
        return {
            "always": True,
            "on-success": clean,
            "on-failure": not clean,
            "on-abnormal": abnormal,
            "on-abort": status < 0 and not clean,
            "on-watchdog": self.result == "watchdog",
        }.get(policy, False)

    def _restart_if_waiting(self) -> None:
        with self.lock:
            if self.sub == "auto-restart":
                with contextlib.suppress(JobFailed):  # its state says so
                    self.start(again=True)

    def _end_processes(self) -> None:
        """KillMode=: SIGTERM to whom it concerns, SIGKILL to those who are left at the timeout."""
        mode = self.unit.get("KillMode", "control-group")
        if mode == "none":
            return
        first = signal_number(self.unit.get("KillSignal", "SIGTERM"))
        end = time.monotonic() + self._timeout_stop()
        concerned = self._concerned(mode)
        kill(concerned, first)
        kill(concerned, signal.SIGCONT)
        while (left := self._concerned(mode)) and time.monotonic() < end:
            time.sleep(0.01)
        if left:
            self._log(f"State 'stop-sigterm' timed out. Killing {len(left)} process(es).")
            kill(left, signal.SIGKILL)

    def _concerned(self, mode: str) -> list[int]:
        if mode in ("process", "mixed") and self.main_pid:
            return [self.main_pid] if alive(self.main_pid) else []
        return [pid for pid in self.processes() if alive(pid)]

    def _sweep(self, number: int) -> None:
        kill(self.processes(), number)

    def _after_stop(self) -> None:
        self.main_pid = 0
        for command in self.unit.commands("ExecStopPost"):
            self._run(command, self._timeout_stop())
        self._deaf()
        if self.unit.get("RuntimeDirectoryPreserve", "no") == "no":
            for name in self.unit.words("RuntimeDirectory"):
                shutil.rmtree(Path("/run") / name, ignore_errors=True)

    def _follow_pid_file(self) -> None:
        """The main process of a forking service is the one whose number stands in PIDFile=."""
        if not (name := self.unit.get("PIDFile")):
            return
        path, end = Path("/run") / name, time.monotonic() + 5.0
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                self.main_pid = int(path.read_text())
                return
            time.sleep(0.01)
        self._log(f"Can't open PID file {path} (yet?) after start")

    def _prepare(self) -> None:
        owner, group = self._account()
        for option, base in _DIRECTORIES.items():
            mode = int(self.unit.get(f"{option}Mode", "0755"), 8)
            for name in self.unit.words(option):
                directory = Path(base) / name.split(":")[0]
                directory.mkdir(parents=True, exist_ok=True)
                directory.chmod(mode)
                if owner is not None:
                    shutil.chown(directory, owner, group)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.unit.type.startswith("notify") or self.unit.get("NotifyAccess", "none") != "none":
            NOTIFY.mkdir(parents=True, exist_ok=True)
            path = NOTIFY / self.unit.name
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            listener.bind(str(path))
            path.chmod(0o666)  # a service under User= must reach it
            self._deaf()
            self._notify_socket = listener
            threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    def _listen(self, listener: socket.socket) -> None:
        """Take what the service says through sd_notify(3), until the socket is shut down."""
        with listener:
            while (message := listener.recv(4096)) or self._notify_socket is listener:
                self.notified(message.decode(errors="replace"))  # keepalived sends empty ones

    def _deaf(self) -> None:
        if self._notify_socket is not None:
            listener, self._notify_socket = self._notify_socket, None
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)

    def _environment(self) -> dict[str, str]:
        environment = dict(BASE_ENVIRONMENT)
        user, _ = self._account()
        if user is not None:
            entry = pwd.getpwnam(user)
            environment |= {"USER": user, "LOGNAME": user, "HOME": entry.pw_dir}
        for name in ("Runtime", "State", "Cache", "Logs", "Configuration"):
            if values := self.unit.words(f"{name}Directory"):
                base = _DIRECTORIES[f"{name}Directory"]
                environment[f"{name.upper()}_DIRECTORY"] = ":".join(f"{base}/{v}" for v in values)
        environment |= parse_environment(self.unit.all("Environment"))
        for name in self.unit.all("EnvironmentFile"):
            path = Path(name.removeprefix("-"))
            if path.exists() or not name.startswith("-"):
                environment |= parse_environment(path.read_text().splitlines())
        environment["INVOCATION_ID"] = self._invocation
        if self._notify_socket is not None:
            environment["NOTIFY_SOCKET"] = str(NOTIFY / self.unit.name)
        if (limit := self.unit.seconds("WatchdogSec", 0.0)) and self.unit.type == "notify":
            environment["WATCHDOG_USEC"] = str(round(limit * 1e6))
        if self.main_pid:
            environment["MAINPID"] = str(self.main_pid)
        return environment

    def _account(self) -> tuple[str | None, str | None]:
        user = self.unit.get("User") or None
        group = self.unit.get("Group") or None
        if user is not None and group is None:
            group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
        return user, group

    def _spawn(self, command: Command) -> subprocess.Popen[bytes]:
        environment = self._environment()
        argv = expand(command.argv, environment)
        user, group = self._account()
        groups = [*self.unit.words("SupplementaryGroups")] if user or group else None
        if user is not None:
            member_of = os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
            groups = [*(groups or []), *(grp.getgrgid(gid).gr_name for gid in member_of)]
        if nice := self.unit.get("Nice"):
            argv = ["nice", "-n", nice, *argv]
        if limit := self.unit.get("LimitNOFILE"):
            argv = ["prlimit", f"--nofile={limit}", *argv]
        if ambient := self.unit.words("AmbientCapabilities"):
            wanted = ",".join("+" + name.lower().removeprefix("cap_") for name in ambient)
            identity = [f"--reuid={user}"] if user else []
            identity += [f"--regid={group}", f"--groups={','.join(groups or [])}"] if group else []
            argv = ["setpriv", *identity, f"--inh-caps={wanted}", f"--ambient-caps={wanted}", *argv]
            user = group = groups = None
        with self._output() as output:
            return self._children.spawn(
                argv,
                environment,
                output,
                cwd=self.unit.get("WorkingDirectory", "/").removeprefix("-") or "/",
                user=user,
                group=group,
                groups=groups,
                umask=int(self.unit.get("UMask", "0022"), 8),
            )

    def _run(self, command: Command, seconds: float) -> int | None:
        child = self._spawn(command)
        status = self._children.wait(child, seconds)
        if status is None:
            self._log(f"{command.argv[0]} timed out after {seconds:g}s. Killing.")
            kill([child.pid], signal.SIGKILL)
        elif status != 0:
            self._log(f"{' '.join(command.argv)}: {_describe(status)}")
        return status

    def _run_all(self, option: str, sub: str) -> None:
        for command in self.unit.commands(option):
            if option != "ExecStartPost":
                self._set("activating", sub)
            if self._run(command, self._timeout_start()) != 0 and not command.may_fail:
                self._fail("exit-code")

    def _fail(self, result: str) -> None:
        self.result = result
        self._set("failed", "failed", keep_result=True)
        raise JobFailed(
            f"Job for {self.unit.name} failed ({result}).\n"
            f'See "systemctl status {self.unit.name}" and "journalctl -u {self.unit.name}" '
            "for details."
        )

    def _set(self, active: str, sub: str, *, keep_result: bool = False) -> None:
        self.active, self.sub, self.since = active, sub, time.time()
        if not keep_result and active in ("activating", "inactive"):
            self.result = "success"

    def _start_limit(self) -> tuple[int, float]:
        """StartLimit...= stands in [Unit]; older files (FRR's) have it in [Service]."""
        burst, interval = START_LIMIT
        for section in ("Service", "Unit"):
            burst = int(self.unit.get("StartLimitBurst", str(burst), section))
            for option in ("StartLimitInterval", "StartLimitIntervalSec"):
                if text := self.unit.get(option, "", section):
                    interval = time_span(text)
        return burst, interval

    def _timeout_start(self) -> float:
        return self.unit.seconds("TimeoutStartSec", self.unit.seconds("TimeoutSec", START_TIMEOUT))

    def _timeout_stop(self) -> float:
        return self.unit.seconds("TimeoutStopSec", self.unit.seconds("TimeoutSec", START_TIMEOUT))

    def _output(self) -> IO[bytes]:
        return self.log.open("ab", buffering=0)

    def _log(self, text: str) -> None:
        with contextlib.suppress(OSError), self._output() as output:
            output.write(f"{time.strftime('%FT%TZ', time.gmtime())} systemd[1]: {text}\n".encode())


def unmet_condition(unit: Unit) -> str | None:
    """The first Condition that does not hold, as `ConditionPathExists=/x`."""
    checks: dict[str, Callable[[Path], bool]] = {
        "ConditionPathExists": Path.exists,
        "ConditionPathIsDirectory": Path.is_dir,
        "ConditionFileNotEmpty": lambda p: p.is_file() and p.stat().st_size > 0,
        "ConditionFileIsExecutable": lambda p: p.is_file() and os.access(p, os.X_OK),
    }
    for option, check in checks.items():
        for value in unit.all(option, "Unit"):
            negated = value.startswith("!")
            if check(Path(value.lstrip("!|"))) == negated:
                return f"{option}={value}"
    return None


def _describe(status: int) -> str:
    if status < 0:
        return f"code=killed, status={-status}/{signal.Signals(-status).name.removeprefix('SIG')}"
    return f"code=exited, status={status}"
