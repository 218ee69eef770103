"""Is what runs what was meant: configuration, state and standards of a fleet, as findings.

asking          routers -> Told                one visit each
configuration   (rendered, running) -> findings       what `diff` finds, a setting at a time
state           (model, observations) -> findings     what `verify` asks, with severity and remedy
standards       (model, running, rules) -> findings   the rules of the house
upkeep          certificates, versions, load: what nobody notices until it is late
waivers         findings that somebody answers for
judge           all of them over what was told; pure, and clusters do not depend on each other
look, conclude  ask and judge a part of a fleet -> Looked; all parts -> Checked (`fleet.looking`)
outputs         Checked -> table, JSON, JUnit, SARIF, a page

A router that could not be asked is one finding, and nothing is believed of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from ..devices.fleet import Failure, Fleet
from ..errors import HaccError, Place, Problem
from ..findings import Area, Checked, Finding, Severity, Skipped
from ..intent import Site
from ..intent import routers as named
from ..model import ClusterModel, DeviceModel
from ..pipeline import Opened, Prepared
from ..rendered import Rendered
from ..verify import Observation
from . import configuration, standards, state, upkeep
from .asking import Told, ask
from .rules import RuleError, Rules, load_rules
from .waivers import EXPIRED, UNUSED, Cover, WaiverError, load_waivers, waive

__all__ = [
    "AREAS",
    "House",
    "Looked",
    "Told",
    "ask",
    "conclude",
    "judge",
    "load_house",
    "look",
    "sentences",
]

REACH: Final = "reach.asked"
AREAS: Final = (Area.CONFIGURATION, Area.STATE, Area.STANDARD)  # what `--only` chooses from


@dataclass(frozen=True, slots=True)
class House:
    """What a site holds its routers to, beside the intent."""

    rules: Rules
    covers: tuple[Cover, ...]


def load_house(site: Site, rules: Path | None = None) -> House:
    """A site's rules and waivers. Raises HaccError with all that is wrong, before anybody is asked.

    `rules` is another folder of rules than the inventory's own.
    """
    problems: list[Problem] = []
    loaded = Rules()
    try:
        folder = rules or site.root / "rules"
        loaded = load_rules(folder, required=rules is not None)
    except RuleError as error:
        problems += error.problems
    try:
        covers = load_waivers(
            site.root,
            rules=None if problems else tuple(sentences(loaded)),
            clusters=[cluster.cluster for cluster in site.clusters],
            hosts=list(site.inventory.hosts),
        )
    except WaiverError as error:
        problems += error.problems
    if problems:
        raise HaccError(problems)
    return House(loaded, covers)


def sentences(rules: Rules) -> Mapping[str, str]:
    """What every rule asserts, by its id."""
    return {
        **{rule: kind.sentence for rule, kind in configuration.RULES.items()},
        **state.RULES,
        **upkeep.RULES,
        **{f"standard.{rule.id}": rule.sentence for rule in rules.rules},
        REACH: "Every router can be asked.",
        EXPIRED: "No waiver has ended.",
        UNUSED: "Every waiver covers something.",
    }


def judge(
    prepared: Prepared,
    opened: Opened,
    told: Mapping[str, Told | Failure],
    house: House,
    *,
    now: datetime,
    areas: Collection[Area] = AREAS,
) -> tuple[Finding, ...]:
    """What is not as it should be, before waivers. Clusters do not depend on each other.

    A router that `told` does not name was not asked, as when a fleet is judged in shards; what
    routers do together is judged where all of a cluster were asked.
    """
    return tuple(
        finding
        for cluster in prepared.clusters
        for finding in _apart(_cluster(cluster, prepared.rendered, opened, told, house, now, areas))
    )


def _apart(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Of two that say the same (a line that is missing twice) the second is named as such."""
    seen: Counter[str] = Counter()
    for finding in findings:
        seen[finding.fingerprint] += 1
        nth = seen[finding.fingerprint]
        yield finding if nth == 1 else replace(finding, subject=f"{finding.subject} ({nth})")


