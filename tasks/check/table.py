"""Findings for people at a terminal: the worst first, router by router, and a line that sums up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from ..findings import Checked, Finding, Severity
from .baseline import Compared
from .spoken import visible

STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.MAJOR: "red",
    Severity.MINOR: "yellow",
    Severity.INFO: "dim",
}


def show(out: Console, checked: Checked, compared: Compared | None = None) -> None:
    """What counts, then what is waived, then what was left alone, then the sum."""
    for host, findings in _by_host(checked.counting):
        _say(out, host, "bold")
        for finding in findings:
            _show(out, finding, new=compared is not None and finding.fingerprint in compared.new)
    _show_infos(out, checked)
    waived = [one for one in checked.findings if one.waiver is not None]
    if waived:
        _say(out, "waived", "bold")
    for finding in waived:
        assert finding.waiver is not None
        waiver = finding.waiver
        _say(
            out,
            f"  {finding.host}: {finding.rule}: {finding.subject}: until {waiver.expires} "
            f"by {waiver.owner}, {waiver.reason} ({waiver.place})",
            "dim",
        )
    if checked.foreign:
        names = ", ".join(skipped.host for skipped in checked.foreign)
        _say(out, f"without intent, left alone: {names}", "dim")
    for finding in () if compared is None else compared.gone:
        _say(out, f"gone: {finding.host}: {finding.rule}: {finding.subject}", "dim")
    _say(out, summary(checked), "bold")
    if compared is not None:
        news = f"{len(compared.new)} new, {len(compared.gone)} gone"
        _say(out, f"since {compared.name}: {news}", "bold")


def _say(out: Console, text: str, style: str) -> None:
    out.print(Text(visible(text), style))


def _by_host(findings: Iterable[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """Routers in the order of their worst finding."""
    hosts: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda one: one.severity.rank):
        hosts.setdefault(finding.host or "the site", []).append(finding)
    yield from hosts.items()


def _show(out: Console, finding: Finding, *, new: bool) -> None:
    out.print(
        Text.assemble(
            "  ",
            ("new ", "bold") if new else "",
            (f"{finding.severity:<8} ", STYLES[finding.severity]),
            visible(f"{finding.rule:<20} {finding.message}"),
        )
    )
    evidence = [str(part) for part in (finding.intent, finding.device) if part is not None]
    if evidence:
        _say(out, f"{'':<32}{' <> '.join(evidence)}", "dim")
    for number, line in enumerate(finding.remedy.splitlines()):
        _say(out, f"{'':<32}{'  ' if number else ''}{line}", "green")


def _show_infos(out: Console, checked: Checked) -> None:
    """What is merely worth knowing: a line for each message, of all whom it is about."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in checked.findings:
        if one.waiver is None and not one.counts:
            alike.setdefault((one.rule, one.message), []).append(one.host)
    if alike:
        _say(out, "worth knowing", "bold")
    for (rule, message), hosts in alike.items():
        about = ", ".join(filter(None, hosts))
        _say(out, f"  {rule}: {f'{about}: ' if about else ''}{message}", "dim")


def summary(checked: Checked) -> str:
    """One line: `west: 5 routers, 2 critical, 1 major, 1 waived in 1.2 s`."""
    said = [f"{count} {severity}" for severity, count in checked.by_severity().items() if count]
    if not said and not checked.failed:
        said = ["as intended"]
    if checked.failed:
        said.insert(0, f"{len(checked.failed)} not reached")
    others = Counter(
        "waived" if one.waiver else "worth knowing" for one in checked.findings if not one.counts
    )
    said += [f"{count} {what}" for what, count in sorted(others.items())]
    routers = f"{len(checked.hosts)} router{'s' if len(checked.hosts) != 1 else ''}"
    return f"{', '.join(checked.clusters)}: {routers}, {', '.join(said)} in {checked.seconds:.1f} s"
