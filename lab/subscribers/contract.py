"""Who may register with a cluster, and whom its Foreign Agents are: from a router's own agent.toml.

That file is what the orchestrator pushed: realms, static mobile nodes, Foreign Agents, all with
their keys open. So whoever registers here holds the very keys that the cluster was given, and the
lab needs neither the intent nor the references to its secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final

from hacc_agent.config import AgentConfig, Node, Realm

from ..errors import LabError
from .association import Association, Subscription
from .foreign_agent import ForeignAgent

FIRST_AGENT: Final = IPv4Address("198.18.9.1")
"""The first Foreign Agent where the cluster names none; in the range of RFC 2544, never routed."""

_DIGITS: Final = 7  # of a node's number: NAIs of one realm are all of one length


class NobodyMayRegister(LabError):
    """The cluster has no mobile nodes whose keys it holds itself."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a lab's subscribers need to know of their cluster."""

    cluster: str
    home_agent: IPv4Address
    realms: tuple[Realm, ...]
    nodes: tuple[Node, ...]
    agents: tuple[tuple[IPv4Address, Association | None], ...]
    port: int

    @classmethod
    def of(cls, config: AgentConfig) -> Contract:
        return cls(
            config.cluster,
            config.home_agent_address,
            tuple(realm for realm in config.realms if realm.security is not None),
            tuple(node for node in config.nodes if node.security is not None),
            tuple((one.address, Association.of(one.security)) for one in config.foreign_agents),
            config.port,
        )

    def subscriptions(
        self, count: int, lifetime: int = 0, *, reverse_tunnel: bool = False
    ) -> tuple[Subscription, ...]:
        """The first `count` mobile nodes: those with addresses of their own, then the realms' in
        turn. `lifetime` (s) is asked for; 0: what the cluster says."""
        found = [self._static(node, lifetime) for node in self.nodes[:count]]
        realms = [(realm, _association(realm)) for realm in self.realms]
        if not realms and len(found) < count:
            raise NobodyMayRegister(
                f"cluster {self.cluster}: {len(found)} mobile nodes can register, not {count}",
                hint="mobile_nodes of the intent: a realm with `security` has as many as its pool",
            )
        for number in range(count - len(found)):
            realm, association = realms[number % len(realms)]
            nai = f"mn{number // len(realms) + 1:0{_DIGITS}}{realm.realm}".encode()
            asked = lifetime or realm.lifetime_s
            found.append(Subscription(association, self.home_agent, asked, nai))
        return tuple(replace(one, reverse_tunnel=reverse_tunnel) for one in found)

    def _static(self, node: Node, lifetime: int) -> Subscription:
        asked = lifetime or node.lifetime_s
        return Subscription(_association(node), self.home_agent, asked, home_address=node.address)

    def foreign_agents(self, count: int = 0) -> tuple[ForeignAgent, ...]:
        """The first `count` (0: all) that the cluster knows, then others that share no key."""
        known = list(self.agents)
        count = count or max(1, len(known))
        last = known[-1][0] if known else FIRST_AGENT - 1
        taken = {address for address, _ in known}
        while len(known) < count:
            last += 1
            if last not in taken:
                known.append((last, None))
        return tuple(
            ForeignAgent(
                address, association=association, home_agent=self.home_agent, port=self.port
            )
            for address, association in known[:count]
        )


def _association(entry: Realm | Node) -> Association:
    assert entry.security is not None  # the others were left out
    return Association.of(entry.security)


def chosen(contracts: Sequence[Contract], cluster: str) -> Contract:
    """The one of this name, or the only one."""
    by_name = {one.cluster: one for one in contracts}
    names = ", ".join(sorted(by_name)) or "none"
    if not by_name:
        raise LabError(
            "no router of the lab has an /etc/hacc/agent.toml",
            hint="hacc lab run hacc apply provisions them",
        )
    if cluster:
        if cluster not in by_name:
            raise LabError(f"--cluster {cluster}: no such cluster", hint=f"there are: {names}")
        return by_name[cluster]
    if len(by_name) > 1:
        raise LabError("more than one cluster is provisioned", hint=f"--cluster, one of: {names}")
    return next(iter(by_name.values()))
