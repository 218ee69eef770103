"""The journal: on disk before anything is sent, and readable after any crash."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.journal import Entry, Journal, entries

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_record_is_synchronised_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    durable: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda _fd: durable.append(path.stat().st_size))
    journal = Journal(path, lambda: NOON)
    journal.record("r1", "send", "interface lo", " ip address 198.19.0.1/32")
    assert durable == [path.stat().st_size]
    journal.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [*entries(path.read_text().splitlines(keepends=True))] == [
        Entry("2026-11-23T12:00:00.000000Z", "r1", "send", "interface lo"),
        Entry("2026-11-23T12:00:00.000000Z", "r1", "send", " ip address 198.19.0.1/32"),
    ]


@given(texts=st.lists(st.text(), min_size=1), cut=st.integers(min_value=0))
def test_a_journal_cut_anywhere_tells_a_beginning_of_the_truth(texts: list[str], cut: int) -> None:
    lines = [json.dumps({"at": "", "host": "r1", "kind": "send", "text": t}) + "\n" for t in texts]
    whole = "".join(lines)
    short = whole[: cut % (len(whole) + 1)]
    told = [entry.text for entry in entries(io.StringIO(short))]
    assert told == texts[: short.count("\n")]
