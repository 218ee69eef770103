"""A plan is a value: what will be sent to which router, in which order, and how it is undone.

`hacc apply` executes the plan that was reviewed and never computes another one. It refuses a plan
whose routers have moved since: each `HostPlan` names the digest of what the router held, and the
groups in which it was active, when the plan was made.

Order. Routers that share a standby group are never changed in the same wave; the one that is
active goes last (before anything runs: the one that the intent prefers). Of the Home Agents, one
goes first, alone, so that a change that breaks a member breaks one. An active router whose change
may cost it that role hands it over first. A plan for a fleet is cut into
batches (`batches`): a run may pause between two, never in the middle of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pydantic import TypeAdapter, ValidationError

from .diff import Command, DiffLine, Impact, diff, merge, reveal, sealed
from .errors import HaccError, Place, Problem
from .model import ClusterModel, DeviceModel, RedundancyProtocol, Role, StandbyGroup
from .rendered import File, Owner, Platform, Rendered
from .running import Running, RunningFile
from .secrets import resolve

FORMAT = "hacc-plan/2"  # 2: batches

# IOS counts revert timers in whole minutes (1-120); two leave time for the verification of a wave.
REVERT_TIMER_MINUTES = 2
# How the first line of every whole file of ours begins (templates/linux): only such are removed.
MANAGED = "# Managed by hacc"
# Linux: longer than the slowest apply measured (an FRR restart, 15 s) and its verification.
DEAD_MAN_SECONDS = 90


@dataclass(frozen=True, slots=True)
class FileChange:
    """A Linux file that will be replaced as a whole (what we don't own is already merged in)."""

    path: str
    mode: int
    after: str | None  # secrets as tokens; None: the file is removed
    before_sha256: str | None  # of the file's present bytes; None where there is none
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class HandOver:
    """A group that is given to its standby router before the active one is touched."""

    group: str
    to: str  # who is expected to take it: the next by priority
    address: str  # which somebody else answers for, then
    unit: str = ""  # Linux: the service that is stopped before, and started after
    lower: tuple[Command, ...] = ()  # IOS: before the change; its peers preempt
    give_back: tuple[Command, ...] = ()  # IOS: after the change; with preempt the role comes back


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What happens to one router. With neither files nor commands there is nothing to do."""

    host: str
    platform: Platform
    running_sha256: str  # Running.digest at planning time
    active: tuple[str, ...]  # Running.active at planning time
    lines: tuple[DiffLine, ...]  # IOS: the diff to show
    commands: tuple[Command, ...]  # IOS, in order; secrets as tokens
    undo: tuple[Command, ...]  # IOS: the inverse, in order
    files: tuple[FileChange, ...]  # Linux
    undo_method: str  # how it is undone, in words: "revert timer (2 minutes), then ..."
    impact: Impact  # the worst of its commands
    cluster: str = ""  # whose failures are one: what fails takes its cluster out of the run
    handover: tuple[HandOver, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.commands or self.files)

    @property
    def impacts(self) -> frozenset[Impact]:
        """All that happens to it, not the worst alone: each needs a word of permission."""
        found = {command.impact for command in self.commands}
        found |= {_file_impact(change) for change in self.files}
        return frozenset(found - {Impact.NONE})


@dataclass(frozen=True, slots=True)
class Wave:
    """Routers that are changed at the same time; the next wave waits for these to be verified."""

    hosts: tuple[str, ...]
    reason: str  # "standby routers and backups"
    batch: str = ""  # "canary", "batch 2 of 7"; empty where the plan is one batch


@dataclass(frozen=True, slots=True)
class Batch:
    """Waves between which a run never pauses: no standby group is half changed at its end."""

    name: str
    waves: tuple[Wave, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for wave in self.waves for host in wave.hosts)


@dataclass(frozen=True, slots=True)
class Plan:
    """A reviewed change of one or more clusters."""

    format: str  # FORMAT: a plan of another format is refused, never guessed
    made_at: str  # RFC 3339, UTC
    clusters: tuple[str, ...]
    intent_sha256: str
    templates_sha256: str
    hosts: tuple[HostPlan, ...]
    waves: tuple[Wave, ...]

    @property
    def empty(self) -> bool:
        return all(host.empty for host in self.hosts)

    @property
    def batches(self) -> tuple[Batch, ...]:
        """The waves, as they were cut."""
        return tuple(
            Batch(name, tuple(waves)) for name, waves in groupby(self.waves, lambda w: w.batch)
        )

    def host(self, name: str) -> HostPlan:
        return next(host for host in self.hosts if host.host == name)

    @property
    def impact(self) -> Impact:
        return max((host.impact for host in self.hosts), default=Impact.NONE)

    @property
    def digest(self) -> str:
        """SHA-256 of the plan's JSON: names the run that applies it."""
        return hashlib.sha256(to_json(self)).hexdigest()


_PLAN = TypeAdapter(Plan)


def to_json(plan: Plan) -> bytes:
    return _PLAN.dump_json(plan, indent=1) + b"\n"


def from_json(text: bytes, file: str) -> Plan:
    """Read a saved plan. Raises HaccError (exit 1) when it is not one, or of another format."""
    try:
        plan = _PLAN.validate_json(text)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(map(str, first["loc"])) or "plan"
        raise HaccError(
            Problem(
                Place(file, 0),
                where,
                f"this is not a plan: {first['msg']}",
                hint="make one with: hacc plan -o FILE",
            )
        ) from None
    if plan.format != FORMAT:
        raise HaccError(
            Problem(
                Place(file, 0),
                "format",
                f"{plan.format!r} was written by another version of hacc",
                FORMAT,
                "make the plan again with this version",
            )
        )
    return plan


def plan_host(rendered: Rendered, running: Running, opened: Mapping[str, str]) -> HostPlan:
    """What brings one router from what it holds to what it should hold."""
    if rendered.platform is Platform.IOS:
        return _plan_ios(rendered, running, opened)
    return _plan_linux(rendered, running, opened)


def _plan_ios(rendered: Rendered, running: Running, opened: Mapping[str, str]) -> HostPlan:
    [file] = rendered.files
    held = running.file(file.path)
    changes = diff(held.text or "" if held else "", file, rendered.platform, opened)
    undo = (
        f"configure terminal revert timer {REVERT_TIMER_MINUTES}, then the inverse commands"
        if running.revert_timer
        else "inverse commands (no archive on this router: it cannot revert by itself)"
    )
    return HostPlan(
        host=rendered.host,
        platform=rendered.platform,
        running_sha256=running.digest,
        active=running.active,
        lines=changes.lines,
        commands=changes.commands,
        undo=changes.undo,
        files=(),
        undo_method=undo,
        impact=max((command.impact for command in changes.commands), default=Impact.NONE),
    )


def _plan_linux(rendered: Rendered, running: Running, opened: Mapping[str, str]) -> HostPlan:
    files = tuple(
        change
        for file in rendered.files
        if (change := _file_change(file, running.file(file.path), opened)) is not None
    )
    return HostPlan(
        host=rendered.host,
        platform=rendered.platform,
        running_sha256=running.digest,
        active=running.active,
        lines=(),
        commands=(),
        undo=(),
        files=files,
        undo_method=f"dead-man timer ({DEAD_MAN_SECONDS} s) restores the previous files",
        impact=max((_file_impact(change) for change in files), default=Impact.NONE),
    )


def _file_change(
    file: File, held: RunningFile | None, opened: Mapping[str, str]
) -> FileChange | None:
    """The change of one Linux file, or None where it is right: in the file and in the daemon."""
    text = held.text if held else None
    if file.absent and not (text or "").startswith(MANAGED):
        return None
    runs = held.in_force if held else ""
    lines = diff(runs, file, Platform.LINUX, opened).lines
    if held and text is not None and held.mode == file.mode and not lines and not file.absent:
        if file.owner is Owner.WHOLE and text == resolve(file.text, opened):
            return None
        if file.owner is Owner.LINES and not diff(text, file, Platform.LINUX, opened).lines:
            return None
    return FileChange(
        path=file.path,
        mode=file.mode,
        after=_after(runs, file, opened),
        before_sha256=None if text is None else hashlib.sha256(text.encode()).hexdigest(),
        lines=lines,
    )


def _after(runs: str, file: File, opened: Mapping[str, str]) -> str | None:
    if file.absent:
        return None
    return file.text if file.owner is Owner.WHOLE else _merged(runs, file, opened)


def _merged(runs: str, file: File, opened: Mapping[str, str]) -> str:
    """What runs, with our lines in it: what others set and never saved must survive our reload.

    Their secrets are sealed as `running:N`, and opened from the same text when it is pushed.
    """
    theirs = reveal(runs, Platform.LINUX)
    return merge(sealed(runs, Platform.LINUX), file, Platform.LINUX, {**opened, **theirs})


# What a changed file interrupts when it is brought into force. A file that was not there interrupts
# nothing: the service did not run. FRR's reload is incremental, so its commands say it themselves.
_FILE_IMPACT: Mapping[str, Impact] = {
    "/etc/keepalived/keepalived.conf": Impact.REELECTION,
    "/etc/hacc/hsrp.toml": Impact.REELECTION,
    "/etc/systemd/system/hacc-hsrp.service": Impact.REELECTION,  # the speaker starts again
    "/etc/frr/daemons": Impact.ADJACENCY_RESET,
}


def _file_impact(change: FileChange) -> Impact:
    if change.before_sha256 is None:
        return Impact.NONE
    return _FILE_IMPACT.get(change.path, Impact.NONE)


def waves(
    clusters: Sequence[ClusterModel],
    hosts: Mapping[str, HostPlan],
    only: Collection[str] | None = None,
) -> tuple[Wave, ...]:
    """Put the hosts that change into waves; with `only`, these of them.

    Clusters go side by side; within one, stage by stage (see the module's text). Hosts of one
    standby group are spread over as many waves as it has hosts.
    """
    staged: dict[tuple[int, str], list[str]] = {}
    for cluster in clusters:
        for key, host in _stages(cluster, hosts, hosts if only is None else only):
            staged.setdefault(key, []).append(host)
    return tuple(
        Wave(hosts=tuple(names), reason=reason) for (_, reason), names in sorted(staged.items())
    )


def _stages(
    cluster: ClusterModel, hosts: Mapping[str, HostPlan], only: Collection[str]
) -> Iterator[tuple[tuple[int, str], str]]:
    """Each changing host of a cluster with its stage: (order, reason)."""
    changing = [
        device
        for device in cluster.devices
        if device.host in hosts and device.host in only and not hosts[device.host].empty
    ]
    leaders = _leaders(cluster.devices, hosts)
    placed: dict[tuple[int, str], int] = {}  # hosts of each group that already have this stage
    canary = False
    # The least preferred of a group first, so that the last wave holds whoever is active.
    for device in sorted(changing, key=lambda d: max((g.priority for g in d.groups), default=0)):
        if device.groups:
            leads = device.host in leaders
            stage, reason = (90, "active routers, last") if leads else (10, "standby routers")
            turn = max(placed.get((stage, group.name), 0) for group in device.groups)
            for group in device.groups:
                placed[stage, group.name] = turn + 1
            yield (stage + turn, f"{reason} ({turn + 1})" if turn else reason), device.host
        elif device.role is Role.BACKUP:
            yield (10, "standby routers"), device.host
        elif not canary:
            canary = True
            yield (50, "one Home Agent first"), device.host
        else:
            yield (51, "the other Home Agents"), device.host


def _leaders(devices: Iterable[DeviceModel], hosts: Mapping[str, HostPlan]) -> frozenset[str]:
    """Who is active in each group now; where nobody is, who the intent prefers."""
    groups: dict[str, list[DeviceModel]] = {}
    for device in devices:
        for group in device.groups:
            groups.setdefault(group.name, []).append(device)
    leaders: set[str] = set()
    for name, members in groups.items():
        active = [d for d in members if d.host in hosts and name in hosts[d.host].active]
        if not active:
            active = [max(members, key=lambda d: _priority(d, name))]
        leaders.update(device.host for device in active)
    return frozenset(leaders)


def _priority(device: DeviceModel, name: str) -> int:
    return next(group.priority for group in device.groups if group.name == name)


# Below every priority of ours, and above 0, which is a router that resigns.
LOWERED = 1


def _placed(plan: HostPlan, device: DeviceModel) -> HostPlan:
    """With its cluster, and what it hands over before it is touched: the roles that it has, where
    the change would cost them, or what they are for."""
    moves = bool(plan.impacts & _HANDED_OVER[plan.platform])
    groups = [
        group
        for group in device.groups
        if moves and group.name in plan.active and group.peers and not _is_made(group, plan)
    ]
    return replace(
        plan,
        cluster=device.cluster,
        handover=tuple(_handover(group, device.platform) for group in groups),
    )


def _is_made(group: StandbyGroup, plan: HostPlan) -> bool:
    """Whether the group itself comes or goes on IOS: then its priority is nothing to hold on to."""
    heads = (f"standby {group.group} ip", f"no standby {group.group}")
    texts = [f"{command.text} " for command in plan.commands]
    return any(text.startswith(f"{head} ") for head in heads for text in texts)


# On Linux keepalived and our HSRP speaker read a changed file without letting go of a role: of
# echoes every 20 ms none was lost, while a handover cost 0.2 s. But a restart of FRR takes the
# routes to the router away for many seconds.
_HANDED_OVER: Mapping[Platform, frozenset[Impact]] = {
    Platform.IOS: frozenset({Impact.REELECTION, Impact.BINDING_LOSS, Impact.ADJACENCY_RESET}),
    Platform.LINUX: frozenset({Impact.ADJACENCY_RESET}),
}
_UNITS = {RedundancyProtocol.VRRP: "keepalived", RedundancyProtocol.HSRP: "hacc-hsrp"}


def _handover(group: StandbyGroup, platform: Platform) -> HandOver:
    to, address = group.peers[0], str(group.address)
    if platform is not Platform.IOS:
        return HandOver(group.name, to, address, unit=_UNITS[group.protocol])

    def priority(number: int) -> tuple[Command, ...]:
        text = f"standby {group.group} priority {number}"
        place = (f"interface {group.port.name}",)
        why = f"{group.name} goes to {to}"
        return (Command(place, text, Impact.REELECTION, why, None, (group.place,)),)

    return HandOver(
        group.name,
        to,
        address,
        lower=priority(LOWERED),
        give_back=priority(group.priority),
    )


def make_plan(
    clusters: Sequence[ClusterModel],
    rendered: Mapping[str, Rendered],
    running: Mapping[str, Running],
    opened: Mapping[str, str],
    *,
    made_at: str,
    intent_sha256: str,
    templates_sha256: str,
) -> Plan:
    """The plan for every router that was fetched. `opened`: secret references to clear values."""
    models = {device.host: device for cluster in clusters for device in cluster.devices}
    hosts = {
        host: _placed(plan_host(rendered[host], running[host], opened), models[host])
        for host in rendered
        if host in running
    }
    return Plan(
        format=FORMAT,
        made_at=made_at,
        clusters=tuple(cluster.name for cluster in clusters),
        intent_sha256=intent_sha256,
        templates_sha256=templates_sha256,
        hosts=tuple(hosts.values()),
        waves=waves(clusters, hosts),
    )


def joined(parts: Sequence[Plan], clusters: Sequence[ClusterModel]) -> Plan:
    """One plan of plans for these clusters, each of some of them, made side by side."""
    hosts = {host.host: host for part in parts for host in part.hosts}
    return replace(
        parts[0],
        clusters=tuple(cluster.name for cluster in clusters),
        hosts=tuple(hosts.values()),
        waves=waves(clusters, hosts),
    )
