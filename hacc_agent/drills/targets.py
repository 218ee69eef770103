"""Whom a step strikes: names by role become routers, by what the cluster looks like at the moment.

    member: busiest      most bindings, of those that run hacc-agent
    member: idlest       fewest bindings of these, backups aside
    member: stock        most bindings, of those that run no hacc-agent (IOS); of a pair its first
    member: struck       the one that an earlier step has struck
    member: all          each of them
    controller: active   the one that decides
    controller: standby  the other one
    controller: all      both
    router: all          the whole site
    anything else        the host of that name

Both stages choose with this function, so that one file means the same in both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from .drill import Target
from .faults import Role
from .measured import Member, Standing

WORDS: Final[Mapping[Role, tuple[str, ...]]] = {
    Role.MEMBER: ("busiest", "idlest", "stock", "struck", "all"),
    Role.CONTROLLER: ("active", "standby", "all"),
    Role.ROUTER: ("all",),
}


class NobodyThere(Exception):
    """The cluster has none of that kind at the moment."""


def routers_of(
    targets: Iterable[Target], standing: Standing, struck: Collection[str] = ()
) -> tuple[str, ...]:
    """The routers, each once. `struck`: members' names, of steps before. Raises `NobodyThere`."""
    found: dict[str, None] = {}
    for target in targets:
        for name in _routers(target, standing, struck):
            found[name] = None
    return tuple(found)


def members_of(
    targets: Iterable[Target], standing: Standing, struck: Collection[str] = ()
) -> tuple[str, ...]:
    """The members that are struck with these routers, by name."""
    routers = routers_of(targets, standing, struck)
    return tuple(m.name for m in standing.members if not set(m.routers).isdisjoint(routers))


def _routers(target: Target, standing: Standing, struck: Collection[str]) -> tuple[str, ...]:
    which = target.which
    if which not in WORDS[target.role]:
        return _named(target, standing)
    if target.role is Role.MEMBER:
        members = _members(which, standing, struck)
        # Two IOS routers that are one member cover for each other: what strikes "stock" is one.
        return tuple(n for m in members for n in (m.routers if which != "stock" else m.routers[:1]))
    controllers = standing.controllers
    if target.role is Role.ROUTER:
        return (*controllers, *(name for one in standing.members for name in one.routers))
    if which == "all":
        return controllers
    if standing.leader is None:
        raise NobodyThere("no controller decides")
    if which == "active":
        return (standing.leader,)
    others = tuple(name for name in controllers if name != standing.leader)
    if not others:
        raise NobodyThere("there is no second controller")
    return others[:1]


def _members(which: str, standing: Standing, struck: Collection[str]) -> tuple[Member, ...]:
    ours = [one for one in standing.members if one.agent]
    match which:
        case "all":
            chosen = list(standing.members)
        case "struck":
            chosen = [one for one in standing.members if one.name in struck]
        case "stock":
            chosen = _most(one for one in standing.members if not one.agent)
        case "idlest":
            chosen = sorted((one for one in ours if not one.backup), key=_bindings)[:1]
        case _:
            chosen = _most(ours)
    if not chosen:
        raise NobodyThere(f"no member is {which!r}")
    return tuple(chosen)


def _most(members: Iterable[Member]) -> list[Member]:
    """The first of those with the most bindings, in the order of the configuration."""
    return sorted(members, key=_bindings, reverse=True)[:1]


def _bindings(member: Member) -> int:
    return member.bindings


def _named(target: Target, standing: Standing) -> tuple[str, ...]:
    """A host of the cluster, or a member by its own name, which a pair has."""
    for one in standing.members:
        if target.which == one.name:
            return one.routers
    every = {*standing.controllers, *(name for one in standing.members for name in one.routers)}
    if target.which not in every:
        raise NobodyThere(f"{target.which} is no router of this cluster")
    return (target.which,)
