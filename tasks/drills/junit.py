"""A run of a drill as JUnit's XML: a suite a drill, a case for each line of its verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

from ..check.junit import writable
from .keeping import Run


def junit(run: Run) -> bytes:
    """The same run gives the same octets."""
    verdict, name = run.verdict, writable(run.drill.name)
    counted = {
        "tests": str(len(verdict.checks)),
        "failures": str(len(verdict.broken)),
        "errors": "0",
        "time": f"{run.measured.seconds:.3f}",
    }
    suites = ElementTree.Element("testsuites", {"name": "hacc drill", **counted})
    began = datetime.fromtimestamp(run.measured.began, UTC)
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        {"name": name, "skipped": "0", "timestamp": f"{began:%Y-%m-%dT%H:%M:%S}", **counted},
    )
    for check in verdict.checks:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": f"{name}.{run.measured.stage}", "name": writable(check.what)},
        )
        if not check.ok:
            message = writable(f"{check.found}, limit {check.limit}")
            failure = {"type": "budget", "message": message}
            ElementTree.SubElement(case, "failure", failure).text = message
    ElementTree.indent(suites, " ")
    text: bytes = ElementTree.tostring(suites, "utf-8", xml_declaration=True)
    return text + b"\n"
