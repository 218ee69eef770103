"""The data plane in the daemon: it follows every record, and the kernel's neighbours.

Records come by two ways: this router decides on them (`follow`), or another one does and they are
applied (`State`). Either way the plane hears of them before anybody else does. A standby controller
has all that the active one has in its kernel: who gets the packets needs no telling.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any, Final

import numpy as np

from .config import AgentConfig
from .control import Answer, Refused
from .dataplane import leftover
from .dataplane.controller import TcxRelay
from .dataplane.device import NAME
from .dataplane.interfaces import ethernets, mtu_of
from .dataplane.member import TcxTunnels
from .dataplane.nft import NftRelay
from .dataplane.plane import Counted, Neighbour, Plane, PlaneFailed, RelayPlane
from .engine.effects import Moment
from .engine.record import OCTETS, RECORD, SLOT, Kind, Row, SlotChange
from .engine.table import Table
from .link import Say
from .neighbours import Neighbours
from .roles import Controller, Engine, Member
from .strays import Strays

LOOK_S: Final = 1.0  # s between looks at what interfaces there are
FRAMES: Final = 256  # that no program took, in a turn


class Followed:
    """An engine whose changes from outside go to a plane too."""

    def __init__(
        self, engine: Engine, follow: Callable[[bytes], None], load: Callable[[], None]
    ) -> None:
        self._engine, self._follow, self._load = engine, follow, load
        self.loaded = False
        """Until then the plane hears of nothing: it is given the tables as a whole."""

    def expect(self, rows: int, names: int) -> None:
        self._engine.expect(rows, names)

    def apply(self, records: bytes) -> None:
        self._engine.apply(records)
        if self.loaded:
            self._follow(records)

    def snapshot(self) -> Iterator[bytes]:
        return self._engine.snapshot()

    def clear(self) -> None:
        self._engine.clear()
        if self.loaded:
            self._load()

    def digest(self) -> int:
        return self._engine.digest()


class RelayPackets:
    """On a controller."""

    def __init__(self, config: AgentConfig, engine: Controller, say: Say) -> None:
        """Raises `PlaneFailed` with what each implementation says."""
        self._config, self._engine, self._say = config, engine, say
        self._due = 0.0
        self._full = 0
        self._places: list[Neighbour | None] = [None] * len(config.members)
        self.plane: RelayPlane = _relay(config, engine, say)
        self.state = Followed(engine, self.follow, self.load)
        self._neighbours = Neighbours(frozenset(lan.interface for lan in config.lans))
        self._reach()

    def fileno(self) -> int:
        return self._neighbours.fileno()

    def handle(self, now: Moment) -> None:
        if self._neighbours.handle():
            self._reach()
        if now.steady >= self._due:
            self._due = now.steady + LOOK_S
            self._full = _look(self.plane, self._say, self._full)

    def next_deadline(self) -> float:
        return self._due

    def reconfigure(self, config: AgentConfig) -> None:
        """As the engine has it already. Raises `PlaneFailed`.

        What has another shape is made anew, and takes over when it knows everything: until then
        packets pass by the old one.
        """
        old, self._config = self._config, config
        alike = len(old.members) == len(config.members)
        if alike and mobile_networks(old) == mobile_networks(config):
            self._reach()
            return
        before, self.plane = self.plane, _relay(config, self._engine, self._say)
        self._places = [None] * len(config.members)
        self.load()
        self._reach()
        before.close()

    def load(self) -> None:
        bindings, pending = self._engine.tables
        held = [_rows(bindings, Kind.BINDING), _rows(pending, Kind.PENDING)]
        networks = b"".join(self._engine.networks.snapshot())
        self.plane.load(np.concatenate([*held, np.frombuffer(networks, RECORD)]))
        self.state.loaded = True
        self._repoint(enumerate(self._engine.slots.member_of.tolist()))

    def follow(self, records: bytes) -> None:
        found = np.frombuffer(records, RECORD)
        self.plane.follow(found)
        moved = np.flatnonzero(found["kind"] == Kind.SLOT).tolist()
        if moved:
            changes = [SlotChange._make(SLOT.unpack_from(records, at * OCTETS)) for at in moved]
            self._repoint((change.slot, change.member) for change in changes)

    def members(self) -> tuple[Counted, ...]:
        names = [member.name for member in self._config.members]
        return tuple(replace(one, reason=names[int(one.reason)]) for one in self.plane.carried())

    def close(self) -> None:
        self._neighbours.close()
        self.plane.close()

    def _repoint(self, changes: Iterable[tuple[int, int]]) -> None:
        """One store for each slot, all of a member's at once."""
        slots: dict[int, list[int]] = {}
        for slot, member in changes:
            slots.setdefault(member, []).append(slot)
        for member, which in slots.items():
            self.plane.repoint(which, member)

    def _reach(self) -> None:
        """Where members are now, by the kernel's ARP table."""
        for number in range(len(self._config.members)):
            place = self._place(number)
            if place != self._places[number]:
                self._places[number] = place
                self.plane.reach(number, place)

    def _place(self, number: int) -> Neighbour | None:
        interfaces = {lan.name: lan.interface for lan in self._config.lans}
        for address in self._config.members[number].addresses:
            name = interfaces.get(address.lan)
            if name is None:
                continue
            mac = self._neighbours.mac(name, int(address.address))
            there = self._neighbours.interface(name)
            if mac and there.number:
                return Neighbour(mac, there.mac, there.number)
        return None


