"""What the compiler writes and the HSRP speaker reads: `/etc/hacc/hsrp.toml`.

The law is that of `hacc_agent/config.py`: `parse(to_toml(c)) == c`. Times are in the unit that the
name says. A timer or a virtual address that is left out is learned from the active router.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from ..config import NAME, WORD
from ..tomldata import ConfigError, ConfigProblem, Range, Tables, decode, encode

__all__ = ["ConfigError", "HsrpConfig", "parse", "to_toml", "virtual_interface"]

_LAST_GROUP = {1: 255, 2: 4095}
_TEXT_OCTETS = 8  # RFC 2281, 5.1


class TrackKind(enum.StrEnum):
    """What an object watches."""

    INTERFACE = "interface"
    AGENT = "agent"  # whether this router's hacc-agent daemon lives


class Effect(enum.StrEnum):
    """What an object that is down does to a group."""

    DECREMENT = "decrement"  # as on IOS: who preempts takes over
    HAND_OVER = "hand-over"  # and if we are active we resign to a standby that is better now
    SHUTDOWN = "shutdown"  # no part in the group


def virtual_interface(interface: str, group: int) -> str:
    """The name of the interface that a group has while it is active: 15 characters at most."""
    return f"{interface[:9]}.h{group}"


@dataclass(frozen=True, slots=True)
class Object:
    """Something that is up or down."""

    name: Annotated[str, NAME]
    kind: TrackKind
    interface: Annotated[str, NAME] | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """A group's interest in an object."""

    object: Annotated[str, NAME]
    effect: Effect = Effect.DECREMENT
    decrement: Annotated[int, Range(1, 255)] = 10


@dataclass(frozen=True, slots=True)
class Group:
    """A standby group on an interface."""

    name: Annotated[str, NAME]
    interface: Annotated[str, NAME]
    version: Annotated[int, Range(1, 2)]
    group: Annotated[int, Range(0, 4095)]
    address: IPv4Address | None = None
    secondaries: tuple[IPv4Address, ...] = ()
    priority: Annotated[int, Range(0, 255)] = 100
    preempt: bool = False
    preempt_minimum_s: Annotated[int, Range(0, 3600)] = 0  # since it could have taken over
    preempt_reload_s: Annotated[int, Range(0, 3600)] = 0  # since the start
    preempt_sync_s: Annotated[int, Range(0, 3600)] = 0  # at most, until who needs it is in step
    hello_ms: Annotated[int, Range(15, 254_000)] | None = None
    hold_ms: Annotated[int, Range(50, 255_000)] | None = None
    text: Annotated[str, WORD] | None = None
    md5: Annotated[str, WORD] | None = None  # the key, as `key-string` has it on IOS
    md5_key_id: Annotated[int, Range(0, 2**32 - 1)] = 0
    tracks: tuple[Track, ...] = ()
    own_mac: bool = False  # the interface's own MAC address, not the virtual one: `use-bia` on IOS
    follows: tuple[IPv4Address, ...] = ()  # on lo for as long as it is active
    announces: tuple[IPv4Network, ...] = ()  # blackhole routes for as long: FRR redistributes them

    @property
    def virtual_interface(self) -> str:
        """Its interface with the virtual MAC address."""
        return virtual_interface(self.interface, self.group)


@dataclass(frozen=True, slots=True)
class HsrpConfig:
    """All groups of a router."""

    name: Annotated[str, NAME]  # the router
    groups: tuple[Group, ...]
    objects: tuple[Object, ...] = ()
    runtime_directory: str = "/run/hacc-hsrp"  # the control socket, the lock
    agent_directory: str = "/run/hacc"  # the control socket of the daemon that is tracked


def to_toml(config: HsrpConfig) -> str:
    """The text of `/etc/hacc/hsrp.toml`, the same for the same value."""
    return encode(config)


def parse(text: str, file: str) -> HsrpConfig:
    """The way back. Raises `ConfigError` with every problem, each with its line."""
    config, tables = decode(HsrpConfig, text, file)
    problems = tuple(_disagreements(config, tables))
    if problems:
        raise ConfigError(problems)
    return config


def _disagreements(config: HsrpConfig, tables: Tables) -> Iterator[ConfigProblem]:
    """What no single value shows."""
    objects = {found.name for found in config.objects}
    listed = ", ".join(sorted(objects)) or "none"
    seen: set[str] = set()
    names: set[str] = set()
    for index, group in enumerate(config.groups):
        at = ("groups", index)
        key = group.virtual_interface
        if key in seen or group.name in names:
            yield tables.problem(
                (*at, "group"), f"group {group.group} ({group.name}) is there twice"
            )
        seen.add(key)
        names.add(group.name)
        if group.group > _LAST_GROUP[group.version]:
            yield tables.problem(
                (*at, "group"), f"{group.group} is no group of version {group.version}",
                f"0 to {_LAST_GROUP[group.version]}",
            )  # fmt: skip
        if group.own_mac and group.address is None:
            yield tables.problem(
                (*at, "own_mac"), "an address that is learned needs the virtual MAC",
                "configure the address",
            )  # fmt: skip
        if (group.hello_ms is None) != (group.hold_ms is None):
            yield tables.problem(
                at, "hello_ms and hold_ms are configured both, or learned both", "RFC 2281, 5.1"
            )
        elif (group.hold_ms or 1) <= (group.hello_ms or 0):
            yield tables.problem(
                (*at, "hold_ms"), f"{group.hold_ms} ms is not above hello_ms",
                f"at least three times {group.hello_ms}",
            )  # fmt: skip
        if group.text is not None and group.md5 is not None:
            yield tables.problem((*at, "md5"), "a group has a text or an MD5 key, not both")
        sealed = group.text is not None and group.text.startswith("<secret ")
        if group.text is not None and not sealed and len(group.text) > _TEXT_OCTETS:
            yield tables.problem(
                (*at, "text"), f"{len(group.text)} characters", f"at most {_TEXT_OCTETS}"
            )
        for number, track in enumerate(group.tracks):
            if track.object not in objects:
                yield tables.problem(
                    (*at, "tracks", number, "object"), f"{track.object!r} is no object",
                    f"objects are: {listed}",
                )  # fmt: skip
    for index, found in enumerate(config.objects):
        if (found.kind is TrackKind.INTERFACE) != (found.interface is not None):
            yield tables.problem(
                ("objects", index), "an interface is named where one is watched, and only there"
            )
