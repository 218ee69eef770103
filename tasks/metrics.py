"""A check for Prometheus: a file that node_exporter's textfile collector reads.

The format is Prometheus' own (https://prometheus.io/docs/instrumenting/exposition_formats/), the
names follow its conventions: base units, the unit at the end, `_info` for what is only labels.
Every finding that could be counted is there with a 0, so that an alert has something to compare.
What to alert on: hacc_check_findings{severity="critical"} > 0, hacc_check_hosts{state="failed"} > 0
and time() - hacc_check_last_run_timestamp_seconds, since a check that does not run finds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path

from . import durable
from .errors import HaccError, Place, Problem
from .findings import Area, Checked, Severity

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Family:
    """A gauge: what it is called, what it means, its samples."""

    name: str
    help: str
    samples: Sequence[tuple[Labels, float]]

    def __str__(self) -> str:
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} gauge"]
        lines += [f"{self.name}{_labels(labels)} {value:.15g}" for labels, value in self.samples]
        return "\n".join(lines)


def exposition(checked: Checked) -> str:
    """The text of the file. The same run gives the same octets."""
    return "".join(f"{family}\n" for family in _families(checked))


def check_name(path: Path) -> None:
    """Raises HaccError for a file that node_exporter would pass over."""
    if path.suffix != ".prom":
        raise HaccError(
            Problem(Place(str(path), 0), "--metrics", "node_exporter would not read it",
                    allowed="a file that ends in .prom")
        )  # fmt: skip


def write(path: Path, checked: Checked) -> None:
    """Put it in place in one step: a collector never reads half of it."""
    durable.write(path, exposition(checked).encode(), mode=0o644)


def _families(checked: Checked) -> Iterator[_Family]:
    found = Counter((f.cluster, str(f.area), str(f.severity)) for f in checked.counting)
    # A finding of the site as a whole belongs to no cluster.
    clusters = sorted({*checked.clusters, *(cluster for cluster, _, _ in found)})
    every = product(clusters, map(str, Area), map(str, Severity))
    yield _Family(
        "hacc_check_findings",
        "Findings that count, of the last check.",
        [
            ({"cluster": c, "area": a, "severity": s}, found[c, a, s])
            for c, a, s in every
            if s != Severity.INFO  # these never count
        ],
    )
    waived = Counter(finding.cluster for finding in checked.findings if finding.waiver is not None)
    yield _Family(
        "hacc_check_waived_findings",
        "Findings that somebody answers for until a day.",
        [({"cluster": cluster}, waived[cluster]) for cluster in clusters],
    )
    yield _Family(
        "hacc_check_hosts",
        "Routers by what became of asking them; foreign ones have no intent.",
        [
            ({"state": "judged"}, len(checked.hosts)),
            ({"state": "failed"}, len(checked.failed)),
            ({"state": "foreign"}, len(checked.foreign)),
        ],
    )
    yield _Family(
        "hacc_check_last_run_timestamp_seconds",
        "When the last check began, in Unix time.",
        [({}, datetime.fromisoformat(checked.started).timestamp())],
    )
    yield _Family(
        "hacc_check_duration_seconds", "How long the last check took.", [({}, checked.seconds)]
    )
    yield _Family(
        "hacc_check_exit_code",
        "How the last check ended: 0 as intended, 2 findings, 3 a router could not be asked.",
        [({}, int(checked.exit))],
    )
    yield _Family(
        "hacc_check_intent_info",
        "The intent that the last check judged by.",
        [({"sha256": checked.intent_sha256}, 1)],
    )


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
