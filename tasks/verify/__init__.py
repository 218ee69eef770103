"""Asserts what the routers do against what the models want: what is observed, never what was sent.

observe   a router -> Observation      asks in one round trip; ios, linux and snmp know the words
checks    models + observations -> Results      pure; one row of a table each
verify    asks again until what may still converge has converged, or time is up -> Verdict
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from ..model import ClusterModel, DeviceModel
from .checks import CHECKS, Check, judge
from .observation import Observation
from .verdict import Result, Status, Verdict
from .view import View

__all__ = [
    "CHECKS",
    "DEADLINE_S",
    "Check",
    "Observation",
    "Result",
    "Status",
    "Verdict",
    "View",
    "judge",
    "verify",
]

Observe = Callable[[Sequence[DeviceModel]], Mapping[str, Observation]]
Progress = Callable[[Verdict], None]

# OSPF with hello 1 s on a broadcast LAN needs 15 s from nothing (wait timer and election), HSRP
# and VRRP some seconds: measured on FRR 8.4 and keepalived 2.2. Twice that is patience enough.
DEADLINE_S = 30.0
INTERVAL_S = 1.0


def verify(
    cluster: ClusterModel,
    observe: Observe,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    deadline_s: float = DEADLINE_S,
    interval_s: float = INTERVAL_S,
    progress: Progress | None = None,
    matters: Callable[[Result], bool] | None = None,
) -> Verdict:
    """Observe and judge until everything has settled, something is beyond hope, or time is up.

    A failure that may converge counts as waiting until the deadline. As soon as a failure cannot
    converge the verdict is given: whoever must roll back should not wait for the rest. `progress`
    is called with each round's verdict, the last one too.
    """
    started = clock()
    rounds = 0
    while True:
        seen = observe(cluster.devices)
        rounds += 1
        elapsed = clock() - started
        final = elapsed + interval_s > deadline_s
        results = []
        for check, result in judge(View(cluster, seen)):
            if matters and not matters(result):
                continue
            hoped = check.converges and not final
            if result.status is Status.FAILED and hoped:
                result = dataclasses.replace(result, status=Status.WAITING)
            results.append(result)
        verdict = Verdict(cluster.name, tuple(results), rounds, elapsed)
        if progress:
            progress(verdict)
        if final or not verdict.ok or verdict.settled:
            return verdict
        sleep(interval_s)
