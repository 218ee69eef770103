"""How the proofs walk over the models of a site, and how they say that two places disagree."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TypeVar

from ..errors import Place, Problem
from ..model import ClusterModel, DeviceModel, HomeAgentService, Role, StandbyGroup

Site = Sequence[ClusterModel]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Invariant:
    """A sentence that must be true of every compiled site, and why."""

    id: str
    sentence: str
    why: str
    check: Callable[[Site], Iterable[Problem]]


def devices(site: Site) -> Iterator[DeviceModel]:
    for cluster in site:
        yield from cluster.devices


def groups(site: Site) -> Iterator[tuple[DeviceModel, StandbyGroup]]:
    for device in devices(site):
        for group in device.groups:
            yield device, group


def services(site: Site) -> Iterator[tuple[DeviceModel, HomeAgentService]]:
    for device in devices(site):
        if device.service is not None:
            yield device, device.service


def controllers(cluster: ClusterModel) -> list[DeviceModel]:
    return [device for device in cluster.devices if device.role is Role.CONTROLLER]


def members(cluster: ClusterModel) -> list[tuple[DeviceModel, HomeAgentService]]:
    """Each member and backup once: of a pair, its first half."""
    found: dict[str, tuple[DeviceModel, HomeAgentService]] = {}
    for device, service in services([cluster]):
        found.setdefault(service.member, (device, service))
    return list(found.values())


def parts(group: Iterable[tuple[DeviceModel, StandbyGroup]]) -> dict[str, list[StandbyGroup]]:
    """Standby groups by name: each with the parts that its routers have in it."""
    found: dict[str, list[StandbyGroup]] = {}
    for _, part in group:
        found.setdefault(part.name, []).append(part)
    return found


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody's claim to something that only one may have."""

    thing: Hashable
    claimant: str  # "the interface lan of ha1"
    place: Place
    owner: Hashable = None  # claims of one owner do not disagree: the halves of a pair
    what: str = ""  # the thing in words, where a message needs them


def rivals(claims: Iterable[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Every claim that comes second, with the one that came first."""
    first: dict[Hashable, Claim] = {}
    for claim in claims:
        earlier = first.setdefault(claim.thing, claim)
        if earlier is not claim and (claim.owner is None or claim.owner != earlier.owner):
            yield earlier, claim


@dataclass(frozen=True, slots=True)
class Held:
    """A prefix, whose it is, and where that was said."""

    prefix: IPv4Network
    holder: str
    place: Place


def overlaps(held: Iterable[Held]) -> Iterator[tuple[Held, Held]]:
    """Prefixes that have addresses in common, the wider one (or the earlier) first."""
    open_: list[Held] = []
    for item in sorted(held, key=lambda h: (h.prefix.network_address, h.prefix.prefixlen)):
        while open_ and not item.prefix.subnet_of(open_[-1].prefix):
            open_.pop()
        if open_:
            yield open_[-1], item
        open_.append(item)
