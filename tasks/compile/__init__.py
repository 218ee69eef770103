"""From a `Site` to proven models: every decision that the intent leaves open is made here.

Pure and deterministic: the same intent gives the same models, whatever the order of its mappings.
The decisions:

- A controller's priority comes from its position: 200, 190, ... The same in an IOS pair.
- The VHA follows one standby group of the controllers, that of their first LAN (several owners of
  one address are what redundancy is there to prevent); the other groups move with it.
- Members and backups hold the VHA on a loopback for good, and announce nothing but their slices.
- Gateways have no part in the Home Agent: a standby group on each of their LANs, and nothing else.
- Pools are cut by weight (`slices`). A pair is one member; a backup has no slice.
- Stock IOS answers a Foreign Agent directly from the VHA (hole H1), so a policy sends its replies
  to the controllers' group address on a LAN that they share.
- Static home addresses are known to every member: which one serves is the controllers' choice.
"""

from __future__ import annotations

from ..agent import with_agents
from ..errors import HaccError, Problem
from ..intent import Site
from ..model import ClusterModel
from ..proofs import prove
from .cluster import Cluster
from .routers import devices

__all__ = ["CompileError", "build", "compile_site"]


class CompileError(HaccError):
    """The intent cannot be compiled, or what it compiles to is not provably right."""


def compile_site(site: Site) -> tuple[ClusterModel, ...]:
    """Every cluster's models, proven. Raises `CompileError` with every problem of every cluster."""
    models, problems = build(site)
    problems += prove(models)
    if problems:
        raise CompileError(problems)
    return models


def build(site: Site) -> tuple[tuple[ClusterModel, ...], list[Problem]]:
    """The models of the clusters that can be built, not proven yet, and why the others cannot."""
    models, problems = [], []
    for cluster in site.clusters:
        found = Cluster(cluster, site.inventory)
        routers = tuple(devices(found))
        problems += found.problems
        if not found.problems:
            routers = with_agents(routers, cluster, found.slices)
            place = cluster.home_agent.at("address")
            models.append(ClusterModel(cluster.cluster, routers, place, cluster.at("cluster")))
    return tuple(models), problems
