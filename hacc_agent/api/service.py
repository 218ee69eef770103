"""`hacc-agent api`, from its file to a running server and to a clean stop.

All that needs a right is done before the first octet of a stranger: the file, the key, the port.
Then the process becomes nobody, in the one group that may ask the daemon, and can never be more.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import pwd
import signal
import socket
import ssl
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from .. import __version__, privileges
from ..control import NAME as SOCKET
from ..control import ask
from ..hsrp.guard import name_process
from ..logs import Logs
from ..notify import Notifier
from .access import Access
from .config import ApiConfig
from .feed import Feed
from .file import load, tls
from .gate import Gate
from .metrics import Meters
from .operations import Operations
from .page import page
from .protocol import Protocol

NAME: Final = "hacc-agent-api"  # of the unit, and of the process: the daemon's is another
SHAKE_S: Final = 5.0  # for the TLS handshake
HEAD: Final = 16_384  # octets of a request's line and headers
IDLE_S: Final = 20  # that a connection may stay without a request
SPARE: Final = 256  # connections beside those of listeners
BACKLOG: Final = 128
USER: Final = "nobody"  # who owns no file
LATE: Final = ("anyio._backends._asyncio", "concurrent.futures.thread")
"""Modules that the libraries load when they first need them: nobody may not read root's own."""

DRAIN_S: Final = 2.0  # for answers that are under way when it is stopped


def run(file: Path) -> int:
    """Until somebody stops it; the exit code. Raises `Unusable`."""
    name_process(NAME)
    config = load(file)
    context = tls(config, file)
    logs = Logs(sys.stderr.fileno(), time.time, sys.stderr.isatty())
    with ExitStack() as stack:
        stack.callback(logs.close)
        try:
            listener = _listen(config)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            logs.error("cannot start", why=f"{config.address}:{config.port}: {reason}")
            return 1
        stack.callback(listener.close)
        feed = Feed(
            partial(_asked, Path(config.runtime_directory)),
            time.monotonic,
            time.time,
            config.listeners,
        )
        settings = _settings(assemble(config, feed, logs), config.listeners)
        for name in ("uvicorn.error", "asyncio"):
            logging.getLogger(name).addHandler(_Handler(logs))
            logging.getLogger(name).propagate = False
        for module in LATE:
            importlib.import_module(module)
        privileges.drop((), _nobody(Path(config.runtime_directory)))
        asyncio.run(_serve(settings, feed, context, listener, logs))
    return 0


def _listen(config: ApiConfig) -> socket.socket:
    made = socket.create_server((str(config.address), config.port), backlog=BACKLOG)
    made.setblocking(False)
    return made


def _nobody(folder: Path) -> pwd.struct_passwd | None:
    """Nobody, in the group of the daemon's socket: this one, if root has not started us."""
    if os.geteuid() != 0:
        return None
    group = 0
    for path in (folder / SOCKET, folder):
        if path.exists():
            group = path.stat().st_gid
            break
    found = pwd.getpwnam(USER)
    return pwd.struct_passwd((*found[:3], group, *found[4:]))


class _Handler(logging.Handler):
    """What the libraries have to say, within the log's allowance."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(logging.WARNING)
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        self._logs.limited(str(record.msg))


def _settings(application: Gate, listeners: int) -> uvicorn.Config:
    made = uvicorn.Config(
        application,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=listeners + SPARE,
        timeout_keep_alive=IDLE_S,
        h11_max_incomplete_event_size=HEAD,
    )
    made.load()
    return made


async def _serve(
    settings: uvicorn.Config,
    feed: Feed,
    context: ssl.SSLContext,
    listener: socket.socket,
    logs: Logs,
) -> None:
    loop = asyncio.get_running_loop()
    state = ServerState()
    address, port = listener.getsockname()
    server = await loop.create_server(
        lambda: Protocol(settings, state, {}),
        sock=listener,
        ssl=context,
        ssl_handshake_timeout=SHAKE_S,
        ssl_shutdown_timeout=1.0,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    notifier = Notifier(os.environ)
    logs.info("ready", version=__version__, address=f"https://{address}:{port}")
    notifier.ready(f"https://{address}:{port}")
    while not stop.is_set():
        logs.tick()
        notifier.alive(f"{feed.listeners} listeners")
        try:
            async with asyncio.timeout(1.0):
                await stop.wait()
        except TimeoutError:
            continue
    notifier.stopping("ending what is under way")
    server.close()
    feed.close()
    if state.tasks:
        await asyncio.wait(tuple(state.tasks), timeout=DRAIN_S)
    for connection in tuple(state.connections):
        connection.transport.abort()
    notifier.close()
    logs.info("stopped")


def assemble(config: ApiConfig, feed: Feed, logs: Logs) -> Gate:
    """The application of a daemon."""
    meters = Meters()
    ordered = partial(logs.info, "ordered")
    operations = Operations(feed, meters, ordered)
    return Gate(operations, page(), Access(config), meters, logs, time.monotonic)


def _asked(folder: Path, command: str, **arguments: Any) -> Any:
    return ask(folder, command, **arguments)
