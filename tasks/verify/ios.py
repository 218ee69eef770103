"""What an IOS router says of itself: the commands, and their outputs as values.

Outputs are read with TextFSM: ntc-templates where it has a template, our own (templates/show/)
for `show ip mobile ...`, which it does not know. A template that meets a line that it should know
and does not raises: half of an output read is worse than none.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import textfsm

from ..platforms.ios_names import canonical
from .observation import (
    Address,
    Binding,
    CdpNeighbour,
    GroupState,
    HomeAgentGlobals,
    MobileRoute,
    OspfNeighbour,
    Part,
    Unread,
)

_OURS = Path(__file__).parent.parent.parent / "templates" / "show"


class Unreadable(ValueError):
    """An output that does not look as it should."""


@cache
def _template(name: str) -> str:
    ours = _OURS / f"{name}.textfsm"
    if ours.is_file():
        return ours.read_text()
    return (files("ntc_templates") / "templates" / f"{name}.textfsm").read_text()


def table(template: str, output: str) -> list[dict[str, Any]]:
    """Read an output with a template; a refusal of the router is not an output."""
    refusal = re.search(r"^% ?(.*)", output, re.MULTILINE)
    if refusal:
        raise Unreadable(refusal[0].strip())
    machine = textfsm.TextFSM(io.StringIO(_template(template)))
    try:
        rows = machine.ParseText(output)
    except textfsm.TextFSMError as error:
        raise Unreadable(str(error)) from error
    return [dict(zip(machine.header, row, strict=True)) for row in rows]


_UNITS_S = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def seconds(text: str) -> int | None:
    """A time as IOS prints it: `00:15:18`, `1d02h`, `27w0d`; None for `never` and its like."""
    if clock := re.fullmatch(r"(\d+):(\d\d):(\d\d)", text):
        hours, minutes, rest = map(int, clock.groups())
        return hours * 3600 + minutes * 60 + rest
    if not re.fullmatch(r"(?:\d+[ywdhms])+", text):
        return None
    return sum(int(n) * _UNITS_S[unit] for n, unit in re.findall(r"(\d+)([ywdhms])", text))


def _ipv4(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def interfaces(output: str) -> tuple[Address, ...]:
    """`show ip interface brief`: which address stands where. It does not tell the prefix length."""
    return tuple(
        Address(canonical(row["INTERFACE"]), address, None, row["PROTO"] == "up")
        for row in table("cisco_ios_show_ip_interface_brief", output)
        if (address := _ipv4(row["IP_ADDRESS"]))
    )


def standby(output: str) -> tuple[GroupState, ...]:
    """`show standby`."""
    return tuple(
        GroupState(
            interface=canonical(row["INTERFACE"]),
            group=int(row["GROUP"]),
            state=row["STATE"],
            virtual=_ipv4(row["VIRTUAL_IP"]),
            active=row["ACTIVE_ROUTER"] or "unknown",
            standby=row["STANDBY_ROUTER"] or "unknown",
            priority=int(row["PRIORITY"] or 0),
            name=row["GROUP_NAME"],
            changed_s=seconds(row["STATE_LAST_CHANGE"]),
        )
        for row in table("cisco_ios_show_standby", output)
    )


def standby_brief(output: str) -> tuple[tuple[str, int, str], ...]:
    """`show standby brief`: interface, group, state."""
    # An interface whose name fills its column stands alone on a line; its group follows.
    joined = re.sub(r"^(\S+)[ \t]*\n[ \t]+(?=\d)", r"\1 ", output, flags=re.MULTILINE)
    start = joined.find("Interface")
    return tuple(
        (canonical(row["INTERFACE"]), int(row["GROUP"]), row["STATE"])
        for row in table("cisco_ios_show_standby_brief", joined[max(start, 0) :])
    )


def cdp(output: str) -> tuple[CdpNeighbour, ...]:
    """`show cdp neighbors detail`."""
    return tuple(
        CdpNeighbour(
            row["NEIGHBOR_NAME"].partition(".")[0],
            canonical(row["LOCAL_INTERFACE"]),
            canonical(row["NEIGHBOR_INTERFACE"].strip()),
            row["PLATFORM"],
        )
        for row in table("cisco_ios_show_cdp_neighbors_detail", output)
    )


def ospf(output: str) -> tuple[OspfNeighbour, ...]:
    """`show ip ospf neighbor`."""
    found = []
    for row in table("cisco_ios_show_ip_ospf_neighbor", output):
        state, _, role = row["STATE"].partition("/")
        found.append(
            OspfNeighbour(
                IPv4Address(row["NEIGHBOR_ID"]),
                canonical(row["INTERFACE"]),
                _ipv4(row["IP_ADDRESS"]),
                _OSPF_STATES.get(state.lower(), state),
                _OSPF_ROLES.get(role.strip().lower(), role.strip()),
            )
        )
    return tuple(found)


_OSPF_STATES = {"full": "Full", "2way": "2-Way", "exstart": "ExStart", "exchange": "Exchange"}
_OSPF_ROLES = {"dr": "DR", "bdr": "Backup", "drother": "DROther", "-": "-"}


def home_agent(output: str) -> HomeAgentGlobals:
    """`show ip mobile globals`. A router without `router mobile` says so, and is read so."""
    if re.match(r"\s*% ?(IP )?Mobil\w+ (IP )?is not enabled", output, re.IGNORECASE):
        return HomeAgentGlobals(False, None, None, None, (), ())
    rows = table("ios_show_ip_mobile_globals", output)
    if not rows or not rows[0]["ENABLED"]:
        return HomeAgentGlobals(False, None, None, None, (), ())
    row = rows[0]
    return HomeAgentGlobals(
        enabled=True,
        address=_ipv4(row["ADDRESS"]),
        lifetime_s=int(row["LIFETIME"]) if row["LIFETIME"] else None,
        replay_s=int(row["REPLAY"]) if row["REPLAY"] else None,
        networks=tuple(IPv4Network(network) for network in row["NETWORKS"]),
        redundancy=tuple(row["GROUPS"]),
    )


INFINITE = 0xFFFF  # a lifetime that never ends (RFC 5944 section 3.3)


def bindings(output: str) -> tuple[Binding, ...]:
    """`show ip mobile binding`; an empty list is one, an output without its title is not."""
    rows = table("ios_show_ip_mobile_binding", output)
    if "Mobility Binding List" not in output:
        raise Unreadable("no title `Mobility Binding List`")
    found = []
    for row in rows:
        high, _, low = row["IDENTIFICATION"].partition(".")
        granted = int(row["GRANTED"]) if row["GRANTED"].isdigit() else INFINITE
        left = seconds(row["REMAINING"])
        found.append(
            Binding(
                home=_ipv4(row["HOME"]),
                nai=row["NAI"],
                care_of=IPv4Address(row["CARE_OF"]),
                source=IPv4Address(row["SOURCE"] or row["CARE_OF"]),
                granted_s=granted,
                remaining_s=granted if left is None else left,
                # A letter in upper case is a flag that is set, in lower case one that is not.
                flags="".join(letter for letter in row["FLAGS"] if letter.isupper()),
                identification=(int(high or "0", 16) << 32) | int(low or "0", 16),
                networks=tuple(IPv4Network(network) for network in row["NETWORKS"]),
            )
        )
    return tuple(found)


def mobile_routes(output: str) -> tuple[MobileRoute, ...]:
    """`show ip route mobile`."""
    return tuple(
        MobileRoute(
            IPv4Address(row["ADDRESS"]),
            int(length) if (length := row["LENGTH"] or row["PARENT"]) else None,
            _ipv4(row["GATEWAY"]),
            canonical(row["INTERFACE"]),
            seconds(row["AGE"]),
        )
        for row in table("ios_show_ip_route_mobile", output)
    )


def is_simulator(version: str) -> bool:
    """`show version`: HACC's own simulator says what it is."""
    return "hacc ios simulator" in version.lower()


