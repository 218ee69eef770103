"""Routers that share LANs: who hears whom, which standby group has which owner, since when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hacc_agent.engine.hsrp import Group
from hacc_agent.engine.hsrp.group import Neighbour as Heard
from hacc_agent.wire.cdp import CdpAnnouncement
from hacc_agent.wire.hsrp import State

from .device import VERSION, Device
from .hsrp import Cell, Elected, Member, elect, lan_of, part_of
from .rules.interface import addresses_of
from .tree import Section

CDP_HOLD_S = 180
"""Where `cdp holdtime` does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Role:
    """What one router is in one group: `Active`, `Standby`, `Listen` or `Init`."""

    state: str
    changes: int
    since: float  # Unix time of the last change
    active: Member | None
    standby: Member | None
    virtual: str = ""  # the virtual address, where a speaker has learned it


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A router seen on a LAN: another one of this process, or a real one that was heard."""

    interface: str  # ours
    name: str
    port: str  # its
    addresses: tuple[str, ...]
    platform: str
    software: str
    hold_s: int


class Network:
    """The routers of one process. It is asked, and never asks: `settle` reads all of them."""

    def __init__(self, devices: Iterable[Device] = ()) -> None:
        self.devices: dict[str, Device] = {}
        self._seen = -1
        self._active: dict[Cell, tuple[str, str]] = {}
        self._better: dict[Cell, float] = {}
        self._elected: dict[Cell, Elected] = {}
        self._roles: dict[tuple[str, str, int], Role] = {}
        self._again: float | None = None
        for device in devices:
            self.add(device)

    def add(self, device: Device) -> None:
        self.devices[device.name] = device
        device.network = self

    def settle(self, now: float) -> None:
        """Hold the elections that are due."""
        seen = sum(device.generation for device in self.devices.values())
        if seen == self._seen and (self._again is None or now < self._again):
            return
        self._seen = seen
        cells: dict[Cell, list[Member]] = {}
        silent: list[tuple[str, str, int]] = []
        for device in self.devices.values():
            for view in device.groups():
                section = device.interface(view.interface)
                part = (
                    part_of(device, view.interface, section, view.group)
                    if section is not None
                    else None
                )
                if part is None:
                    silent.append((device.name, view.interface, view.group))
                else:
                    cells.setdefault(part[0], []).append(part[1])
        self._again = None
        self._elected = {}
        for cell, members in cells.items():
            self._hold(cell, members, now)
        for gone in [cell for cell in self._active if cell not in cells]:
            del self._active[gone]
            self._better.pop(gone, None)
        for place in silent:
            self._become(place, "Init", None, now)

    def _hold(self, cell: Cell, members: list[Member], now: float) -> None:
        before = self._active.get(cell)
        holder = [one for one in members if (one.device, one.interface) == before]
        best = max(members, key=lambda one: one.rank)
        if holder and best.priority > holder[0].priority and best.preempt:
            since = self._better.setdefault(cell, now)
        else:
            self._better.pop(cell, None)
            since = now
        outcome = elect(members, before, since, now)
        assert outcome.active is not None
        if outcome.again is not None:
            self._again = min(outcome.again, self._again or outcome.again)
        else:
            self._better.pop(cell, None)
        self._active[cell] = (outcome.active.device, outcome.active.interface)
        self._elected[cell] = outcome
        for member in members:
            state = (
                "Active"
                if member == outcome.active
                else "Standby"
                if member == outcome.standby
                else "Listen"
            )
            self._become((member.device, member.interface, member.group), state, outcome, now)

    def _become(
        self, place: tuple[str, str, int], state: str, outcome: Elected | None, now: float
    ) -> None:
        old = self._roles.get(place)
        changed = old is None or old.state != state
        first = old is None and state == "Init"
        self._roles[place] = Role(
            state,
            (old.changes if old is not None else 0) + (1 if changed and not first else 0),
            now if changed or old is None else old.since,
            outcome.active if outcome is not None else None,
            outcome.standby if outcome is not None else None,
        )

    def role(self, device: Device, interface: str, group: int, now: float) -> Role:
        """What a router is in a group now: as its speaker says, or as configuration makes it."""
        if device.live is not None and (interface, group) in device.live:
            return live_role(device, interface, device.live[interface, group], now)
        self.settle(now)
        return self._roles.get(
            (device.name, interface, group), Role("Init", 0, device.booted, None, None)
        )

    def owners(self, now: float) -> dict[str, list[str]]:
        """Who answers for each virtual address: a list longer than one is a conflict."""
        self.settle(now)
        found: dict[str, list[str]] = {}
        for (name, interface, group), role in self._roles.items():
            if role.state != "Active":
                continue
            for view in self.devices[name].groups():
                if (view.interface, view.group) == (interface, group):
                    for address in view.addresses:
                        found.setdefault(address, []).append(name)
        return found

    def next_deadline(self, now: float) -> float | None:
        """When a preempt delay ends; None for never."""
        self.settle(now)
        return self._again

    def neighbours(self, device: Device, now: float) -> list[Neighbour]:
        """The routers on the same LANs that are up, as CDP finds them."""
        found = []
        for name, section in device.interfaces():
            lan = lan_of(device, name, section)
            if not lan or not _speaks(device, name, section):
                continue
            found += [
                _real(name, said, until - now)
                for (interface, _), (said, until) in sorted(device.heard.items())
                if interface == name and until > now
            ]
            for other in self.devices.values():
                if other is device:
                    continue
                for port, behind in other.interfaces():
                    if lan_of(other, port, behind) == lan and _speaks(other, port, behind):
                        found.append(_simulated(name, other, port, behind))
        return found


def _simulated(interface: str, other: Device, port: str, section: Section) -> Neighbour:
    known = addresses_of(section)
    line = other.configuration.get("cdp holdtime")
    return Neighbour(
        interface,
        other.hostname,
        port,
        (known[0][0],) if known else (),
        "HACC IOS simulator",
        f"HACC IOS simulator, no Cisco software, Version {VERSION}",
        int(line.args["seconds"]) if line is not None else CDP_HOLD_S,
    )


def _real(interface: str, said: CdpAnnouncement, left: float) -> Neighbour:
    addresses = tuple(map(str, said.addresses))
    return Neighbour(
        interface, said.device_id, said.port_id, addresses, said.platform, said.software, int(left)
    )


def live_role(device: Device, interface: str, group: Group, now: float) -> Role:
    """What a speaker is, and whom it hears."""
    own = group.own_address
    local = Member(
        device.name, interface, group.settings.group, str(own), group.priority,
        group.settings.preempt, 0.0,
    )  # fmt: skip

    def member(role: State, heard: Heard | None) -> Member | None:
        if group.state is role:
            return local
        if heard is None or heard.until <= now:
            return None
        return Member("", "", local.group, str(heard.address), heard.rank.priority, False, 0.0)

    return Role(
        "Init" if group.state is State.INITIAL else group.state.name.title(),
        group.changes,
        group.since,
        member(State.ACTIVE, group.active),
        member(State.STANDBY, group.standby),
        str(group.address or ""),
    )


def _speaks(device: Device, name: str, section: Section) -> bool:
    return (
        device.is_up(name)
        and "cdp run" not in device.configuration.lines
        and "cdp enable" not in section.lines
    )


def network_with(device: Device) -> Network:
    """The network of a router; alone in one of its own if it was never added to any."""
    return device.network if device.network is not None else Network([device])
