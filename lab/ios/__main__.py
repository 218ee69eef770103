"""`python -m lab.ios --config FILE.json`: run simulated IOS routers until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from pathlib import Path

from .control import Control
from .definition import BadDefinition, Definition, read_definition
from .plane import Planes
from .server import Server
from .snmp_agent import bind

SSH = 22


async def _run(definition: Definition) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Server(list(definition.hosts), state=definition.state) as server:
        control = Control(server, definition.control) if definition.control else None
        if control is not None:
            await control.start()
        devices = {name: host.device for name, host in server.hosts.items()}
        there = Planes(devices, definition.bridges, _complain)
        for name, host in server.hosts.items():
            if host.port == SSH:  # it has an address of its own, and all of its ports
                there.agents[name].listen(bind(host.endpoint.address))
        planes = asyncio.create_task(there.run())
        planes.add_done_callback(lambda _: stop.set())
        ready = {name: [host.endpoint.address, host.port] for name, host in server.hosts.items()}
        print(json.dumps({"ready": ready}), flush=True)
        await stop.wait()
        planes.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await planes
        if control is not None:
            await control.close()


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Answers the exit code: 0, or 1 when the file or an address is bad."""
    parser = argparse.ArgumentParser(prog="python -m lab.ios", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="which routers to run")
    options = parser.parse_args(argv)
    try:
        asyncio.run(_run(read_definition(options.config, time.time())))
    except (BadDefinition, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
