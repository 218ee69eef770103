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
from .devices.fleet import Failure, Fleet
from .devices.session import Target
from .errors import HaccError, Place, Problem
from .hostkeys import HostKeys
from .intent import Site, load_site, secrets
from .inventory import HostFacts, nearest
from .model import ClusterModel
from .opening import open_all
from .plan import Plan, Wave, make_plan
from .proofs import prove_keys
from .push import FleetFailed
from .render import render, templates_sha256
from .rendered import File, Owner, Rendered
from .runner import Listener, Stop
from .running import Running
from .secrets import SecretError, SecretRef
from .verify import Result, Status, Verdict, verify
from .verify.observe import observer


@dataclass(frozen=True, slots=True)
class Prepared:
    """A site that is loaded, compiled, proven and rendered. No router was asked yet."""

    site: Site
    clusters: tuple[ClusterModel, ...]
    rendered: Mapping[str, Rendered]

    @property
    def work(self) -> Path:
        """Where runs, known hosts and locks are kept: beside the inventory."""
        return self.site.root.resolve().parent / ".hacc"


def prepare(root: Path, only: Collection[str] = ()) -> Prepared:
    """Load, compile, prove and render. `only` names clusters; without it, all of the inventory.

    Everything is loaded and proven whatever is chosen: two clusters may disagree.
    """
    site, clusters = survey(root, only)
    rendered = {d.host: render(d) for cluster in clusters for d in cluster.devices}
    return Prepared(site, clusters, rendered)


def survey(root: Path, only: Collection[str] = ()) -> tuple[Site, tuple[ClusterModel, ...]]:
    """The same, short of rendering."""
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
    return site, tuple(cluster for cluster in clusters if not only or cluster.name in only)


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
    return open_for(prepared.site, prepared.clusters)


def open_for(site: Site, clusters: tuple[ClusterModel, ...]) -> Opened:
    """The same, of clusters that are not rendered."""
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
) -> Fleet:
    """The same, with host keys of the caller's: a part of a run of many."""
    targets = [_target(prepared.site.inventory[host], opened) for host in prepared.rendered]
    groups = push.standby_groups(prepared.clusters)
    return Fleet(targets, keys, groups=groups, listeners=listeners, stop=stop)


def _target(facts: HostFacts, opened: Opened) -> Target:
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


class WaveGuard:
    """Judges a run wave by wave: what was true before it must be true after each wave.

    After the last wave everything must be true. So a first provisioning, where nothing was true,
    is judged at its end, and a change of a healthy cluster at every step.
    """

    def __init__(self, prepared: Prepared, plan: Plan, opened: Opened) -> None:
        self.verdicts: tuple[Verdict, ...] = ()  # of the wave that was judged last
        self._prepared = prepared
        self._plan = plan
        self._last = plan.waves[-1] if plan.waves else None
        self._opened = opened
        self._true_before: frozenset[_Key] = frozenset()

    def look_before(self, routers: Fleet) -> None:
        """Remember what is true now. Costs one look at each router of a cluster that exists."""
        verdicts = verify_clusters(
            self._prepared, routers, self._opened, only=self._existing(), deadline_s=0
        )
        self._true_before = frozenset(
            _key(verdict.cluster, result)
            for verdict in verdicts
            for result in verdict.of(Status.PASSED)
        )

    def _existing(self) -> set[str]:
        """The clusters of which a router holds a file of ours, or may: on IOS that takes a look.

        Of the others nothing was true before, but what a router shows of itself.
        """
        return {
            cluster.name
            for cluster in self._prepared.clusters
            if not all(self._is_bare(device.host) for device in cluster.devices)
        }

    def _is_bare(self, host: str) -> bool:
        ours = {file.path for file in self._prepared.rendered[host].files if _is_whole(file)}
        made = {change.path for change in self._plan.host(host).files if not change.before_sha256}
        return bool(ours) and ours <= made

    def judge(self, routers: Fleet, wave: Wave) -> tuple[Problem, ...]:
        """What is wrong after a wave; nothing when it may be confirmed."""
        last = wave == self._last
        # What a router shows of itself its own push has proven; a cluster in which nothing else was
        # true, because it is new, has nothing to lose yet.
        had = {name for name, check, _, _ in self._true_before if check not in _OF_ONE_ROUTER}
        touched = {
            cluster.name
            for cluster in self._prepared.clusters
            if last
            or (
                cluster.name in had and any(device.host in wave.hosts for device in cluster.devices)
            )
        }
        self.verdicts = verify_clusters(
            self._prepared,
            routers,
            self._opened,
            only=touched,
            for_delays=False,  # a router that is confirmed late goes back by itself
            matters=_is_ours if last else self._was_true,
        )
        return tuple(
            _problem(result) for verdict in self.verdicts for result in verdict.of(Status.FAILED)
        )

    def _was_true(self, cluster: ClusterModel, result: Result) -> bool:
        return _is_ours(cluster, result) and _key(cluster.name, result) in self._true_before


def _is_ours(_: ClusterModel, result: Result) -> bool:
    """What strangers do on a LAN is no fault of a change: they could undo it."""
    return result.check != "strangers"


def _is_whole(file: File) -> bool:
    """Whether nobody but us has lines in it."""
    return file.owner is Owner.WHOLE and not file.absent


_OF_ONE_ROUTER = frozenset({"reachable", "addresses", "loopback", "arp", "forwards", "services"})
_Key = tuple[str, str, str, str]


def _key(cluster: str, result: Result) -> _Key:
    return cluster, result.check, result.host, result.subject


def _problem(result: Result) -> Problem:
    return Problem(
        result.place,
        result.host,
        f"{result.check}: {result.subject}: {result.observed}",
        allowed=result.expected,
        hint=result.hint,
    )
