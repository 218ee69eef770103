"""What a Linux router says of itself: one script, one round trip, and its output as values.

The script only reads. Each section ends with the exit status of its command, so that an answer
that is empty and a command that failed are told apart. Its output is small whatever the router
serves: no whole routing table, only what OSPF computed and the ways that are asked about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from .observation import (
    Address,
    AgentStatus,
    ArpRules,
    Figures,
    Finding,
    Forwarding,
    GroupState,
    Held,
    Lans,
    OspfNeighbour,
    OspfRoute,
    Part,
    Placed,
    Unit,
    Unread,
)

UNITS = ("frr", "keepalived", "snmpd", "hacc-agent", "hacc-hsrp", "hacc-agent-api")

# Whose age is the service's. frr.service starts several daemons; zebra is the one that all need.
_PROCESS = {name: "zebra" if name == "frr" else name for name in UNITS}

_SECTION = re.compile(r"^==hacc (\w+)$\n(.*?)^==end (\d+)$", re.MULTILINE | re.DOTALL)


# Up to 200 are told one by one, 60 kB; the last line says when there are more.
_HELD = """\
held() { ! runs "$agent" || hacc-agent bindings --json --limit 200; }
section held held
"""


def script(ways: Iterable[IPv4Address], *, one_by_one: bool = False) -> str:
    """The POSIX shell script that answers everything; `ways` are the addresses to ask about.

    `one_by_one` asks for the bindings too, where an agent has few.
    Each question is one process whatever it asks for: it is asked again until all has converged.
    """
    questions = "".join(f"route get {address}\n" for address in ways)
    return f"""\
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
section() {{ echo "==hacc $1"; shift; "$@" 2>&1; echo "
==end $?"; }}
arp() {{ grep -H . /proc/sys/net/ipv4/conf/*/arp_ignore /proc/sys/net/ipv4/conf/*/arp_announce; }}
# An address that there is no way to is an error of that line, and has no answer.
ways() {{ ip -j -force -batch - 2>/dev/null <<QUESTIONS || true
{questions}QUESTIONS
}}
ospf() {{ vtysh -c 'show ip ospf neighbor json' -c 'show ip ospf route json'; }}
processes() {{ ps -C {",".join(_PROCESS.values())} -o comm=,etimes= || true; }}
units() {{ echo "$states"; echo --; processes; }}
runs() {{ case $1 in active | reloading) ;; *) return 1 ;; esac; }}
# A daemon that was not started is told apart from one that does not answer.
agent() {{ runs "$agent" || {{ echo hacc-agent is not running; return 1; }}
hacc-agent status --json; }}
# Where no speaker is meant to run there are no groups; that one should is for the services to say.
hsrp() {{ ! runs "$hsrp" || hacc-agent hsrp --json; }}
section addresses ip -j -4 addr
section arp arp
section forwards cat /proc/sys/net/ipv4/ip_forward
section ways ways
section ospf ospf
states=$(systemctl is-active {" ".join(UNITS)} 2>&1)
set -- $states
agent=${{{UNITS.index("hacc-agent") + 1}}} hsrp=${{{UNITS.index("hacc-hsrp") + 1}}}
section units units
section agent agent
section hsrp hsrp
{_HELD if one_by_one else ""}"""


def _sections(output: str) -> dict[str, tuple[str, int]]:
    text = output.replace("\r\n", "\n")
    return {name: (body.rstrip("\n"), int(code)) for name, body, code in _SECTION.findall(text)}


def _stream(text: str) -> list[Any]:
    """JSON values one after the other; vtysh and ip print one for each question."""
    decoder, values, at = json.JSONDecoder(), [], 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        values.append(value)
        while at < len(text) and text[at].isspace():
            at += 1
    return values


def _addresses(text: str) -> tuple[Address, ...]:
    return tuple(
        Address(
            link["ifname"],
            IPv4Address(entry["local"]),
            int(entry["prefixlen"]),
            # A loopback's operational state is UNKNOWN, and so is that of some tunnels.
            "UP" in link["flags"] and link["operstate"] in ("UP", "UNKNOWN"),
        )
        for link in json.loads(text)
        for entry in link.get("addr_info", ())
        if entry.get("family") == "inet"
    )


def _arp(text: str) -> tuple[ArpRules, ...]:
    """The kernel takes the larger of `all` and the interface's own value (ip-sysctl.rst)."""
    values: dict[tuple[str, str], int] = {}
    for line in text.splitlines():
        path, _, value = line.rpartition(":")
        interface, _, name = path.removeprefix("/proc/sys/net/ipv4/conf/").rpartition("/")
        values[interface, name] = int(value)
    names = {interface for interface, _ in values} - {"all", "default"}

    def largest(interface: str, name: str) -> int:
        return max(values.get(("all", name), 0), values.get((interface, name), 0))

    return tuple(
        ArpRules(name, largest(name, "arp_ignore"), largest(name, "arp_announce"))
        for name in sorted(names)
    )


