"""One Linux router: booted from its disk, and spoken to through its PID 1."""

from __future__ import annotations

import compileall
import json
import shlex
import socket
import sys
from pathlib import Path
from typing import Any, Final

from .disk import LAYERS
from .errors import RouterFailed
from .namespaces import SANE_PATH, inside, unshare
from .topology import Router

_PACKAGE: Final = __name__.rpartition(".")[0]  # "lab"; in a wheel "hacc_agent.lab"
CODE: Final = Path(__file__).resolve().parents[_PACKAGE.count(".") + 1]  # what is on sys.path
CLIENT: Final = Path(__file__).with_name("guest") / "client.pl"  # systemctl and its kin
ROLE: Final = "router/"  # and its name
# What a router must not be able to do (`guest.boot`). Whoever comes in from outside (nsenter) has
# the machine's capabilities, and must give these up as well.
CONFINED: Final = ("setpriv", "--bounding-set=-sys_time,-sys_module,-sys_boot", "--")
PRIVATE: Final = {"/tmp": "1777", "/var/tmp": "1777", "/run": "755"}  # /run last: disks are there
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


def _pid_1(router: Router, disk: Path) -> list[str]:
    """The command line of PID 1, wherever this package is installed."""
    needed = [str(path) for path in sorted({CODE, Path(sys.prefix), Path(sys.base_prefix)})]
    code = (
        f"import sys; sys.path.insert(0, {str(CODE)!r}); "
        f"from {_PACKAGE}.guest.boot import boot; "
        f"boot({router.name!r}, {str(disk)!r}, {dict(LAYERS)!r}, {PRIVATE!r}, {needed!r}); "
        f"from {_PACKAGE}.guest.init import main; main()"
    )
    return [sys.executable, "-S", "-E", "-s", "-c", code]


def boot_log(disk: Path) -> Path:
    return disk / "boot.log"


def boot(lab: str, router: Router, disk: Path) -> None:
    """Start it; the disk must have been made."""
    unshare(lab, ROLE + router.name, _pid_1(router, disk), boot_log(disk))


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