class TunnelPackets:
    """On a member."""

    def __init__(self, config: AgentConfig, engine: Member, say: Say) -> None:
        """Raises `PlaneFailed`."""
        self._config, self._engine, self._say = config, engine, say
        self._due = 0.0
        self._full = 0
        self._errors = leftover.ERRORS
        mtu = min([mtu_of(lan.interface) for lan in config.lans], default=1500)
        self._tunnels = TcxTunnels(
            *(config.home_agent_address, _networks(config), tuple(ethernets(NAME))),
            self._bindings,
            mtu=mtu,
            port=config.port,
            mobile_networks=mobile_networks(config),
        )
        self.plane: Plane = self._tunnels
        self.strays = Strays(engine, [lan.address.network for lan in config.lans], say)
        self.state = Followed(engine, self.follow, self.load)
        self._raw = socket.socket(
            socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW
        )
        self._raw.setblocking(False)

    @property
    def device(self) -> int:
        """The interface that home addresses have to be routed to."""
        return self._tunnels.device.interface

    def fileno(self) -> int:
        return self._tunnels.device.fileno()

    def handle(self, now: Moment) -> None:
        if now.steady >= self._due:
            self._due = now.steady + LOOK_S
            self._errors = leftover.ERRORS
            self._full = _look(self.plane, self._say, self._full)
        for _ in range(FRAMES):
            frame = self._tunnels.device.read()
            if frame is None:
                return
            packet = leftover.packet_of(frame)
            if packet is not None:
                self._send(packet)

    def next_deadline(self) -> float:
        return self._due

    def load(self) -> None:
        held = _rows(self._engine.tables[0], Kind.BINDING)
        networks = b"".join(self._engine.home_agent.networks.snapshot())
        self.plane.load(np.concatenate([held, np.frombuffer(networks, RECORD)]))
        self.state.loaded = True
        self.strays.load()

    def follow(self, records: bytes) -> None:
        found = np.frombuffer(records, RECORD)
        self.plane.follow(found)
        self.strays.follow(found)

    def reconfigure(self, config: AgentConfig) -> None:
        """Its tunnels stay as they are; `reload` refuses what would need others."""
        self._config = config

    def members(self) -> tuple[Counted, ...]:
        return ()

    def close(self) -> None:
        self._raw.close()
        self.plane.close()

    def _bindings(self, home: int) -> list[Row]:
        table = self._engine.tables[0]
        rows = (table.get(row) for row in table.rows_of(home))
        return [row for row in rows if row.kind == Kind.BINDING]

    def _send(self, packet: bytes) -> None:
        """What the programs leave: copies for several care-of addresses, or word to the sender."""
        ours = int(self._config.home_agent_address)
        rows = self._bindings(self._tunnels.bearer(leftover.home_of(packet)))
        made = leftover.copies(packet, rows, ours, self._config.port)
        if not made and self._errors:
            self._errors -= 1
            told = leftover.unreachable(packet, ours)
            made = [told] if told is not None else []
        for one in made:
            try:
                self._raw.sendto(one.packet, (socket.inet_ntoa(one.destination.to_bytes(4)), 0))
            except OSError as error:
                self._say("a packet could not be sent", why=error.strerror or str(error))


