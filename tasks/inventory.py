"""The routers: how to reach each, and what is true of it whatever its cluster is.

The files are Nornir's (`hosts.yaml`, `groups.yaml`, `defaults.yaml`) and mean what they mean there:
a host's own value wins, then its groups' in their order (each with its own groups), then the
defaults. We read them ourselves because of two things: lines in errors, and 10,000 hosts in
seconds. `HaccInventory` hands the result to Nornir.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from nornir.core.inventory import (
    Defaults,
    Group,
    Groups,
    Host,
    Hosts,
    ParentGroups,
)
from nornir.core.inventory import Inventory as NornirInventory

from . import yamlmarks
from .errors import HaccError, Place, Problem
from .platforms.ios_names import canonical
from .rendered import Platform
from .secrets import SCHEMES, SecretRef

# Netmiko's device types, as the inventory names them, and what we render for them.
PLATFORMS = {
    "linux": Platform.LINUX,
    "cisco_ios": Platform.IOS,
    "cisco_xe": Platform.IOS,
}
FILES = ("hosts.yaml", "groups.yaml", "defaults.yaml")
# Nornir's attributes of a host. `password` is left out: it would stand there in clear.
ATTRIBUTES = ("hostname", "port", "username", "platform", "groups", "data")
OF_THE_SITE = ("history", "notify")  # in the defaults alone: see `settings`
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class InterfaceFacts:
    name: str
    lan: str | None  # the segment of a cluster that it is on
    address: IPv4Interface | None
    place: Place


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One router as the inventory describes it, inheritance applied."""

    name: str
    platform: Platform
    driver: str  # Netmiko's device type
    hostname: str  # an address or a name that resolves: where SSH and SNMP answer
    port: int
    username: str | None
    password: SecretRef | None
    enable: SecretRef | None
    router_id: IPv4Address | None
    interfaces: tuple[InterfaceFacts, ...]
    groups: tuple[str, ...]  # Nornir's groups, for filters; inherited ones too
    data: Mapping[str, Any] = field(hash=False)  # everything under `data`, inheritance applied
    place: Place
    router_id_place: Place
    password_place: Place  # of a group or the defaults, where it comes from there
    enable_place: Place

    def on(self, lan: str) -> tuple[InterfaceFacts, ...]:
        """Its interfaces on a segment."""
        return tuple(interface for interface in self.interfaces if interface.lan == lan)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All routers, in the order of the file."""

    root: Path
    hosts: Mapping[str, HostFacts] = field(hash=False)
    others: tuple[str, ...] = ()  # of somebody else's inventory, and named by no intent

    def __getitem__(self, name: str) -> HostFacts:
        return self.hosts[name]


class InventoryError(HaccError):
    """The inventory does not load."""


def load_inventory(root: Path) -> Inventory:
    """Reads `hosts.yaml`, and `groups.yaml` and `defaults.yaml` where they exist."""
    texts, problems = read_files(root, [root / name for name in FILES if (root / name).exists()])
    inventory, _, found = parse_inventory(root, texts)
    if problems or found:
        raise InventoryError(dict.fromkeys(problems + found))
    return inventory


def read_files(root: Path, files: Iterable[Path]) -> tuple[dict[str, str], list[Problem]]:
    """The files' texts, by their paths below `root`, and what cannot be read."""
    texts, problems = {}, []
    for file in files:
        text = yamlmarks.read(file)
        if isinstance(text, Problem):
            problems.append(text)
        else:
            texts[file.relative_to(root).as_posix()] = text
    return texts, problems


