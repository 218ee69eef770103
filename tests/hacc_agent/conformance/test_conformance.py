"""Every row of the matrix, each by its id; and what holds for all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hacc_agent.wire import DynamicHomeAgent, DynamicLayout, RegistrationRequest, parse
from tests.hacc_agent.conformance import (  # noqa: F401  # they add their rows
    bindings,
    others,
    replays,
    revocations,
    tunnelling,
    validity,
)
from tests.hacc_agent.conformance.document import PATH, text
from tests.hacc_agent.conformance.rows import ROWS, Row
from tests.hacc_agent.wire.tshark import datagram, decode

FLAW = "_ws.malformed"


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS])
def test_conformance(row: Row) -> None:
    scene = row.perform()
    # Whatever happened: who replays the journal knows the same.
    again = scene.restarted()
    assert again.table.digest() == scene.table.digest()
    assert list(again.agent.snapshot()) != [] or not len(scene.table)


def test_ids_are_unique() -> None:
    assert [row for row, count in Counter(row.id for row in ROWS).items() if count > 1] == []


def has_rfc_form(payload: bytes) -> bool:
    """Wireshark reads extension 139 in the short form alone (RFC 4433 says the long one)."""
    message = parse(payload)
    return isinstance(message, RegistrationRequest) and any(
        isinstance(each, DynamicHomeAgent) and each.layout is DynamicLayout.RFC4433
        for each in message.extensions
    )


def test_wireshark_reads_every_packet_of_every_row(tmp_path: Path) -> None:
    scenes = [row.perform() for row in ROWS]
    packets = [each for scene in scenes for each in scene.emitted]
    packets += [each for scene in scenes for each in scene.accepted if not has_rfc_form(each)]
    decoded = decode(tmp_path, [datagram(each) for each in packets], (FLAW, "mip.type"))
    assert [each for each, row in zip(packets, decoded, strict=True) if row[FLAW]] == []
    assert {row["mip.type"][0] for row in decoded} == {"1", "3", "4", "7", "15"}


def test_document_is_in_step() -> None:
    written, wanted = PATH.read_text().splitlines(), text().splitlines()
    missing, stale = set(wanted) - set(written), set(written) - set(wanted)
    assert (missing, stale) == (set(), set()), f"make it anew: python -m {text.__module__}"
    assert len(written) == len(wanted)
