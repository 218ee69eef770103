"""Thousands of routers in one process: a listener for all of them, an address of loopback each.

    python -m lab.ios.crowd FILE.json        FILE: {"127.64.0.1": "hostname r1 ...", ...}

It prints {"ready": PORT}, and serves until its standard input ends.

A router is made when somebody first calls it, from its text, and stays. What they share is the
listener, its host key and the rules of the language, so ten thousand cost about a gigabyte, and
nothing until they are called. `Server` is for routers that are somebody: with keys, files and LANs
of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncssh

from .device import Device
from .server import Endpoint, Host, Login, Server


class Crowd:
    """The routers that are there, by the addresses that they answer at."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._server = Server([])

    async def listen(self, port: int) -> asyncssh.SSHAcceptor:
        """Open for all of them; port 0 takes a free one."""
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Every address of loopback, and no way in from anywhere else.
        door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        door.bind(("0.0.0.0", port))
        return await asyncssh.listen(
            sock=door,
            server_factory=lambda: Login(self._server, self._called),
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            encoding=None,
            server_version="HACC_IOS_simulator",
            gss_host=None,
            x11_forwarding=False,
            agent_forwarding=False,
            login_timeout=60,
            backlog=1024,
        )

    def _called(self, connection: asyncssh.SSHServerConnection) -> Host:
        address, *_ = connection.get_extra_info("sockname")
        hosts = self._server.hosts
        if address not in hosts:
            # Nobody's address is a router without a configuration, which no password opens.
            device = Device.from_text(address, self._texts.get(address, ""))
            hosts[address] = Host(device, Endpoint(address))
        return hosts[address]


async def _run(texts: Mapping[str, str], port: int) -> None:
    acceptor = await Crowd(texts).listen(port)
    gc.freeze()  # the tables of the language are never garbage
    print(json.dumps({"ready": acceptor.get_port()}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    acceptor.close()
    await acceptor.wait_closed()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.ios.crowd", description=__doc__)
    parser.add_argument("config", type=Path, help='{"ADDRESS": "configuration", ...}, as JSON')
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(_run(json.loads(options.config.read_text()), options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
