"""Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the intent's lines.

What a finding points to is the line of the intent that wants it otherwise: that is what a review
sees. The router's line stands in a logical location and in the properties. Section numbers below
are of the standard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from hacc_agent import __version__

from ..errors import Place
from ..findings import Checked, Finding, Severity
from .baseline import Compared

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"

_LEVELS: Final[Mapping[Severity, str]] = {  # 3.27.10
    Severity.CRITICAL: "error",
    Severity.MAJOR: "error",
    Severity.MINOR: "warning",
    Severity.INFO: "note",
}


def sarif(
    checked: Checked, sentences: Mapping[str, str], compared: Compared | None = None
) -> bytes:
    """`sentences` tells what each rule asserts, by its id."""
    used = sorted({*(one.rule for one in checked.findings), *(_gone(compared))})
    indices = {rule: index for index, rule in enumerate(used)}
    results = [_result(one, indices, compared) for one in checked.findings]
    if compared is not None:
        results += [
            {**_result(one, indices, None), "baselineState": "absent"} for one in compared.gone
        ]
    run = {
        "tool": {
            "driver": {
                "name": "hacc",
                "semanticVersion": __version__,
                "rules": [
                    {"id": rule, "shortDescription": {"text": sentences.get(rule, rule)}}
                    for rule in used
                ],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not checked.failed,
                "startTimeUtc": checked.started.replace("+00:00", "Z"),
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": "; ".join(map(str, one.problems)) or one.host},
                    }
                    for one in checked.failed
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "properties": {
            "clusters": list(checked.clusters),
            "hosts": list(checked.hosts),
            "intentSha256": checked.intent_sha256,
        },
        "results": results,
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1).encode() + b"\n"


def _gone(compared: Compared | None) -> set[str]:
    return {one.rule for one in compared.gone} if compared else set()


def _result(
    finding: Finding, indices: Mapping[str, int], compared: Compared | None
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": indices[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(finding)],
        "partialFingerprints": {"hacc/v1": finding.fingerprint},  # 3.27.17
        "properties": {
            "severity": str(finding.severity),
            "area": str(finding.area),
            "cluster": finding.cluster,
            "host": finding.host,
            "subject": finding.subject,
        },
    }
    if finding.device is not None:
        result["properties"]["routerLine"] = str(finding.device)
    if finding.waiver is not None:  # 3.35
        waiver = finding.waiver
        result["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": f"{waiver.reason} ({waiver.owner}, until {waiver.expires})",
                "location": {"physicalLocation": _physical(waiver.place)},
            }
        ]
    else:
        # 3.27.23: none, said aloud: nobody has suppressed it
        result["suppressions"] = []
    if compared is not None:  # 3.27.24; what does not count was never compared
        new = finding.fingerprint in compared.new or not finding.counts
        result["baselineState"] = "new" if new else "unchanged"
    return result


def _message(finding: Finding) -> str:
    host = f"{finding.host}: " if finding.host else ""
    remedy = f"\nRemedy: {finding.remedy}" if finding.remedy else ""
    return f"{host}{finding.message}{remedy}"


def _location(finding: Finding) -> dict[str, Any]:
    place: dict[str, Any] = {
        "logicalLocations": [
            {
                "name": finding.host or "site",
                "fullyQualifiedName": "/".join(filter(None, (finding.cluster, finding.host)))
                or "site",
                "kind": "resource",
            }
        ]
    }
    if finding.intent is not None:
        place["physicalLocation"] = _physical(finding.intent)
    return place


def _physical(place: Place) -> dict[str, Any]:
    """Relative names are relative to where the command ran: the repository (3.4.3)."""
    path = Path(place.file)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    found: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if place.line:
        found["region"] = {"startLine": place.line}
    return found
