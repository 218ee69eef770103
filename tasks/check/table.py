"""Findings for people at a terminal: the worst first, router by router, and a line that sums up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from ..findings import Checked, Finding, Severity

STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.MAJOR: "red",
    Severity.MINOR: "yellow",
    Severity.INFO: "dim",
}


def show(out: Console, checked: Checked) -> None:
    """What counts, then what is waived, then what was left alone, then the sum."""
    for host, findings in _by_host(one for one in checked.findings if one.waiver is None):
        out.print(Text(host, "bold"))
        for finding in findings:
            _show(out, finding)
    waived = [one for one in checked.findings if one.waiver is not None]
    if waived:
        out.print(Text("waived", "bold"))
    for finding in waived:
        assert finding.waiver is not None
        out.print(
            Text(
                f"  {finding.host}: {finding.rule}: {finding.subject}: until "
                f"{finding.waiver.expires} by {finding.waiver.owner}, {finding.waiver.reason} "
                f"({finding.waiver.place})",
                "dim",
            )
        )
    if checked.foreign:
        names = ", ".join(skipped.host for skipped in checked.foreign)
        out.print(Text(f"without intent, left alone: {names}", "dim"))
    out.print(Text(summary(checked), "bold"))


def _by_host(findings: Iterable[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """Routers in the order of their worst finding."""
    hosts: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda one: one.severity.rank):
        hosts.setdefault(finding.host or "the site", []).append(finding)
    yield from hosts.items()


def _show(out: Console, finding: Finding) -> None:
    text = Text("  ")
    text.append(f"{finding.severity:<8} ", STYLES[finding.severity])
    text.append(f"{finding.rule:<20} {finding.message}")
    out.print(text)
    evidence = [str(part) for part in (finding.intent, finding.device) if part is not None]
    if evidence:
        out.print(Text(f"{'':<32}{' <> '.join(evidence)}", "dim"))
    for number, line in enumerate(finding.remedy.splitlines()):
        out.print(Text(f"{'':<32}{'  ' if number else ''}{line}", "green"))


def summary(checked: Checked) -> str:
    """One line: `west: 5 routers, 2 critical, 1 major, 1 waived in 1.2 s`."""
    counted = [f"{count} {severity}" for severity, count in checked.by_severity().items() if count]
    others = Counter(
        "waived" if one.waiver else "worth knowing" for one in checked.findings if not one.counts
    )
    said = [*counted, *(f"{count} {what}" for what, count in sorted(others.items()))]
    if checked.failed:
        said.append(f"{len(checked.failed)} not reached")
    return (
        f"{', '.join(checked.clusters)}: {len(checked.hosts)} routers, "
        f"{', '.join(said) or 'as intended'} in {checked.seconds:.1f} s"
    )
