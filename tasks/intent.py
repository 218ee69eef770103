"""From files to a `Site`: the inventory and every cluster's intent, or all that is wrong with them.

The stages, each of which collects everything before the next one starts: YAML (`yamlmarks`), shape
(`schema`), names (do the hosts and the LANs exist?). What values say together is proven later, on
the compiled models (`proofs`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from . import yamlmarks
from .errors import HaccError, Place, Problem
from .inventory import FILES, HostFacts, Inventory, nearest, parse_inventory, read_files
from .provided import FILE as PLUGIN
from .provided import Provided, provided
from .rendered import Platform
from .schema import ClusterIntent, PairMember, Redundancy
from .secrets import SecretRef
from .shape import shape_problems


@dataclass(frozen=True, slots=True)
class Site:
    """All that was asked for: the inventory and the clusters, by name."""

    root: Path
    inventory: Inventory
    clusters: tuple[ClusterIntent, ...]
    sha256: str  # of the files, so that a plan knows what it was made from

    def cluster(self, name: str) -> ClusterIntent:
        return next(cluster for cluster in self.clusters if cluster.cluster == name)


class IntentError(HaccError):
    """The intent, or the inventory, does not load."""


def load_site(root: Path) -> Site:
    """Reads an inventory folder: `hosts.yaml`, its companions, and `clusters/*.yaml`."""
    if not root.is_dir():
        raise IntentError(
            Problem(Place(str(root), 0), "inventory", "no such folder",
                    hint="name the folder that holds hosts.yaml and clusters/"),
        )  # fmt: skip
    files = [file for file in (root / name for name in (*FILES, PLUGIN)) if file.exists()]
    texts, problems = read_files(root, [*files, *(root / "clusters").glob("*.yaml")])
    problems += [
        Problem(Place(str(file), 0), "file", "is not read", hint=f"name it {file.stem}.yaml")
        for file in (root / "clusters").glob("*.yml")
    ]
    if PLUGIN not in texts:
        return parse_site(root, texts, problems)
    if problems:
        raise IntentError(_tidy(problems))  # before somebody else is asked
    return parse_site(root, texts, given=provided(root, texts[PLUGIN], os.environ))


def parse_site(
    root: Path,
    texts: Mapping[str, str],
    problems: Iterable[Problem] = (),
    given: Provided | None = None,
) -> Site:
    """The same, of texts by their paths below `root`; `problems` are told with the rest."""
    files = sorted(name for name in texts if name.startswith("clusters/"))
    loaded = {file: yamlmarks.loads(texts[file], str(root / file)) for file in files}
    wanted = {host for data, _ in loaded.values() for host, _, _ in _written(data)}
    hosts = given.hosts if given is not None else None
    inventory, names, found = parse_inventory(root, texts, hosts, wanted)
    problems = [*problems, *found]
    if not files and not problems:
        problems.append(Problem(Place(str(root / "clusters"), 0), "clusters", "no *.yaml in it"))
    clusters = []
    for file in files:
        data, found = loaded[file]
        problems += found
        if found and not data:
            continue
        try:
            cluster = ClusterIntent.model_validate(data)
        except ValidationError as error:
            told = {(problem.place, problem.subject) for problem in found}
            shape = [*shape_problems(ClusterIntent, data, error)]
            problems += [p for p in shape if (p.place, p.subject) not in told]
            problems += _unknown(_written(data), names)
        else:
            clusters.append(cluster)
            problems += _names(cluster, names)
    problems += _twice(clusters)
    if problems:
        raise IntentError(_tidy(problems))
    all_texts = texts if given is None else {**texts, "provided": given.text}
    return Site(root, inventory, tuple(sorted(clusters, key=_name)), _digest(all_texts))


def json_schema() -> str:
    """The JSON Schema of an intent file, for editors; kept in docs/intent.schema.json."""
    schema = ClusterIntent.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "HACC cluster intent"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _name(cluster: ClusterIntent) -> str:
    return cluster.cluster


def _digest(texts: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(texts):
        digest.update(f"{name}\0{len(texts[name])}\0{texts[name]}".encode())
    return digest.hexdigest()


def _tidy(problems: Iterable[Problem]) -> list[Problem]:
    """Each once, in the order in which a person walks through the files."""
    return sorted(
        dict.fromkeys(problems), key=lambda p: (p.place or Place("", 0), p.subject, p.message)
    )


# ------------------------------------------------------------------ names


def _names(cluster: ClusterIntent, hosts: frozenset[str]) -> Iterator[Problem]:
    """Hosts and LANs that nobody knows, with the ones that were probably meant."""

    def lan(name: str, place: Place, subject: str) -> Iterator[Problem]:
        if name not in cluster.lans:
            yield Problem(
                place, subject, f"no LAN {name!r} in this cluster", hint=nearest(name, cluster.lans)
            )

    def groups(redundancy: Redundancy, subject: str) -> Iterator[Problem]:
        for index, group in enumerate(redundancy.groups):
            yield from lan(group.lan, group.at("lan"), f"{subject}.groups[{index}].lan")

    for index, network in enumerate(cluster.home_agent.networks):
        if network.lan is not None:
            yield from lan(network.lan, network.at("lan"), f"home_agent.networks[{index}].lan")
    yield from groups(cluster.controllers.redundancy, "controllers.redundancy")
    for index, member in enumerate(cluster.home_agents):
        if isinstance(member, PairMember):
            yield from groups(member.redundancy, f"home_agents[{index}].redundancy")
    for index, gateway in enumerate(cluster.gateways):
        yield from groups(gateway.redundancy, f"gateways[{index}].redundancy")
    yield from _unknown(routers(cluster), hosts)


def _unknown(named: Iterable[tuple[str, Place, str]], hosts: frozenset[str]) -> Iterator[Problem]:
    for host, place, subject in named:
        if hosts and host not in hosts:  # without any, hosts.yaml itself is the problem
            yield Problem(
                place, subject, f"no host {host!r} in the inventory", hint=nearest(host, hosts)
            )


def _written(data: yamlmarks.Mapping) -> Iterator[tuple[str, Place, str]]:
    """The hosts that a file names where its shape is right, for a file whose shape is wrong."""
    controllers = data.get("controllers")
    if isinstance(controllers, yamlmarks.Mapping):
        yield from _hosts_in(controllers.get("members"), "controllers.members", "")
    members = data.get("home_agents")
    yield from _hosts_in(members, "home_agents", ".host")
    for index, pair in enumerate(members if isinstance(members, yamlmarks.Sequence) else ()):
        if isinstance(pair, yamlmarks.Mapping):
            yield from _hosts_in(pair.get("hosts"), f"home_agents[{index}].hosts", "")
    yield from _hosts_in(data.get("backups"), "backups", "")
    gateways = data.get("gateways")
    for index, gateway in enumerate(gateways if isinstance(gateways, yamlmarks.Sequence) else ()):
        if isinstance(gateway, yamlmarks.Mapping):
            yield from _hosts_in(gateway.get("hosts"), f"gateways[{index}].hosts", "")


def _hosts_in(items: object, subject: str, leaf: str) -> Iterator[tuple[str, Place, str]]:
    for index, item in enumerate(items if isinstance(items, yamlmarks.Sequence) else ()):
        if isinstance(item, str) and isinstance(items, yamlmarks.Sequence):
            yield item, items.at(index), f"{subject}[{index}]"
        elif isinstance(item, yamlmarks.Mapping) and isinstance(item.get("host"), str):
            yield item["host"], item.at("host"), f"{subject}[{index}]{leaf}"


def routers(cluster: ClusterIntent) -> Iterator[tuple[str, Place, str]]:
    """Every host that a cluster names: the name, where, and the path of it."""
    for index, router in enumerate(cluster.controllers.members):
        yield router.host, router.at("host"), f"controllers.members[{index}]"
    for index, member in enumerate(cluster.home_agents):
        if isinstance(member, PairMember):
            for half, router in enumerate(member.hosts):
                yield router.host, router.at("host"), f"home_agents[{index}].hosts[{half}]"
        else:
            yield member.host, member.at("host"), f"home_agents[{index}].host"
    for index, backup in enumerate(cluster.backups):
        yield backup.host, backup.at("host"), f"backups[{index}]"
    for index, gateway in enumerate(cluster.gateways):
        for place, router in enumerate(gateway.hosts):
            yield router.host, router.at("host"), f"gateways[{index}].hosts[{place}]"


def _twice(clusters: Iterable[ClusterIntent]) -> Iterator[Problem]:
    """A cluster's name must be its own: group names and pool names are made from it."""
    first: dict[str, Place] = {}
    for cluster in clusters:
        place = cluster.at("cluster")
        if cluster.cluster in first:
            yield Problem(
                place, "cluster", f"{cluster.cluster!r} is the name of two clusters",
                also=(first[cluster.cluster],),
            )  # fmt: skip
        first.setdefault(cluster.cluster, place)


def secrets(
    clusters: Iterable[ClusterIntent], hosts: Iterable[HostFacts]
) -> dict[SecretRef, Place]:
    """Every secret that these clusters and the logins of these hosts refer to, and where first."""
    found: dict[SecretRef, Place] = {}

    def walk(node: object, place: Place) -> None:
        if isinstance(node, SecretRef):
            found.setdefault(node, place)
        elif isinstance(node, BaseModel):
            at = cast(Any, node).at
            for name in type(node).model_fields:
                walk(getattr(node, name), at(name))
        elif isinstance(node, tuple):
            for item in node:
                walk(item, place)

    hosts = tuple(hosts)
    linux = {host.name for host in hosts if host.platform is Platform.LINUX}
    for cluster in clusters:
        walk(cluster, cluster.place)
        if (link := cluster.link) is not None:
            for name in (host for host, _, _ in routers(cluster) if host in linux):
                for ref in (link.authority, link.certificate(name), link.key(name)):
                    found.setdefault(ref, link.at("certificates"))
    for host in hosts:
        logins = ((host.password, host.password_place), (host.enable, host.enable_place))
        for login, place in logins:
            if login is not None:
                found.setdefault(login, place)
    return found
