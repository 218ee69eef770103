"""What of a running configuration an intent has words for.

A table of lines: each row is a line as IOS shows it, with the names of what it says. Secrets are
sealed before anything is read, so a proposal holds references to lines and no key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Final

from ..diff import reveal, sealed
from ..platforms.ios import TABLE
from ..platforms.sealing import HIDDEN, decode_type_7
from ..rendered import SECRET, Platform
from ..tree import Node, parse

_ADDRESS: Final = r"\d+\.\d+\.\d+\.\d+"
_KEY: Final = r"(?P<key><secret [^>]+>)"
_LINK: Final = (
    rf"(?:virtual-network (?P<network>{_ADDRESS} {_ADDRESS})|interface (?P<link>\S+))"
    r"(?: lifetime (?P<lifetime>\d+))?"
)
_ASSOCIATION: Final = (
    rf"spi (?P<spi>[0-9a-fA-F]+) key {_KEY}"
    r"(?: replay timestamp (?P<tolerance>\d+))?"
    r" algorithm (?P<algorithm>hmac-md5|md5 mode prefix-suffix)"
)
_TIME: Final = r"(?:msec )?\d+"
# Levels are joined by ` / `. The name of a row is what the line is about.
ROWS: Final[Mapping[str, re.Pattern[str]]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "address": rf"interface (?P<i>\S+) / ip address (?P<a>{_ADDRESS}) (?P<mask>{_ADDRESS})",
        "version": r"interface (?P<i>\S+) / standby version (?P<version>[12])",
        "virtual": rf"interface (?P<i>\S+) / standby (?P<g>\d+) ip (?P<a>{_ADDRESS})",
        "timers": rf"interface (?P<i>\S+) / standby (?P<g>\d+) timers (?P<hello>{_TIME}) "
        rf"(?P<hold>{_TIME})",
        "priority": r"interface (?P<i>\S+) / standby (?P<g>\d+) priority (?P<priority>\d+)",
        "preempt": r"interface (?P<i>\S+) / standby (?P<g>\d+) preempt"
        r"(?: delay minimum (?P<delay>\d+))?",
        "md5": rf"interface (?P<i>\S+) / standby (?P<g>\d+) authentication md5 key-string {_KEY}",
        "text": rf"interface (?P<i>\S+) / standby (?P<g>\d+) authentication {_KEY}",
        "name": r"interface (?P<i>\S+) / standby (?P<g>\d+) name (?P<name>\S+)",
        "tracks": r"interface (?P<i>\S+) / standby (?P<g>\d+) track (?P<n>\d+)"
        r"(?: decrement (?P<decrement>\d+))?",
        "track": r"track (?P<n>\d+) interface (?P<i>\S+) line-protocol",
        "ospf-key": rf"interface (?P<i>\S+) / ip ospf message-digest-key 1 md5 {_KEY}",
        "ospf-hello": r"interface (?P<i>\S+) / ip ospf hello-interval (?P<s>\d+)",
        "ospf-dead": r"interface (?P<i>\S+) / ip ospf dead-interval (?P<s>\d+)",
        "ospf-area": rf"router ospf (?P<process>\d+) / network {_ADDRESS} {_ADDRESS} "
        r"area (?P<area>\S+)",
        "home-agent": r"ip mobile home-agent(?: lifetime (?P<lifetime>\d+))?"
        r"(?: replay (?P<tolerance>\d+))?",
        "home-agent-address": rf"ip mobile home-agent address (?P<a>{_ADDRESS})",
        "redundancy": r"ip mobile home-agent redundancy (?P<name>\S+)"
        rf"(?: virtual-network address (?P<a>{_ADDRESS}))?",
        "max-binding": r"ip mobile home-agent max-binding (?P<n>\d+)",
        "network": rf"ip mobile virtual-network (?P<network>{_ADDRESS} {_ADDRESS})",
        "pool": rf"ip local pool (?P<name>\S+) (?P<low>{_ADDRESS}) (?P<high>{_ADDRESS})",
        "realm": rf"ip mobile host nai (?P<realm>@\S+) address pool local (?P<pool>\S+) {_LINK}",
        "realm-key": rf"ip mobile secure host nai (?P<realm>@\S+) {_ASSOCIATION}",
        "node": rf"ip mobile host (?P<a>{_ADDRESS}) {_LINK}",
        "node-key": rf"ip mobile secure host (?P<a>{_ADDRESS}) {_ASSOCIATION}",
        "foreign-agent": rf"ip mobile secure foreign-agent (?P<a>{_ADDRESS}) {_ASSOCIATION}",
        "pair-key": rf"ip mobile secure home-agent (?P<a>{_ADDRESS}) {_ASSOCIATION}",
        "next-hop": rf"route-map \S+ permit \d+ / set ip next-hop (?P<a>{_ADDRESS})",
        "community": rf"snmp-server community {_KEY}.*",
        "user": rf"snmp-server user (?P<user>\S+) \S+ v3 auth sha {_KEY} priv aes 128 "
        r"(?P<priv><secret [^>]+>)",
        "trap": rf"snmp-server host (?P<a>{_ADDRESS}) version .*",
        "no-cdp": r"no cdp run",
    }.items()
}

_ONE_WAY: Final = ("4", "5", "8", "9")  # codings that nobody reads back


@dataclass(frozen=True, slots=True)
class Half:
    """One router of a pair: the rows that its lines match, in the order of its text."""

    host: str
    rows: Mapping[str, tuple[Mapping[str, str], ...]] = field(hash=False)
    keys: Mapping[str, str] = field(repr=False, hash=False)  # a token's reference -> as it stands

    def all(self, row: str) -> tuple[Mapping[str, str], ...]:
        return self.rows.get(row, ())

    def first(self, row: str, **wanted: str) -> Mapping[str, str]:
        """The first line of a row with these values; empty where there is none."""
        for found in self.all(row):
            if all(found.get(name) == value for name, value in wanted.items()):
                return found
        return {}

    def key(self, token: str) -> str:
        """A secret as a reference to it would open; nothing where the router does not tell it."""
        match = SECRET.fullmatch(token)
        written = self.keys[match["ref"]] if match else ""
        coding, _, word = written.rpartition(" ")
        if written in (HIDDEN, "<removed>") or coding in _ONE_WAY:
            return ""
        if coding == "hex":
            return f"0x{word.lower()}"
        return decode_type_7(word).decode("ascii", "replace") if coding == "7" else word

    def interface(self, name: str) -> IPv4Interface | None:
        found = self.first("address", i=name)
        return IPv4Interface(f"{found['a']}/{found['mask']}") if found else None


def read(host: str, running: str) -> Half:
    """A router's half of the pair."""
    keys = reveal(running, Platform.IOS)
    rows: dict[str, list[Mapping[str, str]]] = {}
    for line in flat(sealed(running, Platform.IOS)):
        for name, pattern in ROWS.items():
            if found := pattern.fullmatch(line):
                said = {key: value for key, value in found.groupdict().items() if value is not None}
                rows.setdefault(name, []).append(said)
                break
    return Half(host, {name: tuple(lines) for name, lines in rows.items()}, keys)


def flat(text: str) -> Iterator[str]:
    """The lines of a configuration, each behind those that it stands below, joined by ` / `."""
    return _lines(parse(text.splitlines(), TABLE.grammar))


def _lines(nodes: list[Node], above: str = "") -> Iterator[str]:
    for node in nodes:
        line = f"{above}{node.text}"
        yield line
        yield from _lines(node.children, f"{line} / ")


def milliseconds(time: str) -> int:
    """`msec 200` or `3`."""
    number = int(time.removeprefix("msec "))
    return number if time.startswith("msec ") else 1000 * number


def network(words: str) -> IPv4Network:
    """`198.19.64.0 255.255.192.0`."""
    return IPv4Network(words.replace(" ", "/"))


def covering(low: IPv4Address, high: IPv4Address) -> IPv4Network:
    """The smallest prefix with both in it."""
    length = 32 - (int(low) ^ int(high)).bit_length()
    return IPv4Network((int(low) >> (32 - length) << (32 - length), length))
