"""Random intents that are right: `intents()` draws sites of every topology and platform mix.

A site is drawn as the texts that a person would write and goes through the whole front end, so
whatever takes a site or a model can be held against it. Addresses are RFC 2544's 198.18.0.0/15,
cut so that nothing collides: cluster `c` (0-3) has the LANs 198.18.(16c+1..).0/24, the virtual
networks 198.19.(64c).0/20 and up, and the VHA 198.18.(16c).1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tasks.intent import Site, parse_site

ROOT = Path("inventory")
LAN_NAMES = ("core", "edge", "third")


@st.composite
def texts(draw: st.DrawFn, clusters: st.SearchStrategy[int] | None = None) -> dict[str, str]:
    """The files of a site. JSON is YAML, so what is drawn is written without a second syntax."""
    count = draw(clusters if clusters is not None else st.integers(1, 2))
    hosts: dict[str, Any] = {}
    found = {
        f"clusters/c{number}.yaml": json.dumps(draw(_cluster(number, hosts)), indent=1)
        for number in range(count)
    }
    found["hosts.yaml"] = json.dumps(hosts, indent=1)
    found["groups.yaml"] = json.dumps(
        {
            "linux": {"platform": "linux", "username": "root"},
            "ios": {"platform": "cisco_ios", "username": "admin"},
        }
    )
    found["defaults.yaml"] = json.dumps({"data": {"password": "env:HACC_PASSWORD"}})
    return found


@st.composite
def intents(draw: st.DrawFn, clusters: st.SearchStrategy[int] | None = None) -> Site:
    """A site of one or two clusters (or as many as `clusters` draws, up to 4)."""
    return parse_site(ROOT, draw(texts(clusters)))


@st.composite
def _cluster(draw: st.DrawFn, number: int, hosts: dict[str, Any]) -> dict[str, Any]:
    lans = draw(st.lists(st.sampled_from(LAN_NAMES), min_size=1, max_size=3, unique=True))
    third = {lan: 16 * number + 1 + index for index, lan in enumerate(lans)}
    taken = iter(range(11, 200))

    def host(platform: str, on: list[str]) -> str:
        last = next(taken)
        name = f"{'l' if platform == 'linux' else 'i'}{number}-{last}"
        interfaces: dict[str, Any] = {
            f"eth{n}" if platform == "linux" else f"GigabitEthernet0/{n}": {
                "lan": lan,
                "address": f"198.18.{third[lan]}.{last}/24",
            }
            for n, lan in enumerate(on, 1)
        }
        interfaces["eth9" if platform == "linux" else "GigabitEthernet0/9"] = {}
        hosts[name] = {
            "hostname": f"198.18.{16 * number}.{last}",
            "groups": [platform],
            "data": {"router_id": f"198.18.{16 * number + 15}.{last}", "interfaces": interfaces},
        }
        return name

    def some(strategy: st.SearchStrategy[Any], key: str, into: dict[str, Any]) -> None:
        if draw(st.booleans()):
            into[key] = draw(strategy)

    def groups(start: int, low: int, high: int, on: list[str]) -> list[dict[str, Any]]:
        """Group numbers grow with the LAN, so that they never meet on one."""
        first = draw(st.integers(low, high))
        return [
            {"lan": lan, "group": first + n, "address": f"198.18.{third[lan]}.{start}"}
            for n, lan in enumerate(on)
        ]

    sync = draw(st.integers(1, 60))
    decrement = draw(st.integers(11, 60))
    controllers = [host("linux", lans) for _ in range(draw(st.integers(2, 3)))]
    version = draw(st.sampled_from([2, 3]))
    vrrp: dict[str, Any] = {
        "protocol": "vrrp",
        "version": version,
        # 1-40 for the controllers, 41 and up for the pairs: one number, one group on a LAN.
        "groups": groups(254, 1, 40, lans),
    }
    hellos = st.sampled_from([1000, 2000]) if version == 2 else st.sampled_from([100, 250, 1000])
    some(hellos, "hello_ms", vrrp)
    some(st.integers(sync + 1, 600), "preempt_delay_s", vrrp)
    if version == 2:
        some(st.just({"text": "env:VRRP_WORD"}), "authentication", vrrp)

    members: list[dict[str, Any]] = []
    kinds = draw(st.lists(st.sampled_from(["linux", "ios", "pair"]), min_size=1, max_size=5))
    for index, kind in enumerate(kinds):
        # A member needs one LAN that it shares with the controllers, who are on all of them.
        on = draw(st.lists(st.sampled_from(lans), min_size=1, max_size=len(lans), unique=True))
        member: dict[str, Any]
        if kind == "pair":
            halves: list[Any] = [host("ios", on), host("ios", on)]
            if draw(st.booleans()):
                track = [{"interface": "GigabitEthernet0/9", "decrement": decrement}]
                halves[0] = {"host": halves[0], "track": track}
            hsrp = draw(st.sampled_from([1, 2]))
            redundancy: dict[str, Any] = {
                "protocol": "hsrp",
                "version": hsrp,
                "groups": groups(253 - index, 50 + 20 * index, 60 + 20 * index, on),
            }
            if draw(st.booleans()):
                hello = draw(st.sampled_from([15, 200, 999, 1000, 3000]))
                redundancy["hello_ms"] = hello
                redundancy["hold_ms"] = max(3, -(-3 * hello // 1000)) * 1000
            some(
                st.sampled_from([{"md5": "env:HSRP_KEY"}, {"text": "env:HSRP_WORD"}]),
                "authentication",
                redundancy,
            )
            member = {
                "pair": f"p{number}-{index}",
                "hosts": halves,
                "redundancy": redundancy,
                "security": draw(_security(0x300)),
            }
        else:
            member = {"host": host(kind, on)}
        some(st.integers(1, 4), "weight", member)
        some(st.integers(1, 500_000), "max_bindings", member)
        members.append(member)

    networks: list[Any] = [
        f"198.19.{64 * number + 16 * n}.0/20" for n in range(draw(st.integers(1, 3)))
    ]
    # Of IOS Home Agents none can ask a RADIUS server, so it holds keys for Linux ones alone.
    radius = draw(st.booleans())
    all_linux = kinds.count("linux") == len(kinds)
    nodes: list[dict[str, Any]] = []
    for n in range(draw(st.integers(0, len(networks)))):
        realm: dict[str, Any] = {
            "realm": f"@r{n}.example",
            "pool": f"198.19.{64 * number + 16 * n}.0/{draw(st.integers(21, 28))}",
            "security": draw(_security(0x100 + n)),
        }
        some(st.integers(1, 65535), "lifetime", realm)
        nodes.append(realm)
        if len(members) > 1 and "slice" not in members[0] and draw(st.booleans()):
            base = realm["pool"].partition("/")[0]
            members[0]["slice"] = [f"{base}/{draw(st.integers(29, 30))}"]
    for n in range(draw(st.integers(0, 3))):
        network = draw(st.integers(0, len(networks) - 1))
        nodes.append(
            {
                "address": f"198.19.{64 * number + 16 * network + 15}.{10 + n}",
                "security": draw(_security(0x200 + n)),
            }
        )
    if draw(st.booleans()) and all(_on(hosts, m, lans[0]) for m in members):
        networks.append({"lan": lans[0]})
        if draw(st.booleans()):
            pool = f"198.18.{third[lans[0]]}.224/28"
            nodes.append(
                {"realm": "@lan.example", "pool": pool, "security": draw(_security(0x180))}
            )

    backups = []
    if draw(st.booleans()):  # on the first LAN, where a physical home network wants every member
        backups = [host(draw(st.sampled_from(["linux", "ios"])), lans[:1])]
    if radius and all_linux and not any(backup.startswith("i") for backup in backups):
        for n, node in enumerate(nodes):
            some(st.just([f"198.19.{64 * number + 63}.{8 * n}/29"]), "mobile_networks", node)
            match draw(st.sampled_from(["told", "held", "known"])):
                case "held":
                    node["aaa"] = "env:MN_AAA"
                    node["security"] = {"spi": node["security"]["spi"], "key": "env:KEY"}
                case "known":
                    del node["security"]
    cluster: dict[str, Any] = {
        "cluster": f"c{number}",
        "home_agent": {"address": f"198.18.{16 * number}.1", "networks": networks},
        "lans": {lan: {"network": f"198.18.{third[lan]}.0/24"} for lan in lans},
        "controllers": {"members": controllers, "redundancy": vrrp},
        "home_agents": members,
        "binding_sync_s": sync,
        "mobile_nodes": nodes,
        "snmp": draw(
            st.sampled_from(
                [
                    {"version": "2c", "community": "env:COMMUNITY"},
                    {"version": 3, "user": "hacc", "auth": "env:AUTH", "priv": "env:PRIV"},
                ]
            )
        ),
    }
    if backups:
        cluster["backups"] = backups
    if radius:
        cluster["radius"] = {"server": "198.18.255.40", "secret": "env:RADIUS"}
        some(st.integers(1, 65535), "port", cluster["radius"])
        some(st.integers(10, 60_000), "timeout_ms", cluster["radius"])
        some(st.integers(1, 10), "tries", cluster["radius"])
    some(st.sampled_from(["relay", "assign", "redirect"]), "assignment", cluster)
    some(st.just({"certificates": f"pki/c{number}", "port": 4434}), "link", cluster)
    some(_rates(), "admission", cluster)
    some(_readings(), "readings", cluster)
    some(_tunnels(), "tunnels", cluster)
    some(st.sampled_from(["machine", "process"]), "durability", cluster)
    some(st.integers(1, 16), "simultaneous_bindings", cluster["home_agent"])
    some(st.integers(5, 65535), "lifetime", cluster["home_agent"])
    some(
        st.just([{"address": "198.18.255.1", "security": draw(_security(0x400))}]),
        "foreign_agents",
        cluster,
    )
    some(
        st.sampled_from(
            [
                {"ospf": {"area": 0, "hello_s": 1}},
                {"ospf": {"area": "0.0.0.7", "authentication": {"md5": "env:OSPF_KEY"}}},
            ]
        ),
        "routing",
        cluster,
    )
    some(st.just({"cdp": False}), "discovery", cluster)
    return cluster


def _on(hosts: dict[str, Any], member: dict[str, Any], lan: str) -> bool:
    names = [_name(router) for router in member.get("hosts", [member.get("host")])]
    return all(
        any(interface.get("lan") == lan for interface in hosts[name]["data"]["interfaces"].values())
        for name in names
    )


def _name(router: Any) -> str:
    return str(router["host"] if isinstance(router, dict) else router)


def _rates() -> st.SearchStrategy[dict[str, int]]:
    names = ("registrations", "new_bindings", "member_registrations", "member_new_bindings")
    rate = st.integers(1, 10_000_000)
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, rate))


def _readings() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "reserved_bits": st.sampled_from(["ignore", "deny"]),
            "duplicate": st.sampled_from(["answer", "deny"]),
            "bad_authenticator": st.sampled_from(["deny", "deny-proven"]),
            "foreign_authentication_of_deregistrations": st.booleans(),
            "any_home_agent": st.sampled_from(["assign", "deny"]),
            "udp_tunnel_reserved": st.sampled_from(["skip", "deny"]),
            "dynamic_layout": st.sampled_from(["rfc", "short"]),
        },
    )


def _tunnels() -> st.SearchStrategy[dict[str, Any]]:
    optional: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(
        ("gre", "minimal", "udp", "forced_udp"), st.booleans()
    )
    optional["reverse"] = st.sampled_from(["allowed", "refused", "mandatory"])
    optional["keepalive_s"] = st.integers(1, 65535)
    return st.fixed_dictionaries({}, optional=optional)


@st.composite
def _security(draw: st.DrawFn, spi: int) -> dict[str, Any]:
    security: dict[str, Any] = {"spi": spi + 0x1000 * draw(st.integers(0, 15)), "key": "env:KEY"}
    if draw(st.booleans()):
        security["algorithm"] = draw(st.sampled_from(["hmac-md5", "md5-prefix-suffix"]))
    if draw(st.booleans()):
        tolerance = draw(st.integers(1, 255))
        security["replay"] = {"method": "timestamp", "tolerance": tolerance}
    return security
