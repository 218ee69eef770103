"""Whether each member is on a LAN with this controller, by what is known on layer 2.

    proven by        when
    advertisement    it was heard here, with a TTL of 1 (`neighbours`)
    CDP, LLDP        its own table of neighbours names this router, or an address of it

What proves nothing says why. A neighbour in a member's table that has an address on one of our LANs
and is nobody's whom the configuration knows is a stranger there; neighbours elsewhere are the
member's own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from ...config import AgentConfig, LanAddress, MemberKind
from ..snmp.adjacency import Sighting


@dataclass(frozen=True, slots=True)
class Survey:
    """A member's answer, or that of one router of a pair."""

    member: int
    router: str  # of a pair; "": the member itself
    protocol: str  # "": it has no neighbours by any
    seen: tuple[Sighting, ...] = ()
    failure: str = ""  # why there is no answer


@dataclass(frozen=True, slots=True)
class Adjacency:
    """Of one router."""

    router: str
    stock: bool  # it has no agent of ours, and so advertises nothing
    proof: str  # "": none, and why
    why: str
    sees: tuple[str, ...]  # routers of the cluster, by name
    strangers: tuple[Sighting, ...]


class Layer2:
    """All members, as one controller sees them."""

    def __init__(self, config: AgentConfig) -> None:
        self._name = config.name
        self._own = {str(lan.address.ip) for lan in config.lans}
        self._lans = tuple(lan.address.network for lan in config.lans)
        self._stock = [member.kind is MemberKind.IOS for member in config.members]
        self._routers: list[tuple[int, str, tuple[LanAddress, ...]]] = []
        for number, member in enumerate(config.members):
            halves = [(each.name, each.addresses) for each in member.routers]
            for name, addresses in halves or [(member.name, member.addresses)]:
                self._routers.append((number, name, addresses))
        known = [(each.name, each.addresses) for each in config.controllers]
        known += [(each.name, each.addresses) for each in config.routers]
        known += [(name, addresses) for _, name, addresses in self._routers]
        known += [(each.name, each.addresses) for each in config.members]
        known.append(("", config.gateways))
        self._names = {_host(name): name for name, _ in known if name}
        self._addresses = {str(at.address) for _, addresses in known for at in addresses}
        self._surveys: dict[tuple[int, str], Survey] = {}

    def surveyed(self, survey: Survey) -> list[Sighting]:
        """The strangers that its last answer did not show."""
        key = survey.member, survey.router
        before = self._surveys.get(key)
        self._surveys[key] = survey
        old = set(self._strangers(before)) if before is not None else set()
        return [one for one in self._strangers(survey) if one not in old]

    def all(self, heard: Callable[[LanAddress], bool]) -> Iterator[Adjacency]:
        """`heard`: whether an expected router advertises from an address."""
        for number, name, addresses in self._routers:
            survey = self._surveys.get((number, name)) or self._surveys.get((number, ""))
            seen = () if survey is None else survey.seen
            sees = tuple(dict.fromkeys(self._names[host] for host in _hosts(seen, self._names)))
            strangers = () if survey is None else tuple(self._strangers(survey))
            proof, why = self._proof(survey, any(map(heard, addresses)))
            yield Adjacency(name, self._stock[number], proof, why, sees, strangers)

    def _proof(self, survey: Survey | None, heard: bool) -> tuple[str, str]:
        if heard:
            return "advertisement", ""
        if survey is None:
            return "", "not asked yet"
        if survey.failure:
            return "", f"no answer to SNMP: {survey.failure}"
        if not survey.protocol:
            return "", "it has no neighbours by CDP or LLDP"
        own = _host(self._name)
        if any(_host(one.name) == own or one.address in self._own for one in survey.seen):
            return survey.protocol, ""
        return "", f"its {survey.protocol} does not name this router"

    def _strangers(self, survey: Survey) -> Iterator[Sighting]:
        for one in survey.seen:
            if _host(one.name) in self._names or one.address in self._addresses:
                continue
            try:
                address = IPv4Address(one.address)
            except AddressValueError:
                continue  # it may be on any of the member's segments
            if any(address in lan for lan in self._lans):
                yield one


def _host(name: str) -> str:
    """`ios1.example.net` and `IOS1(FOX1234)` are what IOS calls ios1."""
    return name.partition(".")[0].partition("(")[0].lower()


def _hosts(seen: tuple[Sighting, ...], known: dict[str, str]) -> Iterator[str]:
    return (host for one in seen if (host := _host(one.name)) in known)
