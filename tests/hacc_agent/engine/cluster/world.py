"""A controller in a world of three members, and a second one that hears nothing but its records.

Everything that the controller logs is applied to the second one, and after every step both hold the
same: the law of replay is checked by every test that uses this world.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import numpy as np

from hacc_agent.config import (
    AgentConfig,
    Algorithm,
    Controller,
    ForeignAgent,
    Health,
    Lan,
    LanAddress,
    Member,
    MemberKind,
    Node,
    Realm,
    Replay,
    Role,
    Security,
    Selection,
    Weights,
)
from hacc_agent.engine.cluster import Cluster, LeastLoaded
from hacc_agent.engine.cluster import Selection as Policy
from hacc_agent.engine.effects import Alarm, Effect, Endpoint, Log, Moment, Relay, Send
from hacc_agent.engine.record import Kind, Row, rows
from hacc_agent.engine.slots import Slots
from hacc_agent.engine.table import Table
from hacc_agent.wire import (
    Extension,
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    authenticate,
)

VIRTUAL = IPv4Address("198.19.0.1")
HOME = IPv4Address("198.19.64.7")  # of the realm's pool
NODE = IPv4Address("198.19.96.7")  # of a mobile node with a home address of its own
CARE_OF = IPv4Address("198.18.9.1")
AGENT = Endpoint(int(CARE_OF), 434, 0x0200_5E10_0001 << 16 | 1)
OTHER_AGENT = Endpoint(int(IPv4Address("198.18.9.2")), 434)
MEMBERS = tuple(IPv4Address(f"198.18.1.{n}") for n in (21, 22, 29))

NO_FLAGS = RequestFlags(0)
SPI, NODE_SPI, AGENT_SPI = 256, 257, 512
KEY = Key(Algorithm.HMAC_MD5, bytes(range(16)))
NODE_KEY = Key(Algorithm.MD5_PREFIX_SUFFIX, bytes(range(16, 32)))
AGENT_KEY = Key(Algorithm.HMAC_MD5, bytes(range(32, 48)))
MOBILE_HOME = ExtensionType.MOBILE_HOME_AUTHENTICATION
FOREIGN_HOME = ExtensionType.FOREIGN_HOME_AUTHENTICATION


def security(spi: int, key: Key) -> Security:
    return Security(spi, key.algorithm, key.secret.hex(), Replay.TIMESTAMP, 7)


def member(n: int, **changes: Any) -> Member:
    values: dict[str, Any] = {
        "name": f"ha{n + 1}",
        "kind": MemberKind.LINUX,
        "backup": n == 2,
        "weight": 1,
        "capacity": 1000,
        "slices": (),
        "addresses": (LanAddress("core", MEMBERS[n]),),
    }
    return Member(**(values | changes))


def configuration(**changes: Any) -> AgentConfig:
    network = IPv4Network("198.19.64.0/18")
    values: dict[str, Any] = {
        "cluster": "west",
        "name": "hacc1",
        "role": Role.CONTROLLER,
        "home_agent_address": VIRTUAL,
        "networks": (network,),
        "lifetime_s": 1800,
        "replay": Replay.TIMESTAMP,
        "tolerance_s": 7,
        "binding_sync_s": 15,
        "max_bindings": None,
        "lans": (Lan("core", "lan", None),),  # type: ignore[arg-type]  # nobody here looks at it
        "gateways": (),
        "controllers": (Controller("hacc1", 200, ()),),
        "members": tuple(member(n) for n in range(3)),
        "selection": Selection(0.1, Weights(2, 1, 1)),
        "health": Health(100, 3, 5, 95, 3),
        "snmp": None,
        "realms": (
            Realm(
                "@example.net",
                IPv4Network("198.19.64.0/20"),
                network,
                1800,
                security=security(SPI, KEY),
            ),
        ),
        "nodes": (Node(NODE, network, 1800, security(NODE_SPI, NODE_KEY)),),
        "foreign_agents": (ForeignAgent(CARE_OF, security(AGENT_SPI, AGENT_KEY)),),
    }
    return AgentConfig(**(values | changes))


def request(
    identification: int,
    home: IPv4Address | int = HOME,
    *,
    nai: bytes | None = None,
    care_of: IPv4Address | int = CARE_OF,
    lifetime: int = 1800,
    flags: RequestFlags = NO_FLAGS,
    home_agent: IPv4Address | int = VIRTUAL,
    extensions: tuple[Extension, ...] = (),
    key: Key | None = KEY,
    spi: int = SPI,
    foreign: Key | None = None,
    foreign_spi: int = AGENT_SPI,
) -> bytes:
    """A mobile node's request, as its Foreign Agent passes it on."""
    names = () if nai is None else (NetworkAccessIdentifier(nai),)
    octets = RegistrationRequest(
        flags,
        lifetime,
        IPv4Address(home),
        IPv4Address(home_agent),
        IPv4Address(care_of),
        identification,
        (*names, *extensions),
    ).to_bytes()
    if key is not None:
        octets = authenticate(octets, MOBILE_HOME, spi, key)
    if foreign is not None:
        octets = authenticate(octets, FOREIGN_HOME, foreign_spi, foreign)
    return octets


