"""The same for Prometheus: names, units and labels as its conventions have them.

https://prometheus.io/docs/practices/naming/: base units, `_total` for what only grows, `_info` for
what is only labels, a share as a ratio. What is not known has no sample, so that nothing is
compared with a 0 that nobody has measured. The tables below are the whole list; docs/live-view.md,
the dashboard and the alerts are held against it by tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from .documents import Document
from .feed import Look

STATES: Final = ("unknown", "up", "failing", "down", "held", "draining", "maintenance")
"""Of members: `engine.health.State`, which this process has no use for beside."""

Read = Callable[[Look], float | None]


def _status(name: str) -> Read:
    def read(look: Look) -> float | None:
        value: float | None = look.status[name]
        return value

    return read


ROUTER: Final[Mapping[str, tuple[str, Read]]] = {
    "hacc_agent_start_time_seconds": ("When the daemon started, Unix time.", _status("since")),
    "hacc_agent_memory_max_bytes": (
        "The most memory that the daemon has had.",
        lambda look: look.status["memory_mib"] * 2.0**20,
    ),
    "hacc_controller_leads": (
        "Whether this controller decides: 1 on one of a pair.",
        lambda look: float(look.status["decides"]),
    ),
    "hacc_bindings": ("Mobile nodes that are bound.", _status("bindings")),
    "hacc_bindings_pending": ("Registrations that wait for a reply.", _status("pending")),
    "hacc_bindings_limit": ("Bindings that there is room for.", _status("capacity")),
    "hacc_journal_healthy": (
        "Whether bindings are safe on disk.",
        lambda look: float(not look.status["journal_trouble"]),
    ),
    "hacc_journal_followers": (
        "Standby controllers that get every binding.",
        lambda look: float(len(look.status["standbys"])),
    ),
    "hacc_drill_running": (
        "Whether a failure is being rehearsed: alerts are expected.",
        lambda look: float(look.status["drill"] is not None),
    ),
}
"""Of the router as a whole: gauges without labels."""


def _member(name: str, share: float = 1.0) -> Callable[[Document], float | None]:
    def read(member: Document) -> float | None:
        value = member[name]
        return None if value is None else float(value) * share

    return read


MEMBERS: Final[Mapping[str, tuple[str, Callable[[Document], float | None]]]] = {
    "hacc_member_bindings": ("Bindings that a member serves.", _member("bindings")),
    "hacc_member_bindings_pending": ("Registrations that it has to answer.", _member("pending")),
    "hacc_member_bindings_limit": ("Bindings that it has room for.", _member("capacity")),
    "hacc_member_slots": ("Slots that it serves.", _member("slots")),
    "hacc_member_load_ratio": (
        "What new mobile nodes are placed by: the least loaded member gets them.",
        _member("load"),
    ),
    "hacc_member_open": (
        "Whether it gets mobile nodes that nobody serves yet.",
        lambda member: float(not member["closed"]),
    ),
    "hacc_member_linked": (
        "Whether the controller has a connection to its agent.",
        lambda member: None if member["kind"] != "linux" else float(member["linked"]),
    ),
    "hacc_member_cpu_ratio": ("Processor in use.", _member("cpu_percent", 0.01)),
    "hacc_member_memory_free_ratio": ("Memory free.", _member("memory_free_percent", 0.01)),
    "hacc_member_registrations_per_second": (
        "Registrations, as the member counts them.",
        _member("registrations_per_s"),
    ),
    "hacc_member_heard_timestamp_seconds": (
        "When its figures were true, Unix time, to 5 s.",
        _member("heard_at"),
    ),
}
"""Of each member: gauges with the label `member`."""

COUNTERS: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "hacc_requests": (
        "Registration Requests, by what became of them.",
        "result",
        {
            "relayed": "relayed",
            "duplicates": "duplicate",
            "refused": "refused",
            "repeated": "repeated",
            "redirected": "redirected",
            "unanswered": "unanswered",
            "malformed": "malformed",
            "unidentified": "unidentified",
        },
    ),
    "hacc_replies": (
        "Registration Replies, by what became of them.",
        "result",
        {
            "accepted": "accepted",
            "deregistered": "deregistered",
            "denied": "denied",
            "unexpected_replies": "unexpected",
            "wrong_member": "wrong_member",
            "retracted": "retracted",
        },
    ),
    "hacc_pending": (
        "Requests that waited too long, by what was done.",
        "act",
        {"resent": "resent", "moved": "moved", "given_up": "given_up", "superseded": "superseded"},
    ),
    "hacc_bindings_ended": (
        "Bindings that ended otherwise than by their mobile node.",
        "reason",
        {"expired": "expired", "summoned": "summoned"},
    ),
    "hacc_relayed": (
        "Datagrams beside registrations.",
        "kind",
        {
            "revocations": "revocation",
            "tunnel_data": "tunnel_data",
            "unknown_mobile": "unknown_mobile",
        },
    ),
}
"""The engine's counters (`engine.cluster.counters`): family, label, its values."""