def _cluster(
    cluster: ClusterModel,
    rendered: Mapping[str, Rendered],
    opened: Opened,
    told: Mapping[str, Told | Failure],
    house: House,
    now: datetime,
    areas: Collection[Area],
) -> Iterator[Finding]:
    asked = [device for device in cluster.devices if device.host in told]
    answers: dict[str, Told] = {}
    for device in asked:
        one = told[device.host]
        if isinstance(one, Failure):
            yield _unreached(cluster, one)
        else:
            answers[device.host] = one
    for device in (device for device in asked if device.host in answers):
        wanted, running = rendered[device.host], answers[device.host].running
        if Area.CONFIGURATION in areas:
            yield from configuration.judge(device, wanted, running, opened.values)
        if Area.STANDARD in areas:
            yield from standards.of_text(device, wanted, running, opened.values, house.rules.rules)
    if Area.STANDARD in areas:
        yield from standards.of_intent([cluster], house.rules.rules)
    if Area.STATE in areas and len(asked) == len(cluster.devices):
        seen = {device.host: _seen(device, told[device.host]) for device in asked}
        yield from state.judge(cluster, seen)
        yield from upkeep.judge(cluster, answers, house.rules.limits, now)


def _seen(device: DeviceModel, one: Told | Failure) -> Observation:
    """Of who did not answer nothing is known, and the checks say so."""
    if isinstance(one, Told) and one.seen is not None:
        return one.seen
    return Observation.failed(device.host, device.platform, "it could not be asked")


def _unreached(cluster: ClusterModel, failure: Failure) -> Finding:
    device = cluster.device(failure.host)
    problems = failure.error.problems
    return Finding(
        REACH,
        Area.REACH,
        Severity.CRITICAL,
        cluster.name,
        failure.host,
        "session",
        "; ".join(problem.message for problem in problems),
        device.place,
        remedy=next((problem.hint for problem in problems if problem.hint), "hacc doctor"),
    )


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at some routers found, before waivers: a part of a run, or all of it."""

    hosts: tuple[str, ...]  # that told
    failed: tuple[Skipped, ...]
    findings: tuple[Finding, ...]


def look(
    prepared: Prepared,
    opened: Opened,
    routers: Fleet,
    house: House,
    *,
    now: datetime,
    areas: Collection[Area] = AREAS,
) -> Looked:
    """Ask the routers of these clusters once, and judge them. Changes nothing on any of them."""
    told = ask(prepared, opened, routers, areas)
    return Looked(
        tuple(host for host, one in told.items() if isinstance(one, Told)),
        tuple(
            Skipped(host, one.error.problems)
            for host, one in told.items()
            if isinstance(one, Failure)
        ),
        judge(prepared, opened, told, house, now=now, areas=areas),
    )


def conclude(
    prepared: Prepared,
    looks: Collection[Looked],
    house: House,
    *,
    now: datetime,
    seconds: float,
    areas: Collection[Area] = AREAS,
) -> Checked:
    """One run of all its parts: waivers are about the whole of it. `now` is when it began."""
    failed = tuple(one for part in looks for one in part.failed)
    whole = not failed and len(prepared.clusters) == len(prepared.site.clusters)
    findings = waive(
        [finding for part in looks for finding in part.findings],
        house.covers,
        now.date(),
        complete=whole and set(areas) == set(AREAS),
    )
    return Checked(
        started=now.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        intent_sha256=prepared.site.sha256,
        clusters=tuple(cluster.name for cluster in prepared.clusters),
        hosts=tuple(host for part in looks for host in part.hosts),
        findings=findings,
        failed=failed,
        foreign=_foreign(prepared),
    )


def _foreign(prepared: Prepared) -> tuple[Skipped, ...]:
    """Hosts of the inventory that no intent names."""
    ours = {host for cluster in prepared.site.clusters for host, _, _ in named(cluster)}
    inventory = prepared.site.inventory
    places: dict[str, Place | None] = {
        name: facts.place for name, facts in inventory.hosts.items() if name not in ours
    }
    places |= dict.fromkeys(inventory.others)
    return tuple(
        Skipped(name, (Problem(place, name, "no intent names it: it is left alone"),))
        for name, place in places.items()
    )
