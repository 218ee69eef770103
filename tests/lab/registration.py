"""A cluster's agent.toml, a Home Agent of it, and a clock: what subscribers are tested against."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from hacc_agent import config
from hacc_agent.config import AgentConfig, Algorithm, Replay
from hacc_agent.engine.effects import Endpoint, Moment, Send
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.record import Kind
from hacc_agent.engine.table import Table
from hacc_agent.wire import (
    Authentication,
    Extension,
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationReply,
    RegistrationRequest,
    authenticate,
    parse,
)
from lab.subscribers.association import Association, Subscription
from lab.subscribers.foreign_agent import ForeignAgent
from lab.subscribers.mobile_node import MobileNode, Visited
from lab.subscribers.population import Datagram, Population, Schedule

ROOT = Path(__file__).resolve().parents[2]
BEGIN = 1_800_000_000.25
HOME_AGENT = IPv4Address("198.19.0.1")
CARE_OF = IPv4Address("198.18.9.1")
HOME_ADDRESS = IPv4Address("198.19.96.7")
MOBILE = Association(0x100, Key(Algorithm.HMAC_MD5, b"1234567890abcdef"))
FOREIGN = Association(0x200, Key(Algorithm.HMAC_MD5, b"fedcba0987654321"))
LINK = Visited(CARE_OF, 1800, 0)


def at(seconds: float) -> Moment:
    """So many seconds after the beginning."""
    return Moment(BEGIN + seconds, BEGIN + seconds)


def node(
    *, nai: bytes = b"", replay: Replay = Replay.TIMESTAMP, lifetime: int = 600, seed: int = 7
) -> MobileNode:
    """With an NAI it has no home address yet."""
    association = Association(MOBILE.spi, MOBILE.key, replay)
    home = IPv4Address(0) if nai else HOME_ADDRESS
    subscription = Subscription(association, HOME_AGENT, lifetime, nai, home)
    return MobileNode(subscription, random.Random(seed).randbytes)


def request(octets: bytes) -> RegistrationRequest:
    """What was sent, read."""
    message = parse(octets)
    assert isinstance(message, RegistrationRequest)
    return message


def reply(
    octets: bytes,
    code: int = 0,
    *,
    lifetime: int | None = None,
    home_address: IPv4Address | None = None,
    home_agent: IPv4Address | None = None,
    identification: int | None = None,
    extensions: Sequence[Extension] = (),
    mobile: Association | None = MOBILE,
    foreign: Association | None = None,
) -> bytes:
    """An answer to these octets, as a Home Agent makes it (RFC 5944, 3.8.3)."""
    asked = request(octets)
    names = [one for one in asked.extensions if isinstance(one, NetworkAccessIdentifier)]
    answer = RegistrationReply(
        code,
        asked.lifetime if lifetime is None else lifetime,
        asked.home_address if home_address is None else home_address,
        asked.home_agent if home_agent is None else home_agent,
        asked.identification if identification is None else identification,
        (*names, *extensions),
    ).to_bytes()
    for association, kind in (
        (mobile, ExtensionType.MOBILE_HOME_AUTHENTICATION),
        (foreign, ExtensionType.FOREIGN_HOME_AUTHENTICATION),
    ):
        if association is not None:
            answer = authenticate(answer, kind, association.spi, association.key)
    return answer


def kinds(octets: bytes) -> list[int]:
    """The types of a message's extensions, in order."""
    message = parse(octets)
    return [one.kind for one in getattr(message, "extensions", ())]


def authentications(octets: bytes) -> list[Authentication]:
    message = parse(octets)
    found = getattr(message, "extensions", ())
    return [one for one in found if isinstance(one, Authentication)]


def member(**changes: object) -> AgentConfig:
    """What the example cluster's first Home Agent is told, with keys of ours in it."""
    text = (ROOT / "tests/golden/render/west/ha1/etc_hacc_agent.toml").read_text()
    text = re.sub(r"<secret env:FA_KEY[^>]*>", FOREIGN.key.secret.hex(), text)
    text = re.sub(r"<secret [^>]*>", MOBILE.key.secret.hex(), text)
    told = config.parse(text, "agent.toml")
    return config.AgentConfig(
        **{name: getattr(told, name) for name in AgentConfig.__slots__} | changes
    )


class World:
    """A population and one real Home Agent under a clock that is set by hand."""

    def __init__(
        self,
        subscriptions: Sequence[Subscription],
        agents: Sequence[ForeignAgent],
        schedule: Schedule,
        *,
        told: AgentConfig,
        seed: int = 1,
        lost: Callable[[bytes], bool] = lambda _: False,
        ahead: float = 0.0,
    ) -> None:
        """`ahead`: seconds by which the Home Agent's time of day is ahead of the nodes'."""
        self.seconds = 0.0
        self.table = Table(10_000, 1)
        self.home = HomeAgent(told, self.table, random.Random(2).randbytes)
        self.population = Population(subscriptions, agents, schedule, seed, at(0))
        self.sent: list[bytes] = []  # everything that crossed the network
        self._lost = lost
        self._ahead = ahead

    @property
    def now(self) -> Moment:
        return at(self.seconds)

    @property
    def _theirs(self) -> Moment:
        """Now, as the Home Agent has it."""
        return self.now._replace(wall=self.now.wall + self._ahead)

    @property
    def bindings(self) -> dict[int, tuple[int, float]]:
        """Home address -> care-of address and end (s of the steady clock), as the Home Agent says.

        A node with two bindings would be one too many: none of ours asks for that.
        """
        rows = self.table.rows
        found = rows[rows["kind"] == Kind.BINDING]
        assert len(set(found["home_address"].tolist())) == len(found)
        columns = (found[name].tolist() for name in ("home_address", "care_of_address", "expires"))
        return {home: (care_of, expires) for home, care_of, expires in zip(*columns, strict=True)}

    def until(self, seconds: float) -> World:
        """Let time pass, from deadline to deadline; the network takes a millisecond."""
        while self.seconds <= seconds:
            self._carry(self.population.advance(self.now))
            following = self.population.next_deadline() - BEGIN
            if (own := self.home.next_deadline()) is not None:
                following = min(following, own - BEGIN)
            if following > seconds:
                break
            self.seconds = max(following, self.seconds + 1e-4)
            self.home.handle_timer(self._theirs)
        self.seconds = seconds
        return self

    def _carry(self, out: list[Datagram]) -> None:
        while out:
            answers: list[tuple[int, Send]] = []
            for datagram in out:
                self.sent.append(datagram.payload)
                if not self._lost(datagram.payload):
                    answers += [(datagram.agent, one) for one in self._answer(datagram)]
            self.seconds += 1e-3
            out = []
            for agent, one in answers:
                self.sent.append(one.payload)
                if not self._lost(one.payload):
                    out += self.population.receive(agent, one.payload, one.source, 434, self.now)

    def _answer(self, datagram: Datagram) -> list[Send]:
        care_of = int(self.population.agents[datagram.agent].address)
        source = Endpoint(care_of, 434)
        effects = self.home.receive(datagram.payload, source, datagram.address, self._theirs)
        return [one for one in effects if isinstance(one, Send)]