def describe(moved: RelayPackets | TunnelPackets, asked: Mapping[str, Any]) -> Answer:
    """`hacc-agent dataplane`: how, what was counted, where a home address leads, the programs."""
    plane = moved.plane
    yield {"how": plane.kind, "missing": list(plane.missing)}
    for subject, found in (("packets", plane.counted()), ("member", moved.members())):
        for one in found:
            yield {subject: one.reason, "count": one.packets, "octets": one.octets}
    home = asked.get("home")
    if home is not None:
        try:
            yield {"home": home, "leads": plane.lead(int(IPv4Address(home)))}
        except AddressValueError:
            raise Refused(f"{home!r} is no IPv4 address") from None
    if asked.get("programs"):
        for name, lines in plane.programs().items():
            yield {"program": name, "lines": list(lines)}


def packets(config: AgentConfig, engine: Engine, say: Say) -> RelayPackets | TunnelPackets:
    """For the role of the engine. Raises `PlaneFailed`."""
    if isinstance(engine, Controller):
        return RelayPackets(config, engine, say)
    assert isinstance(engine, Member)
    return TunnelPackets(config, engine, say)


def _relay(config: AgentConfig, engine: Controller, say: Say) -> RelayPlane:
    """The first implementation that the kernel permits."""

    def slot_of(home: int) -> int | None:
        for table in engine.tables:
            for row in table.rows_of(home):
                return table.get(row).slot
        return None

    ours = (config.home_agent_address, _networks(config), tuple(ethernets(NAME)))
    known = (engine.slots.member_of, len(config.members), slot_of)
    behind = mobile_networks(config)
    try:
        return TcxRelay(*ours, *known, port=config.port, mobile_networks=behind)
    except PlaneFailed as why:
        refusal = str(why)
    try:
        made = NftRelay(*ours, *known, port=config.port)
    except PlaneFailed as why:
        raise PlaneFailed(f"{refusal}; {why}") from None
    say("packets are moved by nftables", why=refusal)
    if behind:
        say("nftables drop what mobile networks send", hint="mobile_networks in agent.toml")
    return made


def mobile_networks(config: AgentConfig) -> bool:
    """Whether a router may have any behind it."""
    nodes = any(one.mobile_networks for one in config.nodes)
    return nodes or any(one.mobile_networks for one in config.realms)


def _networks(config: AgentConfig) -> tuple[IPv4Network, ...]:
    """Arrays of addresses: none of a network that holds another one's."""
    found: list[IPv4Network] = []
    for network in sorted(config.networks, key=lambda one: one.prefixlen):
        if not any(network.subnet_of(other) for other in found):
            found.append(network)
    return tuple(found)


def _rows(table: Table, kind: Kind) -> Any:
    return table.rows[table.rows["kind"] == kind]


def _look(plane: Plane, say: Say, full: int) -> int:
    """Whether all is well with it. `full`: how often it had no room so far, returned as it is."""
    try:
        plane.attach(ethernets(NAME))
    except PlaneFailed as why:
        say("packets of an interface cannot be seen", why=str(why))
    if plane.full > full:
        say("no room for a home address in the data plane", times=plane.full - full)
    return plane.full