def reply(
    identification: int,
    home: IPv4Address | int = HOME,
    *,
    code: int = 0,
    nai: bytes | None = None,
    lifetime: int = 1800,
    home_agent: IPv4Address = VIRTUAL,
    extensions: tuple[Extension, ...] = (),
) -> bytes:
    """A member's reply."""
    names = () if nai is None else (NetworkAccessIdentifier(nai),)
    octets = RegistrationReply(
        code, lifetime, IPv4Address(home), home_agent, identification, (*names, *extensions)
    ).to_bytes()
    return authenticate(octets, MOBILE_HOME, SPI, KEY)


def contents(table: Table) -> list[tuple[Row, bytes]]:
    """Every row and its NAI, in an order of their own."""
    used = np.flatnonzero(table.rows["kind"]).tolist()
    return sorted((table.get(row), table.nai(row)) for row in used)


class World:
    """Time stands still unless a test says otherwise."""

    def __init__(
        self,
        config: AgentConfig | None = None,
        policy: Policy | None = None,
        capacity: int = 256,
    ) -> None:
        self.config = config or configuration()
        self.policy = policy or LeastLoaded()
        self.capacity = capacity
        self.table, self.pending, self.slots, self.cluster = self.controller()
        self.replica = self.controller()
        self.seconds = 1000.0

    def controller(self) -> tuple[Table, Table, Slots, Cluster]:
        table = Table(self.capacity, 1)
        pending = table.beside(self.capacity)
        slots = Slots(len(self.config.members))
        return table, pending, slots, Cluster(self.config, table, pending, slots, self.policy)

    @property
    def now(self) -> Moment:
        return Moment(self.seconds, 1.7e9 + self.seconds)

    def receive(self, payload: bytes, source: Endpoint = AGENT) -> list[Effect]:
        return self.follow(self.cluster.receive(payload, source, self.now))

    def answer(self, payload: bytes, number: int) -> list[Effect]:
        """The same, from a member."""
        return self.receive(payload, Endpoint(int(MEMBERS[number]), 434))

    def at(self, seconds: float) -> list[Effect]:
        """Time passes; what fell due meanwhile happened when it did."""
        effects: list[Effect] = []
        while (due := self.cluster.next_deadline()) is not None and due <= seconds:
            self.seconds = max(self.seconds, due)
            effects += self.follow(self.cluster.handle_timer(self.now))
        self.seconds = seconds
        return effects

    def follow(self, effects: list[Effect]) -> list[Effect]:
        """The second controller hears the records, and then holds the same."""
        table, pending, slots, replica = self.replica
        for effect in effects:
            if isinstance(effect, Log):
                replica.apply(effect.records, self.now)
        assert contents(table) == contents(self.table)
        assert contents(pending) == contents(self.pending)
        assert slots.member_of.tolist() == self.slots.member_of.tolist()
        assert replica.digest() == self.cluster.digest()
        _, _, _, copy = self.controller()
        copy.apply(b"".join(self.cluster.snapshot()), self.now)
        assert copy.digest() == self.cluster.digest()
        return effects

    # what tests look at

    def bindings(self) -> list[Row]:
        return [row for row, _ in contents(self.table)]

    def waiting(self) -> list[Row]:
        return [row for row, _ in contents(self.pending)]


def asked(effects: Iterable[Effect]) -> list[int]:
    """Members that something went on to."""
    return [effect.member for effect in effects if isinstance(effect, Relay)]


def sent(effects: Iterable[Effect]) -> list[Send]:
    return [effect for effect in effects if isinstance(effect, Send)]


def alarms(effects: Iterable[Effect]) -> list[Alarm]:
    return [effect for effect in effects if isinstance(effect, Alarm)]


def logged(effects: Iterable[Effect]) -> list[Kind]:
    """Kinds of the records, in order."""
    return [
        Kind(record.kind)
        for effect in effects
        if isinstance(effect, Log)
        for record in rows(effect.records)
    ]
