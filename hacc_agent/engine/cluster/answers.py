"""What the controller answers itself: full (130), register elsewhere (143), and why not (131, 132).

An answer is believed only with the authenticators that a Home Agent's has, and is given only to
who proved to be entitled to one (RFC 5944, 3.8.2.1): what the controller passes on it need not
check, what it answers it does. In the words of that section:

    (a) the mobile node's authenticator must hold; one that does not is answered with 131 when a
        valid Foreign-Home one proves where it comes from, else as `readings.bad_authenticator` says
    (c) with a security association with the Foreign Agent exactly one valid Foreign-Home
        authenticator is needed, else 132; deregistrations by `readings` only
    (d) a Foreign-Home authenticator of a stranger: dropped, logged
    (b), replays, stays with the members: nothing changes for who replays a refused request.

The Identification goes back whole. With nonces its high half is then the nonce that the mobile node
has just used and that no member has seen used, so it stays good for the next attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ...config import AgentConfig, BadAuthenticator
from ...config import Security as Keys
from ...wire import (
    Extension,
    ExtensionType,
    Key,
    NetworkAccessIdentifier,
    RegistrationReply,
    ReplyCode,
    authenticate,
    peek_spi,
    verify,
)
from ..effects import Alarm, Effect, Endpoint, Security, Send
from .reading import Request, read_request


@dataclass(frozen=True, slots=True)
class Association:
    """A mobility security association, ready for use."""

    spi: int
    key: Key

    @classmethod
    def of(cls, keys: Keys) -> Association:
        return cls(keys.spi, Key(keys.algorithm, bytes.fromhex(keys.key)))


class Associations:
    """Who shares a key with the cluster: mobile nodes by address or realm, Foreign Agents."""

    def __init__(self, config: AgentConfig) -> None:
        self._nodes = {
            int(node.address): Association.of(node.security)
            for node in config.nodes
            if node.security
        }
        self._realms: dict[bytes, Association] = {}
        self._pools: list[tuple[IPv4Network, Association]] = []
        for realm in config.realms:
            if realm.security:
                association = Association.of(realm.security)
                self._realms[realm.realm.encode()] = association
                self._pools.append((realm.pool, association))
        self._foreign = {
            int(agent.address): Association.of(agent.security) for agent in config.foreign_agents
        }

    def of_mobile(self, home_address: int, nai: bytes | None) -> Association | None:
        if home_address in self._nodes:
            return self._nodes[home_address]
        if nai is not None:
            return self._realms.get(nai[nai.find(b"@") :])
        address = IPv4Address(home_address)
        return next((found for pool, found in self._pools if address in pool), None)

    def of_foreign(self, address: int) -> Association | None:
        return self._foreign.get(address)


class Answers:
    """Makes the replies that are the controller's own."""

    def __init__(self, config: AgentConfig) -> None:
        self.associations = Associations(config)
        self._home_agent = config.home_agent_address
        self._readings = config.readings

    def deny(
        self,
        data: bytes,
        request: Request,
        source: Endpoint,
        code: ReplyCode,
        extensions: tuple[Extension, ...] = (),
    ) -> list[Effect]:
        """The reply with this code, another one that the request deserves more, or an alarm."""
        who = self.associations.of_mobile(request.home_address, request.nai)
        foreign = self.associations.of_foreign(source.address)
        mobile = name(request.home_address, request.nai)
        at = request.mobile_home
        if who is None or not at or request.spi != who.spi:
            return [Alarm(Security.NO_ASSOCIATION, source, mobile, request.spi)]
        proven = (
            foreign is not None
            and len(request.foreign_home) == 1
            and peek_spi(data, request.foreign_home[0]) == foreign.spi
            and verify(data, request.foreign_home[0], foreign.key)
        )
        effects: list[Effect] = []
        if not verify(data, at, who.key):
            effects.append(Alarm(Security.MOBILE_AUTHENTICATOR, source, mobile, who.spi))
            may = self._readings.bad_authenticator is BadAuthenticator.DENY and not foreign
            if not proven and not may:
                return effects
            code, extensions = ReplyCode.MOBILE_NODE_AUTHENTICATION, ()
        elif foreign is None and request.foreign_home:
            spi = peek_spi(data, request.foreign_home[0])
            return [Alarm(Security.NO_ASSOCIATION, source, mobile, spi)]
        elif foreign is not None and not proven and self._needs_foreign(request):
            effects.append(Alarm(Security.FOREIGN_AUTHENTICATOR, source, mobile, foreign.spi))
            code, extensions = ReplyCode.FOREIGN_AGENT_AUTHENTICATION, ()
        if request.nai is not None:  # RFC 2794, 3: echoed
            extensions = (NetworkAccessIdentifier(request.nai), *extensions)
        reply = RegistrationReply(
            code,
            0,
            IPv4Address(request.home_address),
            self._home_agent,
            request.identification,
            extensions,
        ).to_bytes()
        reply = authenticate(reply, ExtensionType.MOBILE_HOME_AUTHENTICATION, who.spi, who.key)
        if foreign is not None:
            kind = ExtensionType.FOREIGN_HOME_AUTHENTICATION
            reply = authenticate(reply, kind, foreign.spi, foreign.key)
        return [*effects, Send(reply, source, int(self._home_agent))]

    def proves(self, data: bytes) -> bool:
        """Whether a request shows that it is its mobile node's: a Home Agent has to answer it.

        Of mobile nodes whose keys the AAA server has we cannot know.
        """
        if not data:
            return False
        request = read_request(data)
        who = self.associations.of_mobile(request.home_address, request.nai)
        at = request.mobile_home
        return who is not None and at > 0 and request.spi == who.spi and verify(data, at, who.key)

    def _needs_foreign(self, request: Request) -> bool:
        return bool(request.lifetime) or self._readings.foreign_authentication_of_deregistrations


def name(home_address: int, nai: bytes | None) -> str:
    """A mobile node, as logs name it."""
    if nai is not None:
        return nai.decode("utf-8", "backslashreplace")
    return str(IPv4Address(home_address))
