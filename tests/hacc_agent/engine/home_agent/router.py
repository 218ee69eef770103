"""A Home Agent without a network: requests go in, codes come out, time is the test's."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import count

from hacc_agent.config import (
    AddressRange,
    AgentConfig,
    Algorithm,
    Health,
    Lan,
    LanAddress,
    Member,
    MemberKind,
    Realm,
    Replay,
    Role,
    Security,
    Selection,
    Weights,
)
from hacc_agent.engine.effects import Effect, Endpoint, Moment, Send
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.home_agent.replay import timestamp
from hacc_agent.engine.record import Kind, Row, rows
from hacc_agent.engine.table import Table
from hacc_agent.wire import (
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationRequest,
    RequestFlags,
    authenticate,
)

VIRTUAL = IPv4Address("198.19.0.1")
NETWORK = IPv4Network("198.19.64.0/18")
FOREIGN_AGENT = IPv4Address("198.18.9.1")
CONTROLLER = Endpoint(int(FOREIGN_AGENT), 434, 0x02_00_00_00_01_00 << 16)
OVERTAKEN = Endpoint(int(FOREIGN_AGENT), 434, 0x02_00_00_00_02_00 << 16)
SECRET = bytes(range(16))
KEY = Key(Algorithm.HMAC_MD5, SECRET)
SPI = 256
NAI = b"node1@example.net"
NOW = Moment(1_700_000_000.0, 1_700_000_000.0)
ACCEPTED, PROHIBITED, STALE = 0, 129, 133


def later(seconds: float) -> Moment:
    return Moment(NOW.steady + seconds, NOW.wall + seconds)


class Router:
    """A Home Agent, and what became of what it was sent."""

    def __init__(self, name: str, replay: Replay = Replay.TIMESTAMP, capacity: int = 16) -> None:
        address = IPv4Address("198.18.1.11") + (name == "ha2")
        slices = {"ha1": IPv4Network("198.19.64.0/24"), "ha2": IPv4Network("198.19.65.0/24")}
        security = Security(SPI, Algorithm.HMAC_MD5, SECRET.hex(), replay, 7)
        assigns = AddressRange(slices[name][1], slices[name][100])
        config = AgentConfig(
            cluster="west",
            name=name,
            role=Role.HOME_AGENT,
            home_agent_address=VIRTUAL,
            networks=(NETWORK,),
            lifetime_s=1800,
            replay=replay,
            tolerance_s=7,
            binding_sync_s=15,
            max_bindings=capacity,
            lans=(Lan("core", "lan", IPv4Interface(f"{address}/24")),),
            gateways=(),
            controllers=(),
            members=(
                Member(
                    name, MemberKind.LINUX, False, 1, capacity, (slices[name],),
                    (LanAddress("core", address),),
                ),
            ),
            selection=Selection(0.1, Weights(1, 1, 1)),
            health=Health(100, 3, 5, 95, 3),
            snmp=None,
            realms=(Realm("@example.net", NETWORK, NETWORK, 1800, (assigns,), security),),
            nodes=(),
            foreign_agents=(),
        )  # fmt: skip
        tokens = count(0x1000 if name == "ha1" else 0x2000)
        self.table = Table(capacity, 1)
        self.engine = HomeAgent(config, self.table, lambda n: next(tokens).to_bytes(n, "big"))

    def asked(self, octets: bytes, now: Moment, source: Endpoint = CONTROLLER) -> int | None:
        """The code of its reply; None: it says nothing."""
        sent = [
            effect
            for effect in self.engine.receive(octets, source, int(VIRTUAL), now)
            if isinstance(effect, Send)
        ]
        return sent[0].payload[1] if sent else None

    def takes(self, records: bytes, now: Moment, ahead: float = 0.0) -> list[Effect]:
        return self.engine.take_over(records, ahead, now)

    @property
    def rows(self) -> list[Row]:
        return [each for each in rows(b"".join(self.table.snapshot())) if isinstance(each, Row)]

    @property
    def bindings(self) -> list[Row]:
        return [row for row in self.rows if row.kind == Kind.BINDING]


def request(identification: int, care_of: int = int(FOREIGN_AGENT), *, home: int = 0) -> bytes:
    message = RegistrationRequest(
        RequestFlags(0), 600, IPv4Address(home), VIRTUAL, IPv4Address(care_of), identification,
        (NetworkAccessIdentifier(NAI),),
    ).to_bytes()  # fmt: skip
    return authenticate(message, ExtensionType.MOBILE_HOME_AUTHENTICATION, SPI, KEY)


def stamp(seconds: float) -> int:
    return timestamp(NOW.wall + seconds)
