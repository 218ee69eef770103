"""What this router's hacc-agent daemon says to the speaker, over its control socket.

Whether it lives: an idle connection ends in the moment in which the daemon does, however it ended,
and costs it nothing. A daemon that hangs is ended by its watchdog. Whether it is in step with the
active controller, so that nothing is lost when this router preempts that one: that is asked.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..control import NAME
from ..loop import Loop

QUESTION: Final = b'{"command": "in-step"}\n'
ANSWER: Final = 256  # octets, at most


class AgentStep:
    """Asks the daemon once in a while; who does not answer until the next time is not in step."""

    def __init__(self, folder: Path, loop: Loop, told: Callable[[bool], None]) -> None:
        self._path = folder / NAME
        self._loop = loop
        self._told = told
        self._connection: socket.socket | None = None

    def ask(self) -> None:
        if self._connection is not None:
            self.close()
            self._told(False)
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        one.setblocking(False)
        try:
            one.connect(str(self._path))
            one.send(QUESTION)
        except OSError:
            one.close()
            self._told(False)
            return
        self._connection = one
        self._loop.watch(one.fileno(), self._hear)

    def close(self) -> None:
        if self._connection is not None:
            self._loop.forget(self._connection.fileno())
            self._connection.close()
            self._connection = None

    def _hear(self) -> None:
        """A line of JSON, in one piece."""
        assert self._connection is not None
        in_step = False
        with contextlib.suppress(OSError, ValueError, AttributeError):
            in_step = json.loads(self._connection.recv(ANSWER)).get("in_step") is True
        self.close()
        self._told(in_step)


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
