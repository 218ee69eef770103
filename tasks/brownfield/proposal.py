"""From two halves to an intent: the shortest that says the same, with secrets by reference."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Final

import yaml

from .reading import Half, covering, milliseconds, network

PRIORITIES: Final = (200, 190)  # what `compile` gives the first and the second of a pair
IOS_LIFETIME_S: Final = 36000  # of `ip mobile home-agent`, where the router shows none
IOS_REPLAY_S: Final = 7
IOS_DECREMENT: Final = 10  # of `standby N track`
NEW_GROUP: Final = 254  # of the controllers, which are new; VRRP's last but one
_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be written, and the secrets that its references must open."""

    cluster: str
    intent: Mapping[str, Any] = field(hash=False)
    hosts: Mapping[str, Mapping[str, Any]] = field(hash=False)  # `data` of each router
    secrets: Mapping[str, str] = field(repr=False, hash=False)  # NAME of the environment -> clear

    @property
    def text(self) -> str:
        """The intent, as a file of inventory/clusters."""
        dumped = yaml.safe_dump(
            dict(self.intent), sort_keys=False, default_flow_style=None, width=96
        )
        return f"# Proposed by `hacc import` from what runs; every line is yours now.\n{dumped}"


class _Names:
    """References for secrets, named by what they are for; the same secret has one name."""

    def __init__(self, cluster: str) -> None:
        self._prefix = _NAME.sub("_", cluster.lower()).upper()
        self.clear: dict[str, str] = {}

    def ref(self, use: str, clear: str) -> str:
        known = next((name for name, value in self.clear.items() if clear and value == clear), None)
        base = f"{self._prefix}_{_NAME.sub('_', use.lower()).strip('_').upper()}"
        name, count = known or base, 1
        while known is None and name in self.clear:
            count += 1
            name = f"{base}_{count}"
        self.clear[name] = clear
        return f"env:{name}"


def propose(
    halves: Sequence[Half], controllers: Mapping[str, Collection[str]], cluster: str = ""
) -> Proposal:
    """The cluster that these two would be a pair of.

    `controllers` are the routers that are to own the virtual Home Agent address, each with its
    addresses: who is a controller is told what happens anyway.
    """
    first, second = sorted(halves, key=_priority, reverse=True)
    pair, lans = _named(first)
    name = cluster or _cluster(first) or pair
    names = _Names(name)
    ports = {lan: first.interface(interface) for interface, lan in lans.items()}
    tolerance = int(first.first("home-agent", tolerance="").get("tolerance", 0)) or _tolerance(
        first
    )
    intent: dict[str, Any] = {"cluster": name}
    intent["home_agent"] = _home_agent(first, lans, tolerance)
    intent["lans"] = {lan: {"network": str(port.network)} for lan, port in ports.items() if port}
    gateway = _gateway(first, ports)
    intent["controllers"] = {
        "members": list(controllers),
        "redundancy": {"protocol": "vrrp", "groups": [gateway]},
    }
    intent["home_agents"] = [_pair(first, second, pair, lans, names, tolerance)]
    delay = int(next((p.get("delay", "0") for p in first.all("preempt")), "0"))
    if delay and delay <= 15:
        intent["binding_sync_s"] = max(1, delay - 1)  # it must be shorter
    nodes = [*_realms(first, names, tolerance), *_nodes(first, names, tolerance)]
    if nodes:
        intent["mobile_nodes"] = nodes
    agents = [
        {
            "address": line["a"],
            "security": _security(first, line, f"FA {line['a']}", names, tolerance),
        }
        for line in first.all("foreign-agent")
    ]
    if agents:
        intent["foreign_agents"] = agents
    intent["routing"] = {"ospf": _ospf(first, names)}
    told = {address for addresses in controllers.values() for address in addresses}
    intent["snmp"] = _snmp(first, names, told)
    if first.all("no-cdp"):
        intent["discovery"] = {"cdp": False}
    hosts = {half.host: _facts(half, lans) for half in (first, second)}
    return Proposal(name, intent, hosts, names.clear)


def _priority(half: Half) -> int:
    return max((int(line["priority"]) for line in half.all("priority")), default=100)


