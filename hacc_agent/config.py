"""What the compiler writes and the daemon reads: the one contract between the two halves.

The compiler *constructs* an `AgentConfig` and writes it with `to_toml`, so a file that the daemon
cannot load cannot be rendered; `parse` is the way back. The law is `parse(to_toml(c)) == c`.

The file holds what a router needs and no more: a controller relays and never computes an
authenticator, so it gets no mobility keys; a member polls nobody, so it gets no SNMP keys. A key
is text: hexadecimal digits, or, until the moment of the push, a sealed token `<secret REF|hex>`.

Times are in the unit that the name says. `tomldata` knows how a dataclass becomes TOML.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated

from .tomldata import ConfigError, ConfigProblem, Matches, Range, Tables, decode, encode

__all__ = ["AgentConfig", "ConfigError", "ConfigProblem", "parse", "to_toml"]

SEALED = re.compile(r"<secret [^<>\s]+>")

KEY = Matches(
    re.compile(r"(?:[0-9a-f]{2}){1,64}|<secret [^<>\s]+>"),
    "1 to 64 octets in lower-case hexadecimal, or a sealed <secret ...> token",
)
NAME = Matches(re.compile(r"\S{1,64}"), "1 to 64 characters without blanks")
REALM = Matches(re.compile(r"@\S{1,252}"), "@ and the domain of the NAI (RFC 2794)")


class Role(enum.StrEnum):
    """What a router does for the virtual Home Agent address (DESIGN, "the system in one page")."""

    CONTROLLER = "controller"
    HOME_AGENT = "home-agent"
    BACKUP = "backup"


class Algorithm(enum.StrEnum):
    """How an authenticator is computed (RFC 5944 section 5.1 and its RFC 2002 ancestor)."""

    HMAC_MD5 = "hmac-md5"
    MD5_PREFIX_SUFFIX = "md5-prefix-suffix"


class Replay(enum.StrEnum):
    """Replay protection of the Identification field (RFC 5944 section 5.7)."""

    TIMESTAMP = "timestamp"
    NONCE = "nonce"


class MemberKind(enum.StrEnum):
    """What a controller may expect of a member."""

    LINUX = "linux"  # runs hacc-agent: answers from its own address, takes over bindings
    IOS = "ios"  # a stock Home Agent: answers through its default route, takes over nothing


@dataclass(frozen=True, slots=True)
class Lan:
    """This router's interface on a segment that it shares with the cluster."""

    name: Annotated[str, NAME]
    interface: Annotated[str, NAME]
    address: IPv4Interface