def parse_inventory(
    root: Path,
    texts: Mapping[str, str],
    provided: yamlmarks.Mapping | None = None,
    wanted: Collection[str] = (),
) -> tuple[Inventory, frozenset[str], list[Problem]]:
    """The routers, every name in `hosts.yaml`, and what is wrong, to be told with the rest.

    `provided` is what somebody else's inventory says of hosts, many of which may be none of ours:
    what is wrong with one that is not `wanted` is its owner's business.
    """
    problems: list[Problem] = []

    def parsed(name: str) -> yamlmarks.Mapping:
        if name not in texts:
            return yamlmarks.Mapping(str(root / name), 0)
        data, found = yamlmarks.loads(texts[name], str(root / name))
        problems.extend(found)
        return data

    hosts, groups, defaults = map(parsed, FILES)
    written = hosts
    if provided is not None:
        hosts = _completed(provided, written)
        for name in {str(g) for host in provided.values() for g in host.get("groups", ())}:
            groups.setdefault(name, None)
    if not hosts and not problems:
        problems.append(Problem(Place(hosts.file, 0), "hosts", "no routers in it"))
    reader = _Reader(groups, defaults)
    problems += reader.check_groups()
    facts = {}
    others = []
    reached: dict[tuple[str, int], str] = {}
    for name in hosts:
        told = len(reader.problems)
        place = written.at(name) if provided is None or name in written else provided.place
        host = reader.host(name, hosts[name], place)
        if provided is not None and name in provided and name not in wanted:
            del reader.problems[told:]
            others.append(name)
            continue
        if host is None:
            continue
        facts[name] = host
        other = reached.setdefault((host.hostname, host.port), name)
        if other != name:
            problems.append(
                Problem(
                    host.place,
                    f"{name}.hostname",
                    f"{host.hostname} port {host.port} is also how {other} is reached",
                    hint="one of them would get the other's configuration",
                    also=(facts[other].place,),
                )
            )
    return Inventory(root, facts, tuple(others)), frozenset(hosts), problems + reader.problems


def _completed(provided: yamlmarks.Mapping, hosts: yamlmarks.Mapping) -> yamlmarks.Mapping:
    """What is provided, and what the file adds; what both say, the file says."""
    whole = yamlmarks.Mapping(hosts.file, 0)
    for name in dict.fromkeys((*provided, *hosts)):
        given, own = provided.get(name), hosts.get(name)
        if not isinstance(given, yamlmarks.Mapping) or not isinstance(own, yamlmarks.Mapping):
            whole[name] = given if own is None else own
            continue
        for key, value in given.items():
            if key == "data" and isinstance(own.get("data"), yamlmarks.Mapping):
                for word, item in value.items():
                    own["data"].setdefault(word, item)
            else:
                own.setdefault(key, value)
        whole[name] = own
    return whole


