"""What creeps up on a cluster that works: certificates that end, versions apart, load unknown.

Nothing of this fails a change, so `verify` does not ask it; whoever looks every day wants to know.
All of it is in what was told anyway: no router is asked a second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509

from hacc_agent import __version__

from ..errors import Place
from ..findings import Area, DeviceLine, Finding, Severity
from ..model import ClusterModel, DeviceModel
from ..rendered import Platform
from ..running import Running
from ..verify import Observation
from .asking import Told
from .rules import Limits

RULES: Mapping[str, str] = {
    "state.certificate": "No certificate on a router ends soon, or has not begun.",
    "state.version": "Programs are of a version that is allowed, the same in a pair, and ours.",
    "state.load": "The active controller knows each member's load, and none is at its limit.",
    "state.stock-table": "The active controller knows as many bindings as each IOS member has.",
    "state.same-bindings": "Where they are few, they are the same ones, home address by address.",
}

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----", re.DOTALL)
_FRR = re.compile(r"^frr version (\S+)$", re.MULTILINE)
# Figures come every `snmp_interval_s`, from who is slow down to an eighth as often (docs/snmp.md).
_PATIENCE = 10
_NAMED = 5  # home addresses that a finding names


def judge(
    cluster: ClusterModel, told: Mapping[str, Told], limits: Limits, now: datetime
) -> Iterator[Finding]:
    """Of every router that told."""
    for device in cluster.devices:
        if device.host in told:
            yield from _certificates(device, told[device.host].running, limits, now)
    yield from _versions(cluster, told, limits)
    seen = {host: one.seen for host, one in told.items() if one.seen is not None}
    for device in cluster.devices:
        mine = seen.get(device.host)
        if mine is None or device.service is not None or not mine.holds(device.home_agent_address):
            continue  # the active controller alone knows
        yield from _load(device, mine)
        yield from _bindings(cluster, device, mine, seen)


def _finding(
    rule: str,
    severity: Severity,
    device: DeviceModel,
    subject: str,
    message: str,
    remedy: str,
    *,
    place: Place | None = None,
    line: DeviceLine | None = None,
) -> Finding:
    return Finding(
        rule, Area.STATE, severity, device.cluster, device.host, subject, f"{subject}: {message}",
        place or device.place, line, remedy,
    )  # fmt: skip


def _certificates(
    device: DeviceModel, running: Running, limits: Limits, now: datetime
) -> Iterator[Finding]:
    """Those in the files of ours that the router holds; a key has no end."""
    for file in running.files:
        for found in _PEM.finditer(file.text or ""):
            line = (file.text or "").count("\n", 0, found.start()) + 1
            where = DeviceLine(file.path, line, "-----BEGIN CERTIFICATE-----")
            place = device.link.place if device.link else device.place
            try:
                held = x509.load_pem_x509_certificate(found[0].encode())
            except ValueError as error:
                yield _finding(
                    "state.certificate", Severity.CRITICAL, device, file.path,
                    f"is no certificate: {error}", f"hacc apply -c {device.cluster}",
                    place=place, line=where,
                )  # fmt: skip
                continue
            ends, begins = held.not_valid_after_utc, held.not_valid_before_utc
            if now >= ends:
                severity, what = Severity.CRITICAL, f"has ended on {ends:%Y-%m-%d}"
            elif now < begins:
                severity, what = Severity.CRITICAL, f"begins on {begins:%Y-%m-%d}: a clock is wrong"
            elif ends - now < timedelta(days=limits.certificate_days):
                severity, what = (
                    Severity.MAJOR,
                    f"ends on {ends:%Y-%m-%d}, in {(ends - now).days} d",
                )
            else:
                continue
            yield _finding(
                "state.certificate", severity, device, file.path, what,
                f"hacc pki renew {device.host}; hacc apply -c {device.cluster}",
                place=place, line=where,
            )  # fmt: skip


def _frr(one: Told) -> str:
    for file in one.running.files:
        if found := _FRR.search(file.in_force):
            return found[1]
    return ""


# Which version a router has of a program; empty where it has none, or does not tell.
_PROGRAMS: Mapping[str, Callable[[Told], str]] = {
    "ios": lambda one: one.seen.version if one.seen else "",
    "frr": lambda one: _frr(one) if one.running.platform is Platform.LINUX else "",
    "agent": lambda one: one.seen.agent.version if one.seen and one.seen.agent else "",
}


def _versions(cluster: ClusterModel, told: Mapping[str, Told], limits: Limits) -> Iterator[Finding]:
    allowed = dict(limits.versions)
    for program, version in _PROGRAMS.items():
        has = {host: version(one) for host, one in told.items()}
        for device in cluster.devices:
            mine = has.get(device.host, "")
            if not mine:
                continue
            others = {peer: has.get(peer, "") for group in device.groups for peer in group.peers}
            apart = sorted(peer for peer, theirs in others.items() if theirs not in ("", mine))
            wrong = ""
            if program in allowed:
                if not re.fullmatch(allowed[program], mine):
                    wrong = f"{mine} is not one of those that are allowed, {allowed[program]}"
            elif program == "agent" and mine != __version__:
                wrong = f"{mine}, and this is {__version__}"
            elif apart:
                wrong = f"{mine}, and {', '.join(f'{peer} has {others[peer]}' for peer in apart)}"
            if wrong:
                yield _finding(
                    "state.version", Severity.MINOR, device, program, wrong,
                    "bring both to one version" if apart else "install one that is allowed",
                    place=limits.place if program in allowed else device.place,
                )  # fmt: skip


def _load(device: DeviceModel, seen: Observation) -> Iterator[Finding]:
    if seen.agent is None or device.agent is None:
        return
    health = device.agent.health
    patience = _PATIENCE * health.snmp_interval_s
    new = seen.agent.configured_s is not None and seen.agent.configured_s < patience
    down = {name for name, _ in seen.agent.unwell}
    for figures in seen.agent.figures:
        wrong, cpu, free = "", figures.cpu_percent, figures.memory_free_percent
        if figures.member in down:
            continue  # which `members` tells
        if not figures.source:
            wrong = "" if new else "nothing is known of its load"
        elif figures.age_s > patience:
            wrong = f"last heard of {figures.age_s:.0f} s ago"
        elif cpu is not None and cpu >= health.failing_cpu:
            wrong = f"its processor is {cpu:.0f} % in use"
        elif free is not None and free <= health.failing_memory_free:
            wrong = f"{free:.0f} % of its memory is free"
        if wrong:
            yield _finding(
                "state.load", Severity.MAJOR, device, figures.member, wrong,
                f"on {device.host}: hacc-agent status; SNMP and the load of {figures.member}",
            )  # fmt: skip


def _bindings(
    cluster: ClusterModel, device: DeviceModel, mine: Observation, seen: Mapping[str, Observation]
) -> Iterator[Finding]:
    """What the controller knows of each member beside what that holds: one by one, or by number.

    Of a pair of IOS routers the better informed counts: the other may just have started. That the
    numbers of Linux members agree is for `state.table` to say.
    """
    if mine.agent is None:
        return
    known = dict(mine.agent.members)
    for member, (theirs, counted) in _by_member(cluster, seen).items():
        ours = known.get(member, 0)
        # Routers are not asked at one moment: what is under way, and a hundredth, may differ.
        slack = mine.agent.pending + max(counted, ours) // 100
        remedy = f"on {device.host}: hacc-agent resync"
        if abs(counted - ours) > slack:
            if theirs is Platform.IOS:
                yield _finding(
                    "state.stock-table", Severity.MAJOR, device, member,
                    f"{ours} bindings are known of it, and it has {counted}", remedy,
                )  # fmt: skip
            continue
        held = _homes(cluster, member, seen)
        if mine.held is None or held is None:
            continue
        told = {one.home for one in mine.held if one.member == member}
        if len(told ^ held) > slack + abs(counted - ours):
            wrong = [
                f"{what} {', '.join(map(str, sorted(homes)[:_NAMED]))}"
                for what, homes in (("unknown here", held - told), ("not there", told - held))
                if homes
            ]
            yield _finding(
                "state.same-bindings", Severity.MAJOR, device, member, "; ".join(wrong), remedy
            )


def _by_member(
    cluster: ClusterModel, seen: Mapping[str, Observation]
) -> dict[str, tuple[Platform, int]]:
    """How many bindings each member has, of those that told."""
    found: dict[str, tuple[Platform, int]] = {}
    for other in cluster.devices:
        theirs = seen.get(other.host)
        if other.service is None or theirs is None:
            continue
        if other.platform is Platform.IOS and theirs.home_agent is not None:
            count = len(theirs.bindings)
        elif other.platform is Platform.LINUX and theirs.agent is not None:
            count = theirs.agent.bindings
        else:
            continue
        before = found.get(other.service.member, (other.platform, 0))[1]
        found[other.service.member] = (other.platform, max(before, count))
    return found


def _homes(
    cluster: ClusterModel, member: str, seen: Mapping[str, Observation]
) -> set[IPv4Address] | None:
    """The home addresses that a member holds; None where it did not tell them."""
    best: set[IPv4Address] | None = None
    for other in cluster.devices:
        theirs = seen.get(other.host)
        if theirs is None or other.service is None or other.service.member != member:
            continue
        if other.platform is Platform.IOS:
            homes = {one.home for one in theirs.bindings if one.home is not None}
        elif theirs.held is None:
            continue
        else:
            homes = {one.home for one in theirs.held}
        if best is None or len(homes) > len(best):
            best = homes
    return best
