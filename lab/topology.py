"""The inventory, as the lab sees it: which routers exist, on which segments, reached where.

Nornir's own SimpleInventory reads the files, so that the lab and the orchestrator cannot differ in
what a host inherits from its groups. Every problem is collected, then told in one run.
"""

from __future__ import annotations

import enum
import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, Final

from nornir.core.inventory import Host
from nornir.plugins.inventory import SimpleInventory

from .errors import InventoryInvalid

BENCHMARK_RANGE: Final = IPv4Network("198.18.0.0/15")  # RFC 2544, appendix C.2.2: never routed
DEFAULT_MANAGEMENT: Final = IPv4Network("198.18.0.0/24")
DEFAULT_PASSWORD: Final = "hacc-lab"  # of routers that cannot be reached from anywhere else
PASSWORD_VARIABLE: Final = "HACC_LAB_PASSWORD"  # where the inventory names none
MANAGEMENT: Final = "mgmt"  # the interface, and the segment, by which a router is managed
_INTERFACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")  # IFNAMSIZ is 16 with its NUL
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # RFC 1123, 2.1


class Kind(enum.Enum):
    """What a router of the lab is made of."""

    LINUX = "linux"
    IOS = "ios"


_KINDS: Final[Mapping[str, Kind]] = {
    "linux": Kind.LINUX,
    "cisco_ios": Kind.IOS,
    "cisco_xe": Kind.IOS,
    "ios": Kind.IOS,
}


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a router on a shared segment. `device` is the fabric's end of the cable."""

    router: str
    interface: str
    lan: str
    address: IPv4Interface | None  # what the inventory says; the orchestrator configures it

    @property
    def device(self) -> str:
        return device_name(f"{self.router}.{self.interface}")


@dataclass(frozen=True, slots=True)
class Router:
    """One virtual router."""

    name: str
    kind: Kind
    management: IPv4Address
    username: str
    ports: tuple[Port, ...]
    password: str = PASSWORD_VARIABLE  # the *name* of the environment variable that holds it
    enable: str = PASSWORD_VARIABLE  # the same of the enable secret (IOS)
    router_id: str = ""

    @property
    def management_port(self) -> Port:
        return Port(self.name, MANAGEMENT, MANAGEMENT, None)

    def port(self, interface: str) -> Port | None:
        every = (*self.ports, self.management_port)
        if self.kind is Kind.IOS:
            interface = _ios_name(interface) or interface
        return next((port for port in every if port.interface == interface), None)


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole lab, as a value. The orchestrator's end is `gateway` on the management segment."""

    name: str
    routers: tuple[Router, ...]
    management: IPv4Network = DEFAULT_MANAGEMENT
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # variable -> value
    authorized_key: str = ""

    def __post_init__(self) -> None:
        if problems := [*_contradictions(self)]:
            raise InventoryInvalid(*problems)

    @property
    def gateway(self) -> IPv4Interface:
        last = self.management.broadcast_address - 1
        return IPv4Interface(f"{last}/{self.management.prefixlen}")

    @property
    def lans(self) -> tuple[str, ...]:
        return tuple(sorted({port.lan for router in self.routers for port in router.ports}))

    @property
    def linux(self) -> tuple[Router, ...]:
        return tuple(router for router in self.routers if router.kind is Kind.LINUX)

    @property
    def ios(self) -> tuple[Router, ...]:
        return tuple(router for router in self.routers if router.kind is Kind.IOS)

    def router(self, name: str) -> Router:
        for router in self.routers:
            if router.name == name:
                return router
        known = ", ".join(router.name for router in self.routers)
        raise InventoryInvalid(f"{name}: no such router in this lab", hint=f"routers: {known}")


def device_name(name: str) -> str:
    """At most 15 characters: the name itself, or its start and a digest that tells it apart."""
    if len(name) <= 15 and re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return name
    digest = hashlib.blake2s(name.encode(), digest_size=4).hexdigest()
    return re.sub(r"[^A-Za-z0-9_-]", "", name)[:6] + "~" + digest


def default_name(inventory: Path) -> str:
    """A name that stays the same for one inventory folder and differs between two."""
    path = str(inventory.resolve())
    digest = hashlib.blake2s(path.encode(), digest_size=3).hexdigest()
    checkout = re.sub(r"[^a-z0-9-]", "", inventory.resolve().parent.name.lower()).strip("-")
    return f"{checkout[:16].strip('-') or 'lab'}-{digest}"


def check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InventoryInvalid(
            f"--name {name!r} is not a lab's name",
            hint="1 to 32 characters of a-z, 0-9 and -, not at the ends",
        )
    return name


