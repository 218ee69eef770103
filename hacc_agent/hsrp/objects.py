"""Whether this router's hacc-agent daemon lives: an idle connection to its control socket.

It ends in the moment in which the daemon does, however it ended, and costs it nothing. A daemon
that hangs is ended by its watchdog.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from ..control import NAME
from ..loop import Loop


class AgentLife:
    """Tells of the daemon's death and return."""

    def __init__(self, folder: Path, loop: Loop, told: Callable[[bool], None]) -> None:
        self._path = folder / NAME
        self._loop = loop
        self._told = told
        self._connection: socket.socket | None = None
        self.try_again()
        if not self.up:
            told(False)

    @property
    def up(self) -> bool:
        return self._connection is not None

    def try_again(self) -> None:
        """Now and then, while it is not there."""
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        one.setblocking(False)
        try:
            one.connect(str(self._path))
        except OSError:
            one.close()
            return
        self._connection = one
        self._loop.watch(one.fileno(), self._gone)
        self._told(True)

    def close(self) -> None:
        if self._connection is not None:
            self._loop.forget(self._connection.fileno())
            self._connection.close()
            self._connection = None

    def _gone(self) -> None:
        """It says nothing that we have not asked for, so this is its end."""
        with contextlib.suppress(OSError):
            assert self._connection is not None
            if self._connection.recv(1):
                return
        self.close()
        self._told(False)
