"""Findings as one page that stands by itself: no other file, no network, nothing to install."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..findings import Checked, Finding, Severity
from ..provenance import TEMPLATES
from .baseline import Compared
from .table import summary


def page(
    checked: Checked,
    sentences: Mapping[str, str],
    compared: Compared | None = None,
    chart: str = "",
) -> bytes:
    """`chart` is an SVG of the checks before this one, or nothing. The rest is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "report", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    waived = [one for one in checked.findings if one.waiver is not None]
    shown = [one for one in checked.findings if one.waiver is None]
    text = environment.get_template("check.html.j2").render(
        checked=checked,
        summary=summary(checked),
        severities=[*Severity],
        counts=Counter(one.severity for one in shown),
        hosts=sorted({host for one in shown for host in _hosts(one)}),
        findings=shown,
        hosts_of=_hosts,
        waived=waived,
        sentences=sentences,
        new=compared.new if compared else frozenset(),
        compared=compared,
        chart=chart,
    )
    return text.encode()


def _hosts(finding: Finding) -> list[str]:
    return finding.host.split(", ") if finding.host else ["the site"]
