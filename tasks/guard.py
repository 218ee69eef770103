"""What gates a change: what is true of the clusters before, after each wave, and between batches.

What was true before must be true after each wave. When the last router of a cluster has changed,
everything must be true of it. So a first provisioning, where nothing was true, is judged at its
end, and a change of a healthy cluster at every step. Before a further batch begins, what is done
must still be right: some damage takes longer to show than a wave may wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .devices.fleet import Fleet
from .errors import Problem
from .model import ClusterModel
from .pipeline import Opened, Prepared, verify_clusters
from .plan import Batch, Plan, Wave
from .rendered import File, Owner
from .verify import Result, Status, Verdict

_OF_ONE_ROUTER = frozenset({"reachable", "addresses", "loopback", "arp", "forwards", "services"})
_Key = tuple[str, str, str, str]


class Guard:
    """Judges a run. `done`: routers that it has changed already, when it is resumed."""

    def __init__(
        self, prepared: Prepared, plan: Plan, opened: Opened, done: Collection[str] = ()
    ) -> None:
        self.verdicts: tuple[Verdict, ...] = ()  # of the wave that was judged last
        self._prepared = prepared
        self._plan = plan
        self._opened = opened
        self._left = {host.host for host in plan.hosts if not host.empty} - {*done}
        self._true_before: frozenset[_Key] = frozenset()
        # Clusters that were right when they were done.
        self._ended = {c.name for c in self._of(done) if self._is_done(c)}

    def look_before(self, routers: Fleet, batch: Batch) -> None:
        """Remember what is true now of a batch's clusters. Costs one look at each router of those
        that exist: of the others nothing was true, but what a router shows of itself."""
        verdicts = verify_clusters(
            self._prepared,
            routers,
            self._opened,
            only={cluster.name for cluster in self._of(batch.hosts) if not self._is_bare(cluster)},
            deadline_s=0,
        )
        self._true_before = frozenset(
            _key(verdict.cluster, result)
            for verdict in verdicts
            for result in verdict.of(Status.PASSED)
        )

    def _of(self, hosts: Collection[str]) -> list[ClusterModel]:
        return [
            cluster
            for cluster in self._prepared.clusters
            if any(device.host in hosts for device in cluster.devices)
        ]

    def _is_bare(self, cluster: ClusterModel) -> bool:
        """Whether no router holds a file of ours; on IOS it takes a look to know."""
        return all(self._is_new(device.host) for device in cluster.devices)

    def _is_new(self, host: str) -> bool:
        ours = {file.path for file in self._prepared.rendered[host].files if _is_whole(file)}
        made = {change.path for change in self._plan.host(host).files if not change.before_sha256}
        return bool(ours) and ours <= made

    def judge(self, routers: Fleet, wave: Wave) -> tuple[Problem, ...]:
        """What is wrong after a wave; nothing when it may be confirmed."""
        self._left -= {*wave.hosts}
        ended = {cluster.name for cluster in self._finished(wave)}
        # What a router shows of itself its own push has proven; a cluster in which nothing else was
        # true, because it is new, has nothing to lose yet.
        had = {name for name, check, _, _ in self._true_before if check not in _OF_ONE_ROUTER}
        touched = ended | (had & {cluster.name for cluster in self._of(wave.hosts)})

        def matters(cluster: ClusterModel, result: Result) -> bool:
            was_true = _key(cluster.name, result) in self._true_before
            return _is_ours(result) and (cluster.name in ended or was_true)

        self.verdicts = verify_clusters(
            self._prepared,
            routers,
            self._opened,
            only=touched,
            for_delays=False,  # a router that is confirmed late goes back by itself
            matters=matters,
        )
        self._ended |= {v.cluster for v in self.verdicts if v.ok and v.cluster in ended}
        return tuple(_problems(self.verdicts))

    def _finished(self, wave: Wave) -> Iterable[ClusterModel]:
        """The clusters that this wave completes; with the last wave of a batch all of the batch."""
        batch = {h for each in self._plan.batches if each.name == wave.batch for h in each.hosts}
        for cluster in self._of(wave.hosts if batch & self._left else batch):
            if self._is_done(cluster):
                yield cluster

    def _is_done(self, cluster: ClusterModel) -> bool:
        return not any(device.host in self._left for device in cluster.devices)

    def damage(self, routers: Fleet) -> tuple[Problem, ...]:
        """What is not right any more of the clusters that were right when they were done."""
        if not self._ended:
            return ()
        verdicts = verify_clusters(
            self._prepared,
            routers,
            self._opened,
            only=self._ended,
            for_delays=False,
            matters=lambda _, result: _is_ours(result),
        )
        return tuple(_problems(verdicts))


def _is_ours(result: Result) -> bool:
    """What strangers do on a LAN is no fault of a change: they could undo it."""
    return result.check != "strangers"


def _is_whole(file: File) -> bool:
    """Whether nobody but us has lines in it."""
    return file.owner is Owner.WHOLE and not file.absent


def _key(cluster: str, result: Result) -> _Key:
    return cluster, result.check, result.host, result.subject


def _problems(verdicts: Iterable[Verdict]) -> Iterable[Problem]:
    for result in (result for verdict in verdicts for result in verdict.of(Status.FAILED)):
        yield Problem(
            result.place,
            result.host,
            f"{result.check}: {result.subject}: {result.observed}",
            allowed=result.expected,
            hint=result.hint,
        )