def _ways(text: str) -> tuple[Forwarding, ...]:
    return tuple(
        Forwarding(
            IPv4Address(hop["dst"]),
            hop.get("type", "unicast"),
            IPv4Address(hop["gateway"]) if "gateway" in hop else None,
            hop.get("dev", ""),
        )
        for answer in _stream(text)
        for hop in answer
        if "dst" in hop
    )


def _neighbours(told: dict[str, Any]) -> tuple[OspfNeighbour, ...]:
    """FRR 8.4: {"neighbors": {ROUTER-ID: [{"state": "Full/DR", "ifaceName": "lan:ADDRESS"}]}};
    from 8.5 on the state is in "nbrState"."""
    found = []
    for router_id, entries in told.get("neighbors", {}).items():
        for entry in entries:
            state, _, role = str(entry.get("nbrState") or entry.get("state", "")).partition("/")
            address = entry.get("ifaceAddress") or entry.get("address")
            found.append(
                OspfNeighbour(
                    IPv4Address(router_id),
                    str(entry.get("ifaceName", "")).partition(":")[0],
                    IPv4Address(address) if address else None,
                    state,
                    role or "-",
                )
            )
    return tuple(found)


def _routes(told: dict[str, Any]) -> tuple[OspfRoute, ...]:
    found = []
    for prefix, entry in told.items():
        # Routes to routers ("R") are keyed by router id and are no way for packets.
        if str(entry.get("routeType", "")).strip().startswith("R"):
            continue
        # "directly attached to" is the router's own; an empty or missing "ip" says the same.
        gateways = [hop["ip"].strip() for hop in entry.get("nexthops", ()) if hop.get("ip")]
        found.append(
            OspfRoute(
                IPv4Network(prefix),
                tuple(sorted({IPv4Address(gateway) for gateway in gateways if gateway})),
            )
        )
    return tuple(found)


def _ospf(text: str) -> dict[str, Any]:
    neighbours, routes = _stream(text)
    return {"ospf_neighbours": _neighbours(neighbours), "ospf_routes": _routes(routes)}


def _units(text: str) -> tuple[Unit, ...]:
    """A state for each unit, `--`, then a line for each process: its name, its age in seconds."""
    states, _, processes = text.partition("\n--")
    ages: dict[str, int] = {}  # of the oldest of a name
    for line in processes.splitlines():
        if words := line.split():
            name, age = words
            ages[name] = max(ages.get(name, 0), int(age))
    return tuple(
        Unit(name, state, ages.get(_PROCESS[name]))
        for name, state in zip(UNITS, states.splitlines(), strict=True)
    )


# The others are up, unknown, under load for a while, or as an operator ordered.
_UNWELL = ("down", "held")


