"""The way in to a router: host key first, then the login, with retries for connecting only.

`shell_ssh` logs in to what has a prompt (IOS), `plain_ssh` to what runs commands (Linux).

Wrong passwords are never tried twice (accounts get locked), wrong host keys neither. Logins are
limited in number over all workers: hundreds of simultaneous ones stall a TACACS+ server.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import paramiko
from netmiko.exceptions import NetmikoAuthenticationException, NetmikoBaseException
from nornir.core.configuration import Config
from nornir.core.inventory import Host
from nornir.core.plugins.connections import ConnectionPluginRegister

from ..hostkeys import HostKey, HostKeys
from ..rendered import Platform
from ..runner import Events, Stage, Stop
from .errors import LoginRefused, Unreachable
from .plain_ssh import PlainSsh
from .shell_ssh import ShellSsh

PLUGINS: Final = {Platform.IOS: "shell-ssh", Platform.LINUX: "plain-ssh"}
CONNECT_TIMEOUT_S: Final = 10.0
# A TACACS+ server may take 7-15 s to answer a login.
LOGIN_TIMEOUT_S: Final = 30.0
RETRY_AFTER_S: Final = (1.0, 2.0)  # pauses between attempts to connect

DEVICE_TYPES: Final = {Platform.IOS: "cisco_ios", Platform.LINUX: "linux"}

# Nornir's own settings, of which no way in reads any; to make them looks up 14 of its variables.
_NORNIR: Final = Config()

ConnectionPluginRegister.register(PLUGINS[Platform.IOS], ShellSsh)
ConnectionPluginRegister.register(PLUGINS[Platform.LINUX], PlainSsh)
# Libraries that report to nobody print tracebacks on the terminal; what matters reaches the user
# as an error of ours.
for library in ("paramiko", "nornir", "netmiko"):
    logging.getLogger(library).addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Target:
    """How to reach a router. The passwords are open: keep it out of logs."""

    host: str
    platform: Platform
    hostname: str
    username: str
    password: str = field(repr=False)
    enable: str = field(default="", repr=False)
    port: int = 22


class Doorkeeper:
    """Lets sessions in: host keys, the number of simultaneous logins, retries."""

    def __init__(self, keys: HostKeys, connectors: int, events: Events, stop: Stop) -> None:
        self._keys = keys
        self._logins = threading.BoundedSemaphore(connectors)
        self._events = events
        self._stop = stop

    def open(self, host: Host, target: Target, *, urgent: bool = False) -> Any:
        """A connection of this host, newly opened: Netmiko's, or Paramiko's where it is Linux.

        An urgent one (the way back) is retried even after Ctrl-C.
        """
        pauses = [*RETRY_AFTER_S]
        while True:
            try:
                with self._logins:
                    return self._attempt(host, target)
            except Unreachable:
                if not pauses:
                    raise
                if self._stop and not urgent:
                    raise
                self._pause(pauses.pop(0), urgent=urgent)

    def _pause(self, seconds: float, *, urgent: bool) -> None:
        if urgent:
            threading.Event().wait(seconds)
        else:
            self._stop.wait(seconds)

    def _attempt(self, host: Host, target: Target) -> Any:
        where = f"{target.hostname}:{target.port}"
        self._events.emit(target.host, Stage.CONNECT, where)
        if target.platform is Platform.IOS:
            self._admit(target)
        try:
            plugin = host.open_connection(
                PLUGINS[target.platform],
                _NORNIR,
                hostname=target.hostname,
                username=target.username,
                password=target.password,
                port=target.port,
                platform=DEVICE_TYPES[target.platform],
                extras=self._options(target),
                default_to_host_attributes=False,
            )
            return plugin.connection
        except (NetmikoAuthenticationException, paramiko.AuthenticationException) as error:
            raise LoginRefused(
                target.host,
                f"{where} refused the password of {target.username!r}",
                "it was tried once; check the reference of the password in inventory/",
            ) from error
        except (
            NetmikoBaseException,
            OSError,
            EOFError,
            paramiko.SSHException,
            ValueError,
        ) as error:
            self._rule_out_a_changed_key(target)
            raise _unreachable(target, error) from error

    def _admit(self, target: Target) -> None:
        """Ask a stranger for its key before the login: Netmiko knows no first contact."""
        try:
            fresh = self._keys.admit(target.host, target.hostname, target.port, CONNECT_TIMEOUT_S)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise _unreachable(target, error) from error
        if fresh is not None:
            self._trust(target, fresh)

    def _meet(self, target: Target, key: HostKey) -> None:
        """A server shows a key of a kind that is not on record."""
        if self._keys.known(target.hostname, target.port):
            raise paramiko.SSHException(f"it shows {key}, which is not on record")
        self._keys.meet(target.host, target.hostname, target.port, key)
        self._trust(target, key)

    def _trust(self, target: Target, key: HostKey) -> None:
        where = f"{target.hostname}:{target.port}"
        text = f"first contact with {where}: keeping its key {key}"
        self._events.emit(target.host, Stage.TRUST, text)

    def _rule_out_a_changed_key(self, target: Target) -> None:
        try:
            self._keys.explain_change(target.host, target.hostname, target.port, CONNECT_TIMEOUT_S)
        except (OSError, EOFError, paramiko.SSHException):
            return  # it cannot be asked: it is unreachable, which the caller says

    def _options(self, target: Target) -> dict[str, Any]:
        known = self._keys.keys_of(target.hostname, target.port)
        if target.platform is Platform.LINUX:
            return {
                "known_hosts": known,
                "meet": lambda kind, blob: self._meet(target, HostKey(kind, blob)),
                "timeout": CONNECT_TIMEOUT_S,
                "auth_timeout": LOGIN_TIMEOUT_S,
                "banner_timeout": LOGIN_TIMEOUT_S,
            }
        return {
            "secret": target.enable,
            "ssh_config_file": None,  # ~/.ssh/config must not lead elsewhere
            "conn_timeout": CONNECT_TIMEOUT_S,
            "auth_timeout": LOGIN_TIMEOUT_S,
            "banner_timeout": LOGIN_TIMEOUT_S,
            "ssh_strict": True,
            "system_host_keys": False,
            "known_hosts": known,
        }


Reopen = Callable[[], Any]  # a new Netmiko connection in the place of a lost one


def _unreachable(target: Target, error: BaseException) -> Unreachable:
    # Netmiko's texts are paragraphs of advice; the cause below them is what helps.
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, paramiko.ssh_exception.NoValidConnectionsError):
        cause = next(iter(cause.errors.values()))
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    return Unreachable(
        target.host,
        f"cannot open an SSH session to {target.hostname}:{target.port}: {reason}",
        "check the address, the path, and that the router's SSH server is up",
    )
