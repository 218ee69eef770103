"""Who is active: HSRP roles as they follow from configuration, where no packet can be sent.

Routers hear each other when they share a LAN, a version, a group and the authentication. Of those
that can take part the highest priority is active, then the highest address (RFC 2281 5.7). A
better one that comes later waits for the active one to fail, unless it preempts, and then for its
delay. Elections take no time here. Routers on LANs of a lab speak HSRP instead (`standby`).
"""

from __future__ import annotations

from dataclasses import dataclass

from .device import Device
from .names import parent_of, short_name
from .rules.interface import addresses_of, number_of
from .tree import Section


@dataclass(frozen=True, slots=True)
class Cell:
    """What must be equal for two routers to be of one group."""

    lan: str
    version: int
    group: int
    authentication: str


@dataclass(frozen=True, slots=True)
class Member:
    """One router's part in a cell. `delay` is in seconds."""

    device: str
    interface: str
    group: int
    address: str
    priority: int  # after tracking
    preempt: bool
    delay: float

    @property
    def rank(self) -> tuple[int, int]:
        return self.priority, number_of(self.address)


@dataclass(frozen=True, slots=True)
class Elected:
    """The outcome of an election, and when to hold it again for a delay that runs; None: never."""

    active: Member | None
    standby: Member | None
    again: float | None = None


def elect(
    members: list[Member], active: tuple[str, str] | None, better_since: float, now: float
) -> Elected:
    """Hold an election.

    `active` is the (device, interface) that was active, `better_since` when it was first
    outranked (or now).
    """
    ranked = sorted(members, key=lambda member: member.rank, reverse=True)
    if not ranked:
        return Elected(None, None)
    holder = next(
        (member for member in ranked if (member.device, member.interface) == active), None
    )
    best = ranked[0]
    again = None
    if holder is None:
        holder = best
    elif best.priority > holder.priority and best.preempt:
        due = better_since + best.delay
        if now >= due:
            holder = best
        else:
            again = due
    rest = [member for member in ranked if member != holder]
    return Elected(holder, rest[0] if rest else None, again)


def object_up(device: Device, number: str) -> bool | None:
    """The state of a tracked object; None when it is not defined."""
    line = device.configuration.get(f"track {number}")
    if line is None:
        return None
    watched = line.args.get("name")
    if watched is None:
        return True  # routes and probes: always reachable here
    section = device.interface(watched)
    if section is None or not device.is_up(watched):
        return False
    return line.args.get("what") != "routing" or bool(addresses_of(section))


@dataclass(frozen=True, slots=True)
class Settings:
    """A group's lines, read."""

    group: int
    version: int
    virtual: str  # "" when it is to be learned
    secondaries: tuple[str, ...]
    priority: int  # configured
    effective: int  # after tracking
    halted: bool  # a tracked object with `shutdown` is down
    preempt: bool
    minimum: int  # seconds
    reload: int
    hello: int  # milliseconds
    hold: int
    authentication: str  # "" for the default, `text X`, `md5 key-string X`, `md5 key-chain X`
    name: str
    named: bool
    tracks: tuple[tuple[str, bool | None, str], ...]  # object, its state, "decrement N"


def settings(device: Device, interface: str, section: Section, group: int) -> Settings:
    """Read the lines of a group."""
    prefix = f"standby {group} "

    def args(key: str) -> dict[str, str]:
        line = section.get(prefix + key)
        return dict(line.args) if line is not None else {}

    version = section.get("standby version")
    timers, preempt = args("timers"), section.get(prefix + "preempt")
    delays = args("preempt")
    secret = section.get(prefix + "authentication")
    priority = int(args("priority").get("priority", "100"))
    effective, halted, tracks = priority, False, []
    for line in section.starting(f"standby {group} track"):
        number = line.args.get("object")
        if number is None:
            up: bool | None = device.is_up(line.args["name"])
            number = line.args["name"]
        else:
            up = object_up(device, number)
        lost = int(line.args.get("decrement", "10"))
        tracks.append((number, up, "shutdown" if "what" in line.args else f"decrement {lost}"))
        if up is False:
            halted = halted or "what" in line.args
            effective -= 0 if "what" in line.args else lost
    given = args("name").get("name")
    return Settings(
        group=group,
        version=int(version.args["version"]) if version is not None else 1,
        virtual=args("ip").get("address", ""),
        secondaries=tuple(
            line.args["address"]
            for line in section.ordered()
            if line.key.startswith(prefix + "ip ") and line.key.endswith(" secondary")
        ),
        priority=priority,
        effective=max(0, effective),
        halted=halted,
        preempt=preempt is not None,
        minimum=int(delays.get("minimum", "0")),
        reload=int(delays.get("reload", "0")),
        hello=int(timers.get("hello", "3")) * (1 if "hello_unit" in timers else 1000),
        hold=int(timers.get("hold", "10")) * (1 if "hold_unit" in timers else 1000),
        authentication=(
            secret.text.removeprefix(f"{prefix}authentication ") if secret is not None else ""
        ),
        name=given or f"hsrp-{short_name(interface)}-{group}",
        named=given is not None,
        tracks=tuple(tracks),
    )


def lan_of(device: Device, interface: str, section: Section) -> str:
    """The LAN behind an interface: of a subinterface, that of its VLAN; "" for none."""
    parent = parent_of(interface)
    lan = device.hardware.get(parent or interface, "")
    if not lan or parent is None:
        return lan
    line = section.get("encapsulation")
    return f"{lan} {line.text}" if line is not None else ""


def part_of(
    device: Device, interface: str, section: Section, group: int
) -> tuple[Cell, Member] | None:
    """A router's part in a group; None while it cannot take part."""
    read = settings(device, interface, section, group)
    known = addresses_of(section)
    if section.get(f"standby {group} ip") is None or not known or read.halted:
        return None
    if not device.is_up(interface):
        return None
    lan = lan_of(device, interface, section) or f"{device.name} {interface}"
    delay = float(max(read.minimum, read.reload if device.boots else 0))
    return (
        Cell(lan, read.version, group, read.authentication),
        Member(device.name, interface, group, known[0][0], read.effective, read.preempt, delay),
    )
