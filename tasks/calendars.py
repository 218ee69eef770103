"""Whose maintenance windows are whose: a cluster's own, else those of its routers.

A cluster says `windows:` in its intent. A router has those that the inventory gives it as
`data: windows:`, which it may have from a group of Nornir's, or from the defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .errors import HaccError, Problem
from .intent import Site
from .inventory import HostFacts
from .model import ClusterModel
from .windows import FORM, Calendar, Window, parse


def calendar(site: Site, clusters: Iterable[ClusterModel]) -> Calendar:
    """The windows of these clusters' routers. Raises HaccError with what is wrong of them."""
    problems: list[Problem] = []
    windows: dict[str, tuple[Window, ...]] = {}
    for cluster in clusters:
        own = site.cluster(cluster.name).windows
        for device in cluster.devices:
            windows[device.host] = own or tuple(_of(site.inventory[device.host], problems))
    if problems:
        raise HaccError(dict.fromkeys(problems))
    return Calendar(windows)


def _of(facts: HostFacts, problems: list[Problem]) -> Iterator[Window]:
    given = facts.data.get("windows") or ()
    for text in [given] if isinstance(given, str) else given:
        try:
            yield parse(text if isinstance(text, str) else "")
        except ValueError as error:
            problems.append(
                Problem(facts.place, f"{facts.name}.data.windows", f"{text!r} {error}", FORM)
            )
