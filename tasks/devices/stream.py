"""The TCP connection below an SSH session."""

from __future__ import annotations

import socket
from typing import Any


class Stream:
    """A socket that is read in large pieces, for Paramiko, which asks for a packet in three.

    Each of its questions would be a system call that gives the interpreter's lock away; of twenty
    sessions in a process all wait for the lock then. A quarter of the cost of a login.
    """

    def __init__(self, hostname: str, port: int, timeout_s: float) -> None:
        self._socket = socket.create_connection((hostname, port), timeout_s)
        # A login is many small messages: none should wait for the one before to be confirmed.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ahead = b""

    def recv(self, most: int) -> bytes:
        """As a socket does: at least one octet, or none at the end."""
        data = self._ahead or self._socket.recv(65536)
        self._ahead = data[most:]
        return data[:most]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
