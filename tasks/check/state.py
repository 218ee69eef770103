"""Does a cluster do what its intent means: the checks of `hacc verify`, as findings.

`verify` asks whether something is so; here is added how bad it is when it is not, and what mends
it where the check itself has no better hint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..findings import Area, Finding, Severity
from ..model import ClusterModel
from ..verify import CHECKS, Observation, Result, Status, View
from ..verify import judge as verified


@dataclass(frozen=True, slots=True)
class Weight:
    """How bad it is that a check fails, and what to do about it."""

    severity: Severity
    remedy: str


# Critical is what mobile nodes notice: no owner, or two; nobody to answer; packets the wrong way.
WEIGHTS: Mapping[str, Weight] = {
    "one-owner": Weight(
        Severity.CRITICAL, "stop one of two owners; for none, start the standby daemon"
    ),
    "roles": Weight(
        Severity.MAJOR,
        "see why the preferred router gave it up; it preempts when it is well",
    ),
    "addresses": Weight(Severity.CRITICAL, "bring the interface up, and give it its address"),
    "loopback": Weight(Severity.CRITICAL, "hacc apply"),
    "arp": Weight(Severity.CRITICAL, "hacc apply, or sysctl --system on the router"),
    "forwards": Weight(Severity.CRITICAL, "hacc apply, or sysctl --system on the router"),
    "services": Weight(Severity.CRITICAL, "systemctl status, journalctl -u, on the router"),
    "adjacencies": Weight(Severity.MAJOR, "compare timers, keys and MTU of both ends"),
    "announced": Weight(Severity.CRITICAL, "find the second announcer: show ip ospf database"),
    "forwarding": Weight(Severity.CRITICAL, "find what wins over OSPF: ip route get"),
    "home-agent": Weight(Severity.CRITICAL, "hacc apply"),
    "bindings": Weight(Severity.MAJOR, "raise max_bindings, or give the pool to other members"),
    "table": Weight(Severity.MAJOR, "hacc-agent resync, on the active controller"),
    "members": Weight(Severity.MAJOR, "hacc-agent status, on the active controller"),
    "discovery": Weight(Severity.MINOR, "compare the cabling with the inventory"),
    "neighbours": Weight(Severity.MAJOR, "hacc-agent neighbours, on the router"),
    "strangers": Weight(Severity.MAJOR, "hacc-agent neighbours, on the router"),
    "snmp": Weight(Severity.MAJOR, "hacc apply, where the keys differ; else look at its snmpd"),
}

RULES: Mapping[str, str] = {
    f"state.{check.id}": check.sentence for check in CHECKS if check.id in WEIGHTS
}


def judge(cluster: ClusterModel, seen: Mapping[str, Observation]) -> Iterator[Finding]:
    """What is not so. What is only on its way is worth knowing, and no more."""
    for check, result in verified(View(cluster, seen)):
        if check.id not in WEIGHTS:
            continue  # `reachable`: who could not be asked is told once, by whoever asked
        if result.status is Status.FAILED:
            yield _finding(cluster, result, WEIGHTS[check.id].severity)
        elif result.status is Status.WAITING:
            yield _finding(cluster, result, Severity.INFO)


def _finding(cluster: ClusterModel, result: Result, severity: Severity) -> Finding:
    return Finding(
        f"state.{result.check}",
        Area.STATE,
        severity,
        cluster.name,
        result.host,
        result.subject,
        f"{result.subject}: {result.observed} (expected {result.expected})",
        result.place,
        remedy=result.hint or WEIGHTS[result.check].remedy,
    )