@dataclass(frozen=True, slots=True)
class LanAddress:
    """Where another router, or a group, answers on a segment."""

    lan: Annotated[str, NAME]
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Controller:
    name: Annotated[str, NAME]
    priority: Annotated[int, Range(1, 254)]  # of its standby groups: higher is preferred
    addresses: tuple[LanAddress, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A Home Agent that bindings are placed on: a host, or a pair behind its standby address."""

    name: Annotated[str, NAME]
    kind: MemberKind
    backup: bool  # takes part only when a member has failed
    weight: Annotated[int, Range(1, 1000)]
    capacity: Annotated[int, Range(1, 2**31 - 1)]  # bindings
    slices: tuple[IPv4Network, ...]  # the prefixes that it assigns home addresses from
    addresses: tuple[LanAddress, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each figure counts when a member is chosen; the sum is no matter."""

    bindings: Annotated[float, Range(0, 1000)]
    cpu: Annotated[float, Range(0, 1000)]
    memory: Annotated[float, Range(0, 1000)]


@dataclass(frozen=True, slots=True)
class Selection:
    hysteresis: Annotated[float, Range(0, 1)]  # a challenger must be better by this part
    weights: Weights


@dataclass(frozen=True, slots=True)
class Health:
    """Heartbeats tell that a member is down; SNMP tells that it is failing."""

    heartbeat_ms: Annotated[int, Range(10, 60_000)]
    misses: Annotated[int, Range(1, 100)]
    snmp_interval_s: Annotated[int, Range(1, 3600)]
    failing_cpu: Annotated[float, Range(0, 100)]  # percent used, and above
    failing_memory_free: Annotated[float, Range(0, 100)]  # percent free, and below


@dataclass(frozen=True, slots=True)
class Snmp:
    """How a controller reads its members' load."""

    version: Annotated[int, Range(2, 3)]
    community: str | None = None
    user: str | None = None
    auth: str | None = None  # SHA
    priv: str | None = None  # AES-128


@dataclass(frozen=True, slots=True)
class Security:
    """A mobility security association (RFC 5944 section 1.6)."""

    spi: Annotated[int, Range(256, 2**32 - 1)]  # 0-255 are reserved, RFC 5944 section 3.5.1
    algorithm: Algorithm
    key: Annotated[str, KEY]
    replay: Replay
    tolerance_s: Annotated[int, Range(1, 255)]


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Assignable home addresses, both ends included."""

    first: IPv4Address
    last: IPv4Address


@dataclass(frozen=True, slots=True)
class Realm:
    """Mobile nodes known by NAI, with home addresses from a pool."""

    realm: Annotated[str, REALM]
    pool: IPv4Network
    network: IPv4Network
    lifetime_s: Annotated[int, Range(1, 65535)]
    assigns: tuple[AddressRange, ...] = ()  # on this router; none on controllers and backups
    security: Security | None = None  # none on controllers


@dataclass(frozen=True, slots=True)
class Node:
    """A mobile node with a home address of its own."""

    address: IPv4Address
    network: IPv4Network
    lifetime_s: Annotated[int, Range(1, 65535)]
    security: Security | None = None  # none on controllers


@dataclass(frozen=True, slots=True)
class ForeignAgent:
    address: IPv4Address
    security: Security


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """All that `hacc-agent` on one router is told."""

    cluster: Annotated[str, NAME]
    name: Annotated[str, NAME]  # this router
    role: Role
    home_agent_address: IPv4Address  # the virtual Home Agent address
    networks: tuple[IPv4Network, ...]  # home networks, virtual and physical
    lifetime_s: Annotated[int, Range(1, 65535)]  # the longest that is granted (RFC 5944: 16 bits)
    replay: Replay
    tolerance_s: Annotated[int, Range(1, 255)]
    binding_sync_s: Annotated[int, Range(1, 3600)]
    max_bindings: Annotated[int, Range(1, 2**31 - 1)] | None  # of this router; none on controllers
    lans: tuple[Lan, ...]
    gateways: tuple[LanAddress, ...]  # the controllers' group addresses: where members answer to
    controllers: tuple[Controller, ...]
    members: tuple[Member, ...]  # backups too
    selection: Selection
    health: Health
    snmp: Snmp | None  # on controllers
    realms: tuple[Realm, ...]
    nodes: tuple[Node, ...]
    foreign_agents: tuple[ForeignAgent, ...]  # none on controllers

    @property
    def sealed(self) -> bool:
        """Whether a secret still stands in it as a token."""
        return SEALED.search(to_toml(self)) is not None


def to_toml(config: AgentConfig) -> str:
    """The text of `/etc/hacc/agent.toml`, the same for the same value."""
    return encode(config)


def parse(text: str, file: str) -> AgentConfig:
    """The way back. Raises `ConfigError` with every problem, each with its line."""
    config, tables = decode(AgentConfig, text, file)
    problems = tuple(_disagreements(config, tables))
    if problems:
        raise ConfigError(problems)
    return config


def _disagreements(config: AgentConfig, tables: Tables) -> list[ConfigProblem]:
    """What no single value shows."""
    found = []
    own = config.controllers if config.role is Role.CONTROLLER else config.members
    serves = config.role is not Role.CONTROLLER
    # A half of an IOS pair has no agent, so an agent's own name is always that of a member.
    if config.name not in {entry.name for entry in own}:
        listed = ", ".join(entry.name for entry in own) or "none"
        found.append(
            tables.problem(
                ("name",),
                f"{config.name!r} is a {config.role} but not listed as one",
                f"{'members' if serves else 'controllers'} are: {listed}",
            )
        )
    lans = {lan.name for lan in config.lans}
    found += [
        tables.problem(
            ("gateways", index, "lan"),
            f"this router has no interface on {gateway.lan!r}",
            f"lans are: {', '.join(sorted(lans)) or 'none'}",
        )
        for index, gateway in enumerate(config.gateways)
        if gateway.lan not in lans
    ]
    if serves:
        unkeyed = [("realms", n) for n, realm in enumerate(config.realms) if not realm.security]
        unkeyed += [("nodes", n) for n, node in enumerate(config.nodes) if not node.security]
        found += [
            tables.problem(
                (table, index),
                "a Home Agent cannot authenticate it without a security association",
                f"add [{table}.security] with spi, algorithm, key, replay and tolerance_s",
            )
            for table, index in unkeyed
        ]
        if config.max_bindings is None:
            found.append(
                tables.problem(("max_bindings",), "missing", "a Home Agent needs its capacity")
            )
    elif config.snmp is None:
        found.append(tables.problem(("snmp",), "missing", "a controller polls its members"))
    return found
