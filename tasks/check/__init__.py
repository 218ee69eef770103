"""Is what runs what was meant: configuration, state and standards of a fleet, as findings.

asking          routers -> Told                one visit each
configuration   (rendered, running) -> findings       what `diff` finds, a setting at a time
state           (model, observations) -> findings     what `verify` asks, with severity and remedy
judge           all of them over what was told; pure, and a cluster at a time, so that a fleet can
                be judged by many processes
check           asks and judges -> Checked

A router that could not be asked is one finding, and nothing is believed of it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from ..devices.fleet import Failure, Fleet
from ..errors import Problem
from ..findings import Area, Checked, Finding, Severity, Skipped, worst_first
from ..intent import routers as named
from ..model import ClusterModel, DeviceModel
from ..pipeline import Opened, Prepared
from ..rendered import Rendered
from ..verify import Observation
from . import configuration, state
from .asking import Told, ask

__all__ = ["AREAS", "Told", "ask", "check", "judge"]

AREAS = (Area.CONFIGURATION, Area.STATE, Area.STANDARD)  # what `--only` chooses from


def judge(
    prepared: Prepared,
    opened: Opened,
    told: Mapping[str, Told | Failure],
    *,
    areas: Collection[Area] = AREAS,
) -> tuple[Finding, ...]:
    """What is not as it should be, the worst first. Clusters do not depend on each other.

    A router without an answer in `told` was not asked, as when a fleet is judged in shards.
    """
    return worst_first(
        finding
        for cluster in prepared.clusters
        for finding in _cluster(cluster, prepared.rendered, opened, told, areas)
    )


def _cluster(
    cluster: ClusterModel,
    rendered: Mapping[str, Rendered],
    opened: Opened,
    told: Mapping[str, Told | Failure],
    areas: Collection[Area],
) -> Iterator[Finding]:
    for device in cluster.devices:
        one = told.get(device.host)
        if isinstance(one, Failure):
            yield _unreached(cluster, one)
        elif one is not None and Area.CONFIGURATION in areas:
            yield from configuration.judge(
                device, rendered[device.host], one.running, opened.values
            )
    everybody = all(device.host in told for device in cluster.devices)
    if Area.STATE in areas and everybody:
        yield from state.judge(
            cluster, {device.host: _seen(device, told[device.host]) for device in cluster.devices}
        )


def _seen(device: DeviceModel, one: Told | Failure) -> Observation:
    """Of who did not answer nothing is known, and the checks say so."""
    if isinstance(one, Told) and one.seen is not None:
        return one.seen
    return Observation.failed(device.host, device.platform, "it could not be asked")


def _unreached(cluster: ClusterModel, failure: Failure) -> Finding:
    device = cluster.device(failure.host)
    problems = failure.error.problems
    return Finding(
        "reach.asked",
        Area.REACH,
        Severity.CRITICAL,
        cluster.name,
        failure.host,
        "session",
        "; ".join(problem.message for problem in problems),
        device.place,
        remedy=next((problem.hint for problem in problems if problem.hint), "hacc doctor"),
    )


def check(
    prepared: Prepared,
    opened: Opened,
    routers: Fleet,
    *,
    now: datetime,
    areas: Collection[Area] = AREAS,
) -> Checked:
    """One run over the chosen clusters. Changes nothing on any router."""
    began = time.monotonic()
    told = ask(prepared, opened, routers, areas)
    findings = judge(prepared, opened, told, areas=areas)
    return Checked(
        started=now.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 3),
        intent_sha256=prepared.site.sha256,
        clusters=tuple(cluster.name for cluster in prepared.clusters),
        hosts=tuple(host for host, one in told.items() if isinstance(one, Told)),
        findings=findings,
        failed=tuple(
            Skipped(host, one.error.problems)
            for host, one in told.items()
            if isinstance(one, Failure)
        ),
        foreign=_foreign(prepared),
    )


def _foreign(prepared: Prepared) -> tuple[Skipped, ...]:
    """Hosts of the inventory that no intent names."""
    ours = {host for cluster in prepared.site.clusters for host, _, _ in named(cluster)}
    return tuple(
        Skipped(name, (Problem(facts.place, name, "no intent names it: it is left alone"),))
        for name, facts in prepared.site.inventory.hosts.items()
        if name not in ours
    )