class _Reader:
    """Resolves inheritance and collects what is wrong."""

    def __init__(self, groups: yamlmarks.Mapping, defaults: yamlmarks.Mapping) -> None:
        self.groups = groups
        self.defaults = defaults
        self.problems: list[Problem] = []
        self.chains: dict[str, tuple[str, ...]] = {}

    def wrong(
        self, place: Place, subject: str, message: str, allowed: str = "", hint: str = ""
    ) -> None:
        self.problems.append(Problem(place, subject, message, allowed=allowed, hint=hint))

    def check_groups(self) -> list[Problem]:
        for name in self.groups:
            self.check(self.groups[name], self.groups.at(name), name)
        self.check(self.defaults, self.defaults.place, "defaults", (*ATTRIBUTES, *OF_THE_SITE))
        found, self.problems = self.problems, []
        return found

    def check(
        self,
        entry: object,
        place: Place,
        subject: str,
        known: Collection[str] = ATTRIBUTES,
    ) -> bool:
        """The shape of a host, a group or the defaults."""
        if entry is None:
            return True
        if not isinstance(entry, yamlmarks.Mapping):
            self.wrong(place, subject, f"found {entry!r}", "a mapping with hostname, groups, data")
            return False
        for key in entry:
            if key == "password":
                self.wrong(
                    entry.at(key),
                    f"{subject}.password",
                    "Nornir's own field would hold it in clear text",
                    hint='write it as a reference: data: {password: "env:NAME"}',
                )
            elif key not in known:
                self.wrong(
                    entry.at(key), f"{subject}.{key}", "unknown key", hint=nearest(key, known)
                )
        for key, kind, words in (("data", dict, "a mapping"), ("groups", list, "a list of names")):
            if entry.get(key) is not None and not isinstance(entry[key], kind):
                self.wrong(entry.at(key), f"{subject}.{key}", f"found {entry[key]!r}", words)
                return False
        for index, group in enumerate(entry.get("groups") or ()):
            if not isinstance(group, str) or group not in self.groups:
                self.wrong(
                    entry["groups"].at(index),
                    f"{subject}.groups[{index}]",
                    f"no group {group!r} in {Path(self.groups.file).name}",
                    hint=nearest(str(group), self.groups),
                )
        return True

    def chain(self, name: str) -> tuple[str, ...]:
        """A group and the groups that it inherits from, nearest first, each once."""
        if name not in self.chains:
            self.chains[name] = (name,)  # a circle ends here
            below = _groups(self.groups.get(name))
            found = [name, *(g for parent in below for g in self.chain(parent))]
            self.chains[name] = tuple(dict.fromkeys(found))
        return self.chains[name]

    def host(self, name: str, entry: object, place: Place) -> HostFacts | None:
        before = len(self.problems)
        if not HOST_NAME.fullmatch(name):
            self.wrong(
                place, name, "not a host name", "letters, digits, `-`, `_` and `.`, at most 63"
            )
        if not self.check(entry, place, name):
            return None
        own = entry if isinstance(entry, yamlmarks.Mapping) else yamlmarks.Mapping("", 0)
        groups = tuple(dict.fromkeys(g for group in _groups(own) for g in self.chain(group)))
        if len(self.problems) > before:
            return None
        # From the nearest to the farthest; a value is told about under the name that gave it.
        sources = [(name, own), *((g, _mapping(self.groups.get(g))) for g in groups)]
        sources.append(("defaults", self.defaults))
        named = [(owner, _mapping(source.get("data"))) for owner, source in sources]
        datas = [data for _, data in named]

        def attribute(key: str, kind: type, words: str, missing: str = "") -> Any:
            for owner, source in sources:
                if source.get(key) is not None:
                    value = source[key]
                    if type(value) is kind:
                        return value
                    written = source.written.get(key)
                    hint = yamlmarks.explain(written, value) if written else ""
                    self.wrong(source.at(key), f"{owner}.{key}", f"found {value!r}", words, hint)
                    return None
            if missing:
                self.wrong(place, f"{name}.{key}", "missing", words, missing)
            return None

        data = {key: value for source in reversed(datas) for key, value in source.items()}
        driver = attribute(
            "platform", str, ", ".join(PLATFORMS), "give it a group that has a platform"
        )
        if driver is not None and driver not in PLATFORMS:
            owner, source = next(s for s in sources if s[1].get("platform") is not None)
            self.wrong(
                source.at("platform"),
                f"{owner}.platform",
                f"found {driver!r}",
                ", ".join(PLATFORMS),
                nearest(driver, PLATFORMS),
            )
        port = attribute("port", int, "1-65535")
        if port is not None and not 0 < port < 65536:
            self.wrong(own.at("port"), f"{name}.port", f"found {port}", "1-65535")
        facts = {
            "hostname": attribute("hostname", str, "an address or a name") or name,
            "username": attribute("username", str, "a text"),
        }
        password, password_place = self.reference("password", named, place)
        enable, enable_place = self.reference("enable", named, place)
        router_id = self.address(name, "router_id", data, datas[0])
        spelling = canonical if PLATFORMS.get(driver) is Platform.IOS else str
        interfaces = tuple(self.interfaces(name, datas, spelling))
        if len(self.problems) > before:
            return None
        return HostFacts(
            name=name,
            platform=PLATFORMS[driver],
            driver=driver,
            port=port or SSH_PORT,
            password=password,
            enable=enable,
            router_id=router_id,
            interfaces=interfaces,
            groups=groups,
            data=data,
            place=place,
            router_id_place=datas[0].at("router_id") if "router_id" in datas[0] else place,
            password_place=password_place,
            enable_place=enable_place,
            **facts,
        )

    def reference(
        self, key: str, named: Iterable[tuple[str, yamlmarks.Mapping]], host: Place
    ) -> tuple[SecretRef | None, Place]:
        """The nearest reference to a secret, and where it is written."""
        owner, source = next((item for item in named if item[1].get(key) is not None), ("", None))
        if source is None:
            return None, host
        ref = SecretRef.parse(source[key])
        if ref is None:  # what stands there may be the password itself: it is not repeated
            self.wrong(
                source.at(key),
                f"{owner}.data.{key}",
                "not a reference to a secret",
                SCHEMES,
                'write "env:NAME", and export NAME',
            )
        return ref, source.at(key)

    def address(
        self, host: str, key: str, data: Mapping[str, Any], own: yamlmarks.Mapping
    ) -> IPv4Address | None:
        value = data.get(key)
        if value is None:
            return None
        try:
            return IPv4Address(value if isinstance(value, str) else "")
        except ValueError:
            self.wrong(
                own.at(key), f"{host}.data.{key}", f"found {value!r}", "an IPv4 address: 192.0.2.1"
            )
            return None

    def interfaces(
        self, host: str, datas: Iterable[yamlmarks.Mapping], spelling: Callable[[str], str]
    ) -> Iterator[InterfaceFacts]:
        table = next((data["interfaces"] for data in datas if data.get("interfaces")), None)
        if table is None:
            return
        if not isinstance(table, yamlmarks.Mapping):
            data = next(data for data in datas if data.get("interfaces"))
            self.wrong(
                data.at("interfaces"),
                f"{host}.data.interfaces",
                f"found {table!r}",
                "a mapping: NAME: {lan: core, address: 198.18.1.11/24}",
            )
            return
        first: dict[str, Place] = {}
        for written in table:
            entry, place, name = table[written], table.at(written), spelling(written)
            subject = f"{host}.data.interfaces.{written}"
            if name in first:
                self.problems.append(
                    Problem(place, subject, f"is {name} again", also=(first[name],))
                )
            first.setdefault(name, place)
            if entry is None:
                yield InterfaceFacts(name, None, None, place)
                continue
            if not isinstance(entry, yamlmarks.Mapping):
                self.wrong(place, subject, f"found {entry!r}", "{lan: NAME, address: ADDRESS/LEN}")
                continue
            for key in entry.keys() - {"lan", "address"}:
                self.wrong(
                    entry.at(key), f"{subject}.{key}", "unknown key",
                    hint=nearest(key, ("lan", "address")),
                )  # fmt: skip
            lan, text = entry.get("lan"), entry.get("address")
            address = None
            if lan is not None and not isinstance(lan, str):
                self.wrong(entry.at("lan"), f"{subject}.lan", f"found {lan!r}", "a LAN's name")
                lan = None
            try:
                if text is not None:
                    if not isinstance(text, str) or "/" not in text:
                        raise ValueError
                    address = IPv4Interface(text)
            except ValueError:
                self.wrong(
                    entry.at("address"),
                    f"{subject}.address",
                    f"found {text!r}",
                    "an IPv4 address with its prefix length: 198.18.1.11/24",
                )
                continue
            if lan is not None and address is None:
                self.wrong(
                    place, f"{subject}.address", "missing", "its address on the LAN: 198.18.1.11/24"
                )
            yield InterfaceFacts(name, lan, address, place)


