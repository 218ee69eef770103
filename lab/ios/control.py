"""The control channel of a running simulator: a unix socket, one JSON object a line each way.

    {"do": "list"}                                            every router, where it listens
    {"do": "fault", "device": "r1", "set": {"latency": 0.5}}  set faults (see faults.Faults)
    {"do": "clear", "device": "r1"}                           clear them all
    {"do": "power-off" | "power-on" | "reload", "device": "r1"}
    {"do": "edit", "device": "r1", "lines": ["interface Gi0/1", "shutdown"]}   behind our back
    {"do": "config", "device": "r1"}                          the running configuration
    {"do": "show", "device": "r1", "command": "show standby"}   as somebody on its console sees it
    {"do": "journal", "device": "r1", "after": 0}             lines received, from that one on
    {"do": "withdrawals", "device": "r1"}                     see faults.withdrawals

Answers are `{"ok": true, ...}` or `{"ok": false, "error": "..."}`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
from pathlib import Path
from typing import Any

from .device import Device
from .faults import Entry, Faults, withdrawals
from .server import Host, Server
from .session import Session

_KINDS = {item.name: type(item.default) for item in dataclasses.fields(Faults)}


class BadRequest(Exception):
    """The request cannot be done; the text says why."""


def set_faults(device: Device, wanted: dict[str, Any]) -> None:
    """Set faults by name. Counting of configuration lines starts anew."""
    for name, value in wanted.items():
        kind = _KINDS.get(name)
        if kind is None:
            raise BadRequest(f"unknown fault '{name}' (allowed: {', '.join(_KINDS)})")
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise BadRequest(f"{name}: {value!r} is not a {kind.__name__}")
    for name, value in wanted.items():
        setattr(device.faults, name, float(value) if _KINDS[name] is float else value)
    device.config_lines = 0


class Control:
    """Serves the socket until it is closed."""

    def __init__(self, server: Server, path: Path) -> None:
        self._server = server
        self._path = path
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._listener = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadRequest("expected an object")
            return {"ok": True, **await self.do(request)}
        except (ValueError, BadRequest) as error:
            return {"ok": False, "error": str(error)}

    async def do(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do one request."""
        verb = request.get("do")
        if verb == "list":
            return {"devices": [_described(host) for host in self._server.hosts.values()]}
        host = self._server.hosts.get(str(request.get("device")))
        if host is None:
            raise BadRequest(f"no device '{request.get('device')}'")
        device, now = host.device, self._server.clock()
        match verb:
            case "fault":
                set_faults(device, dict(request.get("set", {})))
            case "clear":
                device.faults = Faults()
            case "power-off":
                device.power_off()
            case "power-on":
                device.power_on(now)
            case "reload":
                device.power_off()
                await self._server.apply_faults(device.name)
                device.power_on(now)
            case "edit":
                lines = "\n".join(str(entry) for entry in request.get("lines", []))
                taken = device.merge(lines, now)
                self._server.settle(host)
                return {"rejected": [[one.number, one.line, one.said] for one in taken]}
            case "config":
                return {"text": device.running_config(), "startup": device.startup}
            case "show":
                session = Session(device, user="", privilege=15, now=now)
                session.length = 0
                said = session.feed(str(request.get("command")), session.opened).text
                session.close()
                return {"text": said}
            case "journal":
                after = int(request.get("after", 0))
                return {"entries": [_entry(one) for one in device.journal[after:]]}
            case "withdrawals":
                found = withdrawals(device.journal)
                return {"found": [dataclasses.asdict(one) for one in found]}
            case _:
                raise BadRequest(f"unknown request '{verb}'")
        await self._server.apply_faults(device.name)
        self._server.settle(host)
        return {}


def _described(host: Host) -> dict[str, Any]:
    device = host.device
    return {
        "name": device.name,
        "address": host.endpoint.address,
        "port": host.port,
        "powered": device.powered,
        "sessions": len(device.sessions),
        "faults": {
            name: value
            for name, value in dataclasses.asdict(device.faults).items()
            if value != getattr(Faults(), name)
        },
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return dataclasses.asdict(entry)


def ask(path: Path, request: dict[str, Any], timeout: float = 10.0) -> dict[str, Any]:
    """Send one request to a running simulator, and wait for its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(timeout)
        channel.connect(str(path))
        channel.sendall(json.dumps(request).encode() + b"\n")
        with channel.makefile("rb") as answers:
            answer = json.loads(answers.readline())
    assert isinstance(answer, dict)
    return answer
