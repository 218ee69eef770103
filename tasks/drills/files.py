"""Reads the drills of an inventory. Each file is a drill, called as the file is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from hacc_agent.drills.drill import Drill
from hacc_agent.drills.targets import WORDS

from .. import yamlmarks
from ..errors import HaccError, Place, Problem
from ..intent import Site, routers
from ..inventory import nearest
from ..schema import ClusterIntent, PairMember
from ..shape import shape_problems
from .schema import DrillFile, Targets

FOLDER = "drills"


def names(root: Path) -> list[str]:
    """Of the drills that there are, in order."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.yaml"))


def load(root: Path, name: str, site: Site | None = None) -> Drill:
    """One of them. With the site, whom it names must be there. Raises HaccError: all of it."""
    path = root / FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = names(root)
        hint = nearest(name, known) or (f"there are: {', '.join(known)}" if known else "")
        raise HaccError(Problem(Place(str(path), 0), "drill", "no such file", hint=hint))
    text = yamlmarks.read(path)
    if isinstance(text, Problem):
        raise HaccError(text)
    return parse(text, str(path), name, site)


def parse(text: str, file: str, name: str, site: Site | None = None) -> Drill:
    """The same, of a text."""
    data, problems = yamlmarks.loads(text, file)
    if problems and not data:
        raise HaccError(problems)
    try:
        found = DrillFile.model_validate(data)
    except ValidationError as error:
        told = {(problem.place, problem.subject) for problem in problems}
        shape = shape_problems(DrillFile, data, error)
        problems += [one for one in shape if (one.place, one.subject) not in told]
        raise HaccError(sorted(problems, key=lambda one: one.place or Place("", 0))) from None
    if site is not None:
        problems += _names(found, site)
    if problems:
        raise HaccError(problems)
    return found.value(name)


def json_schema() -> str:
    """The JSON Schema of a drill's file, for editors; kept in docs/drill.schema.json."""
    schema = DrillFile.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "HACC drill"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _names(found: DrillFile, site: Site) -> Iterator[Problem]:
    """Clusters, members and hosts that nobody knows."""
    clusters = {one.cluster: one for one in site.clusters}
    if found.cluster is None and len(clusters) > 1:
        yield Problem(found.place, "cluster", "missing", " or ".join(sorted(clusters)))
        return
    name = found.cluster or next(iter(clusters))
    if name not in clusters:
        yield Problem(
            found.at("cluster"), "cluster", f"no cluster {name!r}", hint=nearest(name, clusters)
        )
        return
    known = _known(clusters[name])
    for number, step in enumerate(found.timeline):
        subject = f"timeline[{number}]"
        yield from _unknown(step, subject, known)
        if step.from_ is not None:
            yield from _unknown(step.from_, f"{subject}.from", known)


def _known(cluster: ClusterIntent) -> frozenset[str]:
    pairs = {one.pair for one in cluster.home_agents if isinstance(one, PairMember)}
    return frozenset(pairs | {host for host, _, _ in routers(cluster)})


def _unknown(targets: Targets, subject: str, known: frozenset[str]) -> Iterator[Problem]:
    for target in targets.named():
        words = WORDS[target.role]
        if target.which not in words and target.which not in known:
            yield Problem(
                targets.at(target.role.value),
                f"{subject}.{target.role}",
                f"{target.which!r} is no router of the cluster",
                allowed=f"{', '.join(words)}, or a name",
                hint=nearest(target.which, {*known, *words}),
            )
