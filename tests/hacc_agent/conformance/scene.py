"""A Home Agent, mobile nodes and Foreign Agents on one virtual clock.

Authenticators of the peers come from the standard library's `hmac` and `hashlib`, not from the code
under test; so does the check of every reply. What the Home Agent decides is kept like a daemon
would keep it: records in a journal, which at any time makes the same Home Agent anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from hacc_agent.config import (
    AddressRange,
    AgentConfig,
    Algorithm,
    ForeignAgent,
    Health,
    Lan,
    LanAddress,
    Member,
    MemberKind,
    Node,
    Radius,
    Readings,
    Realm,
    Replay,
    Role,
    Security,
    Selection,
    Tunnels,
    Weights,
)
from hacc_agent.engine.effects import Alarm, Answer, AskAaa, Effect, Endpoint, Log, Moment, Send
from hacc_agent.engine.effects import Security as Watched
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.record import Name, Network, OrderGiven, Row, SlotChange, rows
from hacc_agent.engine.table import Table
from hacc_agent.wire import (
    Authentication,
    ExtensionType,
    Message,
    NetworkAccessIdentifier,
    RegistrationReply,
    RegistrationRequest,
    RequestFlags,
    TunnelData,
    parse,
)
from hacc_agent.wire.extensions import Extension

VIRTUAL = IPv4Address("198.19.0.1")  # the virtual Home Agent address
OWN = IPv4Address("198.18.1.11")  # the member's
LINK = 0x0200_5E00_0001 << 16  # the controller, on the first LAN
START = 1_790_000_000.0  # s of Unix time
NTP = 2_208_988_800  # s from 1900 to 1970 (RFC 5905)
LOW_32 = 0xFFFFFFFF

MHAE, FHAE = ExtensionType.MOBILE_HOME_AUTHENTICATION, ExtensionType.FOREIGN_HOME_AUTHENTICATION
FIXED_OCTETS = 20  # of a reply


def authenticator(security: Security, covered: bytes) -> bytes:
    """RFC 5944, 3.5.1 and 5.1, by the standard library."""
    secret = bytes.fromhex(security.key)
    if security.algorithm is Algorithm.HMAC_MD5:
        return hmac.new(secret, covered, "md5").digest()
    return hashlib.md5(secret + covered + secret).digest()


def sealed(message: bytes, kind: ExtensionType, security: Security) -> bytes:
    covered = message + bytes((kind, 20)) + security.spi.to_bytes(4, "big")
    return covered + authenticator(security, covered)


def security(spi: int, digit: str, **changes: Any) -> Security:
    usual = Security(spi, Algorithm.HMAC_MD5, digit * 32, Replay.TIMESTAMP, 7)
    return dataclasses.replace(usual, **changes)


@dataclass(frozen=True)
class Mobile:
    """Whoever registers."""

    home: IPv4Address
    security: Security
    nai: bytes | None = None

    @property
    def name(self) -> str:
        return self.nai.decode() if self.nai else str(self.home)


@dataclass(frozen=True)
class Agent:
    """A Foreign Agent, with an association or without."""

    address: IPv4Address
    security: Security | None = None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(int(self.address), 434)


NONE = IPv4Address(0)
REALM_KEY = security(0x100, "a")
ALICE = Mobile(NONE, REALM_KEY, b"alice@example.net")
BOB = Mobile(NONE, REALM_KEY, b"bob@example.net")
NODE = Mobile(IPv4Address("198.19.96.7"), security(0x101, "b"))
NONCED = Mobile(IPv4Address("198.19.96.8"), security(0x102, "c", replay=Replay.NONCE))
OLD = Mobile(
    IPv4Address("198.19.96.9"), security(0x103, "d", algorithm=Algorithm.MD5_PREFIX_SUFFIX)
)
ROUTER = Mobile(IPv4Address("198.19.96.10"), security(0x104, "e"))
OTHER_ROUTER = Mobile(IPv4Address("198.19.96.11"), security(0x105, "f"))
OF_AAA = Mobile(NONE, security(0x106, "9"), b"carol@aaa.example")
STRANGER = Mobile(IPv4Address("192.0.2.66"), security(0x101, "b"))

TRUSTED = Agent(IPv4Address("198.18.9.1"), security(0x200, "1"))
UNTRUSTED = Agent(IPv4Address("198.18.9.2"))
THIRD = Agent(IPv4Address("198.18.9.3"))

HOME_NETWORK = IPv4Network("198.19.64.0/18")
MOBILE_NETWORK = IPv4Network("198.51.100.0/24")


def _node(mobile: Mobile, *networks: IPv4Network) -> Node:
    return Node(mobile.home, HOME_NETWORK, 3600, mobile.security, networks)


CONFIG = AgentConfig(
    cluster="west",
    name="ha1",
    role=Role.HOME_AGENT,
    home_agent_address=VIRTUAL,
    networks=(HOME_NETWORK,),
    lifetime_s=1800,
    replay=Replay.TIMESTAMP,
    tolerance_s=7,
    binding_sync_s=10,
    max_bindings=100,
    lans=(Lan("core", "eth0", IPv4Interface("198.18.1.11/24")),),
    gateways=(LanAddress("core", IPv4Address("198.18.1.254")),),
    controllers=(),
    members=(Member("ha1", MemberKind.LINUX, False, 1, 100, (), (LanAddress("core", OWN),)),),
    selection=Selection(0.1, Weights(1, 1, 1)),
    health=Health(100, 3, 5, 95, 3),
    snmp=None,
    realms=(
        Realm(
            "@example.net",
            IPv4Network("198.19.64.0/20"),
            HOME_NETWORK,
            1200,
            (AddressRange(IPv4Address("198.19.64.1"), IPv4Address("198.19.64.2")),),
            REALM_KEY,
        ),
        Realm(
            "@aaa.example",
            IPv4Network("198.19.80.0/20"),
            HOME_NETWORK,
            1200,
            (AddressRange(IPv4Address("198.19.80.1"), IPv4Address("198.19.80.9")),),
        ),
    ),
    nodes=(
        _node(NODE),
        _node(NONCED),
        _node(OLD),
        _node(ROUTER, MOBILE_NETWORK),
        _node(OTHER_ROUTER, MOBILE_NETWORK),
    ),
    foreign_agents=(ForeignAgent(TRUSTED.address, TRUSTED.security or REALM_KEY),),
    radius=Radius(IPv4Address("198.18.1.200"), "secret"),
)


@dataclass
class Outcome:
    """What became of one datagram."""

    effects: list[Effect]
    records: list[Row | Name | Network | SlotChange | OrderGiven] = field(default_factory=list)
    sent: list[Send] = field(default_factory=list)
    alarms: list[Watched] = field(default_factory=list)
    questions: list[AskAaa] = field(default_factory=list)

    @property
    def message(self) -> Message:
        (send,) = self.sent
        return parse(send.payload)

    @property
    def reply(self) -> RegistrationReply:
        message = self.message
        assert isinstance(message, RegistrationReply)
        return message

    @property
    def code(self) -> int | None:
        """Of the reply; None: silence."""
        return int(self.reply.code) if self.sent else None

    @property
    def silent(self) -> bool:
        return not self.effects

    @property
    def kinds(self) -> list[int]:
        """Of the records of rows and networks."""
        return [record.kind for record in self.records if not isinstance(record, Name)]

    def extension(self, kind: type[Extension]) -> Any:
        """The one extension of this type, None without one."""
        found = [each for each in getattr(self.message, "extensions", ()) if isinstance(each, kind)]
        assert len(found) <= 1
        return found[0] if found else None


class Tokens:
    """Random octets that are not random: each one more than the last."""

    def __init__(self) -> None:
        self._numbers = itertools.count(0xA0000001)

    def __call__(self, octets: int) -> bytes:
        return next(self._numbers).to_bytes(octets, "big")


class Scene:
    """One Home Agent and everything that it was sent and sent."""

    def __init__(
        self,
        readings: Readings | None = None,
        tunnels: Tunnels | None = None,
        capacity: int = 100,
        **changes: Any,
    ) -> None:
        config = dataclasses.replace(
            CONFIG, readings=readings or Readings(), tunnels=tunnels or Tunnels(), **changes
        )
        self.config, self.capacity = config, capacity
        self.tokens = Tokens()
        self.table = Table(capacity, 7)
        self.agent = HomeAgent(config, self.table, self.tokens)
        self.elapsed = 0.0
        self.journal = b""
        self.emitted: list[bytes] = []
        self.accepted: list[bytes] = []  # requests, well-formed therefore
        self._fraction = itertools.count(1)
        self.keys = keys(config)

    # ------------------------------------------------------------------ time

    @property
    def now(self) -> Moment:
        return Moment(START + self.elapsed, START + self.elapsed)

    def wait(self, seconds: float) -> Outcome:
        """Time passes, and the timer is handled whenever it is due."""
        end = self.elapsed + seconds
        effects: list[Effect] = []
        for _ in range(100_000):
            due = self.agent.next_deadline()
            if due is None or due > START + end:
                break
            self.elapsed = max(self.elapsed, due - START)
            effects += self.agent.handle_timer(self.now)
        self.elapsed = end
        return self._done(effects)

    def timestamp(self, offset: float = 0.0) -> int:
        """An Identification of now, each a little greater than the one before."""
        seconds = START + self.elapsed + offset + NTP
        return (int(seconds * 2**16) << 16) + next(self._fraction)

    # ------------------------------------------------------------------ datagrams

    def request(
        self,
        mobile: Mobile,
        care_of: IPv4Address = TRUSTED.address,
        lifetime: int = 1000,
        flags: int = 0,
        *,
        home: IPv4Address | None = None,
        home_agent: IPv4Address = VIRTUAL,
        identification: int | None = None,
        before: Sequence[Extension] = (),
        security: Security | None = None,
    ) -> bytes:
        """What the mobile node sends."""
        nai = (NetworkAccessIdentifier(mobile.nai),) if mobile.nai else ()
        message = RegistrationRequest(
            RequestFlags(flags),
            lifetime,
            mobile.home if home is None else home,
            home_agent,
            care_of,
            self.timestamp() if identification is None else identification,
            (*nai, *before),
        )
        return sealed(message.to_bytes(), MHAE, security or mobile.security)

    def send(
        self,
        payload: bytes,
        through: Agent | IPv4Address = UNTRUSTED,
        *,
        to: IPv4Address = VIRTUAL,
        port: int = 434,
        link: int = LINK,
    ) -> Outcome:
        """The Home Agent gets a datagram, by way of the controller if nothing else is said."""
        address = through.address if isinstance(through, Agent) else through
        source = Endpoint(int(address), port, link)
        outcome = self._done(self.agent.receive(payload, source, int(to), self.now))
        # What is kept before what is said, and who watches hears of it last (engine/effects).
        places = [(Log, Send, AskAaa, Alarm).index(type(each)) for each in outcome.effects]
        assert places == sorted(places)
        if outcome.sent and payload[:1] == b"\x01" and outcome.code in (0, 1):
            self.accepted.append(payload)
        return outcome

    def register(
        self,
        mobile: Mobile,
        through: Agent = UNTRUSTED,
        lifetime: int = 1000,
        flags: int = 0,
        *,
        after: Sequence[Extension] = (),
        port: int = 434,
        **more: Any,
    ) -> Outcome:
        """A request through a Foreign Agent, which adds what it has to."""
        care_of = more.pop("care_of", through.address)
        payload = self.request(mobile, care_of, lifetime, flags, **more)
        payload += b"".join(each.to_bytes() for each in after)
        if through.security is not None:
            payload = sealed(payload, FHAE, through.security)
        return self.send(payload, through, port=port)

    def deregister(self, mobile: Mobile, through: Agent = UNTRUSTED, **more: Any) -> Outcome:
        """All care-of addresses of a mobile node whose home address is known, or one."""
        home = more.get("home") or mobile.home
        more.setdefault("care_of", home)
        return self.register(mobile, through, 0, **more)

    def answer(self, number: int, answer: Answer) -> Outcome:
        if answer.security is not None:
            self.keys[answer.security.spi] = answer.security
        return self._done(self.agent.answered(number, answer, self.now))

    def revoke(self, mobile: Mobile, **more: Any) -> Outcome:
        return self._done(self.agent.revoke(int(mobile.home), self.now, **more))

    def _done(self, happened: list[Effect]) -> Outcome:
        outcome = Outcome(happened)
        for effect in happened:
            match effect:
                case Log(records):
                    self.journal += records
                    outcome.records += rows(records)
                case Send(payload):
                    self._check(payload)
                    self.emitted.append(payload)
                    outcome.sent.append(effect)
                case Alarm(reason):
                    outcome.alarms.append(reason)
                case AskAaa():
                    outcome.questions.append(effect)
        return outcome

    def _check(self, payload: bytes) -> None:
        """What a mobile node or Foreign Agent checks before it believes anything."""
        message = parse(payload)
        assert message.to_bytes() == payload
        found = proofs(message)
        assert all(proven(payload, each.kind, self.keys[each.spi]) for each in found)
        kinds = [each.kind for each in found]
        match message:
            case RegistrationReply():
                assert kinds in ([MHAE], [MHAE, FHAE])
            case TunnelData():
                assert kinds == []
            case _:
                assert kinds in ([MHAE], [FHAE])

    # ------------------------------------------------------------------ state

    def bindings(self, kind: int = 1) -> list[Row]:
        """Rows of the table: BINDING if nothing else is said."""
        records = b"".join(self.table.snapshot())
        return [row for row in rows(records) if isinstance(row, Row) and row.kind == kind]

    def care_of(self, mobile: Mobile) -> set[IPv4Address]:
        home = int(mobile.home)
        return {
            IPv4Address(row.care_of_address) for row in self.bindings() if row.home_address == home
        }

    def restarted(self) -> Scene:
        """The same Home Agent, made of its journal."""
        again = Scene(self.config.readings, self.config.tunnels, self.capacity)
        again.config = self.config
        again.keys = self.keys | keys(self.config)
        again.tokens = self.tokens
        again.agent = HomeAgent(self.config, again.table, self.tokens)
        again.agent.apply(self.journal)
        again.elapsed, again.journal, again._fraction = self.elapsed, self.journal, self._fraction
        return again


def keys(config: AgentConfig) -> dict[int, Security]:
    """All associations of a configuration, by SPI."""
    found = [node.security for node in config.nodes]
    found += [realm.security for realm in config.realms]
    found += [agent.security for agent in config.foreign_agents]
    return {each.spi: each for each in found if each is not None}


def proofs(message: Message) -> list[Authentication]:
    """The authentication extensions of a message, in order."""
    extensions = () if isinstance(message, TunnelData) else message.extensions
    return [each for each in extensions if isinstance(each, Authentication)]


def proven(payload: bytes, kind: ExtensionType, security: Security) -> bool:
    """Whether a message has exactly one authenticator of this kind, right by the standard library.

    It is found by its octets: type, length and SPI, of which no other octets of ours are a copy.
    """
    header = bytes((kind, 20)) + security.spi.to_bytes(4, "big")
    if payload.count(header) != 1:
        return False
    end = payload.index(header) + len(header)
    return payload[end : end + 16] == authenticator(security, payload[:end])