def release(version: str) -> str:
    """Of IOS, as `show version` begins: `... Software (...), Version 15.9(3)M7, RELEASE ...`."""
    found = re.search(r"\bVersion ([^\s,]+)", version)
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Question:
    """One command: the part of an observation that it fills, and how its output is read."""

    command: str
    part: Part
    field: str
    read: Callable[[str], object]


VERSION = "show version"
QUESTIONS = (
    Question("show ip interface brief", Part.ADDRESSES, "addresses", interfaces),
    Question("show standby", Part.GROUPS, "groups", standby),
    Question("show ip mobile globals", Part.HOME_AGENT, "home_agent", home_agent),
    Question("show ip mobile binding", Part.BINDINGS, "bindings", bindings),
    Question("show ip route mobile", Part.ROUTES, "mobile_routes", mobile_routes),
    Question("show cdp neighbors detail", Part.NEIGHBOURS, "neighbours", cdp),
    Question("show ip ospf neighbor", Part.OSPF, "ospf_neighbours", ospf),
)
SIMULATOR_LACKS = {Part.OSPF: "it is the simulator, which speaks no OSPF"}


def parts(answers: Mapping[str, str], *, simulator: bool) -> tuple[dict[str, Any], list[Unread]]:
    """The fields of an observation, from the outputs by command, and what could not be read."""
    fields: dict[str, Any] = {}
    unread = []
    for question in QUESTIONS:
        if simulator and question.part in SIMULATOR_LACKS:
            unread.append(Unread(question.part, SIMULATOR_LACKS[question.part], expected=True))
            continue
        try:
            fields[question.field] = question.read(answers[question.command])
        except (Unreadable, ValueError) as error:
            unread.append(Unread(question.part, f"`{question.command}`: {error}"))
    return fields, unread
