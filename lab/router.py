"""One Linux router: booted from its disk, and spoken to through its PID 1."""

from __future__ import annotations

import compileall
import contextlib
import json
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from .disk import LAYERS
from .errors import RouterFailed
from .namespaces import SANE_PATH, environment, inside, mark, tail
from .topology import Router

_PACKAGE: Final = __name__.rpartition(".")[0]  # "lab"; in a wheel "hacc_agent.lab"
CODE: Final = Path(__file__).resolve().parents[_PACKAGE.count(".") + 1]  # what is on sys.path
CLIENT: Final = Path(__file__).with_name("guest") / "client.pl"  # systemctl and its kin
ROLE: Final = "router/"  # and its name
BEAR_S: Final = 30.0  # for the last of the routers to be forked, when all disks are made
# What a router must not be able to do (`guest.boot`). Whoever comes in from outside (nsenter) has
# the machine's capabilities, and must give these up as well.
CONFINED: Final = ("setpriv", "--bounding-set=-sys_time,-sys_module,-sys_boot", "--")
PRIVATE: Final = {"/tmp": "1777", "/var/tmp": "1777", "/run": "755", "/dev/shm": "1777"}
SHELL_ENVIRONMENT: Final = {
    "HOME": "/run/root",
    "LANG": "C.UTF-8",
    "LOGNAME": "root",
    "PATH": SANE_PATH,
    "SHELL": "/bin/bash",
    "USER": "root",
}


def programs() -> dict[str, str]:
    """Scripts that a router has below /usr/local: systemd's commands, and the agent."""
    client = CLIENT.read_text()
    found = {f"sbin/{name}": client for name in ("systemctl", "systemd-run", "journalctl")}
    code = (
        f"import sys; sys.path.insert(0, {str(CODE)!r}); "
        "from hacc_agent.cli import main; sys.exit(main())"
    )
    # As installed here, with its libraries; a router has it from its package. numpy starts a thread
    # of linear algebra for each processor, for which fifty agents on one machine have no use.
    python = f"OPENBLAS_NUM_THREADS=1 exec {shlex.quote(sys.executable)}"
    agent = f'{python} -E -s -c {shlex.quote(code)} "$@"'
    return found | {"bin/hacc-agent": f"#!/bin/sh\n{agent}\n"}


def compile_code() -> None:
    """Once for all routers: a router sees this code, but cannot keep what it has compiled of it."""
    for room in ("hacc_agent", f"{_PACKAGE.replace('.', '/')}/guest"):
        compileall.compile_dir(CODE / room, quiet=2)


def boot_log(disk: Path) -> Path:
    return disk / "boot.log"


class Nursery:
    """The process that starts routers (`guest.nursery`). They run when the context is left."""

    def __init__(self, lab: str, log: Path) -> None:
        """`log` is for what goes wrong before there is a router."""
        self._lab, self._log = lab, log

    def __enter__(self) -> Self:
        code = (
            f"import sys; sys.path.insert(0, {str(CODE)!r}); "
            f"from {_PACKAGE}.guest.nursery import main; main()"
        )
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", "-s", "-c", code],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment(self._lab, "nursery"),
                text=True,
            )
        return self

    def boot(self, router: Router, disk: Path) -> None:
        """Start it; the disk must have been made."""
        disk = disk.resolve()
        log = boot_log(disk)
        log.unlink(missing_ok=True)
        order = {
            "mark": mark(self._lab, ROLE + router.name),
            "log": str(log),
            "name": router.name,
            "disk": str(disk),
            "layers": dict(LAYERS),
            # What holds the disk comes last: it is out of sight then.
            "folders": {
                folder: PRIVATE[folder]
                for folder in sorted(PRIVATE, key=disk.is_relative_to)
                if Path(folder).is_dir()
            },
            "needed": sorted({str(CODE), sys.prefix, sys.base_prefix}),
        }
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its log says why
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=BEAR_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode and error is None:
            raise RouterFailed(f"no router can be started: {tail(self._log)}")


def ask(pid: int, request: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
    """One request to the init of the router whose PID 1 is `pid` on this machine."""
    path = f"/proc/{pid}/root/run/systemd/lab.sock"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer: dict[str, Any] = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise RouterFailed(
            f"the init of the router (pid {pid}) does not answer: {error}"
        ) from error
    return answer


def enter(pid: int) -> list[str]:
    """The start of a command line that runs the rest as the router itself would."""
    return [*inside(pid), *CONFINED]


def shell_command(pid: int, command: list[str], term: str = "") -> tuple[list[str], dict[str, str]]:
    """argv and environment of a command, or of a login shell, inside the router."""
    environment = SHELL_ENVIRONMENT | ({"TERM": term} if term else {})
    argv = command or ["/bin/bash", "-l"]
    return [*enter(pid), "sh", "-c", 'cd "$HOME"; exec "$@"', "sh", *argv], environment
