"""`hacc status`: what the controllers of each cluster know now, once or for as long as one looks.

The same as the live view shows, over the sessions that every other command uses: it needs no API.
A cluster is well when one controller decides, the others follow it, and every member is up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from . import pipeline
from .devices.fleet import Failure, Fleet
from .devices.router import Router
from .ending import Finished
from .errors import Exit
from .model import ClusterModel, Role
from .options import DEFAULT_ROOT, AsJson, Clusters, InventoryRoot, Strict, print_json
from .progress import Progress
from .report import console

EVENTS: Final = 8  # that are shown below the members
INTERVAL_S: Final = 2.0  # between two looks of --watch
QUESTION: Final = f"hacc-agent status --json; hacc-agent events --json --limit {EVENTS}"
UNWELL: Final = {"down": "red", "failing": "yellow", "held": "yellow"}
ORDERED: Final = {"draining": "yellow", "maintenance": "dim", "unknown": "dim"}
SIGNS: Final = {
    "up": "●",
    "unknown": "○",
    "failing": "▲",
    "held": "◆",
    "draining": "◐",
    "maintenance": "■",
    "down": "✕",
}
"""As on the page: a state is a shape too."""

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """A cluster at one moment."""

    cluster: str
    controllers: Mapping[str, Told | str]  # what its daemon says, or why it says nothing
    events: Sequence[Told]  # of who decides, the latest last
    linked: bool  # controllers without a link know nothing of each other: each decides

    @property
    def leaders(self) -> list[str]:
        told = self.controllers.items()
        return [name for name, each in told if not isinstance(each, str) and each["log"]["leads"]]

    @property
    def view(self) -> Told | None:
        """Of the controller that decides; of any that answers, if none does."""
        answers = [each for each in self.controllers.values() if not isinstance(each, str)]
        return next((each for each in answers if each["log"]["leads"]), next(iter(answers), None))

    @property
    def troubles(self) -> list[str]:
        """What is not as it should be."""
        found = [f"{name}: {why}" for name, why in self.controllers.items() if isinstance(why, str)]
        leaders, view = self.leaders, self.view
        if view is None:
            return found
        if not leaders or (self.linked and len(leaders) > 1):
            found.append(f"{', '.join(leaders) or 'nobody'} decides")
        if view["log"]["trouble"]:
            found.append(f"{view['name']}: journal: {view['log']['trouble']}")
        following = {each["name"] for each in view["log"]["followers"]}
        alone = [name for name in self.controllers if name not in (*following, view["name"])]
        if leaders and self.linked:
            found += [f"{name} does not follow {view['name']}" for name in alone]
        found += [
            f"{each['name']} is {each['state']}: {each['why']}"
            for each in view["members"]
            if each["state"] in UNWELL
        ]
        return found

    @property
    def exit(self) -> Exit:
        if any(isinstance(each, str) for each in self.controllers.values()):
            return Exit.DEVICE
        return Exit.CHANGES if self.troubles else Exit.OK

    def to_json(self) -> dict[str, Any]:
        return {
            "cluster": self.cluster,
            "leaders": self.leaders,
            "troubles": self.troubles,
            "controllers": dict(self.controllers),
            "events": list(self.events),
        }


def status(
    root: InventoryRoot = DEFAULT_ROOT,
    cluster: Clusters = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")
    ] = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Show what the controllers know: members with load and health, bindings, events."""
    prepared = pipeline.prepare(root, cluster or ())
    opened = pipeline.open_secrets(prepared)
    with (
        Progress(as_json=as_json) as progress,
        pipeline.fleet(prepared, opened, strict=strict, listeners=(progress.listen,)) as routers,
    ):
        found = look(prepared.clusters, routers)
    if watch:
        with pipeline.fleet(prepared, opened, strict=strict) as routers:
            found = _watch(prepared.clusters, routers, found, as_json=as_json)
    elif as_json:
        print_json([each.to_json() for each in found])
    else:
        console().print(_shown(found))
    worst = max((each.exit for each in found), default=Exit.OK)
    if worst is not Exit.OK:
        raise Finished(worst)


