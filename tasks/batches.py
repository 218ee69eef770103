"""A plan, cut: first a canary, then batches.

What is counted are routers that change. What is never cut is a standby group: both its sides are in
one batch, so that a run that pauses leaves no pair half changed (but a canary by names is what was
named). A cluster that fits into a batch is not divided either; one that does not is cut between its
Home Agents, in the order of what it would cost to lose: backups, members, pairs, controllers last.

Within a batch everything goes as without batches: waves, standby routers before active ones.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from .errors import HaccError, Problem
from .inventory import nearest
from .model import ClusterModel, DeviceModel, Role
from .plan import HostPlan, Plan, waves

CANARY: Final = "canary"
_SHARE: Final = re.compile(r"(\d{1,6})(%?)")


@dataclass(frozen=True, slots=True)
class Share:
    """A number of routers, or a part of those that change."""

    number: int
    percent: bool = False

    def of(self, total: int) -> int:
        """Rounded up: the smallest part of something is one router."""
        return -(-total * self.number // 100) if self.percent else self.number

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


def share(option: str, text: str, *, least: int = 1) -> Share:
    """`5` or `10%`, as an option says it."""
    found = _SHARE.fullmatch(text.strip())
    if not found or int(found[1]) < least or (found[2] and int(found[1]) > 100):
        raise HaccError(
            Problem(
                None,
                option,
                f"{text!r} is no number of routers",
                allowed=f"{least} or more, or {least}% to 100% of those that change",
            )
        )
    return Share(int(found[1]), bool(found[2]))


@dataclass(frozen=True, slots=True)
class Cut:
    """What `--canary` and `--batch` ask for."""

    canary: Share | tuple[str, ...] = ()  # names are routers' or clusters'
    batch: Share | None = None

    def __bool__(self) -> bool:
        return bool(self.canary) or self.batch is not None


def cut_of(canary: str, batch: str) -> Cut:
    """The two options, read. A canary that is no number of routers is a list of their names."""
    counted = _SHARE.fullmatch(canary.strip()) is not None
    names = tuple(word.strip() for word in canary.split(",") if word.strip())
    return Cut(
        share("--canary", canary) if counted else names,
        share("--batch", batch) if batch else None,
    )


def batched(plan: Plan, clusters: Sequence[ClusterModel], cut: Cut) -> Plan:
    """The same changes in another order: what happens to each router stays as it was reviewed."""
    if not cut or plan.empty:
        return plan
    hosts = {host.host: host for host in plan.hosts}
    lots = [[*_lots(cluster, hosts)] for cluster in clusters]
    total = sum(len(lot) for cluster in lots for lot in cluster)
    canary = _canary(plan, clusters, lots, cut.canary, total)
    rest = [[[h for h in lot if h not in canary] for lot in cluster] for cluster in lots]
    size = cut.batch.of(total) if cut.batch else total
    packed = [*_packed([[lot for lot in cluster if lot] for cluster in rest], size)]
    names = [f"batch {n} of {len(packed)}" for n in range(1, len(packed) + 1)]
    parts = [*([(CANARY, canary)] if canary else []), *zip(names, packed, strict=True)]
    return replace(
        plan,
        waves=tuple(
            replace(wave, batch=name)
            for name, chosen in parts
            for wave in waves(clusters, hosts, chosen)
        ),
    )


def _lots(cluster: ClusterModel, hosts: dict[str, HostPlan]) -> Iterator[list[str]]:
    """The routers of a cluster that change: each with those that it shares standby groups with."""
    left = [d for d in cluster.devices if d.host in hosts and not hosts[d.host].empty]
    lots: list[tuple[int, list[str]]] = []
    while left:
        lot, groups = [left.pop(0)], set[str]()
        while True:
            groups |= {group.name for device in lot for group in device.groups}
            more = [d for d in left if groups & {group.name for group in d.groups}]
            if not more:
                break
            lot += more
            left = [device for device in left if device not in more]
        lots.append((max(map(_weight, lot)), [device.host for device in lot]))
    yield from (lot for _, lot in sorted(lots, key=lambda lot: lot[0]))


def _weight(device: DeviceModel) -> int:
    """What it would cost to lose it, against the others."""
    if device.role is Role.BACKUP:
        return 0
    if device.role is Role.CONTROLLER:
        return 3
    return 2 if device.groups else 1


def _canary(
    plan: Plan,
    clusters: Sequence[ClusterModel],
    lots: Iterable[Iterable[list[str]]],
    wanted: Share | tuple[str, ...],
    total: int,
) -> tuple[str, ...]:
    if isinstance(wanted, Share):
        chosen: list[str] = []
        for lot in (lot for cluster in lots for lot in cluster):
            if len(chosen) >= wanted.of(total):
                break
            chosen += lot
        return tuple(chosen)
    of_cluster = {c.name: [d.host for d in c.devices] for c in clusters}
    known = [host.host for host in plan.hosts]
    unknown = [name for name in wanted if name not in known and name not in of_cluster]
    if unknown:
        raise HaccError(
            Problem(
                None,
                "--canary",
                f"{name!r} is no router and no cluster of this plan",
                hint=nearest(name, [*known, *of_cluster]),
            )
            for name in unknown
        )
    named = [host for name in wanted for host in of_cluster.get(name, [name])]
    changing = [host for host in named if host in known and not plan.host(host).empty]
    if wanted and not changing:
        raise HaccError(
            Problem(
                None,
                "--canary",
                f"nothing changes on {', '.join(wanted)}, so it would prove nothing",
                hint="name a router that changes; hacc plan --summary shows them",
            )
        )
    return tuple(dict.fromkeys(changing))


def _packed(clusters: Iterable[Sequence[Collection[str]]], size: int) -> Iterator[tuple[str, ...]]:
    """Lots into batches of about `size` routers: a lot, or a cluster that fits, is never cut."""
    batch: list[str] = []
    for cluster in clusters:
        whole = [host for lot in cluster for host in lot]
        fits = len(whole) <= size
        if batch and fits and len(batch) + len(whole) > size:
            yield tuple(batch)
            batch = []
        for lot in [whole] if fits else cluster:
            if batch and len(batch) + len(lot) > size:
                yield tuple(batch)
                batch = []
            batch += lot
    if batch:
        yield tuple(batch)
