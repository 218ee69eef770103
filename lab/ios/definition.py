"""The file that says which routers to run: JSON, checked whole before anything starts.

    {"state": "state", "control": "control.sock",
     "devices": [{"name": "ios1", "address": "127.0.0.1", "port": 2201,
                  "interfaces": {"GigabitEthernet0/1": "lan1"},
                  "startup": "ios1.cfg", "host_key": "ios1.key",
                  "users": {"admin": "admin"}, "enable": "secret", "privilege": 1}]}

Only `name` is required of a device. Paths are relative to the file. `startup` is a file and
`text` the text itself; a saved startup-config in the state directory goes before both. `host_key`
is the private key of its SSH server, made when it is not there. `bridges` gives LANs that exist:
the bridge of each, in the network namespace that the simulator runs in; needs root.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .device import Device
from .names import full_name
from .network import Network
from .server import Endpoint, Host


class BadDefinition(Exception):
    """Everything that is wrong with the file, one line each."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


@dataclass(frozen=True, slots=True)
class Definition:
    """What to run."""

    hosts: tuple[Host, ...]
    network: Network
    state: Path | None
    control: Path | None
    bridges: Mapping[str, str]  # LAN -> bridge


_KEYS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "address": (str,),
    "port": (int,),
    "interfaces": (dict, list),
    "startup": (str,),
    "host_key": (str,),
    "text": (str,),
    "users": (dict,),
    "enable": (str,),
    "privilege": (int,),
}


def read_definition(file: Path, now: float) -> Definition:
    """Read the file, or raise BadDefinition with all that is wrong."""
    problems: list[str] = []
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BadDefinition(file, [str(error)]) from None
    if not isinstance(data, dict) or not isinstance(data.get("devices"), list):
        raise BadDefinition(file, ["expected an object with a list of `devices`"])
    problems += [
        f"unknown key '{key}' (allowed: bridges, control, devices, state)"
        for key in data
        if key not in ("bridges", "state", "control", "devices")
    ]
    hosts: list[Host] = []
    network = Network()
    for index, entry in enumerate(data["devices"]):
        host = _host(entry, f"devices[{index}]", file.parent, now, problems)
        if host is None:
            continue
        if host.device.name in network.devices:
            problems.append(f"devices[{index}].name: '{host.device.name}' is there twice")
        network.add(host.device)
        hosts.append(host)
    if problems:
        raise BadDefinition(file, problems)
    return Definition(
        tuple(hosts),
        network,
        file.parent / data["state"] if "state" in data else None,
        file.parent / data["control"] if "control" in data else None,
        {str(lan): str(bridge) for lan, bridge in data.get("bridges", {}).items()},
    )


def _host(entry: Any, where: str, folder: Path, now: float, problems: list[str]) -> Host | None:
    if not isinstance(entry, dict) or not entry.get("name"):
        problems.append(f"{where}: expected an object with a `name`")
        return None
    before = len(problems)
    for key, value in entry.items():
        if key not in _KEYS:
            problems.append(f"{where}: unknown key '{key}' (allowed: {', '.join(_KEYS)})")
        elif not isinstance(value, _KEYS[key]):
            problems.append(f"{where}.{key}: {value!r} is of the wrong type")
    interfaces = entry.get("interfaces", {})
    problems += [
        f"{where}.interfaces: '{name}' is no interface"
        for name in (interfaces if isinstance(interfaces, dict | list) else ())
        if full_name(str(name)) is None
    ]
    text = entry.get("text", "")
    if isinstance(entry.get("startup"), str):
        try:
            text = (folder / entry["startup"]).read_text()
        except OSError as error:
            problems.append(f"{where}.startup: {error}")
    if len(problems) > before:
        return None
    lans = interfaces if isinstance(interfaces, dict) else dict.fromkeys(interfaces, "")
    options: dict[str, Any] = {
        "users": entry.get("users"),
        "enable": entry.get("enable"),
        "privilege": entry.get("privilege", 1),
        "now": now,
    }
    if lans:
        device = Device(
            entry["name"],
            interfaces={full_name(name) or name: lan for name, lan in lans.items()},
            **options,
        )
        rejected = device.load(text)
    else:
        device = Device.from_text(entry["name"], "", **options)
        device.hardware = Device.from_text(entry["name"], text).hardware
        rejected = device.load(text)
    device.startup = text or None
    problems += [
        f"{where}: line {one.number} of its configuration is not taken: {one.line.strip()!r}"
        for one in rejected
    ]
    return Host(
        device,
        Endpoint(entry.get("address", "127.0.0.1"), entry.get("port", 0)),
        folder / entry["host_key"] if "host_key" in entry else None,
    )