def look(clusters: Sequence[ClusterModel], routers: Fleet) -> list[Standing]:
    """Asks every controller once, all at the same time. Changes nothing."""
    asked = {
        device.host: cluster.name
        for cluster in clusters
        for device in cluster.devices
        if device.role is Role.CONTROLLER and device.agent is not None
    }

    def visit(router: Router, _host: str) -> str:
        return router.run(QUESTION)

    answers = dict(routers.run(visit, [*asked]))
    return [
        standing(
            cluster.name,
            {host: answers[host] for host, name in asked.items() if name == cluster.name},
            linked=any(device.link is not None for device in cluster.devices),
        )
        for cluster in clusters
    ]


def standing(
    cluster: str, answers: Mapping[str, str | Failure], *, linked: bool = True
) -> Standing:
    """What the controllers' answers mean together."""
    controllers: dict[str, Told | str] = {}
    events: dict[str, list[Told]] = {}
    for host, answer in answers.items():
        if isinstance(answer, Failure):
            controllers[host] = "; ".join(problem.message for problem in answer.error.problems)
            continue
        told, rest = _read(answer)
        controllers[host] = told
        events[host] = rest
    view = Standing(cluster, controllers, (), linked).view
    known = () if view is None else events[str(view["name"])]
    return Standing(cluster, controllers, known, linked)


def _read(answer: str) -> tuple[Told | str, list[Told]]:
    """The daemon's status, or what was said in its place, and events."""
    told: list[Told] = []
    words: list[str] = []
    for line in answer.splitlines():
        try:
            told.append(json.loads(line))
        except ValueError:
            words += [line.strip()] if line.strip() else []
    if told and "members" in told[0]:
        return told[0], [each for each in told[1:] if "event" in each]
    return next(iter(words), "no answer"), []


# ------------------------------------------------------------------ shown


def _watch(
    clusters: Sequence[ClusterModel], routers: Fleet, found: list[Standing], *, as_json: bool
) -> list[Standing]:
    """Until Ctrl-C, which is how one stops looking, and no failure; what was seen last."""
    try:
        if as_json:
            while True:
                typer.echo(json.dumps([each.to_json() for each in found]))
                time.sleep(INTERVAL_S)
                found = look(clusters, routers)
        with Live(_shown(found), console=console(), screen=console().is_terminal) as live:
            while True:
                time.sleep(INTERVAL_S)
                found = look(clusters, routers)
                live.update(_shown(found))
    except KeyboardInterrupt:
        return found


def _shown(found: Sequence[Standing]) -> RenderableType:
    return Group(*(part for each in found for part in _parts(each)))


def _parts(found: Standing) -> Iterator[RenderableType]:
    view = found.view
    decides = ", ".join(found.leaders) or "nobody"
    head = Text.assemble((found.cluster, "bold"), f"  {decides} decides")
    if view is not None:
        head.append(
            f"  {view['bindings']:,} bindings of {view['capacity']:,}, {view['pending']:,} pending"
        )
    yield head
    for trouble in found.troubles:
        yield Text(f"  {trouble}", "red")
    if view is None:
        return
    yield _members(view["members"])
    for event in found.events:
        yield _event(event)
    yield Text()


def _members(members: Sequence[Told]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("", "MEMBER", "STATE"):
        table.add_column(title)
    for title in ("BINDINGS", "PENDING", "LOAD", "CPU", "FREE", "RATE", "SEEN"):
        table.add_column(title, justify="right")
    table.add_column("")
    for each in members:
        state = each["state"]
        style = UNWELL.get(state) or ORDERED.get(state, "green")
        figures = each["figures"] or {}
        notes = ["backup"] if each["backup"] else []
        notes += ["bindings under way"] if each["transferring"] else []
        notes += [each["why"]] if state != "up" else []
        table.add_row(
            Text(SIGNS[state], style),
            each["name"],
            Text(state, style),
            f"{each['bindings']:,}",
            f"{each['pending']:,}",
            f"{each['load']:.3f}",
            _figure(figures.get("cpu_percent"), " %"),
            _figure(figures.get("memory_free_percent"), " %"),
            _figure(figures.get("registrations_per_s"), "/s"),
            f"{figures['age_s']:.0f}s" if figures else "-",
            Text("; ".join(notes)),
        )
    return table


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f}{unit}"


def _event(told: Told) -> Text:
    at = datetime.fromtimestamp(told["at"], UTC).isoformat(timespec="milliseconds")
    more = [f"{k}={v}" for k, v in told.items() if k not in ("id", "at", "event") and v != ""]
    return Text.assemble((f"  {at[11:23]}Z ", "dim"), told["event"], (f" {' '.join(more)}", "dim"))
