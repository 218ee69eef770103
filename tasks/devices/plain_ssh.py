"""A login over SSH without a terminal: Nornir's connection plugin for Linux routers.

Each command there is an exec of its own, so a shell at a prompt, which Netmiko would open, look at
and talk to, is nothing but half a second and two processes on the router. A stranger's host key is
judged on this very connection, before the password goes out, not on one of its own before.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, cast

import paramiko
from nornir.core.configuration import Config

from .stream import Stream
from .transport import transport

Meet = Callable[[str, bytes], None]  # a key's kind and blob; raises when it is not to be trusted


class _Stranger(paramiko.MissingHostKeyPolicy):
    """Asked by Paramiko about the key of a server that has none on record of this kind."""

    def __init__(self, meet: Meet) -> None:
        self._meet = meet

    def missing_host_key(
        self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey
    ) -> None:
        self._meet(key.get_name(), key.asbytes())


class PlainSsh:
    """Nornir's `ConnectionPlugin`; its `connection` is a Paramiko client that is logged in.

    `extras`: `known_hosts` (this server's keys), `meet`, and the timeouts of
    `paramiko.SSHClient.connect`.
    """

    connection: paramiko.SSHClient

    def open(
        self,
        hostname: str | None,
        username: str | None,
        password: str | None,
        port: int | None,
        platform: str | None,  # noqa: ARG002 -- the protocol's
        extras: dict[str, Any] | None = None,
        configuration: Config | None = None,  # noqa: ARG002 -- the protocol's
    ) -> None:
        options = dict(extras or {})
        stream = Stream(hostname or "", port or 22, options["timeout"])
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_Stranger(options.pop("meet")))
        client.get_host_keys().update(options.pop("known_hosts"))
        try:
            client.connect(
                hostname or "",
                port or 22,
                username,
                password,
                allow_agent=False,
                look_for_keys=False,
                sock=cast(socket.socket, stream),
                transport_factory=transport,
                **options,
            )
        except BaseException:
            client.close()
            stream.close()
            raise
        self.connection = client

    def close(self) -> None:
        self.connection.close()
