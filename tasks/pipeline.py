"""The stages joined: what every command of `hacc` needs before it does its own part."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from . import push
from .compile import compile_site
from .devices.fleet import MAX_OPEN_SESSIONS, Failure, Fleet
from .devices.session import Target
from .errors import HaccError, Place, Problem
from .hostkeys import HostKeys
from .intent import Site, load_site, secrets
from .inventory import HostFacts, nearest
from .model import ClusterModel
from .opening import open_all
from .plan import Plan, make_plan
from .proofs import prove_keys
from .push import FleetFailed
from .render import Texts, templates_sha256
from .rendered import Rendered
from .runner import Listener, Stop
from .running import Running
from .secrets import SecretError, SecretRef
from .verify import Result, Verdict, verify
from .verify.observe import observer


@dataclass(frozen=True, slots=True)
class Prepared:
    """A site that is loaded, compiled and proven, and its texts. No router was asked yet."""

    site: Site
    clusters: tuple[ClusterModel, ...]
    rendered: Mapping[str, Rendered]

    @property
    def work(self) -> Path:
        """Where runs, known hosts and locks are kept: beside the inventory."""
        return work_of(self.site.root)


def work_of(root: Path) -> Path:
    """The same, of an inventory that need not be right."""
    return root.resolve().parent / ".hacc"


def prepare(root: Path, only: Collection[str] = ()) -> Prepared:
    """Load, compile and prove. `only` names clusters; without it, all of the inventory.

    Everything is loaded and proven whatever is chosen: two clusters may disagree.
    """
    site = load_site(root)
    clusters = compile_site(site)
    known = [cluster.name for cluster in clusters]
    unknown = [name for name in only if name not in known]
    if unknown:
        raise HaccError(
            Problem(
                Place(str(root / "clusters"), 0), name, "no such cluster", hint=nearest(name, known)
            )
            for name in unknown
        )
    chosen = tuple(cluster for cluster in clusters if not only or cluster.name in only)
    return prepared(site, chosen)


def prepared(site: Site, clusters: tuple[ClusterModel, ...]) -> Prepared:
    """Of clusters that are compiled and proven."""
    return Prepared(site, clusters, Texts(d for cluster in clusters for d in cluster.devices))


def host_of(prepared: Prepared, name: str) -> Rendered:
    """One router's texts, by its name. Raises HaccError with the nearest name."""
    if name in prepared.rendered:
        return prepared.rendered[name]
    raise HaccError(
        Problem(None, name, "no such router in any cluster", hint=nearest(name, prepared.rendered))
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """The secrets of a command, in memory only, for its time only."""

    values: Mapping[str, str] = field(repr=False)  # reference -> clear value

    def of(self, ref: SecretRef | None) -> str:
        return "" if ref is None else self.values[ref.ref]


def open_secrets(prepared: Prepared) -> Opened:
    """Open all that the chosen clusters and their routers' logins refer to, or none."""
    site, clusters = prepared.site, prepared.clusters
    names = {cluster.name for cluster in clusters}
    uses = secrets(
        [cluster for cluster in site.clusters if cluster.cluster in names],
        [site.inventory[device.host] for cluster in clusters for device in cluster.devices],
    )
    values = open_all(uses, site.root, os.environ)
    wrong = prove_keys(clusters, values)
    if wrong:
        raise SecretError(wrong)
    return Opened(values)


@contextmanager
def fleet(
    prepared: Prepared, opened: Opened, *, strict: bool, listeners: Iterable[Listener] = ()
) -> Iterator[Fleet]:
    """The routers of the chosen clusters, reachable."""
    keys = HostKeys(prepared.work / "known_hosts", strict=strict)
    with reach(prepared, opened, keys, listeners=listeners) as routers:
        yield routers


def reach(
    prepared: Prepared,
    opened: Opened,
    keys: HostKeys,
    *,
    listeners: Iterable[Listener] = (),
    stop: Stop | None = None,
    sessions: int = MAX_OPEN_SESSIONS,
) -> Fleet:
    """The same, with host keys of the caller's: a part of a run of many."""
    targets = [target(prepared.site.inventory[host], opened) for host in prepared.rendered]
    groups = push.standby_groups(prepared.clusters)
    return Fleet(targets, keys, groups=groups, listeners=listeners, stop=stop, sessions=sessions)


def target(facts: HostFacts, opened: Opened) -> Target:
    """How a router is reached."""
    return Target(
        host=facts.name,
        platform=facts.platform,
        hostname=facts.hostname,
        port=facts.port,
        username=facts.username or "",
        password=opened.of(facts.password),
        enable=opened.of(facts.enable),
    )


def fetch(prepared: Prepared, routers: Fleet) -> Mapping[str, Running]:
    """What every router holds. Raises FleetFailed with every router that could not be read."""
    wanted = {host: push.paths_of(rendered) for host, rendered in prepared.rendered.items()}
    held = push.fetch(routers, wanted)
    failures = [value for value in held.values() if isinstance(value, Failure)]
    if failures:
        raise FleetFailed(problem for failure in failures for problem in failure.error.problems)
    return {host: value for host, value in held.items() if isinstance(value, Running)}


def plan(prepared: Prepared, opened: Opened, running: Mapping[str, Running]) -> Plan:
    return make_plan(
        prepared.clusters,
        prepared.rendered,
        running,
        opened.values,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        intent_sha256=prepared.site.sha256,
        templates_sha256=templates_sha256(),
    )


def verify_clusters(
    prepared: Prepared,
    routers: Fleet,
    opened: Opened,
    *,
    only: Collection[str] | None = None,
    deadline_s: float | None = None,
    for_delays: bool = True,
    matters: Callable[[ClusterModel, Result], bool] | None = None,
) -> tuple[Verdict, ...]:
    """Observe clusters until they have settled, or time is up (see `verify.verify`)."""
    return verify(
        [cluster for cluster in prepared.clusters if only is None or cluster.name in only],
        observer(routers, opened.values),
        clock=time.monotonic,
        sleep=time.sleep,
        deadline_s=deadline_s,
        for_delays=for_delays,
        matters=matters,
    )
