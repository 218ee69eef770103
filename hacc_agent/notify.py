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
from typing import Final

MICROSECONDS: Final = 1_000_000


class Notifier:
    """The manager's socket, if there is one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self.watchdog_s = _watchdog(environment) if self._socket else 0.0

    def ready(self, status: str) -> None:
        self._say(f"READY=1\nSTATUS={status}\nMAINPID={os.getpid()}")

    def alive(self, status: str) -> None:
        """The sign of life, from the loop that does the work."""
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


def _watchdog(environment: Mapping[str, str]) -> float:
    """s within which the manager wants a sign of life; 0: it does not ask."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    wanted = environment.get("WATCHDOG_USEC", "0")
    return int(wanted) / MICROSECONDS if wanted.isdecimal() else 0.0
