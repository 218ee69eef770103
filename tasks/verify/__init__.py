"""Asserts what the routers do against what the models want: what is observed, never what was sent.

observe   a router -> Observation      asks in one round trip; ios, linux and snmp know the words
checks    models + observations -> Results      pure; one row of a table each
verify    asks again until what may still converge has converged, or time is up -> Verdict
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from ..model import ClusterModel
from .checks import CHECKS, Check, judge
from .observation import Observation
from .verdict import Result, Status, Verdict
from .view import View

__all__ = [
    "CHECKS",
    "Check",
    "Observation",
    "Result",
    "Status",
    "Verdict",
    "View",
    "judge",
    "verify",
]

# One round: what every router of these clusters tells, by host (`observe.observer`).
Observe = Callable[[Sequence[ClusterModel]], Mapping[str, Observation]]
Progress = Callable[[Verdict], None]

# HSRP and VRRP elections, daemons that restart, SNMP's first keys take seconds. OSPF of FRR 8.4
# with hello 1 s took 21 to 29 s from nothing on a LAN of five: a lost LSA is sent again after 5 s.
LEAST_S = 45.0
# On a broadcast LAN OSPF waits one dead interval before it elects a designated router (RFC 2328
# section 9); then two hellos, and exchange, flooding and SPF: 51 s of FRR's default 40 s.
EXCHANGE_S = 10.0
INTERVAL_S = 1.0


def patience_s(cluster: ClusterModel) -> float:
    """How long what is right may take to show."""
    ospf = (device.ospf for device in cluster.devices)
    return max(LEAST_S, *(o.dead_s + 2 * o.hello_s + EXCHANGE_S for o in ospf))


def verify(
    clusters: Sequence[ClusterModel],
    observe: Observe,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    deadline_s: float | None = None,
    interval_s: float = INTERVAL_S,
    progress: Progress | None = None,
    for_delays: bool = True,
    matters: Callable[[ClusterModel, Result], bool] | None = None,
) -> tuple[Verdict, ...]:
    """Observe and judge each cluster until it has settled, is beyond hope, or its time is up.

    A failure that may converge counts as waiting until the deadline, `patience_s` by default. As
    soon as a failure cannot converge the cluster's verdict is given: whoever must roll back should
    not wait for the rest. With `for_delays`, what the routers themselves put off (a preemption) is
    waited for too. `matters` leaves out results that this caller does not ask about. `progress` is
    called with each round's verdicts, the last ones too. The routers of all clusters that are still
    undecided are asked at once.
    """
    started = clock()
    decided: dict[str, Verdict] = {}
    rounds = 0
    while pending := [cluster for cluster in clusters if cluster.name not in decided]:
        if rounds:
            sleep(interval_s)
        seen = observe(pending)
        rounds += 1
        elapsed = clock() - started
        for cluster in pending:
            patience = patience_s(cluster) if deadline_s is None else deadline_s
            final = elapsed + interval_s > patience
            results, hoping = [], False
            for check, result in judge(View(cluster, seen)):
                if matters and not matters(cluster, result):
                    continue
                may_come = check.converges and not (result.lasting or final)
                if result.status is Status.FAILED and may_come:
                    result = dataclasses.replace(result, status=Status.WAITING)
                    hoping = True
                results.append(result)
            verdict = Verdict(cluster.name, tuple(results), rounds, elapsed)
            if progress:
                progress(verdict)
            if final or not verdict.ok or verdict.settled or not (hoping or for_delays):
                decided[cluster.name] = verdict
    return tuple(decided[cluster.name] for cluster in clusters)