def _named(half: Half) -> tuple[str, dict[str, str]]:
    """The pair's name and its LANs by interface: groups are called PAIR-LAN."""
    groups = {line["i"]: line for line in half.all("virtual")}
    called = {i: half.first("name", i=i).get("name", "") for i in groups}
    heads = {name.rpartition("-")[0] for name in called.values()}
    if len(heads) == 1 and all(heads):
        return heads.pop(), {i: name.rpartition("-")[2] for i, name in called.items()}
    pair = _NAME.sub("-", next(iter(called.values()), "").lower()).strip("-") or "pair"
    return pair, {i: f"lan{n}" for n, i in enumerate(groups, 1)}


def _cluster(half: Half) -> str:
    """What the pools of one of our clusters begin with."""
    for realm in half.all("realm"):
        tail = _NAME.sub("-", realm["realm"].removeprefix("@").lower())
        if realm["pool"].endswith(f"-{tail}"):
            return realm["pool"].removesuffix(f"-{tail}")
    return ""


def _tolerance(half: Half) -> int:
    found = [int(line["tolerance"]) for line in half.all("home-agent") if "tolerance" in line]
    return found[0] if found else IOS_REPLAY_S


def _home_agent(half: Half, lans: Mapping[str, str], tolerance: int) -> dict[str, Any]:
    address = half.first("home-agent-address").get("a") or next(
        (line["a"] for line in half.all("redundancy") if "a" in line), None
    )
    networks: list[Any] = [str(network(line["network"])) for line in half.all("network")]
    at_home = (line.get("link") for line in (*half.all("realm"), *half.all("node")))
    networks += [{"lan": lans[i]} for i in dict.fromkeys(at_home) if i is not None and i in lans]
    lifetimes = [int(line["lifetime"]) for line in half.all("home-agent") if "lifetime" in line]
    made: dict[str, Any] = {"address": address or "0.0.0.0", "networks": networks}
    made["lifetime"] = lifetimes[0] if lifetimes else IOS_LIFETIME_S
    if tolerance != IOS_REPLAY_S:
        made["replay"] = {"method": "timestamp", "tolerance": tolerance}
    return made


def _gateway(half: Half, ports: Mapping[str, IPv4Interface | None]) -> dict[str, Any]:
    """The controllers' virtual address: where replies go already, else the LAN's last but one."""
    for line in half.all("next-hop"):
        for lan, port in ports.items():
            if port and IPv4Address(line["a"]) in port.network:
                return {"lan": lan, "group": NEW_GROUP, "address": line["a"]}
    lan, port = next(iter(ports.items()), ("lan1", None))
    free = str(port.network.broadcast_address - 1) if port else "0.0.0.0"
    return {"lan": lan, "group": NEW_GROUP, "address": free}


def _pair(
    first: Half,
    second: Half,
    pair: str,
    lans: Mapping[str, str],
    names: _Names,
    tolerance: int,
) -> dict[str, Any]:
    groups = [
        {"lan": lans[line["i"]], "group": int(line["g"]), "address": line["a"]}
        for line in first.all("virtual")
    ]
    redundancy: dict[str, Any] = {
        "protocol": "hsrp",
        "version": int(first.first("version").get("version", "1")),
        "groups": groups,
    }
    if timers := first.first("timers"):
        redundancy["hello_ms"] = milliseconds(timers["hello"])
        redundancy["hold_ms"] = milliseconds(timers["hold"])
    if delay := first.first("preempt").get("delay"):
        redundancy["preempt_delay_s"] = int(delay)
    for method in ("md5", "text"):
        if line := first.first(method):
            ref = names.ref("HSRP KEY", first.key(line["key"]))
            redundancy["authentication"] = {method: ref}
    security = first.first("pair-key")
    made: dict[str, Any] = {
        "pair": pair,
        "hosts": [_router(half, rank) for rank, half in enumerate((first, second))],
        "redundancy": redundancy,
    }
    if security:
        made["security"] = _security(first, security, "PAIR KEY", names, tolerance)
    if limit := first.first("max-binding").get("n"):
        made["max_bindings"] = int(limit)
    return made


def _router(half: Half, rank: int) -> Any:
    """A half as the intent names it: with what is not as it would be anyway."""
    made: dict[str, Any] = {"host": half.host}
    if (priority := _priority(half)) != PRIORITIES[rank]:
        made["priority"] = priority
    objects = {line["n"]: line["i"] for line in half.all("track")}
    group = half.first("virtual").get("g", "")
    interface = half.first("virtual").get("i", "")
    tracked = [
        {
            "interface": objects[line["n"]],
            "decrement": int(line.get("decrement", IOS_DECREMENT)),
        }
        for line in half.all("tracks")
        if line["g"] == group and line["i"] == interface and line["n"] in objects
    ]
    if tracked:
        made["track"] = tracked
    return made if len(made) > 1 else half.host


