"""What the compiler writes and the API reads: `/etc/hacc/api.toml`.

A file of its own: agent.toml holds the keys of all mobile nodes, and what talks to browsers must
not be able to read them. Of a token it holds the SHA-256 alone. The law is that of
`hacc_agent/config.py`: `parse(to_toml(c)) == c`.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Annotated

from .. import places
from ..config import NAME
from ..tomldata import ConfigError, Matches, Range, decode, encode

__all__ = ["ApiConfig", "Client", "ConfigError", "Scope", "Token", "parse", "to_toml"]

DIGEST = Matches(
    re.compile(r"[0-9a-f]{64}|<secret [^<>\s]+>"),
    "64 hexadecimal digits: the SHA-256 of a token",
)
IDENTITY = Matches(re.compile(r"[!-~]{1,256}"), "a URI, a mail address or a DNS name")


class Scope(enum.StrEnum):
    """What a caller may do."""

    READ = "read"
    OPERATE = "operate"  # also drain, undrain and fail over members


@dataclass(frozen=True, slots=True)
class Token:
    """Who sends `Authorization: Bearer` and a text with this digest."""

    name: Annotated[str, NAME]
    sha256: Annotated[str, DIGEST]
    scope: Scope = Scope.READ


@dataclass(frozen=True, slots=True)
class Client:
    """Who shows a certificate of `authority` with this subject alternative name."""

    name: Annotated[str, IDENTITY]
    scope: Scope = Scope.READ


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """All that `hacc-agent api` is told. Files that are no absolute paths lie beside this one."""

    address: IPv4Address
    certificate: str  # file with the server's certificate, and those up to its authority's
    key: str  # file, readable by root alone
    tokens: tuple[Token, ...] = ()
    clients: tuple[Client, ...] = ()
    authority: str | None = None  # file with the authority of clients' certificates
    port: Annotated[int, Range(1, 65535)] = 8443
    listeners: Annotated[int, Range(1, 10_000)] = 1000  # of the stream of events, at once
    runtime_directory: str = places.RUNTIME  # of the daemon: where it is asked


def to_toml(config: ApiConfig) -> str:
    """The text of `/etc/hacc/api.toml`, the same for the same value."""
    return encode(config)


def parse(text: str, file: str) -> ApiConfig:
    """The way back. Raises `ConfigError` with every problem, each with its line."""
    config, tables = decode(ApiConfig, text, file)
    problems = []
    if not config.tokens and not config.clients:
        problems.append(
            tables.problem((), "nobody may call it", "add [[tokens]] with name and sha256")
        )
    if config.clients and config.authority is None:
        problems.append(
            tables.problem(("clients",), "nobody vouches for them", "add authority = FILE")
        )
    for number, token in enumerate(config.tokens):
        if any(token.sha256 == other.sha256 for other in config.tokens[:number]):
            problems.append(
                tables.problem(("tokens", number, "sha256"), "the token of two callers", "make one")
            )
    if problems:
        raise ConfigError(problems)
    return config
