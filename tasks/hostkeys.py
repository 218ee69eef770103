"""Host keys: who a router is, before a password is sent to it.

The store is a file in OpenSSH's known_hosts format that belongs to the work directory, so that a
team may share it and `ssh -o UserKnownHostsFile=.hacc/known_hosts` reads it too. A router that
is not in it shows its key before the password goes out: in a pre-flight without a login, or in the
login itself, where the library lets us look in time. Then either the key is kept, and a line says
so with its fingerprint (trust on first use), or the router is refused
(strict). A key that differs from the stored one is refused always.

Whoever logs in then refuses every other key: `keys_of` gives Paramiko those of this router alone. A
whole store of 10,000 lines, parsed again for every login, would cost more than the login.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import os
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import paramiko
from paramiko.pkey import UnknownKeyType

from .errors import Exit, HaccError, Place, Problem

SSH_PORT: Final = 22


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key of a router: its algorithm's name and its blob (RFC 4253 section 6.6)."""

    kind: str  # "ssh-ed25519"
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -lf` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint}"


class HostKeyRefused(HaccError):
    """The router is not the one that we know, or one that we do not know and must not trust."""

    exit = Exit.DEVICE


def known_as(hostname: str, port: int) -> str:
    """The name of a server in known_hosts: its port is written when it is not SSH's own."""
    return hostname if port == SSH_PORT else f"[{hostname}]:{port}"


def offered(hostname: str, port: int, timeout_s: float, prefer: tuple[str, ...] = ()) -> HostKey:
    """The key that a server shows before any login; of the preferred kinds, if it has one.

    Raises OSError or paramiko.SSHException when there is no SSH server to ask.
    """
    with socket.create_connection((hostname, port), timeout_s) as stream:
        transport = paramiko.Transport(stream)
        try:
            options = transport.get_security_options()
            names = [_SIGNATURES.get(kind, (kind,)) for kind in prefer]
            first = [name for group in names for name in group if name in options.key_types]
            rest = [name for name in options.key_types if name not in first]
            options.key_types = tuple(first + rest)
            transport.banner_timeout = timeout_s
            transport.start_client(timeout=timeout_s)
            key = transport.get_remote_server_key()
            return HostKey(key.get_name(), key.asbytes())
        finally:
            transport.close()


# One RSA key signs under three names (RFC 8332 section 3).
_SIGNATURES: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


class HostKeys:
    """The store. Safe to use from many threads; the file is only ever appended to."""

    def __init__(
        self, path: Path, *, strict: bool = False, excerpt: Iterable[str] | None = None
    ) -> None:
        """`excerpt` is what is known instead of all that the file says (see `excerpt`)."""
        self._path = path
        self._strict = strict
        self._lock = threading.Lock()
        self._known: dict[str, list[HostKey]] = {}
        self._hashed: list[tuple[bytes, bytes, HostKey]] = []  # `HashKnownHosts yes`
        self._revoked: set[bytes] = set()
        self._met: list[str] = []
        self._load(_lines(path) if excerpt is None else excerpt)

    @property
    def strict(self) -> bool:
        return self._strict

    @property
    def met(self) -> tuple[str, ...]:
        """The lines that were added since it was loaded."""
        return tuple(self._met)

    def excerpt(self, servers: Iterable[tuple[str, int]]) -> tuple[str, ...]:
        """What a worker must know that reaches these servers alone: lines of known_hosts."""
        known = [
            f"{known_as(*server)} {_line(key)}" for server in servers for key in self.known(*server)
        ]
        revoked = [f"@revoked * {_line(HostKey('revoked', blob))}" for blob in self._revoked]
        return (*known, *sorted(revoked))

    def adopt(self, lines: Iterable[str]) -> None:
        """Keep what a worker on another machine has met there."""
        for line in lines:
            name, kind, text = line.split()
            key = HostKey(kind, base64.b64decode(text, validate=True))
            if key not in self._known.get(name, ()):
                self._remember(name, key)

    def known(self, hostname: str, port: int) -> tuple[HostKey, ...]:
        """The keys on record for a server, none for a stranger."""
        name = known_as(hostname, port)
        hashed = tuple(
            key
            for salt, digest, key in self._hashed
            if hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
        )
        return (*self._known.get(name, ()), *hashed)

    def admit(self, host: str, hostname: str, port: int, timeout_s: float) -> HostKey | None:
        """Make sure that a server may be logged in to; returns the key if it is new to us."""
        if self.known(hostname, port):
            return None
        key = offered(hostname, port, timeout_s)
        self.meet(host, hostname, port, key)
        return key

    def meet(self, host: str, hostname: str, port: int, key: HostKey) -> None:
        """Keep the key that a stranger shows, or refuse the stranger."""
        if self._strict:
            raise HostKeyRefused(
                Problem(
                    Place(str(self._path), 0),
                    host,
                    f"no host key is known for {known_as(hostname, port)}, which shows {key}",
                    hint="compare the fingerprint on the router's console, then run once without "
                    "--strict, or add the line to the file",
                )
            )
        self._refuse_revoked(host, key)
        self._remember(known_as(hostname, port), key)

    def explain_change(self, host: str, hostname: str, port: int, timeout_s: float) -> None:
        """After a refused login: raise if the server's key is not the one on record."""
        known = self.known(hostname, port)
        if not known:
            return
        now = offered(hostname, port, timeout_s, tuple(key.kind for key in known))
        self._refuse_revoked(host, now)
        if now in known:
            return
        name = known_as(hostname, port)
        raise HostKeyRefused(
            Problem(
                Place(str(self._path), 0),
                host,
                f"the host key of {name} has changed: it shows {now}, on record is "
                f"{' and '.join(map(str, known))}; nothing was sent",
                hint="somebody may be in the middle. If the router was replaced or got a new key, "
                "compare the fingerprint on its console, then "
                f"ssh-keygen -R '{name}' -f {self._path}",
            )
        )

    def keys_of(self, hostname: str, port: int) -> paramiko.HostKeys:
        """This server's keys alone, for one login; without those that Paramiko cannot read."""
        keys = paramiko.HostKeys()
        for key in self.known(hostname, port):
            with contextlib.suppress(paramiko.SSHException, UnknownKeyType):
                read = paramiko.PKey.from_type_string(key.kind, key.blob)
                keys.add(known_as(hostname, port), key.kind, read)
        return keys

    def _refuse_revoked(self, host: str, key: HostKey) -> None:
        if key.blob in self._revoked:
            raise HostKeyRefused(
                Problem(Place(str(self._path), 0), host, f"the router's host key {key} is revoked")
            )

    def _remember(self, name: str, key: HostKey) -> None:
        with self._lock:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            line = f"{name} {_line(key)}"
            with self._path.open("a", encoding="ascii") as store:
                fcntl.flock(store, fcntl.LOCK_EX)
                store.write(f"{line}\n")
                store.flush()
                os.fsync(store.fileno())
            self._known.setdefault(name, []).append(key)
            self._met.append(line)

    def _load(self, lines: Iterable[str]) -> None:
        broken = []
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            marker = words.pop(0) if words[0].startswith("@") else ""
            if marker == "@cert-authority":
                continue  # certificates are not understood by the SSH library
            try:
                names, kind, text = words[:3]
                key = HostKey(kind, base64.b64decode(text, validate=True))
                self._index(marker, names, key)
            except (ValueError, binascii.Error):
                broken.append(
                    Problem(
                        Place(str(self._path), number),
                        "known_hosts",
                        "not a line of known_hosts",
                        allowed="NAMES KEYTYPE BASE64",
                        hint="remove the line; the router's key will be asked for again",
                    )
                )
        if broken:
            raise HaccError(broken)

    def _index(self, marker: str, names: str, key: HostKey) -> None:
        if marker == "@revoked":
            self._revoked.add(key.blob)
        elif names.startswith("|1|"):
            salt, digest = (base64.b64decode(part) for part in names[3:].split("|"))
            self._hashed.append((salt, digest, key))
        else:
            for name in names.split(","):
                self._known.setdefault(name, []).append(key)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _line(key: HostKey) -> str:
    return f"{key.kind} {base64.b64encode(key.blob).decode()}"
