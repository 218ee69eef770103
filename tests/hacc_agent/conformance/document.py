"""`docs/conformance.md`, from the rows: python -m tests.hacc_agent.conformance.document"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from hacc_agent.engine.home_agent.decisions import RULES
from hacc_agent.wire import ReplyCode
from tests.hacc_agent.conformance import (  # noqa: F401  # they add their rows
    bindings,
    others,
    replays,
    revocations,
    tunnelling,
    validity,
)
from tests.hacc_agent.conformance.rows import ROWS

PATH = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"

TITLES = {
    2794: "Mobile IP Network Access Identifier Extension for IPv4",
    3024: "Reverse Tunneling for Mobile IP, revised",
    3115: "Mobile IP Vendor/Organization-Specific Extensions",
    3519: "Mobile IP Traversal of Network Address Translation Devices",
    3543: "Registration Revocation in Mobile IPv4",
    4433: "Mobile IPv4 Dynamic Home Agent Assignment",
    4721: "Mobile IPv4 Challenge/Response Extensions (Revised)",
    5177: "Network Mobility Extensions for Mobile IPv4",
    5944: "IP Mobility Support for IPv4, Revised",
}

HEAD = """\
# What a Home Agent of ours does, and where it is written

Made of the tests: each row below is one of them, and `pytest tests/hacc_agent/conformance -k ID`
performs it. Where two RFCs, or two sections of one, contradict each other, both readings are rows;
the reading that a row needs is in its last column, as in `[readings]` of `agent.toml`.

Every packet that any row sends is decoded by Wireshark without a flaw. Every authenticator is
checked by code that shares nothing with the one that made it.

## The decision list

Rules in the order in which they are asked; the first one that is broken decides.
"""


def text() -> str:
    parts = [HEAD, _table(("rule", "where", "consequence", "of deregistrations too"), _rules())]
    chosen = sorted(ROWS, key=lambda row: (-row.rfc, _section(row.section)))
    for rfc, rows in groupby(chosen, key=lambda row: row.rfc):
        parts.append(f"\n## RFC {rfc}: {TITLES[rfc]}\n")
        cells: list[tuple[str, ...]] = [
            (row.section.split("-")[1], f"`{row.id}`", row.says, row.reading) for row in rows
        ]
        parts.append(_table(("section", "test", "what it shows", "reading"), cells))
    return "\n".join(parts)


def _section(section: str) -> list[int]:
    return [int(part) for part in section.split("-")[1].split(".")]


def _rules() -> list[tuple[str, ...]]:
    return [
        (
            rule.name,
            rule.section,
            f"{int(rule.consequence)}: {rule.consequence.meaning}"
            if isinstance(rule.consequence, ReplyCode)
            else rule.consequence.value,
            "yes" if rule.of_deregistrations else "",
        )
        for rule in RULES
    ]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