TRAFFIC: Final = ("received", "sent", "unsent", "oversized", "odd")


@dataclass(slots=True)
class Meters:
    """What the API counts of itself."""

    answers: Counter[str] = field(default_factory=Counter)  # by status
    refusals: Counter[str] = field(default_factory=Counter)  # by reason


class _Exposition(Collector):
    def __init__(self, look: Look | None, meters: Meters, listeners: int) -> None:
        self._look, self._meters, self._listeners = look, meters, listeners

    def collect(self) -> Iterator[Metric]:
        look = self._look
        yield _gauge("hacc_agent_up", "Whether the daemon answers.", float(look is not None))
        yield _gauge("hacc_api_listeners", "Listeners of the stream.", float(self._listeners))
        yield _counted("hacc_api_answers", "Answers.", "status", self._meters.answers)
        yield _counted("hacc_api_refusals", "Refusals.", "reason", self._meters.refusals)
        if look is not None:
            yield from _of_router(look)
            yield from _of_members(look.members.values())


def exposition(look: Look | None, meters: Meters, listeners: int) -> bytes:
    """The text of /metrics; `look` is None while the daemon does not answer."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Exposition(look, meters, listeners))
    return generate_latest(registry)


def _of_router(look: Look) -> Iterator[Metric]:
    told = look.told
    info = GaugeMetricFamily(
        "hacc_agent_info", "Who and what it is.", labels=("router", "cluster", "role", "version")
    )
    info.add_metric([told["name"], told["cluster"], told["role"], told["version"]], 1.0)
    yield info
    for name, (what, read) in ROUTER.items():
        value = read(look)
        if value is not None:
            yield _gauge(name, what, value)
    behind = GaugeMetricFamily(
        "hacc_journal_follower_behind_groups",
        "Groups of records that a standby controller has not confirmed.",
        labels=("follower",),
    )
    for each in look.status["standbys"]:
        behind.add_metric([each["name"]], each["groups_behind"])
    yield behind
    for name, (what, label, values) in COUNTERS.items():
        counters = {
            to: told["counters"][field] for field, to in values.items() if field in told["counters"]
        }
        yield _counted(name, what, label, counters)
    yield from _of_sockets(told)


def _of_sockets(told: Mapping[str, Any]) -> Iterator[Metric]:
    traffic = CounterMetricFamily(
        "hacc_datagrams", "Datagrams of each socket.", labels=("socket", "kind")
    )
    for name, each in told["traffic"].items():
        for kind in TRAFFIC:
            traffic.add_metric([name, kind], each[kind])
    yield traffic
    dropped = "Datagrams that came faster than they were taken."
    yield CounterMetricFamily("hacc_datagrams_dropped", dropped, value=told["dropped"])
    lines = "Lines of the log that nobody had room for."
    yield CounterMetricFamily("hacc_log_lines_unwritten", lines, value=told["unwritten_lines"])
    heard = told["neighbours"]
    if heard is not None:
        family = GaugeMetricFamily(
            "hacc_lan_neighbours", "Routers on the cluster's LANs.", labels=("verdict",)
        )
        for verdict in ("expected", "missing", "stranger", "impostor"):
            family.add_metric([verdict], heard[verdict])
        yield family


def _of_members(members: Iterable[Document]) -> Iterator[Metric]:
    listed = list(members)
    state = GaugeMetricFamily(
        "hacc_member_state", "1 for the state that a member is in.", labels=("member", "state")
    )
    for member in listed:
        for each in STATES:
            state.add_metric([member["name"], each], float(member["state"] == each))
    yield state
    for name, (what, read) in MEMBERS.items():
        family = GaugeMetricFamily(name, what, labels=("member",))
        for member in listed:
            value = read(member)
            if value is not None:
                family.add_metric([member["name"]], value)
        yield family


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _counted(name: str, what: str, label: str, counted: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, what, labels=(label,))
    for value, count in sorted(counted.items()):
        family.add_metric([value], count)
    return family