def _security(
    half: Half, line: Mapping[str, str], use: str, names: _Names, tolerance: int
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "spi": int(line["spi"], 16),
        "algorithm": "md5-prefix-suffix" if "prefix" in line["algorithm"] else "hmac-md5",
        "key": names.ref(use, half.key(line["key"])),
    }
    own = int(line.get("tolerance", IOS_REPLAY_S))
    if own != tolerance:
        made["replay"] = {"method": "timestamp", "tolerance": own}
    return made


def _realms(half: Half, names: _Names, tolerance: int) -> list[dict[str, Any]]:
    made = []
    for line in half.all("realm"):
        ranges = [
            (IPv4Address(pool["low"]), IPv4Address(pool["high"]))
            for pool in half.all("pool")
            if pool["name"] == line["pool"]
        ]
        realm: dict[str, Any] = {"realm": line["realm"]}
        if ranges:
            whole = covering(min(low for low, _ in ranges), max(high for _, high in ranges))
            realm["pool"] = str(whole)
        if key := half.first("realm-key", realm=line["realm"]):
            use = f"MN {line['realm']}"
            realm["security"] = _security(half, key, use, names, tolerance)
        if "lifetime" in line:
            realm["lifetime"] = int(line["lifetime"])
        made.append(realm)
    return made


def _nodes(half: Half, names: _Names, tolerance: int) -> list[dict[str, Any]]:
    made = []
    for line in half.all("node"):
        node: dict[str, Any] = {"address": line["a"]}
        if key := half.first("node-key", a=line["a"]):
            node["security"] = _security(half, key, f"MN {line['a']}", names, tolerance)
        if "lifetime" in line:
            node["lifetime"] = int(line["lifetime"])
        made.append(node)
    return made


def _ospf(half: Half, names: _Names) -> dict[str, Any]:
    area = half.first("ospf-area")
    made: dict[str, Any] = {
        "process": int(area.get("process", "1")),
        "area": _area(area.get("area", "0")),
    }
    if hello := half.first("ospf-hello").get("s"):
        made["hello_s"] = int(hello)
    if dead := half.first("ospf-dead").get("s"):
        made["dead_s"] = int(dead)
    if key := half.first("ospf-key"):
        made["authentication"] = {"md5": names.ref("OSPF KEY", half.key(key["key"]))}
    return made


def _area(text: str) -> int | str:
    """0, or dotted: a number is the same area as the address that it is."""
    return text if "." in text else 0 if text == "0" else str(IPv4Address(int(text)))


def _snmp(half: Half, names: _Names, told: Collection[str]) -> dict[str, Any]:
    made: dict[str, Any]
    community, user = half.first("community"), half.first("user")
    if community and not user:
        ref = names.ref("SNMP COMMUNITY", half.key(community["key"]))
        made = {"version": "2c", "community": ref}
    elif user:
        made = {
            "version": 3,
            "user": user["user"],
            "auth": names.ref("SNMP AUTH", half.key(user["key"])),
            "priv": names.ref("SNMP PRIV", half.key(user["priv"])),
        }
    else:  # it has none: these are to be made
        made = {"version": 3, "user": "hacc", "auth": "env:SNMP_AUTH", "priv": "env:SNMP_PRIV"}
    if traps := [line["a"] for line in half.all("trap") if line["a"] not in told]:
        made["traps"] = list(dict.fromkeys(traps))
    return made


def _facts(half: Half, lans: Mapping[str, str]) -> dict[str, Any]:
    """What the inventory must say of a router, under `data`."""
    interfaces: dict[str, Any] = {}
    for name, lan in lans.items():
        if port := half.interface(name):
            interfaces[name] = {"lan": lan, "address": str(port)}
    for line in half.all("track"):
        interfaces.setdefault(line["i"], {})
    loopback = half.first("address", i="Loopback0")
    made: dict[str, Any] = {"interfaces": interfaces}
    return {"router_id": loopback["a"], **made} if loopback else made
