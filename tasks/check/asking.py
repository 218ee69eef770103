"""One visit to each router: what it holds and what it does, for the price of one login."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..devices.fleet import Failure, Fleet
from ..devices.router import Router
from ..findings import Area
from ..pipeline import Opened, Prepared
from ..push import paths_of
from ..runner import Stage
from ..running import Running
from ..verify.observation import Observation
from ..verify.observe import observe, with_snmp


@dataclass(frozen=True, slots=True)
class Told:
    """What one router told."""

    running: Running
    seen: Observation | None  # None: the state was not asked about


def ask(
    prepared: Prepared, opened: Opened, routers: Fleet, areas: Collection[Area]
) -> Mapping[str, Told | Failure]:
    """Ask every router of the chosen clusters once; SNMP is asked of all at the same time."""
    of = {device.host: cluster for cluster in prepared.clusters for device in cluster.devices}
    devices = {host: cluster.device(host) for host, cluster in of.items()}
    state = Area.STATE in areas

    def visit(router: Router, host: str) -> Told:
        routers.events.emit(host, Stage.FETCH)
        held = router.fetch(paths_of(prepared.rendered[host]))
        if not state:
            return Told(held, None)
        return Told(held, observe(devices[host], of[host], router, one_by_one=True))

    with routers.stop.on_interrupt():
        told = routers.run(visit, devices)
    seen = {
        host: one.seen
        for host, one in told.items()
        if isinstance(one, Told) and one.seen is not None
    }
    answered = with_snmp(devices, seen, opened.values)
    return {
        host: Told(one.running, answered.get(host)) if isinstance(one, Told) else one
        for host, one in told.items()
    }
