"""The IOS routers of a lab: one process of `lab.ios` in the fabric, all on port 22.

The lab knows only how to start it, to find it again and to pass it a request; what a request does
is the simulator's.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from .errors import MachineUnfit, NotRunning, RouterFailed
from .namespaces import MARK, SANE_PATH, inside
from .router import CODE
from .topology import Topology

ROLE: Final = "simulator"
_MODULE: Final = f"{__package__}.ios"


def control_socket(directory: Path) -> Path:
    return directory / "ios.sock"


def configuration(topology: Topology, directory: Path) -> dict[str, Any]:
    """What `python -m lab.ios --config` reads."""
    return {
        "control": str(control_socket(directory)),
        "state": str(directory / "ios.state.json"),
        "devices": [
            {
                "name": router.name,
                "address": str(router.management),
                "port": 22,
                "username": router.username,
                "password": topology.password,
                "secret": topology.password,
                "interfaces": {
                    port.interface: {"lan": port.lan, "address": str(port.address or "")}
                    for port in router.ports
                },
            }
            for router in topology.ios
        ],
    }


def start(topology: Topology, directory: Path, fabric: int) -> subprocess.Popen[bytes]:
    """Start it as a member of the lab, in the fabric's network and PID namespaces."""
    if importlib.util.find_spec(f"{_MODULE}.__main__") is None:
        raise MachineUnfit(
            "the IOS simulator is not part of this installation",
            hint="leave the hosts with platform cisco_ios out of the inventory",
        )
    config = directory / "ios.json"
    config.touch(mode=0o600)  # it holds the lab's password
    config.write_text(json.dumps(configuration(topology, directory), indent=1))
    control_socket(directory).unlink(missing_ok=True)
    with (directory / "ios.log").open("ab") as log:
        return subprocess.Popen(
            [*inside(fabric, "nmp"), sys.executable, "-m", _MODULE, "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=CODE,
            env={"PATH": SANE_PATH, "LANG": "C.UTF-8", MARK: f"{topology.name}/{ROLE}",
                 "PYTHONPATH": str(CODE)},
        )  # fmt: skip


def wait_until_up(process: subprocess.Popen[bytes], directory: Path, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if control_socket(directory).exists():
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    log = (directory / "ios.log").read_text(errors="replace").strip().splitlines()
    raise RouterFailed("the IOS simulator did not start", *log[-5:])


def ask(directory: Path, request: dict[str, Any], seconds: float = 10.0) -> dict[str, Any]:
    """One JSON line to its control socket, one back."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(control_socket(directory)))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer: dict[str, Any] = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise NotRunning(f"the IOS simulator does not answer: {error}") from error
    return answer
