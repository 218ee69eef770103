"""Who may register, with which key, for how long: the configuration, ready for use.

A mobility security association is found by who the mobile node says it is, before anything that it
says can be believed; what is found decides which key has to prove it. Keys digest their secret once
here, and the header of an authentication extension, the same in each reply, is made once too.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from ...config import AgentConfig, Node, Realm, Replay, Security
from ...wire import Authentication, ExtensionType, Key
from ..pools import Pool

_AUTHENTICATOR = bytes(16)  # octets of MD5


class Association:
    """One mobility security association (RFC 5944, 1.6), of a mobile node or a Foreign Agent."""

    __slots__ = ("_header", "key", "kind", "nonces", "since", "spi", "tolerance")

    def __init__(self, security: Security, kind: ExtensionType, since: float | None = None) -> None:
        self.since = since  # s of the steady clock, of one that the AAA server handed out
        self.kind = kind
        self.spi = security.spi
        self.key = Key(security.algorithm, bytes.fromhex(security.key))
        self.nonces = security.replay is Replay.NONCE
        self.tolerance = security.tolerance_s  # s
        extension = Authentication(kind, self.spi, _AUTHENTICATOR)
        self._header = extension.to_bytes()[: -len(_AUTHENTICATOR)]

    def seal(self, message: bytes) -> bytes:
        """The message with the extension appended that proves it."""
        covered = message + self._header
        return covered + self.key.authenticator(covered)


class Subscriber:
    """What the configuration grants to a mobile node, or to all of a realm."""

    __slots__ = ("address", "association", "lifetime", "mobile_networks", "pool", "prefix")

    def __init__(self, entry: Node | Realm) -> None:
        self.association = mobile_association(entry.security)
        self.lifetime = entry.lifetime_s  # s, the longest
        self.mobile_networks: tuple[IPv4Network, ...] = entry.mobile_networks
        self.address = int(entry.address) if isinstance(entry, Node) else 0
        self.prefix = entry.pool if isinstance(entry, Realm) else None
        self.pool = Pool(entry.assigns) if isinstance(entry, Realm) else Pool(())

    def may_claim(self, address: int) -> bool:
        """Whether a home address that the mobile node brings along can be its own."""
        if self.prefix is None:
            return address == self.address
        first = int(self.prefix.network_address)
        return first <= address < first + self.prefix.num_addresses


def mobile_association(security: Security | None, since: float | None = None) -> Association | None:
    if security is None:
        return None
    return Association(security, ExtensionType.MOBILE_HOME_AUTHENTICATION, since)


class Directory:
    """Everybody whom this Home Agent knows by configuration."""

    __slots__ = ("foreign_agents", "nodes", "realms", "subscribers")

    def __init__(self, config: AgentConfig) -> None:
        self.nodes = {int(node.address): Subscriber(node) for node in config.nodes}
        self.realms = {_folded(realm.realm.encode()): Subscriber(realm) for realm in config.realms}
        self.foreign_agents = {
            int(agent.address): Association(
                agent.security, ExtensionType.FOREIGN_HOME_AUTHENTICATION
            )
            for agent in config.foreign_agents
        }
        self.subscribers: Iterable[Subscriber] = (*self.nodes.values(), *self.realms.values())

    def subscriber(self, home_address: int, nai: bytes | None) -> Subscriber | None:
        """Whose home address this is; else whose realm. An address of one's own counts first."""
        found = self.nodes.get(home_address)
        if found is None and nai is not None:
            at = nai.rfind(b"@")
            found = self.realms.get(nai[at:]) or self.realms.get(_folded(nai[at:]))
        return found

    def foreign_agent(self, address: int) -> Association | None:
        """The association with who sends from this address (RFC 5944, 3.5.4)."""
        return self.foreign_agents.get(address)


def _folded(realm: bytes) -> bytes:
    """Realms are domain names: upper and lower case are one (RFC 2486, 3)."""
    return realm.lower()
