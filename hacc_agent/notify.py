"""Tells the service manager how we are: systemd's notification protocol, one datagram a message.

Without a service manager there is no NOTIFY_SOCKET, and nothing is said.
https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """The manager's socket, if there is one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self, status: str) -> None:
        self._say(f"READY=1\nSTATUS={status}\nMAINPID={os.getpid()}")

    def alive(self, status: str) -> None:
        """The sign of life that a watchdog waits for, from the loop that does the work."""
        self._say(f"WATCHDOG=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Until `ready` is said again."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._say(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self, status: str) -> None:
        self._say(f"STOPPING=1\nSTATUS={status}")

    def close(self) -> None:
        if self._socket:
            self._socket.close()

    def _say(self, message: str) -> None:
        if self._socket:
            # A manager that is restarting, or has no room, gets the next one a second later.
            with contextlib.suppress(OSError):
                self._socket.sendto(message.encode(), self._address)
