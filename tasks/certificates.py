"""`hacc pki`: the certificates by which a cluster's Linux routers know one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from . import pki
from .completing import hosts
from .ending import Finished
from .errors import Exit, HaccError, Place, Problem
from .intent import load_site, routers
from .inventory import nearest
from .options import DEFAULT_ROOT, AsJson, Clusters, InventoryRoot, print_json
from .pki import AUTHORITY, Certificate
from .rendered import Platform
from .report import console

app = typer.Typer(
    no_args_is_help=True,
    help="Certificates by which a cluster's Linux routers know one another. `hacc apply` "
    "brings them to the routers.",
)

Hosts = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ROUTER]...", autocompletion=hosts, help="Only these."),
]


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A cluster, its Linux routers, and where their certificates lie."""

    name: str
    hosts: tuple[str, ...]
    folder: Path

    def chosen(self, names: Collection[str]) -> tuple[str, ...]:
        return tuple(host for host in self.hosts if not names or host in names)


@app.command()
def init(
    root: InventoryRoot = DEFAULT_ROOT, cluster: Clusters = None, as_json: AsJson = False
) -> None:
    """Make each cluster's own authority, where there is none yet."""
    now = datetime.now(UTC)
    clusters = _clusters(root, cluster or ())
    new = [each for each in clusters if not (each.folder / f"{AUTHORITY}.pem").exists()]
    made = [(each.name, pki.create_authority(each.folder, each.name, now)) for each in new]
    _tell(made, now, as_json, nothing="every cluster has an authority; look: hacc pki show")


@app.command()
def issue(
    host: Hosts = None,
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    as_json: AsJson = False,
) -> None:
    """Make keys and certificates of routers, or of all that have none."""

    def wanted(each: _Cluster) -> Sequence[str]:
        return each.chosen(host) if host else pki.missing(each.folder, each.hosts)

    _issue(
        root, cluster or (), host or (), wanted, as_json,
        replace=False, nothing="every router has one; look: hacc pki show",
    )  # fmt: skip


@app.command()
def renew(
    host: Hosts = None,
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    as_json: AsJson = False,
) -> None:
    """Replace keys and certificates of routers, or of all whose time ends soon."""
    now = datetime.now(UTC)

    def wanted(each: _Cluster) -> Sequence[str]:
        if host:
            return each.chosen(host)
        old = {found.name for found in pki.certificates(each.folder) if found.state(now) != "valid"}
        return [name for name in each.hosts if name in old]

    _issue(
        root, cluster or (), host or (), wanted, as_json,
        replace=True, nothing="none ends soon; look: hacc pki show",
    )  # fmt: skip


@app.command()
def show(
    root: InventoryRoot = DEFAULT_ROOT, cluster: Clusters = None, as_json: AsJson = False
) -> None:
    """Say what there is and when it ends; end with 2 when something needs to be done."""
    now = datetime.now(UTC)
    clusters = _clusters(root, cluster or ())
    found = [(each.name, one) for each in clusters for one in pki.certificates(each.folder)]
    lacking = [
        (each.name, name)
        for each in clusters
        for name in pki.missing(each.folder, (AUTHORITY, *each.hosts))
    ]
    if as_json:
        missing = [{"cluster": name, "name": who, "state": "missing"} for name, who in lacking]
        print_json([*_values(found, now), *missing])
    else:
        _show(found, lacking, now)
    if lacking or any(one.state(now) != "valid" for _, one in found):
        raise Finished(Exit.CHANGES)


def issue_all(root: Path) -> list[Path]:
    """Authorities, keys and certificates of clusters that have none; where they lie."""
    now = datetime.now(UTC)
    folders = []
    for each in _clusters(root, ()):
        pki.create_authority(each.folder, each.name, now)
        for host in each.hosts:
            pki.issue(each.folder, each.name, host, now)
        folders.append(each.folder)
    return folders


def _clusters(root: Path, only: Collection[str]) -> list[_Cluster]:
    """Those that have a link. Raises HaccError when one that was named has none."""
    site = load_site(root)
    known = [cluster.cluster for cluster in site.clusters]
    problems = [
        Problem(
            Place(str(root / "clusters"), 0), name, "no such cluster", hint=nearest(name, known)
        )
        for name in only
        if name not in known
    ]
    linux = {h.name for h in site.inventory.hosts.values() if h.platform is Platform.LINUX}
    found = []
    for cluster in site.clusters:
        if only and cluster.cluster not in only:
            continue
        if cluster.link is None:
            problems.append(
                Problem(
                    cluster.place,
                    cluster.cluster,
                    "its routers have no link, so they need no certificates",
                    hint=f"add link: {{certificates: pki/{cluster.cluster}}}",
                )
            )
            continue
        hosts = tuple(name for name, _, _ in routers(cluster) if name in linux)
        found.append(_Cluster(cluster.cluster, hosts, root / cluster.link.certificates))
    if problems and (only or not found):
        raise HaccError(problems)
    return found


def _issue(
    root: Path,
    only: Collection[str],
    names: Collection[str],
    wanted: Callable[[_Cluster], Sequence[str]],
    as_json: bool,
    *,
    replace: bool,
    nothing: str,
) -> None:
    now = datetime.now(UTC)
    clusters = _clusters(root, only)
    known = [host for each in clusters for host in each.hosts]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise HaccError(
            Problem(
                None, name, "no Linux router of a cluster with a link", hint=nearest(name, known)
            )
            for name in unknown
        )
    made: list[tuple[str, Certificate]] = []
    problems: list[Problem] = []
    for each in clusters:
        for name in wanted(each):
            try:
                made.append(
                    (each.name, pki.issue(each.folder, each.name, name, now, replace=replace))
                )
            except pki.PkiError as error:
                problems += error.problems
    if made or not problems:
        _tell(made, now, as_json, nothing=nothing)
    if problems:
        raise pki.PkiError(dict.fromkeys(problems))


def _values(found: Sequence[tuple[str, Certificate]], now: datetime) -> Iterator[dict[str, Any]]:
    for cluster, certificate in found:
        yield {
            "cluster": cluster,
            "state": certificate.state(now),
            **dataclasses.asdict(certificate),
        }


def _tell(
    made: Sequence[tuple[str, Certificate]], now: datetime, as_json: bool, *, nothing: str
) -> None:
    """What was done."""
    if as_json:
        print_json(list(_values(made, now)))
        return
    for cluster, certificate in made:
        typer.echo(f"{cluster}: {certificate.name}: {certificate.file}, {_until(certificate, now)}")
    if not made:
        typer.echo(nothing)
    elif any(certificate.name != AUTHORITY for _, certificate in made):
        typer.echo("To the routers with: hacc apply", err=True)


def _show(
    found: Sequence[tuple[str, Certificate]], lacking: Sequence[tuple[str, str]], now: datetime
) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("cluster", "name", "state", "until", "SHA-256"):
        table.add_column(title)
    for cluster, one in found:
        table.add_row(
            cluster, one.name, one.state(now), f"{one.ends:%Y-%m-%d}", f"{one.sha256[:16]}..."
        )
    for cluster, name in lacking:
        table.add_row(cluster, name, "missing", "", "")
    console().print(table)


def _until(certificate: Certificate, now: datetime) -> str:
    return f"{(certificate.ends - now).days} days, until {certificate.ends:%Y-%m-%d}"
