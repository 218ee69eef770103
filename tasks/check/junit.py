"""Findings as JUnit's XML, which every CI server shows: a suite a router, a case a finding.

JUnit has no standard. This keeps to the schema that Jenkins' xUnit plugin publishes (junit-10),
which GitLab, Azure and GitHub's actions read too. An area of a router in which nothing was found is
a case that passed, so that a router that is as it should be is seen to have been looked at. What is
waived is skipped; a router that could not be asked is an error.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from xml.etree import ElementTree

from ..findings import Area, Checked, Finding
from .baseline import Compared

# XML 1.0 has no way to write these, and a banner may have them (section 2.2 of it).
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(checked: Checked, areas: Collection[Area], compared: Compared | None = None) -> bytes:
    """The same run gives the same octets."""
    suites = ElementTree.Element("testsuites", {"name": "hacc check"})
    by_host: dict[str, list[Finding]] = {host: [] for host in checked.hosts}
    for finding in checked.findings:
        by_host.setdefault(finding.host or "the site", []).append(finding)
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for host, findings in by_host.items():
        quiet = areas if host in checked.hosts else ()
        suite = _suite(host, findings, quiet, checked.started, compared)
        suites.append(suite)
        for name in totals:
            totals[name] += int(suite.attrib[name])
    suites.attrib |= {name: str(count) for name, count in totals.items()}
    suites.set("time", f"{checked.seconds:.3f}")
    ElementTree.indent(suites, " ")
    text: bytes = ElementTree.tostring(suites, "utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(
    host: str,
    findings: Collection[Finding],
    areas: Collection[Area],
    started: str,
    compared: Compared | None,
) -> ElementTree.Element:
    cases = [_case(finding, compared) for finding in findings]
    cases += [
        ElementTree.Element("testcase", {"classname": f"{host}.{area}", "name": "as it should be"})
        for area in areas
        if not any(finding.area is area for finding in findings)
    ]
    counted = {
        kind: sum(case.find(kind) is not None for case in cases)
        for kind in ("failure", "error", "skipped")
    }
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": writable(host),
            "tests": str(len(cases)),
            "failures": str(counted["failure"]),
            "errors": str(counted["error"]),
            "skipped": str(counted["skipped"]),
            "timestamp": started[:19],
        },
    )
    suite.extend(cases)
    return suite


def _case(finding: Finding, compared: Compared | None) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        {
            "classname": writable(".".join(filter(None, (finding.host, finding.area)))),
            "name": writable(f"{finding.rule}: {finding.subject}"),
        },
    )
    known = compared is not None and finding.fingerprint not in compared.new
    if finding.waiver is not None:
        kind, message = (
            "skipped",
            f"waived until {finding.waiver.expires} by {finding.waiver.owner}",
        )
    elif not finding.counts:
        kind, message = "system-out", ""
    elif finding.area is Area.REACH:
        kind, message = "error", finding.message
    elif known and compared is not None:
        kind, message = "skipped", f"there since {compared.name}"
    else:
        kind, message = "failure", finding.message
    told = ElementTree.SubElement(case, kind)
    if kind != "system-out":
        told.attrib |= {"type": str(finding.severity), "message": writable(message)}
    told.text = writable(_text(finding))
    return case


def _text(finding: Finding) -> str:
    lines = [finding.message]
    if finding.intent is not None:
        lines.append(f"intent: {finding.intent}")
    if finding.device is not None:
        lines.append(f"router: {finding.device}")
    if finding.remedy:
        lines.append(f"remedy: {finding.remedy}")
    return "\n".join(lines)


def writable(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