def _mapping(value: object) -> yamlmarks.Mapping:
    return value if isinstance(value, yamlmarks.Mapping) else yamlmarks.Mapping("", 0)


def _groups(entry: object) -> list[str]:
    listed = _mapping(entry).get("groups")
    return [str(group) for group in listed] if isinstance(listed, list) else []


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a word that is not known: the one that was probably meant, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(word.lower(), known, 1, 0.6)
    if near:
        return f"did you mean {near[0]}?"
    listed = ", ".join(sorted(known)[:12])
    return f"known: {listed}{', ...' if len(known) > 12 else ''}" if known else ""


# ------------------------------------------------------------------ Nornir


def nornir_inventory(
    inventory: Inventory,
    opened: Mapping[str, str] | None = None,
    only: Iterable[str] | None = None,
) -> NornirInventory:
    """Nornir's inventory of our hosts, with their passwords where `opened` has them.

    Each host also carries its `HostFacts` as `data["facts"]`. Inheritance is already applied, so
    the groups are there to filter by and hold nothing.
    """
    opened = opened or {}
    names = {group for facts in inventory.hosts.values() for group in facts.groups}
    groups = Groups({name: Group(name) for name in sorted(names)})
    hosts = Hosts()
    for name in inventory.hosts if only is None else only:
        facts = inventory[name]
        hosts[name] = Host(
            name=name,
            hostname=facts.hostname,
            port=facts.port,
            username=facts.username,
            password=opened.get(facts.password.ref) if facts.password else None,
            platform=facts.driver,
            groups=ParentGroups(groups[group] for group in facts.groups),
            data={**facts.data, "facts": facts},
        )
    return NornirInventory(hosts=hosts, groups=groups, defaults=Defaults())


class HaccInventory:
    """The plugin: `InventoryPluginRegister.register("hacc", HaccInventory)`."""

    def __init__(
        self,
        inventory: Inventory,
        opened: Mapping[str, str] | None = None,
        only: Iterable[str] | None = None,
    ) -> None:
        self.arguments = (inventory, opened, only)

    def load(self) -> NornirInventory:
        return nornir_inventory(*self.arguments)