def load_topology(
    inventory: Path, name: str = "", environment: Mapping[str, str] = os.environ
) -> Topology:
    """Read `inventory/` (hosts.yaml, groups.yaml, defaults.yaml) into a lab.

    `data.password` and `data.enable` (of a host, its groups or the defaults) are references,
    `env:NAME`, as for the orchestrator; what is not set in the environment is "hacc-lab".
    `defaults.yaml: data.lab` may say `management` (a network inside 198.18.0.0/15) and
    `authorized_key` (one line of authorized_keys, for root).
    """
    name = check_name(name or default_name(inventory))
    hosts = inventory / "hosts.yaml"
    if not hosts.is_file():
        raise InventoryInvalid(
            f"{hosts}: no such file", hint="give the folder that holds hosts.yaml with --inventory"
        )
    try:
        loaded = SimpleInventory(
            host_file=str(hosts),
            group_file=str(inventory / "groups.yaml"),
            defaults_file=str(inventory / "defaults.yaml"),
        ).load()
    except KeyError as error:
        raise InventoryInvalid(f"{hosts}: group {error} is not in groups.yaml") from error
    except Exception as error:  # ruamel and Nornir have no common base for "this file is wrong"
        raise InventoryInvalid(f"{inventory}: {' '.join(str(error).split())}") from error
    settings = (loaded.defaults.data or {}).get("lab") or {}
    if not isinstance(settings, dict):
        raise InventoryInvalid(f"{inventory / 'defaults.yaml'}: data.lab: expected a mapping")
    problems = [
        f"{inventory / 'defaults.yaml'}: data.lab.{key}: unknown key"
        for key in sorted(set(settings) - {"management", "authorized_key"})
    ]
    management = _network(settings.get("management"), problems)
    found = [_router(host, problems) for host in loaded.hosts.values()]
    if problems:
        raise InventoryInvalid(*problems)
    routers = tuple(router for router in found if router is not None)
    variables = {name for router in routers for name in (router.password, router.enable)}
    secrets = {name: environment[name] for name in sorted(variables) if environment.get(name)}
    return Topology(name, routers, management, secrets, str(settings.get("authorized_key", "")))


def _variable(host: Host, key: str, problems: list[str]) -> str:
    """The environment variable that a reference names. The lab opens no vault for its routers."""
    # Not host.get(): it would answer with Nornir's own attribute `password`, which is never set.
    reference = str(host.extended_data().get(key) or f"env:{PASSWORD_VARIABLE}")
    scheme, _, variable = reference.partition(":")
    if scheme != "env" or not re.fullmatch(r"[A-Za-z_]\w*", variable):
        problems.append(f"{host.name}: data.{key}: the lab takes only env:NAME references")
    return variable


def _network(value: object, problems: list[str]) -> IPv4Network:
    if value is None:
        return DEFAULT_MANAGEMENT
    try:
        return IPv4Network(str(value))
    except ValueError as error:
        problems.append(f"defaults.yaml: data.lab.management: {error}")
        return DEFAULT_MANAGEMENT


def _router(host: Host, problems: list[str]) -> Router | None:
    at = f"hosts.yaml: {host.name}"
    kind = _KINDS.get(host.platform or "")
    if kind is None:
        problems.append(
            f"{at}: platform {host.platform!r} is unknown (allowed: {', '.join(_KINDS)})"
        )
        return None
    try:
        management = IPv4Address(str(host.hostname))
    except ValueError:
        problems.append(f"{at}: hostname {host.hostname!r} is not an IPv4 address")
        return None
    if not _HOST.fullmatch(host.name):
        problems.append(f"{at}: not a host name (RFC 1123: letters, digits, -, at most 63)")
    interfaces: Any = host.get("interfaces") or {}
    if not isinstance(interfaces, dict):
        problems.append(f"{at}: data.interfaces: expected a mapping of interface names")
        return None
    ports = [_port(host.name, kind, str(n), said, problems) for n, said in interfaces.items()]
    return Router(
        host.name,
        kind,
        management,
        host.username or "root",
        tuple(port for port in ports if port is not None),
        _variable(host, "password", problems),
        _variable(host, "enable", problems),
        str(host.get("router_id") or ""),
    )


def _ios_name(typed: str) -> str | None:
    """Loaded where there are IOS routers: the simulator takes as long as the rest of the lab."""
    from .ios.names import full_name

    return full_name(typed)


def _port(
    router: str, kind: Kind, interface: str, said: object, problems: list[str]
) -> Port | None:
    at = f"hosts.yaml: {router}.data.interfaces.{interface}"
    if not isinstance(said, dict):
        problems.append(f"{at}: expected {{lan: NAME, address: A.B.C.D/LEN}}")
        return None
    if "lan" not in said:  # a loopback, a tunnel: nothing that a cable could be plugged into
        return None
    if kind is Kind.LINUX and (not _INTERFACE.fullmatch(interface) or interface in ("lo", "mgmt")):
        problems.append(f"{at}: not a name for a Linux interface (1-15 characters, not lo or mgmt)")
    if kind is Kind.IOS:  # as people type it: Gi0/1
        if (name := _ios_name(interface)) is None:
            problems.append(f"{at}: not a name for an interface of the IOS simulator")
        interface = name or interface
    try:
        address = IPv4Interface(str(said["address"])) if said.get("address") else None
    except ValueError as error:
        problems.append(f"{at}.address: {error}")
        return None
    lan = str(said["lan"])
    if lan == MANAGEMENT or not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", lan):
        problems.append(f"{at}.lan: {lan!r} is not a name for a segment (and not {MANAGEMENT!r})")
    return Port(router, interface, lan, address)


def _contradictions(topology: Topology) -> list[str]:
    """What no file says alone."""
    problems: list[str] = []
    network = topology.management
    if not network.subnet_of(BENCHMARK_RANGE):
        problems.append(
            f"management network {network} is outside {BENCHMARK_RANGE} (RFC 2544): "
            "the lab never uses addresses that a real network could have"
        )
    taken = Counter(router.management for router in topology.routers)
    for router in topology.routers:
        if router.management not in network:
            problems.append(f"{router.name}: {router.management} is outside {network}")
        elif router.management in (
            topology.gateway.ip,
            network.network_address,
            network.broadcast_address,
        ):
            problems.append(f"{router.name}: {router.management} is not free ({network})")
        if taken[router.management] > 1:
            problems.append(f"{router.name}: {router.management} is given to several hosts")
    devices = Counter(
        port.device for r in topology.routers for port in (*r.ports, r.management_port)
    )
    problems += [f"{name}: two interfaces get this device" for name, n in devices.items() if n > 1]
    return problems