def _agent(text: str) -> AgentStatus:
    told = json.loads(text)
    return AgentStatus(
        name=str(told["name"]),
        role=str(told["role"]),
        cluster=str(told["cluster"]),
        bindings=int(told["bindings"]),
        pending=int(told["pending"]),
        members=tuple((str(each["name"]), int(each["bindings"])) for each in told["members"]),
        trouble=str(told["log"]["trouble"] or ""),
        unwell=tuple(
            (str(each["name"]), f"{each['state']}: {each['why']}")
            for each in told["members"]
            if each["state"] in _UNWELL
        ),
        lans=_lans(told.get("neighbours")),
        stock=tuple(Placed(**each) for each in told.get("stock", ())),
        version=str(told.get("version", "")),
        configured_s=told.get("configured_s"),
        figures=tuple(_figures(each) for each in told["members"]),
    )


def _figures(member: dict[str, Any]) -> Figures:
    told = member.get("figures") or {}
    return Figures(
        str(member["name"]),
        str(told.get("source", "")),
        float(told.get("age_s", 0)),
        told.get("cpu_percent"),
        told.get("memory_free_percent"),
    )


def _lans(told: dict[str, Any] | None) -> Lans | None:
    """None of an agent that does not advertise, or of a version that does not know how to."""
    if told is None:
        return None
    return Lans(
        int(told["expected"]),
        tuple(map(str, told["awaited"])),
        tuple(
            Finding(each["verdict"], each["router"] or "", each["address"], each["why"])
            for each in told["findings"]
        ),
    )


def _groups(text: str) -> tuple[GroupState, ...]:
    return tuple(
        GroupState(
            interface=told["interface"],
            group=int(told["group"]),
            state=told["state"],
            virtual=IPv4Address(told["address"]) if told["address"] else None,
            active=told["active"] or "unknown",
            standby=told["standby"] or "unknown",
            priority=int(told["priority"]),
            name=told["name"],
            changed_s=int(told["since_s"]),
        )
        for told in _stream(text)
    )


def _held(text: str) -> tuple[Held, ...] | None:
    """A line each. None: there are more than were asked for."""
    told = [json.loads(line) for line in text.splitlines()]
    if any(each.get("more") for each in told):
        return None
    return tuple(
        Held(IPv4Address(each["home_address"]), str(each["member"] or ""))
        for each in told
        if each["state"] != "pending"
    )


_READERS: dict[str, tuple[Part, Callable[[str], dict[str, Any]]]] = {
    "addresses": (Part.ADDRESSES, lambda text: {"addresses": _addresses(text)}),
    "arp": (Part.KERNEL, lambda text: {"arp": _arp(text)}),
    "forwards": (Part.KERNEL, lambda text: {"forwards": int(text) != 0}),
    "ways": (Part.ROUTES, lambda text: {"forwarding": _ways(text)}),
    "ospf": (Part.OSPF, _ospf),
    "agent": (Part.HOME_AGENT, lambda text: {"agent": _agent(text)}),
    "hsrp": (Part.GROUPS, lambda text: {"groups": _groups(text)}),
    "units": (Part.UNITS, lambda text: {"units": _units(text)}),
    "held": (Part.BINDINGS, lambda text: {"held": _held(text)}),
}
_ASKED_FOR = {"held"}  # not of everybody


def parts(output: str) -> tuple[dict[str, Any], list[Unread]]:
    """The fields of an observation, from the script's output, and what could not be read."""
    sections = _sections(output)
    fields: dict[str, Any] = {}
    unread = []
    for name, (part, read) in _READERS.items():
        if name in _ASKED_FOR and name not in sections:
            continue
        text, code = sections.get(name, ("the output ends before it", 1))
        last = text.splitlines()[-1] if text else f"exit status {code}"
        if code:
            unread.append(Unread(part, last))
            continue
        try:
            fields |= read(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            unread.append(Unread(part, f"{error}, in {last[:80]!r}"))
    return fields, unread
