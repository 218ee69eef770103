"""What a simulated cluster is built from: the texts that its routers are told, and nothing else.

They are what the orchestrator renders, secrets still sealed: a simulation has no use for real keys
and invents them. The agent's own file says almost everything; how fast the controllers' address
moves stands in the file of whoever moves it, and how fast routes do in FRR's.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from hacc_agent import config
from hacc_agent.config import AgentConfig, MemberKind, Role
from hacc_agent.hsrp import config as hsrp

from ..errors import LabError

AGENT: Final = "/etc/hacc/agent.toml"
HSRP: Final = "/etc/hacc/hsrp.toml"
KEEPALIVED: Final = "/etc/keepalived/keepalived.conf"
FRR: Final = "/etc/frr/frr.conf"

Texts = Mapping[str, Mapping[str, str]]
"""By router, by path."""

_TIMERS: Final = r"^ standby \d+ timers (msec )?(\d+) (msec )?(\d+)"
_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?)"


class Unbuildable(LabError):
    """These texts make no cluster that can be simulated."""


@dataclass(frozen=True, slots=True)
class Succession:
    """How the controllers' address moves."""

    hello_s: float
    hold_s: float  # of silence after which the standby takes over
    preempt_s: float  # after which a better one that is back takes over again
    resign_s: float  # after which the standby takes over from one that leaves in order
    follows_agent: bool  # the address leaves a router whose hacc-agent is dead


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A cluster."""

    name: str
    controllers: tuple[AgentConfig, AgentConfig]
    members: tuple[AgentConfig, ...]  # one for each of the configuration, stock ones too
    succession: Succession
    pair: tuple[float, float]  # s, hello and hold of pairs of stock routers
    dead_s: float  # after which OSPF gives a silent neighbour up
    ospf_hello_s: float


def blueprint(texts: Texts, cluster: str = "") -> Blueprint:
    """Of the only cluster in them, or the one of this name. Raises `Unbuildable`."""
    known = {
        host: config.parse(files[AGENT], f"{host}:{AGENT}")
        for host, files in texts.items()
        if AGENT in files
    }
    names = {each.cluster for each in known.values()}
    if (cluster and cluster not in names) or (len(names) != 1 and not cluster):
        raise Unbuildable(
            f"no cluster {cluster!r}" if cluster else f"there are {len(names)} clusters",
            hint=f"there are: {', '.join(sorted(names)) or 'none'}",
        )
    own = {host: _opened(each) for host, each in known.items() if each.cluster in (cluster, *names)}
    own = {host: each for host, each in own.items() if not cluster or each.cluster == cluster}
    controllers = [each for each in own.values() if each.role is Role.CONTROLLER]
    if len(controllers) != 2:
        raise Unbuildable(f"{len(controllers)} controllers: the simulation plays with two")
    controllers.sort(key=lambda each: -_priority(each))
    first = controllers[0]
    if first.link is None:
        raise Unbuildable(
            f"cluster {first.cluster} has no `link`: nobody hands bindings over",
            hint="link: {certificates: pki/NAME} in its intent",
        )
    leading = texts[first.name]
    return Blueprint(
        first.cluster,
        (first, controllers[1]),
        tuple(_members(first, own)),
        _succession(leading, texts[controllers[1].name]),
        _pair(texts),
        *_ospf(leading.get(FRR, "")),
    )


def _priority(controller: AgentConfig) -> int:
    return next(each.priority for each in controller.controllers if each.name == controller.name)


def _members(common: AgentConfig, own: Mapping[str, AgentConfig]) -> Iterator[AgentConfig]:
    """A stock member has no text of its own: it serves what the others are told that it does."""
    serving = next(each for each in own.values() if each.role is not Role.CONTROLLER)
    for member in common.members:
        if member.kind is MemberKind.LINUX:
            yield own[member.name]
            continue
        realms = tuple(
            dataclasses.replace(
                realm,
                assigns=tuple(
                    config.AddressRange(each.network_address + 1, each.broadcast_address - 1)
                    for each in member.slices
                    if each.subnet_of(realm.pool)
                ),
            )
            for realm in serving.realms
        )
        yield dataclasses.replace(
            serving,
            name=member.name,
            role=Role.BACKUP if member.backup else Role.HOME_AGENT,
            max_bindings=member.capacity,
            realms=realms,
        )


def _succession(leading: Mapping[str, str], other: Mapping[str, str]) -> Succession:
    if HSRP in leading:
        group = hsrp.parse(leading[HSRP], HSRP).groups[0]
        hello, hold = (group.hello_ms or 3000) / 1000, (group.hold_ms or 10_000) / 1000
        return Succession(hello, hold, group.preempt_minimum_s, 0.0, True)
    if KEEPALIVED not in leading:
        raise Unbuildable("nothing moves the controllers' address", hint="controllers.redundancy")
    text, its = leading[KEEPALIVED], other.get(KEEPALIVED, leading[KEEPALIVED])
    hello = float(_found(rf"advert_int {_NUMBER}", text))
    # RFC 5798, 6.1: of the standby, whose priority is lower.
    skew = (256 - int(_found(r"priority ([0-9]+)", its))) / 256 * hello
    delay = float(_found(rf"preempt_delay {_NUMBER}", text, "0"))
    return Succession(hello, 3 * hello + skew, delay, skew, False)


def _pair(texts: Texts) -> tuple[float, float]:
    """`standby N timers [msec] HELLO [msec] HOLD` of a stock router."""
    for files in texts.values():
        for text in files.values():
            if found := re.search(_TIMERS, text, re.MULTILINE):
                hello_unit, hello, hold_unit, hold = found.groups()
                return _seconds(hello, hello_unit), _seconds(hold, hold_unit)
    return 3.0, 10.0  # HSRP's own (RFC 2281, 5.1)


def _seconds(number: str, unit: str | None) -> float:
    return int(number) / (1000 if unit else 1)


def _ospf(text: str) -> tuple[float, float]:
    """FRR's own values are those of RFC 2328, C.3."""
    return (
        float(_found(rf"ip ospf dead-interval {_NUMBER}", text, "40")),
        float(_found(rf"ip ospf hello-interval {_NUMBER}", text, "10")),
    )


def _found(pattern: str, text: str, usual: str = "") -> str:
    found = re.search(pattern, text)
    if found is None and not usual:
        raise Unbuildable(f"no {pattern.partition(' ')[0]} in {KEEPALIVED}")
    return found[1] if found else usual


def _opened(sealed: AgentConfig) -> AgentConfig:
    """With a key that is made from its token: the same one for both of its ends."""
    return config.parse(config.SEALED.sub(_invented, config.to_toml(sealed)), AGENT)


def _invented(token: re.Match[str]) -> str:
    return blake2b(token[0].encode(), digest_size=16).hexdigest()
