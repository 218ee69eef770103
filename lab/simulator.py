"""The IOS routers of a lab: one process of `lab.ios` in the fabric, all on port 22.

The lab knows only how to start it, to find it again and to pass it a request; what a request does
is the simulator's.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from . import disk
from .errors import MachineUnfit, NotRunning, RouterFailed
from .fabric import bridge
from .namespaces import inside, kill_until_gone, launch, members, tail
from .router import CODE
from .topology import Topology

ROLE: Final = "simulator"
START_SECONDS: Final = 30.0
_MODULE: Final = f"{__package__}.ios"


def control_socket(directory: Path) -> Path:
    return directory / "ios.sock"


# What somebody typed on the console before we came: the way in, and an archive, without which IOS
# cannot revert by itself.
_CONSOLE: Final = """\
hostname {name}
interface {interface}
 description management
 ip address {address} {mask}
archive
 path flash:archive
 maximum 14
"""
_MANAGEMENT: Final = "GigabitEthernet0/0"


def configuration(
    topology: Topology, directory: Path, secrets: Mapping[str, str]
) -> dict[str, Any]:
    """What `python -m lab.ios --config` reads."""
    mask = str(topology.management.netmask)
    return {
        "control": str(control_socket(directory)),
        "state": str(directory / "ios.state"),
        "bridges": {lan: bridge(lan) for lan in topology.lans},
        "devices": [
            {
                "name": router.name,
                "address": str(router.management),
                "port": 22,
                "host_key": str(disk.host_key_file(topology.name, router.name)),
                "users": {router.username: secrets[router.password]},
                "enable": secrets[router.enable],
                "text": _CONSOLE.format(
                    name=router.name,
                    interface=_MANAGEMENT,
                    address=router.management,
                    mask=mask,
                ),
                "interfaces": {_MANAGEMENT: "management"}
                | {port.interface: port.lan for port in router.ports},
            }
            for router in topology.ios
        ],
    }


def _log(directory: Path) -> Path:
    return directory / "ios.log"


def last_words(directory: Path) -> str:
    """What one that no longer runs said at its end; nothing when there never was one."""
    return tail(_log(directory), 1) if _log(directory).exists() else ""


def running(lab: str) -> int | None:
    return next((m.pid for m in members(lab) if m.role == ROLE), None)


def up(topology: Topology, directory: Path, fabric: int, secrets: Mapping[str, str]) -> int:
    """Make it run with the configuration that it should have; how many routers were started."""
    config = directory / "ios.json"
    wanted = json.dumps(configuration(topology, directory, secrets), indent=1)
    if running(topology.name) is not None:
        if topology.ios and config.exists() and config.read_text() == wanted:
            return 0
        kill_until_gone(topology.name, ROLE)
    if not topology.ios:
        return 0
    if importlib.util.find_spec(f"{_MODULE}.__main__") is None:
        raise MachineUnfit(
            "the IOS simulator is not part of this installation",
            hint="leave the hosts with platform cisco_ios out of the inventory",
        )
    config.touch(mode=0o600)  # it holds the lab's passwords
    config.write_text(wanted)
    control_socket(directory).unlink(missing_ok=True)
    log = _log(directory)
    code = f"import sys; sys.path.insert(0, {str(CODE)!r}); sys.argv[0] = {_MODULE!r}; "
    code += f"import runpy; runpy.run_module({_MODULE!r}, run_name='__main__')"
    program = [sys.executable, "-c", code, "--config", str(config)]
    launch(topology.name, ROLE, [*inside(fabric, "nmp"), *program], log)
    end = time.monotonic() + START_SECONDS
    while not control_socket(directory).exists():
        if running(topology.name) is None or time.monotonic() > end:
            raise RouterFailed(f"the IOS simulator did not start: {tail(log, 5)}")
        time.sleep(0.02)
    return len(topology.ios)


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


def power(directory: Path, name: str, *, on: bool) -> None:
    """Pull, or plug in, the mains of one simulated router."""
    answer = ask(directory, {"do": "power-on" if on else "power-off", "device": name})
    if not answer.get("ok"):
        raise RouterFailed(f"{name}: {answer.get('error', 'the IOS simulator refused')}")
