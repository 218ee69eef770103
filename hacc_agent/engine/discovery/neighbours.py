"""Who was heard on our LANs, and whether that is who the configuration expects there.

    verdict     what was heard                                              what is made of it
    expected    a router of the cluster, from its address                   shown
    missing     a router that advertises was not heard for a lifetime       told
    stranger    an agent, or a router, at an address that nobody expects    told
    impostor    an expected address, and something that does not fit it     told

What does not fit: another MAC address than the one it is heard from and that is still valid; a TTL
other than 1 (RFC 5944, 2.1: MUST be 1, so it may come from beyond the LAN); another name, role or
cluster than it should say, or none where it should; an address of our own. Whoever was heard first
counts as the right one until it has been silent for its lifetime: of two that claim an address
nobody here can know which is right, so both are shown.

What somebody says wrong stands beside what the same address says right. Findings are kept as long
as they are heard, each is told once, with a count, and never obeyed. They are bounded: who invents
addresses gets `MOST` of them, and a number for the rest.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ...config import AgentConfig, LanAddress, MemberKind, Role
from ...wire import AgentAdvertisement, AgentLoad, AgentRole
from ...wire.load import cluster_digest, short_name
from .advertising import AFTER_LAST, LIFETIME_S

TTL: Final = 1
MOST: Final = 64
"""Strangers and impostors that are kept of one LAN."""

LONGEST_S: Final = 1800
"""For which anybody is believed to be there: the default of RFC 1256, 4.1. More can be said, but
who says it once must not stay on our lists for hours."""

LEAST_S: Final = float(LIFETIME_S)
"""For which a finding is shown, however short a lifetime it claims."""

GRACE_S: Final = float(LIFETIME_S)
"""After our start, in which nobody is missed: who is there has advertised three times by then."""

ROLES: Final = {
    Role.CONTROLLER: AgentRole.CONTROLLER,
    Role.HOME_AGENT: AgentRole.HOME_AGENT,
    Role.BACKUP: AgentRole.BACKUP,
}


class Verdict(enum.StrEnum):
    EXPECTED = "expected"
    MISSING = "missing"
    STRANGER = "stranger"
    IMPOSTOR = "impostor"


class Router(NamedTuple):
    """Who the configuration says is at an address."""

    name: str
    role: Role | None  # None: a Foreign Agent, or a gateway
    advertises: bool  # a router of ours does, a stock one does not have to


@dataclass(slots=True)
class Neighbour:
    """Whoever was heard, or should have been, on one LAN."""

    lan: str
    address: int
    mac: int  # 0: never heard
    verdict: Verdict
    why: str = ""  # in words, of all but the expected
    router: Router | None = None
    load: AgentLoad | None = None
    first: float = 0.0  # s of the steady clock: heard, or missed
    last: float = 0.0
    until: float = 0.0  # when its lifetime ends
    sequence: int = 0
    restarts: int = 0
    heard: int = 0  # advertisements


class Heard(NamedTuple):
    """An advertisement, and what only a socket knows of it."""

    lan: str
    address: int  # that it came from
    mac: int
    ttl: int
    said: AgentAdvertisement


def expected(config: AgentConfig) -> dict[tuple[str, int], Router]:
    """Who should be on the LANs of this router, itself left out. By LAN and address."""
    found: dict[tuple[str, int], Router] = {}

    def add(router: Router, addresses: tuple[LanAddress, ...]) -> None:
        found.update({(at.lan, int(at.address)): router for at in addresses})

    for controller in config.controllers:
        add(Router(controller.name, Role.CONTROLLER, True), controller.addresses)
    for member in config.members:
        role = Role.BACKUP if member.backup else Role.HOME_AGENT
        add(Router(member.name, role, member.kind is MemberKind.LINUX), member.addresses)
        for each in member.routers:
            add(Router(each.name, role, member.kind is MemberKind.LINUX), each.addresses)
    for each in config.routers:
        add(Router(each.name, None, False), each.addresses)
    for agent in config.foreign_agents:
        near = (lan.name for lan in config.lans if agent.address in lan.address.network)
        at = tuple(LanAddress(name, agent.address) for name in near)
        add(Router(f"Foreign Agent {agent.address}", None, False), at)
    lans = {lan.name for lan in config.lans}
    return {at: who for at, who in found.items() if at[0] in lans and who.name != config.name}


class Neighbourhood:
    """All LANs of a router."""

    def __init__(self, config: AgentConfig, now: float) -> None:
        self._expected = expected(config)
        self._own = {(lan.name, int(lan.address.ip)) for lan in config.lans}
        self._cluster = cluster_digest(config.cluster)
        self._kept: dict[tuple[str, int, int, bool], Neighbour] = {}  # LAN, address, MAC, right?
        self._holders: dict[tuple[str, int], Neighbour] = {}  # those that are right
        self._wrong: Counter[str] = Counter()  # strangers and impostors that are kept, by LAN
        self._missed: dict[tuple[str, int], Neighbour] = {}
        self._left: set[tuple[str, int]] = set()  # who has said that it stops
        self._grace = now + GRACE_S
        self.untold = 0
        """Advertisements of strangers and impostors for whom there was no room."""

    # ------------------------------------------------------------------ what is heard

    def heard(self, heard: Heard, now: float) -> Neighbour | None:
        """Who that was, if people have to be told: of a finding, or that a missing one is back."""
        at = heard.lan, heard.address
        router = self._expected.get(at)
        holder = self._holders.get(at)
        if holder is not None and holder.until <= now:
            self._drop(holder)
        if router is not None and heard.said.agent is None:
            return None  # a router may well say that it is one
        verdict, why = self._judge(heard, router)
        right = verdict is Verdict.EXPECTED
        key = (*at, heard.mac, right)
        known = self._kept.get(key)
        if known is not None and known.until <= now:
            self._drop(known)
            known = None
        new = known is None
        if known is None:
            if not right and self._wrong[heard.lan] >= MOST:
                self.untold += 1
                return None
            known = Neighbour(*at, heard.mac, verdict, router=router, first=now)
            self._kept[key] = known
            self._wrong[heard.lan] += not right
        known.why = why
        self._note(known, heard.said, now)
        if not right:
            known.until = max(known.until, now + LEAST_S)
            return known if new else None
        missed = self._missed.pop(at, None)
        self._left.discard(at)
        self._holders[at] = known
        if not heard.said.lifetime:
            self._left.add(at)
            self._drop(known)
        return known if missed is not None else None

    def _judge(self, heard: Heard, router: Router | None) -> tuple[Verdict, str]:
        at, said = (heard.lan, heard.address), heard.said
        ours = at in self._own
        bad = Verdict.IMPOSTOR if router is not None or ours else Verdict.STRANGER
        if heard.ttl != TTL:
            return bad, f"its TTL is {heard.ttl}: it may come from beyond this LAN"
        if ours:
            return bad, "it has an address of this router"
        if router is None:
            return bad, self._describe(said)
        holder = self._holders.get(at)
        if holder is not None and holder.mac != heard.mac:
            return bad, f"another MAC address than {mac_text(holder.mac)}, which is heard too"
        load = said.load
        if load is None:
            why = "it does not say what our agents say" if router.advertises else ""
        elif load.cluster != self._cluster:
            why = "it is of another cluster"
        elif not router.advertises:
            why = "it says what our agents say, and should be a stock router"
        elif load.router != short_name(router.name):
            why = f"it says that it is {load.router}, not {router.name}"
        elif router.role is not None and load.role is not ROLES[router.role]:
            word = load.role.name.lower().replace("_", " ")
            why = f"it says that it is a {word}, not a {router.role}"
        else:
            why = ""
        return (bad, why) if why else (Verdict.EXPECTED, "")

    def _describe(self, said: AgentAdvertisement) -> str:
        if said.agent is None:
            return "a router that the intent does not know"
        load = said.load
        if load is None:
            return "an agent that the intent does not know"
        if load.cluster == self._cluster:
            return f"an agent that says it is {load.router} of this cluster"
        return f"an agent of another cluster, {load.router}"

    def _note(self, known: Neighbour, said: AgentAdvertisement, now: float) -> None:
        agent = said.agent
        if agent is not None:
            # Only a restart leads to a lower number below 256 (RFC 5944, 2.3.2).
            if known.heard and agent.sequence < min(known.sequence, AFTER_LAST):
                known.restarts += 1
            known.sequence = agent.sequence
        known.load = said.load
        known.last = now
        known.until = now + min(said.lifetime, LONGEST_S)
        known.heard += 1

    # ------------------------------------------------------------------ time

    def next_deadline(self) -> float | None:
        """When somebody is forgotten, or missed for the first time."""
        found = [one.until for one in self._kept.values()]
        if self._overdue():
            found.append(self._grace)
        return min(found, default=None)

    def handle_timer(self, now: float) -> list[Neighbour]:
        """Those who are missing since now."""
        self._forget(now)
        if now < self._grace:
            return []
        found = []
        for at in self._overdue():
            why = "it has said that it stops" if at in self._left else "it is not heard"
            router = self._expected[at]
            lost = Neighbour(*at, 0, Verdict.MISSING, why, router, first=now, last=now)
            self._missed[at] = lost
            found.append(lost)
        return found

    def _overdue(self) -> list[tuple[str, int]]:
        """Who should be heard, is not, and was not told of yet."""
        return [
            at
            for at, router in self._expected.items()
            if router.advertises and at not in self._holders and at not in self._missed
        ]

    def _forget(self, now: float) -> None:
        for one in [one for one in self._kept.values() if one.until <= now]:
            self._drop(one)

    def _drop(self, one: Neighbour) -> None:
        at = one.lan, one.address
        right = one.verdict is Verdict.EXPECTED
        del self._kept[(*at, one.mac, right)]
        self._wrong[one.lan] -= not right
        if self._holders.get(at) is one:
            del self._holders[at]

    def __len__(self) -> int:
        """How many routers of the cluster there should be."""
        return len(self._expected)

    # ------------------------------------------------------------------ what is known

    def all(self) -> Iterator[Neighbour]:
        """Everybody, by LAN and address."""
        found = [*self._kept.values(), *self._missed.values()]
        yield from sorted(found, key=lambda one: (one.lan, one.address, one.mac))

    def awaited(self) -> list[Router]:
        """Those that should be heard and were not yet, within the time that they have."""
        return [self._expected[at] for at in self._overdue()]

    def adjacent(self, lan: str, address: int) -> bool:
        """Whether an expected router was heard there, at a TTL of 1: it is on this LAN."""
        return (lan, address) in self._holders


def mac_text(mac: int) -> str:
    """As people write it."""
    return mac.to_bytes(6, "big").hex(":")
